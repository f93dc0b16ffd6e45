//! Finding out about hosts in the background: those of which nothing is known, and those whose circuits are due for a probe.
//! A host that does not answer holds up no other.

use longshore_core::{HostName, route::Target};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

use crate::scene::Scene;

/// How long a host may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// The hosts that are being asked.
#[derive(Debug, Default)]
pub(crate) struct Scouts {
    asked: Mutex<BTreeSet<HostName>>,
    probing: Mutex<bool>,
}

impl Scouts {
    /// Whether anybody is being asked.
    pub(crate) fn are_out(&self) -> bool {
        !self.asked().is_empty()
    }

    /// Waits until nobody is being asked any more. Cancel-safe.
    pub(crate) async fn are_back(&self, answers: &Notify) {
        while self.are_out() {
            answers.notified().await;
        }
    }

    fn asked(&self) -> MutexGuard<'_, BTreeSet<HostName>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn probing(&self) -> MutexGuard<'_, bool> {
        self.probing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks every enabled host of which nothing is known, unless it is being asked. The queue is looked at after each answer.
pub(crate) fn discover(scene: &Arc<Scene>) {
    let snapshot = scene.router().snapshot();
    let hosts = snapshot.table().hosts().iter().filter(|host| host.host.enabled);
    let unknown = hosts.filter(|host| snapshot.state(&host.host.name).is_none_or(|state| state.facts.is_none()));
    for name in unknown.map(|host| host.host.name.clone()) {
        if !scene.scouts.asked().insert(name.clone()) {
            continue;
        }
        let asking = Arc::clone(scene);
        scene.tasks.spawn(async move {
            asking.router().discover(Some(&Target::Host(name.clone())), asking.clock(), LIMIT).await;
            asking.scouts.asked().remove(&name);
            asking.wakes.queue.notify_one();
        });
    }
}

/// Probes the hosts whose circuits are due, unless that is being done.
pub(crate) fn probe(scene: &Arc<Scene>) {
    if std::mem::replace(&mut *scene.scouts.probing(), true) {
        return;
    }
    let probing = Arc::clone(scene);
    scene.tasks.spawn(async move {
        let probed = probing.router().probe_due(probing.clock(), LIMIT).await;
        *probing.scouts.probing() = false;
        if !probed.is_empty() {
            probing.wakes.queue.notify_one();
        }
    });
}
