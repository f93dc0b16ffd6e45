//! The program as an ordinary process that gets signals, and its children.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on ends, in its functions too")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// A probe that has done everything up to `print ready`, ended when dropped.
struct Ready {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Ready {
    fn start(before: &[&str], after: &[&str]) -> Self {
        Self::under(Command::new(env!("CARGO_BIN_EXE_longshore-probe")), before, after)
    }

    /// Started by a command that becomes the probe.
    fn under(mut command: Command, before: &[&str], after: &[&str]) -> Self {
        command.args(before).arg("print ready").args(after).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = Self { child, stdout };
        assert_eq!(ready.line(), "ready\n");
        ready
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn send(&self, signal: &str) {
        let script = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success(), "{script}");
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_ends_it() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1), ("KILL", 9)] {
        let mut probe = Ready::start(&[], &["forever"]);
        probe.send(name);
        assert_eq!(probe.end().signal(), Some(number), "{name}");
    }
}

#[test]
fn a_caught_signal_stops_any_instruction() {
    for present in ["forever", "sleep 1h", "spin 1h", "tick 1 1h"] {
        let mut probe = Ready::start(&["catch TERM 7"], &[present, "exit 1"]);
        probe.send("TERM");
        assert_eq!(probe.end().code(), Some(7), "{present}");
    }
}

#[test]
fn a_caught_signal_stops_a_write_that_nobody_takes() {
    let mut probe = Ready::start(&["catch USR1 9"], &["lines 90000000"]);
    assert_eq!(probe.line(), "00000001\n");
    probe.send("USR1");
    assert_eq!(probe.end().code(), Some(9));
}

#[test]
fn a_caught_signal_takes_its_time() {
    let mut probe = Ready::start(&["catch TERM 7 300ms"], &["forever"]);
    let start = Instant::now();
    probe.send("TERM");
    probe.send("TERM");
    assert_eq!(probe.end().code(), Some(7));
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
}

#[test]
fn another_caught_signal_overtakes_a_slow_end() {
    let mut probe = Ready::start(&["catch TERM 7 1h", "catch INT 8"], &["forever"]);
    probe.send("TERM");
    probe.send("INT");
    assert_eq!(probe.end().code(), Some(8));
}

#[test]
fn the_last_action_counts() {
    let mut probe = Ready::start(&["ignore TERM", "catch TERM 7 1h", "catch TERM 8"], &["forever"]);
    probe.send("TERM");
    assert_eq!(probe.end().code(), Some(8));
}

#[test]
fn an_ignored_signal_is_nothing() {
    let mut probe = Ready::start(&["ignore TERM", "catch INT 8"], &["forever"]);
    probe.send("TERM");
    probe.send("INT");
    assert_eq!(probe.end().code(), Some(8));
}

/// As under `nohup`, or in a shell's background job.
#[test]
fn what_a_parent_had_ignored_is_not_inherited() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1), ("USR1", 10)] {
        let mut deaf = Command::new("sh");
        deaf.args(["-c", r#"trap '' "$1"; shift; exec "$@""#, "sh", name, env!("CARGO_BIN_EXE_longshore-probe")]);
        let mut probe = Ready::under(deaf, &[], &["sleep 10s"]);
        probe.send(name);
        assert_eq!(probe.end().signal(), Some(number), "{name}");
    }
}

#[test]
fn a_signal_of_its_own_is_caught() {
    let mut probe = Ready::start(&["catch USR2 11 10ms"], &["raise USR2", "print never"]);
    assert_eq!(probe.end().code(), Some(11));
    assert_eq!(probe.line(), "");
}

#[test]
fn children_run_beside_it() {
    let mut probe = Ready::start(&["children 2 1s"], &["forever"]);
    let id = probe.child.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    assert_eq!(children.split_whitespace().count(), 2, "{children}");
    for child in children.split_whitespace() {
        assert_eq!(fs::read_link(format!("/proc/{child}/fd/0")).unwrap().as_os_str(), "/dev/null");
    }
    probe.send("KILL");
    assert_eq!(probe.end().signal(), Some(9));
    // The children share its output: that ends when they have.
    assert_eq!(probe.line(), "");
}
