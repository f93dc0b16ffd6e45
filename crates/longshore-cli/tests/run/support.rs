//! Runs the built program in an environment of its own.

#![expect(clippy::unwrap_used, reason = "what can't be set up fails its test")]

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
};
use tempfile::TempDir;

/// The program with its own empty home, which is removed with it.
pub(crate) struct Longshore {
    pub(crate) command: Command,
    _home: TempDir,
}

impl Longshore {
    /// `longshore ARGUMENTS…`
    pub(crate) fn new<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(arguments).env_clear().env("HOME", home.path()).stdin(Stdio::null());
        Self { command, _home: home }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The same, started in a folder.
    pub(crate) fn within(mut self, folder: &TempDir) -> Self {
        self.command.current_dir(folder.path());
        self
    }

    /// The same, started by another program that becomes it.
    pub(crate) fn under(mut self, program: &str) -> Self {
        let mut command = Command::new(program);
        command.arg(self.command.get_program()).args(self.command.get_args());
        command.env_clear().envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.command = command;
        self.command.stdin(Stdio::null());
        self
    }

    /// Runs it to its end.
    pub(crate) fn finish(mut self) -> Done {
        Done::from(self.command.output().unwrap())
    }

    /// Starts it, with its outputs to be read.
    pub(crate) fn start(mut self) -> Started {
        let child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Started { child, _home: self._home }
    }
}

/// A folder with a configuration in it.
pub(crate) fn configured(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("longshore.toml"), text).unwrap();
    folder
}

/// `longshore run --executor mock OPTIONS… any/image INSTRUCTIONS…`
pub(crate) fn run(options: &[&str], instructions: &[&str]) -> Longshore {
    let image = ["any/image", "--"];
    Longshore::new(["run", "--executor", "mock"].iter().chain(options).chain(&image).chain(instructions))
}

/// What has ended.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }
}

impl Done {
    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The one line of JSON on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        let lines: Vec<&str> = self.stdout().lines().collect();
        assert_eq!(lines.len(), 1, "{}\n{}", self.stdout(), self.stderr);
        serde_json::from_str(lines[0]).unwrap()
    }
}

/// What runs; it is killed when the test ends first.
pub(crate) struct Started {
    pub(crate) child: Child,
    _home: TempDir,
}

impl Started {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until stdout has shown the text.
    pub(crate) fn wait_for_stdout(&mut self, text: &str) {
        wait_for(self.child.stdout.as_mut().unwrap(), text);
    }

    /// Waits until stderr has shown the text.
    pub(crate) fn wait_for_stderr(&mut self, text: &str) {
        wait_for(self.child.stderr.as_mut().unwrap(), text);
    }

    /// Waits for its end, with what it still says.
    pub(crate) fn finish(mut self) -> Done {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        Done::from(Output { status, stdout, stderr })
    }

    pub(crate) fn stderr(&mut self) -> Stderr {
        Stderr(BufReader::new(self.child.stderr.take().unwrap()))
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(stream: &mut impl Read, text: &str) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(text) {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "ended after {:?}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
}

/// The lines on stderr.
pub(crate) struct Stderr(BufReader<ChildStderr>);

impl Stderr {
    /// Waits for a line that holds the text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "stderr ended without {text:?}: {all}");
            if line.contains(text) {
                return line;
            }
            all.push_str(&line);
        }
    }

    pub(crate) fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}
