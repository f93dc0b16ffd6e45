//! Supervisors that die while their containers run, and machines that do.

use longshore_core::{
    Cause, ErrorKind, ExecutionHandle, ExecutionStatus, LaunchSearch, LogCompleteness, LogQuery, Network, StopReason,
    StopRequest,
};
use longshore_testkit::{suite::Test, tests};
use std::{fs, process::Command, time::Duration};

use crate::bench::{Bench, OWNER, cgroups, kill, lives, until};

pub(crate) const TESTS: &[Test] = &tests![
    a_container_whose_supervisor_was_killed_is_gone_when_it_is_said_to_be,
    a_stop_ends_when_the_supervisor_is_killed,
    a_container_that_a_new_boot_has_ended_is_lost_and_kills_nobody,
    a_network_helper_that_is_killed_ends_no_job_and_outlives_no_supervisor,
    what_is_left_in_a_control_group_is_not_counted_as_the_containers,
    a_control_group_with_somebody_in_it_is_left_alone,
];

const AT_ONCE: StopRequest = StopRequest::new(StopReason::Cancelled, Duration::ZERO);

/// Every process in the execution's control groups.
fn processes(handle: &ExecutionHandle) -> Vec<i32> {
    let groups = cgroups(handle.token);
    let read = groups.iter().filter_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok());
    read.flat_map(|text| text.lines().map(|line| line.parse().unwrap()).collect::<Vec<i32>>()).collect()
}

/// Waits until the program has said something, and its log tells so.
async fn said(bench: &Bench, handle: &ExecutionHandle) {
    let query = LogQuery::from_start().waiting(Duration::from_secs(60));
    assert!(!bench.executor.get_logs(handle, &query).await.unwrap().records.is_empty(), "it has said nothing");
}

async fn removed(bench: &Bench, handle: &ExecutionHandle) {
    bench.executor.cleanup(handle).await.unwrap();
    bench.assert_nothing_left(handle.token);
    assert_eq!(bench.executor.check_status(handle).await.unwrap(), ExecutionStatus::NotFound);
}

async fn a_container_whose_supervisor_was_killed_is_gone_when_it_is_said_to_be() {
    let bench = Bench::new().await;
    for _ in 0..5 {
        let request = bench.request(&["print begun", "children 30 1h", "forever"]).await;
        let handle = bench.executor.launch_job(&request).await.unwrap();
        said(&bench, &handle).await;
        until("it has its processes", || processes(&handle).iter().filter(|pid| lives(**pid)).count() > 30).await;
        let all = processes(&handle);
        kill(bench.process(handle.token, "supervisor"));
        let ended = bench.ended(&handle).await;
        let left: Vec<&i32> = all.iter().filter(|pid| lives(**pid)).collect();
        assert!(left.is_empty(), "it is said to have ended, and these live: {left:?}");
        assert_eq!(ended.cause, Cause::LostByProvider);
        lost(&bench, &handle).await;
        assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Found(handle.clone()));
        removed(&bench, &handle).await;
    }
}

/// What there is of the log is told, and that it is not all.
async fn lost(bench: &Bench, handle: &ExecutionHandle) {
    let harvest = bench.executor.harvest_job(handle).await.unwrap();
    assert!(matches!(harvest.logs.completeness, LogCompleteness::Missing { .. }), "{harvest:?}");
    assert_eq!(bench.log(handle).await, (b"begun\n".to_vec(), harvest.logs.completeness));
}

async fn a_stop_ends_when_the_supervisor_is_killed() {
    let bench = Bench::new().await;
    for _ in 0..10 {
        let handle = bench.launch(&["ignore TERM", "print deaf", "forever"]).await;
        // A wish that came before would end it.
        said(&bench, &handle).await;
        let patient = StopRequest::new(StopReason::Cancelled, Duration::from_secs(3600));
        let names = || fs::read_dir(bench.folder(handle.token)).unwrap().map(|entry| entry.unwrap().file_name());
        let (stopped, ()) = tokio::join!(bench.executor.stop_job(&handle, &patient), async {
            until("it is asked to stop", || names().any(|name| name.to_string_lossy().starts_with("stop."))).await;
            kill(bench.process(handle.token, "supervisor"));
        });
        assert_eq!(stopped.unwrap().cause, Cause::LostByProvider);
        removed(&bench, &handle).await;
    }
}

