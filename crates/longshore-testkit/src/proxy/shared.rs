//! What all connections of one proxy share.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::{Method, Uri};
use tokio::{
    sync::watch,
    time::{Duration, sleep},
};

use super::{
    address::Address,
    armed::{Armed, Arsenal},
    exchange::serve,
    pattern::Pattern,
    scope::Scope,
    seat::Listener,
};

const PAUSE_AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(10);

/// A request as it reached the proxy, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// The path as it was sent, with its API version and its query.
    pub path_and_query: String,
}

#[derive(Debug)]
pub(super) struct Shared {
    upstream: Address,
    arsenal: Arsenal,
    requests: watch::Sender<Vec<RecordedRequest>>,
    lifetime: Scope,
    connections: Mutex<Scope>,
}

impl Shared {
    pub(super) fn new(upstream: Address) -> Self {
        let lifetime = Scope::default();
        Self {
            upstream,
            arsenal: Arsenal::default(),
            requests: watch::Sender::default(),
            connections: Mutex::new(lifetime.child()),
            lifetime,
        }
    }

    pub(super) fn upstream(&self) -> &Address {
        &self.upstream
    }

    pub(super) fn arsenal(&self) -> &Arsenal {
        &self.arsenal
    }

    /// The tasks that live as long as the proxy, and the parent of all others.
    pub(super) fn lifetime(&self) -> &Scope {
        &self.lifetime
    }

    pub(super) fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.borrow().clone()
    }

    pub(super) async fn wait_requests(&self, pattern: &Pattern, at_least: usize) {
        // The sender lives as long as the shared, so the channel can't close while this waits.
        let _ = self.requests.subscribe().wait_for(|requests| count(requests, pattern) >= at_least).await;
    }

    pub(super) fn count(&self, pattern: &Pattern) -> usize {
        count(&self.requests.borrow(), pattern)
    }

    /// Records a request and picks the fault that strikes it.
    pub(super) fn receive(&self, method: &Method, uri: &Uri) -> Option<Arc<Armed>> {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let fault = self.arsenal.pick(method, target);
        let request = RecordedRequest { method: method.clone(), path_and_query: target.to_owned() };
        self.requests.send_modify(|requests| requests.push(request));
        fault
    }

    /// Closes all connections that are open now, and waits until they are.
    pub(super) async fn cut_all(&self) {
        let fresh = self.lifetime.child();
        let open = mem::replace(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner), fresh);
        open.end().await;
    }

    pub(super) async fn accept_all(self: Arc<Self>, listener: Listener) {
        loop {
            match listener.accept().await {
                Ok(stream) => {
                    let scope = self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    scope.spawn(serve(Arc::clone(&self), scope.clone(), stream));
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    sleep(PAUSE_AFTER_FAILED_ACCEPT).await;
                }
            }
        }
    }
}

fn count(requests: &[RecordedRequest], pattern: &Pattern) -> usize {
    requests.iter().filter(|request| pattern.matches(&request.method, &request.path_and_query)).count()
}
