//! Variables that replace values, and references that lead to secrets.

use serde_json::json;
use std::{fs, path::Path};

use crate::support::{loader, told};

const HOME: &str = "[hosts.my-home]\nexecutor = \"docker\"\n";

fn host(variables: &[(&str, &str)], text: &str) -> serde_json::Value {
    let config = loader(variables).parse(Path::new("longshore.toml"), text).unwrap();
    serde_json::to_value(config.hosts().next().unwrap()).unwrap()
}

#[test]
fn variables_replace_values_and_add_to_them() {
    let cases = [
        ("LONGSHORE_HOSTS__MY_HOME__WEIGHT", "7", "/weight", json!(7)),
        ("LONGSHORE_HOSTS__MY_HOME__ENABLED", "false", "/enabled", json!(false)),
        ("LONGSHORE_HOSTS__MY_HOME__REGION", "12", "/region", json!("12")),
        ("LONGSHORE_HOSTS__MY_HOME__EXECUTOR_CONFIG", r#"{"log_cap": "1m"}"#, "/executor_config/log_cap", json!("1m")),
        ("LONGSHORE_HOSTS__MY_HOME__EXECUTOR_CONFIG__LOG_CAP", "2m", "/executor_config/log_cap", json!("2m")),
        ("LONGSHORE_HOSTS__MY_HOME__LABELS__TEAM", "blue", "/labels/team", json!("blue")),
    ];
    for (name, value, pointer, expected) in cases {
        assert_eq!(host(&[(name, value)], HOME).pointer(pointer), Some(&expected), "{name}={value}");
    }
    let config = loader(&[("LONGSHORE_ROUTING__POLICY", "cheapest"), ("LONGSHORE_HOSTS__NEW__EXECUTOR", "fargate")])
        .parse(Path::new("longshore.toml"), HOME)
        .unwrap();
    assert_eq!(config.hosts().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["my-home", "new"]);
    assert!(config.shown().contains("policy = \"cheapest\""), "{}", config.shown());
}

#[test]
fn a_wrong_variable_is_named_and_its_value_is_not_shown() {
    let cases = [
        (
            ("LONGSHORE_HOSTS__MY_HOME__WEIGTH", "1"),
            "unknown-key there is no key `hosts.my-home.weigth`; did you mean `weight`?",
        ),
        (("LONGSHORE_HOSTS__MY_HOME__WEIGHT", "hunter2"), "wrong-type `hosts.my-home.weight` takes a whole number"),
        (("LONGSHORE_HOSTS__MY_HOME__EXECUTOR__X", "hunter2"), "unknown-variable the variable leads into text"),
        (("LONGSHORE_HOSTS__MY_HOME____X", "hunter2"), "unknown-variable a part of the variable's name is empty"),
    ];
    for (variable, expected) in cases {
        let problems = loader(&[variable]).parse(Path::new("longshore.toml"), HOME).unwrap_err();
        let told = told(&problems).join("\n");
        assert!(told.starts_with(&format!("{} {expected}", variable.0)), "{told}");
        assert!(!told.contains("hunter2") && !problems.render(false).contains("hunter2"), "{told}");
    }
    let config = loader(&[("LONGSHORE_ROUTNIG__POLICY", "cheapest"), ("LONGSHORE_LOG", "debug"), ("OTHER__X", "1")])
        .parse(Path::new("longshore.toml"), HOME)
        .unwrap();
    let warnings = told(&config.warnings());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("LONGSHORE_ROUTNIG__POLICY unknown-variable"), "{warnings:?}");
}

#[test]
fn references_lead_to_variables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "from a file\n").unwrap();
    let cases = [
        ("a ${X}-${Y} b", "a 1-two b"),
        ("${NONE:-else}", "else"),
        ("${X:-else}", "1"),
        ("${NONE:-}", ""),
        ("${file:token}", "from a file"),
        ("$${X} $X $", "${X} $X $"),
        ("$$${X}", "$${X}"),
        ("plain", "plain"),
    ];
    for (written, expected) in cases {
        let text = format!("{HOME}labels = {{ a = '{written}' }}\n");
        let loader = loader(&[("X", "1"), ("Y", "two")]);
        let config = loader.parse(&folder.path().join("longshore.toml"), &text).unwrap();
        let label = config.hosts().next().unwrap().labels.values().next().unwrap().as_str().to_owned();
        assert_eq!(label, expected, "{written}");
    }
    let numbers = format!("{HOME}weight = '${{X}}'\nenabled = '${{NO}}'\nregion = '${{X}}'\n");
    let host = host(&[("X", "3"), ("NO", "false")], &numbers);
    assert_eq!((&host["weight"], &host["enabled"], &host["region"]), (&json!(3), &json!(false), &json!("3")));
}

#[test]
fn a_reference_that_leads_nowhere_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), vec![b'x'; 70_000]).unwrap();
    let cases = [
        ("${NONE}", "bad-reference the variable NONE is not set; set it, or give a default"),
        ("${X", "bad-reference a reference is not closed; write ${NAME}"),
        ("${a b}", "bad-reference `a b` is no name of a variable"),
        ("${}", "bad-reference `` is no name of a variable"),
        ("${file:none}", "can't be read: No such file"),
        ("${file:large}", "a secret has at most 65536 bytes"),
        ("${file:/dev/zero}", "a secret has at most 65536 bytes"),
    ];
    for (written, expected) in cases {
        let text = format!("{HOME}region = '{written}'\n");
        let problems = loader(&[]).parse(&folder.path().join("longshore.toml"), &text).unwrap_err();
        assert_eq!(problems.as_slice().len(), 1, "{problems}");
        assert!(problems.as_slice()[0].code == "bad-reference", "{problems}");
        assert!(told(&problems)[0].contains(expected.trim_start_matches("bad-reference ")), "{problems}");
    }
}

#[test]
fn references_are_read_for_hosts_only() {
    let text = format!(
        "{HOME}[templates.t]\nimage = \"i\"\ncommand = [\"sh\", \"-c\", \"echo ${{X}}\"]\n[[routing.rules]]\ncondition = \"user.name == '${{X}}'\"\nhost = \"my-home\"\n"
    );
    let config = loader(&[("X", "hunter2")]).parse(Path::new("longshore.toml"), &text).unwrap();
    assert_eq!(config.templates()["t"].command.as_ref().unwrap()[2], "echo ${X}");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_a_reference_leads_to_is_never_shown() {
    let text =
        format!("{HOME}weight = '${{SECRET}}'\nregion = '${{SECRET}}'\n[hosts.my-home.labels]\npassword = \"plain\"\n");
    let problems = loader(&[("SECRET", "hunter 2")]).parse(Path::new("longshore.toml"), &text).unwrap_err();
    let shown = format!("{problems} {problems:?} {}", problems.render(false));
    assert!(!shown.contains("hunter"), "{shown}");
    let text = format!("{HOME}region = '${{SECRET}}'\n[hosts.my-home.labels]\npassword = \"plain\"\n");
    let config = loader(&[("SECRET", "hunter2")]).parse(Path::new("longshore.toml"), &text).unwrap();
    let shown = config.shown();
    assert!(shown.contains("region = \"${SECRET}\"") && shown.contains("password = \"[redacted]\""), "{shown}");
    let debug = format!("{config:?} {:?}", loader(&[("SECRET", "hunter2")]));
    assert!(!debug.contains("hunter2") && !debug.contains("plain\""), "{debug}");
}
