//! What people do, and nature: jobs are submitted and cancelled, hosts fail and are paused.

use longshore_core::{Clock, HostName, JobId, LaunchToken};
use longshore_dispatcher::DrainMode;
use longshore_store::{IdempotencyKey, Intervention, JobStore, Pause, Request, Submission};
use std::{sync::Arc, time::Duration};

use crate::{
    crew::Crew,
    life::Life,
    script::{Act, JobAct, JobScript},
    store::{Wire, somebody},
    world::World,
};

/// How often somebody tries before giving up.
const TRIES: u32 = 8;

fn request(world: &World) -> Request {
    Request::new(somebody(), world.clock.now()).because("because")
}

/// Submits a job, and does with it what is written.
pub(crate) async fn submit(world: Arc<World>, number: usize) {
    let JobScript { at, job, acts, .. } = &world.script.jobs[number];
    tokio::time::sleep(*at).await;
    let wire = Wire::new(&Arc::new(Life::new(&world, format!("p{number}"), 0)));
    let key = IdempotencyKey::new(format!("key-{number}")).unwrap();
    let submission = Submission::builder(job.clone()).idempotency_key(key.clone()).build();
    world.ledger().submitted.insert(key.clone());
    let mut id = None;
    for _ in 0..TRIES {
        if let Ok(answers) = wire.submit(vec![submission.clone()], world.clock.now()).await {
            let submitted = answers.into_iter().next().unwrap().unwrap().id();
            world.ledger().acknowledged.entry(key.clone()).or_default().insert(submitted);
            id = Some(submitted);
            // An answer may come and its reader submit again all the same.
            if world.dice().chance(700) {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let Some(id) = id else { return };
    let began = tokio::time::Instant::now();
    for (after, act) in acts {
        tokio::time::sleep_until(began + *after).await;
        ask_of(&world, &wire, id, *act).await;
    }
}

async fn ask_of(world: &World, wire: &Wire, id: JobId, act: JobAct) {
    let intervention = match act {
        JobAct::Cancel => Intervention::Cancel,
        JobAct::SettleLost => Intervention::SettleLost,
        JobAct::Reprioritize(points) => Intervention::Reprioritize(points.try_into().unwrap()),
    };
    loop {
        match wire.intervene(id, intervention.clone(), request(world)).await {
            Err(error) if error.is_lost_contact() => tokio::time::sleep(Duration::from_millis(500)).await,
            Ok(_) if matches!(act, JobAct::Cancel) => {
                world.ledger().cancelled.insert(id);
                return;
            }
            _ => return,
        }
    }
}

/// Everything that happens to hosts and dispatchers.
pub(crate) async fn trouble(world: Arc<World>, crew: Arc<Crew>, number: usize) {
    let (at, act) = world.script.acts[number];
    tokio::time::sleep(at).await;
    if world.is_calm() {
        return;
    }
    world.note(&format!("ACT {act:?}"));
    let place = |at: usize| &world.places[at % world.places.len()];
    match act {
        Act::CutFromStore(who, long) => cut(&crew, who, long, Life::cut_from_store).await,
        Act::CutFromPlaces(who, long) => cut(&crew, who, long, Life::cut_from_places).await,
        Act::Out(which, long) => {
            place(which).set_out(true);
            tokio::time::sleep(long).await;
            place(which).set_out(false);
        }
        Act::Pause(which, long) => {
            let host: Option<HostName> = which.map(|which| place(which).host.name.clone());
            let _ = world.store.pause(Pause::new(host.clone(), request(&world))).await;
            tokio::time::sleep(long).await;
            let _ = world.store.resume(host.as_ref(), request(&world)).await;
        }
        Act::Jump(who, millis) => {
            if let Some((life, _)) = crew.member(who) {
                life.jump(millis);
            }
        }
        Act::Drain(who, mode) => {
            let modes = [DrainMode::Finish, DrainMode::StopJobs, DrainMode::HandOver];
            if let Some((_, drain)) = crew.member(who) {
                drain.begin(modes[usize::try_from(mode).unwrap()]);
            }
        }
        Act::Gap(which) => place(which).provider.tell_gap(),
        Act::Preempt(which) => {
            let first = place(which).provider.running().first().map(|request| request.token);
            let _ = first.is_some_and(|token: LaunchToken| {
                place(which).provider.interrupt(&token, longshore_core::Cause::Preempted)
            });
        }
    }
}

async fn cut(crew: &Crew, who: usize, long: Duration, cut: fn(&Life, bool)) {
    let Some((life, _)) = crew.member(who) else { return };
    cut(&life, true);
    tokio::time::sleep(long).await;
    cut(&life, false);
}

/// Ends all trouble.
pub(crate) async fn heal(world: &World, crew: &Crew) {
    world.note("CALM");
    world.calm_down();
    for place in &world.places {
        place.set_out(false);
        let _ = world.store.resume(Some(&place.host.name), request(world)).await;
    }
    let _ = world.store.resume(None, request(world)).await;
    for life in crew.lives() {
        life.cut_from_store(false);
        life.cut_from_places(false);
        life.thaw();
    }
}
