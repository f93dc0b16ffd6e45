//! The same configuration in three formats is the same, and each says where it can't be read.

use longshore_config::Format;
use std::path::Path;

use crate::support::loader;

const TOML: &str = r#"
[hosts.home]
executor = "docker"
max_concurrent_jobs = 2
labels = { team = "a: b" }
price = { currency = "EUR", cost_per_hour = 0.1 }
[[routing.rules]]
condition = "template.memory_limit > 8192"
host = "home"
spill = true
[templates.t]
image = "i"
args = ["1", "true", "null"]
env = { A = "1", B = 2, C = true }
"#;

const YAML: &str = r#"
hosts:
  home: &home
    executor: docker
    max_concurrent_jobs: 2
    labels: {team: "a: b"}
    price:
      currency: EUR
      cost_per_hour: 0.1
    region:
routing:
  rules:
    - condition: >-
        template.memory_limit
        > 8192
      host: home
      spill: true
templates:
  t:
    image: i
    args: ["1", "true", 'null']
    env: {A: "1", B: 2, C: true}
"#;

const JSON: &str = r#"{
  "hosts": {"home": {
    "executor": "docker", "max_concurrent_jobs": 2, "labels": {"team": "a: b"},
    "price": {"currency": "EUR", "cost_per_hour": "0.1"}
  }},
  "routing": {"rules": [{"condition": "template.memory_limit > 8192", "host": "home", "spill": true}]},
  "templates": {"t": {"image": "i", "args": ["1", "true", "null"], "env": {"A": "1", "B": 2, "C": true}}}
}"#;

#[test]
fn the_three_formats_say_the_same() {
    let read = |name: &str, text: &str| loader(&[]).parse(Path::new(name), text).unwrap();
    let toml = read("a.toml", TOML);
    for config in [read("a.yaml", YAML), read("a.yml", YAML), read("a.json", JSON)] {
        assert_eq!(config.hosts().collect::<Vec<_>>(), toml.hosts().collect::<Vec<_>>());
        assert_eq!(config.templates(), toml.templates());
        let host = config.hosts().next().unwrap();
        assert_eq!(config.prices().of(host).unwrap(), toml.prices().of(host).unwrap());
        let rules = |config: &longshore_config::Config| -> Vec<String> {
            crate::support::table(config)
                .rules()
                .map(|rule| format!("{} {} {}", rule.name, rule.target, rule.spill))
                .collect()
        };
        assert_eq!(rules(&config), rules(&toml));
    }
    let variables: Vec<&str> = toml.templates()["t"].env.iter().map(|variable| variable.value.as_str()).collect();
    assert_eq!(variables, ["1", "2", "true"]);
}

#[test]
fn what_cannot_be_read_says_where() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(200), close.repeat(200));
    let cases = [
        ("a.toml", "a = 1\na = 2\n".to_owned(), ":2:1: duplicate key"),
        ("a.toml", "a = \n".to_owned(), ":1:"),
        ("a.toml", "[hosts\n".to_owned(), ":1:"),
        ("a.toml", "a = inf".to_owned(), ":1:5: this is not a finite number"),
        ("a.toml", "a = 99999999999999999999".to_owned(), ":1:5:"),
        ("a.toml", format!("a = {}", deep("[", "]")), ":1:"),
        ("a.yaml", "a: 1\na: 2\n".to_owned(), ":2:1: the key `a` is given twice"),
        ("a.yaml", "a: [1\n".to_owned(), ":"),
        ("a.yaml", "a: !!str 1\n".to_owned(), ":1:"),
        ("a.yaml", "a: 1\n---\nb: 2\n".to_owned(), "there is more than one document"),
        ("a.yaml", "? [a]\n: b\n".to_owned(), "a key is a word"),
        ("a.yaml", format!("a: {}", deep("[", "]")), ":1:"),
        ("a.yaml", billion_laughs(), "there are more than 200000 values"),
        ("a.yaml", "a: &x [*x]\n".to_owned(), ":1:"),
        ("a.yaml", deep_aliases(), "this is nested too deeply"),
        ("a.yaml", nested_anchors(), "there are more than 200000 values"),
        ("a.yaml", long_aliases(), "there are more than 16 MiB of text"),
        ("a.yaml", "a: &a {b: 1}\nc: {<<: *a}\n".to_owned(), "merge keys are not read"),
        ("a.json", format!("[{}1]", "1,".repeat(200_000)), "there are more than 200000 values"),
        ("a.json", "{\"a\": 1,}".to_owned(), ":1:"),
        ("a.json", "{\"a\": 1, \"a\": 2}".to_owned(), ":1:10: the key `a` is given twice"),
        ("a.json", "// no\n{}".to_owned(), ":1:1:"),
        ("a.json", "{'a': 1}".to_owned(), ":1:2:"),
        ("a.json", deep("[", "]"), "this is nested too deeply"),
        ("a.json", "[]".to_owned(), ":1:1: `this` takes a table, and this is a list"),
        ("a.yaml", "- a\n".to_owned(), "takes a table, and this is a list"),
        ("a.yaml", "just words\n".to_owned(), "takes a table, and this is text"),
    ];
    for (name, text, expected) in cases {
        let problems = loader(&[]).parse(Path::new(name), &text).unwrap_err().to_string();
        let first = problems.lines().next().unwrap();
        assert!(first.starts_with(name) && first.contains(expected), "{name} {first}");
    }
}

fn billion_laughs() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", ")));
    }
    text
}

fn deep_aliases() -> String {
    let mut text = format!("a0: &a0 {}1{}\n", "[".repeat(50), "]".repeat(50));
    for level in 1..80 {
        text.push_str(&format!("a{level}: &a{level} {}*a{}{}\n", "[".repeat(50), level - 1, "]".repeat(50)));
    }
    text
}

fn nested_anchors() -> String {
    let open: String = (0..50).map(|level| format!("&n{level} [")).collect();
    format!("a: {open}{}1{}\n", "1, ".repeat(20_000), "]".repeat(50))
}

fn long_aliases() -> String {
    format!("x: &x \"{}\"\ny: [{}*x]\n", "A".repeat(100_000), "*x, ".repeat(1000))
}

#[test]
fn marks_and_line_ends_of_other_systems_are_read() {
    for (name, text) in [("a.toml", TOML), ("a.yaml", YAML), ("a.json", JSON)] {
        let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        loader(&[]).parse(Path::new(name), &text).unwrap();
    }
    let problems = loader(&[]).parse(Path::new("a.toml"), "\u{feff}a = 1\r\nb = 2\r\n").unwrap_err();
    assert!(problems.to_string().contains("a.toml:2:1: there is no key `b`"), "{problems}");
    assert!(!problems.render(false).contains('?'), "{}", problems.render(false));
}

#[test]
fn digits_with_zeros_before_them_are_text() {
    let text = "hosts: {a: {executor: docker}}\ntemplates: {t: {image: i, env: {ZIP: 007, N: 10, M: 0}}}\n";
    let config = loader(&[]).parse(Path::new("a.yaml"), text).unwrap();
    let values: Vec<&str> = config.templates()["t"].env.iter().map(|variable| variable.value.as_str()).collect();
    assert_eq!(values, ["0", "10", "007"]);
}

#[test]
fn the_format_is_that_of_the_name() {
    let cases = [
        ("a.toml", Format::Toml),
        ("a", Format::Toml),
        ("a.yaml", Format::Yaml),
        ("a.yml", Format::Yaml),
        ("a.json", Format::Json),
    ];
    for (name, format) in cases {
        assert_eq!(Format::of(Path::new(name)), format, "{name}");
    }
}
