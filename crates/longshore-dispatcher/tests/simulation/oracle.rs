//! The verdict at the end: what the store says against what really happened.

use longshore_core::{Cause, Clock, JobStatus, LaunchToken, LogQuery};
use longshore_store::{
    AttemptRecord, AttemptState, Claim, InUse, JobArchive, JobRecord, JobStore, Placement, Placer, SessionId,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use crate::{ledger::Truth, world::World};

type Verdict = Result<(), (&'static str, String)>;

/// Refuses with the rule and how it was broken.
macro_rules! demand {
    ($so:expr, $rule:expr, $($how:tt)+) => {
        if $so {
        } else {
            return Err(($rule, format!($($how)+)));
        }
    };
}

/// It did not come to an end.
pub(crate) async fn tell_unfinished(world: &World) {
    let ledger = world.ledger();
    let jobs: Vec<_> = ledger.statuses.iter().filter(|(_, status)| !status.is_terminal()).collect();
    let left: Vec<_> =
        world.places.iter().flat_map(crate::world::Place::owned).map(|owned| owned.handle.token).collect();
    let how = format!("unfinished jobs {jobs:?}, open attempts {:?}, left at places {left:?}", ledger.open);
    drop(ledger);
    world.broken("everything ends", how);
}

pub(crate) async fn judge(world: &World) {
    if let Err((rule, how)) = verdict(world).await {
        world.broken(rule, how);
    }
}

async fn verdict(world: &World) -> Verdict {
    let jobs = world.store.archive(None, 1_000).await.unwrap();
    submissions(world, &jobs)?;
    for archive in &jobs {
        job(world, archive)?;
        history(archive)?;
        for attempt in &archive.attempts {
            self::attempt(world, &archive.job, attempt).await?;
        }
    }
    in_use(world, &jobs).await
}

fn submissions(world: &World, jobs: &[JobArchive]) -> Verdict {
    const RULE: &str = "one submit makes one job";
    let ledger = world.ledger();
    for (key, ids) in &ledger.acknowledged {
        demand!(ids.len() == 1, RULE, "{} was answered with {ids:?}", key.as_str());
        let known = jobs.iter().any(|archive| ids.contains(&archive.job.id()));
        demand!(known, RULE, "{ids:?} was acknowledged and is not there");
    }
    // The last job has no key.
    demand!(jobs.len() <= ledger.submitted.len() + 1, RULE, "{} jobs of {}", jobs.len(), ledger.submitted.len());
    Ok(())
}

fn job(world: &World, archive: &JobArchive) -> Verdict {
    let JobArchive { job, attempts, .. } = archive;
    let id = job.id();
    demand!(job.status.is_terminal() && job.finished_at.is_some(), "every job ends", "{id} is {}", job.status);
    let ledger = world.ledger();
    let ran: Vec<&Truth> = attempts.iter().filter_map(|it| ledger.truths.get(&it.token())).flatten().collect();
    let ran: Vec<_> = ran.into_iter().filter(|truth| truth.end.started_at.is_some()).collect();
    let most = job.job().retry.as_ref().map_or(1, |policy| policy.max_attempts.get());
    demand!(ran.len() <= most as usize, "a job runs no more often than its policy says", "{id}: {ran:?} of {most}");
    let mut times: Vec<_> = ran.iter().map(|truth| (truth.end.started_at, truth.end.finished_at)).collect();
    times.sort_unstable();
    let apart = times.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    demand!(apart, "no two attempts of a job at once", "{id}: {times:?}");
    // A provider that lost an execution may prove that it has ended.
    let is_proven = |outcome: &longshore_store::Outcome| {
        outcome.termination.as_ref().is_some_and(|termination| termination.evidence.complete)
    };
    let is_lost = |it: &&AttemptRecord| {
        it.outcome.as_ref().is_some_and(|outcome| outcome.status == JobStatus::Lost && !is_proven(outcome))
    };
    let lost = attempts.iter().find(is_lost).map(|it| it.token().attempt());
    let last_one = lost.is_none_or(|lost| lost == job.attempts);
    demand!(last_one, "what is lost is not run again", "{id}: attempt {lost:?} of {}", job.attempts);
    let Some(last) = attempts.last() else { return Ok(()) };
    passing(job, last, world.launches(&last.token()))?;
    let outcome = last.outcome.as_ref();
    let exit_code = outcome.and_then(longshore_store::Outcome::exit_code);
    demand!(job.exit_code == exit_code, "a job shows its last exit code", "{id}: {:?}, {outcome:?}", job.exit_code);
    let fits = outcome.is_some_and(|outcome| outcome.status == job.status)
        || matches!(job.status, JobStatus::Cancelled | JobStatus::TimedOut | JobStatus::Failed);
    demand!(fits, "a job ends as its last attempt did", "{id} is {} after {outcome:?}", job.status);
    Ok(())
}

/// What refuses a job now, and may take it later, does not end it.
fn passing(job: &JobRecord, last: &AttemptRecord, launches: u32) -> Verdict {
    const PASSING: [&str; 5] = ["no capacity: ", "quota reached: ", "rate limited: ", "connection refused", "was lost"];
    let reason = last.outcome.as_ref().map(|outcome| outcome.reason.as_str()).unwrap_or_default();
    let may_pass = launches == 0 && PASSING.iter().any(|passing| reason.contains(passing));
    let ended_by_it = may_pass && job.status == JobStatus::Failed && job.finished_at == last.ended_at;
    demand!(!ended_by_it, "a refusal that may pass ends no job", "{}: {reason}", job.id());
    Ok(())
}

/// Nothing happens twice, and nothing after the end.
fn history(archive: &JobArchive) -> Verdict {
    const RULE: &str = "the history tells each thing once";
    let id = archive.job.id();
    let mut told = BTreeSet::new();
    let mut cancelled = false;
    for event in &archive.events {
        let kind = match event.kind.as_str() {
            "settled-lost" => "ended",
            kind => kind,
        };
        cancelled |= kind == "cancel-requested";
        demand!(!(cancelled && kind == "claimed"), "what is cancelled is not run again", "{id}: {:?}", archive.events);
        if matches!(kind, "submitted" | "claimed" | "launched" | "started" | "ended" | "closed") {
            demand!(told.insert((event.attempt, kind)), RULE, "{id}: {kind} twice in {:?}", archive.events);
        }
    }
    demand!(archive.job.attempts as usize == archive.attempts.len(), RULE, "{id}: {} attempts", archive.job.attempts);
    Ok(())
}

async fn attempt(world: &World, job: &JobRecord, attempt: &AttemptRecord) -> Verdict {
    let token = attempt.token();
    demand!(attempt.state == AttemptState::Closed, "every attempt is closed", "{token} is {:?}", attempt.state);
    let Some(outcome) = &attempt.outcome else { return Err(("every attempt has an outcome", token.to_string())) };
    let launches = world.launches(&token);
    demand!(launches <= 1, "an attempt starts at most once", "{token} was started {launches} times");
    let truth = world.ledger().truths.get(&token).and_then(|truths| truths.first()).cloned();
    if outcome.status == JobStatus::Lost {
        return lost(world, job, attempt, truth.as_ref());
    }
    let Some(end) = &outcome.termination else {
        demand!(launches == 0, "what was started is not stored as refused", "{token}: {}", outcome.reason);
        return charged(attempt, None);
    };
    if launches == 0 {
        let refused = end.cause == Cause::Invalid;
        demand!(refused, "an end is stored only of what was started", "{token}: {end:?}");
        return charged(attempt, None);
    }
    let Some(truth) = truth else {
        let forgotten = world.script.is_forgotten(attempt.host(), job.id());
        demand!(forgotten, "a stored end is a true one", "{token}: nobody saw it end as {end:?}");
        return Ok(());
    };
    let stored = (end.cause, end.exit_code, end.finished_at);
    let true_end = (truth.end.cause, truth.end.exit_code, truth.end.finished_at);
    demand!(stored == true_end, "a stored end is a true one", "{token}: {stored:?}, but {true_end:?}");
    log(world, attempt, &truth).await?;
    charged(attempt, Some(&truth))
}

/// What is lost must have a reason.
fn lost(world: &World, job: &JobRecord, attempt: &AttemptRecord, truth: Option<&Truth>) -> Verdict {
    let token = attempt.token();
    let excused = world.ledger().excused.contains_key(&token)
        || world.script.is_forgotten(attempt.host(), job.id())
        || truth.is_some_and(|truth| truth.end.cause == Cause::LostByProvider);
    let why = attempt.outcome.as_ref().map(|outcome| outcome.reason.clone()).unwrap_or_default();
    demand!(excused, "nothing is lost without need", "{token}: {why}");
    Ok(())
}

async fn log(world: &World, attempt: &AttemptRecord, truth: &Truth) -> Verdict {
    const RULE: &str = "logs are kept whole";
    let token = attempt.token();
    let Some(true_log) = &truth.log else { return Ok(()) };
    let kept = attempt.outcome.as_ref().and_then(|outcome| outcome.log.as_ref());
    let Some(reference) = kept else { return Err((RULE, format!("{token} has none"))) };
    let mut bytes = Vec::new();
    let mut query = LogQuery::from_start();
    loop {
        let page = world.logs.read(reference, &query).await.map_err(|error| (RULE, format!("{token}: {error}")))?;
        page.records.iter().for_each(|record| bytes.extend_from_slice(&record.bytes));
        if page.ended.is_some() {
            break;
        }
        query = LogQuery::after(page.next);
    }
    demand!(bytes == *true_log, RULE, "{token}: {bytes:?}, but {true_log:?}");
    Ok(())
}

/// What an attempt counts on budgets: nothing where it did not run, else what it cost, once.
fn charged(attempt: &AttemptRecord, truth: Option<&Truth>) -> Verdict {
    const RULE: &str = "costs are counted once";
    let (token, charges) = (attempt.token(), &attempt.charges);
    let Some(truth) = truth else {
        demand!(charges.is_empty(), RULE, "{token} ran nothing and is charged {charges:?}");
        return Ok(());
    };
    demand!(charges.len() <= 1, RULE, "{token} is charged {charges:?}");
    let rate = if truth.host.as_str() == "alpha" { 2.0 } else { 1.0 };
    let cost = truth.end.run_time().unwrap_or_default().as_secs_f64() * rate;
    for charge in charges {
        let amount: f64 = charge.amount.amount().to_string().parse().unwrap();
        demand!((amount - cost).abs() < 0.01, RULE, "{token} is charged {amount} and cost {cost}");
    }
    Ok(())
}

/// Takes down what a claim is told to be in use.
struct Looks(Mutex<InUse>);

impl Placer for Looks {
    fn room(&self, _: &BTreeSet<longshore_core::HostName>, _: &InUse) -> usize {
        0
    }

    fn place(&self, _: &[JobRecord], in_use: &InUse) -> Vec<Placement> {
        *self.0.lock().unwrap() = in_use.clone();
        Vec::new()
    }
}

/// Nothing is in use any more, and what was spent is what the attempts say.
async fn in_use(world: &World, jobs: &[JobArchive]) -> Verdict {
    let session = SessionId::from_uuid(uuid::Uuid::from_u128(u128::MAX));
    world.store.open_session(session, "oracle").await.unwrap();
    let looks = Arc::new(Looks(Mutex::default()));
    let claim = Claim::new(session, world.clock.now(), 1).with_periods(vec![("all".parse().unwrap(), None)]);
    world.store.claim(claim, Arc::clone(&looks) as _).await.unwrap();
    let used = looks.0.lock().unwrap().clone();
    demand!(used.hosts.is_empty(), "places become free again", "{:?} are taken", used.hosts);
    let spent: BTreeMap<LaunchToken, _> =
        jobs.iter().flat_map(|archive| &archive.attempts).map(|it| (it.token(), it.charges.clone())).collect();
    let sum = spent.values().flatten().map(|charge| charge.amount.amount()).sum::<rust_decimal::Decimal>();
    let told = used.charged.iter().map(|charge| charge.amount.amount()).sum();
    demand!(sum == told, "costs are counted once", "the store counts {told}, the attempts {sum}");
    Ok(())
}
