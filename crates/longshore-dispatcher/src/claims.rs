//! Looking at the queue: whenever something may have become possible, and at no other time.

use longshore_core::{Clock, Error, ErrorKind, clock::since};
use longshore_store::{Claim, Claimed, Held, Pause};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

use crate::{
    driver, metrics,
    placer::RouterPlacer,
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
        let look = match look(&scene).await {
            Ok(look) => look,
            Err(error) if error.kind() == ErrorKind::LeaseLost => return error,
            Err(error) => {
                tracing::warn!(error = %error.chain(), "the queue can't be looked at; trying again");
                if let Err(lost) = take_up_held(&scene).await {
                    return lost;
                }
                Look { again_in: Some(PAUSE), missed: false }
            }
        };
        idle.send_replace(scene.busy() == 0 && !scene.scouts.are_out());
        let again_in =
            if look.missed { Some(look.again_in.map_or(DISCOVER, |it| it.min(DISCOVER))) } else { look.again_in };
        let clock: &dyn Clock = scene.clock();
        tokio::select! {
            biased;
            () = scene.wakes.queue.notified() => {}
            () = clock.sleep(again_in.unwrap_or(Duration::MAX)) => {
                if look.missed {
                    scout::discover(&scene);
                }
            }
        }
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
    loop {
        let busy = scene.busy();
        metrics::busy(busy);
        let room = scene.settings().max_jobs.saturating_sub(busy).min(scene.settings().claim_size);
        if room == 0 || scene.is_closing() {
            return Ok(Look { again_in: None, missed: false });
        }
        scout::probe(scene);
        let pauses = Arc::new(scene.store().pauses().await?);
        let (claimed, missed) = claim(scene, room, pauses).await?;
        metrics::claimed(claimed.looked_at, claimed.held.len());
        let (looked_at, next_at) = (claimed.looked_at, claimed.next_at);
        for held in claimed.held {
            driver::drive(scene, held);
        }
        if looked_at < room {
            let again_in = next_at.map(|at| since(at, scene.clock().now()));
            return Ok(Look { again_in, missed });
        }
    }
}

async fn claim(scene: &Arc<Scene>, most: usize, pauses: Arc<Vec<Pause>>) -> Result<(Claimed, bool), Error> {
    let now = scene.clock().now();
    let placer = Arc::new(RouterPlacer {
        snapshot: scene.router().snapshot(),
        pauses,
        owner: scene.settings().owner.clone(),
        launch_window: scene.settings().launch_window,
        now,
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
    loop {
        match scene.store().held(scene.session).await {
            Ok(held) => {
                held.into_iter().for_each(|held: Held| driver::drive(scene, held));
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::LeaseLost => return Err(error),
            Err(_) => scene.clock().sleep(PAUSE).await,
        }
    }
}
