//! Finding out at the provider what became of a launch.

use jiff::Timestamp;
use longshore_core::{LaunchIdempotency, LaunchRequest, Result};

use crate::{
    behaviour::Behaviour,
    launch::{Launched, conflict},
    world::State,
};

/// What a search finds.
#[derive(Debug)]
pub(crate) enum Found {
    Launched(Launched),
    /// There never was anything.
    Nothing,
    NoProof(&'static str),
}

/// Searches for the launch of the request.
pub(crate) fn search(
    state: &mut State,
    request: &LaunchRequest,
    behaviour: &Behaviour,
    idempotency: LaunchIdempotency,
    now: Timestamp,
) -> Result<Found> {
    if behaviour.unprovable == Some(true) {
        return Ok(Found::NoProof("nothing can be proven here, as scripted"));
    }
    state.refresh_all(now);
    let mut of_token = state.of_token(request.token).peekable();
    let is_taken = of_token.peek().is_some();
    if let Some(execution) = of_token.find(|execution| execution.request.owner == request.owner) {
        let (id, created_at) = (execution.id.clone(), execution.script.created_at);
        return Ok(Found::Launched(Launched { id, created_at, is_answer_lost: false }));
    }
    if is_taken {
        return Err(conflict("the token is used by another owner's execution"));
    }
    if state.launches(request.token) > 0 {
        return Ok(Found::NoProof("it was launched here once, and is gone"));
    }
    if idempotency == LaunchIdempotency::BestEffort {
        return Ok(Found::NoProof("a provider that knows neither names nor tokens may still be about to launch it"));
    }
    Ok(Found::Nothing)
}
