//! The one thread that writes: whatever waits for it goes into one transaction, and is answered once that is on the disk.

use longshore_core::{Error, Result};
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    fault::{Fault, Outcome, of_io, panicked, writer_gone},
    neighbours::Opening,
    open::Place,
};
use crate::{News, news::NewsBoard};

/// How many calls may wait for the writer, and how many one transaction takes.
const MOST: usize = 1024;

/// What a call comes to, and what there is to be told of it once it is stored.
pub(super) type Done<T> = (T, News);

/// A call on its way through the writer.
trait Call: Send {
    /// Does what was asked, inside the transaction.
    fn run(&mut self, connection: &Connection) -> Outcome<News>;

    /// Keeps for the answer why this call alone has no effect.
    fn refuse(&mut self, error: Error);

    /// Answers whoever asked: with what was done, or with why nothing of the whole transaction was stored.
    fn answer(self: Box<Self>, failed: Option<&Error>);
}

struct Asked<T, F> {
    work: Option<F>,
    result: Result<T>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Call for Asked<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Outcome<Done<T>> + Send,
{
    fn run(&mut self, connection: &Connection) -> Outcome<News> {
        let Some(work) = self.work.take() else { return Ok(News::default()) };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)));
        let (value, news) = outcome.unwrap_or_else(|_| Err(panicked().into()))?;
        self.result = Ok(value);
        Ok(news)
    }

    fn refuse(&mut self, error: Error) {
        self.result = Err(error);
    }

    fn answer(self: Box<Self>, failed: Option<&Error>) {
        // Even a refusal may rest on what was not stored in the end.
        let result = failed.map_or(self.result, |error| Err(error.repeated()));
        // Whoever has stopped waiting finds what was stored by asking again.
        let _ = self.answer.send(result);
    }
}

/// The way to the writer. It ends when the last of these is dropped and all that was asked is answered.
#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<Box<dyn Call>>);

impl Writer {
    pub(super) fn start(
        connection: Connection,
        place: Place,
        opening: Arc<Opening>,
        board: Arc<NewsBoard>,
    ) -> Result<Self> {
        let (sender, calls) = mpsc::channel(MOST);
        let path = place.path.clone();
        let worker = Worker { connection, place, opening, board, calls };
        let thread = thread::Builder::new().name("longshore-sqlite".to_owned()).spawn(move || worker.work());
        thread.map_err(|error| of_io(error, "can't start a thread for the database", &path))?;
        Ok(Self(sender))
    }

    /// Does something in a transaction, and returns once that is on the disk. Dropped, it may be done all the same.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<Done<T>> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let call = Asked { work: Some(work), result: Err(writer_gone()), answer };
        self.0.send(Box::new(call)).await.map_err(|_| writer_gone())?;
        answered.await.unwrap_or_else(|_| Err(writer_gone()))
    }
}

struct Worker {
    connection: Connection,
    place: Place,
    opening: Arc<Opening>,
    board: Arc<NewsBoard>,
    calls: mpsc::Receiver<Box<dyn Call>>,
}

impl Worker {
    fn work(mut self) {
        while let Some(first) = self.calls.blocking_recv() {
            let mut group = Vec::new();
            let failed = match self.transaction(first, &mut group) {
                Ok(news) => {
                    self.tell(news);
                    None
                }
                Err(fault) => Some(self.failed(fault)),
            };
            for call in group {
                call.answer(failed.as_ref());
            }
        }
    }

    /// One transaction of the first call and of all that wait by then.
    fn transaction(&mut self, first: Box<dyn Call>, group: &mut Vec<Box<dyn Call>>) -> Outcome<News> {
        let mut next = Some(first);
        let mut outcome = self.run("BEGIN IMMEDIATE").map(|()| News::default());
        while let Some(mut call) = next {
            outcome = outcome.and_then(|news| Ok(news.or(self.savepoint(call.as_mut())?)));
            group.push(call);
            next = if group.len() < MOST { self.calls.try_recv().ok() } else { None };
        }
        let news = outcome?;
        self.run("COMMIT")?;
        Ok(news)
    }

    /// One call, which takes effect as a whole or not at all.
    fn savepoint(&self, call: &mut dyn Call) -> Outcome<News> {
        self.run("SAVEPOINT one_call")?;
        let outcome = call.run(&self.connection);
        let news = match outcome {
            Ok(news) => news,
            // Some failures, such as a full disk, have ended the whole transaction.
            Err(fault) if self.connection.is_autocommit() => return Err(fault),
            Err(fault) => {
                self.run("ROLLBACK TO one_call")?;
                call.refuse(fault.into_error(&self.place.path, self.place.patience));
                News::default()
            }
        };
        self.run("RELEASE one_call")?;
        Ok(news)
    }

    fn run(&self, sql: &str) -> Outcome<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Leaves nothing of a transaction that failed, and says why it did.
    fn failed(&self, fault: Fault) -> Error {
        let error = fault.into_error(&self.place.path, self.place.patience);
        if !self.connection.is_autocommit()
            && let Err(fault) = self.run("ROLLBACK")
        {
            let error = fault.into_error(&self.place.path, self.place.patience);
            tracing::error!(error = error.chain(), "a failed transaction could not be rolled back");
        }
        error
    }

    fn tell(&self, news: News) {
        if news.is_any() {
            self.opening.tell(news);
            self.board.tell(news);
        }
    }
}
