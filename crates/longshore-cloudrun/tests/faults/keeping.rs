//! What is left over is found and removed, and nothing else is.

use longshore_cloudrun::{CloudRunConfig, CloudRunExecutor};
use longshore_core::{
    Clock, ContainerExecutor, ErrorKind, ExecutionHost, ExecutorContext, Timestamp, async_trait, clock::later,
};
use longshore_http::Method;
use longshore_testkit::{Fault, fakes::cloudrun::google_error, kit::Harness};
use std::{sync::Arc, time::Duration};

use crate::place::{JOB, Test, owner};

/// A clock that is some time ahead of another.
#[derive(Debug)]
struct Ahead(Arc<dyn Clock>, Duration);

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        later(self.0.now(), self.1)
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

/// The same host, as it will be in a while.
fn in_a_while(test: &Test, ahead: Duration) -> CloudRunExecutor {
    let host = ExecutionHost::builder()
        .name("kit".parse().expect("a name"))
        .executor_type("cloudrun".parse().expect("a type"));
    let clock = Arc::new(Ahead(Arc::clone(&test.clock), ahead));
    let context = ExecutorContext::new(test.place.state.path()).with_clock(clock);
    let config = CloudRunConfig::from_value(&test.place.config()).expect("a configuration");
    CloudRunExecutor::new(&host.build(), config, &context).expect("an executor")
}

#[tokio::test]
async fn definitions_that_nobody_can_use_are_collected_and_no_others() {
    let test = Test::start().await;
    let running = test.launch(&["forever"]).await;
    // One whose launch failed when nobody could look, so that it was not removed.
    let failed = test.request(test.place.missing_image()).expect("a plan");
    let unavailable = google_error(longshore_http::StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "Try again.");
    test.place.fake.api().inject(Fault::on(Method::GET, JOB).times(4).answer_before(unavailable));
    test.executor.launch_job(&failed).await.expect_err("nobody can look");
    // One whose execution somebody has removed.
    let bereft = test.launch(&["forever"]).await;
    assert!(test.place.fake.remove_execution(&bereft.external_execution_id));

    let deadline = Duration::from_secs(3_000);
    let (soon, other) = (in_a_while(&test, deadline), "others".parse().expect("an owner"));
    assert_eq!(soon.collect(&owner()).await.expect("a number"), 0, "a launch may still be under way");
    let much_later = in_a_while(&test, deadline + Duration::from_secs(900));
    assert_eq!(much_later.collect(&other).await.expect("a number"), 0, "they are not theirs");
    assert_eq!(much_later.collect(&owner()).await.expect("a number"), 2);
    assert_eq!(test.place.fake.jobs(), [running.token.to_string()]);
    assert_eq!(much_later.collect(&owner()).await.expect("a number"), 0);
    assert!(much_later.check_status(&running).await.expect("a status").is_live());
}

#[tokio::test]
async fn what_runs_or_is_not_ours_is_not_removed() {
    let test = Test::start().await;
    let handle = test.launch(&["forever"]).await;
    let error = test.executor.cleanup(&handle).await.expect_err("it runs");
    assert_eq!(error.kind(), ErrorKind::StillRunning, "{error}");
    let owned = test.executor.list_owned(&owner()).await.expect("a list");
    assert_eq!(owned.iter().map(|it| (&it.handle, it.live)).collect::<Vec<_>>(), [(&handle, true)]);
    assert!(test.executor.list_owned(&"others".parse().expect("an owner")).await.expect("a list").is_empty());
}
