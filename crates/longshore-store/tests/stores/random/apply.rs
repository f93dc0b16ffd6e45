//! One operation on one store, and what it answers, as text.

use longshore_core::{JobId, JobStatus, LabelValue, Priority, Result};
use longshore_store::{
    Adoption, Beat, Change, Charge, Claim, Intervention, JobQuery, JobStore, Outcome, Pause, Submission, WaitingFor,
    What,
};
use std::{collections::BTreeMap, sync::Arc};

use super::{
    Known, job_id, moment,
    operation::{Asked, HOSTS, Happened, NAMES, Operation, Wish},
    session_id, token,
};
use crate::{
    desk::Desk,
    support::{self, closed, exited, host, launched, noted, request, requeued, started},
};

const STATUSES: [JobStatus; 8] = [
    JobStatus::Pending,
    JobStatus::Launching,
    JobStatus::Running,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::TimedOut,
    JobStatus::Cancelled,
    JobStatus::Lost,
];

type Store = Arc<dyn JobStore>;

fn told<T: std::fmt::Debug>(result: Result<T>) -> String {
    format!("{result:?}")
}

/// Does it, and says what the store answers. What it refers to is looked up in the model.
pub(crate) async fn apply(store: &Store, operation: &Operation, now: i64, model: &Store, known: &Known) -> String {
    match operation {
        Operation::Again => String::new(),
        Operation::Submit(wishes) => told(store.submit(wishes.iter().map(submission).collect(), moment(now)).await),
        Operation::Intervene { job, what } => told(store.intervene(job_id(*job), asked(*what), request(now)).await),
        Operation::Pause { host } => told(store.pause(Pause::new(host.map(host_of), request(now))).await),
        Operation::Resume { host } => told(store.resume(host.map(host_of).as_ref(), request(now)).await),
        Operation::Import => told(store.import(known.exported.clone()).await),
        Operation::Export => told(store.archive(None, 100).await),
        Operation::Archive { after, most } => told(store.archive(after.map(job_id), *most).await),
        Operation::Purge(jobs) => told(store.purge(&jobs.iter().copied().map(job_id).collect::<Vec<_>>()).await),
        Operation::Look { job, session } => look(store, job_id(*job), *session).await,
        Operation::List { .. } => told(store.jobs(&query(operation)).await),
        of_session => as_session(store, of_session, now, model, known).await,
    }
}

async fn as_session(store: &Store, operation: &Operation, now: i64, model: &Store, known: &Known) -> String {
    match operation {
        Operation::Open { session } => told(store.open_session(session_id(*session), "one").await),
        Operation::Beat { session } => told(store.beat(session_id(*session)).await),
        Operation::Fence { session, other, late } => {
            let mut beat = known.beats.get(&session_id(*other)).cloned();
            let beat = beat.get_or_insert_with(|| Beat::new(session_id(*other), 0, false, String::new()));
            beat.beats += u64::from(*late);
            told(store.fence(session_id(*session), beat).await)
        }
        Operation::Close { session } => told(store.close_session(session_id(*session)).await),
        Operation::Adopt { session, most, host, before } => {
            let hosts = host
                .map_or_else(|| HOSTS.iter().map(|name| support::host(name)).collect(), |one| [host_of(one)].into());
            let adoption = Adoption::new(*most, moment(now + 60), hosts)
                .with_unserved_before(before.map_or(jiff::Timestamp::MIN, moment));
            told(store.adopt(session_id(*session), adoption).await)
        }
        Operation::Claim { session, most, places: (a, b), dollars } => {
            let session = session_id(*session);
            let desk = Desk::with(&[("a", *a), ("b", *b)]).with_budget(*dollars).of(session, moment(now));
            let claim = Claim::new(session, moment(now), *most).with_periods(desk.periods());
            told(store.claim(claim, Arc::new(desk)).await)
        }
        Operation::Wake { session } => told(store.wake_queue(session_id(*session)).await),
        Operation::Record { session, changes } => {
            let changes = resolve(changes, now, model).await;
            told(store.record(session_id(*session), changes).await)
        }
        other => panic!("{other:?} is not a session's"),
    }
}

/// What the operations to come may refer to: what was exported, and the pulses that a beat was answered with.
pub(crate) async fn learn(model: &Store, operation: &Operation, known: &mut Known) {
    if matches!(operation, Operation::Export) {
        known.exported = model.archive(None, 100).await.unwrap_or_default();
    }
    if let Operation::Open { session } | Operation::Beat { session } = operation {
        let seen = Beat::new(session_id(*session), 0, false, String::new());
        known.beats.entry(session_id(*session)).or_insert(seen).beats +=
            u64::from(matches!(operation, Operation::Beat { .. }));
    }
}

