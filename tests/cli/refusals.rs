//! What this engine or its operator will not do is refused by the plan: nothing is created.

use crate::bench::Bench;
use longshore_testkit::{proxy::Method, suite::Test, tests};

pub(crate) const TESTS: &[Test] = &tests![
    what_the_operator_has_not_allowed_is_refused_with_the_way_out,
    what_the_engine_can_not_do_is_refused_with_the_reason,
    what_the_operator_allows_is_done,
];

/// A refusal: what is typed, and the first line after `longshore: `.
type Case<'a> = (&'a [&'a str], &'a str);

async fn refused(cases: &[Case<'_>]) {
    let bench = Bench::new().await;
    let proxy = bench.proxy().await;
    for (options, reason) in cases {
        let done = bench.run(&[&["--host", &proxy.uri()], *options].concat(), &["print ran"]).finish().await;
        assert_eq!(done.exited(125), "");
        let first = done.first_line();
        assert!(first.starts_with(&format!("longshore: {reason}")), "{options:?}: {first}");
        assert!(done.stderr.lines().nth(1).is_some_and(|line| line.starts_with("hint: ")), "{}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 2, "{}", done.stderr);
    }
    assert_eq!(proxy.count(Method::POST, "/**"), 0, "{:?}", proxy.requests());
}

async fn what_the_operator_has_not_allowed_is_refused_with_the_way_out() {
    let by = "is not allowed on this host; its operator can allow it with";
    refused(&[
        (&["-v", "/etc:/host"], &format!("plan: mounts = \"/etc\" {by} the folder, or one above it, in allow.bind_mounts")),
        (&["-v", "/var/run/docker.sock:/s"], &format!("plan: mounts = \"/var/run/docker.sock\" {by} the folder")),
        (&["-v", "data:/data"], &format!("plan: mounts = \"data\" {by} the volume's name in allow.volumes")),
        (&["--network", "host"], &format!("plan: network = \"host\" {by} allow.host_network = true")),
        (&["--network", "backend"], &format!("plan: network = \"backend\" {by} the network's name in allow.networks")),
        (&["--security", "platform"], &format!("plan: security = \"platform\" {by} allow.platform_profile = true")),
        (
            &["--executor-option", "docker.runtime=other"],
            &format!("plan: executor_options.docker.runtime = \"other\" {by} the runtime's name in allow.runtimes"),
        ),
        (
            &["--executor-option", r#"docker.add_capabilities=["SYS_ADMIN"]"#],
            &format!("plan: executor_options.docker.add_capabilities = \"SYS_ADMIN\" {by} the capability's name in allow.capabilities"),
        ),
    ])
    .await;
}

async fn what_the_engine_can_not_do_is_refused_with_the_reason() {
    refused(&[
        (&["--memory", "1m"], "plan: resources.memory = 1MiB is less than the engine's least, 6MiB"),
        (&["--memory", "1000t"], "plan: resources.memory = 1000TiB is more than the host has, "),
        (
            &["--cpus", "10000"],
            "plan: resources.cpu = 10000000m is not between the engine's least, 10m, and what the host has, ",
        ),
        (&["--cpus", "0.001"], "plan: resources.cpu = 1m is not between the engine's least, 10m, and "),
        (&["--platform", "linux/s390x"], "plan: platform = linux/s390x is not what this engine runs: linux/"),
        (&["--network-alias", "a"], "plan: network_aliases need a network that is named; the default bridge has none"),
        (&["--secret", "s=provider:x"], "plan: secrets.s: Docker has no secret store; use an env: or file: reference"),
        (
            &["--executor-option", "docker.shm_size=lots"],
            "plan: executor_options.docker.shm_size: size \"lots\" is not valid: write a size above zero",
        ),
    ])
    .await;
}

/// The hint tells how: the same setting, typed, is enough.
async fn what_the_operator_allows_is_done() {
    let bench = Bench::new().await;
    let allow = ["--allow", "host_network=true", "--allow", "platform_profile=true"];
    let options = [&allow as &[&str], &["--network", "host", "--security", "platform"]].concat();
    let done = bench.run(&options, &["print ran"]).finish().await;
    assert_eq!(done.exited(0), "ran\n");
}
