//! Machines whose clocks show other times, or jump: limits keep to the store's time.

use jiff::{SignedDuration, Timestamp};
use longshore_core::{Clock, JobStatus, async_trait};
use longshore_store::{Actor, JobStore, Pause, Request};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;

use crate::stage::Stage;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A clock that is ahead of the true one by some time, which may change.
#[derive(Debug)]
struct Ahead {
    of: Arc<dyn Clock>,
    by: Mutex<SignedDuration>,
}

impl Ahead {
    fn new(stage: &Stage, by: SignedDuration) -> Arc<Self> {
        Arc::new(Self { of: Arc::clone(&stage.clock), by: Mutex::new(by) })
    }
}

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.of.now() + *self.by.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        self.of.sleep(duration).await;
    }
}

fn dispatch(stage: &Stage, clock: &Arc<Ahead>) -> JoinHandle<longshore_core::Result<()>> {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let dispatcher = stage.dispatcher_by(&clock);
    tokio::spawn(async move { dispatcher.run().await })
}

/// How long ago that was, in minutes.
fn minutes(stage: &Stage, since: Timestamp) -> i64 {
    stage.now().duration_since(since).as_secs() / 60
}

#[tokio::test(start_paused = true)]
async fn a_run_is_stopped_when_its_time_is_over_whoever_has_taken_it_over() {
    for (first, second) in [(HOUR, -HOUR), (-HOUR, HOUR), (SignedDuration::ZERO, HOUR)] {
        let stage = Stage::new([json!({})]);
        let dead = dispatch(&stage, &Ahead::new(&stage, first));
        let mut job = stage.job(&["sleep 5h"]);
        job.template.run_timeout = Some(10 * MINUTE);
        let id = stage.submit(job).await;
        stage.until(id, |job| job.status == JobStatus::Running).await;
        let began = stage.now();
        stage.clock.sleep(5 * MINUTE).await;
        dead.abort();
        stage.fence_all().await;
        let next = dispatch(&stage, &Ahead::new(&stage, second));
        assert_eq!(stage.finished(id).await.status, JobStatus::TimedOut);
        assert_eq!(minutes(&stage, began), 10, "clocks ahead by {first} and {second}");
        stage.closed(id).await;
        next.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_stops_no_run_early_or_late() {
    for jump in [HOUR, -HOUR] {
        let stage = Stage::new([json!({})]);
        let clock = Ahead::new(&stage, SignedDuration::ZERO);
        let dispatcher = dispatch(&stage, &clock);
        let mut job = stage.job(&["sleep 5h"]);
        job.template.run_timeout = Some(10 * MINUTE);
        let id = stage.submit(job).await;
        stage.until(id, |job| job.status == JobStatus::Running).await;
        let began = stage.now();
        stage.clock.sleep(5 * MINUTE).await;
        *clock.by.lock().unwrap() = jump;
        assert_eq!(stage.finished(id).await.status, JobStatus::TimedOut);
        assert_eq!(minutes(&stage, began), 10, "a jump by {jump}");
        dispatcher.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_as_long_as_it_may_whatever_the_dispatchers_clock_shows() {
    for ahead in [HOUR, -HOUR] {
        let stage = Stage::new([json!({})]);
        let request = Request::new(Actor::User("operator".to_owned()), stage.now());
        stage.store.pause(Pause::new(None, request)).await.unwrap();
        let dispatcher = dispatch(&stage, &Ahead::new(&stage, ahead));
        let mut job = stage.job(&["exit 0"]);
        job.queue_timeout = Some(30 * MINUTE);
        let id = stage.submit(job).await;
        let began = stage.now();
        let job = stage.finished(id).await;
        assert_eq!((job.status, job.attempts), (JobStatus::TimedOut, 0));
        assert_eq!(minutes(&stage, began), 30, "a clock ahead by {ahead}");
        dispatcher.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_is_taken_over_has_the_deadline_of_its_new_holders_clock() {
    for (first, second) in [(HOUR, -HOUR), (-HOUR, HOUR)] {
        let stage = Stage::new([json!({ "jobs": { "prepare": "20s" } })]);
        let dead = dispatch(&stage, &Ahead::new(&stage, first));
        let id = stage.submit(stage.job(&["exit 3"])).await;
        stage.until(id, |job| job.status == JobStatus::Launching).await;
        dead.abort();
        stage.fence_all().await;
        let clock = Ahead::new(&stage, second);
        let next = dispatch(&stage, &clock);
        assert_eq!(stage.finished(id).await.exit_code, Some(3));
        let deadline = stage.store.attempts(id).await.unwrap()[0].request.deadline;
        let window = deadline.duration_since(clock.now());
        assert!(window.abs() < SignedDuration::from_mins(2), "{window} from now by the new holder's clock");
        next.abort();
    }
}