async fn look(store: &Store, job: JobId, session: u8) -> String {
    let session = session_id(session);
    let states = store.attempt_states(&[token(job, 2), token(job, 1)]).await;
    let of_job = (store.job(job).await, store.attempts(job).await, store.events(job).await);
    let of_session = (store.held(session).await, store.interventions(session).await);
    format!("{of_job:?} {of_session:?} {:?} {states:?} {:?}", store.attempt(token(job, 1)).await, store.counts().await)
}

fn host_of(number: u8) -> longshore_core::HostName {
    host(HOSTS[usize::from(number)])
}

fn submission(wish: &Wish) -> Submission {
    let mut job = support::job(NAMES[usize::from(wish.name)], moment(0));
    job.id = job_id(wish.job);
    job.priority = Priority::new(wish.priority).unwrap();
    if wish.labelled {
        job.template.labels = BTreeMap::from([("team".parse().unwrap(), LabelValue::new("red").unwrap())]);
    }
    let key = wish.key.map(|key| format!("key {key}").parse().unwrap());
    Submission::builder(job).maybe_idempotency_key(key).build()
}

fn asked(what: Asked) -> Intervention {
    match what {
        Asked::Cancel => Intervention::Cancel,
        Asked::SettleLost => Intervention::SettleLost,
        Asked::Reprioritize(priority) => Intervention::Reprioritize(Priority::new(priority).unwrap()),
    }
}

fn query(operation: &Operation) -> JobQuery {
    let Operation::List { status, host, name, since, after, limit } = operation else { unreachable!() };
    let labels =
        name.is_some_and(|name| name % 2 == 0).then(|| ("team".parse().unwrap(), LabelValue::new("red").unwrap()));
    JobQuery::builder()
        .statuses(status.map(|status| STATUSES[usize::from(status)]))
        .maybe_host(host.map(host_of))
        .maybe_template(name.map(|name| NAMES[usize::from(name)]))
        .labels(labels.into_iter().collect())
        .maybe_since(since.map(moment))
        .maybe_finished_before(since.map(|since| moment(since + 100)).filter(|_| name.is_some()))
        .maybe_after(after.map(job_id))
        .limit(*limit)
        .build()
}

async fn resolve(changes: &[(u8, u8, Happened)], now: i64, model: &Store) -> Vec<Change> {
    let mut resolved = Vec::new();
    for (job, attempt, happened) in changes {
        let job = job_id(*job);
        let last = model.job(job).await.map_or(1, |record| record.attempts);
        let number = if *attempt == 0 { last } else { u32::from(*attempt) };
        resolved.push(change(token(job, number), *happened, now, model).await);
    }
    resolved
}

async fn change(token: longshore_core::LaunchToken, happened: Happened, now: i64, model: &Store) -> Change {
    match happened {
        Happened::Renewed => match model.attempt(token).await {
            Ok(held) => {
                let mut request = held.attempt.request;
                request.deadline = moment(now + 30);
                Change::new(token, moment(now), What::Renewed(Arc::new(request)))
            }
            Err(_) => noted(token, "nothing", now),
        },
        Happened::Launched => launched(token, now),
        Happened::Started => started(token, now),
        Happened::Exited { code, closed, cents } => charged(exited(token, code, now), cents, closed),
        Happened::Requeued { host, seconds, refused, closed } => {
            let waiting_for = match (host, seconds.map(|seconds| moment(now + seconds))) {
                (Some(host), until) => WaitingFor::hosts([host_of(host)]).at_most_until(until),
                (None, Some(until)) => WaitingFor::until(until),
                (None, None) => WaitingFor::NOTHING,
            };
            let refused_by = host.map(host_of).filter(|_| refused);
            charged(requeued(token, waiting_for, refused_by, now), 0, closed)
        }
        Happened::Lost => {
            let next = longshore_store::Next::Finish(JobStatus::Lost);
            support::ended(token, Outcome::lost("nobody knows"), next, now)
        }
        Happened::Closed => closed(token, now),
        Happened::Noted => noted(token, "odd", now),
    }
}

fn charged(mut change: Change, cents: u32, is_closed: bool) -> Change {
    if let What::Ended { charges, closed, .. } = &mut change.what {
        *closed = is_closed;
        if cents > 0 {
            let amount = format!("0.{cents:02} USD").parse().unwrap();
            charges.push(Charge::new(Desk::budget(), Desk::period(), amount));
        }
    }
    change
}
