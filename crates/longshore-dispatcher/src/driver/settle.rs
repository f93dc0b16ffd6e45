//! From an execution's end to its stored outcome: harvest, log, cost, and what becomes of the job.

use futures::{FutureExt, future::BoxFuture};
use longshore_core::{
    Cause, ContainerExecutor, Error, ErrorKind, ExecutionHandle, Harvest, JobStatus, Result, Termination,
    clock::later,
    price::{Estimate, FreeLeft},
};
use longshore_store::{Charge, Next, Outcome, WaitingFor};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use super::{Driver, Silence, Step};
use crate::{SavedLog, scene::planted};

impl Driver {
    /// Collects the truth about an ended execution, keeps its log, and stores its outcome. Nothing is removed before that.
    pub(super) async fn settle(&mut self, handle: &ExecutionHandle, end: Termination) -> Step {
        self.heard();
        if planted!(self.scene, CleansUpBeforeTheLog)
            && let Ok(executor) = self.executor()
        {
            let _ = executor.cleanup(handle).await;
        }
        let asked = handle.clone();
        let harvest = self.insist(move |executor| {
            let handle = asked.clone();
            async move { executor.harvest_job(&handle).await }.boxed()
        });
        let harvest = match harvest.await? {
            Ok(harvest) => Some(harvest),
            // Not ended after all: it is watched again.
            Err(error) if error.kind() == ErrorKind::StillRunning => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return self.lose(format!("it ended and can't be harvested: {}", error.chain())).await,
        };
        let (asked, logs) = (handle.clone(), Arc::clone(&self.scene.parts.logs));
        let cap = self.scene.settings().log_cap;
        let saved = self.insist(move |executor| {
            let (handle, logs) = (asked.clone(), Arc::clone(&logs));
            async move { logs.save(executor.as_ref(), &handle, cap).await }.boxed()
        });
        let saved = match saved.await? {
            Ok(saved) => Some(saved),
            Err(error) => {
                tracing::warn!(error = %error.chain(), "the log can't be had");
                None
            }
        };
        let outcome = self.outcome(harvest.as_ref(), end, saved);
        let charges = self.charges(&outcome);
        let next = self.next(&outcome);
        self.end(outcome, charges, next, false).await
    }

    /// Asks until there is an answer, or nobody can expect one any more.
    async fn insist<T>(
        &mut self,
        ask: impl Fn(Arc<dyn ContainerExecutor>) -> BoxFuture<'static, Result<T>> + Send,
    ) -> Step<Result<T>> {
        loop {
            let answer = match self.executor() {
                Ok(executor) => ask(executor).await,
                Err(error) => Err(error),
            };
            let error = match answer {
                Err(error) if is_to_be_asked_again(&error) => error,
                answer => {
                    self.heard();
                    return Ok(answer);
                }
            };
            if self.bear_silence(&error).await? == Silence::TooLong {
                return Ok(Err(error));
            }
        }
    }

    fn outcome(&self, harvest: Option<&Harvest>, end: Termination, saved: Option<SavedLog>) -> Outcome {
        let end = harvest.map_or(end, |harvest| harvest.termination.clone());
        let mut outcome = Outcome::of_end(end);
        if let Some(harvest) = harvest {
            outcome.usage = Some(harvest.usage.clone());
            outcome.logs = Some(harvest.logs.clone());
            outcome.cost = Some(self.cost(harvest.usage.wall_time));
        }
        if let Some(saved) = saved {
            outcome.log = Some(saved.reference);
            outcome.parsed_output = saved.parsed_output;
        }
        outcome
    }

    fn cost(&self, ran: Duration) -> Estimate {
        let snapshot = self.scene.router().snapshot();
        let host = snapshot.table().hosts().iter().find(|host| host.host.name == *self.host());
        let Some(host) = host else {
            return Estimate::Unknown { reason: format!("host {} is not configured any more", self.host()) };
        };
        let facts = snapshot.state(self.host()).and_then(|state| state.facts.clone());
        let plan = &self.held.attempt.request.plan;
        snapshot.table().prices().actual(&host.host, facts.as_deref(), plan, ran, FreeLeft::default())
    }

    /// What it really cost in the place of what was reserved. What is not known stays as reserved.
    fn charges(&self, outcome: &Outcome) -> Vec<Charge> {
        let reserved = &self.held.attempt.charges;
        let actual = outcome.cost.as_ref().and_then(|cost| cost.cost().ok());
        let charge = |charge: &Charge| {
            let amount = actual.unwrap_or(&charge.amount).clone();
            Charge::new(charge.budget.clone(), charge.period, amount)
        };
        let mut charges: Vec<Charge> = reserved.iter().map(charge).collect();
        if planted!(self.scene, ChargesTwice) {
            charges.extend(reserved.iter().cloned());
        }
        charges
    }

    fn next(&self, outcome: &Outcome) -> Next {
        let finish = Next::Finish(outcome.status);
        let Some(end) = &outcome.termination else { return finish };
        let (job, now) = (&self.held.job, self.now());
        if matches!(end.cause, Cause::Capacity | Cause::Quota) {
            // It was accepted and then never started: as good as refused.
            let kind = if end.cause == Cause::Quota { ErrorKind::Quota } else { ErrorKind::Capacity };
            self.scene.router().refused(self.host(), &Error::new(kind, outcome.reason.clone()), now);
            let waiting_for = self.quiet(WaitingFor::until(later(now, Duration::from_secs(1))));
            return Next::Requeue { reason: outcome.reason.clone(), waiting_for, refused_by: None };
        }
        if outcome.status == JobStatus::Lost && planted!(self.scene, RunsTheLostAgain) {
            let waiting_for = WaitingFor::NOTHING;
            return Next::Requeue { reason: outcome.reason.clone(), waiting_for, refused_by: None };
        }
        let runs = job.runs.max(1);
        let policy = job.job().retry.as_ref().filter(|policy| policy.allows(end, runs));
        let is_wanted = !self.is_cancelled() || planted!(self.scene, RetriesTheCancelled);
        let Some(policy) = policy.filter(|_| is_wanted) else { return finish };
        let pause = policy.pause(runs, self.jitter());
        let reason = format!("attempt {} {}; run again", self.token().attempt(), outcome.reason);
        let waiting_for = self.quiet(WaitingFor::until(later(now, pause)));
        Next::Requeue { reason, waiting_for, refused_by: None }
    }

    /// The same, but not before former holders can launch no more.
    fn quiet(&self, mut waiting_for: WaitingFor) -> WaitingFor {
        waiting_for.until = waiting_for.until.max(self.held.attempt.quiet_at);
        waiting_for
    }

    /// A number from 0 to 1 that is the attempt's own: jobs that failed together don't come back together, and the same
    /// attempt always gives the same.
    #[expect(clippy::cast_precision_loss, reason = "jitter needs no more than a double's 53 bits")]
    fn jitter(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        self.token().hash(&mut hasher);
        (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Whether the same question may be answered later: contact was lost, or credentials and permissions are to be mended.
fn is_to_be_asked_again(error: &Error) -> bool {
    error.is_lost_contact()
        || matches!(
            error.kind(),
            ErrorKind::Unauthenticated
                | ErrorKind::PermissionDenied
                | ErrorKind::Unexpected
                | ErrorKind::Capacity
                | ErrorKind::Quota
        )
}
