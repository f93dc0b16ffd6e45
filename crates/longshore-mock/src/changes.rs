//! Word that something has changed. Who waits is woken in the order of the waiting, so that each run of a test is the same;
//! tokio's own `watch` wakes in an order of chance.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;

/// Where changes are told.
#[derive(Debug, Default)]
pub(crate) struct Changes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicU64,
    told: Notify,
}

/// Somebody who waits for changes.
#[derive(Debug)]
pub(crate) struct Listener {
    changes: Arc<Inner>,
    seen: u64,
}

impl Changes {
    pub(crate) fn tell(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.told.notify_waiters();
    }

    /// Changes from here on.
    pub(crate) fn listen(&self) -> Listener {
        Listener { changes: Arc::clone(&self.0), seen: self.0.count.load(Ordering::SeqCst) }
    }
}

impl Listener {
    /// Whatever has changed by now is known.
    pub(crate) fn mark_unchanged(&mut self) {
        self.seen = self.changes.count.load(Ordering::SeqCst);
    }

    /// Waits for a change that is not known. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            let told = self.changes.told.notified();
            // From here on the wait hears whatever is told, polled or not.
            let count = self.changes.count.load(Ordering::SeqCst);
            if count != self.seen {
                self.seen = count;
                return;
            }
            told.await;
        }
    }
}
