//! The image in a real engine, with the probe as process 1. It needs the program `docker`:
//! `cargo test -p longshore-probe --features binary --test engine -- --ignored`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on ends, in its functions too")]

use std::{
    cell::Cell,
    io::{BufRead, BufReader, Write},
    process::{self, Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use longshore_probe::image_archive;

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What the engine says when all is well.
fn answer(arguments: &[&str]) -> String {
    let output = docker(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The loaded image, removed when dropped.
struct Image {
    tag: String,
    containers: Cell<u32>,
}

impl Image {
    fn load() -> Self {
        let image = Self { tag: format!("longshore-probe-test:{}", process::id()), containers: Cell::new(0) };
        let mut child = Command::new("docker").arg("load").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&image_archive(&image.tag)).unwrap();
        assert!(child.wait().unwrap().success());
        image
    }

    /// Starts a container of the script, without a network.
    fn start(&self, options: &[&str], script: &[&str]) -> Container {
        self.containers.set(self.containers.get() + 1);
        let name = format!("longshore-probe-test-{}-{}", process::id(), self.containers.get());
        let mut command = Command::new("docker");
        command.args(["run", "--network", "none", "--name", &name]).args(options).arg(&self.tag).args(script);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Container { name, child, stdout }
    }

    /// Starts a container and waits until it has written `ready`, which the script does after its first part.
    fn ready(&self, options: &[&str], before: &[&str], after: &[&str]) -> Container {
        let mut container = self.start(options, &[before, &["print ready"], after].concat());
        assert_eq!(container.line(), "ready");
        container
    }

    /// The exit code and the output of the script.
    fn told(&self, options: &[&str], script: &[&str]) -> (i32, String) {
        let mut container = self.start(options, script);
        let told = std::io::read_to_string(&mut container.stdout).unwrap();
        (container.end(), told)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", &self.tag]);
    }
}

/// A container and the program that is attached to it, removed when dropped.
struct Container {
    name: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Container {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn inspect(&self, format: &str) -> String {
        answer(&["inspect", "--format", format, &self.name])
    }

    /// The exit code by the engine's own record, which the attached program must have passed on.
    fn end(&mut self) -> i32 {
        let code = self.child.wait().unwrap().code().unwrap();
        assert_eq!(self.inspect("{{.State.ExitCode}}"), code.to_string());
        code
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.name]);
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs a Docker Engine and its program"]
fn the_probe_keeps_its_word_as_process_1() {
    let image = Image::load();
    scripts(&image);
    surroundings(&image);
    signals_from_outside(&image);
    signals_of_its_own(&image);
    stops(&image);
    memory(&image);
    children(&image);
}

fn scripts(image: &Image) {
    assert_eq!(image.told(&[], &["print hello", "eprint oops", "sleep 10ms", "exit 3"]), (3, "hello\n".to_owned()));
    assert_eq!(image.told(&[], &[]), (0, String::new()));
    assert_eq!(image.told(&[], &["nonsense"]).0, 64);
    let (code, lines) = image.told(&[], &["lines 20000 100", "exit 137"]);
    assert_eq!((code, lines.len()), (137, 2_000_000));
    assert_eq!(lines.lines().last(), Some(format!("{:099}", 20_000).as_str()));
}

fn surroundings(image: &Image) {
    let options = ["--user", "nobody", "--workdir", "/tmp", "--env", "NAME=a value", "--hostname", "harbour"];
    let script = ["id", "pwd", "env NAME", "hostname", "write a text", "append a more", "read /tmp/a"];
    let expected = "uid=65534 gid=65534\n/tmp\na value\nharbour\ntext\nmore\n";
    assert_eq!(image.told(&options, &script), (0, expected.to_owned()));
    assert_eq!(image.told(&["--read-only"], &["write /a x"]).0, 73);
    assert_eq!(image.told(&[], &["read /no/such/file"]).0, 66);
    assert_eq!(image.told(&[], &["read /proc/sys/kernel/ostype"]), (0, "Linux\n".to_owned()));
}

fn signals_from_outside(image: &Image) {
    for (name, number) in
        [("TERM", 15), ("INT", 2), ("HUP", 1), ("QUIT", 3), ("USR1", 10), ("USR2", 12), ("ALRM", 14), ("KILL", 9)]
    {
        let mut container = image.ready(&[], &[], &["forever"]);
        answer(&["kill", "--signal", name, &container.name]);
        assert_eq!(container.end(), 128 + number, "{name}");
    }
    let mut container = image.ready(&[], &["ignore TERM", "catch USR1 9 100ms"], &["spin 1h"]);
    for name in ["TERM", "WINCH", "USR1"] {
        answer(&["kill", "--signal", name, &container.name]);
    }
    assert_eq!(container.end(), 9);
}

fn signals_of_its_own(image: &Image) {
    for (name, number) in [("TERM", 15), ("SEGV", 11), ("ABRT", 6), ("PIPE", 13), ("KILL", 9), ("40", 40)] {
        let script = ["print before", &format!("raise {name}"), "print never"];
        assert_eq!(image.told(&[], &script), (128 + number, "before\n".to_owned()), "{name}");
    }
    assert_eq!(image.told(&[], &["ignore TERM", "raise TERM", "exit 4"]).0, 4);
    assert_eq!(image.told(&[], &["catch TERM 6", "raise TERM", "exit 4"]).0, 6);
    assert_eq!(image.told(&["--init"], &["raise TERM"]).0, 143);
}

fn stops(image: &Image) {
    let mut container = image.ready(&[], &["catch TERM 7 300ms"], &["forever"]);
    let start = Instant::now();
    answer(&["stop", "--time", "60", &container.name]);
    assert_eq!(container.end(), 7);
    assert!((300..30_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());

    let mut container = image.ready(&[], &["ignore TERM"], &["forever"]);
    let start = Instant::now();
    answer(&["stop", "--time", "1", &container.name]);
    assert_eq!(container.end(), 137);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

fn memory(image: &Image) {
    let limit = ["--memory", "32m"];
    let mut container = image.ready(&limit, &[], &["allocate 256m", "print never"]);
    assert_eq!((container.line(), container.end()), (String::new(), 137));
    assert_eq!(container.inspect("{{.State.OOMKilled}}"), "true");
    assert_eq!(image.told(&limit, &["allocate 16m", "exit 2"]).0, 2);
}

fn children(image: &Image) {
    let mut container = image.ready(&[], &["children 3 1h"], &["forever"]);
    let processes = answer(&["top", &container.name]);
    assert_eq!(processes.lines().count(), 1 + 4, "{processes}");
    answer(&["stop", &container.name]);
    assert_eq!(container.end(), 143);
    assert_eq!(image.told(&["--pids-limit", "2"], &["children 3 1h", "print never"]), (71, String::new()));
}
