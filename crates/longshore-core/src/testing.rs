//! For those who unit-test code on top of the contract.

use async_trait::async_trait;
use mockall::mock;
use std::sync::Arc;

use crate::{
    Capabilities, CheckedJob, ContainerExecutor, EventStream, ExecutionHandle, ExecutionStatus, ExecutorType, Harvest,
    Health, HostFacts, HostName, LaunchRequest, LaunchSearch, LogPage, LogQuery, OwnedExecution, Owner, Plan, Progress,
    Result, StopRequest, Termination,
};

mock! {
    /// A `mockall` mock of [`ContainerExecutor`]: `expect_launch_job()` and so on.
    #[derive(Debug)]
    pub ContainerExecutor {}

    #[async_trait]
    impl ContainerExecutor for ContainerExecutor {
        fn executor_type(&self) -> &ExecutorType;
        fn host(&self) -> &HostName;
        fn capabilities(&self) -> &Capabilities;
        fn facts(&self) -> Option<Arc<HostFacts>>;
        async fn discover(&self) -> Result<Arc<HostFacts>>;
        fn plan<'a>(&self, job: &CheckedJob<'a>) -> Result<Plan>;
        async fn prepare(&self, request: &LaunchRequest, progress: Progress) -> Result<()>;
        async fn launch_job(&self, request: &LaunchRequest) -> Result<ExecutionHandle>;
        async fn find_launch(&self, request: &LaunchRequest) -> Result<LaunchSearch>;
        async fn check_status(&self, handle: &ExecutionHandle) -> Result<ExecutionStatus>;
        async fn check_statuses(&self, handles: &[ExecutionHandle]) -> Vec<Result<ExecutionStatus>>;
        async fn stop_job(&self, handle: &ExecutionHandle, stop: &StopRequest) -> Result<Termination>;
        async fn get_logs(&self, handle: &ExecutionHandle, query: &LogQuery) -> Result<LogPage>;
        async fn harvest_job(&self, handle: &ExecutionHandle) -> Result<Harvest>;
        async fn cleanup(&self, handle: &ExecutionHandle) -> Result<()>;
        async fn list_owned(&self, owner: &Owner) -> Result<Vec<OwnedExecution>>;
        async fn collect(&self, owner: &Owner) -> Result<u64>;
        async fn check_health(&self) -> Result<Health>;
        async fn events(&self, owner: &Owner) -> Result<EventStream>;
    }
}
