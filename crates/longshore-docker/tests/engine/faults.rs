//! What becomes of a job when something goes wrong between Longshore and the engine, or behind its back: nothing
//! is lost, and nothing runs twice.

use bollard::{models::ContainerCreateBody, query_parameters::CreateContainerOptionsBuilder};
use futures::StreamExt;
use hyper::{Method, StatusCode};
use longshore_core::{
    Advice, CapturedLogs, Cause, CheckedJob, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, EventStream,
    ExecutionEvent, ExecutionHandle, ExecutionStatus, JobStatus, JobTemplate, LaunchRequest, LaunchSearch, LaunchToken,
    LogCompleteness, LogDelivery, Measured, RunEvent, RunObserver, Runner, StopReason, StopRequest, SystemClock,
    follow_logs,
    layers::{TimeoutLayer, Timeouts},
};
use longshore_testkit::{
    proxy::{Answer, Fault, FaultProxy},
    suite::Test,
    tests,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

use crate::{
    launching::{OWNER, launch, request, template},
    local, support,
};

pub(crate) const TESTS: &[Test] = &tests![
    a_start_answered_with_500_after_the_effect_counts_as_started,
    a_start_answered_with_500_before_the_effect_is_looked_up_and_then_sent_once,
    a_create_answered_with_500_after_the_effect_is_adopted,
    a_start_that_is_never_answered_is_looked_up,
    a_name_that_somebody_else_has_taken_is_a_conflict,
    a_log_cut_anywhere_loses_and_doubles_nothing,
    an_engine_that_is_gone_for_a_while_is_waited_for,
    what_happened_just_before_a_subscription_is_told,
    an_event_stream_that_is_cut_delays_nothing,
    a_job_paused_by_somebody_else_goes_on_when_it_is_unpaused,
    a_paused_job_can_be_stopped,
    a_stop_whose_answer_is_late_and_another_tell_the_same_end,
    an_inspect_that_hangs_is_ended_by_the_timeout_layer,
    an_html_page_in_place_of_an_answer_is_an_error_that_says_so,
    two_hundred_statuses_are_one_list,
    usage_is_sampled_while_a_job_runs,
    nothing_of_the_host_is_within_a_jobs_reach,
    what_the_operator_has_not_allowed_is_refused_with_the_way_out,
];

/// An executor behind a proxy, and all that a test needs of it.
pub(crate) struct Bench {
    pub(crate) proxy: FaultProxy,
    pub(crate) executor: Arc<dyn ContainerExecutor>,
    pub(crate) direct: Arc<dyn ContainerExecutor>,
    _folders: [TempDir; 2],
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let (folder, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let proxy = FaultProxy::to_unix(local::socket()).listen_unix(folder.path()).await.unwrap();
        let executor = support::executor(&proxy.uri(), json!({}), state.path()).unwrap();
        let direct =
            support::executor(&format!("unix://{}", local::socket().display()), json!({}), state.path()).unwrap();
        executor.discover().await.unwrap();
        Self { proxy, executor, direct, _folders: [folder, state] }
    }

    fn request(&self, script: &[&str]) -> LaunchRequest {
        request(self.executor.as_ref(), template(script))
    }

    pub(crate) async fn launch(&self, script: &[&str]) -> ExecutionHandle {
        launch(self.executor.as_ref(), script).await
    }

    /// Waits for the end without the proxy, asserts the output and removes the container.
    pub(crate) async fn ended_with(&self, handle: &ExecutionHandle, output: &str) {
        let owner = OWNER.parse().unwrap();
        let status = longshore_core::wait(self.direct.as_ref(), handle, &owner, &SystemClock).await.unwrap();
        assert_eq!(status.termination().map(|end| end.cause), Some(Cause::Exited { code: 0 }), "{status:?}");
        let mut text = Vec::new();
        let take = |page: longshore_core::LogPage| {
            page.records.iter().for_each(|record| text.extend_from_slice(&record.bytes));
            std::future::ready(Ok(()))
        };
        follow_logs(self.direct.as_ref(), handle, None, &SystemClock, &longshore_core::Patience::default(), take)
            .await
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&text), output);
        self.direct.cleanup(handle).await.unwrap();
    }
}

fn job(script: &[&str]) -> ContainerJob {
    ContainerJob::new(template(script), SystemClock.now())
}

