//! The program as an ordinary process: output, files, answers and exit codes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on ends, in its functions too")]

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    path::PathBuf,
    process::{self, Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use longshore_probe::random_bytes;

fn probe() -> Command {
    Command::new(env!("CARGO_BIN_EXE_longshore-probe"))
}

fn run(script: &[&str]) -> Output {
    probe().args(script).output().unwrap()
}

/// The exit code, stdout and stderr of the script.
fn told(script: &[&str]) -> (Option<i32>, String, String) {
    let output = run(script);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A folder of the test's own, removed with all that it holds.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{count}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind is no failure of the test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_script_writes_to_both_streams_and_exits() {
    let script =
        ["print hello  there", "eprint oops", "put a", "put b", "eput c", "sleep 1ms", "exit 3", "print never"];
    assert_eq!(told(&script), (Some(3), "hello  there\nab".to_owned(), "oops\nc".to_owned()));
    assert_eq!(told(&[]), (Some(0), String::new(), String::new()));
}

#[test]
fn a_wrong_script_is_refused_before_anything_runs() {
    let (code, out, err) = told(&["print hello", "slep 1s"]);
    assert_eq!((code, out.as_str()), (Some(64), ""));
    let refusal = "longshore-probe: instruction 2 (\"slep 1s\"): there is no verb \"slep\"; the verbs are print, ";
    assert!(err.starts_with(refusal) && err.ends_with('\n'), "{err}");
    let status = probe().arg(OsStr::from_bytes(b"print \xff")).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(64));
}

#[test]
fn long_output_arrives_whole() {
    assert_eq!(run(&["random 100001 42"]).stdout, random_bytes(100_001, 42));
    assert_eq!(run(&["bytes 20000 z"]).stdout, vec![b'z'; 20_000]);
    let expected: String = (1..=5_000).map(|line| format!("{line:099}\n")).collect();
    assert_eq!(told(&["lines 5000 100", "elines 5000 100"]), (Some(0), expected.clone(), expected));
}

#[test]
fn time_passes() {
    for script in ["sleep 120ms", "spin 120ms", "tick 3 40ms"] {
        let start = Instant::now();
        assert_eq!(run(&[script]).status.code(), Some(0), "{script}");
        assert!(start.elapsed() >= Duration::from_millis(120), "{script}: {:?}", start.elapsed());
    }
    assert_eq!(told(&["tick 2 0ms"]).1, "tick 1\ntick 2\n");
}

#[test]
fn the_process_knows_itself() {
    let folder = Folder::new();
    let mut command = probe();
    command.env_clear().envs([("B", "two"), ("A", "=1")]).current_dir(&folder.0);
    let output = command.args(["env B", "env C", "envs", "pwd", "hostname"]).output().unwrap();
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let expected = format!("two\nC is not set\nA==1\nB=two\n{}\n{hostname}", folder.0.display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn what_is_not_text_is_told_byte_for_byte() {
    let folder = Folder::new();
    let inside = folder.0.join(OsStr::from_bytes(b"w\xfc"));
    fs::create_dir(&inside).unwrap();
    let mut command = probe();
    command.env_clear().env("A", OsStr::from_bytes(b"a\xff\xfe")).env(OsStr::from_bytes(b"B\xff"), "b");
    let output = command.args(["env A", "envs", "pwd"]).current_dir(&inside).output().unwrap();
    let expected = [b"a\xff\xfe\nA=a\xff\xfe\nB\xff=b\n", inside.as_os_str().as_bytes(), b"\n"].concat();
    assert_eq!(output.stdout, expected);
}

#[test]
fn the_user_and_the_group_are_told() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let real = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(told(&["id"]).1, format!("uid={} gid={}\n", real("Uid:"), real("Gid:")));
}

#[test]
fn files_are_written_and_read() {
    let folder = Folder::new();
    let script = ["write a old", "write a first line", "append a second", "append b only", "read a", "read b"];
    let output = probe().args(script).current_dir(&folder.0).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "first line\nsecond\nonly\n");
    assert_eq!(fs::read_to_string(folder.0.join("a")).unwrap(), "first line\nsecond\n");
}

#[test]
fn a_long_file_is_read_whole() {
    let folder = Folder::new();
    fs::write(folder.0.join("random"), random_bytes(50_000, 1)).unwrap();
    let output = probe().arg("read random").current_dir(&folder.0).output().unwrap();
    assert_eq!(output.stdout, random_bytes(50_000, 1));
}

#[test]
fn a_failing_file_ends_the_script() {
    for (script, what, code) in [
        ("read /no/such/file", "read /no/such/file: No such file", 66),
        ("read /", "read /: Is a directory", 66),
        ("write /no/such/file x", "write /no/such/file: No such file", 73),
        ("append / x", "append /: Is a directory", 73),
    ] {
        let (ended, out, err) = told(&["print before", script, "print never"]);
        assert_eq!((ended, out.as_str()), (Some(code), "before\n"), "{script}");
        assert!(err.starts_with(&format!("longshore-probe: {what}")), "{err}");
    }
}

#[test]
fn output_that_nobody_reads_ends_the_script_quietly() {
    let mut child =
        probe().args(["lines 18446744073709551 99"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()));
}

#[test]
fn output_that_has_no_room_ends_the_script_with_a_complaint() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = probe().args(["print a", "exit 3"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.starts_with("longshore-probe: write to stdout: No space left"), "{complaint}");
}

#[test]
fn memory_is_really_taken() {
    let peak = |script: &[&str]| -> u64 {
        let (code, out, err) = told(script);
        assert_eq!(code, Some(0), "{err}");
        let line = out.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    let grown = peak(&["allocate 40m", "read /proc/self/status"]) - peak(&["read /proc/self/status"]);
    assert!((40 * 1024..48 * 1024).contains(&grown), "{grown} KiB");
}

#[test]
fn a_fatal_signal_of_its_own_is_a_death_by_it() {
    for (name, number) in [("TERM", 15), ("KILL", 9), ("PIPE", 13), ("USR1", 10), ("SEGV", 11), ("40", 40)] {
        let output = run(&["print before", &format!("raise {name}"), "print never"]);
        assert_eq!(output.status.signal(), Some(number), "{name}");
        assert_eq!(output.stdout, b"before\n", "{name}");
    }
}

#[test]
fn a_harmless_signal_of_its_own_is_nothing() {
    let script = ["ignore TERM", "raise TERM", "raise CHLD", "raise WINCH", "print on", "exit 5"];
    assert_eq!(told(&script), (Some(5), "on\n".to_owned(), String::new()));
}

#[test]
fn the_system_may_keep_a_signal_to_itself() {
    let (code, _, err) = told(&["ignore 32"]);
    assert_eq!(code, Some(71));
    assert!(err.starts_with("longshore-probe: set the action of 32: "), "{err}");
}
