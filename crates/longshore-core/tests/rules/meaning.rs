//! What conditions mean.

use longshore_core::rules::{Condition, VARIABLES};

use crate::{holds, hosts, job, now};

fn ask(text: &str) -> Result<bool, String> {
    let condition = Condition::parse(text, &hosts()).unwrap_or_else(|faults| panic!("{text}: {faults}"));
    holds(&condition, &job(), Ok(0.25))
}

#[test]
fn conditions_hold_or_do_not() {
    let hold = [
        // The original design's three.
        "template.memory_limit > 8192",
        "\"premium\" in user.groups",
        "template.name.startsWith(\"batch-\")",
        "true",
        "!false",
        "template.memory_limit == 8193 && resources.memory == 8193",
        "template.cpu_limit == 1.5 && resources.cpu < 2",
        "template.cpu_limit > 1",
        "resources.gpus == 2 && resources.gpu_model == 'l4'",
        "resources.pids == 0 && !has(resources.pids)",
        "has(template.memory_limit) && has(template.name)",
        "template.run_timeout == 91",
        "template.expected_duration == 0",
        "template.image.contains('/team/') && template.image.endsWith(':1.2')",
        "template.image.matches('^registry[.]example[.]com/')",
        "template.security == 'default' && template.network == ''",
        "template.platform == 'linux/arm64'",
        "job.name == template.name && job.preferred_executor == 'big'",
        "size(job.id) == 36",
        "user.name == 'ann' && user.name != 'bob' && user.name < 'bob'",
        "labels.team == 'blue'",
        "labels['a/b'] == ''",
        "'team' in labels && !('color' in labels)",
        "has(labels.team) && !has(labels.color)",
        "size(labels) == 2 && size(env) == 2 && size(user.groups) == 2 && user.groups.size() == 2",
        "'MODE' in env && !('secret' in env)",
        "hour == 14 && day == 'wednesday'",
        "day in ['monday', 'wednesday']",
        "hour in [13, 14]",
        "hour in [13.5, 14.0]",
        "hour >= 8 && hour <= 18 ? user.name == 'ann' : false",
        "(hour > 20 ? 1 : 2) == 2",
        "(hour > 20 ? 'a' : 'b') + 'c' == 'bc'",
        "hour * 2 + 2 == 30 && hour / 4 == 3 && hour % 4 == 2 && -hour == -14 && hour - 20 < 0",
        "template.cpu_limit * 2.0 == 3.0 && template.cpu_limit / 2.0 == 0.75 && -template.cpu_limit < 0.0",
        "double(hour) / 4.0 == 3.5 && int(3.9) == 3 && int(-3.9) == -3",
        "user.groups.exists(g, g.startsWith('prem'))",
        "user.groups.all(g, size(g) > 4)",
        "user.groups.exists_one(g, g == 'staff')",
        "user.groups.filter(g, g == 'staff').size() == 1",
        "'staff-x' in user.groups.map(g, g + '-x')",
        "labels.exists(k, k == 'team' && labels[k] == 'blue')",
        "env.exists(name, name.matches('^MODE$'))",
        "hosts.big.running == 3 && hosts.big.max == 4 && hosts.big.free == 1 && hosts.big.load == 0.75",
        "hosts['my-host'].running == 7 && hosts['my-host'].load == 0.0",
        "estimated_cost < 1",
        "estimated_cost == 0.25",
        // What decides by itself wins over what can't be evaluated.
        "true || labels.color == 'red'",
        "labels.color == 'red' || true",
        "!(labels.color == 'red' && false)",
        "user.groups.exists(g, g == 'premium' || labels[g] == 'x')",
        "!has(labels.color) || labels.color == 'red'",
    ];
    for text in hold {
        assert_eq!(ask(text), Ok(true), "{text}");
        assert_eq!(ask(&format!("!({text})")), Ok(false), "{text}");
    }
}

