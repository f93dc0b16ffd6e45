//! What is asked of operations.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::Call;
use crate::fakes::cloudrun::{error::Refusal, world::World};

pub(super) fn get(world: &World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    world.iam.authorize("run.operations.get", &call.name.whole)?;
    let operation = world.operations.get(&call.name.whole);
    let operation = operation.ok_or_else(|| call.name.missing("OPERATION", &call.name.operation))?;
    Ok(operation.json(world, now))
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Value, Refusal> {
    world.iam.authorize("run.operations.delete", &call.name.whole)?;
    let removed = world.operations.remove(&call.name.whole);
    removed.map(|_| json!({})).ok_or_else(|| call.name.missing("OPERATION", &call.name.operation))
}
