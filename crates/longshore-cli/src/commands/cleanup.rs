//! `longshore cleanup`: jobs that ended long ago, and what belongs to no job.

use futures::TryStreamExt;
use longshore::dispatcher::{find_leftovers, find_retired, remove_leftover, retire};
use longshore::store::JobStore;
use longshore::{Error, ErrorKind, ExecutorType, HostName, JobId, LaunchToken, Owner, Result, clock::earlier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt::Write, time::Duration};

use super::{complain, print};
use crate::{
    args::CleanupArgs,
    database::Database,
    fleet::Fleet,
    machine::Machine,
    text::{clean, json_line},
    values,
};

/// How long ago jobs must have ended, unless something else is said.
const JOBS: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long ago what lies on hosts must have been made, unless something else is said.
const ORPHANS: Duration = Duration::from_secs(3600);
/// How many attempts are asked about in one go.
const PAGE: usize = 500;
/// Not everything could be looked at or removed.
const INCOMPLETE: u8 = 1;

/// What `longshore cleanup --json` prints.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CleanupResult {
    /// Whether it only tells what would be removed.
    pub dry_run: bool,
    /// The jobs that are removed.
    pub jobs: Vec<JobId>,
    /// What was found on hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub executions: Vec<Orphan>,
    /// The attempts whose logs are removed, which belonged to no job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LaunchToken>,
    /// The hosts and the logs that could not be looked at or removed, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

/// Something on a host that belongs to no job that is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Orphan {
    /// The host.
    pub host: HostName,
    /// The kind of executor.
    pub executor: ExecutorType,
    /// The attempt that it was launched for.
    pub token: LaunchToken,
    /// The provider's own id of it.
    pub external_execution_id: String,
    /// Whether the database knows the attempt.
    pub known: bool,
    /// Whether it may still run.
    pub live: bool,
}

/// Cleans up, and returns the program's exit code.
///
/// # Errors
/// When something is wrong with the options; as the database answers.
pub(crate) async fn cleanup(args: &CleanupArgs) -> Result<u8> {
    let age = args.older_than.as_deref().map(values::age).transpose()?;
    let database = Database::open(&args.store).await?;
    let mut result = CleanupResult { dry_run: args.dry_run, ..CleanupResult::default() };
    if args.orphans {
        orphans(args, &database, age.unwrap_or(ORPHANS), &mut result).await?;
    } else {
        jobs(&database, age.unwrap_or(JOBS), &mut result).await?;
    }
    result.failures.iter().for_each(|failure| complain(&Error::new(ErrorKind::Unavailable, failure.clone())));
    print(&if args.json { json_line(&result).map_err(super::unwritable)? } else { text(&result, args.orphans) })?;
    Ok(if result.failures.is_empty() { 0 } else { INCOMPLETE })
}

/// Removes jobs that ended long ago, with their logs.
async fn jobs(database: &Database, age: Duration, result: &mut CleanupResult) -> Result<()> {
    let store = database.store.as_ref();
    let before = earlier(store.now().await?, age);
    if result.dry_run {
        while let Some(page) = Some(find_retired(store, before, result.jobs.last().copied()).await?)
            && !page.is_empty()
        {
            result.jobs.extend(page);
        }
        return Ok(());
    }
    let retired = retire(store, &database.logs().await?, before).await?;
    result.jobs = retired.jobs;
    for (token, error) in &retired.failures {
        let words = "cleanup --orphans removes it later";
        result.failures.push(format!("the log of {token} can't be removed ({}); {words}", error.chain()));
    }
    Ok(())
}

/// Removes what lies on hosts and among the logs and belongs to no job that is kept.
async fn orphans(args: &CleanupArgs, database: &Database, age: Duration, result: &mut CleanupResult) -> Result<()> {
    let owner = database.owner(args.owner.as_deref()).await?;
    let fleet = Fleet::open(&args.configuration, &Machine::sharing(&database.address)).await?;
    let snapshot = fleet.router.snapshot();
    for host in snapshot.table().hosts() {
        let swept = sweep(database.store.as_ref(), host.executor.as_ref(), &owner, age, result).await;
        match swept {
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => result.failures.push(format!("host {} can't be swept: {}", host.host.name, error.chain())),
            Ok(()) => {}
        }
    }
    // What was removed already is told whatever becomes of the logs.
    if let Err(error) = sweep_logs(database, result).await {
        result.failures.push(format!("the logs can't be swept: {}", error.chain()));
    }
    Ok(())
}

async fn sweep(
    store: &dyn JobStore,
    executor: &dyn longshore::ContainerExecutor,
    owner: &Owner,
    age: Duration,
    result: &mut CleanupResult,
) -> Result<()> {
    for leftover in find_leftovers(store, executor, owner, age, store.now().await?).await? {
        let execution = &leftover.execution;
        // What can't be removed keeps nothing else from being.
        if !result.dry_run
            && let Err(error) = remove_leftover(executor, &leftover).await
        {
            let (token, host) = (execution.handle.token, executor.host());
            result.failures.push(format!("{token} on host {host} can't be removed: {}", error.chain()));
            continue;
        }
        result.executions.push(Orphan {
            host: executor.host().clone(),
            executor: executor.executor_type().clone(),
            token: execution.handle.token,
            external_execution_id: execution.handle.external_execution_id.clone(),
            known: leftover.known,
            live: execution.live,
        });
    }
    if result.dry_run { Ok(()) } else { executor.collect(owner).await.map(drop) }
}

/// Removes logs whose attempt is not kept any more. What an open attempt has, its holder is just saving.
async fn sweep_logs(database: &Database, result: &mut CleanupResult) -> Result<()> {
    let logs = database.logs().await?;
    let tokens: Vec<LaunchToken> = logs.tokens().try_collect().await?;
    for tokens in tokens.chunks(PAGE) {
        let states = database.store.attempt_states(tokens).await?;
        for (token, _) in tokens.iter().zip(states).filter(|(_, state)| state.is_none()) {
            let removed = if result.dry_run { Ok(0) } else { logs.keep_only(*token, None).await };
            match removed {
                Ok(_) => result.logs.push(*token),
                Err(error) => {
                    result.failures.push(format!("the log of {token} can't be removed: {}", error.chain()));
                }
            }
        }
    }
    Ok(())
}

fn text(result: &CleanupResult, orphans: bool) -> String {
    let done = if result.dry_run { "would be removed" } else { "removed" };
    let mut text = String::new();
    for orphan in &result.executions {
        let state = if orphan.live { "may still run" } else { "has ended" };
        let id = clean(&orphan.external_execution_id);
        let _ = writeln!(text, "{} on {} ({id}, {state}) {done}", orphan.token, orphan.host);
    }
    result.logs.iter().for_each(|token| {
        let _ = writeln!(text, "the log of {token} {done}");
    });
    let _ = match orphans {
        true => writeln!(text, "{} executions and {} logs {done}", result.executions.len(), result.logs.len()),
        false => writeln!(text, "{} jobs {done}", result.jobs.len()),
    };
    text
}
