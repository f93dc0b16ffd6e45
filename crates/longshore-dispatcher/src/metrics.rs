//! Figures for whoever operates it, through the `metrics` crate's recorder, if the program has installed one.

use longshore_core::{Timestamp, clock::since};
use longshore_store::{Change, Held, Next, What};
use metrics::{counter, gauge, histogram};

const ATTEMPTS: &str = "longshore_attempts_total";
const JOBS: &str = "longshore_jobs_finished_total";

/// An attempt has changed.
pub(crate) fn changed(change: &Change, held: &Held) {
    let host = held.attempt.host().to_string();
    match &change.what {
        What::Launched(_) => {
            counter!(ATTEMPTS, "host" => host.clone(), "event" => "launched").increment(1);
            seconds("longshore_launch_seconds", &host, held.attempt.created_at, change.at);
        }
        What::Ended { outcome, next, .. } => {
            counter!(ATTEMPTS, "host" => host.clone(), "event" => "ended").increment(1);
            match next {
                Next::Finish(status) => counter!(JOBS, "status" => status.to_string()).increment(1),
                _ => counter!("longshore_jobs_requeued_total", "host" => host.clone()).increment(1),
            }
            if let (Some(launched_at), Some(_)) = (held.attempt.launched_at, &outcome.termination) {
                seconds("longshore_run_seconds", &host, launched_at, change.at);
            }
        }
        What::Closed => counter!(ATTEMPTS, "host" => host, "event" => "closed").increment(1),
        _ => {}
    }
}

/// A look at the queue.
pub(crate) fn claimed(looked_at: usize, held: usize) {
    counter!("longshore_queue_looks_total").increment(1);
    counter!("longshore_jobs_looked_at_total").increment(u64::try_from(looked_at).unwrap_or_default());
    counter!("longshore_jobs_claimed_total").increment(u64::try_from(held).unwrap_or_default());
}

/// How many attempts are looked after.
#[expect(clippy::cast_precision_loss, reason = "a count of attempts is far below a double's 53 bits")]
pub(crate) fn busy(attempts: usize) {
    gauge!("longshore_attempts_held").set(attempts as f64);
}

/// Another dispatcher was fenced off, or this one lost its session.
pub(crate) fn fenced(whom: &'static str) {
    counter!("longshore_sessions_fenced_total", "whom" => whom).increment(1);
}

fn seconds(name: &'static str, host: &str, from: Timestamp, to: Timestamp) {
    histogram!(name, "host" => host.to_owned()).record(since(to, from).as_secs_f64());
}
