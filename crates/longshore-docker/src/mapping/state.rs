//! What an engine says of a container, as a status with a typed cause and its evidence.

use jiff::Timestamp;
use longshore_core::{Cause, Evidence, ExecutionStatus, Signal, StopReason, Termination};
use serde::{Deserialize, Serialize};

use super::answers::{Container, ContainerState, Event, Status};

/// A stop of ours, as it was noted on disk before the engine was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopNote {
    pub(crate) reason: StopReason,
    /// True once the engine has said that it stopped a container that was running.
    pub(crate) confirmed: bool,
    /// How many stops have asked the engine and were told nothing yet. Those whose answer was lost stay counted.
    #[serde(default)]
    pub(crate) unanswered: u32,
}

/// What else is known when a container has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Circumstances {
    /// Our own stop.
    pub(crate) stop: Option<StopNote>,
    /// What the engine's events tell.
    pub(crate) told: Told,
    /// Whether the engine saw the end.
    pub(crate) attendance: Attendance,
}

/// Whether an engine was there at the end of a container, which decides whether it is believed where it may have made up the
/// exit code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Attendance {
    /// It can show that it was, or has said what no engine makes up.
    #[default]
    Shown,
    /// It has forgotten too much of its present life to show it.
    Unknown,
    /// It would show it if it had been.
    Doubtful,
}

impl Circumstances {
    fn is_confirmed_stop(&self) -> bool {
        self.stop.is_some_and(|stop| stop.confirmed)
    }
}

/// What the engine's events tell of an end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The last signal that somebody had the engine send.
    pub(crate) killed_by: Option<Signal>,
    /// Whether memory ran out. The event can come when the container's state has been written without it (measured on
    /// Engine 20.10 under load).
    pub(crate) out_of_memory: bool,
}

/// The stages that matter before the cause does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Made, never started.
    Created {
        /// Why its start failed, if it was tried.
        failed_start: Option<String>,
    },
    Running {
        started_at: Option<Timestamp>,
    },
    Ended,
}

pub(crate) fn stage(container: &Container) -> Stage {
    let state = &container.state;
    match state.status {
        Status::Created if !has_run(state) => Stage::Created { failed_start: failed_start(state) },
        Status::Created | Status::Exited => Stage::Ended,
        Status::Alive => Stage::Running { started_at: time(&state.started_at) },
    }
}

/// An engine that was killed in the middle of a start learns of the end when it comes back, and not of the start (measured on
/// Engine 20.10). A start that fails has no end.
fn has_run(state: &ContainerState) -> bool {
    state.error.is_empty() && time(&state.finished_at).is_some()
}

fn failed_start(state: &ContainerState) -> Option<String> {
    if !state.error.is_empty() {
        return Some(state.error.clone());
    }
    (state.exit_code != 0).then(|| format!("exit code {} before its start", state.exit_code))
}

/// The status without the circumstances of an end: enough for whatever still lives.
pub(crate) fn live_status(container: &Container) -> Option<ExecutionStatus> {
    match stage(container) {
        Stage::Created { failed_start: None } => Some(ExecutionStatus::Pending),
        Stage::Created { failed_start: Some(_) } | Stage::Ended => None,
        Stage::Running { started_at } => Some(ExecutionStatus::Running { started_at }),
    }
}

const MADE_UP: &str = "the engine was down during the run, and can't show that it did not make up the exit code";

/// Exit codes above this one may be a signal's: the engine reports 128 + the signal's number for both.
const SIGNAL_BASE: i64 = 128;

/// True when only further evidence can tell an exit from a kill.
pub(crate) fn needs_evidence(container: &Container) -> bool {
    container.state.exit_code > SIGNAL_BASE && !container.state.oom_killed
}

/// Whether the exit code is one that engines make up for a container whose end they have missed: 0 (moby#45800), or 255 (both
/// seen on Engine 20.10 that was killed and came back).
pub(crate) fn may_be_made_up(container: &Container) -> bool {
    matches!(container.state.exit_code, 0 | 255)
}

