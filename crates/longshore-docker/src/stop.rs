//! Stopping, in two phases and verified.

use longshore_core::{Clock, Error, ErrorKind, Result, Signal, StopRequest};
use std::time::Duration;

use crate::{
    client::Engine,
    mapping::{
        answers::Container,
        state::{self, Stage, StopNote},
    },
    notes::NotesFile,
};

/// How long a killed container may take to be reported as ended.
const CONFIRM: Duration = Duration::from_secs(60);
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
        Stage::Ended => return Ok(container),
        Stage::Created { .. } => {
            let message =
                "the container was made and never started; launching its token again starts it, and cleanup removes it";
            return Err(Error::new(ErrorKind::Conflict, message).with_context("container", id));
        }
        Stage::Running { .. } => {}
    }
    note(notes, StopNote { reason: stop.reason, confirmed: false }, true)?;
    let was_running = if stop.grace.is_zero() {
        engine.kill(id, Signal::KILL).await?
    } else {
        engine.stop(id, stop.grace.as_secs() + u64::from(stop.grace.subsec_nanos() > 0)).await?
    };
    if was_running {
        note(notes, StopNote { reason: stop.reason, confirmed: true }, false)?;
    } else {
        forget_unconfirmed(notes)?;
    }
    ended(engine, id, clock).await
}

/// Notes the stop; an earlier one that was confirmed stands.
fn note(notes: &NotesFile, new: StopNote, first: bool) -> Result<()> {
    let changed = notes.change(|notes| {
        let stands = notes.stop.is_some_and(|earlier| earlier.confirmed || first);
        if !stands {
            notes.stop = Some(new);
        }
    });
    changed.map_err(unnoted)
}

fn forget_unconfirmed(notes: &NotesFile) -> Result<()> {
    notes.change(|notes| notes.stop = notes.stop.filter(|stop| stop.confirmed)).map_err(unnoted)
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
