use super::*;
use crate::program::Surroundings;
use longshore_core::ByteSize;
use std::collections::BTreeMap;

fn at(millis: u64) -> Timestamp {
    later(Timestamp::UNIX_EPOCH, Duration::from_millis(millis))
}

fn limits() -> Limits {
    Limits {
        memory: ByteSize::from_mib(64).bytes(),
        processes: Some(4),
        cpu_millis: Some(500),
        log_cap: 1 << 20,
        output_rate: 1 << 20,
        working_directory: "/tmp".to_owned(),
    }
}

/// A process that starts a second after the epoch.
fn process_within(limits: Limits, script: &[&str]) -> Process {
    let instructions: Vec<String> = script.iter().map(|&instruction| instruction.to_owned()).collect();
    let surroundings = Surroundings {
        env: BTreeMap::from([("SECRET".to_owned(), "canary".to_owned())]),
        working_directory: limits.working_directory.clone(),
        user: 7,
        group: 8,
        hostname: "mock-1".to_owned(),
    };
    Process::new(Run::new(&instructions, surroundings), Files::new(false, None), limits, at(1000))
}

fn process(script: &[&str]) -> Process {
    process_within(limits(), script)
}

fn signal(name: &str) -> Signal {
    name.parse().unwrap()
}

const STOPPED: Sender = Sender::Stop(StopReason::Cancelled);

fn input(millis: u64, from: Sender, name: &str) -> Input {
    Input { at: at(millis), from, signal: signal(name) }
}

/// What it has written by the time, as text.
fn text(process: &mut Process, until: u64, inputs: &[Input]) -> String {
    let outputs = std::iter::from_fn(|| process.next_output(at(until), inputs));
    outputs.map(|output| String::from_utf8_lossy(&output.bytes).into_owned()).collect()
}

/// How it ends, when, and by whom, with what comes to it.
fn end(script: &[&str], inputs: &[Input]) -> Option<(Timestamp, How, Sender)> {
    let mut process = process(script);
    text(&mut process, 3_600_000, inputs);
    process.end().map(|end| (end.at, end.how, end.by))
}

#[test]
fn nothing_happens_before_its_time() {
    let mut process = process(&["print a", "sleep 2s", "print b", "exit 3"]);
    assert_eq!((text(&mut process, 999, &[]), process.next_change(&[])), (String::new(), Some(at(1000))));
    assert_eq!(text(&mut process, 2000, &[]), "a\n");
    assert!(process.end().is_none() && process.next_change(&[]) > Some(at(3000)));
    assert_eq!(text(&mut process, 3001, &[]), "b\n");
    assert_eq!((process.end().unwrap().how, process.next_change(&[])), (How::Exited(3), None));
}

#[test]
fn writing_takes_time() {
    let mut process = process(&["bytes 18446744073709551615"]);
    let written = text(&mut process, 1500, &[]).len();
    assert!((1 << 19..=(1 << 19) + 8192).contains(&written), "{written}");
}

#[test]
fn what_a_program_knows_of_itself() {
    let mut process = process(&["env SECRET", "id", "pwd", "hostname", "sing"]);
    assert!(text(&mut process, 2000, &[]).starts_with("longshore-probe: instruction 5"));
    assert_eq!(process.end().unwrap().how, How::Exited(64));
    let mut process = self::process(&["env SECRET", "id", "pwd", "hostname"]);
    assert_eq!(text(&mut process, 2000, &[]), "canary\nuid=7 gid=8\n/tmp\nmock-1\n");
}

#[test]
fn files_last_as_long_as_the_process() {
    let mut one = process(&["write kit one", "append /tmp/kit two", "read kit", "read /no/such", "print never"]);
    let written = text(&mut one, 2000, &[]);
    assert!(written.starts_with("one\ntwo\nlongshore-probe: read /no/such: No such file"), "{written}");
    assert_eq!(one.end().unwrap().how, How::Exited(66));
    assert_eq!(end(&["write /no/such x"], &[]).unwrap().1, How::Exited(73));
}

