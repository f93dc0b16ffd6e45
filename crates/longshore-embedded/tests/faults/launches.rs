//! Launchers and supervisors that die, or are late, before the program runs.

use longshore_core::{Clock, ErrorKind, LaunchRequest, LaunchSearch, StopReason, StopRequest, SystemClock};
use longshore_testkit::{suite::Test, tests};
use serde_json::json;
use std::{fs, time::Duration};

use crate::{
    bench::{Bench, cgroups, kill, number_in, until},
    slow_network::SlowNetwork,
};

pub(crate) const TESTS: &[Test] = &tests![
    a_launcher_that_is_killed_before_anybody_hears_the_order_has_started_nothing,
    a_launcher_that_is_killed_after_the_order_has_started_it_or_nothing,
    a_supervisor_that_is_killed_before_the_start_has_started_nothing,
    a_deadline_that_passes_while_the_supervisor_prepares_is_kept,
    two_programs_that_launch_one_attempt_have_one_execution,
    forty_launches_at_once_are_forty_executions,
];

async fn launched_again(bench: &Bench, request: &LaunchRequest) {
    assert_eq!(bench.executor.find_launch(request).await.unwrap(), LaunchSearch::Absent);
    // A supervisor that has found itself alone may still be removing what it made.
    until("it has been removed", || fs::read_dir(bench.executions()).unwrap().next().is_none()).await;
    bench.assert_nothing_left(request.token);
    let handle = bench.executor.launch_job(request).await.unwrap();
    bench.ends_with(&handle, "once\n").await;
}

async fn a_launcher_that_is_killed_before_anybody_hears_the_order_has_started_nothing() {
    let bench = Bench::new().await;
    let request = bench.request(&["print once"]).await;
    let pid_file = bench.allowed.path().join("pid");
    let deaf = bench.script("deaf", &format!("#!/bin/sh\necho $$ > {}\nexec sleep 1000\n", pid_file.display()));
    let mut launcher = bench.launcher(&request, &json!({ "supervisor": deaf }));
    let supervisor = number_in(&pid_file).await;
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    assert!(bench.folder(request.token).join("launch.json").exists());
    // It has the lock, and could start it yet: who asks meanwhile is told when that is over.
    let (found, ()) = tokio::join!(bench.executor.find_launch(&request), async { kill(supervisor) });
    assert_eq!(found.unwrap(), LaunchSearch::Absent);
    launched_again(&bench, &request).await;
}

async fn a_launcher_that_is_killed_after_the_order_has_started_it_or_nothing() {
    for _ in 0..3 {
        let bench = Bench::new().await;
        let mut request = bench.request(&["print once"]).await;
        let network = SlowNetwork::of(&bench, &mut request);
        let mut launcher = bench.launcher(&request, &json!({}));
        network.supervisor().await;
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        network.go();
        request.plan.host_settings.settings["network"] = json!("none");
        match bench.executor.find_launch(&request).await.unwrap() {
            LaunchSearch::Found(handle) => bench.ends_with(&handle, "once\n").await,
            _ => launched_again(&bench, &request).await,
        }
    }
}

async fn a_supervisor_that_is_killed_before_the_start_has_started_nothing() {
    let bench = Bench::new().await;
    let mut request = bench.request(&["print once"]).await;
    let network = SlowNetwork::of(&bench, &mut request);
    let (launched, groups) = tokio::join!(bench.executor.launch_job(&request), async {
        let supervisor = network.supervisor().await;
        let groups = cgroups(request.token);
        kill(supervisor);
        groups
    });
    assert!(!groups.is_empty(), "the container was made");
    assert_eq!(launched.unwrap_err().kind(), ErrorKind::StartFailed);
    request.plan.host_settings.settings["network"] = json!("none");
    launched_again(&bench, &request).await;
}

async fn a_deadline_that_passes_while_the_supervisor_prepares_is_kept() {
    let bench = Bench::new().await;
    let mut request = bench.request(&["print never"]).await;
    let network = SlowNetwork::of(&bench, &mut request);
    request.deadline = SystemClock.now() + Duration::from_secs(2);
    let (launched, ()) = tokio::join!(bench.executor.launch_job(&request), async {
        network.supervisor().await;
        until("the deadline has passed", || SystemClock.now() > request.deadline).await;
        network.go();
    });
    assert_eq!(launched.unwrap_err().kind(), ErrorKind::DeadlinePassed);
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    bench.assert_nothing_left(request.token);
}

async fn two_programs_that_launch_one_attempt_have_one_execution() {
    let bench = Bench::new().await;
    for _ in 0..5 {
        let request = bench.request(&["print once"]).await;
        let launchers = [0; 4].map(|_| bench.launcher(&request, &json!({})));
        for launcher in launchers {
            let output = launcher.wait_with_output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), request.token.to_string());
        }
        match bench.executor.find_launch(&request).await.unwrap() {
            LaunchSearch::Found(handle) => bench.ends_with(&handle, "once\n").await,
            found => panic!("it was launched: {found:?}"),
        }
    }
}

async fn forty_launches_at_once_are_forty_executions() {
    let bench = Bench::new().await;
    let other = bench.another(json!({}));
    let stop = StopRequest::new(StopReason::Cancelled, Duration::ZERO);
    let lives = (0..40).map(|number| {
        let (bench, stop, executor) = (&bench, &stop, if number % 2 == 0 { &bench.executor } else { &other });
        async move {
            let request = bench.request(&[&format!("print {number}"), "forever"]).await;
            let handle = executor.launch_job(&request).await.unwrap();
            executor.stop_job(&handle, stop).await.unwrap();
            let (text, _) = bench.log(&handle).await;
            assert!(text.is_empty() || text == format!("{number}\n").as_bytes());
            executor.cleanup(&handle).await.unwrap();
            request.token
        }
    });
    for token in futures::future::join_all(lives).await {
        bench.assert_nothing_left(token);
    }
}
