//! Proving that something was launched, once or not at all.

use longshore_core::{
    Capability, ContainerExecutor, ErrorKind, ExecutionHandle, LaunchIdempotency, LaunchRequest, LaunchSearch,
    LaunchToken,
};

use super::{
    case::{Case, Execution},
    failure::{CaseResult, Halt, holds, refused, same},
};

/// What a workload writes first, so that its log tells how often it was started.
pub(crate) const GREETING: &str = "print the kit says hello";
const GREETING_LINE: &[u8] = b"the kit says hello\n";

impl Case {
    /// True when the provider has neither names nor tokens that refuse a twin: then a launch is never sent twice,
    /// and a lost one may stay unprovable.
    pub(crate) fn is_best_effort(&self) -> bool {
        self.executor.capabilities().launch == LaunchIdempotency::BestEffort
    }

    /// Requires the proof that the request was never launched; a best-effort provider may have none.
    pub(crate) async fn never_started(&self, executor: &dyn ContainerExecutor, request: &LaunchRequest) -> CaseResult {
        match executor.find_launch(request).await? {
            LaunchSearch::Absent => Ok(()),
            LaunchSearch::Unprovable { .. } if self.is_best_effort() => Ok(()),
            found => Err(Halt::broken(format!("what was never launched is absent; found: {found:?}"))),
        }
    }

    /// Looks for what was launched: its handle, or `None` where a best-effort provider can't tell. Never absent.
    pub(crate) async fn find(
        &self,
        executor: &dyn ContainerExecutor,
        request: &LaunchRequest,
    ) -> CaseResult<Option<ExecutionHandle>> {
        match executor.find_launch(request).await? {
            LaunchSearch::Found(handle) => Ok(Some(handle)),
            LaunchSearch::Unprovable { .. } if self.is_best_effort() => Ok(None),
            found => Err(Halt::broken(format!("what was launched is found; found: {found:?}"))),
        }
    }

    /// Waits for the end of a workload that begins with the [`GREETING`], and requires that it ran once: by its
    /// log, by what its owner has, and by the provider's own record where the harness can read it.
    pub(crate) async fn ran_once(&self, execution: &Execution) -> CaseResult {
        self.end(execution).await?;
        let log = self.log(execution).await?;
        let greetings = log.stdout.windows(GREETING_LINE.len()).filter(|part| *part == GREETING_LINE).count();
        same("how often the program greeted", greetings, 1)?;
        self.is_listed(&execution.request, 1).await?;
        self.was_started(&execution.token(), 1).await
    }

    /// Requires that the owner has so many executions of the request's token.
    pub(crate) async fn is_listed(&self, request: &LaunchRequest, times: usize) -> CaseResult {
        let answer = self.executor.list_owned(&request.owner).await;
        if !self.has(Capability::ListOwned) {
            refused("a list that the executor does not declare", answer, &[ErrorKind::Unsupported])?;
            return Ok(());
        }
        let listed = answer?.iter().filter(|it| it.handle.token == request.token).count();
        same("how many executions of the token its owner has", listed, times)
    }

    async fn was_started(&self, token: &LaunchToken, times: u32) -> CaseResult {
        let counted = self.harness.starts(token).await?;
        holds(
            counted.is_none_or(|counted| counted == times),
            format!("the provider started the program {times} times; it counts {counted:?}"),
        )
    }
}
