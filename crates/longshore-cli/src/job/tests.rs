use super::*;
use crate::args::{Cli, Command, RunArgs};
use clap::Parser;
use longshore::{ByteSize, PullPolicy, SecretDelivery, SecurityProfile};
use serde_json::{Value, json};
use std::time::Duration;

fn parse(line: &[&str]) -> RunArgs {
    let words = ["longshore", "run"].iter().chain(line);
    match Cli::try_parse_from(words).map(|cli| cli.command) {
        Ok(Command::Run(args)) => *args,
        Ok(_) => panic!("another command"),
        Err(error) => panic!("{error}"),
    }
}

fn nothing(_: &str) -> Option<OsString> {
    None
}

/// The template and the notices, when there is no mistake.
fn assembled(line: &[&str], files: &[Line], lookup: &Lookup<'_>) -> Result<(JobTemplate, Vec<String>)> {
    let mut reader = Reader::default();
    let job = job(&mut reader, &parse(line).job, None, files, lookup, Path::new("/here"))?;
    Ok((job.template, reader.finish()?))
}

/// What a template says beyond its name and image, as it would be stored.
fn stored(line: &[&str]) -> Value {
    let mut value = serde_json::to_value(assembled(line, &[], &nothing).unwrap().0).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.remove("name");
    fields.remove("image");
    value
}

#[test]
fn each_option_is_one_field() {
    let cases: [(&[&str], Value); 35] = [
        (&["i"], json!({})),
        (&["i", "a", "-b", "--", "c"], json!({"command": ["a", "-b", "--", "c"]})),
        (&["i", "--", "a", "b c"], json!({"command": ["a", "b c"]})),
        (&["i", "--"], json!({})),
        (&["i", "-e", "A=1", "--json"], json!({"command": ["-e", "A=1", "--json"]})),
        (&["--", "i", "a"], json!({"command": ["a"]})),
        (
            &["-e", "A=1", "--env=B=x=y", "-eC=", "i"],
            json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "x=y"}, {"name": "C", "value": ""}]}),
        ),
        (&["-e", "A=1", "-e", "A=2\n3", "i"], json!({"env": [{"name": "A", "value": "2\n3"}]})),
        (&["--secret", "t=env:X", "i"], json!({"secrets": [{"name": "t", "reference": "env:X"}]})),
        (
            &["--secret", "T=file:/x,env", "i"],
            json!({"secrets": [{"name": "T", "reference": "file:/x", "delivery": "env"}]}),
        ),
        (
            &["-m", "1k", "--memory", "2k", "-w", "/a", "-w", "/b", "i"],
            json!({"resources": {"memory": 2048}, "working_directory": "/b"}),
        ),
        (&["--entrypoint", "/a", "--entrypoint", "-b", "i"], json!({"entrypoint": ["/a", "-b"]})),
        (&["-w", "/a", "i"], json!({"working_directory": "/a"})),
        (&["-u", "1:2", "i"], json!({"user": "1:2"})),
        (&["-l", "a=b=c", "--label", "d", "i"], json!({"labels": {"a": "b=c", "d": ""}})),
        (&["--network", "none", "i"], json!({"network": "none"})),
        (
            &["--network", "backend", "--network-alias", "a", "i"],
            json!({"network": "backend", "network_aliases": ["a"]}),
        ),
        (&["-v", "/a:/b:ro", "i"], json!({"mounts": [{"source": {"bind": "/a"}, "target": "/b", "read_only": true}]})),
        (&["-v", "data:/b", "i"], json!({"mounts": [{"source": {"volume": "data"}, "target": "/b"}]})),
        (&["--tmpfs", "/t:size=1m", "i"], json!({"tmpfs": [{"target": "/t", "size": 1_048_576}]})),
        (&["--pull", "always", "i"], json!({"pull_policy": "always"})),
        (&["--pull", "missing", "i"], json!({})),
        (&["--platform", "linux/x86_64", "i"], json!({"platform": "linux/amd64"})),
        (&["--security", "hardened", "i"], json!({"security": "hardened"})),
        (&["--stop-signal", "int", "i"], json!({"stop_signal": "SIGINT"})),
        (&["-m", "512m", "i"], json!({"resources": {"memory": 536_870_912}})),
        (&["--cpus", "0.5", "i"], json!({"resources": {"cpu": "500m"}})),
        (&["--gpus", "2", "i"], json!({"resources": {"gpu": {"count": 2}}})),
        (&["--pids-limit", "9", "i"], json!({"resources": {"pids": 9}})),
        (&["--log-cap", "64m", "i"], json!({"log_cap": 67_108_864})),
        (&["--timeout", "90", "i"], json!({"run_timeout": "1m 30s"})),
        (&["--start-timeout", "1h 30m", "i"], json!({"start_timeout": "1h 30m"})),
        (&["--grace", "0", "i"], json!({"stop_grace": "0s"})),
        (&["--keep", "-q", "--json", "--dry-run", "--owner", "me", "i"], json!({})),
        (&["--executor", "mock", "--host", "x", "--executor-config", "a=b", "i"], json!({})),
    ];
    for (line, expected) in cases {
        assert_eq!(stored(line), expected, "{line:?}");
    }
}

