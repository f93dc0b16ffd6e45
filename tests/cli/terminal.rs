//! What a person at a terminal sees beyond what a pipe gets.

use crate::{
    bench::Bench,
    program::{Run, in_time},
};
use longshore_testkit::{
    proxy::{Answer, Fault, FaultHandle, FaultProxy, Method, StatusCode},
    suite::Test,
    tests,
};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use std::{fs::File, io::Read};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};

pub(crate) const TESTS: &[Test] = &tests![
    how_far_the_image_is_shows_on_a_terminal,
    how_far_the_image_is_shows_nowhere_else,
    on_one_screen_our_words_begin_a_line_of_their_own,
];

/// What is shown on a terminal.
struct Screen {
    chunks: UnboundedReceiver<Vec<u8>>,
    shown: Vec<u8>,
}

impl Screen {
    /// A terminal, and its screen.
    fn new() -> (File, Self) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = File::options().read(true).write(true).open(path).unwrap();
        let (sender, chunks) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let (mut master, mut buffer) = (File::from(master), [0; 4096]);
            // With its last user gone, reading fails (EIO).
            while let Ok(read @ 1..) = master.read(&mut buffer) {
                let _ = sender.send(buffer[..read].to_vec());
            }
        });
        (terminal, Self { chunks, shown: Vec::new() })
    }

    /// Waits until the text has been shown.
    async fn shows(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.shown).contains(text) {
            let chunk = in_time(self.chunks.recv()).await;
            self.shown.extend(chunk.unwrap_or_else(|| panic!("ended without {text:?}: {}", self.text())));
        }
    }

    /// All that was shown until its last user had gone.
    async fn end(mut self) -> String {
        while let Some(chunk) = in_time(self.chunks.recv()).await {
            self.shown.extend(chunk);
        }
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }
}

const STEPS: &str = r#"{"status":"Pulling from library/x","id":"1"}
{"status":"Downloading","progressDetail":{"current":512,"total":1024},"id":"abc"}
"#;
const END: &str = r#"{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}
"#;

/// An engine of which every pull gets half-way, waits to be released, and fails.
struct HalfPulling {
    _inner: FaultProxy,
    outer: FaultProxy,
    pull: FaultHandle,
    _folder: TempDir,
}

impl HalfPulling {
    async fn new(bench: &Bench) -> Self {
        let inner = bench.proxy().await;
        let pull = || Fault::on(Method::POST, "/images/create").always();
        drop(inner.inject(pull().answer_before(Answer::new(StatusCode::OK).body(format!("{STEPS}{END}")))));
        let folder = TempDir::new().unwrap();
        let outer = FaultProxy::to(inner.address().clone()).listen_unix(folder.path()).await.unwrap();
        let pull = outer.inject(pull().stall_body_after(STEPS.len() as u64));
        Self { _inner: inner, outer, pull, _folder: folder }
    }

    /// A run whose image is to be pulled there.
    fn run<'a>(&self, bench: &'a Bench, options: &[&str]) -> Run<'a> {
        let host = self.outer.uri();
        bench.run_image(&[options, &["--host", &host]].concat(), "longshore.test/pulled:1", &[])
    }
}

async fn how_far_the_image_is_shows_on_a_terminal() {
    let bench = Bench::new().await;
    let engine = HalfPulling::new(&bench).await;
    let (terminal, mut screen) = Screen::new();
    let started = engine.run(&bench, &[]).on_terminal(&terminal, false).start();
    drop(terminal);
    screen.shows("Downloading: 512 B of 1.00 KiB, 0 of 1 parts ready").await;
    engine.pull.release();
    started.finish().await.exited(125);
    let text = screen.end().await;
    let (_, last) = text.rsplit_once('\u{1b}').unwrap();
    assert!(
        last.contains("longshore: pull: ") && last.contains("manifest unknown"),
        "the line is taken away: {text:?}"
    );
}

async fn how_far_the_image_is_shows_nowhere_else() {
    let bench = Bench::new().await;
    let engine = HalfPulling::new(&bench).await;
    let started = engine.run(&bench, &[]).start();
    engine.pull.wait_hit().await;
    engine.pull.release();
    let done = started.finish().await;
    assert_eq!(done.exited(125), "");
    assert!(done.first_line().starts_with("longshore: pull: "), "{}", done.stderr);
    assert!(!done.stderr.contains("Downloading") && !done.stderr.contains('\u{1b}'), "{}", done.stderr);
}

async fn on_one_screen_our_words_begin_a_line_of_their_own() {
    let bench = Bench::new().await;
    let (terminal, screen) = Screen::new();
    let run = bench.run(&["--log-cap", "1k"], &["bytes 2000"]).on_terminal(&terminal, true);
    drop(terminal);
    run.finish().await.exited(0);
    let text = screen.end().await;
    let expected = format!("{}\r\nlongshore: the output is cut off at its cap", "x".repeat(1024));
    assert!(text.contains(&expected), "{text:?}");
}
