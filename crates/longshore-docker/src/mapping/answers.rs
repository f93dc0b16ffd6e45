//! What engines answer about containers, as far as it is looked at. Read leniently and by ourselves, because Podman
//! has states and nulls that Docker's own description does not know.

use serde::{Deserialize, Deserializer};
use std::collections::HashMap;

use super::state::time;

/// Labels by their keys.
pub(crate) type Labels = HashMap<String, String>;

/// One container: `GET /containers/ID/json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) created: String,
    pub(crate) config: ContainerConfig,
    pub(crate) state: ContainerState,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerConfig {
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) labels: Labels,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerState {
    pub(crate) status: Status,
    #[serde(rename = "OOMKilled")]
    pub(crate) oom_killed: bool,
    pub(crate) exit_code: i64,
    pub(crate) error: String,
    pub(crate) started_at: String,
    pub(crate) finished_at: String,
}

/// One container of many: an item of `GET /containers/json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) state: Status,
    /// The same in words, with how long it has lasted.
    pub(crate) status: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) labels: Labels,
}

/// What a container is doing, in the words of Docker or of Podman.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    #[serde(alias = "", alias = "configured", alias = "initialized")]
    Created,
    #[serde(alias = "dead", alias = "removing", alias = "stopped")]
    Exited,
    /// Running, paused, restarting, stopping, and whatever is not known: only an end that is named is an end.
    #[serde(other)]
    Alive,
}

/// How a list calls a container that runs since the year 1: longer than the engine can count.
const SINCE_YEAR_ONE: &str = "Up 292 years";

impl Listed {
    /// The same for one in a list as [`has_no_start`](ContainerState::has_no_start).
    pub(crate) fn has_no_start(&self) -> bool {
        self.state == Status::Alive && self.status.starts_with(SINCE_YEAR_ONE)
    }
}

impl ContainerState {
    /// Whether it runs although the engine knows of no start. An engine that was killed in the middle of a start is told by
    /// its runtime, when it comes back, first of the end and then of the start, or of the start alone: then it calls the
    /// container running for ever (both seen on Engine 20.10).
    pub(crate) fn has_no_start(&self) -> bool {
        self.status == Status::Alive && time(&self.started_at).is_none()
    }
}

/// The processes of a container: `GET /containers/ID/top`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Processes {
    pub(crate) processes: Option<Vec<serde::de::IgnoredAny>>,
}

/// One event: an item of `GET /events`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Event {
    pub(crate) action: String,
    pub(crate) actor: Actor,
    #[serde(rename = "timeNano")]
    pub(crate) time_nano: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Actor {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) attributes: Labels,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_both_engines_are_read() {
        let status = |word: &str| serde_json::from_value::<Status>(word.into()).unwrap();
        for word in ["", "created", "configured", "initialized"] {
            assert_eq!(status(word), Status::Created, "{word}");
        }
        for word in ["exited", "dead", "removing", "stopped"] {
            assert_eq!(status(word), Status::Exited, "{word}");
        }
        for word in ["running", "paused", "restarting", "stopping", "something new"] {
            assert_eq!(status(word), Status::Alive, "{word}");
        }
    }

    #[test]
    fn nulls_and_absent_fields_are_nothing() {
        let container: Container = serde_json::from_str(r#"{"Id": "4f0c", "Config": {"Labels": null}}"#).unwrap();
        assert!(container.config.labels.is_empty() && container.state.error.is_empty());
        assert!(
            serde_json::from_str::<Event>(r#"{"Action": "die", "Actor": {}}"#).unwrap().actor.attributes.is_empty()
        );
    }
}