#[test]
fn the_name_is_the_images_unless_it_is_given() {
    let name = |line: &[&str]| assembled(line, &[], &nothing).unwrap().0.name.to_string();
    assert_eq!(name(&["registry.example.com:5000/team/tool:1.2"]), "tool");
    assert_eq!(name(&["--name", "nightly", "tool"]), "nightly");
    assert_eq!(name(&[&"a".repeat(200)]), "a".repeat(128));
}

#[test]
fn a_path_counts_from_the_current_folder_and_gives_a_name() {
    let cases = [
        ("docker-archive:../tool v1.tar:x:1", "docker-archive:/tool v1.tar:x:1", "tool-v1.tar"),
        ("rootfs:./.hidden", "rootfs:/here/.hidden", "hidden"),
        ("oci:übung", "oci:/here/übung", "bung"),
        ("oci:/木/木", "oci:/木/木", "image"),
        ("oci:-", "oci:/here/-", "image"),
    ];
    for (typed, image, name) in cases {
        let template = assembled(&[typed], &[], &nothing).unwrap().0;
        assert_eq!((template.image.to_string().as_str(), template.name.as_str()), (image, name), "{typed}");
    }
    let long = format!("rootfs:/{}", "ä".repeat(200) + &"b".repeat(200));
    assert_eq!(assembled(&[&long], &[], &nothing).unwrap().0.name.as_str(), "b".repeat(128));
}