fn boom() -> Answer {
    Answer::message(StatusCode::INTERNAL_SERVER_ERROR, "boom")
}

async fn a_start_answered_with_500_after_the_effect_counts_as_started() {
    let bench = Bench::new().await;
    let fault = bench.proxy.inject(Fault::on(Method::POST, "/containers/*/start").answer_after(boom()));
    let handle = bench.launch(&["print once"]).await;
    assert_eq!((fault.hits(), bench.proxy.count(Method::POST, "/containers/*/start")), (1, 1));
    bench.ended_with(&handle, "once\n").await;
}

async fn a_start_answered_with_500_before_the_effect_is_looked_up_and_then_sent_once() {
    let bench = Bench::new().await;
    let request = bench.request(&["print once"]);
    bench.proxy.inject(Fault::on(Method::POST, "/containers/*/start").answer_before(boom()));
    let error = bench.executor.launch_job(&request).await.unwrap_err();
    assert_eq!(error.advice(), Advice::LookUpFirst, "{error}");
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    let handle = bench.executor.launch_job(&request).await.unwrap();
    assert_eq!(bench.proxy.count(Method::POST, "/containers/*/start"), 2);
    bench.ended_with(&handle, "once\n").await;
}

async fn a_create_answered_with_500_after_the_effect_is_adopted() {
    let bench = Bench::new().await;
    let request = bench.request(&["print once"]);
    bench.proxy.inject(Fault::on(Method::POST, "/containers/create").answer_after(boom()));
    let error = bench.executor.launch_job(&request).await.unwrap_err();
    assert_eq!(error.advice(), Advice::LookUpFirst, "{error}");
    let handle = bench.executor.launch_job(&request).await.unwrap();
    assert_eq!(bench.proxy.count(Method::POST, "/containers/*/start"), 1);
    bench.ended_with(&handle, "once\n").await;
}

async fn a_start_that_is_never_answered_is_looked_up() {
    let bench = Bench::new().await;
    let timeouts = {
        let mut timeouts = Timeouts::default();
        timeouts.launch = Duration::from_secs(2);
        timeouts
    };
    let layer = TimeoutLayer::new(bench.executor.clone(), Arc::new(SystemClock), timeouts);
    let request = bench.request(&["print once"]);
    let fault = bench.proxy.inject(Fault::on(Method::POST, "/containers/*/start").hang_after());
    let error = layer.launch_job(&request).await.unwrap_err();
    assert_eq!((error.kind(), error.advice(), fault.hits()), (ErrorKind::Timeout, Advice::LookUpFirst, 1));
    let LaunchSearch::Found(handle) = layer.find_launch(&request).await.unwrap() else { panic!("it was started") };
    bench.ended_with(&handle, "once\n").await;
}

async fn a_name_that_somebody_else_has_taken_is_a_conflict() {
    let bench = Bench::new().await;
    let docker = support::engine_at(&local::socket()).await.unwrap();
    let request = bench.request(&["print never"]);
    let options = CreateContainerOptionsBuilder::new().name(&request.token.to_string()).build();
    let body = ContainerCreateBody { image: Some(support::IMAGE.to_owned()), ..ContainerCreateBody::default() };
    let foreign = docker.create_container(Some(options), body).await.unwrap().id;
    let error = bench.executor.launch_job(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains(&request.token.to_string()) && error.to_string().contains("not ours"),
        "{error}"
    );
    docker.remove_container(&foreign, None).await.unwrap();
}

async fn a_log_cut_anywhere_loses_and_doubles_nothing() {
    let bench = Bench::new().await;
    let cuts: Vec<_> = [3, 9, 70_000, 70_001, 300_007, 1_000_003]
        .map(|bytes| bench.proxy.inject(Fault::on(Method::GET, "/containers/*/logs").cut_body_after(bytes)))
        .into();
    let job = job(&["lines 10000 100", "elines 10000 100", "random 300000 7", "put end"]);
    let captured = CapturedLogs::default();
    let outcome = Runner::new(bench.executor.clone()).run(&job, &captured).await.unwrap();
    assert!(matches!(outcome.logs, LogDelivery::Delivered(LogCompleteness::Complete)), "{:?}", outcome.logs);
    assert!(cuts.iter().all(|cut| cut.hits() == 1));
    let lines: String = (1..=10_000).map(|number| format!("{number:099}\n")).collect();
    let stdout = [lines.as_bytes(), &longshore_probe::random_bytes(300_000, 7), b"end"].concat();
    for (name, found, wrote) in
        [("stderr", captured.stderr(), lines.into_bytes()), ("stdout", captured.stdout(), stdout)]
    {
        assert!(found == wrote, "{name} differs: {} bytes came of {}", found.len(), wrote.len());
    }
}

