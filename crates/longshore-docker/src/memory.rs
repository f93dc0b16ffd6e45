//! What an engine can still tell of a container's past, and since when it lives.

use bytes::Bytes;
use hyper::Method;
use jiff::Timestamp;
use longshore_core::{Error, ErrorKind, Result, clock::since};
use serde::Deserialize;
use std::time::Duration;

use crate::{
    client::Engine,
    mapping::{
        answers::{Container, Event},
        state::{Attendance, time},
    },
};

/// What an engine remembers of one container: events of the present life of its process, of which it keeps 256.
#[derive(Debug)]
pub(crate) struct Memory {
    events: Vec<Event>,
    began: Option<Timestamp>,
    /// Whether it has forgotten events of its present life, and shows no other sign of how long that has lasted.
    is_forgetful: bool,
}

/// How long an engine may take, once it has begun, to go through its containers: only then it makes its network.
const BEGINNING: Duration = Duration::from_secs(600);
/// How many events an engine remembers, of all containers and of everything else together.
const REMEMBERED: usize = 256;

/// The engine's default network. An engine without live-restore makes it anew whenever it begins (measured on Engine 20.10,
/// ended by KILL and by TERM); one that is told to have no bridge has none.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Network {
    created: String,
}

impl Memory {
    pub(crate) async fn of(engine: &Engine, id: &str) -> Result<Self> {
        let info = engine.info().await?;
        let live_restore = info.live_restore_enabled.unwrap_or(true);
        let now = info.system_time.as_deref().and_then(time).ok_or_else(|| {
            Error::new(ErrorKind::Unexpected, "the engine's answer does not tell its time").with_operation("info")
        })?;
        let network = engine.ask::<Network>("inspect network", Method::GET, "/networks/bridge", (), Bytes::new()).await;
        let began = match network {
            Ok(network) => time(&network.created).filter(|_| !live_restore),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut memory = Self { events: engine.past_events(Some(id), None, now).await?, began, is_forgetful: false };
        if began.is_none() && !memory.tells("start") {
            memory.is_forgetful = engine.past_events(None, None, now).await?.len() >= REMEMBERED;
        }
        Ok(memory)
    }

    /// Whether the engine has lived since it made the container, and so knows of every start.
    pub(crate) fn has_the_making(&self, container: &Container) -> bool {
        self.tells("create") || self.began_before(&container.created)
    }

    /// Whether the engine has lived since it started the container, and so was there for all of its output. That it saw the
    /// end proves nothing: one that comes back while a container ends tells of the end, and has lost what was written before
    /// (seen on Engine 20.10).
    pub(crate) fn has_the_run(&self, container: &Container) -> bool {
        // An engine that was killed in the middle of a start tells of it afterwards, and never knows when it was.
        let knows_the_start = time(&container.state.started_at).is_some();
        knows_the_start && (self.tells("start") || self.began_before(&container.state.started_at))
    }

    /// Whether the engine was there at the end, although one that begins makes an exit code up for an end that it has missed: it
    /// dates that then, and tells of no end. With 255, its runtime may have made it up.
    pub(crate) fn of_the_end(&self, container: &Container) -> Attendance {
        let state = &container.state;
        let is_told = state.exit_code == 0 && self.tells("die");
        match is_told || self.has_the_run(container) || self.began_long_after(&state.finished_at) {
            true => Attendance::Shown,
            false if self.is_forgetful => Attendance::Unknown,
            false => Attendance::Doubtful,
        }
    }

    fn tells(&self, action: &str) -> bool {
        self.events.iter().any(|event| event.action == action)
    }

    fn began_before(&self, moment: &str) -> bool {
        self.began.zip(time(moment)).is_some_and(|(began, moment)| began < moment)
    }

    fn began_long_after(&self, moment: &str) -> bool {
        self.began.zip(time(moment)).is_some_and(|(began, moment)| since(began, moment) > BEGINNING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(actions: &[&str], began: Option<&str>) -> Memory {
        let event = |action: &&str| Event { action: (*action).to_owned(), ..Event::default() };
        let began = began.map(|began| began.parse().unwrap());
        Memory { events: actions.iter().map(event).collect(), began, is_forgetful: false }
    }

    /// As Engine 20.10 tells of one.
    fn container() -> Container {
        serde_json::from_value(serde_json::json!({
            "Id": "4f0c", "Created": "2026-11-26T10:16:01.1Z", "State": { "StartedAt": "2026-11-26T10:16:01.4Z" }
        }))
        .unwrap()
    }

    /// The events are those that Engine 20.10 told, which had been killed and started again.
    #[test]
    fn only_an_engine_that_tells_of_the_start_was_there() {
        for (actions, there) in [
            // It ended while the engine was dead.
            (&[][..], false),
            // It ended when the engine came back.
            (&["die"], false),
            (&["kill", "kill", "die", "stop"], false),
            (&["create", "start", "kill", "die"], true),
        ] {
            let memory = memory(actions, None);
            assert_eq!(memory.has_the_run(&container()), there, "{memory:?}");
        }
        // It was killed in the middle of the start.
        let mut missed = container();
        missed.state.started_at = "0001-01-01T00:00:00Z".to_owned();
        assert!(!memory(&["start", "die"], None).has_the_run(&missed));
        assert!(memory(&["create"], None).has_the_making(&container()));
        assert!(!memory(&["start"], None).has_the_making(&container()));
    }

    /// Engine 20.10 was killed and started again. Of what ended meanwhile it tells nothing, whether it had the code from its
    /// runtime or made it up.
    #[test]
    fn an_exit_code_is_believed_of_an_engine_that_was_there() {
        use Attendance::{Doubtful, Shown, Unknown};
        let finished = |exit_code, finished_at: &str| {
            let mut container = container();
            container.state.exit_code = exit_code;
            finished_at.clone_into(&mut container.state.finished_at);
            container
        };
        let (soon, late) = ("2026-11-26T10:16:03.1Z", "2026-11-26T10:27:00.0Z");
        for (actions, began, code, attendance) in [
            (&[][..], None, 0, Doubtful),
            (&[], None, 255, Doubtful),
            (&["die"], None, 0, Shown),
            (&["start", "die"], None, 0, Shown),
            // Its runtime had lost the container, and it told of that.
            (&["die"], None, 255, Doubtful),
            (&["start", "die"], None, 255, Shown),
            // It dates what it makes up at its beginning, and makes its network later.
            (&[], Some("2026-11-26T10:16:14.1Z"), 0, Doubtful),
            (&[], Some(late), 0, Shown),
            (&[], Some(late), 255, Shown),
            (&[], Some("2026-11-26T10:15:59.6Z"), 0, Shown),
        ] {
            let memory = memory(actions, began);
            assert_eq!(memory.of_the_end(&finished(code, soon)), attendance, "{memory:?} {code}");
        }
        let forgetful = Memory { is_forgetful: true, ..memory(&["die"], None) };
        assert_eq!(forgetful.of_the_end(&finished(0, soon)), Shown);
        assert_eq!(forgetful.of_the_end(&finished(255, soon)), Unknown);
    }

    #[test]
    fn an_engine_that_began_before_needs_to_tell_nothing() {
        for (began, has_the_making, has_the_run) in [
            ("2026-11-26T10:15:59.6Z", true, true),
            ("2026-11-26T10:16:01.2Z", false, true),
            ("2026-11-26T10:16:14.1Z", false, false),
        ] {
            let memory = memory(&[], Some(began));
            let found = (memory.has_the_making(&container()), memory.has_the_run(&container()));
            assert_eq!(found, (has_the_making, has_the_run), "{began}");
        }
    }
}
