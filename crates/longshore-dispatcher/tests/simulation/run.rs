//! One run: the storm, the calm after it, and the verdict.

use longshore_core::{Clock, ContainerJob, JobId, JobTemplate};
use longshore_store::{JobStore, Submission};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

use crate::{
    crew::Crew,
    flaw::Planted,
    oracle, people,
    script::Script,
    world::{Place, World},
};

/// How long everything may take to end once nothing goes wrong any more: longer than all limits and pauses, and much shorter
/// than the hours that clocks are apart.
const PATIENCE: Duration = Duration::from_secs(2700);
/// How long a job may take that is handed in when all is well: as long as a host may be left alone, and a little.
const PROMPT: Duration = Duration::from_secs(1800);
const TICK: Duration = Duration::from_secs(2);

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Report {
    /// The rule that was broken first, and how.
    pub(crate) broken: Option<(&'static str, String)>,
    /// A hash of everything that happened, where that was asked for.
    pub(crate) hash: u64,
    /// Everything that happened, likewise.
    pub(crate) lines: Vec<String>,
}

/// Runs what the seed means.
pub(crate) fn run(seed: u64, planted: Option<Planted>, traced: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(seed, Script::draw(seed), planted, traced);
        conduct(&world).await;
        let broken = world.ledger().broken.take();
        let (hash, lines) = world.told();
        Report { broken, hash, lines }
    })
}

async fn conduct(world: &Arc<World>) {
    let crew = Crew::of(world);
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..world.script.crew.len() {
        tasks.spawn(Arc::clone(&crew).man(Arc::clone(world), at));
    }
    for number in 0..world.script.jobs.len() {
        tasks.spawn(people::submit(Arc::clone(world), number));
    }
    for number in 0..world.script.acts.len() {
        tasks.spawn(people::trouble(Arc::clone(world), Arc::clone(&crew), number));
    }
    if !until(world, world.script.storm, || false).await {
        return;
    }
    people::heal(world, &crew).await;
    if !until(world, PATIENCE, || is_over(world)).await {
        return;
    }
    if !is_over(world) {
        return oracle::tell_unfinished(world).await;
    }
    tokio::time::sleep(world.script.settings.margin).await;
    check_promptness(world).await;
    oracle::judge(world).await;
    drop(tasks);
}

/// Waits until it is so, or for long enough; false as soon as a rule is broken.
async fn until(world: &World, limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end && !is_so() {
        if world.ledger().broken.is_some() {
            return false;
        }
        tokio::time::sleep(TICK.min(end - Instant::now())).await;
    }
    world.ledger().broken.is_none()
}

/// Whether every job has ended, and nothing of any attempt is left to do.
fn is_over(world: &World) -> bool {
    let ledger = world.ledger();
    let over = ledger.open.is_empty() && ledger.statuses.values().all(|status| status.is_terminal());
    drop(ledger);
    over && world.places.iter().all(|place: &Place| place.owned().is_empty())
}

/// A job that is handed in when nothing else goes on is done soon.
async fn check_promptness(world: &World) {
    let template = JobTemplate::builder().name("last".parse().unwrap()).image("probe".parse().unwrap());
    let mut job = ContainerJob::new(template.args(["exit 0"]).build(), world.clock.now());
    job.id = JobId::from_uuid(uuid::Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0ff0));
    let id = job.id;
    world.store.submit(vec![Submission::builder(job).build()], world.clock.now()).await.unwrap().remove(0).unwrap();
    world.note("the last job is submitted");
    let end = Instant::now() + PROMPT;
    while Instant::now() < end {
        if world.store.job(id).await.unwrap().status.is_terminal() && is_over(world) {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
    let how = format!("{:?}", world.store.job(id).await);
    world.broken("what is submitted is done soon when all is well", how);
}
