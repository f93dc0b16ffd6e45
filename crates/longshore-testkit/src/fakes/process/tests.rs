//! What the simulated container does, beside the real probe's own tests.

use super::*;
use std::collections::BTreeMap;

fn surroundings() -> Surroundings {
    let mut files = Files::new();
    files.mount("/scratch", false, Some(8));
    files.mount("/fixed", true, None);
    files.place("/fixed/note", b"kept".to_vec());
    let env = BTreeMap::from([("KIT".to_owned(), b"value".to_vec())]);
    Surroundings { env, working_directory: "/".into(), hostname: "localhost".into(), files, memory_limit: 1 << 20 }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

/// Follows the script for a minute with the signals, and returns its output on both streams and its end.
fn run(script: &[&str], signals: &[(i64, Signal)]) -> (String, Option<(Timestamp, End)>) {
    let script: Vec<String> = script.iter().map(|line| (*line).to_owned()).collect();
    let mut process = Process::new(&script, surroundings(), at(0));
    for (millis, signal) in signals {
        process.signal(at(*millis), *signal);
    }
    let mut text = Vec::new();
    process.advance(at(60_000), |output| text.extend(output.bytes));
    (String::from_utf8(text).unwrap(), process.end())
}

fn how(script: &[&str], signals: &[(i64, Signal)]) -> Option<End> {
    run(script, signals).1.map(|(_, end)| end)
}

#[test]
fn it_writes_sleeps_and_exits_on_time() {
    let (text, end) = run(&["print one", "sleep 2s", "eprint two", "exit 3"], &[]);
    assert_eq!(text, "one\ntwo\n");
    let (when, how) = end.unwrap();
    assert_eq!(how, End::Exited(3));
    assert!(when >= at(2_000) && when < at(2_001), "{when}");
}

#[test]
fn signals_end_it_as_they_end_the_first_process_of_a_container() {
    let term = [(5, Signal::TERM)];
    assert_eq!(how(&["forever"], &term), Some(End::Exited(143)));
    assert_eq!(how(&["ignore TERM", "forever"], &term), None);
    assert_eq!(how(&["ignore TERM", "forever"], &[(5, Signal::KILL)]), Some(End::Killed(Signal::KILL)));
    assert_eq!(how(&["raise KILL"], &[]), Some(End::Exited(137)));
    assert_eq!(how(&["raise STOP", "exit 4"], &[]), Some(End::Exited(4)));
    let (_, end) = run(&["catch TERM 7 200ms", "forever"], &term);
    assert_eq!(end, Some((at(205), End::Exited(7))));
}

#[test]
fn a_halted_process_goes_on_where_it_was() {
    let signal = |number| Signal::from_number(number).unwrap();
    let halted = [(100, signal(STOP)), (200, Signal::TERM), (5_000, signal(CONT))];
    let (_, end) = run(&["catch TERM 9", "sleep 1s"], &halted);
    assert_eq!(end, Some((at(5_000), End::Exited(9))));
    let (_, end) = run(&["sleep 1s"], &[(100, signal(STOP)), (5_000, signal(CONT))]);
    assert!(end.is_some_and(|(when, _)| when >= at(5_900)), "{end:?}");
}

#[test]
fn memory_beyond_the_limit_is_the_end() {
    assert_eq!(how(&["allocate 1m", "exit 0"], &[]), Some(End::Exited(0)));
    assert_eq!(how(&["allocate 1m", "allocate 1", "exit 0"], &[]), Some(End::OutOfMemory { taken: (1 << 20) + 1 }));
}

#[test]
fn files_and_variables_are_where_they_were_put() {
    assert_eq!(run(&["env KIT", "read /fixed/note"], &[]).0, "value\nkept");
    assert_eq!(how(&["write /fixed/other x"], &[]), Some(End::Exited(73)));
    assert_eq!(how(&["write /scratch/small 1234567"], &[]), Some(End::Exited(0)));
    assert_eq!(how(&["write /scratch/large 12345678"], &[]), Some(End::Exited(73)));
    assert_eq!(how(&["append /tmp/../scratch/a 123", "append /scratch/a 1234"], &[]), Some(End::Exited(73)));
    assert_eq!(how(&["read /nothing"], &[]), Some(End::Exited(66)));
    assert_eq!(how(&["nonsense"], &[]), Some(End::Exited(64)));
}