#[test]
fn limits_are_kept() {
    assert_eq!(end(&["allocate 60m", "exit 0"], &[]).unwrap().1, How::Exited(0));
    assert_eq!(end(&["allocate 60m", "allocate 5m"], &[]).unwrap().1, How::OutOfMemory);
    assert_eq!(end(&["children 3 1s", "exit 0"], &[]).unwrap().1, How::Exited(0));
    assert_eq!(end(&["children 3 1s", "children 1 1s"], &[]).unwrap().1, How::Exited(71));
    assert_eq!(end(&["children 3 1s", "sleep 2s", "children 3 1s", "exit 0"], &[]).unwrap().1, How::Exited(0));
    let mut busy = process(&["spin 4s", "allocate 1m"]);
    text(&mut busy, 9000, &[]);
    assert_eq!((busy.cpu_time(), busy.memory()), (Duration::from_secs(2), 1 << 20));
}

#[test]
fn the_log_is_cut_at_its_cap_and_the_program_goes_on() {
    let small = Limits { log_cap: 5, ..limits() };
    let mut process = process_within(small.clone(), &["print 123", "eprint 45", "exit 9"]);
    assert_eq!(text(&mut process, 2000, &[]), "123\n4");
    assert_eq!((process.logged(), process.logged_of(LogStream::Stderr), process.is_truncated()), (5, 1, true));
    assert_eq!(process.end().unwrap().how, How::Exited(9));
    let mut exact = process_within(small, &["print 1234"]);
    text(&mut exact, 2000, &[]);
    assert_eq!((exact.logged(), exact.is_truncated()), (5, false));
}

#[test]
fn signals_do_what_the_program_says() {
    let (term, kill) = (How::Signalled(Signal::TERM), How::Signalled(Signal::KILL));
    let stop = [input(2000, STOPPED, "TERM"), input(5000, STOPPED, "KILL")];
    for (script, expected) in [
        (&["forever"][..], Some((at(2000), term, STOPPED))),
        (&["ignore TERM", "forever"], Some((at(5000), kill, STOPPED))),
        (&["ignore TERM", "sleep 3s", "exit 4"], Some((at(4000), How::Exited(4), Sender::Itself))),
        (&["catch TERM 7 1s", "forever"], Some((at(3000), How::Exited(7), STOPPED))),
        (&["catch TERM 7 1h", "forever"], Some((at(5000), kill, STOPPED))),
        (&["exit 4"], Some((at(1000), How::Exited(4), Sender::Itself))),
        (&["sleep 1s", "exit 4"], Some((at(2000), How::Exited(4), Sender::Itself))),
    ] {
        assert_eq!(end(script, &stop), expected, "{script:?}");
    }
    assert_eq!(end(&["forever"], &[]), None);
    assert_eq!(end(&["raise SEGV"], &[]), Some((at(1000), How::Signalled(signal("SEGV")), Sender::Itself)));
    assert_eq!(end(&["raise WINCH", "raise TSTP", "exit 2"], &[]).unwrap().1, How::Exited(2));
    assert_eq!(
        end(&["catch USR1 5 1s", "raise USR1", "exit 2"], &[]),
        Some((at(2000), How::Exited(5), Sender::Itself))
    );
    assert_eq!(end(&["forever"], &[input(2000, Sender::Outside, "KILL")]), Some((at(2000), kill, Sender::Outside)));
}

#[test]
fn what_is_stopped_before_its_start_never_starts() {
    let mut process = process(&["print never"]);
    assert_eq!(text(&mut process, 9000, &[input(500, STOPPED, "TERM")]), "");
    assert_eq!(process.end().map(|end| (end.at, end.how)), Some((at(500), How::NeverStarted)));
}

#[test]
fn what_is_halted_goes_on_where_it_was() {
    let inputs = [input(2000, Sender::Outside, "STOP"), input(7000, Sender::Outside, "CONT")];
    assert_eq!(end(&["sleep 3s", "exit 1"], &inputs), Some((at(9000), How::Exited(1), Sender::Itself)));
    assert_eq!(end(&["sleep 3s", "exit 1"], &inputs[..1]), None);
    let held = [inputs[0], input(3000, STOPPED, "TERM"), inputs[1]];
    assert_eq!(end(&["forever"], &held), Some((at(7000), How::Signalled(Signal::TERM), STOPPED)));
    let killed = [inputs[0], input(3000, Sender::Outside, "KILL")];
    assert_eq!(end(&["forever"], &killed).unwrap().0, at(3000));
}
