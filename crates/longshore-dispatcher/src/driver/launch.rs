//! From the stored intent to the stored handle.

use longshore_core::{
    Advice, Cause, ContainerExecutor, Error, ErrorKind, Evidence, ExecutionHandle, JobStatus, LaunchIdempotency,
    LaunchRequest, LaunchSearch, Progress, Result, Termination,
    clock::{later, since},
};
use longshore_store::{Next, Outcome, WaitingFor, What};
use std::{sync::Arc, time::Duration};

use super::{Driver, FIRST_PAUSE, LONGEST_PAUSE, Leave, Silence, Step, refusal};
use crate::scene::planted;

impl Driver {
    /// Launches the attempt, unless it turns out that it was launched. Where it was taken over from somebody else, or an
    /// answer was lost, looking comes first.
    pub(super) async fn launch(&mut self) -> Step {
        let executor = match self.executor() {
            Ok(executor) => executor,
            Err(error) => return self.unanswered(&error).await,
        };
        let looks = self.unproven && !planted!(self.scene, LaunchesWithoutLooking);
        if looks && !self.is_absent(executor.as_ref()).await? {
            return Ok(());
        }
        if self.is_cancelled() && !planted!(self.scene, ForgetsTheCancelledLaunch) {
            let error = Error::new(ErrorKind::Cancelled, "cancelled before it was launched");
            return self.refused(executor.as_ref(), &error).await;
        }
        if let Err(error) = self.prepare(executor.as_ref()).await? {
            return self.refused(executor.as_ref(), &error).await;
        }
        self.renew().await?;
        match self.send(executor.as_ref()).await {
            Ok(handle) => {
                self.launched(handle).await;
                Ok(())
            }
            Err(error) if error.advice() == Advice::LookUpFirst => {
                // It may take effect later than the next look.
                self.unproven = true;
                if !planted!(self.scene, TrustsSilence) {
                    self.is_unquiet_for(self.scene.settings().margin);
                }
                self.unanswered(&error).await
            }
            Err(error) if error.kind() == ErrorKind::Cancelled && self.scene.is_draining() => Err(Leave::Gone),
            Err(error) => self.refused(executor.as_ref(), &error).await,
        }
    }

    /// Whether it is proven that the attempt was not launched, and won't be by anybody else. Where it was launched, that is
    /// stored.
    async fn is_absent(&mut self, executor: &dyn ContainerExecutor) -> Step<bool> {
        let found = match executor.find_launch(&self.held.attempt.request).await {
            Ok(found) => found,
            Err(error) => return self.unanswered(&error).await.map(|()| false),
        };
        self.heard();
        match found {
            LaunchSearch::Found(handle) => {
                self.launched(handle).await;
                Ok(false)
            }
            LaunchSearch::Unprovable { reason } => self.unprovable(reason).await.map(|()| false),
            // The name itself refuses a twin; without one, somebody else's launch may still be on its way.
            _ if executor.capabilities().launch == LaunchIdempotency::ByKey || self.is_quiet() => {
                self.unproven = !self.is_quiet();
                Ok(true)
            }
            _ => {
                self.wait_for_quiet().await?;
                Ok(planted!(self.scene, BelievesItsFirstLook))
            }
        }
    }

    /// It is watched while the handle is being stored: until then its token finds it.
    async fn launched(&mut self, handle: ExecutionHandle) {
        self.heard();
        self.scene.router().succeeded(&handle.host);
        self.tell(What::Launched(Arc::new(handle))).await;
    }

    async fn unprovable(&mut self, reason: String) -> Step {
        if planted!(self.scene, RunsTheUnprovableAgain) {
            return self
                .end(
                    Outcome::new(JobStatus::Failed, reason.clone()),
                    Vec::new(),
                    Next::Requeue { reason, waiting_for: WaitingFor::NOTHING, refused_by: None },
                    true,
                )
                .await;
        }
        self.lose(reason).await
    }

    async fn unanswered(&mut self, error: &Error) -> Step {
        match self.bear_silence(error).await? {
            Silence::GoesOn => Ok(()),
            Silence::TooLong => {
                self.lose(format!("whether it was launched could not be asked for too long: {}", error.chain())).await
            }
        }
    }

