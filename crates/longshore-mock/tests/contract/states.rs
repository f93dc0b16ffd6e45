//! From pending to the end, and what comes in between.

use longshore_core::{
    ByteSize, Capability, Cause, ContainerExecutor, ErrorKind, ExecutionStatus, JobStatus, LogQuery, Progress, Signal,
    StopReason, StopRequest,
};
use serde_json::json;

use crate::support::{Place, SECOND, cancel, template};

#[tokio::test(start_paused = true)]
async fn states_take_as_long_as_scripted() {
    let place = Place::new(json!({ "jobs": { "prepare": "8s", "pending": "3s" } })).await;
    let request = place.request(&["sleep 5s", "exit 4"]);
    let (progress, mut reports) = Progress::channel();
    place.executor.prepare(&request, progress).await.unwrap();
    assert_eq!(place.now(), request.created_at + 8 * SECOND);
    let mut last = None;
    while let Some(report) = reports.recv().await {
        last = Some((report.step, report.done == report.total));
    }
    assert_eq!(last, Some(("Downloading".to_owned(), true)));
    place.executor.prepare(&request, Progress::ignored()).await.unwrap();
    assert_eq!(place.now(), request.created_at + 8 * SECOND, "the image is there by now");

    let handle = place.executor.launch_job(&request).await.unwrap();
    assert_eq!(place.status(&handle).await, ExecutionStatus::Pending);
    place.sleep(3 * SECOND).await;
    let started_at = Some(place.now());
    assert_eq!(place.status(&handle).await, ExecutionStatus::Running { started_at });
    place.sleep(4 * SECOND).await;
    assert_eq!(place.status(&handle).await, ExecutionStatus::Running { started_at });
    place.sleep(SECOND).await;
    let end = place.end(&handle).await;
    assert_eq!((end.started_at, end.finished_at), (started_at, Some(place.now())));
    assert_eq!(end.exit_code, Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_script_decides_what_is_written_and_how_it_ends() {
    for code in [0, 3, 126, 137, 255] {
        let script = ["put out".to_owned(), "eput err".to_owned(), format!("exit {code}")];
        let place = Place::new(json!({ "jobs": { "script": script } })).await;
        let (_, handle) = place.launch(&["--whatever", "it is told"]).await;
        place.sleep(SECOND).await;
        let harvest = place.executor.harvest_job(&handle).await.unwrap();
        assert_eq!(harvest.termination.cause, Cause::Exited { code });
        assert_eq!((harvest.logs.stdout_bytes, harvest.logs.stderr_bytes), (3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn memory_is_the_jobs_or_the_hosts() {
    let place = Place::new(json!({ "memory": "1g" })).await;
    let mut small = template(&["allocate 100m", "print never"]);
    small.resources.memory = Some(ByteSize::from_mib(64));
    for (template, peak) in [(template(&["allocate 2g", "print never"]), 1024), (small, 64)] {
        let handle = place.executor.launch_job(&place.request_for(template).unwrap()).await.unwrap();
        let harvest = place.executor.harvest_job(&handle).await.unwrap();
        let end = harvest.termination;
        assert_eq!((end.cause, end.exit_code, end.evidence.complete), (Cause::OutOfMemory, Some(137), true));
        assert_eq!(harvest.usage.peak_memory.unwrap().value(), &ByteSize::from_mib(peak));
        assert_eq!(harvest.logs.stdout_bytes, 0);
    }
    let (_, enough) = place.launch(&["allocate 1g"]).await;
    assert_eq!(place.end(&enough).await.exit_code, Some(0));
}

#[tokio::test(start_paused = true)]
async fn the_provider_may_end_what_runs() {
    let place = Place::new(json!({ "jobs": { "interrupt": { "after": "5s", "cause": "preempted" } } })).await;
    let (_, handle) = place.launch(&["print begun", "forever"]).await;
    place.sleep(9 * SECOND).await;
    let end = place.end(&handle).await;
    assert_eq!((end.cause, end.exit_code, end.run_time()), (Cause::Preempted, None, Some(5 * SECOND)));
    assert!(end.evidence.complete && end.evidence.provider_message.is_some());
    let harvest = place.executor.harvest_job(&handle).await.unwrap();
    assert_eq!(harvest.logs.stdout_bytes, 6);
}

#[tokio::test(start_paused = true)]
async fn the_provider_may_accept_and_fail_later() {
    let script = json!({ "pending": "1m", "interrupt": { "after": "5s", "cause": "capacity" } });
    let place = Place::new(json!({ "jobs": script })).await;
    let (_, handle) = place.launch(&["exit 0"]).await;
    place.sleep(6 * SECOND).await;
    let end = place.end(&handle).await;
    assert_eq!((end.cause, end.started_at), (Cause::Capacity, None));
}

#[tokio::test(start_paused = true)]
async fn a_test_may_interrupt_at_any_moment() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["forever"]).await;
    assert!(place.provider.interrupt(&request.token, Cause::LostByProvider));
    assert_eq!(place.end(&handle).await.job_status(), JobStatus::Lost);
    assert!(!place.provider.interrupt(&request.token, Cause::Preempted), "it has ended already");
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_forgets_is_not_found() {
    let place = Place::new(json!({ "jobs": { "vanish": "10s" } })).await;
    let (request, handle) = place.launch(&["ignore TERM", "forever"]).await;
    place.sleep(9 * SECOND).await;
    assert!(place.status(&handle).await.is_live());
    let stopped = place.executor.stop_job(&handle, &cancel(60 * SECOND)).await;
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(place.now(), request.created_at + 10 * SECOND);
    assert_eq!(place.status(&handle).await, ExecutionStatus::NotFound);
    assert_eq!(place.executor.harvest_job(&handle).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(place.executor.stop_job(&handle, &cancel(SECOND)).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(place.executor.list_owned(&request.owner).await.unwrap(), []);
    place.executor.cleanup(&handle).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_stop_is_told_when_it_is_removed() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["ignore TERM", "forever"]).await;
    let stop = cancel(3600 * SECOND);
    let stopping = place.executor.stop_job(&handle, &stop);
    let removing = async {
        place.sleep(SECOND).await;
        assert!(place.provider.remove(&request.token));
        assert!(!place.provider.remove(&request.token));
    };
    let (stopped, ()) = tokio::join!(stopping, removing);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(place.now(), request.created_at + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_signal_from_outside_is_told_apart_from_a_stop() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["print running", "forever"]).await;
    assert!(place.provider.kill(&request.token, Signal::KILL));
    let end = place.end(&handle).await;
    assert_eq!((end.cause, end.exit_code), (Cause::Signalled { signal: Signal::KILL }, Some(137)));
    assert!(!place.provider.kill(&request.token, Signal::KILL));
    let stopped = place.executor.stop_job(&handle, &cancel(SECOND)).await.unwrap();
    assert_eq!(stopped, end);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_halts_still_runs_and_can_be_stopped() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["sleep 10s", "exit 0"]).await;
    assert!(place.provider.kill(&request.token, "STOP".parse().unwrap()));
    place.sleep(3600 * SECOND).await;
    assert!(place.status(&handle).await.is_live());
    assert!(place.provider.kill(&request.token, "CONT".parse().unwrap()));
    place.sleep(9 * SECOND).await;
    assert!(place.status(&handle).await.is_live());
    assert!(place.provider.kill(&request.token, "STOP".parse().unwrap()));
    let end = place.executor.stop_job(&handle, &cancel(5 * SECOND)).await.unwrap();
    assert_eq!((end.cause, end.exit_code), (Cause::Cancelled, Some(137)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_kept_by_the_provider_also_when_its_caller_goes_away() {
    let place = Place::new(json!({})).await;
    let (_, handle) = place.launch(&["ignore TERM", "forever"]).await;
    let stop = StopRequest::new(StopReason::TimedOut, 10 * SECOND);
    tokio::select! {
        stopped = place.executor.stop_job(&handle, &stop) => panic!("{stopped:?} within a second"),
        () = place.sleep(SECOND) => {}
    }
    place.sleep(9 * SECOND).await;
    let end = place.attach(&place.provider).check_status(&handle).await.unwrap();
    assert_eq!(end.termination().unwrap().cause, Cause::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_grace_counts_and_the_first_reason_stays() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["ignore TERM", "forever"]).await;
    let (long, short, longer) = (60, 5, 600);
    let stop = |reason, grace: u32| StopRequest::new(reason, grace * SECOND);
    let (long, short) = (stop(StopReason::Cancelled, long), stop(StopReason::TimedOut, short));
    let longer = stop(StopReason::TimedOut, longer);
    let (first, second, third) = tokio::join!(
        place.executor.stop_job(&handle, &long),
        place.executor.stop_job(&handle, &short),
        place.executor.stop_job(&handle, &longer)
    );
    let first = first.unwrap();
    assert_eq!((first.cause, first.finished_at), (Cause::Cancelled, Some(request.created_at + 5 * SECOND)));
    assert_eq!((second.unwrap(), third.unwrap()), (first.clone(), first));
}

#[tokio::test(start_paused = true)]
async fn without_a_capability_less_is_told() {
    let config = json!({ "without": ["signal-evidence", "out-of-memory-evidence", "stop-grace"] });
    let place = Place::new(config).await;
    assert!(!place.executor.capabilities().has(Capability::StopGrace));
    let (request, handle) = place.launch(&["catch TERM 3 1ms", "forever"]).await;
    let end = place.executor.stop_job(&handle, &cancel(60 * SECOND)).await.unwrap();
    assert_eq!((end.exit_code, end.finished_at), (Some(137), Some(request.created_at)), "no grace is no signal");
    let (_, hungry) = place.launch(&["allocate 64g"]).await;
    let end = place.end(&hungry).await;
    assert_eq!((end.cause, end.evidence.complete), (Cause::Exited { code: 137 }, false));
}

#[tokio::test(start_paused = true)]
async fn many_are_asked_about_in_one_call() {
    let place = Place::new(json!({})).await;
    let mut handles = Vec::new();
    for _ in 0..200 {
        handles.push(place.launch(&["sleep 1s", "exit 1"]).await.1);
    }
    place.sleep(2 * SECOND).await;
    let answers = place.executor.check_statuses(&handles).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|status| !status.is_live())), "{answers:?}");
    assert_eq!((place.provider.calls("check_statuses"), place.provider.calls("check_status")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn usage_is_measured() {
    let place = Place::new(json!({})).await;
    let (_, handle) = place.launch(&["allocate 3m", "spin 2s", "sleep 1s"]).await;
    place.sleep(4 * SECOND).await;
    let usage = place.executor.harvest_job(&handle).await.unwrap().usage;
    assert_eq!(usage.wall_time, 3 * SECOND);
    assert_eq!(usage.cpu_time.unwrap().value().0, 2 * SECOND);
    assert_eq!(usage.peak_memory.unwrap().value().bytes(), 3 << 20);
    let page = place.executor.get_logs(&handle, &LogQuery::from_start()).await.unwrap();
    assert!(page.records.is_empty() && page.ended.is_some());
}
