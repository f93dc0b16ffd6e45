//! Faults that were injected: which one strikes a request, and what the test holds of each.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::Method;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fault::{Action, Fault, Rule};

/// What a test keeps of a fault that it injected. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct FaultHandle {
    armed: Arc<Armed>,
}

/// A fault in force.
#[derive(Debug)]
pub(super) struct Armed {
    action: Action,
    hits: watch::Sender<u64>,
    held: watch::Sender<u64>,
    released: CancellationToken,
}

/// All faults in force, in the order of their injection.
#[derive(Debug, Default)]
pub(super) struct Arsenal {
    entries: Mutex<Vec<Entry>>,
}

/// Something that a fault holds, counted until it is dropped.
struct Held<'a> {
    armed: &'a Armed,
}

#[derive(Debug)]
struct Entry {
    rule: Rule,
    seen: u64,
    armed: Arc<Armed>,
}

impl FaultHandle {
    /// How often the fault has struck: counted when the harm begins, so for an *after* when the server has
    /// answered, and for a body when its limit is reached.
    #[must_use]
    pub fn hits(&self) -> u64 {
        *self.armed.hits.borrow()
    }

    /// Waits until the fault has struck. Safe to cancel.
    pub async fn wait_hit(&self) {
        self.wait_hits(1).await;
    }

    /// Waits until the fault has struck this many times. Safe to cancel.
    pub async fn wait_hits(&self, hits: u64) {
        // The sender lives in the handle, so the channel can't close while this waits.
        let _ = self.armed.hits.subscribe().wait_for(|so_far| *so_far >= hits).await;
    }

    /// Waits until the fault holds nothing: all that it held was let go, or its client has left. Safe to cancel.
    pub async fn wait_none_held(&self) {
        let _ = self.armed.held.subscribe().wait_for(|held| *held == 0).await;
    }

    /// Lifts the fault: whatever it holds goes on, and it strikes no more.
    pub fn release(&self) {
        self.armed.released.cancel();
    }
}

impl Armed {
    pub(super) fn action(&self) -> &Action {
        &self.action
    }

    pub(super) fn strike(&self) {
        self.hits.send_modify(|hits| *hits += 1);
    }

    /// Strikes, and waits for the release, at most as long as the limit.
    pub(super) async fn hold(&self, limit: Option<Duration>) {
        let _held = Held::by(self);
        self.strike();
        match limit {
            // Running out of time is as good as the release.
            Some(limit) => drop(tokio::time::timeout(limit, self.released.cancelled()).await),
            None => self.released.cancelled().await,
        }
    }
}

impl<'a> Held<'a> {
    fn by(armed: &'a Armed) -> Self {
        armed.held.send_modify(|held| *held += 1);
        Self { armed }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.armed.held.send_modify(|held| *held -= 1);
    }
}

impl Arsenal {
    pub(super) fn add(&self, fault: Fault) -> FaultHandle {
        let armed = Arc::new(Armed {
            action: fault.action,
            hits: watch::Sender::default(),
            held: watch::Sender::default(),
            released: CancellationToken::new(),
        });
        let entry = Entry { rule: fault.rule, seen: 0, armed: Arc::clone(&armed) };
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        FaultHandle { armed }
    }

    /// The first fault that strikes this request; it counts as used.
    pub(super) fn pick(&self, method: &Method, path_and_query: &str) -> Option<Arc<Armed>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter_mut().find_map(|entry| entry.catches(method, path_and_query).then(|| Arc::clone(&entry.armed)))
    }
}

impl Entry {
    fn catches(&mut self, method: &Method, path_and_query: &str) -> bool {
        if self.armed.released.is_cancelled() || !self.rule.pattern().matches(method, path_and_query) {
            return false;
        }
        let earlier = self.seen;
        self.seen += 1;
        self.rule.strikes(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(arsenal: &Arsenal, handle: &FaultHandle, path: &str) -> bool {
        arsenal.pick(&Method::GET, path).is_some_and(|armed| Arc::ptr_eq(&armed, &handle.armed))
    }

    #[test]
    fn faults_are_used_up_in_the_order_of_their_injection() {
        let arsenal = Arsenal::default();
        let first = arsenal.add(Fault::on(Method::GET, "/a").times(2).reset_before());
        let second = arsenal.add(Fault::on(Method::GET, "/*").reset_after());
        assert!(picks(&arsenal, &first, "/a"));
        assert!(picks(&arsenal, &second, "/b"));
        assert!(picks(&arsenal, &first, "/a"));
        assert!(arsenal.pick(&Method::GET, "/a").is_none());
    }

    #[test]
    fn a_request_that_one_fault_skips_can_be_struck_by_the_next() {
        let arsenal = Arsenal::default();
        let later = arsenal.add(Fault::on(Method::GET, "/a").skip(1).reset_before());
        let at_once = arsenal.add(Fault::on(Method::GET, "/a").reset_after());
        assert!(picks(&arsenal, &at_once, "/a"));
        assert!(picks(&arsenal, &later, "/a"));
    }

    #[test]
    fn a_released_fault_strikes_no_more() {
        let arsenal = Arsenal::default();
        let handle = arsenal.add(Fault::on(Method::GET, "/a").always().reset_before());
        assert!(picks(&arsenal, &handle, "/a"));
        handle.release();
        assert!(arsenal.pick(&Method::GET, "/a").is_none());
    }
}