/// Counts how often contact was lost and restored.
#[derive(Default)]
struct Contact {
    lost: AtomicU32,
    restored: AtomicU32,
    launched: tokio::sync::Notify,
}

#[async_trait::async_trait]
impl RunObserver for Contact {
    async fn observe(&self, event: RunEvent<'_>) -> Result<(), Error> {
        match event {
            RunEvent::LostContact(_) => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
            RunEvent::ContactRestored => drop(self.restored.fetch_add(1, Ordering::Relaxed)),
            RunEvent::Launched(_) => self.launched.notify_one(),
            _ => {}
        }
        Ok(())
    }
}

async fn an_engine_that_is_gone_for_a_while_is_waited_for() {
    let bench = Bench::new().await;
    let (job, contact) = (job(&["print before", "sleep 2s", "print after"]), Contact::default());
    let runner = Runner::new(bench.executor.clone());
    let gone = async {
        contact.launched.notified().await;
        bench.proxy.refuse_all().await;
        while contact.lost.load(Ordering::Relaxed) == 0 {
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
        bench.proxy.restore().await.unwrap();
    };
    let (outcome, ()) = futures::join!(runner.run(&job, &contact), gone);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.status, JobStatus::Completed);
    assert!(matches!(outcome.logs, LogDelivery::Delivered(LogCompleteness::Complete)));
    assert!(contact.restored.load(Ordering::Relaxed) >= 1);
}

/// Whether an event is about this launch.
fn is_of(event: &ExecutionEvent, token: LaunchToken) -> bool {
    matches!(event, ExecutionEvent::Changed { token: changed, .. } if *changed == token)
}

/// Waits for the next gap. Others' events, which the engine remembers, may come before it.
async fn next_gap(events: &mut EventStream) {
    while events.next().await.unwrap() != ExecutionEvent::Gap {}
}

async fn what_happened_just_before_a_subscription_is_told() {
    let bench = Bench::new().await;
    let handle = bench.launch(&["exit 0"]).await;
    while !matches!(bench.executor.check_status(&handle).await.unwrap(), ExecutionStatus::Terminated(_)) {
        tokio::task::yield_now().await;
    }
    let events = bench.executor.events(&OWNER.parse().unwrap()).await.unwrap();
    // Its start and its end.
    assert_eq!(events.filter(|event| std::future::ready(is_of(event, handle.token))).take(2).count().await, 2);
    bench.direct.cleanup(&handle).await.unwrap();
}

async fn an_event_stream_that_is_cut_delays_nothing() {
    let bench = Bench::new().await;
    let handle = bench.launch(&["forever"]).await;
    let mut events = bench.executor.events(&OWNER.parse().unwrap()).await.unwrap();
    bench.proxy.cut_all().await;
    next_gap(&mut events).await;
    bench.proxy.wait_count(Method::GET, "/events", 2).await;
    next_gap(&mut events).await;
    bench.direct.stop_job(&handle, &StopRequest::new(StopReason::Cancelled, Duration::ZERO)).await.unwrap();
    // Its start, which the engine remembers, and its end.
    assert_eq!(events.filter(|event| std::future::ready(is_of(event, handle.token))).take(2).count().await, 2);
    bench.direct.cleanup(&handle).await.unwrap();
}

async fn a_job_paused_by_somebody_else_goes_on_when_it_is_unpaused() {
    let bench = Bench::new().await;
    let docker = support::engine_at(&local::socket()).await.unwrap();
    let handle = bench.launch(&["tick 3 300ms"]).await;
    docker.pause_container(&handle.external_execution_id).await.unwrap();
    assert!(matches!(bench.executor.check_status(&handle).await.unwrap(), ExecutionStatus::Running { .. }));
    docker.unpause_container(&handle.external_execution_id).await.unwrap();
    bench.ended_with(&handle, "tick 1\ntick 2\ntick 3\n").await;
}

