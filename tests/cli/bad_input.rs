//! Whatever is wrong with what is typed is refused before anything is asked of an engine: the first line names the
//! option, what was typed and the rule.

use crate::program::{Done, Run};
use longshore_testkit::{suite::Test, tests};
use tempfile::TempDir;

pub(crate) const TESTS: &[Test] = &tests![
    names_and_images,
    variables_and_secrets,
    labels_networks_and_storage,
    resources_and_times,
    the_executor_and_its_settings,
    every_mistake_is_told_at_once,
    what_can_not_be_read_at_all_shows_how_to_call_the_program,
];

/// A broken rule: what is typed before the image, and the first line after `longshore: `.
type Case<'a> = (&'a [&'a str], &'a str);

const SIZE: &str =
    "write a size above zero such as 512m, 512MiB, 2g or a number of bytes (b, k, m, g, t are binary: 1k = 1024)";
const CORES: &str =
    "write cores above zero such as 0.5 or 2, or millicores such as 500m; a thousandth of a core is the smallest step";
const TIME: &str = "write a time such as 30s, 5m, 1h 30m or 250ms, or a number of seconds";
const COUNT: &str = "write a whole number above zero";
const PATH: &str = "use an absolute path below `/`, without `.`, `..` or `//`";
const VARIABLE: &str = "use 1 to 256 printable ASCII characters without `=`, spaces or line breaks";
const SECRET: &str = "write env:NAME, file:PATH or provider:REFERENCE; a value is never given in place of a reference";
const LABEL_KEY: &str = "use 1 to 128 letters, digits, `_`, `.`, `-` and `/`, beginning with a letter or digit";
const LABEL_VALUE: &str = "use at most 1,024 bytes without line breaks and other control characters";
const USER: &str = "write USER or USER:GROUP, each a name or a number";
const NAME: &str = "use 1 to 128 letters, digits, `_`, `.` and `-`, beginning with a letter or digit";
const OWNER: &str = "use 1 to 40 lower-case letters, digits and dashes, beginning with a letter or digit";

/// The program where nobody answers: whatever it says, it says without an engine.
async fn typed(words: &[&str]) -> Done {
    let home = TempDir::new().unwrap();
    let address = format!("unix://{}/nobody.sock", home.path().display());
    let done = Run::new(words, home.path()).env("DOCKER_HOST", address).finish().await;
    assert_eq!(done.exited(125), "", "{words:?}");
    assert!(home.path().read_dir().unwrap().next().is_none(), "{words:?} leaves something in the home");
    done
}

