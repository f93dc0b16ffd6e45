//! `longshore config`: checked, shown, described, begun.

use crate::support::{Longshore, configured};

#[test]
fn a_good_configuration_is_good_and_its_tests_have_passed() {
    let folder = tempfile::tempdir().unwrap();
    let init = Longshore::new(["config", "init"]).within(&folder).finish();
    assert_eq!((init.code, init.stderr.as_str()), (Some(0), ""));
    assert!(init.stdout().starts_with("wrote longshore.toml;"), "{}", init.stdout());
    if cfg!(feature = "docker") {
        let check = Longshore::new(["config", "check"]).within(&folder).finish();
        let expected = "longshore.toml is good: 1 host, 1 routing test passed\n";
        assert_eq!((check.code, check.stdout(), check.stderr.as_str()), (Some(0), expected, ""));
    }
    let other = Longshore::new(["config", "init", "other.toml"]).within(&folder).finish();
    assert_eq!(other.code, Some(0), "another name is no second configuration: {}", other.stderr);
    let beside = tempfile::tempdir().unwrap();
    std::fs::write(beside.path().join("longshore.yaml"), "").unwrap();
    let refused = Longshore::new(["config", "init"]).within(&beside).finish();
    assert!(
        refused.code == Some(125) && refused.stderr.contains("longshore.yaml is there already"),
        "{}",
        refused.stderr
    );
    let again = Longshore::new(["config", "init"]).within(&folder).finish();
    assert_eq!(again.code, Some(125), "what is there is not overwritten");
    assert!(again.stderr.contains("longshore.toml is there already"), "{}", again.stderr);
    for (name, expected) in
        [("longshore.yaml", "end the name in .toml"), ("longshore.toml", "longshore.toml is there already")]
    {
        let done = Longshore::new(["config", "init", name]).within(&folder).finish();
        assert!(done.code == Some(125) && done.stderr.contains(expected), "{name}: {}", done.stderr);
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = "[hosts.home]\nexecutor = \"mokc\"\n[hosts.b]\nexecutor = \"mock\"\nexecutor_config = { memory = \"1 lot\" }\n\
                [[routing.rules]]\ncondition = \"true || user.nam == 'x'\"\nhost = \"hom\"\n";
    let folder = configured(text);
    let check = Longshore::new(["config", "check"]).within(&folder).finish();
    assert_eq!((check.code, check.stdout()), (Some(1), "longshore.toml can't be used as it is: 4 problems\n"));
    for place in ["longshore.toml:2:12", "longshore.toml:5:30", "longshore.toml:7:22", "longshore.toml:8:8"] {
        assert!(check.stderr.contains(place), "{place}\n{}", check.stderr);
    }
    let found = Longshore::new(["config", "check", "--json"]).within(&folder).finish();
    assert_eq!(found.code, Some(1));
    let report = found.json();
    assert_eq!((&report["good"], report["problems"].as_array().unwrap().len()), (&false.into(), 4));
    assert_eq!(report["problems"][2]["code"], "bad-condition");
    assert_eq!(report["problems"][2]["place"]["file"]["column"], 22);
}

#[test]
fn a_failed_routing_test_fails_the_check() {
    let text = "[hosts.a]\nexecutor = \"mock\"\n[hosts.b]\nexecutor = \"mock\"\n[routing]\ndefault = \"a\"\n\
                [[routing.tests]]\nname = \"goes to b\"\njob = { image = \"i\" }\nexpect = { host = \"b\" }\n";
    let folder = configured(text);
    let check = Longshore::new(["config", "check"]).within(&folder).finish();
    assert_eq!(check.code, Some(1));
    assert!(
        check.stderr.contains("the routing test `goes to b` failed: expected host b, found a (the default)"),
        "{}",
        check.stderr
    );
    let report = Longshore::new(["config", "check", "--json"]).within(&folder).finish().json();
    assert_eq!(report["tests"][0]["passed"], false);
}

#[test]
fn a_warning_does_not_fail_it() {
    let text = "[hosts.a]\nexecutor = \"mock\"\n[[routing.rules]]\ncondition = \"true\"\nhost = \"a\"\n\
                [[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"a\"\n";
    let check = Longshore::new(["config", "check"]).within(&configured(text)).finish();
    assert_eq!(check.code, Some(0));
    assert!(check.stdout().contains("can be used: 1 host, 0 routing tests passed, 1 warning"), "{}", check.stdout());
    assert!(check.stderr.contains("warning[shadowed-rule]"), "{}", check.stderr);
}

#[test]
fn what_is_in_force_is_shown_without_secrets() {
    let text = "[hosts.a]\nexecutor = \"mock\"\nexecutor_config = { latency = \"${WHERE:-1s}\" }\n[hosts.a.labels]\ntoken = \"hunter2\"\n";
    let show = Longshore::new(["config", "show"])
        .env("WHERE", "3s")
        .env("LONGSHORE_HOSTS__A__WEIGHT", "5")
        .within(&configured(text))
        .finish();
    assert_eq!(show.code, Some(0));
    assert!(show.stderr.contains("`token` is a secret in plain text"), "{}", show.stderr);
    for line in ["latency = \"${WHERE:-[redacted]}\"", "token = \"[redacted]\"", "weight = 5"] {
        assert!(show.stdout().contains(line), "{line}\n{}", show.stdout());
    }
    assert!(!show.stdout().contains("hunter"), "{}", show.stdout());
}

#[test]
fn the_schema_knows_the_executors() {
    let schema = Longshore::new(["config", "schema"]).finish();
    let schema: serde_json::Value = serde_json::from_str(schema.stdout()).unwrap();
    assert!(schema["$defs"]["mock-config"].is_object());
    assert_eq!(schema["title"], "longshore.toml");
}

#[test]
fn colours_are_for_terminals() {
    let check = Longshore::new(["config", "check"]).within(&configured("x = 1\n")).finish();
    assert!(check.code == Some(1) && !check.stderr.contains('\u{1b}'), "{:?}", check.stderr);
}
