//! From what was typed to the place on which to run.

use longshore::{
    Allow, Error, ErrorKind, ExecutionHost, ExecutorKind, ExecutorRegistry, ExecutorType, HostName, Owner, Result,
    Violation,
};
use schemars::schema_for;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    args::PlaceArgs,
    job::Lookup,
    reader::Reader,
    settings::{Source, merge},
};

/// Where a job is to run, for whom, and what only that kind of executor knows of it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) host: ExecutionHost,
    pub(crate) owner: Owner,
    pub(crate) options: BTreeMap<ExecutorType, Value>,
}

/// The place that the options describe; the host is named after its executor. After a mistake it goes no further.
///
/// # Errors
/// Mistakes are the reader's to tell; there are no others.
pub(crate) fn place(reader: &mut Reader, args: &PlaceArgs, registry: &ExecutorRegistry) -> Result<Place> {
    let owner = reader.one("--owner", Some(&args.owner));
    let kind = reader.one("--executor", Some(&args.executor));
    let kind: ExecutorType = kind.map_or_else(|| ExecutorType::new("unknown"), Ok)?;
    let known = registry.kinds().find(|known| known.executor_type == kind);
    let host = ExecutionHost::builder()
        .name(HostName::new(kind.as_str())?)
        .executor_type(kind.clone())
        .executor_config(config(reader, args, &kind, known))
        .allow(allow(reader, args)?)
        .build();
    let options = options(reader, args, &kind, known);
    let options = options.into_iter().map(|options| (kind.clone(), Value::Object(options))).collect();
    Ok(Place { host, owner: owner.map_or_else(|| Owner::new("unknown"), Ok)?, options })
}

/// The host's own settings; nothing at all where none are given.
fn config(reader: &mut Reader, args: &PlaceArgs, kind: &ExecutorType, known: Option<&ExecutorKind>) -> Value {
    let (name, schema) = (format!("{kind}-config"), schema(known.map(|known| known.config_schema)));
    let source = Source { option: "--executor-config", prefix: "", schema_name: &name, schema: &schema };
    let mut settings = Map::new();
    if let Some(address) = &args.host {
        let wrong =
            || Violation::new("--host", address, format!("a host of the {kind} executor has no address; leave it out"));
        if source.knows("host") {
            settings.insert("host".to_owned(), Value::String(address.clone()));
        } else {
            reader.complain(wrong());
        }
    }
    let typed = reader.each(source.option, &args.executor_config, |text| source.read(text));
    typed.into_iter().for_each(|new| merge(&mut settings, new));
    if settings.is_empty() { Value::Null } else { Value::Object(settings) }
}

/// What jobs may reach on the host: whoever types it is the host's operator.
fn allow(reader: &mut Reader, args: &PlaceArgs) -> Result<Allow> {
    let schema = schema_for!(Allow).to_value();
    let source = Source { option: "--allow", prefix: "", schema_name: "allow", schema: &schema };
    let mut settings = Map::new();
    let typed = reader.each(source.option, &args.allow, |text| source.read(text));
    typed.into_iter().for_each(|new| merge(&mut settings, new));
    serde_json::from_value(Value::Object(settings))
        .map_err(|error| Error::new(ErrorKind::Invalid, "--allow can't be read").with_source(error))
}

/// The job's own section for this kind of executor.
fn options(
    reader: &mut Reader,
    args: &PlaceArgs,
    kind: &ExecutorType,
    known: Option<&ExecutorKind>,
) -> Option<Map<String, Value>> {
    let (name, schema) = (format!("{kind}-options"), schema(known.map(|known| known.options_schema)));
    let prefix = format!("{kind}.");
    let source = Source { option: "--executor-option", prefix: &prefix, schema_name: &name, schema: &schema };
    let typed = reader.each(source.option, &args.executor_option, |text| match text.strip_prefix(kind.as_str()) {
        Some(rest) if rest.starts_with('.') => source.read(&rest[1..]),
        Some(rest) if rest.starts_with("={") => source.read(&rest[1..]),
        _ => Err(for_another(source.option, text, kind)),
    });
    typed.into_iter().reduce(|mut all, new| {
        merge(&mut all, new);
        all
    })
}

/// What is not for the executor on which the job runs, told by its key alone.
fn for_another(option: &str, text: &str, kind: &ExecutorType) -> Violation {
    let key = text.split_once('=').map_or("(not shown)", |(key, _)| key);
    Violation::new(option, key, format!("the job runs on {kind}; write {kind}.KEY=VALUE or {kind}={{JSON object}}"))
}

