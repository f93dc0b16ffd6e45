//! `longshore submit`: a job for a dispatcher.

use longshore::store::{IdempotencyKey, Submission, Submitted};
use longshore::{
    Clock, Error, ErrorKind, ExecutorType, JobId, JobName, Principal, Result, RetryOn, RetryPolicy, SystemClock,
    Violation, config::DescribedJob, route::Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

use super::{notice, own_folder, own_variable, print};
use crate::{
    args::{RetryArgs, SubmitArgs},
    configuration,
    database::{self, Database},
    described, env_file, host, job,
    reader::Reader,
    text::json_line,
    values,
};

/// What `longshore submit --json` prints.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct SubmitReport {
    /// The job's id.
    pub job: JobId,
    /// The job's name.
    pub name: JobName,
    /// False when the same had been handed in before, with the same key.
    pub new: bool,
}

/// Hands the job in, and prints its id.
///
/// # Errors
/// `Invalid` with everything that is wrong with the options; as the database answers.
pub(crate) async fn submit(args: &SubmitArgs) -> Result<u8> {
    let submission = submission(args).await?;
    let name = submission.job.template.name.clone();
    let database = Database::open(&args.store).await?;
    tell(args.json, submit_one(&database, submission).await?, name)
}

/// Stores one submission.
///
/// # Errors
/// As the database answers.
pub(super) async fn submit_one(database: &Database, submission: Submission) -> Result<Submitted> {
    let submitted = database.store.submit(vec![submission], database.store.now().await?).await?;
    let nothing = || Err(Error::new(ErrorKind::Unexpected, "the database gave no answer"));
    submitted.into_iter().next().unwrap_or_else(nothing)
}

/// Prints what became of a submission.
///
/// # Errors
/// When stdout can't be written to.
pub(super) fn tell(json: bool, submitted: Submitted, name: JobName) -> Result<u8> {
    let is_new = matches!(submitted, Submitted::New(_));
    let report = SubmitReport { job: submitted.id(), name, new: is_new };
    if json {
        print(&json_line(&report).map_err(super::unwritable)?)?;
        return Ok(0);
    }
    if !is_new {
        notice("the same had been handed in before with this key; this is its job");
    }
    print(&format!("{}\n", report.job)).map(|()| 0)
}

async fn submission(args: &SubmitArgs) -> Result<Submission> {
    let files = args.job.container.env_file.iter().map(|path| env_file::read(path)).collect::<Result<Vec<_>>>()?;
    let loader = configuration::loader();
    let config = if args.no_config { None } else { configuration::load(&args.configuration, &loader)? };
    let mut reader = Reader::default();
    let begun = described::begun(&mut reader, &args.job, &loader, config.as_ref(), &args.store).await?;
    let mut job = job::job(&mut reader, &args.job, begun, &files.concat(), &own_variable, &own_folder())?;
    let bound = match &config {
        Some(config) => configuration::target(&mut reader, args.executor.as_deref(), config),
        None => kind(&mut reader, args.executor.as_deref(), loader.registry()),
    };
    let only = match &bound {
        Some(Target::Executor(kind)) => Some(kind),
        _ => None,
    };
    let options = host::options(&mut reader, &args.executor_option, loader.registry(), only);
    asked(&mut reader, args, &mut job);
    let key: Option<IdempotencyKey> = reader.one("--idempotency-key", args.idempotency_key.as_deref());
    reader.finish()?.iter().for_each(|text| notice(text));
    host::add_options(&mut job.template, options);
    let job = job.into_job(SystemClock.now());
    Ok(Submission::builder(job).maybe_bound(bound).maybe_idempotency_key(key).build())
}

/// A kind of executor, where there is no configuration that has hosts.
fn kind(reader: &mut Reader, name: Option<&str>, registry: &longshore::ExecutorRegistry) -> Option<Target> {
    let kind: ExecutorType = reader.one("--executor", name)?;
    if !host::has(registry, kind.as_str()) {
        let rule = "without a configuration it is a kind of executor; `longshore executors` lists them";
        reader.complain(Violation::new("--executor", kind.as_str(), rule));
    }
    Some(Target::Executor(kind))
}

/// What is asked of the dispatcher. Whoever is signed in here asks for it, unless somebody else is named.
fn asked(reader: &mut Reader, args: &SubmitArgs, job: &mut DescribedJob) {
    if let Some(priority) = reader.one("--priority", args.priority.as_deref()) {
        job.priority = Some(priority);
    }
    if let Some(limit) = reader.read("--queue-timeout", args.queue_timeout.as_deref(), values::time) {
        job.queue_timeout = Some(limit);
    }
    retry(reader, &args.retry, &mut job.retry);
    job.created_by.get_or_insert_with(|| Principal::builder().name(database::user()).build());
}

/// How often a job is run again that says after which ends, and not how often.
const RETRIES: u32 = 2;

fn retry(reader: &mut Reader, args: &RetryArgs, policy: &mut Option<RetryPolicy>) {
    let most = reader.read("--retries", args.retries.as_deref(), values::number);
    let on = reader.each("--retry-on", &args.retry_on, end);
    let codes = reader.each("--retry-exit-code", &args.retry_exit_code, values::number);
    let pause = reader.read("--retry-pause", args.retry_pause.as_deref(), values::time);
    let is_asked = most.is_some() || !on.is_empty() || !codes.is_empty() || pause.is_some();
    if !is_asked {
        return;
    }
    let attempts = |most: u32| NonZeroU32::MIN.saturating_add(most);
    let mut new = policy.take().unwrap_or_else(|| {
        let usual = if on.is_empty() && codes.is_empty() {
            vec![RetryOn::Infrastructure, RetryOn::Preemption]
        } else {
            Vec::new()
        };
        RetryPolicy::builder().max_attempts(attempts(RETRIES)).on(usual).build()
    });
    if let Some(most) = most {
        new.max_attempts = attempts(most);
    }
    if !on.is_empty() || !codes.is_empty() {
        (new.on, new.exit_codes) = (on.into_iter().collect(), codes.into_iter().collect());
    }
    new.first_pause = pause.or(new.first_pause);
    *policy = Some(new);
}

fn end(text: &str) -> Result<RetryOn, Violation> {
    serde_json::from_value(text.into())
        .map_err(|_| Violation::new("end", text, "use infrastructure, preemption, out-of-memory, timeout or failure"))
}
