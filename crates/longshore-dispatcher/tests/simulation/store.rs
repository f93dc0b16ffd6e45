//! The store as one process reaches it: late, over a connection that loses calls and answers, or not at all.

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use longshore_core::{
    Clock, ErrorKind, HostName, JobId, JobName, JobStatus, LaunchToken, Owner, Result, Timestamp, async_trait,
};
use longshore_store::{
    Actor, Adoption, AttemptRecord, AttemptState, Beat, Change, Claim, Claimed, Held, InUse, Intervention, JobArchive,
    JobEvent, JobQuery, JobRecord, JobStore, MemoryStore, NewsStream, Pause, Placement, Placer, Request, SavedTemplate,
    SessionId, StatusCounts, Submission, Submitted, What,
};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

use crate::{
    flaw::{Flaw, Planted},
    life::{Life, unavailable},
    limits,
    world::World,
};

/// How long a call may be on its way to the store after its sender has given it up, in milliseconds.
const LATEST: u64 = 10_000;

#[derive(Debug, Clone)]
pub(crate) struct Wire {
    life: Arc<Life>,
    /// What was in use at the claim before, for whoever believes that it still is.
    used: Arc<Mutex<InUse>>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Fine,
    Unsent,
    Unanswered,
    Late(Duration),
}

impl Wire {
    pub(crate) fn new(life: &Arc<Life>) -> Self {
        Self { life: Arc::clone(life), used: Arc::default() }
    }

    fn world(&self) -> &Arc<World> {
        &self.life.world
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.world().planted == Some(Planted::Flaw(flaw))
    }

    fn fate(&self) -> (Fate, Duration, Duration) {
        let world = self.world();
        if world.is_calm() {
            return (Fate::Fine, Duration::ZERO, Duration::ZERO);
        }
        let faults = &world.script.faults;
        let mut dice = world.dice();
        let fate = match dice.chance(faults.store) {
            false => Fate::Fine,
            true => match dice.below(5) {
                0 | 1 => Fate::Unsent,
                2 | 3 => Fate::Unanswered,
                _ => Fate::Late(dice.millis(1, LATEST)),
            },
        };
        (fate, dice.skewed(faults.store_latency), dice.skewed(faults.store_latency))
    }