/// Where the kind is not known everything goes: the registry refuses it.
fn schema(make: Option<fn() -> schemars::Schema>) -> Value {
    make.map_or(Value::Bool(true), |make| make().to_value())
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

    fn args(executor: &str, config: &[&str], options: &[&str]) -> PlaceArgs {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        PlaceArgs {
            executor: executor.to_owned(),
            host: None,
            executor_config: owned(config),
            executor_option: owned(options),
            allow: Vec::new(),
            owner: "local".to_owned(),
        }
    }

    fn placed(args: &PlaceArgs) -> Result<Place> {
        let mut reader = Reader::default();
        let place = place(&mut reader, args, &registry())?;
        reader.finish().map(|_| place)
    }

    fn registry() -> ExecutorRegistry {
        let mut registry = ExecutorRegistry::new();
        let schema = || {
            schemars::json_schema!({
                "type": "object",
                "properties": {
                    "host": { "type": "string" },
                    "init": { "type": "boolean" },
                    "more": { "type": "object" }
                },
                "additionalProperties": false
            })
        };
        let nobody = |_: &ExecutionHost, _: &longshore::ExecutorContext| {
            Err(longshore::Error::new(longshore::ErrorKind::Unsupported, "not made here"))
        };
        registry.register(ExecutorKind::new("kind".parse().unwrap(), "", nobody, schema, schema));
        registry.register(ExecutorKind::new(
            "bare".parse().unwrap(),
            "",
            nobody,
            || schemars::json_schema!({"additionalProperties": false}),
            schema,
        ));
        registry
    }

    #[test]
    fn settings_are_joined_and_the_address_is_one_of_them() {
        let config = |host: Option<&str>, settings: &[&str]| {
            let args = PlaceArgs { host: host.map(str::to_owned), ..args("kind", settings, &[]) };
            placed(&args).unwrap().host.executor_config
        };
        assert_eq!(config(None, &[]), Value::Null);
        assert_eq!(config(Some("unix:///a"), &[]), json!({"host": "unix:///a"}));
        assert_eq!(
            config(None, &["init=true", "more.a=1", r#"{"more": {"b": 2}}"#, "more.a=3"]),
            json!({"init": true, "more": {"a": 3, "b": 2}})
        );
        let args = PlaceArgs { host: Some("unix:///a".to_owned()), ..args("bare", &[], &[]) };
        let error = placed(&args).unwrap_err().to_string();
        assert!(
            error.starts_with("--host \"unix:///a\" is not valid: a host of the bare executor has no address"),
            "{error}"
        );
    }

    #[test]
    fn a_jobs_own_options_name_their_executor() {
        let options = |options: &[&str]| placed(&args("kind", &[], options)).map(|place| place.options);
        let kind: ExecutorType = "kind".parse().unwrap();
        assert_eq!(options(&[]).unwrap(), BTreeMap::new());
        let joined = options(&["kind.init=true", r#"kind={"more": {"a": 1}}"#, "kind.more.b=x"]).unwrap();
        assert_eq!(joined[&kind], json!({"init": true, "more": {"a": 1, "b": "x"}}));
        let cases = [
            ("init=true", "--executor-option \"init\" is not valid: the job runs on kind; write kind.KEY=VALUE"),
            ("other.init=hunter2", "--executor-option \"other.init\" is not valid: the job runs on kind"),
            ("kinder.init=hunter2", "--executor-option \"kinder.init\" is not valid: the job runs on kind"),
            ("hunter2", "--executor-option \"(not shown)\" is not valid: the job runs on kind"),
            ("kind=hunter2", "--executor-option \"kind\" is not valid: the job runs on kind"),
            ("kind.hunter2", "--executor-option \"(not shown)\" is not valid: write KEY=VALUE or a JSON object"),
            (
                "kind.ini=hunter2",
                "--executor-option \"kind.ini\" is not valid: there is no such key; available: host, init, more (`longshore schema kind-options`)",
            ),
            (
                "kind.init=hunter2",
                "--executor-option \"kind.init\" is not valid: it takes true or false; see `longshore schema kind-options`",
            ),
        ];
        for (text, expected) in cases {
            let error = options(&[text]).unwrap_err().to_string();
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mut args = args("No/such", &["x"], &["y"]);
        args.owner = "Me".to_owned();
        let error = placed(&args).unwrap_err().to_string();
        for option in ["--executor \"No/such\"", "--owner \"Me\"", "--executor-config", "--executor-option"] {
            assert!(error.contains(option), "{option}: {error}");
        }
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
