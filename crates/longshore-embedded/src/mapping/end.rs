//! The record of an end, as a typed cause with its evidence.

use longshore_core::{
    ByteSize, Cause, Evidence, LogCompleteness, LogSummary, Measured, Signal, StoredDuration, Termination, Usage,
};
use std::time::Duration;

use crate::state::{Ended, Exit, LogEnd, Started};

/// Exit codes above this one stand for a signal, as shells have it.
const SIGNAL_BASE: i32 = 128;

/// How a container ended.
pub(crate) fn termination(ended: &Ended) -> Termination {
    let code = match ended.exit {
        Exit::Code(code) => code,
        Exit::Signal(number) => SIGNAL_BASE + i32::from(number),
    };
    let mut evidence = Evidence::complete().with_fact("wait status", shown(ended.exit));
    if let Some(kills) = ended.oom_kills {
        evidence = evidence.with_fact("oom_kill", kills);
    }
    let (cause, evidence) = cause(ended, evidence);
    Termination::new(cause, evidence)
        .with_exit_code(Some(code))
        .with_times(Some(ended.started_at), Some(ended.finished_at))
}

fn cause(ended: &Ended, evidence: Evidence) -> (Cause, Evidence) {
    if let Some(reason) = ended.stop {
        return (reason.into(), evidence.with_fact("stopped by", "longshore"));
    }
    let starved = ended.oom_kills.is_some_and(|kills| kills > 0);
    let kill = i32::from(Signal::KILL.number());
    match ended.exit {
        Exit::Signal(number) if starved && i32::from(number) == kill => (Cause::OutOfMemory, evidence),
        Exit::Signal(number) => match Signal::from_number(number) {
            Some(signal) => (Cause::Signalled { signal }, evidence),
            None => (Cause::Unknown, evidence.left_open()),
        },
        // A shell whose child was killed ends so.
        Exit::Code(code) if starved && code == SIGNAL_BASE + kill => (Cause::OutOfMemory, evidence),
        // It went on without the process that was killed, and then failed: most likely, and not for certain, of that.
        Exit::Code(code) if starved && code != 0 => (Cause::OutOfMemory, evidence.left_open()),
        Exit::Code(code) => (Cause::Exited { code }, evidence),
    }
}

fn shown(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(number) => {
            Signal::from_number(number).map_or_else(|| format!("signal {number}"), |signal| signal.to_string())
        }
    }
}

/// The end of a container whose supervisor has left no record of it.
pub(crate) fn lost(started: &Started, boot_id: &str) -> Termination {
    let why = if started.boot_id == boot_id {
        "the supervisor was ended from outside and the container with it; how far it had come nobody knows"
    } else {
        "the machine was started anew while the container ran"
    };
    let evidence =
        Evidence::complete().with_message(Some(why.to_owned())).with_fact("supervisor", started.supervisor.pid);
    Termination::new(Cause::LostByProvider, evidence).with_times(Some(started.started_at), None)
}

/// What the log of an ended container holds, of which so many bytes are found.
pub(crate) fn log_summary(end: &LogEnd, cap: ByteSize, found: (u64, u64)) -> LogSummary {
    let missing = (end.stdout_bytes + end.stderr_bytes).saturating_sub(found.0 + found.1);
    let completeness = if missing > 0 {
        LogCompleteness::Missing { reason: format!("{missing} bytes that were stored are gone, as after a power cut") }
    } else if let Some(reason) = &end.missing {
        LogCompleteness::Missing { reason: reason.clone() }
    } else if end.truncated {
        LogCompleteness::Truncated { cap }
    } else {
        LogCompleteness::Complete
    };
    LogSummary::new(completeness, found.0, found.1)
}

/// What it used.
pub(crate) fn usage(ended: &Ended, run_time: Duration) -> Usage {
    let mut usage = Usage::of_wall_time(run_time);
    usage.cpu_time = ended.used.cpu_nanos.map(|nanos| Measured::Measured(StoredDuration(Duration::from_nanos(nanos))));
    usage.peak_memory = ended.used.peak_memory_bytes.and_then(ByteSize::from_bytes).map(Measured::Measured);
    usage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Used;
    use jiff::Timestamp;
    use longshore_core::StopReason;

    fn ended(exit: Exit, oom_kills: Option<u64>, stop: Option<StopReason>) -> Ended {
        Ended {
            version: 1,
            exit,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::from_second(2).unwrap(),
            stop,
            oom_kills,
            used: Used::default(),
            log: LogEnd::default(),
        }
    }

    #[test]
    fn causes_follow_the_evidence() {
        let kill = Signal::KILL;
        let cases = [
            (Exit::Code(0), None, None, Cause::Exited { code: 0 }, 0, true),
            (Exit::Code(137), None, None, Cause::Exited { code: 137 }, 137, true),
            (Exit::Code(137), Some(0), None, Cause::Exited { code: 137 }, 137, true),
            (Exit::Code(137), Some(1), None, Cause::OutOfMemory, 137, true),
            (Exit::Code(1), Some(1), None, Cause::OutOfMemory, 1, false),
            (Exit::Code(0), Some(1), None, Cause::Exited { code: 0 }, 0, true),
            (Exit::Signal(9), Some(2), None, Cause::OutOfMemory, 137, true),
            (Exit::Signal(9), Some(0), None, Cause::Signalled { signal: kill }, 137, true),
            (Exit::Signal(9), None, None, Cause::Signalled { signal: kill }, 137, true),
            (Exit::Signal(15), Some(1), None, Cause::Signalled { signal: Signal::TERM }, 143, true),
            (Exit::Signal(9), Some(1), Some(StopReason::TimedOut), Cause::TimedOut, 137, true),
            (Exit::Code(0), None, Some(StopReason::Cancelled), Cause::Cancelled, 0, true),
        ];
        for (exit, oom, stop, cause, code, complete) in cases {
            let found = termination(&ended(exit, oom, stop));
            let shown = format!("{exit:?} {oom:?} {stop:?}");
            assert_eq!(
                (found.cause, found.exit_code, found.evidence.complete),
                (cause, Some(code), complete),
                "{shown}"
            );
            assert_eq!(found.run_time(), Some(Duration::from_secs(2)));
        }
    }

    #[test]
    fn a_log_says_how_much_of_it_is_there() {
        let cap = ByteSize::from_mib(1);
        let end = |truncated, missing: Option<&str>| LogEnd {
            stdout_bytes: 5,
            stderr_bytes: 3,
            truncated,
            missing: missing.map(str::to_owned),
        };
        let shown = |end: &LogEnd, found| log_summary(end, cap, found).completeness.to_string();
        assert_eq!(shown(&end(false, None), (5, 3)), "complete");
        assert_eq!(shown(&end(true, None), (5, 3)), "cut off at its cap of 1MiB");
        assert_eq!(shown(&end(true, Some("disk full")), (5, 3)), "incomplete: disk full");
        assert!(shown(&end(true, None), (5, 1)).starts_with("incomplete: 2 bytes that were stored are gone"));
    }
}
