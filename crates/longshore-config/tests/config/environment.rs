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
        ("LONGSHORE_HOSTS__MY_HOME__LABELS__TEAM", "blue", "/labels/TEAM", json!("blue")),
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
    let warnings = told(config.warnings());
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
        let text = format!("{HOME}[hosts.my-home.executor_config.folders.a]\nf = '{written}'\n");
        let loader = loader(&[("X", "1"), ("Y", "two")]);
        let config = loader.parse(&folder.path().join("longshore.toml"), &text).unwrap();
        assert_eq!(config.hosts().next().unwrap().executor_config["folders"]["a"]["f"], expected, "{written}");
    }
    // Where text is taken it stays text, whatever it looks like; where none is, it is JSON.
    let typed = format!(
        "{HOME}[hosts.my-home.executor_config]\nlatency = '${{T}}'\nlog_cap = '${{X}}'\ngpu = {{ count = '${{X}}' }}\n"
    );
    let host = host(&[("X", "3"), ("T", "null")], &typed);
    let config = &host["executor_config"];
    assert_eq!(
        (&config["latency"], &config["log_cap"], &config["gpu"]["count"]),
        (&json!("null"), &json!("3"), &json!(3))
    );
}

#[test]
fn a_reference_that_leads_nowhere_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), vec![b'x'; 70_000]).unwrap();
    let cases = [
        ("${NONE}", "bad-reference the variable NONE is not set; set it, or give a default"),
        ("${X", "bad-reference a reference is not closed; write ${NAME}"),
        ("${a b}", "bad-reference what stands in a reference is no name of a variable"),
        ("${}", "bad-reference what stands in a reference is no name of a variable"),
        ("${A:-${B}}", "bad-reference a reference stands inside of another"),
        ("${file:none}", "can't be read: No such file"),
        ("${file:large}", "a secret has at most 65536 bytes"),
        ("${file:/dev/zero}", "a secret has at most 65536 bytes"),
    ];
    for (written, expected) in cases {
        let text = format!("{HOME}[hosts.my-home.executor_config]\nplatforms = ['{written}']\n");
        let problems = loader(&[]).parse(&folder.path().join("longshore.toml"), &text).unwrap_err();
        assert_eq!(problems.as_slice().len(), 1, "{problems}");
        assert!(problems.as_slice()[0].code == "bad-reference", "{problems}");
        assert!(told(&problems)[0].contains(expected.trim_start_matches("bad-reference ")), "{problems}");
    }
}

