//! What is asked of jobs.

use jiff::Timestamp;
use longshore_core::clock::{later, since};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::call::Call;
use crate::fakes::cloudrun::{
    error::{Code, Refusal},
    job::Job,
    operation::Target,
    render,
    rules::{self, container, object, objects, text, texts},
    world::{World, typed},
};

/// The job, if it can be found by now.
pub(super) fn find<'a>(world: &'a World, call: &Call, now: Timestamp) -> Result<&'a Job, Refusal> {
    let job = world.jobs.get(&call.name.job).filter(|job| since(now, job.created) >= world.trouble.get_lag);
    job.ok_or_else(|| call.name.missing("JOB", &call.name.job))
}

pub(super) fn get(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.jobs.get", &call.name.whole)?;
    Ok(world.place().job(find(world, call, now)?, now))
}

pub(super) fn create(world: &mut World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.jobs.create", &call.name.whole)?;
    let generated = format!("job-{}", &Uuid::new_v4().simple().to_string()[..8]);
    let name = call.text("jobId").map_or(generated, str::to_owned);
    if text(&call.body, "name").is_some() {
        return Err(Refusal::field("job.name", "must be empty: the name of the job is given by job_id."));
    }
    make(world, call, &name, now)
}

fn make(world: &mut World, call: &Call, name: &str, now: Timestamp) -> Result<Value, Refusal> {
    rules::job_name(name)?;
    check(world, call, name)?;
    if world.jobs.contains_key(name) {
        let whole = world.place().job_name(name);
        return Err(Refusal::new(Code::AlreadyExists, format!("Resource '{whole}' already exists.")));
    }
    if world.jobs.len() >= world.options.limits.jobs {
        let limit = world.options.limits.jobs;
        let message =
            format!("Quota exceeded for total jobs in region: the limit is {limit}. Delete jobs, or ask for more.");
        return Err(Refusal::new(Code::ResourceExhausted, message));
    }
    let job = Job {
        name: name.to_owned(),
        uid: Uuid::new_v4().to_string(),
        spec: Map::new(),
        created: now,
        updated: now,
        generation: 0,
        ready: now,
        failure: None,
        executions: Vec::new(),
        executions_made: 0,
        forgotten_starts: 0,
        gone: None,
    };
    deploy(world, call, job, now)
}

fn check(world: &World, call: &Call, name: &str) -> Result<(), Refusal> {
    rules::job(name, &call.body)?;
    let task = object(&object(&call.body, "template"), "template");
    let account = text(&task, "serviceAccount").unwrap_or("the default service account");
    world.iam.authorize("iam.serviceaccounts.actAs", account)
}

/// Deploys a job's new specification, and makes the execution that its token asks for.
fn deploy(world: &mut World, call: &Call, mut job: Job, now: Timestamp) -> Result<Value, Refusal> {
    let mut spec = render::with_defaults(call.body.clone(), &world.options.project);
    spec.remove("etag");
    spec.remove("name");
    job.failure = world.deployment_failure(&spec);
    job.spec = spec;
    job.updated = now;
    job.generation += 1;
    job.ready = later(now, world.options.pace.deploy);
    let execution = job.by_token().map(|(name, _)| name).filter(|_| job.failure.is_none());
    if execution.is_some() {
        world.has_room_for_execution(now)?;
    }
    let (name, ready) = (job.name.clone(), job.ready);
    let template = object(&job.spec, "template");
    if call.flag("validateOnly") {
        let shown = typed("Job", world.place().job(&job, now));
        return Ok(world.operate(Target::Nothing, shown, now));
    }
    world.jobs.insert(name.clone(), job);
    if let Some(execution) = execution {
        world.execute(&name, execution, template, ready, now)?;
    }
    let shown = world.show_job(&name, now).unwrap_or_default();
    Ok(world.operate(Target::Deploy { job: name }, shown, now))
}

pub(super) fn patch(world: &mut World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.jobs.update", &call.name.whole)?;
    let name = call.name.job.clone();
    if text(&call.body, "name").is_some_and(|given| given != call.name.whole) {
        return Err(Refusal::field("job.name", format!("must be '{}', as in the path.", call.name.whole)));
    }
    if !world.jobs.contains_key(&name) && call.flag("allowMissing") {
        world.iam.authorize("run.jobs.create", &call.name.whole)?;
        return make(world, call, &name, now);
    }
    check_etag(find(world, call, now)?, text(&call.body, "etag"))?;
    check(world, call, &name)?;
    let token = |kind| text(&call.body, kind).map(|token| format!("{name}-{token}"));
    let asked = token("startExecutionToken").or_else(|| token("runExecutionToken"));
    let known = find(world, call, now)?;
    if let Some(execution) = asked.filter(|asked| known.executions.iter().any(|it| it.name == *asked)) {
        let whole = world.place().execution_name(&name, &execution);
        return Err(Refusal::new(Code::AlreadyExists, format!("Resource '{whole}' already exists.")));
    }
    if call.flag("validateOnly") {
        let shown = world.show_job(&name, now).unwrap_or_default();
        return Ok(world.operate(Target::Nothing, shown, now));
    }
    world.has_room_for_execution(now)?;
    let job = world.jobs.remove(&name).ok_or_else(|| call.name.missing("JOB", &name))?;
    deploy(world, call, job, now)
}

