//! Connections that only read, so that a long list keeps nobody from writing.

use longshore_core::Result;
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

use super::{
    fault::{Outcome, panicked, writer_gone},
    open::Place,
};

/// How many read at once; others wait.
const MOST: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Readers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(place: Place) -> Self {
        let turns = Arc::new(Semaphore::new(MOST));
        Self(Arc::new(Inner { place, turns, idle: Mutex::default() }))
    }

    /// Reads what was stored at one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.0.turns).acquire_owned().await.map_err(|_| writer_gone())?;
        let inner = Arc::clone(&self.0);
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            inner.read(work).map_err(|fault| fault.into_error(&inner.place.path, inner.place.patience))
        });
        reading.await.map_err(|_| panicked())?
    }
}

impl Inner {
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = idle.map_or_else(|| self.place.reader(), Ok)?;
        let value = at_one_moment(&mut connection, work);
        if connection.is_autocommit() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        value
    }
}

fn at_one_moment<T>(connection: &mut Connection, work: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
    let transaction = connection.transaction()?;
    let value = work(&transaction)?;
    transaction.finish()?;
    Ok(value)
}
