//! From what was typed to the place on which to run.

use longshore::{
    Allow, Error, ErrorKind, ExecutionHost, ExecutorKind, ExecutorRegistry, ExecutorType, HostName, ImageSource,
    JobTemplate, Result, Violation,
};
use schemars::schema_for;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    args::PlaceArgs,
    choice::DOCKER,
    job::Lookup,
    machine::Machine,
    reader::Reader,
    settings::{Source, merge},
};

/// The host that the options describe, named after its kind. After a mistake it goes no further. Whoever types an
/// image is the host's operator, and allows it.
///
/// # Errors
/// Mistakes are the reader's to tell; there are no others.
pub(crate) fn typed(
    reader: &mut Reader,
    args: &PlaceArgs,
    kind: &str,
    image: Option<&ImageSource>,
    registry: &ExecutorRegistry,
    lookup: &Lookup<'_>,
    machine: &Machine,
) -> Result<ExecutionHost> {
    let kind = reader.one("--executor", Some(kind));
    let kind: ExecutorType = kind.map_or_else(|| ExecutorType::new("unknown"), Ok)?;
    let known = registry.kinds().find(|known| known.executor_type == kind);
    let config = config(reader, args, &kind, known);
    let mut allow = allow(reader, args)?;
    allow.image_folders.extend(image.and_then(ImageSource::local).map(|local| PathBuf::from(local.path())));
    let name = name(&kind, &config, lookup, machine)?;
    Ok(ExecutionHost::builder().name(name).executor_type(kind).executor_config(config).allow(allow).build())
}

/// The host of a kind that nothing is typed or configured of.
///
/// # Errors
/// None, as long as the kind's name may be a host's.
pub(crate) fn unconfigured(kind: &str, lookup: &Lookup<'_>, machine: &Machine) -> Result<ExecutionHost> {
    let kind = ExecutorType::new(kind)?;
    let name = name(&kind, &Value::Null, lookup, machine)?;
    Ok(ExecutionHost::builder().name(name).executor_type(kind).build())
}

/// The same host under another kind of executor, without settings of its own.
///
/// # Errors
/// None, as long as the kind's name may be a host's.
pub(crate) fn beside(
    host: &ExecutionHost,
    kind: &str,
    lookup: &Lookup<'_>,
    machine: &Machine,
) -> Result<ExecutionHost> {
    let mut other = unconfigured(kind, lookup, machine)?;
    other.allow.clone_from(&host.allow);
    Ok(other)
}

/// Where an engine usually is.
const USUAL_ENGINES: [&str; 2] = ["unix:///var/run/docker.sock", "unix:///run/docker.sock"];

/// The kind's name, and where something else is meant than by that alone, with a mark of what: whoever goes on with a
/// recorded job must never ask another engine about it and take its answer for the truth.
fn name(kind: &ExecutorType, config: &Value, lookup: &Lookup<'_>, machine: &Machine) -> Result<HostName> {
    let has_address = config.get("host").is_some();
    let engine = || lookup("DOCKER_HOST").and_then(|value| value.into_string().ok());
    let engine = if kind.as_str() == DOCKER && !has_address { engine() } else { None };
    let engine = engine.filter(|engine| !engine.is_empty() && !USUAL_ENGINES.contains(&engine.as_str()));
    let address = config.get("host").and_then(Value::as_str).or(engine.as_deref());
    let machine = machine.mark(kind.as_str(), address, lookup);
    if config.is_null() && engine.is_none() && machine.is_none() {
        return Ok(HostName::new(kind.as_str())?);
    }
    let machine = machine.map(|machine| format!("\n{machine}")).unwrap_or_default();
    let mark = Sha256::digest(format!("{config}\n{}{machine}", engine.unwrap_or_default()));
    let mark: String = mark.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(HostName::new(format!("{kind}-{mark}"))?)
}

