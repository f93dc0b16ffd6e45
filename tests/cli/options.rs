//! What is typed is what the container gets.

use crate::bench::{Bench, IMAGE};
use longshore_testkit::{suite::Test, tests};
use std::collections::BTreeMap;

pub(crate) const TESTS: &[Test] = &tests![
    resources_are_limits_of_the_container,
    the_user_and_the_working_directory,
    the_entrypoint_and_the_command,
    arguments_reach_the_program_as_they_are,
    without_a_network_there_is_none,
    names_and_labels_are_found_in_the_engine,
    folders_are_mounted_where_the_host_allows_them,
    scratch_space_can_be_written_to,
    a_hardened_container_can_do_little,
    the_executors_own_options_reach_the_container,
];

async fn resources_are_limits_of_the_container() {
    let bench = Bench::new().await;
    let mut started =
        bench.run(&["--memory", "512m", "--cpus", "0.5", "--pids-limit", "99"], &["print ready", "forever"]).start();
    started.shows("ready\n").await;
    let limits = bench.container().await.host_config.unwrap();
    assert_eq!((limits.memory, limits.nano_cpus, limits.pids_limit), (Some(512 << 20), Some(500_000_000), Some(99)));
    bench.kill("KILL").await;
    started.finish().await.exited(137);
}

async fn the_user_and_the_working_directory() {
    let bench = Bench::new().await;
    let done = bench.run(&["--user", "1234:5678", "--workdir", "/tmp"], &["id", "pwd"]).finish().await;
    assert_eq!(done.exited(0), "uid=1234 gid=5678\n/tmp\n");
    let done = bench.run(&["-u", "nobody"], &["id", "pwd"]).finish().await;
    assert_eq!(done.exited(0), "uid=65534 gid=65534\n/\n");
}

async fn the_entrypoint_and_the_command() {
    let bench = Bench::new().await;
    let done = bench.run(&["--entrypoint", "/probe", "--entrypoint", "print first"], &["print second"]).finish().await;
    assert_eq!(done.exited(0), "first\nsecond\n");
    let done = bench.run(&[], &[]).finish().await;
    assert_eq!(done.exited(0), "", "{IMAGE} has no command of its own");
}

async fn arguments_reach_the_program_as_they_are() {
    let bench = Bench::new().await;
    let words = [
        "print $HOME `id` * ; exit 9",
        "print  two  spaces ",
        "print \"quotes\" 'and' \\",
        "print ä\u{1f6a2}",
        "print --json",
    ];
    let done = bench.run(&[], &words).finish().await;
    let expected: String = words.iter().map(|word| format!("{}\n", word.strip_prefix("print ").unwrap())).collect();
    assert_eq!((done.exited(0), done.stderr.as_str()), (expected.as_str(), ""));
}

async fn without_a_network_there_is_none() {
    let bench = Bench::new().await;
    for (options, connected) in [(&["--network", "none"] as &[&str], false), (&[], true)] {
        let done = bench.run(options, &["read /proc/net/dev"]).finish().await;
        assert!(done.exited(0).contains("lo:"), "{done:?}");
        assert_eq!(done.exited(0).contains("eth0:"), connected, "{done:?}");
    }
}

async fn names_and_labels_are_found_in_the_engine() {
    let bench = Bench::new().await;
    let options = ["--name", "nightly", "--label", "team=data=x", "-l", "example.com/empty"];
    let mut started = bench.run(&options, &["print ready", "forever"]).start();
    started.shows("ready\n").await;
    let container = bench.container().await;
    let labels: BTreeMap<String, String> = container.config.unwrap().labels.unwrap().into_iter().collect();
    let name = container.name.unwrap();
    let expected = [
        ("team", "data=x"),
        ("example.com/empty", ""),
        ("longshore.owner", &bench.owner),
        ("longshore.template", "nightly"),
        ("longshore.host", "docker"),
        ("longshore.attempt", "1"),
        ("longshore.token", name.trim_start_matches('/')),
    ];
    for (key, value) in expected {
        assert_eq!(labels.get(key).map(String::as_str), Some(value), "{key}: {labels:?}");
    }
    bench.kill("KILL").await;
    started.finish().await.exited(137);
}

async fn folders_are_mounted_where_the_host_allows_them() {
    let bench = Bench::new().await;
    let folder = bench.home.path().join("shared");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("in"), "from the host\n").unwrap();
    let (writable, read_only) = (format!("{}:/data", folder.display()), format!("{}:/data:ro", folder.display()));
    let allowed = format!("bind_mounts=[{:?}]", bench.home.path());
    let words = ["read /data/in", "write /data/out from the job"];
    let done = bench.run(&["--allow", &allowed, "-v", &writable], &words).finish().await;
    assert_eq!(done.exited(0), "from the host\n");
    assert_eq!(std::fs::read_to_string(folder.join("out")).unwrap(), "from the job\n");
    std::fs::remove_file(folder.join("out")).unwrap();
    let done = bench.run(&["--allow", &allowed, "-v", &read_only], &words).finish().await;
    assert_eq!(done.exited(73), "from the host\n");
    assert!(!folder.join("out").exists());
}

async fn scratch_space_can_be_written_to() {
    let bench = Bench::new().await;
    let options = ["--security", "hardened", "--tmpfs", "/scratch:size=1m"];
    let done = bench.run(&options, &["write /scratch/a text", "read /scratch/a", "write /b text"]).finish().await;
    assert_eq!(done.exited(73), "text\n");
    assert!(done.stderr.contains("/b: Read-only file system"), "{}", done.stderr);
}

async fn a_hardened_container_can_do_little() {
    let bench = Bench::new().await;
    let done = bench.run(&["--security", "hardened"], &["id", "read /proc/self/status"]).finish().await;
    let text = done.exited(0);
    assert!(text.starts_with("uid=65534 gid=65534\n"), "{text}");
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
}

async fn the_executors_own_options_reach_the_container() {
    let bench = Bench::new().await;
    let options = [
        &["--executor-option", "docker.hostname=12"] as &[&str],
        &[
            "--executor-option",
            r#"docker={"init": true, "shm_size": "1m"}"#,
            "--executor-option",
            "docker.shm_size=32m",
        ],
    ];
    let mut started = bench.run(&options.concat(), &["hostname", "print ready", "forever"]).start();
    started.shows("12\nready\n").await;
    let settings = bench.container().await.host_config.unwrap();
    assert_eq!((settings.init, settings.shm_size), (Some(true), Some(32 << 20)));
    bench.kill("TERM").await;
    started.finish().await.exited(143);
}
