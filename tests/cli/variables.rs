//! Variables and secrets reach the job as it is written, and secrets nobody else.

use crate::bench::Bench;
use longshore_testkit::{suite::Test, tests};
use std::collections::BTreeSet;

pub(crate) const TESTS: &[Test] = &tests![
    variables_come_from_options_files_and_our_own,
    a_secret_is_a_file_that_only_the_job_can_read,
    a_secret_can_be_a_variable,
    a_secret_is_told_to_nobody,
    a_secret_that_is_not_there_stops_the_launch,
];

const CANARY: &str = "c4n4ry-5up3r-53cr3t";

async fn variables_come_from_options_files_and_our_own() {
    let bench = Bench::new().await;
    let first = bench.file("first", "# a comment\nA=first file\nB=\"quoted\" # kept\r\nOWN\nEMPTY=\n");
    let second = bench.file("second", "C=second file\nA=second file\n");
    let options = ["--env-file", &first, "--env-file", &second, "-e", "C=an option", "-e", "D=x=y\nz", "-e", "MISSING"];
    let names = ["A", "B", "C", "D", "OWN", "EMPTY", "MISSING"];
    let done = bench
        .run(&options, &names.map(|name| format!("env {name}")).each_ref().map(String::as_str))
        .env("OWN", "ours")
        .finish()
        .await;
    let expected = "second file\n\"quoted\" # kept\nan option\nx=y\nz\nours\n\nMISSING is not set\n";
    assert_eq!(done.exited(0), expected);
    assert_eq!(done.stderr, "longshore: --env MISSING is not set here and is left out\n");
}

async fn a_secret_is_a_file_that_only_the_job_can_read() {
    let bench = Bench::new().await;
    let kept = bench.file("token", "line one\nline two, without a newline");
    let by_file = format!("first=file:{kept}");
    let options = ["--secret", &by_file, "--secret", "second.txt=env:SOURCE"];
    let reads = ["read /run/secrets/first", "print", "read /run/secrets/second.txt", "env second.txt"];
    for more in [&[] as &[&str], &["--security", "hardened"]] {
        let done = bench.run(&[&options, more].concat(), &reads).env("SOURCE", CANARY).finish().await;
        let expected = format!("line one\nline two, without a newline\n{CANARY}second.txt is not set\n");
        assert_eq!((done.exited(0), done.stderr.as_str()), (expected.as_str(), ""), "{more:?}");
    }
}

async fn a_secret_can_be_a_variable() {
    let bench = Bench::new().await;
    let by_file = format!("FILE=file:{},env", bench.file("token", CANARY));
    let options = ["--secret", "VAR=env:SOURCE,env", "--secret", &by_file];
    let done = bench.run(&options, &["env VAR", "env FILE"]).env("SOURCE", CANARY).finish().await;
    assert_eq!(done.exited(0), format!("{CANARY}\n{CANARY}\n"));
    let notice = "longshore: secrets delivered as variables can be read by whoever administers the engine";
    assert!(done.stderr.starts_with(notice) && done.stderr.lines().count() == 1, "{}", done.stderr);
}

/// Not on stderr, however much is told; not in the result; and the engine shows it nowhere but, as the plan says, among
/// the variables where it is one.
async fn a_secret_is_told_to_nobody() {
    let bench = Bench::new().await;
    let file = bench.file("token", CANARY);
    for (secret, in_variables) in [(format!("T=file:{file}"), false), (format!("T=file:{file},env"), true)] {
        let options = ["--json", "--keep", "--verbose", "--secret", &secret, "-l", "a=b", "-e", "A=b"];
        let mut started = bench.run(&options, &["eprint ready", "forever"]).env("LONGSHORE_LOG", "trace").start();
        started.tells("ready\n").await;
        let mut shown = bench.container().await;
        let variables = shown.config.as_mut().unwrap().env.take().unwrap();
        assert!(!format!("{shown:?}").contains(CANARY), "{shown:?}");
        assert_eq!(variables.iter().any(|variable| variable.contains(CANARY)), in_variables, "{variables:?}");
        bench.kill("TERM").await;
        let done = started.end().await;
        let told = [&done.stderr, std::str::from_utf8(&done.stdout).unwrap()].concat();
        assert!(told.contains("launch_job") && !told.contains(CANARY), "{told}");
        assert!(!kept_below(bench.home.path(), &file), "a file of the home other than the secret's own holds it");
        bench.remove().await;
    }
}

/// Whether any file below the folder, but this one, holds the secret.
fn kept_below(folder: &std::path::Path, but: &str) -> bool {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let others: BTreeSet<_> = entries.filter(|path| path.as_os_str() != but).collect();
    others.into_iter().any(|path| {
        if path.is_dir() {
            return kept_below(&path, but);
        }
        std::fs::read(&path).is_ok_and(|bytes| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()))
    })
}

async fn a_secret_that_is_not_there_stops_the_launch() {
    let bench = Bench::new().await;
    let cases = [
        ("TOKEN=env:NOT_SET", "the variable NOT_SET is not set in the environment of this program"),
        ("TOKEN=file:/nonexistent/token,env", "the file /nonexistent/token"),
    ];
    for (secret, reason) in cases {
        let done = bench.run(&["--quiet", "--secret", secret], &["print ran"]).finish().await;
        assert_eq!(done.exited(125), "");
        assert!(done.first_line().starts_with(&format!("longshore: resolve secret: {reason}")), "{}", done.stderr);
        let hint = "hint: set the variable that env:NAME names, or check the path of file:PATH";
        assert!(done.stderr.lines().nth(1).unwrap().starts_with(hint), "{}", done.stderr);
    }
}