fn check_etag(job: &Job, given: Option<&str>) -> Result<(), Refusal> {
    if given.is_none_or(|given| given == job.etag()) {
        return Ok(());
    }
    Err(Refusal::new(Code::Aborted, "Conflict: the etag is not that of the present version of the resource."))
}

pub(super) fn run(world: &mut World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    let overrides = object(&call.body, "overrides");
    let permission = if overrides.is_empty() { "run.jobs.run" } else { "run.jobs.runWithOverrides" };
    world.iam.authorize(permission, &call.name.whole)?;
    let job = find(world, call, now)?;
    check_etag(job, text(&call.body, "etag"))?;
    if let Some(failure) = &job.failure {
        let message = format!("Job '{}' is not ready: {}", job.name, failure.message());
        return Err(Refusal::new(Code::FailedPrecondition, message));
    }
    let spec = overridden(object(&job.spec, "template"), &overrides)?;
    let suffix = &Uuid::new_v4().simple().to_string()[..5];
    let (job, execution) = (job.name.clone(), format!("{}-{suffix}", job.name));
    if call.flag("validateOnly") {
        return Ok(world.operate(Target::Nothing, typed("Execution", json!({})), now));
    }
    world.execute(&job, execution.clone(), spec, now, now)?;
    let shown = world.show_execution(&job, &execution, now).unwrap_or_default();
    Ok(world.operate(Target::Complete { job, execution }, shown, now))
}

/// The job's template with the overrides of one execution.
fn overridden(mut spec: Map<String, Value>, overrides: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    if let Some(count) = overrides.get("taskCount").and_then(Value::as_i64).filter(|count| *count != 0) {
        rules::task_count("overrides.task_count", count)?;
        spec.insert("taskCount".into(), count.into());
    }
    let mut task = object(&spec, "template");
    if let Some(timeout) = text(overrides, "timeout") {
        rules::timeout("overrides.timeout", Some(timeout), false)?;
        task.insert("timeout".into(), timeout.into());
    }
    let containers = objects(overrides, "containerOverrides");
    if containers.len() > 1 {
        return Err(Refusal::field("overrides.container_overrides", "a job has one container."));
    }
    if let Some(given) = containers.first() {
        let container = objects(&task, "containers").into_iter().next().unwrap_or_default();
        let container = override_container(container, given)?;
        task.insert("containers".into(), json!([container]));
    }
    spec.insert("template".into(), task.into());
    Ok(spec)
}

fn override_container(mut container: Map<String, Value>, given: &Map<String, Value>) -> Result<Value, Refusal> {
    let args = texts(given, "args").unwrap_or_default();
    let clears = given.get("clearArgs") == Some(&Value::Bool(true));
    if clears && !args.is_empty() {
        return Err(Refusal::field("overrides.container_overrides[0]", "args and clear_args can't both be set."));
    }
    if clears || !args.is_empty() {
        container.insert("args".into(), args.into());
    }
    let added = objects(given, "env");
    container::environment("overrides.container_overrides[0]", &added)?;
    let replaced = |variable: &Map<String, Value>| added.iter().any(|it| it.get("name") == variable.get("name"));
    let kept = objects(&container, "env").into_iter().filter(|variable| !replaced(variable));
    let env: Vec<Value> = kept.chain(added.iter().cloned()).map(Value::Object).collect();
    container.insert("env".into(), env.into());
    Ok(Value::Object(container))
}

pub(super) fn delete(world: &mut World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.jobs.delete", &call.name.whole)?;
    let job = find(world, call, now)?;
    check_etag(job, call.text("etag"))?;
    let (name, gone) = (job.name.clone(), later(now, world.options.pace.delete));
    if !call.flag("validateOnly") {
        remove(world, &name, gone, now);
    }
    let shown = world.show_job(&name, now).unwrap_or_default();
    let target = if call.flag("validateOnly") { Target::Nothing } else { Target::DeleteJob { job: name } };
    Ok(world.operate(target, shown, now))
}

/// Removes a job and all of its executions, those that still run included. False when there is none.
pub(crate) fn remove(world: &mut World, name: &str, gone: Timestamp, now: Timestamp) -> bool {
    let Some(job) = world.jobs.get_mut(name) else { return false };
    job.gone.get_or_insert(gone);
    for execution in &mut job.executions {
        if !execution.is_over(now) {
            execution.cancel(now);
        }
    }
    true
}

pub(super) fn test_permissions(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    let asked = texts(&call.body, "permissions").unwrap_or_default();
    // What does not exist gives nobody any permission.
    let exists = find(world, call, now).is_ok();
    let held: Vec<String> = asked.into_iter().filter(|it| exists && world.iam.allows(it)).collect();
    Ok(if held.is_empty() { json!({}) } else { json!({ "permissions": held }) })
}
