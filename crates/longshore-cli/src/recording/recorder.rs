//! Storing what happens in its order, while the run goes on.

use longshore::store::{Change, JobStore, SessionId};
use longshore::{Error, ErrorKind, Result};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// How many changes one batch has at most; a run has hardly more.
const BATCH: usize = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

type Entry = (Change, oneshot::Sender<Result<()>>);

/// Where changes are handed in.
#[derive(Debug)]
pub(super) struct Recorder(mpsc::UnboundedSender<Entry>);

/// Where they are stored.
#[derive(Debug)]
pub(super) struct Recorded {
    entries: mpsc::UnboundedReceiver<Entry>,
    store: Arc<dyn JobStore>,
    session: SessionId,
}

/// The answer to a change, once it is stored.
pub(super) type Answer = oneshot::Receiver<Result<()>>;

impl Recorder {
    pub(super) fn new(store: Arc<dyn JobStore>, session: SessionId) -> (Self, Recorded) {
        let (sender, entries) = mpsc::unbounded_channel();
        (Self(sender), Recorded { entries, store, session })
    }

    /// Hands a change in; it is stored behind those before it, whether or not the answer is waited for.
    pub(super) fn hand_in(&self, change: Change) -> Answer {
        let (answer, answered) = oneshot::channel();
        // Without the other end the answer is that there is none.
        let _ = self.0.send((change, answer));
        answered
    }
}

impl Recorded {
    /// Stores for as long as anything is handed in. What can't be stored now is tried again; what can never be is answered.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.entries.recv_many(&mut batch, BATCH).await > 0 {
            let (changes, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            match self.store_all(&changes).await {
                Ok(results) => answers.into_iter().zip(results).for_each(|(answer, result)| drop(answer.send(result))),
                Err(lost) => answers.into_iter().for_each(|answer| drop(answer.send(Err(lost.repeated())))),
            }
        }
    }

    async fn store_all(&self, changes: &[Change]) -> Result<Vec<Result<()>>, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.store.record(self.session, changes.to_vec()).await {
                Ok(results) => return Ok(results),
                Err(error) if error.kind() == ErrorKind::LeaseLost => return Err(error),
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "the database does not take what happened; trying again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
