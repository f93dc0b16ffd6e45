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

/// Somebody who asks a host. It is back when this is dropped, even if an executor broke.
struct Scout {
    scene: Arc<Scene>,
    host: HostName,
}

impl Drop for Scout {
    fn drop(&mut self) {
        self.scene.scouts.asked().remove(&self.host);
        self.scene.wakes.queue.notify_one();
    }
}

/// That hosts are being probed, likewise.
struct Probing(Arc<Scene>);

impl Drop for Probing {
    fn drop(&mut self) {
        *self.0.scouts.probing() = false;
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
        let scout = Scout { scene: Arc::clone(scene), host: name };
        scene.tasks.spawn(async move {
            let scene = &scout.scene;
            scene.router().discover(Some(&Target::Host(scout.host.clone())), scene.clock(), LIMIT).await;
        });
    }
}

/// Probes the hosts whose circuits are due, unless that is being done.
pub(crate) fn probe(scene: &Arc<Scene>) {
    if std::mem::replace(&mut *scene.scouts.probing(), true) {
        return;
    }
    let probing = Probing(Arc::clone(scene));
    scene.tasks.spawn(async move {
        let scene = &probing.0;
        let probed = scene.router().probe_due(scene.clock(), LIMIT).await;
        if !probed.is_empty() {
            scene.wakes.queue.notify_one();
        }
    });
}