#[test]
fn every_wrong_option_is_named_with_its_rule() {
    let long = "k".repeat(200);
    let cases: [(&[&str], &str, &str); 45] = [
        (&[""], "IMAGE", "an image is needed"),
        (&["Bad Image"], "IMAGE", "lower-case"),
        (&["oci:"], "IMAGE", "a path is needed"),
        (&["--name", "a/b", "i"], "--name", "letters, digits"),
        (&["--name", "", "i"], "--name", "1 to 128"),
        (&["-e", "A\nB=1", "i"], "--env", "line breaks"),
        (&["-e", "=1", "i"], "--env", "1 to 256"),
        (&["-e", "A B=1", "i"], "--env", "spaces"),
        (&["--secret", "hunter2", "i"], "--secret", "NAME=REF"),
        (&["--secret", "a/b=env:X", "i"], "--secret", "letters, digits"),
        (&["--secret", "a=env:X", "--secret", "a=env:Y", "i"], "--secret", "twice"),
        (&["--secret", "A=env:X,env", "-e", "A=1", "i"], "--env", "twice"),
        (&["--entrypoint", "", "i"], "--entrypoint", "can't be empty"),
        (&["-w", "relative", "i"], "--workdir", "absolute path"),
        (&["-w", "/a/../b", "i"], "--workdir", "`..`"),
        (&["-u", "a b", "i"], "--user", "USER:GROUP"),
        (&["-u", "1:2:3", "i"], "--user", "USER:GROUP"),
        (&["-l", "=x", "i"], "--label", "1 to 128"),
        (&["-l", &long, "i"], "--label", "1 to 128"),
        (&["-l", "longshore.owner=me", "i"], "--label", "reserved"),
        (&["-l", "a=b\nc", "i"], "--label", "line breaks"),
        (&["--network", "a/b", "i"], "--network", "network's name"),
        (&["--network-alias", "-a", "i"], "--network-alias", "1 to 63"),
        (&["--network", "none", "--network-alias", "a", "i"], "--network-alias", "without a network"),
        (&["-v", "/a", "i"], "--volume", "SOURCE:TARGET"),
        (&["-v", "./a:/b", "i"], "--volume", "must be absolute"),
        (&["-v", "/a:b", "i"], "--volume", "absolute path"),
        (&["-v", "/a:/b", "-v", "/c:/b", "i"], "--volume", "twice"),
        (&["--tmpfs", "t", "i"], "--tmpfs", "absolute path"),
        (&["--tmpfs", "/t:size=x", "i"], "--tmpfs", "512MiB"),
        (&["--pull", "sometimes", "i"], "--pull", "`never`"),
        (&["--platform", "linux", "i"], "--platform", "linux/amd64"),
        (&["--security", "none", "i"], "--security", "`hardened`"),
        (&["--stop-signal", "SIGNOPE", "i"], "--stop-signal", "1 to 64"),
        (&["-m", "0", "i"], "--memory", "above zero"),
        (&["-m", "-5", "i"], "--memory", "above zero"),
        (&["-m", "512MB", "i"], "--memory", "512MiB"),
        (&["--cpus", "-0.5", "i"], "--cpus", "above zero"),
        (&["--gpus", "all", "i"], "--gpus", "whole number"),
        (&["--pids-limit", "0", "i"], "--pids-limit", "above zero"),
        (&["--log-cap", "", "i"], "--log-cap", "above zero"),
        (&["--timeout", "0", "i"], "--timeout", "above zero"),
        (&["--timeout", "-1s", "i"], "--timeout", "number of seconds"),
        (&["--start-timeout", "soon", "i"], "--start-timeout", "number of seconds"),
        (&["--grace", "-1", "i"], "--grace", "number of seconds"),
    ];
    for (line, option, rule) in cases {
        let error = assembled(line, &[], &nothing).unwrap_err();
        assert_eq!(error.kind(), longshore::ErrorKind::Invalid, "{line:?}");
        let message = error.chain();
        assert!(message.contains(option) && message.contains(rule), "{line:?}: {message}");
        assert!(!message.contains("unnamed") && !message.contains("hunter2"), "{line:?}: {message}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let line = ["-m", "0", "--cpus", "x", "-w", "rel", "-e", "A B=hunter2", "--name", "/", "Bad Image"];
    let message = assembled(&line, &[], &nothing).unwrap_err().chain();
    for option in ["IMAGE", "--name", "--memory", "--cpus", "--workdir", "--env"] {
        assert!(message.contains(option), "{option}: {message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn variables_come_from_files_options_and_our_own_environment() {
    let line = |name: &str, value: Option<&str>, at: u32| Line {
        name: EnvName::new(name).unwrap(),
        value: value.map(str::to_owned),
        place: format!("vars:{at}"),
    };
    let files = [line("A", Some("file"), 1), line("B", None, 2), line("HUNTER2", None, 3), line("E", Some("file"), 4)];
    let own = |name: &str| matches!(name, "B" | "D").then(|| OsString::from(format!("own {name}")));
    let args = ["-e", "A=option", "-e", "D", "-e", "MISSING", "-e", "E", "i"];
    let (template, notices) = assembled(&args, &files, &own).unwrap();
    let variables: Vec<(&str, &str)> =
        template.env.iter().map(|variable| (variable.name.as_str(), variable.value.as_str())).collect();
    assert_eq!(variables, [("B", "own B"), ("A", "option"), ("D", "own D")]);
    let expected = [
        "the variable named at vars:3 is not set here and is left out",
        "--env MISSING is not set here and is left out",
        "--env E is not set here and is left out",
    ];
    assert_eq!(notices, expected);
}

#[cfg(unix)]
#[test]
fn a_value_of_our_own_that_is_no_text_is_refused_by_name_alone() {
    use std::os::unix::ffi::OsStringExt;
    let own = |_: &str| Some(OsString::from_vec(b"hunter2\xff".to_vec()));
    let message = assembled(&["-e", "TOKEN", "i"], &[], &own).unwrap_err().chain();
    assert!(message.contains("TOKEN") && message.contains("UTF-8") && !message.contains("hunter2"), "{message}");
}

#[test]
fn typed_values_arrive_as_typed() {
    let line =
        ["-m", "1g", "--grace", "250ms", "--pull", "never", "--security", "platform", "--secret", "T=env:X,env", "i"];
    let (template, _) = assembled(&line, &[], &nothing).unwrap();
    assert_eq!(template.resources.memory, Some(ByteSize::from_mib(1024)));
    assert_eq!(template.stop_grace, Some(Duration::from_millis(250)));
    assert_eq!((template.pull_policy, template.security), (PullPolicy::Never, SecurityProfile::Platform));
    assert_eq!(template.secrets[0].delivery, SecretDelivery::Env);
}
