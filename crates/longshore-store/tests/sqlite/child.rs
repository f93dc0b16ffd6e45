//! This program once more, as another process that uses the file.

use longshore_store::{JobStore, SessionId, SqliteOptions, SqliteStore};
use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use crate::{
    desk::Desk,
    support::{Dispatcher, at, exited, launched, submission},
};

/// The first argument of a child.
pub(crate) const CHILD: &str = "as-child";

/// A child, and what it says.
pub(crate) struct Other {
    pub(crate) process: Child,
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    /// Starts a child that does this with the database at that path.
    pub(crate) fn start(what: &str, path: &Path) -> Self {
        let mut process = command(what, path).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    pub(crate) fn line(&mut self) -> Option<String> {
        self.lines.next().and_then(Result::ok)
    }

    /// Ends it with no chance to say or do anything.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn command(what: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, what]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

pub(crate) async fn open(path: &Path) -> Arc<dyn JobStore> {
    Arc::new(SqliteStore::open(path, SqliteOptions::default()).await.unwrap())
}

/// A store that loses its patience soon.
pub(crate) async fn open_hastily(path: &Path) -> longshore_core::Result<SqliteStore> {
    SqliteStore::open(path, SqliteOptions::builder().patience(Duration::from_millis(50)).build()).await
}

pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let (what, path) = (arguments.next().unwrap(), arguments.next().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match what.as_str() {
            "work" => work(Path::new(&path)).await,
            "claim" => claim_all(Path::new(&path)).await,
            "submit-when-told" => submit_when_told(Path::new(&path)).await,
            "open" => say(&match SqliteStore::open(&path, SqliteOptions::default()).await {
                Ok(_) => "opened".to_owned(),
                Err(error) => format!("{:?}: {error}", error.kind()),
            }),
            other => panic!("nobody knows what {other} is"),
        }
    });
    ExitCode::SUCCESS
}

/// Says what is acknowledged, so that it is in the parent's pipe before anything else is done.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Submits, claims and records for ever, from several tasks, and says of each what was acknowledged.
async fn work(path: &Path) {
    let store = open(path).await;
    let dispatcher = Dispatcher { session: SessionId::from_uuid(uuid::Uuid::new_v4()), store: Arc::clone(&store) };
    store.open_session(dispatcher.session, "a child").await.unwrap();
    say(&format!("session {}", dispatcher.session));
    let submitting = async {
        loop {
            let submissions = vec![submission("on-a"), submission("on-a"), submission("on-a")];
            for submitted in store.submit(submissions, at(0)).await.unwrap() {
                say(&format!("submitted {}", submitted.unwrap().id()));
            }
        }
    };
    let running = async {
        loop {
            for held in dispatcher.claim(Desk::with(&[("a", 1000)]), 3, 1).await {
                let token = held.attempt.token();
                say(&format!("launching {token}"));
                dispatcher.record(launched(token, 2)).await.unwrap();
                say(&format!("launched {token}"));
                dispatcher.record(exited(token, 0, 3)).await.unwrap();
                say(&format!("ended {token}"));
            }
        }
    };
    let ((), ()) = tokio::join!(submitting, running);
}

/// Claims all that there is, a few at once, and says what it got.
async fn claim_all(path: &Path) {
    let store = open(path).await;
    let dispatcher = Dispatcher { session: SessionId::from_uuid(uuid::Uuid::new_v4()), store: Arc::clone(&store) };
    store.open_session(dispatcher.session, "a child").await.unwrap();
    loop {
        let held = dispatcher.claim(Desk::with(&[("a", 1_000_000)]), 3, 1).await;
        if held.is_empty() {
            return;
        }
        for held in held {
            say(&held.attempt.token().to_string());
        }
    }
}

/// Submits one job for each line that it reads.
async fn submit_when_told(path: &Path) {
    let store = open(path).await;
    say("ready");
    for line in std::io::stdin().lines() {
        line.unwrap();
        let submitted = store.submit(vec![submission("on-a")], at(0)).await.unwrap().remove(0);
        say(&submitted.unwrap().id().to_string());
    }
}
