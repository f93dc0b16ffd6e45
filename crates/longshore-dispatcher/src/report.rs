//! What is told to whoever reads the program's log.

use longshore_core::{Error, HostName, LaunchToken, Timestamp, clock::later};
use longshore_store::{Change, SessionId};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::Retired;

/// Something does not work now, and is tried again.
pub(crate) fn trouble(error: &Error, what: &'static str) {
    tracing::warn!(error = %error.chain(), "{what}");
}

/// What was told of hosts that don't do what they are asked for: of each once in a while, however many attempts it concerns.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<BTreeMap<HostName, Timestamp>>);

impl Troubles {
    const PAUSE: Duration = Duration::from_secs(60);

    pub(crate) fn tell(&self, host: &HostName, error: &Error, what: &'static str, now: Timestamp) {
        if self.is_new(host, now) {
            tracing::warn!(%host, error = %error.chain(), "{what}");
        } else {
            detail(error, what);
        }
    }

    fn is_new(&self, host: &HostName, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = told.get(host).is_none_or(|at| now < *at || later(*at, Self::PAUSE) <= now);
        if is_new {
            told.insert(host.clone(), now);
        }
        is_new
    }
}

/// Something went another way than usual.
pub(crate) fn note(error: &Error, what: &'static str) {
    tracing::info!(error = %error.chain(), "{what}");
}

/// Something that happens all the time.
pub(crate) fn detail(error: &Error, what: &'static str) {
    tracing::debug!(error = %error.chain(), "{what}");
}

/// An attempt has moved, and that is stored. The span around it tells which one.
pub(crate) fn stored(change: &Change) {
    tracing::debug!(change = change.effect().kind, "stored");
}

/// A session was opened.
pub(crate) fn opened(session: SessionId) {
    tracing::info!(%session, "session opened");
}

/// What became of an attempt can't be proven.
pub(crate) fn lost(why: &str) {
    tracing::warn!(why, "lost");
}

/// A host can't be swept now. Nothing waits for that, and the usual hosts are swept wherever there is none.
pub(crate) fn unswept(host: &HostName, error: &Error) {
    tracing::debug!(%host, error = %error.chain(), "the host can't be swept now");
}

/// A host's executor has panicked.
pub(crate) fn broke_while_swept(host: &HostName) {
    tracing::error!(%host, "the host's executor broke while it was swept");
}

/// Old jobs were removed.
pub(crate) fn retired(retired: &Retired) {
    if !retired.jobs.is_empty() {
        tracing::info!(jobs = retired.jobs.len(), "removed old jobs");
    }
    retired.failures.iter().for_each(|(token, error)| log_left(*token, error));
}

fn log_left(token: LaunchToken, error: &Error) {
    tracing::warn!(%token, error = %error.chain(), "the log of a removed job can't be removed; a sweep finds it");
}