async fn refused(cases: &[Case<'_>]) {
    for (options, first_line) in cases {
        let image: &[&str] = if options.is_empty() { &[""] } else { &["image"] };
        let done = typed(&[&["run"], *options, image].concat()).await;
        assert_eq!(done.first_line(), format!("longshore: {first_line}"));
        assert!(done.stderr.lines().nth(1).is_some_and(|line| line.starts_with("hint: ")), "{}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 2, "{}", done.stderr);
    }
}

/// `FIELD "SHOWN" is not valid: RULE`
fn broken(field: &str, shown: &str, rule: &str) -> String {
    format!("{field} {shown:?} is not valid: {rule}")
}

async fn names_and_images() {
    let long = "n".repeat(129);
    let shortened = format!("{}…", "n".repeat(80));
    refused(&[
        (&[], &broken("IMAGE", "", "an image is needed, such as alpine:3.20 or registry.example.com/team/tool:1.2")),
        (&["--name", "a/b"], &broken("--name", "a/b", NAME)),
        (&["--name", ""], &broken("--name", "", NAME)),
        (&["--name", "-a"], &broken("--name", "-a", NAME)),
        (&["--name", &long], &broken("--name", &shortened, NAME)),
        (&["--entrypoint", ""], &broken("--entrypoint", "", "the program's name can't be empty")),
        (&["--workdir", "relative"], &broken("--workdir", "relative", PATH)),
        (&["--workdir", "/a/../b"], &broken("--workdir", "/a/../b", PATH)),
        (&["--user", "a b"], &broken("--user", "a b", USER)),
        (&["--user", "1:2:3"], &broken("--user", "1:2:3", USER)),
        (&["--pull", "sometimes"], &broken("--pull", "sometimes", "use `always`, `missing` or `never`")),
        (&["--security", "none"], &broken("--security", "none", "use `default`, `hardened` or `platform`")),
        (
            &["--platform", "linux"],
            &broken(
                "--platform",
                "linux",
                "write OS/ARCHITECTURE[/VARIANT] in lower case, such as linux/amd64 or linux/arm/v7",
            ),
        ),
        (
            &["--stop-signal", "SIGNOPE"],
            &broken("--stop-signal", "SIGNOPE", "use a name such as TERM or SIGTERM, or a number from 1 to 64"),
        ),
    ])
    .await;
    let rule = "a name is made of lower-case letters and digits, with `.`, `_`, `__` or dashes between them and `/` between its parts";
    let done = typed(&["run", "UPPER case"]).await;
    assert_eq!(done.first_line(), format!("longshore: {}", broken("IMAGE", "UPPER case", rule)));
}

async fn variables_and_secrets() {
    refused(&[
        (
            &["--env", "A\nB=1"],
            r#"--env "A\nB" is not valid: use 1 to 256 printable ASCII characters without `=`, spaces or line breaks"#,
        ),
        (&["--env", "=1"], &broken("--env", "", VARIABLE)),
        (&["--env", "A B=hunter2"], &broken("--env", "A B", VARIABLE)),
        (
            &["--env-file", "/nonexistent"],
            "--env-file /nonexistent can't be read: No such file or directory (os error 2)",
        ),
        (
            &["--secret", "hunter2"],
            &broken(
                "--secret",
                "(not shown)",
                "write NAME=REF or NAME=REF,env, where REF is env:NAME, file:PATH or provider:REFERENCE",
            ),
        ),
        (&["--secret", "a=hunter2"], &broken("--secret: secret reference", "(not shown)", SECRET)),
        (&["--secret", "a=vault:hunter2"], &broken("--secret: secret reference", "(not shown)", SECRET)),
        (
            &["--secret", "a/b=env:X"],
            &broken(
                "--secret: secret name",
                "a/b",
                "use 1 to 128 letters, digits, `_`, `.` and `-`, beginning with a letter, digit or `_`",
            ),
        ),
        (
            &["--secret", "a=env:X", "--secret", "a=env:Y"],
            &broken("--secret", "a", "the same name is given twice; keep one"),
        ),
        (&["--secret", "A=env:X,env", "--env", "A=1"], &broken("--env", "A", "the same name is given twice; keep one")),
    ])
    .await;
}

async fn labels_networks_and_storage() {
    let (long_key, long_value) = ("k".repeat(129), format!("a={}", "v".repeat(1025)));
    let (key, value) = (format!("{}…", "k".repeat(80)), format!("{}…", "v".repeat(80)));
    let twice = "the same name is given twice; keep one";
    refused(&[
        (&["--label", &long_key], &broken("--label", &key, LABEL_KEY)),
        (&["--label", &long_value], &broken("--label: label value", &value, LABEL_VALUE)),
        (&["--label", "a=b\nc"], &broken("--label: label value", "b\nc", LABEL_VALUE)),
        (&["--label", "=b"], &broken("--label: label key", "", LABEL_KEY)),
        (
            &["--label", "longshore.owner=me"],
            &broken("--label", "longshore.owner", "keys that begin with `longshore.` are reserved; choose another"),
        ),
        (
            &["--network", "a/b"],
            &broken(
                "--network",
                "a/b",
                "use `none`, `private`, `host`, or a network's name of letters, digits, `_`, `.` and `-`",
            ),
        ),
        (
            &["--network-alias", "-a"],
            &broken(
                "--network-alias",
                "-a",
                "use 1 to 63 letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
            ),
        ),
        (
            &["--network", "none", "--network-alias", "a"],
            &broken("--network-alias", "a", "a job without a network can't have names on it"),
        ),
        (&["--volume", "/a"], &broken("--volume", "/a", "write SOURCE:TARGET or SOURCE:TARGET:ro")),
        (
            &["--volume", "./a:/b"],
            &broken("--volume", "./a:/b", "a path of the host must be absolute; write it out, such as /srv/data:/data"),
        ),
        (&["--volume", "/a:b"], &broken("--volume", "b", PATH)),
        (&["--volume", "/a:/b:z"], &broken("--volume", "/a:/b:z", "after the second colon comes `ro` or `rw`")),
        (&["--volume", "/a:/b", "--tmpfs", "/b"], &broken("--volume or --tmpfs", "/b", twice)),
        (&["--tmpfs", "relative"], &broken("--tmpfs", "relative", PATH)),
        (&["--tmpfs", "/t:1m"], &broken("--tmpfs", "/t:1m", "write TARGET or TARGET:size=SIZE, such as /tmp:size=64m")),
        (&["--tmpfs", "/t:size=0"], &broken("--tmpfs: size", "0", SIZE)),
    ])
    .await;
}

async fn resources_and_times() {
    refused(&[
        (&["--memory", "0"], &broken("--memory", "0", SIZE)),
        (&["--memory", "-1"], &broken("--memory", "-1", SIZE)),
        (&["--memory", "-512m"], &broken("--memory", "-512m", SIZE)),
        (&["--memory", "512MB"], &broken("--memory", "512MB", SIZE)),
        (&["--memory", ""], &broken("--memory", "", SIZE)),
        (&["--memory", "99999999999t"], &broken("--memory", "99999999999t", SIZE)),
        (&["--cpus", "0"], &broken("--cpus", "0", CORES)),
        (&["--cpus", "-0.5"], &broken("--cpus", "-0.5", CORES)),
        (&["--cpus", "many"], &broken("--cpus", "many", CORES)),
        (&["--gpus", "all"], &broken("--gpus", "all", COUNT)),
        (&["--pids-limit", "0"], &broken("--pids-limit", "0", COUNT)),
        (&["--pids-limit", "-1"], &broken("--pids-limit", "-1", COUNT)),
        (&["--log-cap", "0"], &broken("--log-cap", "0", SIZE)),
        (&["--timeout", "0"], &broken("--timeout", "0s", "a time limit must be above zero; leave it out for none")),
        (&["--timeout", "-1s"], &broken("--timeout", "-1s", TIME)),
        (&["--timeout", "soon"], &broken("--timeout", "soon", TIME)),
        (&["--timeout", "1d"], &broken("--timeout", "1d", TIME)),
        (
            &["--start-timeout", "0s"],
            &broken("--start-timeout", "0s", "a time limit must be above zero; leave it out for none"),
        ),
        (&["--grace", "-1"], &broken("--grace", "-1", TIME)),
    ])
    .await;
}

async fn the_executor_and_its_settings() {
    let form = "write KEY=VALUE or a JSON object";
    let for_docker = "the job runs on docker; write docker.KEY=VALUE or docker={JSON object}";
    let settings = "there is no such key; available: allow_plain_tcp, docker_config, host, log_cap, log_driver, pids_limit, tls (`longshore schema docker-config`)";
    let options = "there is no such key; available: add_capabilities, hostname, init, runtime, shm_size (`longshore schema docker-options`)";
    refused(&[
        (&["--owner", "Me"], &broken("--owner", "Me", OWNER)),
        (&["--executor", "a b"], &broken("--executor", "a b", OWNER)),
        (&["--executor", "nope"], "there is no executor `nope` in this program; available: cloudrun, docker, embedded, mock"),
        (&["--executor-config", "hunter2"], &broken("--executor-config", "(not shown)", form)),
        (&["--executor-config", "frobnicate=hunter2"], &broken("--executor-config", "frobnicate", settings)),
        (&["--allow", "host_network=maybe"], &broken("--allow", "host_network", "it takes true or false; see `longshore schema allow`")),
        (&["--executor-config", r#"{"a": hunter2}"#], &broken("--executor-config", "(not shown)", "the JSON object can't be read at line 1, column 7")),
        (&["--executor-option", "init=true"], &broken("--executor-option", "init", for_docker)),
        (&["--executor-option", "mock.script=hunter2"], &broken("--executor-option", "mock.script", for_docker)),
        (&["--executor-option", "docker.privileged=true"], &broken("--executor-option", "docker.privileged", options)),
        (&["--executor-option", r#"docker={"privileged": true}"#], &broken("--executor-option", "docker.privileged", options)),
        (&["--executor-option", "docker.init=maybe"], &broken("--executor-option", "docker.init", "it takes true or false; see `longshore schema docker-options`")),
        (&["--executor", "mock", "--host", "x"], &broken("--host", "x", "a host of the mock executor has no address; leave it out")),
        (&["--host", "nowhere"], "the engine's address \"nowhere\" is not one that Longshore can reach; use unix:///PATH or tcp://HOST:PORT (host docker-e291ad27)"),
        (&["--host", "tcp://192.0.2.1:2375"], "the engine's address \"tcp://192.0.2.1:2375\" is plain TCP: whoever can reach it is root on that machine; use TLS (`tls`, or DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH), a unix socket, or set allow_plain_tcp = true (host docker-a23a6dec)"),
    ])
    .await;
}

async fn every_mistake_is_told_at_once() {
    let options = ["-m", "0", "--cpus", "x", "--owner", "Me", "-l", "=", "--executor-option", "x", "--name", "/"];
    let done = typed(&[&["run"], &options as &[&str], &["UPPER"]].concat()).await;
    for option in ["IMAGE", "--name", "--memory", "--cpus", "--label", "--owner", "--executor-option"] {
        assert!(done.first_line().contains(option), "{option}: {}", done.first_line());
    }
}

async fn what_can_not_be_read_at_all_shows_how_to_call_the_program() {
    let cases: &[(&[&str], &str)] = &[
        (&["run"], "error: the following required arguments were not provided:"),
        (&["run", "--frobnicate", "image"], "error: unexpected argument '--frobnicate' found"),
        (&["run", "--memory"], "error: a value is required for '--memory <SIZE>' but none was supplied"),
        (&["frobnicate"], "error: unrecognized subcommand 'frobnicate'"),
        (&["completions", "basic"], "error: invalid value 'basic' for '<SHELL>'"),
        (&["schema", "nope"], "longshore: there is no schema \"nope\"; available: job, template, host, "),
        (&["man", "/nonexistent"], "longshore: /nonexistent/longshore.1 can't be written: No such file or directory"),
    ];
    for (words, first_line) in cases {
        let done = typed(words).await;
        assert!(done.first_line().starts_with(first_line), "{words:?}: {}", done.first_line());
    }
}
