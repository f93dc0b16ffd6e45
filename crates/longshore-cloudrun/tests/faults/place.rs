//! A fake, an executor on it, and what a test does with them.

use longshore_cloudrun::CloudRunExecutor;
use longshore_core::{
    CheckedJob, Clock, ContainerExecutor, ContainerJob, ExecutionHandle, ExecutionStatus, JobTemplate, LaunchRequest,
    LaunchSearch, LogQuery, Owner, Result, Termination,
};
use longshore_http::Method;
use longshore_testkit::{Fault, fakes::cloudrun::Options, kit::Harness};
use std::{sync::Arc, time::Duration};

use crate::harness::FakeHarness;

pub(crate) const JOBS: &str = "/v2/projects/*/locations/*/jobs";
pub(crate) const JOB: &str = "/v2/projects/*/locations/*/jobs/*";
pub(crate) const EXECUTION: &str = "/v2/projects/*/locations/*/jobs/*/executions/*";
pub(crate) const EXECUTIONS: &str = "/v2/projects/*/locations/*/jobs/-/executions";
pub(crate) const TASKS: &str = "/v2/projects/*/locations/*/jobs/*/executions/*/tasks";
pub(crate) const LOG: &str = "/v2/entries:list";

pub(crate) struct Test {
    pub(crate) place: FakeHarness,
    pub(crate) executor: CloudRunExecutor,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Test {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let place = FakeHarness::with(options).await.expect("a fake");
        let executor = place.at(&place.fake.endpoint()).expect("an executor");
        executor.discover().await.expect("facts");
        let clock = place.clock();
        Self { place, executor, clock }
    }

    pub(crate) fn request(&self, template: JobTemplate) -> Result<LaunchRequest> {
        let job = ContainerJob::new(template, self.clock.now());
        let plan = self.executor.plan(&CheckedJob::new(&job, &self.executor)?)?;
        Ok(LaunchRequest::new(&job, 1, plan, owner(), self.clock.now(), Duration::from_secs(3_000)))
    }

    pub(crate) fn probe(&self, script: &[&str]) -> LaunchRequest {
        let mut template = self.place.probe();
        template.args.extend(script.iter().map(|&line| line.to_owned()));
        self.request(template).expect("a plan")
    }

    pub(crate) async fn launch(&self, script: &[&str]) -> ExecutionHandle {
        self.executor.launch_job(&self.probe(script)).await.expect("an execution")
    }

    pub(crate) async fn end(&self, handle: &ExecutionHandle) -> Termination {
        loop {
            match self.executor.check_status(handle).await.expect("a status") {
                ExecutionStatus::Terminated(end) => return end,
                ExecutionStatus::NotFound => panic!("what was launched is there"),
                _ => self.clock.sleep(Duration::from_secs(1)).await,
            }
        }
    }

    pub(crate) async fn log(&self, handle: &ExecutionHandle) -> String {
        let (mut text, mut query) = (Vec::new(), LogQuery::from_start());
        loop {
            let page = self.executor.get_logs(handle, &query.waiting(Duration::from_secs(5))).await.expect("a page");
            page.records.iter().for_each(|record| text.extend_from_slice(&record.bytes));
            if page.ended.is_some() {
                return String::from_utf8(text).expect("text");
            }
            query = LogQuery::after(page.next);
        }
    }

    pub(crate) fn started(&self, request: &LaunchRequest) -> u32 {
        self.place.fake.starts(&request.token.to_string())
    }

    /// Requires that nothing is left of a launch that was refused.
    pub(crate) async fn nothing_is_left(&self, request: &LaunchRequest) {
        assert_eq!(self.executor.find_launch(request).await.expect("an answer"), LaunchSearch::Absent);
        assert_eq!((self.place.fake.jobs(), self.started(request)), (vec![], 0));
    }
}

pub(crate) fn owner() -> Owner {
    "faults".parse().expect("an owner")
}

/// A fault of what creates a job.
pub(crate) fn create() -> longshore_testkit::Rule {
    Fault::on(Method::POST, JOBS)
}
