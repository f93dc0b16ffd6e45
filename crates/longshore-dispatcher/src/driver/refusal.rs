//! What becomes of a job whose launch was refused. Nothing ran.

use jiff::Timestamp;
use longshore_core::{Advice, Error, ErrorKind, JobStatus, clock::later};
use longshore_store::{Held, Next, WaitingFor};
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What a refusal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// It was cancelled.
    Cancelled,
    /// It did not get ready in time.
    TooLate,
    /// It would be refused anywhere.
    Everywhere,
    /// This host will refuse it again; another may take it.
    Here,
    /// This host may take it later, and another one now.
    Now,
}

const fn meaning(kind: ErrorKind, advice: Advice) -> Meaning {
    use ErrorKind::{
        Cancelled, Capacity, CommandNotExecutable, CommandNotFound, Conflict, DeadlinePassed, ImageUnavailable,
        Invalid, PermissionDenied, Quota, RateLimited, StartFailed, Timeout, Unauthenticated, Unavailable,
    };
    match kind {
        Cancelled => Meaning::Cancelled,
        Invalid | Conflict | CommandNotFound | CommandNotExecutable | StartFailed => Meaning::Everywhere,
        Timeout if matches!(advice, Advice::Permanent) => Meaning::TooLate,
        // A registry that does not answer now.
        ImageUnavailable if !matches!(advice, Advice::Permanent) => Meaning::Now,
        Capacity | Quota | RateLimited | Unavailable | Timeout | Unauthenticated | PermissionDenied
        | DeadlinePassed => Meaning::Now,
        _ => Meaning::Here,
    }
}

/// Whether it says nothing of the host.
pub(super) const fn is_the_jobs_own(error: &Error) -> bool {
    matches!(meaning(error.kind(), error.advice()), Meaning::Cancelled | Meaning::TooLate)
}

/// What becomes of the job.
pub(super) fn next(held: &Held, error: &Error, now: Timestamp) -> Next {
    let requeue = |waiting_for: WaitingFor, refused: bool| {
        let refused_by = refused.then(|| held.attempt.host().clone());
        Next::Requeue {
            reason: format!("host {} refused it: {}", held.attempt.host(), error.chain()),
            waiting_for,
            refused_by,
        }
    };
    match meaning(error.kind(), error.advice()) {
        Meaning::Cancelled => Next::Finish(JobStatus::Cancelled),
        Meaning::TooLate => Next::Finish(JobStatus::TimedOut),
        Meaning::Everywhere => Next::Finish(JobStatus::Failed),
        Meaning::Here => requeue(WaitingFor::NOTHING, true),
        Meaning::Now => requeue(WaitingFor::until(later(now, pause(held, error))), false),
    }
}

/// Long enough that a host which refuses all the time is not asked all the time.
fn pause(held: &Held, error: &Error) -> Duration {
    let refusals = held.job.attempts.saturating_sub(held.job.runs).saturating_sub(1);
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(refusals)).min(LONGEST_PAUSE);
    match error.advice() {
        Advice::After(told) => doubled.max(told.min(LONGEST_PAUSE)),
        _ => doubled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_refusal_means_what_it_says() {
        for (kind, expected) in [
            (ErrorKind::Cancelled, Meaning::Cancelled),
            (ErrorKind::Invalid, Meaning::Everywhere),
            (ErrorKind::CommandNotFound, Meaning::Everywhere),
            (ErrorKind::StartFailed, Meaning::Everywhere),
            (ErrorKind::ImageUnavailable, Meaning::Here),
            (ErrorKind::Unsupported, Meaning::Here),
            (ErrorKind::SecretUnavailable, Meaning::Here),
            (ErrorKind::Unexpected, Meaning::Here),
            (ErrorKind::Capacity, Meaning::Now),
            (ErrorKind::Unavailable, Meaning::Now),
            (ErrorKind::PermissionDenied, Meaning::Now),
            (ErrorKind::DeadlinePassed, Meaning::Now),
        ] {
            assert_eq!(meaning(kind, Error::new(kind, "x").advice()), expected, "{kind}");
        }
        assert_eq!(meaning(ErrorKind::Timeout, Advice::Permanent), Meaning::TooLate);
        assert_eq!(meaning(ErrorKind::ImageUnavailable, Advice::Temporary), Meaning::Now);
        assert_eq!(meaning(ErrorKind::ImageUnavailable, Advice::After(FIRST_PAUSE)), Meaning::Now);
    }
}
