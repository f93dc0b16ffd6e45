//! Lists, page by page, the newest first.

use jiff::Timestamp;
use longshore_core::clock::since;
use serde_json::{Value, json};

use super::call::Call;
use crate::fakes::cloudrun::{
    error::Refusal,
    execution::Execution,
    job::Job,
    pages::{Cut, Paging},
    world::World,
};

/// Stands for all jobs or all executions in a parent's name.
const ALL: &str = "-";
const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

pub(super) fn jobs(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.jobs.list", &call.name.whole)?;
    let removed = world.removed.iter().filter(|_| call.flag("showDeleted"));
    let listed = world.jobs.values().chain(removed).filter(|job| is_listed(world, job.created, now));
    let items = listed.map(|job| (key(job.created, &job.name), job)).collect();
    answer(world, call, "jobs", items, |job| world.place().job(job, now))
}

pub(super) fn executions(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.executions.list", &call.name.whole)?;
    let listed = executions_of(world, call, now)?;
    let items = listed.into_iter().map(|(job, it)| (key(it.created, &it.name), (job, it))).collect();
    answer(world, call, "executions", items, |(job, it)| world.place().execution(&job.name, it, now))
}

pub(super) fn tasks(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.tasks.list", &call.name.whole)?;
    let wanted = call.name.execution.as_str();
    let listed = executions_of(world, call, now)?;
    let listed: Vec<_> = listed.into_iter().filter(|(_, it)| wanted == ALL || it.name == wanted).collect();
    if listed.is_empty() && wanted != ALL {
        return Err(call.name.missing("EXECUTION", wanted));
    }
    let items = listed.into_iter().flat_map(|(job, it)| {
        let place = move |index: u32| key(it.created, &format!("{}/{index:05}", it.name));
        it.tasks.iter().map(move |task| (place(task.index), (job, it, task)))
    });
    answer(world, call, "tasks", items.collect(), |(job, it, task)| world.place().task(&job.name, it, task, now))
}

pub(super) fn operations(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.operations.list", &call.name.whole)?;
    let wanted = match call.text("filter").unwrap_or_default() {
        "" => None,
        "done:true" => Some(true),
        "done:false" => Some(false),
        other => return Err(Refusal::field("filter", format!("must be done:true or done:false, found '{other}'."))),
    };
    let listed = world.operations.values().filter(|operation| wanted.is_none_or(|done| operation.is_done() == done));
    let items = listed.map(|operation| (key(operation.created, &operation.name), operation)).collect();
    answer(world, call, "operations", items, |operation| operation.json(world, now))
}

/// The executions of the job in the parent's name, or of all jobs.
fn executions_of<'a>(world: &'a World, call: &Call, now: Timestamp) -> Result<Vec<(&'a Job, &'a Execution)>, Refusal> {
    let wanted = call.name.job.as_str();
    if wanted != ALL && !world.jobs.contains_key(wanted) {
        return Err(call.name.missing("JOB", wanted));
    }
    let jobs = world.jobs.values().filter(|job| wanted == ALL || job.name == wanted);
    let executions = jobs.flat_map(|job| job.visible(now).map(move |execution| (job, execution)));
    Ok(executions.filter(|(_, execution)| is_listed(world, execution.created, now)).collect())
}

fn is_listed(world: &World, created: Timestamp, now: Timestamp) -> bool {
    since(now, created) >= world.trouble.list_lag
}

/// By what a list is in order: the newest first.
fn key(created: Timestamp, name: &str) -> String {
    let age = i128::from(i64::MAX) - created.as_nanosecond();
    format!("{age:032}/{name}")
}

fn answer<T>(
    world: &World,
    call: &Call,
    field: &str,
    mut items: Vec<(String, T)>,
    show: impl Fn(T) -> Value,
) -> Result<Value, Refusal> {
    items.sort_by(|(one, _), (other, _)| one.cmp(other));
    let most = world.trouble.page_limit.unwrap_or(LARGEST_PAGE);
    let cut = Cut { default: DEFAULT_PAGE.min(most), most, shifting: world.trouble.shifting_pages };
    let scope = [call.method.id.as_str(), call.name.whole.as_str(), call.text("filter").unwrap_or_default()];
    let token = call.text("pageToken").unwrap_or_default();
    let (page, next) = Paging::new(call.number("pageSize"), token, &scope, &cut)?.cut(items);
    let mut answer = json!({});
    if !page.is_empty() {
        answer[field] = page.into_iter().map(show).collect();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}
