//! What an engine can still tell of a container's past, and since when it lives.

use bytes::Bytes;
use hyper::Method;
use jiff::Timestamp;
use longshore_core::{ErrorKind, Result};
use serde::Deserialize;

use crate::{
    client::Engine,
    mapping::{
        answers::{Container, Event},
        state::time,
    },
};

/// What an engine remembers of one container: events of the present life of its process, of which it keeps 256.
#[derive(Debug)]
pub(crate) struct Memory {
    events: Vec<Event>,
    began: Option<Timestamp>,
}

/// The engine's default network. An engine without live-restore makes it anew whenever it begins (measured on Engine 20.10,
/// ended by KILL and by TERM); one that is told to have no bridge has none.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Network {
    created: String,
}

impl Memory {
    pub(crate) async fn of(engine: &Engine, id: &str) -> Result<Self> {
        let live_restore = engine.info().await?.live_restore_enabled.unwrap_or(true);
        let network = engine.ask::<Network>("inspect network", Method::GET, "/networks/bridge", (), Bytes::new()).await;
        let began = match network {
            Ok(network) => time(&network.created).filter(|_| !live_restore),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { events: engine.past_events_until_now(id).await?, began })
    }

    /// Whether the engine has lived since it made the container, and so knows of every start.
    pub(crate) fn has_the_making(&self, container: &Container) -> bool {
        self.tells("create") || self.began_before(&container.created)
    }

    /// Whether the engine has lived since it started the container, and so was there for all of its output. That it saw the
    /// end proves nothing: one that comes back while a container ends tells of the end, and has lost what was written before
    /// (seen on Engine 20.10).
    pub(crate) fn has_the_run(&self, container: &Container) -> bool {
        self.tells("start") || self.began_before(&container.state.started_at)
    }

    fn tells(&self, action: &str) -> bool {
        self.events.iter().any(|event| event.action == action)
    }

    fn began_before(&self, moment: &str) -> bool {
        self.began.zip(time(moment)).is_some_and(|(began, moment)| began < moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(actions: &[&str], began: Option<&str>) -> Memory {
        let event = |action: &&str| Event { action: (*action).to_owned(), ..Event::default() };
        let began = began.map(|began| began.parse().unwrap());
        Memory { events: actions.iter().map(event).collect(), began }
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
        assert!(memory(&["create"], None).has_the_making(&container()));
        assert!(!memory(&["start"], None).has_the_making(&container()));
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
