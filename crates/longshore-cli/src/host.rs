//! From what was typed to the host on which to run.

use longshore::{Error, ErrorKind, ExecutionHost, ExecutorType, HostName, Result};
use serde_json::{Map, Value};
use std::path::PathBuf;

use crate::{args::PlaceArgs, job::Lookup};

/// The host that the options describe, named after its executor.
///
/// # Errors
/// `Invalid`, naming the option and its rule. A setting's value is never shown: it may be a credential.
pub(crate) fn host(args: &PlaceArgs) -> Result<ExecutionHost> {
    let executor: ExecutorType =
        args.executor.parse().map_err(|violation: longshore::Violation| violation.within("--executor"))?;
    let mut settings = Map::new();
    if let Some(address) = &args.host {
        settings.insert("host".to_owned(), Value::String(address.clone()));
    }
    for setting in &args.executor_config {
        merge(&mut settings, read_setting(setting)?);
    }
    let config = if settings.is_empty() { Value::Null } else { Value::Object(settings) };
    let name = HostName::new(executor.as_str())?;
    Ok(ExecutionHost::builder().name(name).executor_type(executor).executor_config(config).build())
}

/// A JSON object, or `KEY=VALUE`, where dots in the key lead into sections, and a value that is no JSON is text.
fn read_setting(text: &str) -> Result<Map<String, Value>> {
    let wrong = |rule: &str| Error::new(ErrorKind::Invalid, format!("--executor-config is not valid: {rule}"));
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            wrong(&format!("the JSON object can't be read at line {}, column {}", error.line(), error.column()))
        });
    }
    let (key, value) = text.split_once('=').ok_or_else(|| wrong("write KEY=VALUE or a JSON object"))?;
    if key.split('.').any(str::is_empty) {
        return Err(wrong("the key before `=` is empty; write KEY=VALUE, with dots between a section and its key"));
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let nested = key.rsplit('.').fold(value, |inner, part| Value::Object(Map::from_iter([(part.to_owned(), inner)])));
    match nested {
        Value::Object(object) => Ok(object),
        _ => Err(wrong("write KEY=VALUE or a JSON object")),
    }
}

/// Later settings win; sections are joined.
fn merge(settings: &mut Map<String, Value>, new: Map<String, Value>) {
    for (key, value) in new {
        match (settings.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                settings.insert(key, value);
            }
        }
    }
}

/// Where executors keep what they must: `$XDG_STATE_HOME/longshore`, else `~/.local/state/longshore`, as the XDG
/// Base Directory Specification has it; a service without a home uses `/var/lib/longshore`.
pub(crate) fn state_dir(lookup: &Lookup<'_>) -> PathBuf {
    let folder = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .map_or_else(|| PathBuf::from("/var/lib/longshore"), |state| state.join("longshore"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::ffi::OsString;

    fn place(executor: &str, host: Option<&str>, config: &[&str]) -> PlaceArgs {
        PlaceArgs {
            executor: executor.to_owned(),
            host: host.map(str::to_owned),
            executor_config: config.iter().map(|&setting| setting.to_owned()).collect(),
            owner: "local".to_owned(),
        }
    }

    #[test]
    fn settings_are_joined_and_later_ones_win() {
        let config = |host: Option<&str>, settings: &[&str]| {
            super::host(&place("docker", host, settings)).unwrap().executor_config
        };
        assert_eq!(config(None, &[]), Value::Null);
        assert_eq!(config(Some("unix:///a"), &[]), json!({"host": "unix:///a"}));
        assert_eq!(config(None, &["a=true", "b=64m", "c=3"]), json!({"a": true, "b": "64m", "c": 3}));
        assert_eq!(config(None, &["a.b=1", r#"{"a": {"c": 2}}"#, "a.b=3"]), json!({"a": {"b": 3, "c": 2}}));
        assert_eq!(config(None, &["a=", "b=x=y"]), json!({"a": "", "b": "x=y"}));
    }

    #[test]
    fn what_is_no_setting_is_refused_without_showing_it() {
        for setting in ["hunter2", "=hunter2", "a..b=hunter2", r#"{"a": hunter2}"#, "{"] {
            let error = host(&place("docker", None, &[setting])).unwrap_err().chain();
            assert!(error.starts_with("--executor-config is not valid") && !error.contains("hunter"), "{error}");
        }
        let error = host(&place("No/such", None, &[])).unwrap_err().chain();
        assert!(error.starts_with("--executor \"No/such\" is not valid"), "{error}");
    }

    #[test]
    fn state_is_kept_where_the_user_keeps_state() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")], "/s/longshore"),
            (&[("HOME", "/h")], "/h/.local/state/longshore"),
            (&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")], "/h/.local/state/longshore"),
            (&[("XDG_STATE_HOME", ""), ("HOME", "")], "/var/lib/longshore"),
            (&[], "/var/lib/longshore"),
        ];
        for (environment, expected) in cases {
            let lookup = |name: &str| {
                environment.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            };
            assert_eq!(state_dir(&lookup), PathBuf::from(expected), "{environment:?}");
        }
    }
}