#[test]
fn what_could_not_be_foreseen_says_the_way_out() {
    let cases = [
        ("labels.color == 'red'", "the job has no label \"color\"; ask first with `\"color\" in labels && …`"),
        ("labels['x' + 'y'] == 'red'", "the job has no label \"xy\""),
        ("false || labels.color == 'red'", "no label"),
        ("hour / (hour - 14) == 1", "a division by zero"),
        ("hour % (hour - 14) == 1", "a division by zero"),
        ("9223372036854775807 + hour > 0", "a number is too large"),
        ("int(1e300) > 0", "a number is too large"),
        ("user.groups.all(g, g == 'staff' || labels[g] == 'x')", "no label \"premium\""),
        ("user.groups.exists_one(g, labels[g] == 'x')", "no label"),
    ];
    for (text, expected) in cases {
        let trouble = ask(text).unwrap_err();
        assert!(trouble.contains(expected), "{text}: {trouble}");
    }
    let mut long = job();
    let name = "x".repeat(40_000);
    long.created_by = Some(longshore_core::Principal::builder().name(name).groups(vec!["a".repeat(40_000)]).build());
    for text in ["user.name + user.name == ''", "'' in user.groups.map(g, g + user.name)"] {
        let trouble = holds(&text.parse().unwrap(), &long, Ok(0.0)).unwrap_err();
        assert_eq!(trouble, "a joined text is longer than 65536 bytes; compare its parts apart");
    }
    let condition = Condition::parse("estimated_cost > 1.0", &[]).unwrap();
    assert!(condition.asks_for_cost());
    let trouble = holds(&condition, &job(), Err("no price".to_owned())).unwrap_err();
    assert_eq!(trouble, "estimated_cost is not known: no price");
}

#[test]
fn conditions_are_the_same_but_for_their_spelling() {
    let same = [
        ("template.memory_limit > 8192", " ((template.memory_limit)  >\n8192) "),
        ("labels.team == 'a'", "labels[\"team\"] == \"a\""),
        ("template.image.matches('x')", "template.image.matches(\"x\")"),
        ("user.groups.exists(a, a == 'x')", "user.groups.exists(b, b == 'x')"),
    ];
    for (one, other) in same {
        assert_eq!(one.parse::<Condition>().unwrap(), other.parse().unwrap(), "{one}");
    }
    for (one, other) in [("hour > 1", "hour > 2"), ("hour > 1", "hour >= 1"), ("true", "false")] {
        assert_ne!(one.parse::<Condition>().unwrap(), other.parse().unwrap(), "{one}");
    }
    assert!("(true)".parse::<Condition>().unwrap().is_always());
    assert!(!"hour > 1".parse::<Condition>().unwrap().is_always());
}

#[test]
fn a_job_that_says_nothing_has_empty_values() {
    let mut job = job();
    job.created_by = None;
    job.preferred_executor = None;
    job.template.resources = longshore_core::Resources::default();
    job.template.env.clear();
    job.template.labels.clear();
    job.template.platform = None;
    let texts = [
        "template.memory_limit > 8192",
        "'premium' in user.groups",
        "user.name != '' || job.preferred_executor != '' || template.platform != ''",
        "size(env) + size(labels) + size(user.groups) + resources.gpus > 0",
        "template.cpu_limit > 0.0",
    ];
    for text in texts {
        assert_eq!(holds(&text.parse().unwrap(), &job, Ok(0.0)), Ok(false), "{text}");
    }
}

#[test]
fn every_declared_name_can_be_used_as_what_it_is() {
    for variable in VARIABLES {
        let name = variable.name;
        let text = match variable.kind {
            "int" => format!("{name} >= 0"),
            "double" => format!("{name} >= 0.0"),
            "string" => format!("{name} == {name} + ''"),
            "list(string)" => format!("!('nobody' in {name})"),
            "map(string, string)" => format!("size({name}) >= 0"),
            "map(string, host)" => format!("{name}['big'].running >= 0"),
            kind => panic!("{kind}"),
        };
        assert_eq!(ask(&text), Ok(true), "{text}");
    }
    assert_eq!(now().to_string(), "2026-07-15T14:30:00Z");
}

#[test]
fn the_page_on_conditions_has_every_name() {
    let page = include_str!("../../src/rules/docs.md");
    for variable in VARIABLES {
        let row = format!("| `{}` | {} | {} |", variable.name, variable.kind, variable.meaning);
        assert!(page.contains(&row), "{row}");
    }
}