#[test]
fn references_are_read_in_the_executors_own_settings_only() {
    let text = format!(
        "{HOME}labels = {{ a = '${{X}}' }}\n[templates.t]\nimage = \"i\"\ncommand = [\"sh\", \"-c\", \"echo ${{X}}\"]\n[[routing.rules]]\ncondition = \"user.name == '${{X}}'\"\nhost = \"my-home\"\n"
    );
    let config = loader(&[("X", "hunter2")]).parse(Path::new("longshore.toml"), &text).unwrap();
    assert_eq!(config.templates()["t"].command.as_ref().unwrap()[2], "echo ${X}");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_a_reference_leads_to_is_never_told() {
    let cases = [
        ("latency = '${S}'", "hunter2"),
        ("latency = 'x${S}y'", "hunter2"),
        ("log_cap = '${S}'", "hunter\n2"),
        ("log_cap = '${S}'", "hunter\"2"),
        ("platforms = ['${S}']", "hunter2"),
        ("gpu = '${S}'", r#"{"count": "hunter2"}"#),
        ("outages = '${S}'", r#"[{"from": "hunter2", "to": "1s"}]"#),
        ("latency = '${S}'", "5 hunter2 Q"),
        ("log_cap = '${S}'", "hu"),
        ("gpu = '${S}'", r#"{"hunterA": 1}"#),
        ("log_cap = 'a${S-hunter2}b'", "1"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    for (setting, secret) in cases {
        fs::write(&path, format!("{HOME}[hosts.my-home.executor_config]\n{setting}\n")).unwrap();
        let checked = loader(&[("S", secret)]).check(&path, crate::support::make).problems;
        let shown = format!("{checked} {checked:?} {}", checked.render(false));
        let told = shown.replace(&format!("{setting}\n"), "");
        assert!(checked.has_errors() && !told.contains("hunter") && !told.contains("unter2"), "{setting}\n{shown}");
        assert!(secret.len() > 3 || !told.contains(&format!("{secret:?}")), "{setting}\n{shown}");
    }
    fs::write(&path, HOME).unwrap();
    let overrides = [
        ("LONGSHORE_HOSTS__MY_HOME__EXECUTOR_CONFIG__LOG_CAP", "hunter2"),
        ("LONGSHORE_HOSTS__MY_HOME__EXECUTOR_CONFIG", r#"{"log_cap": "hunter2"}"#),
        ("LONGSHORE_HOSTS__MY_HOME__EXECUTOR_CONFIG", r#"{"platforms": ["hunter2"]}"#),
        ("LONGSHORE_HOSTS__MY_HOME", r#"{"executor": "docker", "executor_config": {"log_cap": "hunter2"}}"#),
    ];
    for (name, value) in overrides {
        let checked = loader(&[(name, value)]).check(&path, crate::support::make).problems;
        assert!(checked.has_errors() && !checked.to_string().contains("hunter2"), "{checked}");
    }
}

#[test]
fn an_override_of_a_text_is_text_although_it_has_only_digits() {
    let host = host(&[("LONGSHORE_HOSTS__MY_HOME__EXECUTOR_CONFIG__LATENCY", "12")], HOME);
    assert_eq!(host["executor_config"]["latency"], "12");
}

#[test]
fn what_is_in_force_is_shown_without_secrets() {
    let text = format!(
        "{HOME}[hosts.my-home.labels]\npassword = \"hunter2\"\n[hosts.my-home.executor_config]\n\
         folders = {{ a = {{ f = '${{SECRET}}', g = '${{NONE:-hunter3}}', token = '${{NONE:-hunter4}}' }} }}\n\
         [templates.t]\nimage = \"i\"\nargs = [\"--password=hunter5\"]\n\
         env = {{ DB_PASSWORD = 12345678, DATABASE_URL = \"postgres://u:hunter6@db/x\" }}\n\
         [templates.u]\nimage = \"i\"\nenv = [{{ name = \"API_KEY\", value = \"hunter7\" }}]\n"
    );
    let config = loader(&[("SECRET", "hunter1")]).parse(Path::new("longshore.toml"), &text).unwrap();
    let shown = config.shown();
    assert!(!shown.contains("hunter") && !shown.contains("12345678"), "{shown}");
    assert!(shown.contains("f = \"${SECRET}\"") && shown.contains("password = \"[redacted]\""), "{shown}");
    let debug = format!("{config:?} {:?}", loader(&[("SECRET", "hunter1")]));
    assert!(!debug.contains("hunter"), "{debug}");
    let keys: Vec<String> =
        told(config.warnings()).iter().map(|line| line.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(keys, ["password", "token", "args", "DB_PASSWORD", "DATABASE_URL", "value"]);
}

#[test]
fn new_names_are_written_as_they_are_meant() {
    let variables = [
        ("LONGSHORE_TEMPLATES__T__ENV__API_URL", "http://x"),
        ("LONGSHORE_TEMPLATES__T__IMAGE", "i"),
        ("LONGSHORE_ROUTING__EXCHANGE_RATES__EUR", "1.08 USD"),
        ("LONGSHORE_HOSTS__NEW_ONE__EXECUTOR", "docker"),
    ];
    let config = loader(&variables).parse(Path::new("longshore.toml"), HOME).unwrap();
    assert_eq!(config.hosts().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["my-home", "new-one"]);
    let (name, template) = config.templates().iter().next().unwrap();
    assert_eq!((name.as_str(), template.env[0].name.as_str()), ("T", "API_URL"));
}

#[test]
fn a_variable_of_very_many_parts_is_refused() {
    let name = format!("LONGSHORE_HOSTS__A{}", "__A".repeat(10_000));
    let problems = loader(&[(&name, "1")]).parse(Path::new("longshore.toml"), HOME).unwrap_err().to_string();
    assert!(problems.contains("more than 16 parts") && problems.len() < 300, "{problems}");
}
