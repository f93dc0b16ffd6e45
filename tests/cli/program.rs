//! The program as a process: started, watched, sent signals by its id, and waited for.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsStr,
    fs::File,
    future::Future,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, ChildStderr, ChildStdout, Command},
};

use crate::bench::Bench;

/// How long anything may take before the test fails: far longer than it should, and not for ever. What was taken over is
/// removed after two minutes only.
const LIMIT: Duration = Duration::from_secs(240);

/// The program with its words, before it is started.
pub(crate) struct Run<'a> {
    command: Command,
    bench: Option<&'a Bench>,
}

impl<'a> Run<'a> {
    /// `longshore WORDS…`, with nothing in its environment but a home.
    pub(crate) fn new(words: &[impl AsRef<OsStr>], home: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore-under-test"));
        command.args(words).env_clear().env("HOME", home).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, bench: None }
    }

    /// The same, on a bench whose containers must all be gone after it.
    pub(crate) fn on(self, bench: &'a Bench) -> Self {
        Self { bench: Some(bench), ..self }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Shows stderr, or both streams, on a terminal.
    pub(crate) fn on_terminal(mut self, terminal: &File, both: bool) -> Self {
        self.command.env("TERM", "xterm").stderr(terminal.try_clone().unwrap());
        if both {
            self.command.stdout(terminal.try_clone().unwrap());
        }
        self
    }

    pub(crate) fn start(mut self) -> Started<'a> {
        let mut child = self.command.spawn().unwrap();
        let (stdout, stderr) = (Stream::new(child.stdout.take()), Stream::new(child.stderr.take()));
        Started { child, stdout, stderr, bench: self.bench }
    }

    /// Runs it to its end. No container is left.
    pub(crate) async fn finish(self) -> Done {
        self.start().finish().await
    }
}

/// The program while it runs. It is killed, by its id, when the test ends first.
pub(crate) struct Started<'a> {
    child: Child,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    bench: Option<&'a Bench>,
}

impl Started<'_> {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until stdout has shown the text.
    pub(crate) async fn shows(&mut self, text: &str) {
        in_time(self.stdout.read_until(text)).await;
    }

    /// Waits until stderr has shown the text.
    pub(crate) async fn tells(&mut self, text: &str) {
        in_time(self.stderr.read_until(text)).await;
    }

    /// Nobody reads stdout any more.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout.open = None;
    }

    /// Waits for its end, with all that it has shown. No container is left.
    pub(crate) async fn finish(mut self) -> Done {
        let bench = self.bench.take();
        let done = self.end().await;
        if let Some(bench) = bench {
            let left = bench.containers().await;
            assert!(left.is_empty(), "{left:?} is left\n{}", done.stderr);
        }
        done
    }

    /// The same, whatever containers are left.
    pub(crate) async fn end(mut self) -> Done {
        let all = async { tokio::join!(self.stdout.read_to_end(), self.stderr.read_to_end(), self.child.wait()) };
        let (stdout, stderr, status) = in_time(all).await;
        Done::new(status.unwrap(), stdout, stderr)
    }
}

/// What comes of it, unless it takes far longer than it should.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, what).await {
        Ok(done) => done,
        Err(_) => panic!("nothing has come of it within {LIMIT:?}"),
    }
}

/// What has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    fn new(status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self { code: status.code(), stdout, stderr: String::from_utf8(stderr).unwrap() }
    }

    /// Requires the exit code, shows stderr where it is another, and returns stdout.
    #[track_caller]
    pub(crate) fn exited(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The one line of JSON on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let text = std::str::from_utf8(&self.stdout).unwrap();
        assert!(text.ends_with('\n') && text.lines().count() == 1, "{text:?}\n{}", self.stderr);
        serde_json::from_str(text).unwrap()
    }

    /// The first line on stderr.
    pub(crate) fn first_line(&self) -> &str {
        self.stderr.lines().next().unwrap_or_default()
    }
}

/// A stream with all that has come of it.
struct Stream<R> {
    open: Option<R>,
    seen: Vec<u8>,
    /// Up to where a text has been waited for.
    passed: usize,
}

impl<R: AsyncRead + Unpin> Stream<R> {
    const fn new(open: Option<R>) -> Self {
        Self { open, seen: Vec::new(), passed: 0 }
    }

    /// Waits for the text after what was last waited for.
    async fn read_until(&mut self, text: &str) {
        loop {
            let rest = &self.seen[self.passed..];
            if let Some(place) = rest.windows(text.len()).position(|window| window == text.as_bytes()) {
                self.passed += place + text.len();
                return;
            }
            let read = self.open.as_mut().unwrap().read_buf(&mut self.seen).await.unwrap();
            assert!(read > 0, "ended without {text:?} after {:?}", String::from_utf8_lossy(&self.seen));
        }
    }

    async fn read_to_end(&mut self) -> Vec<u8> {
        if let Some(open) = &mut self.open {
            open.read_to_end(&mut self.seen).await.unwrap();
        }
        std::mem::take(&mut self.seen)
    }
}
