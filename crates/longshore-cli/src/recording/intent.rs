//! Storing the intent to its end, whoever still waits for it.

use futures::{FutureExt, future::BoxFuture, future::Shared};
use longshore::store::{JobArchive, JobStore, SessionId};
use longshore::{Clock, Error, ErrorKind, LaunchToken, Result, SystemClock};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::journal::PATIENCE;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How it stands with the intent.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    /// It is stored, and this session holds the attempt.
    Held,
    /// It is stored, and somebody else holds the attempt.
    TakenOver,
    /// It is not stored, and won't be.
    Refused(Arc<Error>),
    /// It may be stored, or may still come to be.
    Unknown(Arc<Error>),
}

/// The storing, begun once. It is a task of its own: what was handed to the database takes effect even when the run has
/// ended meanwhile, and whoever ends the run has to know.
#[derive(Debug, Default)]
pub(super) struct Storing(OnceLock<Shared<BoxFuture<'static, Stored>>>);

impl Storing {
    /// Begins, unless it has begun, and waits for the end. Cancel-safe: the storing goes on.
    pub(super) async fn begin(
        &self,
        store: &Arc<dyn JobStore>,
        session: SessionId,
        token: LaunchToken,
        archive: impl FnOnce() -> JobArchive,
    ) -> Stored {
        let begin = || {
            let task = tokio::spawn(store_intent(Arc::clone(store), session, token, archive()));
            let broken = |error| Stored::Unknown(Arc::new(Error::new(ErrorKind::Unexpected, format!("{error}"))));
            task.map(move |ended| ended.unwrap_or_else(broken)).boxed().shared()
        };
        let storing = self.0.get_or_init(begin).clone();
        storing.await
    }

    /// Waits until it is known whether the intent is stored; none when its storing was never begun. Cancel-safe.
    pub(super) async fn settled(&self) -> Option<Stored> {
        match self.0.get() {
            Some(storing) => Some(storing.clone().await),
            None => None,
        }
    }
}

/// Asked again after a lost answer, the database says how it stands: it takes no job twice.
async fn store_intent(store: Arc<dyn JobStore>, session: SessionId, token: LaunchToken, archive: JobArchive) -> Stored {
    let mut waited = Duration::ZERO;
    let mut pause = FIRST_PAUSE;
    let mut may_be_stored = false;
    loop {
        let imported = store.import(vec![archive.clone()]).await;
        may_be_stored |= imported.as_ref().map_or_else(Error::is_lost_contact, |_| true);
        let error = match holder(imported, store.as_ref(), token).await {
            Ok(holder) if holder == Some(session) => return Stored::Held,
            Ok(_) => return Stored::TakenOver,
            Err(error) => Arc::new(error),
        };
        if !may_be_stored {
            return Stored::Refused(error);
        }
        if !error.is_lost_contact() || waited >= PATIENCE {
            return Stored::Unknown(error);
        }
        SystemClock.sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn holder(imported: Result<u64>, store: &dyn JobStore, token: LaunchToken) -> Result<Option<SessionId>> {
    imported?;
    Ok(store.attempt(token).await?.attempt.session)
}