    /// Asks the store, as far as the wire lets it.
    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(Wire, MemoryStore) -> BoxFuture<'static, Result<T>> + Send,
    ) -> Result<T> {
        self.life.step(operation).await;
        let (fate, before, after) = self.fate();
        self.life.tell(|line| {
            let _ = write!(line, "store.{operation} {fate:?}");
        });
        pause(before).await;
        self.life.reach_store()?;
        let effect = effect(self.clone(), self.world().store.clone());
        let answer = match fate {
            Fate::Unsent => return Err(unavailable("the call to the store was lost")),
            Fate::Late(late) => {
                tokio::spawn(async move {
                    pause(late).await;
                    let _ = effect.await;
                });
                return Err(unavailable("the store did not answer in time"));
            }
            Fate::Unanswered => effect.await.and_then(|_| Err(unavailable("the store's answer was lost"))),
            Fate::Fine => effect.await,
        };
        pause(after).await;
        self.life.step(operation).await;
        self.life.reach_store()?;
        answer
    }

    /// Much happens while some questions and answers are on their way.
    async fn dawdle(&self) {
        let world = self.world();
        let longest = if world.is_calm() { 0 } else { 4 * world.script.faults.store_latency };
        let late = if longest > 0 { world.dice().skewed(longest) } else { Duration::ZERO };
        pause(late).await;
    }

    /// What the dispatcher calls its session the store calls by a number.
    fn outward(session: SessionId, mut held: Held) -> Held {
        held.attempt.session = held.attempt.session.map(|_| session);
        held
    }

    fn all_outward(session: SessionId, held: Vec<Held>) -> Vec<Held> {
        held.into_iter().map(|held| Self::outward(session, held)).collect()
    }

    /// Looks at the jobs after something was stored.
    async fn look(&self, jobs: impl IntoIterator<Item = JobId>) {
        for id in jobs {
            let Ok(job) = self.world().store.job(id).await else { continue };
            let seen = self.world().ledger().see(&job);
            if let Err((rule, how)) = seen {
                self.world().broken(rule, how);
            }
        }
    }

    async fn claimed(&self, claimed: &Claimed, asked_at: Timestamp) {
        let script = &self.world().script;
        for held in &claimed.held {
            self.life.tell(|line| {
                let token = held.attempt.token();
                let _ = write!(
                    line,
                    "CLAIMS {} #{} for {}",
                    World::name(token.job()),
                    token.attempt(),
                    held.attempt.host()
                );
            });
            let limit = script.limit(held.attempt.host());
            let seen = self.world().ledger().claimed(held, asked_at, limit, script.hard.as_ref());
            if let Err((rule, how)) = seen {
                self.world().broken(rule, how);
            }
        }
        let pending = self.world().ledger().statuses.clone().into_iter();
        let waiting = pending.filter(|(_, status)| *status == JobStatus::Pending).map(|(job, _)| job);
        let waiting: Vec<_> = waiting.collect();
        self.look(waiting.iter().copied()).await;
        limits::check_queue(self.world(), &waiting).await;
    }

    /// After a change was stored.
    async fn changed(&self, change: &Change) {
        self.life.tell(|line| {
            let (token, kind) = (change.token, change.effect().kind);
            let _ = write!(line, "STORED {} #{} {kind}", World::name(token.job()), token.attempt());
            if let Some(detail) = change.effect().detail {
                let _ = write!(line, ": {detail}");
            }
        });
        if let Ok(held) = self.world().store.attempt(change.token).await {
            self.world().ledger().follow(&held.attempt);
        }
        self.look([change.token.job()]).await;
        let closed = matches!(change.what, What::Closed | What::Ended { closed: true, .. });
        let there = |place: &crate::world::Place| place.owned().iter().any(|owned| owned.handle.token == change.token);
        if closed && self.world().places.iter().any(there) {
            self.world().broken("what is closed has left nothing", change.token.to_string());
        }
        if let What::Ended { outcome, .. } = &change.what
            && outcome.status != JobStatus::Lost
            && self.world().is_live(change.token)
        {
            let how = format!("{} is stored as {} and still runs", change.token, outcome.reason);
            self.world().broken("an outcome is stored after the end", how);
        }
    }

    /// Writes what a fenced session must not.
    async fn write_anyway(&self, store: &MemoryStore, change: &Change) -> Result<()> {
        let held = store.attempt(change.token).await?;
        let Some(holder) = held.attempt.session else { return Ok(()) };
        store.record(holder, vec![change.clone()]).await?.remove(0)
    }

    async fn store_changes(
        &self,
        store: &MemoryStore,
        inside: SessionId,
        changes: Vec<Change>,
    ) -> Result<Vec<Result<()>>> {
        if self.has(Flaw::ForgetsWrites) && self.world().dice().chance(30) {
            return Ok(changes.iter().map(|_| Ok(())).collect());
        }
        let mut answers = match store.record(inside, changes.clone()).await {
            Err(error) if self.has(Flaw::NoFencing) && error.kind() == ErrorKind::LeaseLost => {
                changes.iter().map(|_| Err(error.repeated())).collect()
            }
            answers => answers?,
        };
        for (change, answer) in changes.iter().zip(&mut answers) {
            if answer.is_err() && self.has(Flaw::NoFencing) {
                *answer = self.write_anyway(store, change).await;
            }
            if answer.is_ok() {
                self.changed(change).await;
            }
        }
        Ok(answers)
    }

    /// A session was fenced off: it must have been silent for long enough.
    fn fenced(&self, other: SessionId) {
        let last = self.world().ledger().beats.remove(&other);
        let Some(silent) = last.map(|last| last.elapsed()) else { return };
        self.life.tell(|line| {
            let _ = write!(line, "FENCES {} silent for {silent:?}", other.as_uuid().as_u128());
        });
        if silent < self.world().script.settings.lease {
            let how = format!("session {} had beaten {silent:?} before", other.as_uuid().as_u128());
            self.world().broken("nobody is fenced off within the lease", how);
        }
    }
}