/// Whether this program has a kind of executor.
pub(crate) fn has(registry: &ExecutorRegistry, kind: &str) -> bool {
    registry.kinds().any(|known| known.executor_type.as_str() == kind)
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

/// A job's own sections for kinds of executor.
pub(crate) type Sections = BTreeMap<ExecutorType, Map<String, Value>>;

/// The job's own sections for kinds of executor: for the only one on which it can run, where that is known, and else for
/// any that this program has.
pub(crate) fn options(
    reader: &mut Reader,
    typed: &[String],
    registry: &ExecutorRegistry,
    only: Option<&ExecutorType>,
) -> Sections {
    let mut sections = Sections::new();
    let typed = reader.each("--executor-option", typed, |text| option(text, registry, only));
    for (kind, new) in typed {
        merge(sections.entry(kind).or_default(), new);
    }
    sections
}

/// `KIND.KEY=VALUE`, or `KIND={JSON object}`.
fn option(
    text: &str,
    registry: &ExecutorRegistry,
    only: Option<&ExecutorType>,
) -> Result<(ExecutorType, Map<String, Value>), Violation> {
    const OPTION: &str = "--executor-option";
    let kinds: Vec<ExecutorType> = match only {
        Some(kind) => vec![kind.clone()],
        None => registry.kinds().map(|kind| kind.executor_type.clone()).collect(),
    };
    let found = kinds.into_iter().find_map(|kind| match text.strip_prefix(kind.as_str()) {
        Some(rest) if rest.starts_with('.') || rest.starts_with("={") => Some((kind, &rest[1..])),
        _ => None,
    });
    let Some((kind, rest)) = found else { return Err(for_another(OPTION, text, only)) };
    let known = registry.kinds().find(|known| known.executor_type == kind);
    let (name, schema) = (format!("{kind}-options"), schema(known.map(|known| known.options_schema)));
    let prefix = format!("{kind}.");
    let source = Source { option: OPTION, prefix: &prefix, schema_name: &name, schema: &schema };
    source.read(rest).map(|section| (kind, section))
}

/// Adds the sections to those that the template has.
pub(crate) fn add_options(template: &mut JobTemplate, sections: Sections) {
    for (kind, section) in sections {
        match template.executor_options.entry(kind).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(old) => merge(old, section),
            other => *other = Value::Object(section),
        }
    }
}

