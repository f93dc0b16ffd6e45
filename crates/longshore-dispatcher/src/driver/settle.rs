//! From an execution's end to its stored outcome: harvest, log, cost, and what becomes of the job.

use futures::{FutureExt, future::BoxFuture};
use longshore_core::{
    Cause, ContainerExecutor, Error, ErrorKind, ExecutionHandle, Harvest, Result, Termination,
    clock::later,
    price::{Estimate, FreeLeft},
};
use longshore_store::{Charge, Next, Outcome, SavedLog, WaitingFor};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use super::{Driver, Silence, Step};
use crate::{report, scene::planted};

/// The pause after a provider had no room for what it had accepted; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

impl Driver {
    /// Collects the truth about an ended execution, keeps its log, and stores its outcome. Nothing is removed before that.
    pub(super) async fn settle(&mut self, handle: &ExecutionHandle, end: Termination) -> Step {
        self.heard();
        if planted!(self.scene, CleansUpBeforeTheLog)
            && let Ok(executor) = self.executor()
        {
            let _ = executor.cleanup(handle).await;
        }
        let is_believed =
            [planted!(self.scene, BelievesItsStop), planted!(self.scene, SettlesWhenStopped)].contains(&true);
        let asked = handle.clone();
        let harvest = self.insist(move |executor| {
            let handle = asked.clone();
            async move { executor.harvest_job(&handle).await }.boxed()
        });
        let harvest = match harvest.await? {
            Ok(harvest) => Some(harvest),
            Err(error) if error.kind() == ErrorKind::StillRunning && is_believed => None,
            // Not ended after all: it is watched again, though not at once, because its provider contradicts itself.
            Err(error) if error.kind() == ErrorKind::StillRunning => {
                self.rest().await;
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return self.lose(format!("it ended and can't be harvested: {}", error.chain())).await,
        };
        let (asked, logs) = (handle.clone(), Arc::clone(&self.scene.parts.logs));
        let cap = self.held.attempt.request.plan.template.log_cap.unwrap_or(self.scene.settings().log_cap);
        let saved = self.insist(move |executor| {
            let (handle, logs) = (asked.clone(), Arc::clone(&logs));
            async move { logs.save(executor.as_ref(), &handle, cap).await }.boxed()
        });
        let saved = match saved.await? {
            Ok(saved) => Some(saved),
            Err(error) => {
                report::trouble(&error, "the log can't be had");
                self.untidy = true;
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
            self.untidy = true;
            if self.bear_silence(&error).await? == Silence::TooLong {
                return Ok(Err(error));
            }
        }
    }

    fn outcome(&self, harvest: Option<&Harvest>, end: Termination, saved: Option<SavedLog>) -> Outcome {
        let end = harvest.map_or(end, |harvest| harvest.termination.clone());
        let mut outcome = Outcome::of_end(end);
        if self.is_cancelled() && planted!(self.scene, CallsItCancelled) {
            outcome = Outcome::of_end(Termination::new(Cause::Cancelled, longshore_core::Evidence::complete()));
        }
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
        let has_run = end.started_at.or(self.held.attempt.started_at).is_some();
        if matches!(end.cause, Cause::Capacity | Cause::Quota) && !has_run {
            // It was accepted and then never started: as good as refused.
            let kind = if end.cause == Cause::Quota { ErrorKind::Quota } else { ErrorKind::Capacity };
            self.scene.router().refused(self.host(), &Error::new(kind, outcome.reason.clone()), now);
            let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(job.attempts.saturating_sub(1)));
            let waiting_for = WaitingFor::until(later(now, pause.min(LONGEST_PAUSE)));
            return Next::Requeue { reason: outcome.reason.clone(), waiting_for, refused_by: None };
        }
        let runs = job.runs.max(1);
        let policy = job.job().retry.as_ref().filter(|policy| policy.allows(end, runs));
        let Some(policy) = policy.filter(|_| !self.is_cancelled()) else { return finish };
        let pause = policy.pause(runs, self.jitter());
        let reason = format!("attempt {} {}; run again", self.token().attempt(), outcome.reason);
        let waiting_for = WaitingFor::until(later(now, pause));
        Next::Requeue { reason, waiting_for, refused_by: None }
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