    /// Prepares, for as long as the job may take to start. What is left of a preparation that was dropped the next one goes
    /// on with.
    async fn prepare(&self, executor: &dyn ContainerExecutor) -> Step<Result<()>> {
        let request = &self.held.attempt.request;
        // The same execution would take as long again.
        let too_late = || {
            let limit = request.plan.template.start_timeout.unwrap_or(Duration::MAX);
            let message = format!("not ready within the start timeout of {limit:?}");
            Error::new(ErrorKind::Timeout, message).with_advice(Advice::Permanent)
        };
        tokio::select! {
            biased;
            () = self.scene.drained() => Err(Leave::Gone),
            () = self.cancelled() => Ok(Err(Error::new(ErrorKind::Cancelled, "cancelled before it was launched"))),
            prepared = executor.prepare(request, Progress::ignored()) => Ok(prepared),
            () = self.reach(self.limit(false)) => Ok(Err(too_late())),
        }
    }

    /// Stores another deadline where the preparation has used up much of the time to send, or where the one that there is was
    /// set by a clock that differs from ours. Nothing was sent under the old one by us, and what a former holder may send is
    /// refused by the name or is the same launch.
    async fn renew(&mut self) -> Step {
        let (request, now) = (&self.held.attempt.request, self.now());
        let (window, own_now) = (self.scene.settings().launch_window, self.scene.own_clock().now());
        if (window / 2..=window).contains(&since(request.deadline, own_now)) {
            return Ok(());
        }
        let mut renewed = LaunchRequest::new(
            self.held.job.job(),
            request.token.attempt(),
            request.plan.clone(),
            request.owner.clone(),
            now,
            window,
        );
        renewed.deadline = later(own_now, window);
        self.record(What::Renewed(Arc::new(renewed))).await
    }

    /// Sends it. While it is refused as something that may pass soon it is sent again, until its deadline. A launch that has
    /// been sent is always waited for.
    async fn send(&self, executor: &dyn ContainerExecutor) -> Result<ExecutionHandle> {
        let mut request = self.held.attempt.request.clone();
        if planted!(self.scene, IgnoresTheDeadline) {
            request.deadline = jiff::Timestamp::MAX;
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match executor.launch_job(&request).await {
                Err(error) if error.advice() != Advice::LookUpFirst && passes(error.kind()) => error,
                answer => return answer,
            };
            if request.check_deadline(self.scene.own_clock()).is_err() {
                return Err(error);
            }
            let stopped = || Error::new(ErrorKind::Cancelled, "cancelled before it was launched");
            tokio::select! {
                biased;
                () = self.cancelled() => return Err(stopped()),
                () = self.scene.drained() => return Err(stopped()),
                () = self.scene.clock().sleep(pause.max(told(&error))) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// It was not launched, for sure, once nothing can be on its way any more. The host is told to the router; the job goes
    /// elsewhere, waits, or ends.
    async fn refused(&mut self, executor: &dyn ContainerExecutor, error: &Error) -> Step {
        if !self.is_quiet() && !planted!(self.scene, RetriesTooEarly) {
            self.wait_for_quiet().await?;
            if !planted!(self.scene, BelievesItsFirstLook) && !self.is_absent(executor).await? {
                return Ok(());
            }
        }
        let now = self.now();
        if !refusal::is_the_jobs_own(error) {
            self.scene.router().refused(self.host(), error, now);
        }
        let next = if planted!(self.scene, GivesUpAtTheFirstRefusal) {
            Next::Finish(JobStatus::Failed)
        } else {
            refusal::next(&self.held, error, now)
        };
        let status = if let Next::Finish(status) = &next { *status } else { JobStatus::Failed };
        let mut outcome = Outcome::new(status, error.chain());
        if error.kind() == ErrorKind::CommandNotFound || error.kind() == ErrorKind::CommandNotExecutable {
            let code = if error.kind() == ErrorKind::CommandNotFound { 127 } else { 126 };
            let end = Termination::new(Cause::Invalid, Evidence::complete().with_message(Some(error.chain())));
            outcome.termination = Some(end.with_exit_code(Some(code)));
        }
        self.end(outcome, Vec::new(), next, !planted!(self.scene, KeepsTheRefused)).await
    }
}

/// True for a refusal of which nothing was sent, or nothing taken, and which may pass by itself soon.
const fn passes(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited)
}

/// How long to wait before it is sent again, where the provider says so.
fn told(error: &Error) -> Duration {
    if let Advice::After(pause) = error.advice() { pause } else { Duration::ZERO }
}
