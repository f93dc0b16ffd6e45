//! Stopping, in two phases and verified.

use longshore_core::{Clock, Error, ErrorKind, Result, Signal, StopReason, StopRequest};
use std::time::Duration;

use crate::{
    client::Engine,
    mapping::{
        answers::Container,
        state::{self, Stage, StopNote},
    },
    notes::{Notes, NotesFile},
};

/// How long a killed container may take to be reported as ended.
const CONFIRM: Duration = Duration::from_secs(60);
/// How long the answer to another stop may be on its way after the end; only one that was lost takes so long.
const AGREE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Stops a container and returns it as it is after its end. The reason is noted on disk before the engine is
/// asked, so that whoever looks later knows whose stop it was. A container that was made and never started is
/// removed, so that nobody can start it any more.
pub(crate) async fn stop(
    engine: &Engine,
    id: &str,
    notes: &NotesFile,
    stop: &StopRequest,
    clock: &dyn Clock,
) -> Result<Container> {
    let container = engine.inspect(id).await?;
    match state::stage(&container) {
        Stage::Ended => {
            agree(notes, notes.read().stop, clock).await?;
            return Ok(container);
        }
        Stage::Created { .. } => {
            let message =
                "the container was made and never started; launching its token again starts it, and cleanup removes it";
            return Err(Error::new(ErrorKind::Conflict, message).with_context("container", id));
        }
        Stage::Running { .. } => {}
    }
    begin(notes, stop.reason)?;
    let was_running = if stop.grace.is_zero() {
        engine.kill(id, Signal::KILL).await?
    } else {
        engine.stop(id, stop.grace.as_secs() + u64::from(stop.grace.subsec_nanos() > 0)).await?
    };
    let answered = answer(notes, stop.reason, was_running)?;
    if !was_running {
        agree(notes, answered, clock).await?;
    }
    ended(engine, id, clock).await
}

/// Notes that the engine is about to be asked.
fn begin(notes: &NotesFile, reason: StopReason) -> Result<()> {
    let first = StopNote { reason, confirmed: false, unanswered: 0 };
    notes.change(|notes| notes.stop.get_or_insert(first).unanswered += 1).map(drop).map_err(unnoted)
}

/// Notes what the engine answered. The first stop that it confirms gives the reason, whoever began.
fn answer(notes: &NotesFile, reason: StopReason, was_running: bool) -> Result<Option<StopNote>> {
    let answered = |notes: &mut Notes| {
        let Some(stop) = &mut notes.stop else { return };
        stop.unanswered = stop.unanswered.saturating_sub(1);
        if was_running && !stop.confirmed {
            stop.reason = reason;
            stop.confirmed = true;
        }
    };
    notes.change(answered).map(|notes| notes.stop).map_err(unnoted)
}

/// The container had ended before the engine was asked to stop it: by itself, or by another stop whose answer is on its
/// way. Waits for that answer, so that all stops tell the same end, and forgets the note when nobody was confirmed.
async fn agree(notes: &NotesFile, answered: Option<StopNote>, clock: &dyn Clock) -> Result<()> {
    if answered.is_none_or(|stop| stop.confirmed) {
        return Ok(());
    }
    let mut stop = answered;
    let mut waited = Duration::ZERO;
    while stop.is_some_and(|stop| !stop.confirmed && stop.unanswered > 0) && waited < AGREE {
        clock.sleep(LOOK).await;
        waited += LOOK;
        stop = notes.read().stop;
    }
    let forget = |notes: &mut Notes| notes.stop = notes.stop.filter(|stop| stop.confirmed || stop.unanswered > 0);
    notes.change(forget).map(drop).map_err(unnoted)
}

fn unnoted(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the stop can't be noted on disk").with_source(error)
}

/// Waits until the engine reports the end.
async fn ended(engine: &Engine, id: &str, clock: &dyn Clock) -> Result<Container> {
    let mut waited = Duration::ZERO;
    let mut pause = LOOK;
    loop {
        let container = engine.inspect(id).await?;
        if state::live_status(&container).is_none() {
            return Ok(container);
        }
        if waited >= CONFIRM {
            let message =
                format!("the engine was told to stop the container and still reports it as running after {CONFIRM:?}");
            return Err(Error::new(ErrorKind::Unavailable, message).with_context("container", id));
        }
        clock.sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}
