//! Signs of life: giving them, missing those of others, and taking over what the dead have left.

use futures::future::BoxFuture;
use longshore_core::{
    Error, ErrorKind, Timestamp,
    clock::{earlier, later},
};
use longshore_store::{Adoption, Beat, SessionId};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    Settings, claims, driver, metrics, report,
    scene::{Scene, planted},
};

/// How many attempts are adopted in one go.
const ADOPTED: usize = 500;
const PAUSE: Duration = Duration::from_secs(1);

/// What was seen of another session: its pulse, and how often in a row it stood still.
type Seen = BTreeMap<SessionId, (u64, u32)>;
/// What is left of the pause between two beats that count, if one goes on. News don't begin it anew: however many there are,
/// the beats that count come.
type Rest = Option<BoxFuture<'static, ()>>;

/// Beats until the session is lost. Alone and without work there is nothing to beat for.
pub(crate) async fn run(scene: Arc<Scene>) -> Error {
    let mut seen = Seen::new();
    let mut counts = false;
    let mut left = Rest::None;
    loop {
        counts = match beat(&scene, &mut seen, counts).await {
            Ok(others) => match rest(&scene, &mut left, others, counts).await {
                Ok(counts) => counts,
                Err(lost) => return lost,
            },
            Err(error) if error.kind() == ErrorKind::LeaseLost => return error,
            Err(error) => {
                report::trouble(&error, "the store does not take signs of life; trying again");
                scene.clock().sleep(PAUSE).await;
                if let Err(lost) = claims::take_up_held(&scene).await {
                    return lost;
                }
                // What comes so soon is no beat by which others could be missed.
                false
            }
        };
    }
}

/// Waits for the next beat. Returns whether that one counts as time that has passed: only those do that come by themselves.
async fn rest(scene: &Arc<Scene>, left: &mut Rest, others: usize, counts: bool) -> Result<bool, Error> {
    if counts && scene.load.has_doubts() {
        claims::take_up_held(scene).await?;
        scene.load.is_reassured();
    }
    let is_needed = others > 0 || scene.load.driven() > 0 || scene.load.has_doubts();
    let going_on = left.take().filter(|_| is_needed);
    let rest = going_on.or_else(|| is_needed.then(|| scene.rest(scene.settings().beat())));
    let mut rest = rest.unwrap_or_else(|| Box::pin(std::future::pending()));
    tokio::select! {
        biased;
        () = &mut rest => return Ok(true),
        () = scene.wakes.freed.notified() => {}
    }
    *left = is_needed.then_some(rest);
    Ok(false)
}

/// One beat, and what it tells of the others; how many there are.
async fn beat(scene: &Arc<Scene>, seen: &mut Seen, counts: bool) -> Result<usize, Error> {
    let others = scene.store().beat(scene.session).await?;
    if let Err(error) = scene.time.ask(scene.store()).await {
        report::detail(&error, "the store does not tell the time now");
    }
    seen.retain(|session, _| others.iter().any(|other| other.session == *session));
    for other in &others {
        if is_dead(scene, seen, other, counts) && scene.store().fence(scene.session, other).await? {
            tracing::warn!(session = %other.session, name = other.name, "took over from a dispatcher that shows no life");
            metrics::fenced("other");
            seen.remove(&other.session);
        }
    }
    adopt(scene).await?;
    Ok(others.len())
}

/// Whether another has shown no life for as many of our own beats as make a lease. Only what was seen counts, so no two
/// clocks need to agree, and a dispatcher that was frozen itself takes nobody for dead.
fn is_dead(scene: &Scene, seen: &mut Seen, other: &Beat, counts: bool) -> bool {
    let (beats, missed) = seen.entry(other.session).or_insert((other.beats, 0));
    if *beats == other.beats {
        *missed += u32::from(counts);
    } else {
        (*beats, *missed) = (other.beats, 0);
    }
    let limit = if planted!(scene, FencesTheLiving) { 1 } else { Settings::BEATS };
    other.dead || *missed > limit
}

/// Takes over what nobody holds: on the hosts that are served here, and now and then what nobody may serve any more.
async fn adopt(scene: &Arc<Scene>) -> Result<(), Error> {
    if !scene.adopts() || planted!(scene, AdoptsNothing) {
        scene.load.has_adopted();
        return Ok(());
    }
    let unserved_before = unserved_before(scene);
    let asking = scene.begin_asking();
    loop {
        let adoption = adoption(scene).with_unserved_before(unserved_before);
        let asked = scene.ask();
        let adopted = scene.store().adopt(scene.session, adoption).await?;
        let last = adopted.len() < ADOPTED;
        for held in adopted {
            tracing::info!(token = %held.attempt.token(), "adopted");
            driver::drive(scene, held, scene.knowledge(asked));
        }
        if last {
            scene.load.has_adopted();
            asking.answered();
            return Ok(());
        }
    }
}

fn adoption(scene: &Scene) -> Adoption {
    let settings = scene.settings();
    let quiet_at = later(scene.clock().now(), settings.launch_window.saturating_add(settings.margin));
    let served = scene.router().snapshot();
    let hosts = served.table().hosts().iter().map(|it| it.host.name.clone()).collect();
    Adoption::new(ADOPTED, quiet_at, hosts)
}

/// Before when an attempt must have been created for its host not to matter. Only a sweep asks for such attempts, so that
/// whoever serves their host and merely starts anew has taken them up long before.
fn unserved_before(scene: &Scene) -> Timestamp {
    if scene.wakes.unserved.swap(false, Ordering::Relaxed) && !scene.is_closing() {
        earlier(scene.clock().now(), scene.settings().lost_after)
    } else {
        Timestamp::MIN
    }
}