/// How a container ended.
pub(crate) fn termination(container: &Container, circumstances: &Circumstances) -> Termination {
    let state = &container.state;
    if circumstances.attendance == Attendance::Doubtful && !circumstances.is_confirmed_stop() {
        let evidence =
            Evidence::incomplete().with_message(Some(MADE_UP.to_owned())).with_fact("State.ExitCode", state.exit_code);
        let lost = Termination::new(Cause::LostByProvider, evidence);
        return lost.with_times(time(&state.started_at), time(&state.finished_at));
    }
    let code = state.exit_code;
    let evidence = Evidence::complete()
        .with_message(Some(state.error.clone()))
        .with_fact("State.ExitCode", code)
        .with_fact("State.OOMKilled", state.oom_killed);
    let (cause, evidence) = cause(state, code, circumstances, evidence);
    Termination::new(cause, evidence)
        .with_exit_code(i32::try_from(code).ok())
        .with_times(time(&state.started_at), time(&state.finished_at))
}

fn cause(state: &ContainerState, code: i64, circumstances: &Circumstances, evidence: Evidence) -> (Cause, Evidence) {
    let exited = Cause::Exited { code: i32::try_from(code).unwrap_or(i32::MAX) };
    if let Some(stop) = circumstances.stop
        && (stop.confirmed || died_of_stop(code))
    {
        return (stop.reason.into(), evidence.with_fact("stopped by", "longshore"));
    }
    if state.status == Status::Created && !has_run(state) {
        return (Cause::Invalid, evidence);
    }
    if state.oom_killed {
        return (Cause::OutOfMemory, evidence);
    }
    if code <= SIGNAL_BASE {
        let is_open = circumstances.attendance == Attendance::Unknown;
        return (exited, if is_open { evidence.left_open() } else { evidence });
    }
    if circumstances.told.out_of_memory {
        return (Cause::OutOfMemory, evidence.with_fact("oom event", true));
    }
    match circumstances.told.killed_by {
        Some(signal) if i64::from(signal.number()) + SIGNAL_BASE == code => {
            (Cause::Signalled { signal }, evidence.with_fact("kill event", signal))
        }
        _ => (exited, evidence.left_open()),
    }
}

/// A stop whose confirmation was lost still shows in how the container died.
fn died_of_stop(code: i64) -> bool {
    [Signal::TERM, Signal::KILL, Signal::INT].iter().any(|signal| SIGNAL_BASE + i64::from(signal.number()) == code)
}

/// What the events of a container tell of its end.
pub(crate) fn told(events: &[Event]) -> Told {
    let kills = events.iter().filter(|event| event.action == "kill");
    Told {
        killed_by: kills.filter_map(|event| event.actor.attributes.get("signal")?.parse().ok()).next_back(),
        out_of_memory: events.iter().any(|event| event.action == "oom"),
    }
}

/// The engine writes year 1 for a time that has not come.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}

#[cfg(test)]
mod tests {
    use longshore_core::JobStatus;

    use super::*;
    use crate::mapping::answers::Listed;

    /// As recorded from Engine 20.10's `GET /containers/ID/json`, shortened to what is looked at.
    fn container(status: &str, exit_code: i64, oom_killed: bool, error: &str) -> Container {
        const NEVER: &str = "0001-01-01T00:00:00Z";
        let is_new = status == "created";
        serde_json::from_value(serde_json::json!({
            "Id": "4f0c",
            "State": {
                "Status": status, "Running": status == "running", "Paused": false, "Restarting": false,
                "OOMKilled": oom_killed, "Dead": false, "Pid": 0, "ExitCode": exit_code, "Error": error,
                "StartedAt": if is_new { NEVER } else { "2026-11-23T10:00:00.123456789Z" },
                "FinishedAt": if is_new { NEVER } else { "2026-11-23T10:00:02.5Z" }
            }
        }))
        .unwrap()
    }

    fn end(exit_code: i64, oom_killed: bool, circumstances: &Circumstances) -> (Cause, bool) {
        let termination = termination(&container("exited", exit_code, oom_killed, ""), circumstances);
        assert_eq!(termination.exit_code, i32::try_from(exit_code).ok());
        (termination.cause, termination.evidence.complete)
    }

