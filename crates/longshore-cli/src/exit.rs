//! The exit code of `longshore run`: pure, one table.

use longshore::{Cause, Error, ErrorKind, JobStatus, Signal, Termination};

/// A time limit passed.
pub(crate) const TIMED_OUT: u8 = 124;
/// Longshore failed, or the launch did, or what became of the job can't be told.
pub(crate) const FAILED: u8 = 125;
/// The command can't be executed.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
const NOT_FOUND: u8 = 127;

/// After a run that has come to its end.
pub(crate) fn of_run(
    status: JobStatus,
    termination: Option<&Termination>,
    delivered: bool,
    asked: Option<Signal>,
) -> u8 {
    let code = match termination {
        Some(termination) if status != JobStatus::Lost => of_termination(termination, asked),
        _ => FAILED,
    };
    // Output that did not arrive must not pass for success.
    if code == 0 && !delivered { FAILED } else { code }
}

/// After a job that others have run: as after a run, and for one that never was as well.
pub(crate) fn of_job(status: JobStatus, termination: Option<&Termination>) -> u8 {
    let ended_so = termination.filter(|end| end.job_status() == status);
    match (status, ended_so) {
        (_, Some(_)) => of_run(status, ended_so, true, None),
        (JobStatus::Completed, None) => 0,
        (JobStatus::TimedOut, None) => TIMED_OUT,
        (JobStatus::Cancelled, None) => signalled(Signal::INT),
        _ => FAILED,
    }
}

/// After a run that could not be taken to its end.
pub(crate) fn of_error(error: &Error, asked: Option<Signal>) -> u8 {
    match (asked, error.kind()) {
        (Some(signal), _) => signalled(signal),
        (None, ErrorKind::CommandNotFound) => NOT_FOUND,
        (None, ErrorKind::CommandNotExecutable) => NOT_EXECUTABLE,
        (None, ErrorKind::Timeout) if matches!(error.operation(), Some("prepare" | "route_job")) => TIMED_OUT,
        (None, _) => FAILED,
    }
}

/// As shells write the end by a signal.
pub(crate) const fn signalled(signal: Signal) -> u8 {
    128 + signal.number()
}

fn of_termination(termination: &Termination, asked: Option<Signal>) -> u8 {
    match termination.cause {
        Cause::Exited { code } => low_byte(code),
        Cause::Signalled { signal } => signalled(signal),
        Cause::OutOfMemory => signalled(Signal::KILL),
        Cause::TimedOut => TIMED_OUT,
        Cause::Cancelled => signalled(asked.unwrap_or(Signal::INT)),
        // What could not be started has the code that the provider chose for it, where it chose one.
        Cause::Invalid => match termination.exit_code {
            Some(126) => NOT_EXECUTABLE,
            Some(127) => NOT_FOUND,
            _ => FAILED,
        },
        Cause::Unknown => termination.exit_code.map(low_byte).filter(|code| *code != 0).unwrap_or(FAILED),
        _ => FAILED,
    }
}

/// A process's exit code is a byte. One that would become 0 by that is still no success.
fn low_byte(code: i32) -> u8 {
    match (code & 0xff) as u8 {
        0 if code != 0 => FAILED,
        low => low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore::Evidence;

    #[test]
    fn every_end_has_its_code() {
        let cases = [
            (Cause::Exited { code: 0 }, None, None, 0),
            (Cause::Exited { code: 3 }, None, None, 3),
            (Cause::Exited { code: 255 }, None, None, 255),
            (Cause::Exited { code: 256 }, None, None, 125),
            (Cause::Exited { code: 3 }, None, Some(Signal::INT), 3),
            (Cause::Signalled { signal: Signal::from_number(11).unwrap() }, Some(139), None, 139),
            (Cause::Signalled { signal: Signal::from_number(64).unwrap() }, None, None, 192),
            (Cause::OutOfMemory, Some(137), None, 137),
            (Cause::OutOfMemory, Some(0), None, 137),
            (Cause::TimedOut, Some(137), None, 124),
            (Cause::TimedOut, Some(0), Some(Signal::INT), 124),
            (Cause::Cancelled, Some(143), Some(Signal::INT), 130),
            (Cause::Cancelled, Some(0), Some(Signal::TERM), 143),
            (Cause::Cancelled, None, None, 130),
            (Cause::Preempted, Some(0), None, 125),
            (Cause::ImagePull, None, None, 125),
            (Cause::Capacity, None, None, 125),
            (Cause::Quota, None, None, 125),
            (Cause::Invalid, None, None, 125),
            (Cause::Invalid, Some(127), None, 127),
            (Cause::Invalid, Some(126), None, 126),
            (Cause::LostByProvider, Some(0), None, 125),
            (Cause::Unknown, None, None, 125),
            (Cause::Unknown, Some(0), None, 125),
            (Cause::Unknown, Some(9), None, 9),
        ];
        for (cause, exit_code, asked, expected) in cases {
            let termination = Termination::new(cause, Evidence::complete());
            let known = exit_code.or(termination.exit_code);
            let termination = termination.with_exit_code(known);
            let code = of_run(termination.job_status(), Some(&termination), true, asked);
            assert_eq!(code, expected, "{cause} {exit_code:?} {asked:?}");
        }
    }

    #[test]
    fn only_a_delivered_success_is_one() {
        let end = |code| Termination::new(Cause::Exited { code }, Evidence::complete());
        assert_eq!(of_run(JobStatus::Completed, Some(&end(0)), false, None), 125);
        assert_eq!(of_run(JobStatus::Failed, Some(&end(4)), false, None), 4);
        assert_eq!(of_run(JobStatus::Lost, None, true, None), 125);
        assert_eq!(of_run(JobStatus::Lost, Some(&end(0)), true, None), 125);
    }

    #[test]
    fn a_job_that_never_ran_has_a_code_as_well() {
        let end = Termination::new(Cause::Exited { code: 4 }, Evidence::complete());
        let cases = [
            (JobStatus::Failed, Some(&end), 4),
            (JobStatus::Cancelled, Some(&end), 130),
            (JobStatus::Lost, Some(&end), 125),
            (JobStatus::Failed, None, 125),
            (JobStatus::Lost, None, 125),
            (JobStatus::TimedOut, None, 124),
            (JobStatus::Cancelled, None, 130),
            (JobStatus::Completed, None, 0),
        ];
        for (status, termination, expected) in cases {
            assert_eq!(of_job(status, termination), expected, "{status}");
        }
    }

    #[test]
    fn every_failure_has_its_code() {
        let cases = [
            (ErrorKind::CommandNotFound, None, None, 127),
            (ErrorKind::CommandNotExecutable, None, None, 126),
            (ErrorKind::StartFailed, None, None, 125),
            (ErrorKind::Invalid, None, None, 125),
            (ErrorKind::Unavailable, None, None, 125),
            (ErrorKind::ImageUnavailable, None, None, 125),
            (ErrorKind::Timeout, Some("prepare"), None, 124),
            (ErrorKind::Timeout, Some("route_job"), None, 124),
            (ErrorKind::Timeout, Some("discover"), None, 125),
            (ErrorKind::Timeout, Some("prepare"), Some(Signal::INT), 130),
            (ErrorKind::Unavailable, None, Some(Signal::TERM), 143),
        ];
        for (kind, operation, asked, expected) in cases {
            let error = Error::new(kind, "it");
            let error = match operation {
                Some(operation) => error.with_operation(operation),
                None => error,
            };
            assert_eq!(of_error(&error, asked), expected, "{kind} {operation:?} {asked:?}");
        }
    }
}
