//! Submissions that come at the same time are stored together: one transaction at a time, of all that came meanwhile. So many
//! who submit one job each share a commit, and the news of it.

use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

use super::{pool::Pool, schema::Installation, submit::Submit};
use crate::{Submission, Submitted};

/// How many jobs are stored in one transaction, unless one call alone brings more.
const MOST: usize = 1_000;

/// How many calls may wait.
const CALLS: usize = 1_024;

type Answers = Result<Vec<Result<Submitted>>>;

struct Call {
    submissions: Vec<(Submission, Timestamp)>,
    answer: oneshot::Sender<Answers>,
}

/// Where submissions are handed in.
#[derive(Debug)]
pub(super) struct Submitter(mpsc::Sender<Call>);

impl Submitter {
    /// Starts the task that stores what is handed in. It ends with the store.
    pub(super) fn start(pool: Arc<Pool>, installation: Installation) -> Self {
        let (sender, calls) = mpsc::channel(CALLS);
        tokio::spawn(work(pool, installation, calls));
        Self(sender)
    }

    pub(super) async fn submit(&self, submissions: Vec<Submission>, now: Timestamp) -> Answers {
        let (answer, answered) = oneshot::channel();
        let submissions = submissions.into_iter().map(|submission| (submission, now)).collect();
        let handed_in = self.0.send(Call { submissions, answer }).await;
        if handed_in.is_err() {
            return Err(over());
        }
        answered.await.unwrap_or_else(|_| Err(over()))
    }
}

fn over() -> Error {
    let message = "the store's runtime has ended: whether the jobs are stored is not known; submit them again, with their \
                   ids or idempotency keys each is stored once";
    Error::new(ErrorKind::Unavailable, message).with_operation("submit")
}

async fn work(pool: Arc<Pool>, installation: Installation, mut calls: mpsc::Receiver<Call>) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(call) => call,
            None => match calls.recv().await {
                Some(call) => call,
                None => return,
            },
        };
        let (together, rest) = gather(first, &mut calls);
        next = rest;
        store(&pool, &installation, together).await;
    }
}

/// Everything that waits, as far as it fits together, and the first call that did not fit.
fn gather(first: Call, calls: &mut mpsc::Receiver<Call>) -> (Vec<Call>, Option<Call>) {
    let mut jobs = first.submissions.len();
    let mut together = vec![first];
    while let Ok(call) = calls.try_recv() {
        jobs += call.submissions.len();
        if jobs > MOST {
            return (together, Some(call));
        }
        together.push(call);
    }
    (together, None)
}

async fn store(pool: &Pool, installation: &Installation, together: Vec<Call>) {
    let mut all = Vec::with_capacity(together.iter().map(|call| call.submissions.len()).sum());
    let mut waiting = Vec::with_capacity(together.len());
    for call in together {
        waiting.push((call.submissions.len(), call.answer));
        all.extend(call.submissions);
    }
    match pool.transact(&Submit { submissions: &all, installation }).await {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for (count, answer) in waiting {
                // Nobody waits any more where the call was dropped; its jobs are stored all the same.
                let _ = answer.send(Ok(answers.by_ref().take(count).collect()));
            }
        }
        // Whatever it was, it may have been one call's, so each is tried by itself; unless nothing can be reached.
        Err(error) if waiting.len() > 1 && !error.is_lost_contact() => {
            let mut all = all.as_slice();
            for (count, answer) in waiting {
                let (submissions, rest) = all.split_at(count);
                all = rest;
                let _ = answer.send(pool.transact(&Submit { submissions, installation }).await);
            }
        }
        Err(error) => {
            for (_, answer) in waiting {
                let _ = answer.send(Err(error.repeated()));
            }
        }
    }
}