async fn a_container_that_a_new_boot_has_ended_is_lost_and_kills_nobody() {
    let bench = Bench::new().await;
    let (handle, other) = (bench.launch(&["forever"]).await, bench.launch(&["forever"]).await);
    kill(bench.process(handle.token, "supervisor"));
    bench.ended(&handle).await;
    let mut started = bench.started(handle.token);
    started["boot_id"] = "00000000-0000-4000-8000-000000000000".into();
    // The number and even the start are another container's by now.
    started["init"] = bench.started(other.token)["init"].clone();
    fs::write(bench.folder(handle.token).join("started.json"), started.to_string()).unwrap();
    let ended = bench.ended(&handle).await;
    assert_eq!(ended.cause, Cause::LostByProvider);
    assert!(format!("{:?}", ended.evidence).contains("started anew"), "{ended:?}");
    bench.executor.cleanup(&handle).await.unwrap();
    assert!(lives(bench.process(other.token, "init")), "somebody else was killed");
    assert_eq!(bench.executor.stop_job(&other, &AT_ONCE).await.unwrap().cause, Cause::Cancelled);
    removed(&bench, &other).await;
}

/// The network helper of the execution's supervisor.
fn helper(bench: &Bench, handle: &ExecutionHandle) -> i32 {
    let supervisor = bench.process(handle.token, "supervisor").to_string();
    let found = Command::new("pgrep").args(["-P", &supervisor, "slirp4netns"]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().trim().parse().unwrap()
}

async fn a_network_helper_that_is_killed_ends_no_job_and_outlives_no_supervisor() {
    let bench = Bench::new().await;
    let mut template = bench.template(&["catch TERM 0", "print connected", "forever"]);
    template.network = Some(Network::Private);
    let helpers = bench.executor.facts().and_then(|facts| facts.details.get("network_helper").cloned());
    if !helpers.is_some_and(|helper| helper.ends_with("slirp4netns")) {
        return;
    }
    let handle = bench.executor.launch_job(&bench.request_of(template.clone(), OWNER).await).await.unwrap();
    let killed = helper(&bench, &handle);
    kill(killed);
    until("it is dead", || !lives(killed)).await;
    assert!(lives(bench.process(handle.token, "init")));
    assert_eq!(bench.executor.stop_job(&handle, &AT_ONCE).await.unwrap().cause, Cause::Cancelled);
    removed(&bench, &handle).await;
    let handle = bench.executor.launch_job(&bench.request_of(template, OWNER).await).await.unwrap();
    let left = helper(&bench, &handle);
    kill(bench.process(handle.token, "supervisor"));
    until("the helper has ended too", || !lives(left)).await;
    bench.ended(&handle).await;
    removed(&bench, &handle).await;
}

async fn what_is_left_in_a_control_group_is_not_counted_as_the_containers() {
    let bench = Bench::new().await;
    let request = bench.request(&["print once"]).await;
    let group = format!("/sys/fs/cgroup/cpuacct/longshore/{}", request.token);
    if fs::create_dir_all(&group).is_err() {
        // Version 2 has no such group.
        return;
    }
    // Somebody who spent a second of CPU in it, and went.
    let spend = format!(
        "echo $$ > {group}/cgroup.procs; spent=0; \
         while [ $spent -lt 1000000000 ]; do read spent < {group}/cpuacct.usage; done"
    );
    assert!(Command::new("sh").args(["-c", &spend]).status().unwrap().success());
    let handle = bench.executor.launch_job(&request).await.unwrap();
    bench.ended(&handle).await;
    let usage = serde_json::to_value(bench.executor.harvest_job(&handle).await.unwrap().usage).unwrap();
    assert!(!usage["cpu_time"]["measured"].as_str().unwrap().contains("1s "), "somebody else's is counted: {usage}");
    bench.ends_with(&handle, "once\n").await;
}

async fn a_control_group_with_somebody_in_it_is_left_alone() {
    let bench = Bench::new().await;
    let request = bench.request(&["print once"]).await;
    let group = std::path::Path::new("/sys/fs/cgroup/pids/longshore").join(request.token.to_string());
    if fs::create_dir_all(&group).is_err() {
        return;
    }
    let mut sitter = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(group.join("cgroup.procs"), sitter.id().to_string()).unwrap();
    let launched = bench.executor.launch_job(&request).await;
    let is_left = lives(sitter.id().cast_signed());
    sitter.kill().unwrap();
    sitter.wait().unwrap();
    let error = launched.unwrap_err();
    assert!(error.kind() == ErrorKind::StartFailed && error.message().contains("control group"), "{error}");
    assert!(is_left, "nobody is killed for being there");
    let handle = bench.executor.launch_job(&request).await.unwrap();
    bench.ends_with(&handle, "once\n").await;
}