async fn a_paused_job_can_be_stopped() {
    let bench = Bench::new().await;
    let docker = support::engine_at(&local::socket()).await.unwrap();
    let handle = bench.launch(&["forever"]).await;
    docker.pause_container(&handle.external_execution_id).await.unwrap();
    let stop = StopRequest::new(StopReason::Cancelled, Duration::from_secs(1));
    let termination = bench.executor.stop_job(&handle, &stop).await.unwrap();
    assert_eq!(termination.cause, Cause::Cancelled);
    bench.executor.cleanup(&handle).await.unwrap();
}

/// The program ends with 0 when it is asked to, so that only the engine's answer shows whose end it was.
async fn a_stop_whose_answer_is_late_and_another_tell_the_same_end() {
    let bench = Bench::new().await;
    let handle = bench.launch(&["catch TERM 0", "print ready", "forever"]).await;
    let late = Fault::on(Method::POST, "/containers/*/stop").delay_after(Duration::from_millis(700));
    bench.proxy.inject(late);
    let stop = StopRequest::new(StopReason::Cancelled, Duration::from_secs(5));
    let second = async {
        while bench.direct.check_status(&handle).await.unwrap().termination().is_none() {
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
        bench.direct.stop_job(&handle, &stop).await
    };
    let (first, second) = futures::join!(bench.executor.stop_job(&handle, &stop), second);
    assert_eq!((first.unwrap().cause, second.unwrap().cause), (Cause::Cancelled, Cause::Cancelled));
    bench.executor.cleanup(&handle).await.unwrap();
}

async fn an_inspect_that_hangs_is_ended_by_the_timeout_layer() {
    let bench = Bench::new().await;
    let handle = bench.launch(&["print here"]).await;
    let mut timeouts = Timeouts::default();
    timeouts.ask = Duration::from_millis(300);
    let layer = TimeoutLayer::new(bench.executor.clone(), Arc::new(SystemClock), timeouts);
    let fault = bench.proxy.inject(Fault::on(Method::GET, "/containers/*/json").always().hang_before());
    let error = layer.check_status(&handle).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Timeout, Advice::Temporary));
    fault.release();
    bench.ended_with(&handle, "here\n").await;
}

async fn an_html_page_in_place_of_an_answer_is_an_error_that_says_so() {
    let bench = Bench::new().await;
    let handle = bench.launch(&["print here"]).await;
    for status in [StatusCode::BAD_GATEWAY, StatusCode::OK] {
        let fault = bench
            .proxy
            .inject(Fault::on(Method::GET, "/containers/*/json").always().answer_before(Answer::html(status)));
        let error = bench.executor.check_status(&handle).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unexpected), "{error:?}");
        fault.release();
    }
    bench.ended_with(&handle, "here\n").await;
}

async fn two_hundred_statuses_are_one_list() {
    let bench = Bench::new().await;
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(bench.launch(&["forever"]).await);
    }
    let mut handles = running.clone();
    for number in 0..197 {
        let mut unknown = running[0].clone();
        unknown.external_execution_id = format!("{number:064x}");
        handles.push(unknown);
    }
    let statuses = bench.executor.check_statuses(&handles).await;
    assert_eq!(bench.proxy.count(Method::GET, "/containers/json"), 1);
    assert!(
        bench.proxy.count(Method::GET, "/containers/*/json") < 20,
        "only launches and log following look at single ones"
    );
    for (number, status) in statuses.into_iter().enumerate() {
        let status = status.unwrap();
        assert_eq!(matches!(status, ExecutionStatus::Running { .. }), number < 3, "{number}: {status:?}");
        assert_eq!(status == ExecutionStatus::NotFound, number >= 3, "{number}: {status:?}");
    }
    for handle in running {
        bench.direct.stop_job(&handle, &StopRequest::new(StopReason::Cancelled, Duration::ZERO)).await.unwrap();
        bench.direct.cleanup(&handle).await.unwrap();
    }
}

