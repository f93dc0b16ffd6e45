//! Looking at the queue: whenever something may have become possible, and at no other time.

use longshore_core::{Clock, Error, ErrorKind, clock::since};
use longshore_store::{Claim, Claimed, Held};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

use crate::{
    driver::{self, Knowledge},
    metrics,
    placer::RouterPlacer,
    report,
    scene::{Scene, planted},
    scout,
};

/// How long the first look waits for the answers of hosts.
const FIRST_ANSWERS: Duration = Duration::from_secs(1);
/// When a host that could not be reached is looked for again, while a job waits for it.
const DISCOVER: Duration = Duration::from_secs(30);
/// The pause after the store did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What a look at the queue says of the next one.
struct Look {
    /// When to look again, whatever happens.
    again_in: Option<Duration>,
    /// Whether a job waits for a host of which nothing is known.
    missed: bool,
}

/// Looks until the session is lost.
pub(crate) async fn run(scene: Arc<Scene>, idle: watch::Sender<bool>) -> Error {
    discover(&scene).await;
    loop {
        idle.send_replace(false);
        let look = match look_or_doubt(&scene).await {
            Ok(look) => look,
            Err(lost) => return lost,
        };
        let again_in = look.again_in();
        let clock: &dyn Clock = scene.clock();
        tokio::select! {
            biased;
            () = scene.wakes.queue.notified() => {}
            () = clock.sleep(again_in.unwrap_or(Duration::MAX)) => {
                if look.missed {
                    scout::discover(&scene);
                }
            }
            never = tell_of_idleness(&scene, &idle) => match never {},
        }
    }
}

/// Until the next look. Whoever has been out to look for hosts has the queue looked at again.
async fn tell_of_idleness(scene: &Scene, idle: &watch::Sender<bool>) -> Infallible {
    loop {
        scene.load.becomes(true).await;
        idle.send_replace(!scene.scouts.are_out() && !scene.is_draining());
        scene.load.becomes(false).await;
        idle.send_replace(false);
    }
}

impl Look {
    fn again_in(&self) -> Option<Duration> {
        if self.missed { Some(self.again_in.map_or(DISCOVER, |it| it.min(DISCOVER))) } else { self.again_in }
    }
}

/// Looks; the only error is that the session is lost.
async fn look_or_doubt(scene: &Arc<Scene>) -> Result<Look, Error> {
    match look(scene).await {
        Err(error) if error.kind() != ErrorKind::LeaseLost => {
            report::trouble(&error, "the queue can't be looked at; trying again");
            // Where there are doubts there are beats.
            scene.wakes.freed.notify_one();
            take_up_held(scene).await?;
            Ok(Look { again_in: Some(PAUSE), missed: false })
        }
        looked => looked,
    }
}

/// Hosts that answer at once are known before the first look.
async fn discover(scene: &Arc<Scene>) {
    scout::discover(scene);
    tokio::select! {
        biased;
        () = scene.scouts.are_back(&scene.wakes.queue) => {}
        () = scene.clock().sleep(FIRST_ANSWERS) => {}
    }
}

/// One look; again at once where there is more.
async fn look(scene: &Arc<Scene>) -> Result<Look, Error> {
    scene.time.certain(scene.store()).await?;
    let asking = scene.begin_asking();
    loop {
        let busy = scene.load.busy();
        metrics::busy(busy);
        let room = scene.settings().max_jobs.saturating_sub(busy).min(scene.settings().claim_size);
        if room == 0 || scene.is_closing() {
            asking.answered();
            return Ok(Look { again_in: None, missed: false });
        }
        scout::probe(scene);
        let asked = scene.ask();
        let (claimed, missed) = claim(scene, room).await?;
        metrics::claimed(claimed.looked_at, claimed.held.len());
        let (looked_at, next_at) = (claimed.looked_at, claimed.next_at);
        let knowledge = scene.knowledge(asked);
        for held in claimed.held {
            driver::drive(scene, held, knowledge);
        }
        if looked_at < room {
            let again_in = next_at.map(|at| since(at, scene.clock().now()));
            asking.answered();
            return Ok(Look { again_in, missed });
        }
    }
}

async fn claim(scene: &Arc<Scene>, most: usize) -> Result<(Claimed, bool), Error> {
    let now = scene.clock().now();
    let placer = Arc::new(RouterPlacer {
        snapshot: scene.router().snapshot(),
        owner: scene.settings().owner.clone(),
        launch_window: scene.settings().launch_window,
        now,
        own_now: scene.own_clock().now(),
        missed: AtomicBool::new(false),
        #[cfg(feature = "planted")]
        planted: scene.settings().planted,
    });
    let claim = Claim::new(scene.session, now, most).with_periods(placer.periods());
    let claimed = scene.store().claim(claim, Arc::clone(&placer) as _).await?;
    Ok((claimed, placer.missed.load(Ordering::Relaxed)))
}

/// The answer in which attempts were given may have been lost: whatever is held and not driven is driven.
pub(crate) async fn take_up_held(scene: &Arc<Scene>) -> Result<(), Error> {
    if planted!(scene, ForgetsWhatItClaimed) {
        scene.clock().sleep(PAUSE).await;
        return Ok(());
    }
    let asking = scene.begin_asking();
    scene.take_up_begins();
    let held = held(scene).await;
    let taken = held.map(|held| held.into_iter().for_each(|held| driver::drive(scene, held, Knowledge::Stale)));
    scene.take_up_ends();
    asking.answered();
    taken
}

async fn held(scene: &Scene) -> Result<Vec<Held>, Error> {
    loop {
        match scene.store().held(scene.session).await {
            Err(error) if error.kind() != ErrorKind::LeaseLost => scene.clock().sleep(PAUSE).await,
            held => return held,
        }
    }
}
