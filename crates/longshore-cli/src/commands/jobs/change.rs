//! What people ask of jobs: that they end, run again, count as lost, or wait with another priority.

use longshore::store::{IdempotencyKey, Intervention, JobRecord, Submission};
use longshore::{Clock, ContainerJob, Error, ErrorKind, JobId, Priority, Result, SystemClock};

use crate::{
    args::{ChangeArgs, RetryJobArgs},
    commands::{
        complain, print,
        submit::{submit_one, tell},
        unwritable,
    },
    database::Database,
    job_id,
    reader::Reader,
    text::json_line,
};

/// Not all of the jobs could be changed.
const REFUSED: u8 = 1;

pub(super) async fn cancel(args: &ChangeArgs) -> Result<u8> {
    change(args, &Intervention::Cancel, |job| {
        let is_over = job.status.is_terminal();
        format!("{} is {}", job.id(), if is_over { "cancelled" } else { "being stopped" })
    })
    .await
}

pub(super) async fn settle_lost(args: &ChangeArgs) -> Result<u8> {
    change(args, &Intervention::SettleLost, |job| format!("{} is lost", job.id())).await
}

pub(super) async fn prioritize(priority: &str, args: &ChangeArgs) -> Result<u8> {
    let mut reader = Reader::default();
    let priority: Option<Priority> = reader.one("PRIORITY", Some(priority));
    reader.finish()?;
    let asked = Intervention::Reprioritize(priority.unwrap_or_default());
    change(args, &asked, |job| format!("{} has priority {}", job.id(), job.job().priority)).await
}

/// Asks the same of each job, and goes on after a refusal.
async fn change(args: &ChangeArgs, asked: &Intervention, told: impl Fn(&JobRecord) -> String) -> Result<u8> {
    let database = Database::open(&args.store).await?;
    let ids = job_id::find_all(database.store.as_ref(), &args.ids).await?;
    let mut changed = Vec::with_capacity(ids.len());
    for id in &ids {
        let request = database.request(args.why.as_deref()).await?;
        match database.store.intervene(*id, asked.clone(), request).await {
            Ok(job) => changed.push(job),
            Err(error) if is_refusal(&error) => complain(&error),
            Err(error) => return Err(error),
        }
    }
    if args.json {
        print(&json_line(&changed).map_err(unwritable)?)?;
    } else {
        print(&changed.iter().map(|job| told(job) + "\n").collect::<String>())?;
    }
    Ok(if changed.len() == ids.len() { 0 } else { REFUSED })
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound)
}

/// Hands a job that has ended in again.
pub(super) async fn retry(args: &RetryJobArgs) -> Result<u8> {
    let mut reader = Reader::default();
    let key: Option<IdempotencyKey> = reader.one("--idempotency-key", args.idempotency_key.as_deref());
    reader.finish()?;
    let database = Database::open(&args.store).await?;
    let id = job_id::find(database.store.as_ref(), &args.id).await?;
    let old = database.store.job(id).await?;
    if !old.status.is_terminal() {
        let message = format!("job {id} is {}; only a job that has ended can be run again", old.status);
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    let submission = again(&old, key);
    let name = submission.job.template.name.clone();
    tell(args.json, submit_one(&database, submission).await?, name)
}

/// The same job, as a new one.
fn again(old: &JobRecord, key: Option<IdempotencyKey>) -> Submission {
    let now = SystemClock.now();
    let mut job: ContainerJob = old.job().clone();
    (job.id, job.created_at) = (JobId::new(now), now);
    let bound = old.submission.bound.clone();
    Submission::builder(job).maybe_bound(bound).maybe_idempotency_key(key).retry_of(old.id()).build()
}