async fn usage_is_sampled_while_a_job_runs() {
    let bench = Bench::new().await;
    let job = job(&["allocate 20m", "spin 1s", "sleep 1s"]);
    let outcome = Runner::new(bench.executor.clone()).run(&job, &CapturedLogs::default()).await.unwrap();
    let usage = outcome.harvest.unwrap().usage;
    // The engine notes the start a little later than it happens.
    assert!(usage.wall_time >= Duration::from_millis(1_800), "{usage:?}");
    let Some(Measured::Sampled(cpu)) = usage.cpu_time else { panic!("{usage:?}") };
    assert!(cpu.0 >= Duration::from_millis(100), "{usage:?}");
    let Some(Measured::Sampled(memory)) = usage.peak_memory else { panic!("{usage:?}") };
    assert!(memory.bytes() >= 20 << 20, "{usage:?}");
}

/// What the kernel says of the probe's own process.
async fn proc_status(bench: &Bench, mut template: JobTemplate) -> impl Fn(&str) -> String {
    template.args = vec!["read /proc/self/status".to_owned()];
    let captured = CapturedLogs::default();
    let job = ContainerJob::new(template, SystemClock.now());
    let outcome = Runner::new(bench.executor.clone()).run(&job, &captured).await.unwrap();
    assert_eq!(outcome.status, JobStatus::Completed);
    let text = String::from_utf8(captured.stdout().to_vec()).unwrap();
    move |field| {
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.map(|value| value.split_whitespace().next().unwrap_or_default().to_owned()).unwrap_or_default()
    }
}

async fn nothing_of_the_host_is_within_a_jobs_reach() {
    /// As `linux/capability.h` numbers them.
    const DROPPED: [(&str, u32); 6] =
        [("SETPCAP", 8), ("NET_RAW", 13), ("SYS_CHROOT", 18), ("MKNOD", 27), ("AUDIT_WRITE", 29), ("SETFCAP", 31)];
    let bench = Bench::new().await;
    let status = proc_status(&bench, template(&[])).await;
    let capabilities = u64::from_str_radix(&status("CapEff"), 16).unwrap();
    for (name, number) in DROPPED {
        assert_eq!(capabilities >> number & 1, 0, "{name} is held");
    }
    assert_eq!((status("NoNewPrivs"), status("Seccomp"), status("Uid")), ("1".into(), "2".into(), "0".into()));
    let mut hardened = template(&[]);
    hardened.security = longshore_core::SecurityProfile::Hardened;
    let status = proc_status(&bench, hardened).await;
    assert_eq!((status("CapEff"), status("NoNewPrivs")), ("0000000000000000".into(), "1".into()));
    assert_eq!((status("Seccomp"), status("Uid"), status("Gid")), ("2".into(), "65534".into(), "65534".into()));
}

async fn what_the_operator_has_not_allowed_is_refused_with_the_way_out() {
    let bench = Bench::new().await;
    let asked = [
        (json!({ "mounts": [{ "source": { "bind": "/var/run/docker.sock" }, "target": "/s" }] }), "allow.bind_mounts"),
        (json!({ "mounts": [{ "source": { "volume": "data" }, "target": "/d" }] }), "allow.volumes"),
        (json!({ "network": "host" }), "allow.host_network"),
        (json!({ "network": "somebody-elses" }), "allow.networks"),
        (json!({ "security": "platform" }), "allow.platform_profile"),
        (json!({ "executor_options": { "docker": { "add_capabilities": ["SYS_ADMIN"] } } }), "allow.capabilities"),
        (json!({ "executor_options": { "docker": { "runtime": "other" } } }), "allow.runtimes"),
        (json!({ "executor_options": { "docker": { "privileged": true } } }), "privileged"),
        (json!({ "platform": "linux/s390x" }), "linux/"),
        (json!({ "resources": { "memory": "1m" } }), "least"),
        (json!({ "resources": { "memory": "1000t" } }), "more than the host has"),
        (json!({ "secrets": [{ "name": "s", "reference": "provider:x" }] }), "no secret store"),
        (json!({ "resources": { "gpu": { "count": 1, "model": "h100" } } }), "model"),
    ];
    for (fields, way_out) in asked {
        let mut stored = serde_json::to_value(template(&[])).unwrap();
        stored.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let job = ContainerJob::new(serde_json::from_value(stored).unwrap(), SystemClock.now());
        let refused =
            CheckedJob::new(&job, bench.executor.as_ref()).and_then(|job| bench.executor.plan(&job)).unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Unsupported | ErrorKind::Invalid), "{refused}");
        assert!(refused.message().contains(way_out), "{fields}: {refused}");
    }
    assert_eq!(bench.proxy.count(Method::POST, "/containers/create"), 0);
}
