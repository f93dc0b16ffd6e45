//! Waiting for an execution's end, and stopping it at its limits.

use futures::{StreamExt, stream};
use jiff::Timestamp;
use std::time::Duration;

use super::{
    DEFAULT_GRACE, Runner, StopLevel,
    observer::{RunEvent, RunObserver},
};
use crate::{
    Clock, ContainerExecutor, ErrorKind, EventStream, ExecutionEvent, ExecutionHandle, ExecutionStatus, Harvest,
    JobTemplate, LaunchRequest, Owner, Result, StopReason, StopRequest, Termination, clock::since,
};

/// How often to ask where events should have told; events are quicker, and this is the truth behind them.
const RECONCILE: Duration = Duration::from_secs(10);
/// How often to ask where there are no events.
const POLL: Duration = Duration::from_secs(1);

/// Waits until the execution has ended, or is gone; returns the last status either way. Never stops it.
///
/// Cancel-safe.
///
/// # Errors
/// As [`ContainerExecutor::check_status`]; lost contact ends the wait, and waiting again continues it.
pub async fn wait(
    executor: &dyn ContainerExecutor,
    handle: &ExecutionHandle,
    owner: &Owner,
    clock: &dyn Clock,
) -> Result<ExecutionStatus> {
    let mut news = News::subscribe(executor, handle, owner).await;
    loop {
        let status = executor.check_status(handle).await?;
        if !status.is_live() {
            return Ok(status);
        }
        news.next(clock, Duration::MAX).await;
    }
}

/// News of one execution: events where there are any, and the time to ask again in any case.
struct News {
    events: Option<EventStream>,
    handle: ExecutionHandle,
}

impl News {
    /// Subscribes before the first question, so that nothing falls between the two.
    async fn subscribe(executor: &dyn ContainerExecutor, handle: &ExecutionHandle, owner: &Owner) -> Self {
        Self { events: executor.events(owner).await.ok(), handle: handle.clone() }
    }

    /// Returns when it is time to ask again, after `limit` at the latest.
    async fn next(&mut self, clock: &dyn Clock, limit: Duration) {
        let reconcile = if self.events.is_some() { RECONCILE } else { POLL };
        tokio::select! {
            () = clock.sleep(reconcile.min(limit)) => {}
            () = self.event() => {}
        }
    }

    async fn event(&mut self) {
        let token = self.handle.token;
        let mut nothing = stream::pending().boxed();
        let events = self.events.as_mut().unwrap_or(&mut nothing);
        while let Some(event) = events.next().await {
            match event {
                ExecutionEvent::Gap => return,
                ExecutionEvent::Changed { token: changed, .. } if changed == token => return,
                ExecutionEvent::Changed { .. } => {}
            }
        }
        self.events = None;
    }
}

/// When an execution is to be stopped for taking too long.
struct Limits {
    start: Option<Duration>,
    run: Option<Duration>,
    launched_at: Timestamp,
    running_since: Option<Timestamp>,
}

impl Limits {
    fn new(template: &JobTemplate, launched_at: Timestamp) -> Self {
        Self { start: template.start_timeout, run: template.run_timeout, launched_at, running_since: None }
    }

    /// The time that is left; by our own clock, because the provider's may be another.
    fn left(&mut self, status: &ExecutionStatus, now: Timestamp) -> Duration {
        let (limit, from) = if matches!(status, ExecutionStatus::Running { .. }) {
            (self.run, *self.running_since.get_or_insert(now))
        } else {
            (self.start, self.launched_at)
        };
        limit.map_or(Duration::MAX, |limit| limit.saturating_sub(since(now, from)))
    }
}

impl Runner {
    /// Waits for the end, stops the job at its limits or when asked, and harvests. `None` when the provider no
    /// longer knows the execution.
    pub(super) async fn finish(
        &self,
        request: &LaunchRequest,
        handle: &ExecutionHandle,
        observer: &dyn RunObserver,
    ) -> Result<Option<Harvest>> {
        let Some(termination) = self.end_of(request, handle, observer).await? else { return Ok(None) };
        let _ = observer.observe(RunEvent::Terminated(&termination)).await;
        let harvest =
            self.patience.retry(self.clock.as_ref(), Some(observer), || self.executor.harvest_job(handle)).await;
        match harvest {
            Ok(harvest) => Ok(Some(harvest)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn end_of(
        &self,
        request: &LaunchRequest,
        handle: &ExecutionHandle,
        observer: &dyn RunObserver,
    ) -> Result<Option<Termination>> {
        let clock = self.clock.as_ref();
        let mut news = News::subscribe(self.executor.as_ref(), handle, &request.owner).await;
        let mut limits = Limits::new(&request.plan.template, request.created_at);
        loop {
            let status = self.patience.retry(clock, Some(observer), || self.executor.check_status(handle)).await?;
            match &status {
                ExecutionStatus::Terminated(termination) => return Ok(Some(termination.clone())),
                ExecutionStatus::NotFound => return Ok(None),
                ExecutionStatus::Pending | ExecutionStatus::Running { .. } => {}
            }
            let left = limits.left(&status, clock.now());
            if left.is_zero() {
                return self.stop_for(StopReason::TimedOut, request, handle, observer).await;
            }
            tokio::select! {
                () = news.next(clock, left) => {}
                _ = self.stop.reached(StopLevel::Graceful) => {
                    return self.stop_for(StopReason::Cancelled, request, handle, observer).await;
                }
            }
        }
    }

    /// Stops with grace; a kill asked for meanwhile cuts the grace short.
    async fn stop_for(
        &self,
        reason: StopReason,
        request: &LaunchRequest,
        handle: &ExecutionHandle,
        observer: &dyn RunObserver,
    ) -> Result<Option<Termination>> {
        let _ = observer.observe(RunEvent::Stopping(reason)).await;
        let grace = request.plan.template.stop_grace.unwrap_or(DEFAULT_GRACE);
        let ended = tokio::select! {
            ended = self.stop_within(reason, grace, handle, observer) => ended,
            _ = self.stop.reached(StopLevel::Kill) => self.stop_within(reason, Duration::ZERO, handle, observer).await,
        };
        match ended {
            Ok(termination) => Ok(Some(termination)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn stop_within(
        &self,
        reason: StopReason,
        grace: Duration,
        handle: &ExecutionHandle,
        observer: &dyn RunObserver,
    ) -> Result<Termination> {
        let stop = StopRequest::new(reason, grace);
        self.patience.retry(self.clock.as_ref(), Some(observer), || self.executor.stop_job(handle, &stop)).await
    }
}