    #[test]
    fn causes_follow_the_evidence() {
        let none = Circumstances::default();
        let told = |told| Circumstances { told, ..Circumstances::default() };
        let killed = |signal| told(Told { killed_by: Some(signal), ..Told::default() });
        let late_oom = told(Told { out_of_memory: true, ..Told::default() });
        let stopped = |confirmed| Circumstances {
            stop: Some(StopNote { reason: StopReason::TimedOut, confirmed, unanswered: 0 }),
            told: Told { killed_by: Some(Signal::KILL), ..Told::default() },
            ..Circumstances::default()
        };
        let cases = [
            (end(0, false, &none), (Cause::Exited { code: 0 }, true)),
            (end(1, false, &none), (Cause::Exited { code: 1 }, true)),
            (end(128, false, &none), (Cause::Exited { code: 128 }, true)),
            (end(137, true, &none), (Cause::OutOfMemory, true)),
            (end(137, false, &none), (Cause::Exited { code: 137 }, false)),
            (end(137, false, &late_oom), (Cause::OutOfMemory, true)),
            (end(137, false, &killed(Signal::KILL)), (Cause::Signalled { signal: Signal::KILL }, true)),
            (end(143, false, &killed(Signal::KILL)), (Cause::Exited { code: 143 }, false)),
            (end(137, false, &stopped(true)), (Cause::TimedOut, true)),
            (end(7, false, &stopped(true)), (Cause::TimedOut, true)),
            (end(137, false, &stopped(false)), (Cause::TimedOut, true)),
            (end(0, false, &stopped(false)), (Cause::Exited { code: 0 }, true)),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_exit_code_that_may_be_made_up_is_none() {
        let doubt = Circumstances { attendance: Attendance::Doubtful, ..Circumstances::default() };
        for code in [0, 255] {
            assert!(may_be_made_up(&container("exited", code, false, "")));
            let end = termination(&container("exited", code, false, ""), &doubt);
            assert_eq!((end.exit_code, end.evidence.complete), (None, false));
            assert_eq!(end.job_status(), JobStatus::Lost);
        }
        let stop = Some(StopNote { reason: StopReason::Cancelled, confirmed: true, unanswered: 0 });
        let stopped = Circumstances { stop, ..doubt };
        assert_eq!(termination(&container("exited", 0, false, ""), &stopped).cause, Cause::Cancelled);
        let forgotten = Circumstances { attendance: Attendance::Unknown, ..Circumstances::default() };
        assert_eq!(end(0, false, &forgotten), (Cause::Exited { code: 0 }, false));
        assert!([1, 7, 137, 254].iter().all(|code| !may_be_made_up(&container("exited", *code, false, ""))));
    }

    /// As recorded from Engine 20.10 that was killed in the middle of a start and started again.
    #[test]
    fn a_start_that_the_engine_has_missed_is_a_run() {
        let state = |state: serde_json::Value| -> Container {
            serde_json::from_value(serde_json::json!({ "State": state })).unwrap()
        };
        let ended = state(serde_json::json!({
            "Status": "created", "ExitCode": 7, "Error": "",
            "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "2026-11-26T16:41:09.469431233Z"
        }));
        assert_eq!(stage(&ended), Stage::Ended);
        let end = termination(&ended, &Circumstances::default());
        assert_eq!((end.cause, end.evidence.complete), (Cause::Exited { code: 7 }, true));
        let for_ever = state(serde_json::json!({
            "Status": "running", "Pid": 18572, "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"
        }));
        assert!(for_ever.state.has_no_start());
        assert!(!container("running", 0, false, "").state.has_no_start());
        let listed = |status: &str| -> Listed {
            serde_json::from_value(serde_json::json!({ "State": "running", "Status": status })).unwrap()
        };
        assert!(listed("Up 292 years").has_no_start() && !listed("Up 29 seconds").has_no_start());
    }

    #[test]
    fn stages_and_times_are_read() {
        assert_eq!(stage(&container("created", 0, false, "")), Stage::Created { failed_start: None });
        assert!(matches!(stage(&container("created", 127, false, "")), Stage::Created { failed_start: Some(_) }));
        assert!(matches!(
            live_status(&container("paused", 0, false, "")),
            Some(ExecutionStatus::Running { started_at: Some(_) })
        ));
        assert_eq!(live_status(&container("dead", 0, false, "")), None);
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
        let ended = termination(&container("exited", 0, false, ""), &Circumstances::default());
        assert_eq!(ended.run_time().unwrap().as_millis(), 2376);
    }
}