/// What is not for an executor on which the job can run, told by its key alone.
fn for_another(option: &str, text: &str, only: Option<&ExecutorType>) -> Violation {
    let key = text.split_once('=').map_or("(not shown)", |(key, _)| key);
    let rule = match only {
        Some(kind) => format!("the job runs on {kind}; write {kind}.KEY=VALUE or {kind}={{JSON object}}"),
        None => "write KIND.KEY=VALUE or KIND={JSON object}; `longshore executors` lists the kinds".to_owned(),
    };
    Violation::new(option, key, rule)
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
    use crate::args::ConfigurationArgs;
    use serde_json::json;
    use std::ffi::OsString;

    fn args(executor: &str, config: &[&str], options: &[&str]) -> PlaceArgs {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        PlaceArgs {
            executor: Some(executor.to_owned()),
            configuration: ConfigurationArgs { config: None },
            no_config: false,
            host: None,
            executor_config: owned(config),
            executor_option: owned(options),
            allow: Vec::new(),
            owner: None,
        }
    }

    fn placed(args: &PlaceArgs) -> Result<(ExecutionHost, Sections)> {
        let mut reader = Reader::default();
        let kind = args.executor.as_deref().unwrap();
        let host = typed(&mut reader, args, kind, None, &registry(), &|_| None, &Machine::default())?;
        let options = options(&mut reader, &args.executor_option, &registry(), Some(&host.executor_type));
        reader.finish().map(|_| (host, options))
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
            placed(&args).unwrap().0.executor_config
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
    fn a_typed_image_is_allowed_and_what_else_is_typed_as_well() {
        let mut args = args("kind", &["init=true"], &[]);
        args.allow = vec![r#"image_folders=["/srv"]"#.to_owned()];
        let image: ImageSource = "oci:/layouts/tool:1".parse().unwrap();
        let host =
            typed(&mut Reader::default(), &args, "kind", Some(&image), &registry(), &|_| None, &Machine::default())
                .unwrap();
        let folders = |host: &ExecutionHost| host.allow.image_folders.iter().cloned().collect::<Vec<_>>();
        assert_eq!(folders(&host), [PathBuf::from("/layouts/tool"), PathBuf::from("/srv")]);
        let other = beside(&host, "bare", &|_| None, &Machine::default()).unwrap();
        assert_eq!((other.name.as_str(), other.executor_type.as_str()), ("bare", "bare"));
        assert_eq!((folders(&other), other.executor_config), (folders(&host), Value::Null));
    }

    #[test]
    fn a_jobs_own_options_name_their_executor() {
        let options = |options: &[&str]| placed(&args("kind", &[], options)).map(|place| place.1);
        let kind: ExecutorType = "kind".parse().unwrap();
        assert_eq!(options(&[]).unwrap(), BTreeMap::new());
        let joined = options(&["kind.init=true", r#"kind={"more": {"a": 1}}"#, "kind.more.b=x"]).unwrap();
        assert_eq!(json!(joined[&kind]), json!({"init": true, "more": {"a": 1, "b": "x"}}));
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
        let args = args("No/such", &["x"], &["y"]);
        let error = placed(&args).unwrap_err().to_string();
        for option in ["--executor \"No/such\"", "--executor-config", "--executor-option"] {
            assert!(error.contains(option), "{option}: {error}");
        }
    }

    #[test]
    fn another_engine_has_another_name() {
        let name = |kind: &str, config: Value, engine: &str| {
            let lookup = |_: &str| Some(OsString::from(engine));
            super::name(&kind.parse().unwrap(), &config, &lookup, &Machine::default()).unwrap().to_string()
        };
        for engine in ["", "unix:///var/run/docker.sock", "unix:///run/docker.sock"] {
            assert_eq!(name("docker", Value::Null, engine), "docker");
        }
        assert_eq!(name("embedded", Value::Null, "unix:///a"), "embedded");
        let names = [
            name("docker", Value::Null, "unix:///a"),
            name("docker", Value::Null, "unix:///b"),
            name("docker", json!({"host": "unix:///a"}), ""),
            name("docker", json!({"host": "unix:///b"}), "unix:///a"),
            name("embedded", json!({"a": 1}), ""),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(name.contains('-') && !names[..at].contains(name), "{names:?}");
        }
        assert_eq!(names[3], name("docker", json!({"host": "unix:///b"}), "unix:///c"));
    }

    #[test]
    fn machines_that_share_a_database_have_names_of_their_own() {
        let name = |machine: &str, kind: &str, engine: &str, state: &str| {
            let lookup = |name: &str| Some(OsString::from(if name == "DOCKER_HOST" { engine } else { state }));
            super::name(&kind.parse().unwrap(), &Value::Null, &lookup, &Machine::called(machine)).unwrap()
        };
        let names = [
            name("a", "docker", "", "/s"),
            name("b", "docker", "", "/s"),
            name("a", "docker", "unix:///a", "/s"),
            name("b", "docker", "unix:///a", "/s"),
            name("a", "embedded", "", "/s"),
            name("b", "embedded", "", "/s"),
            name("a", "embedded", "", "/t"),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(name.as_str().contains('-') && !names[..at].contains(name), "{names:?}");
        }
        assert_eq!(names[0], name("a", "docker", "unix:///run/docker.sock", "/t"), "the same engine");
        assert_eq!(name("a", "docker", "tcp://engine:2376", "/s"), name("b", "docker", "tcp://engine:2376", "/s"));
        assert_eq!(name("a", "mock", "", "/s").as_str(), "mock");
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
