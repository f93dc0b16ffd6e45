//! Storing what happens, many changes at a time: while batches are on their way, the next ones gather.

use longshore_core::{Clock, Error, ErrorKind, Result};
use longshore_store::{Change, JobStore, SessionId};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};

use crate::report;

/// How many changes one batch has at most.
const BATCH: usize = 512;
/// How many batches are on their way at one time: while one waits for the store's disk, the store works on the other.
const LANES: usize = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

type Entry = (Change, oneshot::Sender<Result<()>>);

/// The answer about a change that was handed in.
#[derive(Debug)]
pub(crate) struct Answer(oneshot::Receiver<Result<()>>);

/// Stores changes on behalf of everybody in a session.
#[derive(Debug, Clone)]
pub(crate) struct Recorder(Vec<mpsc::UnboundedSender<Entry>>);

/// The other end of one of the recorder's lanes.
#[derive(Debug)]
pub(crate) struct Recording {
    entries: mpsc::UnboundedReceiver<Entry>,
    store: Arc<dyn JobStore>,
    clock: Arc<dyn Clock>,
    session: SessionId,
}

impl Recorder {
    pub(crate) fn new(store: &Arc<dyn JobStore>, clock: &Arc<dyn Clock>, session: SessionId) -> (Self, Vec<Recording>) {
        let lane = |_| {
            let (sender, entries) = mpsc::unbounded_channel();
            (sender, Recording { entries, store: Arc::clone(store), clock: Arc::clone(clock), session })
        };
        let (senders, recordings) = (0..LANES).map(lane).unzip();
        (Self(senders), recordings)
    }

    /// Hands in a change, which is stored whether the answer is waited for or not. One job's changes keep their order.
    pub(crate) fn hand_in(&self, change: Change) -> Answer {
        let (answer, answered) = oneshot::channel();
        let lane = usize::from(change.token.job().as_uuid().as_bytes()[15]) % LANES;
        // Where nobody takes it, the answer says so.
        let _ = self.0[lane].send((change, answer));
        Answer(answered)
    }
}

impl Answer {
    /// Returns once the change is durable, however long the store can't be reached. Cancel-safe.
    pub(crate) async fn stored(&mut self) -> Result<()> {
        let gone = || Error::new(ErrorKind::LeaseLost, "the session has ended");
        (&mut self.0).await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Recording {
    /// Stores until the session is lost, and then says so.
    pub(crate) async fn run(mut self) -> Error {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if self.entries.recv_many(&mut batch, BATCH).await == 0 {
                return std::future::pending().await;
            }
            let (changes, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            match self.store_all(&changes).await {
                Ok(results) => answers.into_iter().zip(results).for_each(|(answer, result)| drop(answer.send(result))),
                Err(lost) => {
                    answers.into_iter().for_each(|answer| drop(answer.send(Err(lost.repeated()))));
                    return lost;
                }
            }
        }
    }

    async fn store_all(&self, changes: &[Change]) -> Result<Vec<Result<()>>> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.store.record(self.session, changes.to_vec()).await {
                Ok(results) => return Ok(results),
                Err(error) => error,
            };
            if error.kind() == ErrorKind::LeaseLost {
                return Err(error);
            }
            report::trouble(&error, "the store does not take changes; trying again");
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
