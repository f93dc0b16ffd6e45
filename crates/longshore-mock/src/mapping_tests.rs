use super::*;
use longshore_core::{ExecutionStatus, ImageSource, LaunchIdempotency};
use std::time::Duration;

fn template() -> JobTemplate {
    let image: ImageSource = "probe".parse().unwrap();
    JobTemplate::builder().name("job".parse().unwrap()).image(image).build()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn arguments_are_instructions_whichever_way_the_probe_is_named() {
    let files = Files::new(false, None);
    let of = |entrypoint: Option<&[&str]>| {
        let mut template = template();
        template.entrypoint = entrypoint.map(texts);
        template.command = Some(texts(&["print a"]));
        template.args = texts(&["exit 1"]);
        instructions(&template, &Behaviour::default(), &files)
    };
    assert_eq!(of(None).unwrap(), ["print a", "exit 1"]);
    assert_eq!(of(Some(&["/probe"])).unwrap(), ["print a", "exit 1"]);
    assert_eq!(of(Some(&["longshore-probe", "print 0"])).unwrap(), ["print 0", "print a", "exit 1"]);
    for (entrypoint, kind) in [
        (&["/no/such/program"][..], ErrorKind::CommandNotFound),
        (&["/etc"], ErrorKind::CommandNotExecutable),
        (&[], ErrorKind::CommandNotFound),
    ] {
        assert_eq!(of(Some(entrypoint)).unwrap_err().kind(), kind, "{entrypoint:?}");
    }
    let mut bare = template();
    bare.entrypoint = Some(Vec::new());
    assert_eq!(instructions(&bare, &Behaviour::default(), &files).unwrap_err().kind(), ErrorKind::StartFailed);
}

#[test]
fn a_script_takes_the_place_of_any_program() {
    let mut template = template();
    template.entrypoint = Some(texts(&["/usr/bin/ffmpeg"]));
    let scripted = Behaviour::builder().script(texts(&["exit 4"])).build();
    assert_eq!(instructions(&template, &scripted, &Files::new(false, None)).unwrap(), ["exit 4"]);
}

#[test]
fn users_are_numbers() {
    let of = |text: Option<&str>, security| {
        let mut template = template();
        template.user = text.map(str::to_owned);
        template.security = security;
        user(&template)
    };
    let usual = SecurityProfile::Default;
    assert_eq!(of(None, usual).unwrap(), (0, 0));
    assert_eq!(of(None, SecurityProfile::Hardened).unwrap(), NOBODY);
    assert_eq!(of(Some("12:34"), SecurityProfile::Hardened).unwrap(), (12, 34));
    assert_eq!(of(Some("12"), usual).unwrap(), (12, 0));
    assert_eq!(of(Some("root:root"), usual).unwrap(), (0, 0));
    assert_eq!(of(Some("alice"), usual).unwrap_err().kind(), ErrorKind::StartFailed);
}

#[test]
fn every_end_is_told_as_far_as_there_is_evidence() {
    let (start, finish) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(5).unwrap());
    let all = [Capability::SignalEvidence, Capability::OutOfMemoryEvidence];
    let (stop, itself, outside) = (Sender::Stop(StopReason::TimedOut), Sender::Itself, Sender::Outside);
    let segv: Signal = "SEGV".parse().unwrap();
    let exited = |code| Cause::Exited { code };
    // How it ended and by whom; the cause, the code and whether the evidence is complete, with evidence and without.
    let table = [
        ((How::Exited(1), itself), (exited(1), Some(1), true), (exited(1), Some(1), true)),
        ((How::Exited(137), itself), (exited(137), Some(137), true), (exited(137), Some(137), false)),
        (
            (How::Signalled(segv), itself),
            (Cause::Signalled { signal: segv }, Some(139), true),
            (exited(139), Some(139), false),
        ),
        (
            (How::Signalled(Signal::KILL), outside),
            (Cause::Signalled { signal: Signal::KILL }, Some(137), true),
            (exited(137), Some(137), false),
        ),
        ((How::OutOfMemory, itself), (Cause::OutOfMemory, Some(137), true), (exited(137), Some(137), false)),
        ((How::Signalled(Signal::KILL), stop), (Cause::TimedOut, Some(137), true), (Cause::TimedOut, Some(137), true)),
        ((How::Exited(7), stop), (Cause::TimedOut, Some(7), true), (Cause::TimedOut, Some(7), true)),
        ((How::NeverStarted, stop), (Cause::TimedOut, None, true), (Cause::TimedOut, None, true)),
        (
            (How::Signalled(Signal::KILL), Sender::Provider(Cause::Preempted)),
            (Cause::Preempted, None, true),
            (Cause::Preempted, None, true),
        ),
        ((How::NeverStarted, Sender::Provider(exited(3))), (exited(3), Some(3), true), (exited(3), Some(3), true)),
    ];
    for ((how, by), with, without) in table {
        for (evidence, expected) in [(&all[..], with), (&[], without)] {
            let capabilities = Capabilities::new(LaunchIdempotency::ByKey, evidence.iter().copied());
            let end = termination(&End { at: finish, how, by }, start, &capabilities);
            assert_eq!((end.cause, end.exit_code, end.evidence.complete), expected, "{how:?} {by:?} {evidence:?}");
            assert_eq!(end.finished_at, Some(finish));
            let expected = (how != How::NeverStarted).then_some(Duration::from_secs(5));
            assert_eq!(end.run_time(), expected);
            assert!(!ExecutionStatus::Terminated(end).is_live());
        }
    }
}
