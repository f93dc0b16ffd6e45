//! What is asked of executions and tasks.

use jiff::Timestamp;
use longshore_core::clock::{later, since};
use serde_json::Value;

use super::{call::Call, jobs};
use crate::fakes::cloudrun::{
    error::{Code, Refusal},
    execution::Execution,
    operation::Target,
    world::World,
};

fn find<'a>(world: &'a World, call: &Call, now: Timestamp) -> Result<&'a Execution, Refusal> {
    let name = &call.name.execution;
    let known = jobs::find(world, call, now).ok().and_then(|job| job.execution(name, now));
    let known = known.filter(|execution| since(now, execution.created) >= world.trouble.get_lag);
    known.ok_or_else(|| call.name.missing("EXECUTION", name))
}

pub(super) fn get(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.executions.get", &call.name.whole)?;
    Ok(world.place().execution(&call.name.job, find(world, call, now)?, now))
}

pub(super) fn get_task(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.tasks.get", &call.name.whole)?;
    let execution = find(world, call, now)?;
    let task = execution.tasks.iter().find(|task| execution.task_name(task) == call.name.task);
    let task = task.ok_or_else(|| call.name.missing("TASK", &call.name.task))?;
    Ok(world.place().task(&call.name.job, execution, task, now))
}

pub(super) fn cancel(world: &mut World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.executions.cancel", &call.name.whole)?;
    let execution = find(world, call, now)?;
    if execution.is_over(now) {
        let message = format!("Execution '{}' has completed and can't be cancelled.", execution.name);
        return Err(Refusal::new(Code::FailedPrecondition, message));
    }
    let target = if call.flag("validateOnly") {
        Target::Nothing
    } else {
        change(world, call, |execution| execution.cancel(now));
        Target::Complete { job: call.name.job.clone(), execution: call.name.execution.clone() }
    };
    operate(world, call, target, now)
}

pub(super) fn delete(world: &mut World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.executions.delete", &call.name.whole)?;
    let execution = find(world, call, now)?;
    if !execution.is_over(now) {
        let message = format!("Execution '{}' is running and can't be deleted; cancel it first.", execution.name);
        return Err(Refusal::new(Code::FailedPrecondition, message));
    }
    let gone = later(now, world.options.pace.delete);
    let target = if call.flag("validateOnly") {
        Target::Nothing
    } else {
        change(world, call, |execution| execution.deleted = Some(execution.deleted.unwrap_or(gone)));
        Target::DeleteExecution { job: call.name.job.clone(), execution: call.name.execution.clone() }
    };
    operate(world, call, target, now)
}

fn change(world: &mut World, call: &Call, change: impl FnOnce(&mut Execution)) {
    let executions = world.jobs.get_mut(&call.name.job).into_iter().flat_map(|job| &mut job.executions);
    if let Some(execution) = executions.into_iter().find(|execution| execution.name == call.name.execution) {
        change(execution);
    }
}

fn operate(world: &mut World, call: &Call, target: Target, now: Timestamp) -> Result<Value, Refusal> {
    let shown = world.show_execution(&call.name.job, &call.name.execution, now).unwrap_or_default();
    Ok(world.operate(target, shown, now))
}
