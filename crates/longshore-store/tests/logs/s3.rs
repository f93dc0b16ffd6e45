//! S3, as a server on this machine speaks it.

use futures::TryStreamExt;
use longshore_core::{ErrorKind, LogQuery};
use longshore_store::{LogPosition, LogReference, LogStore};
use longshore_testkit::suite::Test;
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use crate::{
    program::{Program, line, token},
    support::{CAP, bytes_of, read_all, read_on, read_what_is_left, save},
};

pub(crate) const TESTS: &[Test] = &longshore_testkit::tests![
    a_bucket_keeps_logs,
    a_bucket_is_opened_by_the_usual_variables,
    a_bucket_is_swept,
    a_chunk_that_is_gone_from_a_bucket_is_named,
    a_bucket_that_refuses_or_is_away_shows_no_secret,
];

/// moto's server with one bucket, on a port of its own.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Result<Self, String> {
        let started = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child =
            started.map_err(|error| format!("moto_server can't be started ({error}); pip install 'moto[server]'"))?;
        let lines = child.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let (mut lines, mut said) = (lines, Vec::new());
        for line in &mut lines {
            if let Some((_, address)) = line.split_once("http://") {
                let address = address.trim().to_owned();
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self { child, address });
            }
            said.push(line);
        }
        let _ = child.wait();
        Err(format!("moto_server did not start: {}", said.join(" ")))
    }

    fn with_bucket() -> Self {
        let server = Self::start().unwrap();
        let answer = server.request("PUT /bucket HTTP/1.1");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        server
    }

    fn request(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        let anybody =
            "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let headers = format!("Host: {host}\r\nAuthorization: {anybody}\r\nConnection: close\r\nContent-Length: 0");
        write!(stream, "{request}\r\n{headers}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn store(&self) -> LogStore {
        LogStore::open("s3://bucket/some/logs", &self.options()).unwrap()
    }

    fn options(&self) -> BTreeMap<String, SecretString> {
        let endpoint = format!("http://{}", self.address);
        let options = [
            ("aws_endpoint", endpoint.as_str()),
            ("aws_region", "eu-west-3"),
            ("aws_allow_http", "true"),
            ("aws_access_key_id", "AKIAHUNTER2"),
            ("aws_secret_access_key", "hunter2hunter2"),
        ];
        options.map(|(name, value)| (name.to_owned(), value.into())).into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn needs() -> Result<(), String> {
    Server::start().map(drop)
}

async fn a_bucket_is_opened_by_the_usual_variables() {
    let server = Server::with_bucket();
    let variables = [
        ("AWS_ENDPOINT_URL", format!("http://{}", server.address)),
        ("AWS_DEFAULT_REGION", "eu-west-3".to_owned()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIAHUNTER2".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2".to_owned()),
        // Others' variables are nobody's mistake.
        ("AWS_PROFILE", "work".to_owned()),
        ("AZURE_TENANT_ID", "x".to_owned()),
        ("BUCKET", "another".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let store = LogStore::open_with_variables("s3://bucket/some/logs", variables).unwrap();
    let (program, token) = (Program::writing(10, line), token());
    let saved = save(&store, &program, token).await;
    assert!(read_all(&server.store(), &saved.reference).await == program.records());
}

async fn a_bucket_keeps_logs() {
    let server = Server::with_bucket();
    let (store, program, token) = (server.store(), Program::writing(1_700, line), token());
    let saved = save(&store, &program, token).await;
    assert_eq!(save(&server.store(), &program, token).await, saved);
    assert!(matches!(saved.reference, LogReference::Stored { chunks: 3, .. }));
    assert!(read_all(&server.store(), &saved.reference).await == program.records());
    let tail = store.seek(&saved.reference, LogPosition::LastLines(3)).await.unwrap();
    let tail = read_on(&store, &saved.reference, LogQuery::after(tail)).await.unwrap().0;
    let tail = bytes_of(&tail);
    assert!(program.bytes().ends_with(&tail) && tail.iter().filter(|byte| **byte == b'\n').count() == 3);
}

async fn a_bucket_is_swept() {
    let server = Server::with_bucket();
    let (store, program) = (server.store(), Program::writing(1_700, line));
    let mut expected = [token(), token()];
    expected.sort();
    let kept = save(&store, &program, expected[0]).await.reference;
    let other = save(&store, &Program::writing(1_750, |number| line(number + 1)), expected[0]).await.reference;
    assert_eq!(store.keep_only(expected[0], Some(&kept)).await.unwrap(), 3);
    let gone = server.store().seek(&other, LogPosition::LastLines(1)).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let second = save(&store, &program, expected[1]).await.reference;
    let mut tokens = store.tokens().try_collect::<Vec<_>>().await.unwrap();
    tokens.sort();
    assert_eq!(tokens, expected);
    for reference in [&second, &second, &kept] {
        store.remove(reference).await.unwrap();
    }
    assert_eq!(store.tokens().try_collect::<Vec<_>>().await.unwrap(), []);
}

async fn a_chunk_that_is_gone_from_a_bucket_is_named() {
    let server = Server::with_bucket();
    let (store, program) = (server.store(), Program::writing(1_700, line));
    let reference = save(&store, &program, token()).await.reference;
    let LogReference::Stored { name, .. } = &reference else { panic!("it is inline") };
    let (folder, _) = name.split_once('/').unwrap();
    let shard = &folder[folder.len() - 4..folder.len() - 2];
    let answer = server.request(&format!("DELETE /bucket/some/logs/{shard}/{name} HTTP/1.1"));
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let (found, errors) = read_what_is_left(&server.store(), &reference).await;
    assert!(program.bytes().starts_with(&found) && found.len() > 2 << 19);
    assert!(errors.len() == 1 && errors[0].contains("chunk 3 of 3 of the log is missing"), "{errors:?}");
}

async fn a_bucket_that_refuses_or_is_away_shows_no_secret() {
    let server = Server::with_bucket();
    let program = Program::writing(200, line);
    let missing = LogStore::open("s3://other", &server.options()).unwrap();
    let mut errors = vec![missing.save(&program, &program.handle(token()), CAP).await.unwrap_err()];
    let store = server.store();
    drop(server);
    errors.push(store.save(&program, &program.handle(token()), CAP).await.unwrap_err());
    let kinds: Vec<_> = errors.iter().map(longshore_core::Error::kind).collect();
    // A bucket that is not there says nothing of the log.
    assert_eq!(kinds, [ErrorKind::Unavailable, ErrorKind::Unavailable]);
    assert!(errors[0].to_string().contains("its place does not exist"), "{}", errors[0]);
    for shown in [format!("{errors:?}"), format!("{store:?}")] {
        assert!(!shown.contains("hunter2") && !shown.contains("AKIA"), "{shown}");
    }
    assert_eq!(format!("{store:?}"), "LogStore(s3://bucket/some/logs)");
}
