//! What is published: the JSON Schema, the first configuration, where configurations are found.

use jsonschema::Validator;
use longshore_config::{FIRST, find, job_schema, schema};
use serde_json::{Value, json};
use std::{ffi::OsString, fs, path::PathBuf};

use crate::support::{loader, make, parse, registry};

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap()
}

fn document(host: Value) -> Value {
    json!({ "hosts": { "a": host } })
}

#[test]
fn the_schema_takes_what_is_good_and_refuses_what_is_not() {
    let schema = schema(&registry());
    jsonschema::meta::validate(&schema).unwrap();
    let validator = validator(&schema);
    let first: Value = serde_json::to_value(toml::from_str::<toml::Table>(FIRST).unwrap()).unwrap();
    assert!(
        validator.is_valid(&first),
        "{:?}",
        validator.iter_errors(&first).map(|error| error.to_string()).collect::<Vec<_>>()
    );
    let cases = [
        (document(json!({ "executor": "docker", "executor_config": { "log_cap": "1m" } })), true),
        (document(json!({ "executor": "docker", "executor_config": { "log_cpa": "1m" } })), false),
        (document(json!({ "executor": "nope" })), false),
        (document(json!({ "executor": "docker", "wieght": 1 })), false),
        (document(json!({ "weight": 1 })), false),
        (json!({ "routing": { "policy": "cheapest" } }), true),
        (json!({ "routing": { "policy": "cheapst" } }), false),
        (json!({ "routing": { "rules": [{ "condition": "true", "host": "a" }] } }), true),
        (json!({ "routing": { "rules": [{ "host": "a" }] } }), false),
        (json!({ "templates": { "t": { "image": "i", "env": { "A": 1 } } } }), true),
        (json!({ "templates": { "t": { "image": "i", "env": [{ "name": "A", "value": "1" }] } } }), true),
        (json!({ "templates": { "t": { "env": {} } } }), false),
        (json!({ "hots": {} }), false),
    ];
    for (document, good) in cases {
        assert_eq!(validator.is_valid(&document), good, "{document}");
        // What the schema takes, the reader's own look at keys and types takes too.
        if good {
            let text = toml::to_string(&document).unwrap();
            let problems = parse(&text).map_or_else(|problems| problems.to_string(), |_| String::new());
            assert!(!problems.contains("there is no key") && !problems.contains("takes"), "{text}\n{problems}");
        }
    }
}

#[test]
fn the_schema_of_jobs_takes_jobs() {
    let validator = validator(&job_schema().to_value());
    let cases = [
        (json!({ "template": "t", "preferred_executor": "a", "created_by": { "name": "n" } }), true),
        (json!({ "image": "i", "preferred_executor": { "host": "a", "required": true } }), true),
        (json!({ "image": "i", "commnd": [] }), false),
    ];
    for (job, good) in cases {
        assert_eq!(validator.is_valid(&job), good, "{job}");
    }
}

#[test]
fn the_first_configuration_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    fs::write(&path, FIRST).unwrap();
    let checked = loader(&[]).check(&path, make);
    assert!(checked.problems.as_slice().is_empty(), "{}", checked.problems.render(false));
    assert_eq!((checked.hosts, checked.tests.len()), (1, 1));
    assert!(checked.tests.iter().all(|test| test.failure.is_none()));
}

#[test]
fn what_is_shown_is_a_configuration_again() {
    let config = parse(FIRST).unwrap();
    let again = parse(&config.shown()).unwrap();
    assert_eq!(config.hosts().collect::<Vec<_>>(), again.hosts().collect::<Vec<_>>());
    assert_eq!(config.templates(), again.templates());
}

#[test]
fn a_configuration_is_found_here_then_in_the_users_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (here, home) = (folder.path().join("here"), folder.path().join("home"));
    let user = home.join(".config/longshore");
    let other = folder.path().join("xdg/longshore");
    for path in [&here, &user, &other] {
        fs::create_dir_all(path).unwrap();
    }
    let lookup = |variables: &[(&str, PathBuf)], name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    };
    let home = [("HOME", home)];
    let found = || find(&here, |name| lookup(&home, name)).unwrap();
    assert_eq!(found(), None);
    fs::write(user.join("longshore.yaml"), "").unwrap();
    assert_eq!(found(), Some(user.join("longshore.yaml")));
    fs::write(other.join("longshore.json"), "{}").unwrap();
    let xdg = [("XDG_CONFIG_HOME", folder.path().join("xdg"))];
    assert_eq!(find(&here, |name| lookup(&xdg, name)).unwrap(), Some(other.join("longshore.json")));
    fs::create_dir(here.join("longshore.toml")).unwrap();
    assert_eq!(found(), Some(user.join("longshore.yaml")), "a folder is no file");
    fs::remove_dir(here.join("longshore.toml")).unwrap();
    fs::write(here.join("longshore.toml"), "").unwrap();
    assert_eq!(found(), Some(here.join("longshore.toml")));
    #[cfg(unix)]
    {
        fs::remove_file(here.join("longshore.toml")).unwrap();
        std::os::unix::fs::symlink("nowhere", here.join("longshore.toml")).unwrap();
        assert_eq!(found(), Some(here.join("longshore.toml")), "a link that leads nowhere is told, not passed over");
    }
    fs::write(here.join("longshore.yml"), "").unwrap();
    let ambiguous = find(&here, |name| lookup(&home, name)).unwrap_err();
    assert_eq!(ambiguous.files.len(), 2);
    assert!(ambiguous.to_string().contains("stand side by side"), "{ambiguous}");
}