async fn pause(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// A placer that was told of what is in use too early.
struct Stale {
    inner: Arc<dyn Placer>,
    used: Arc<Mutex<InUse>>,
}

impl Placer for Stale {
    fn room(&self, hosts: &BTreeSet<HostName>, in_use: &InUse) -> usize {
        self.inner.room(hosts, in_use)
    }

    fn place(&self, jobs: &[JobRecord], in_use: &InUse) -> Vec<Placement> {
        let before = std::mem::replace(&mut *self.used.lock().unwrap(), in_use.clone());
        self.inner.place(jobs, &before)
    }
}

/// What the news are after the wire had its way with them.
fn heard(wire: Wire, news: NewsStream) -> NewsStream {
    let deaf = wire.has(Flaw::LostWakeUp);
    stream::unfold((wire, news), move |(wire, mut news)| async move {
        let mut heard = news.next().await?;
        if !wire.world().is_calm() {
            let (late, cut) = {
                let mut dice = wire.world().dice();
                (
                    dice.skewed(wire.world().script.faults.store_latency),
                    dice.chance(wire.world().script.faults.store / 4),
                )
            };
            pause(late).await;
            if cut || wire.life.reach_store().is_err() {
                return None;
            }
        }
        wire.life.gate().await;
        heard.queue &= !deaf;
        Some((heard, (wire, news)))
    })
    .boxed()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl JobStore for Wire {
    async fn now(&self) -> Result<Timestamp> {
        self.ask("now", |_, store| async move { store.now().await }.boxed()).await
    }

    async fn submit(&self, submissions: Vec<Submission>, now: Timestamp) -> Result<Vec<Result<Submitted>>> {
        self.ask("submit", move |wire, store| {
            async move {
                let mut sent = submissions.clone();
                if wire.has(Flaw::ForgetsKeys) {
                    for submission in &mut sent {
                        submission.idempotency_key = None;
                        let salt = u128::from(wire.world().dice().next()) << 32;
                        let id = submission.job.id.as_uuid().as_u128() ^ salt & 0xffff_ffff_ffff_0000_0000;
                        submission.job.id = JobId::from_uuid(uuid::Uuid::from_u128(id));
                    }
                }
                let answers = store.submit(sent, now).await?;
                let ids: Vec<_> = answers.iter().flatten().map(|submitted| submitted.id()).collect();
                wire.look(ids).await;
                Ok(answers)
            }
            .boxed()
        })
        .await
    }

    async fn intervene(&self, job: JobId, intervention: Intervention, request: Request) -> Result<JobRecord> {
        self.ask("intervene", move |wire, store| {
            async move {
                let record = store.intervene(job, intervention.clone(), request).await?;
                wire.life.tell(|line| {
                    let _ = write!(line, "ASKS of {}: {intervention:?}", World::name(job));
                });
                if let (Intervention::SettleLost, Some(token)) = (&intervention, record.last_attempt()) {
                    wire.world().ledger().excuse(token, "settled by hand");
                }
                for attempt in store.attempts(job).await? {
                    wire.world().ledger().follow(&attempt);
                }
                wire.look([job]).await;
                Ok(record)
            }
            .boxed()
        })
        .await
    }

    async fn pause(&self, pause: Pause) -> Result<()> {
        self.ask("pause", move |_, store| async move { store.pause(pause).await }.boxed()).await
    }

    async fn resume(&self, host: Option<&HostName>, request: Request) -> Result<bool> {
        let host = host.cloned();
        self.ask("resume", move |_, store| async move { store.resume(host.as_ref(), request).await }.boxed()).await
    }

    async fn owner(&self) -> Result<Owner> {
        self.ask("owner", |_, store| async move { store.owner().await }.boxed()).await
    }

    async fn save_template(&self, saved: SavedTemplate) -> Result<()> {
        self.ask("save_template", move |_, store| async move { store.save_template(saved).await }.boxed()).await
    }

    async fn remove_template(&self, name: &JobName) -> Result<bool> {
        let name = name.clone();
        self.ask("remove_template", move |_, store| async move { store.remove_template(&name).await }.boxed()).await
    }

    async fn template(&self, name: &JobName) -> Result<SavedTemplate> {
        let name = name.clone();
        self.ask("template", move |_, store| async move { store.template(&name).await }.boxed()).await
    }

    async fn templates(&self) -> Result<Vec<SavedTemplate>> {
        self.ask("templates", |_, store| async move { store.templates().await }.boxed()).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.ask("pauses", |_, store| async move { store.pauses().await }.boxed()).await
    }

    async fn job(&self, job: JobId) -> Result<JobRecord> {
        self.ask("job", move |_, store| async move { store.job(job).await }.boxed()).await
    }

    async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRecord>> {
        self.ask("attempts", move |_, store| async move { store.attempts(job).await }.boxed()).await
    }

    async fn events(&self, job: JobId) -> Result<Vec<JobEvent>> {
        self.ask("events", move |_, store| async move { store.events(job).await }.boxed()).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobRecord>> {
        let query = query.clone();
        self.ask("jobs", move |_, store| async move { store.jobs(&query).await }.boxed()).await
    }

    async fn counts(&self) -> Result<StatusCounts> {
        self.ask("counts", |_, store| async move { store.counts().await }.boxed()).await
    }

    async fn news(&self) -> Result<NewsStream> {
        let wire = self.clone();
        let news = self.ask("news", |_, store| async move { store.news().await }.boxed()).await?;
        Ok(heard(wire, news))
    }

    async fn open_session(&self, session: SessionId, name: &str) -> Result<()> {
        let (inside, name) = (self.world().session_inside(session), name.to_owned());
        *self.life.session.lock().unwrap() = Some(inside);
        self.ask("open_session", move |wire, store| {
            async move {
                store.open_session(inside, &name).await?;
                // Opened again, it shows no new life.
                wire.world().ledger().beats.entry(inside).or_insert_with(Instant::now);
                wire.life.tell(|line| {
                    let _ = write!(line, "OPENS session {}", inside.as_uuid().as_u128());
                });
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn beat(&self, session: SessionId) -> Result<Vec<Beat>> {
        let inside = self.world().session_inside(session);
        self.ask("beat", move |wire, store| {
            async move {
                let others = store.beat(inside).await?;
                wire.world().ledger().beats.insert(inside, Instant::now());
                Ok(others)
            }
            .boxed()
        })
        .await
    }

    async fn fence(&self, session: SessionId, other: &Beat) -> Result<bool> {
        let (inside, mut other) = (self.world().session_inside(session), other.clone());
        self.dawdle().await;
        self.ask("fence", move |wire, store| {
            async move {
                if wire.has(Flaw::EpochIgnored) {
                    let now = store.beat(inside).await?;
                    other = now.into_iter().find(|now| now.session == other.session).unwrap_or(other);
                }
                let fenced = store.fence(inside, &other).await?;
                if fenced {
                    wire.fenced(other.session);
                }
                Ok(fenced)
            }
            .boxed()
        })
        .await
    }

    async fn close_session(&self, session: SessionId) -> Result<()> {
        let inside = self.world().session_inside(session);
        self.ask("close_session", move |wire, store| {
            async move {
                store.close_session(inside).await?;
                wire.world().ledger().beats.remove(&inside);
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn adopt(&self, session: SessionId, adoption: Adoption) -> Result<Vec<Held>> {
        let inside = self.world().session_inside(session);
        self.ask("adopt", move |wire, store| {
            async move {
                let mut adopted = store.adopt(inside, adoption).await?;
                if wire.has(Flaw::NoQuiet) {
                    adopted.iter_mut().for_each(|held| held.attempt.quiet_at = None);
                }
                for held in &adopted {
                    wire.life.tell(|line| {
                        let token = held.attempt.token();
                        let _ = write!(
                            line,
                            "ADOPTS {} #{} {:?}",
                            World::name(token.job()),
                            token.attempt(),
                            held.attempt.state
                        );
                    });
                }
                Ok(Self::all_outward(session, adopted))
            }
            .boxed()
        })
        .await
    }

    async fn claim(&self, mut claim: Claim, placer: Arc<dyn Placer>) -> Result<Claimed> {
        let (session, asked_at) = (claim.session, self.world().clock.now());
        claim.session = self.world().session_inside(session);
        self.ask("claim", move |wire, store| {
            async move {
                let used = Arc::clone(&wire.used);
                let placer: Arc<dyn Placer> =
                    if wire.has(Flaw::StaleUse) { Arc::new(Stale { inner: placer, used }) } else { placer };
                let mut claimed = store.claim(claim, placer).await?;
                wire.claimed(&claimed, asked_at).await;
                if wire.has(Flaw::DoubleClaim) {
                    let open = wire.world().ledger().open.clone();
                    for token in open {
                        let held = store.attempt(token).await?;
                        if held.attempt.state == AttemptState::Launching {
                            claimed.held.push(held);
                        }
                    }
                }
                claimed.held = Self::all_outward(session, claimed.held);
                Ok(claimed)
            }
            .boxed()
        })
        .await
    }

    async fn wake_queue(&self, session: SessionId) -> Result<()> {
        let inside = self.world().session_inside(session);
        self.ask("wake_queue", move |_, store| async move { store.wake_queue(inside).await }.boxed()).await
    }

    async fn record(&self, session: SessionId, changes: Vec<Change>) -> Result<Vec<Result<()>>> {
        let inside = self.world().session_inside(session);
        self.ask("record", move |wire, store| async move { wire.store_changes(&store, inside, changes).await }.boxed())
            .await
    }

    async fn held(&self, session: SessionId) -> Result<Vec<Held>> {
        let inside = self.world().session_inside(session);
        let held = self.ask("held", move |_, store| async move { store.held(inside).await }.boxed()).await?;
        self.dawdle().await;
        Ok(Self::all_outward(session, held))
    }

    async fn interventions(&self, session: SessionId) -> Result<Vec<JobRecord>> {
        let inside = self.world().session_inside(session);
        self.ask("interventions", move |_, store| async move { store.interventions(inside).await }.boxed()).await
    }

    async fn attempt(&self, token: LaunchToken) -> Result<Held> {
        let world = Arc::clone(self.world());
        let mut held = self.ask("attempt", move |_, store| async move { store.attempt(token).await }.boxed()).await?;
        held.attempt.session = held.attempt.session.map(|inside| world.session_outside(inside));
        Ok(held)
    }

    async fn attempt_states(&self, tokens: &[LaunchToken]) -> Result<Vec<Option<AttemptState>>> {
        let tokens = tokens.to_vec();
        self.ask("attempt_states", move |_, store| async move { store.attempt_states(&tokens).await }.boxed()).await
    }

    async fn archive(&self, after: Option<JobId>, most: usize) -> Result<Vec<JobArchive>> {
        self.ask("archive", move |_, store| async move { store.archive(after, most).await }.boxed()).await
    }

    async fn import(&self, archives: Vec<JobArchive>) -> Result<u64> {
        self.ask("import", move |_, store| async move { store.import(archives).await }.boxed()).await
    }

    async fn purge(&self, jobs: &[JobId]) -> Result<Vec<JobId>> {
        let jobs = jobs.to_vec();
        self.ask("purge", move |_, store| async move { store.purge(&jobs).await }.boxed()).await
    }

    async fn check(&self) -> Result<Vec<String>> {
        self.ask("check", |_, store| async move { store.check().await }.boxed()).await
    }
}

/// Who acts in a run, besides dispatchers.
pub(crate) fn somebody() -> Actor {
    Actor::User("somebody".to_owned())
}
