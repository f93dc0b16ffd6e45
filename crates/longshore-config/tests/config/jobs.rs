//! Files that describe jobs.

use longshore_config::{Config, DescribedJob};
use std::path::Path;

use crate::support::{loader, parse};

fn config() -> Config {
    parse(
        "[templates.worded]\nimage = 'i'\ncommand = ['c']\nargs = ['old']\n[hosts.a]\nexecutor = 'docker'\n[templates.base]\nimage = 'i'\ncommand = ['c']\nenv = { A = '1', B = '2' }\n\
         labels = { a = '1', b = '2' }\nresources = { memory = '1g', cpu = 1 }\n\
         secrets = [{ name = 's', reference = 'env:S' }]\nexecutor_options = { docker = { launch = '1s', pending = '1s' } }",
    )
    .unwrap()
}

fn read(name: &str, text: &str) -> Result<DescribedJob, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let described = loader(&[]).read_job(&path, Some(&config()));
    let prefix = format!("{}/", folder.path().display());
    described.map(|(job, _)| job).map_err(|problems| problems.to_string().replace(&prefix, ""))
}

#[test]
fn a_job_begins_from_a_template_and_what_stands_beside_it_wins() {
    let text = "template = 'base'\nargs = ['d']\nenv = { B = '3', C = '4' }\nlabels = { b = '3' }\n\
                resources = { memory = '2g' }\nsecrets = [{ name = 's', reference = 'env:T' }]\n\
                executor_options = { docker = { pending = '2s' } }\npreferred_executor = 'a'\n\
                created_by = { name = 'ann', groups = ['g'] }";
    let job = read("job.toml", text).unwrap();
    let template = serde_json::to_value(&job.template).unwrap();
    let expected = serde_json::json!({
        "name": "base", "image": "i", "command": ["c"], "args": ["d"],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
        "labels": {"a": "1", "b": "3"},
        "resources": {"memory": 2_147_483_648_u64, "cpu": "1000m"},
        "secrets": [{"name": "s", "reference": "env:T"}],
        "executor_options": {"docker": {"launch": "1s", "pending": "2s"}},
    });
    assert_eq!(template, expected);
    assert_eq!(job.preferred_executor.unwrap().host.as_str(), "a");
    assert_eq!(job.created_by.unwrap().groups, ["g"]);
}

#[test]
fn another_command_has_other_arguments() {
    let words = |text: &str| {
        let template = read("job.toml", text).unwrap().template;
        (template.command.unwrap(), template.args)
    };
    let begun = "template = 'worded'\n";
    assert_eq!(words(begun), (vec!["c".to_owned()], vec!["old".to_owned()]));
    assert_eq!(words(&format!("{begun}command = ['d']")), (vec!["d".to_owned()], vec![]));
    assert_eq!(words(&format!("{begun}args = ['e']")), (vec!["c".to_owned()], vec!["e".to_owned()]));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_no_secret_is() {
    let text = "image = 'UPPER CASE'\nrun_timeout = 'soon'\nresources = { memory = 'lots', cpu = 'x' }\n\
                env = { DB_PASSWORD = 'hunter2', 'bad name' = 'x' }\nsecrets = [{ name = 's', reference = 'hunter3' }]\n\
                executor_options = { docker = { lanch = '1s' }, dockr = {} }\nworkdir = 'x'\n";
    let told = read("job.toml", text).unwrap_err();
    let places = [
        "1:9: image",
        "2:15: ",
        "3:24: size",
        "3:38: cpu",
        "4:7: environment",
        "5:38: secret reference",
        "6:33: there is no key",
        "6:49: there is no executor `dockr`",
        "7:1: there is no key `workdir`",
    ];
    for place in places {
        assert!(told.contains(&format!("job.toml:{place}")), "{place}\n{told}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    std::fs::write(&path, text).unwrap();
    let rendered = loader(&[]).read_job(&path, None).unwrap_err().render(false);
    assert!(!rendered.contains("hunter") && !told.contains("hunter"), "{rendered}");
}

#[test]
fn a_template_that_there_is_not_hides_no_other_mistake() {
    let text =
        "template = 'bse'\nrun_timeout = 'soon'\npreferred_executor = 'BAD HOST'\ncreated_by = { groups = [] }\n";
    let told = read("job.toml", text).unwrap_err();
    let lines: Vec<&str> = told.lines().map(|line| &line[..12]).collect();
    assert_eq!(lines, ["job.toml:1:1", "job.toml:2:1", "job.toml:3:2", "job.toml:4:1"], "{told}");
}

#[test]
fn a_job_without_a_template_has_an_image() {
    let job = read("job.yaml", "image: alpine:3\nname: nightly\nrun_timeout: 5m\n").unwrap();
    assert_eq!((job.template.name.as_str(), job.template.run_timeout.unwrap().as_secs()), ("nightly", 300));
    assert_eq!(read("job.json", r#"{"image": "i"}"#).unwrap().template.name.as_str(), "job");
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    let cases = [
        ("comand = ['x']", "job.toml:1:1: there is no key `comand`; did you mean `command`?"),
        ("name = 'x'", "job.toml:1:1: missing field `image`; set `image`, or `template` to begin from"),
        ("template = 'bse'", "job.toml:1:12: there is no template `bse`; did you mean `base`?"),
        ("image = 'i'\nresources = { memory = '1 lot' }", "job.toml:2:24: size \"1 lot\""),
        ("image = 'i'\nenv = { 'A B' = '1' }", "job.toml:2:7: environment variable name"),
        ("image = 'i'\npreferred_executor = 'A B'", "job.toml:2:22: host name \"A B\""),
        ("image = 'i'\ncreated_by = { groups = [] }", "job.toml:2:14: `created_by` has no `name`"),
        ("image = 'i'\nworking_directory = 'a'", "job.toml:2:21: working_directory \"a\""),
        ("image = 'i'\n[[mounts]]\nsource = { bind = '/a/../b' }\ntarget = '/c'", "job.toml:"),
        ("image = 1", "job.toml:1:9: `image` takes text, and this is a number"),
    ];
    for (text, expected) in cases {
        let told = read("job.toml", text).unwrap_err();
        assert!(told.starts_with(expected), "{text}\n{told}\nis not\n{expected}");
    }
    let error = loader(&[]).read_job(Path::new("/nowhere/job.toml"), None).unwrap_err().to_string();
    assert!(error.contains("can't be read"), "{error}");
}
