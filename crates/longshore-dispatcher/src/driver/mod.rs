//! One attempt from its intent to the last trace removed. Each step begins from what is stored, so that any dispatcher can go
//! on from wherever another one died.

mod launch;
mod refusal;
mod remove;
mod settle;
mod stop;
mod watch;

use jiff::Timestamp;
use longshore_core::{
    ContainerExecutor, Error, ErrorKind, HostName, LaunchToken, Result,
    clock::{later, since},
};
use longshore_store::{AttemptState, Change, Charge, Held, Next, Outcome, What};
use std::{sync::Arc, time::Duration};
use tracing::Instrument;

use crate::{
    metrics,
    scene::{Scene, Seat},
};

/// The pause after a question that was not answered; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a step was not finished.
#[derive(Debug)]
enum Leave {
    /// The attempt is another's now, or is to be left to others.
    Gone,
    /// The store knows something else of it: read it again.
    Stale,
}

type Step<T = ()> = std::result::Result<T, Leave>;

/// Drives an attempt in the background of its session, unless somebody does already.
pub(crate) fn drive(scene: &Arc<Scene>, held: Held) {
    let Some(seat) = scene.seat(&held) else { return };
    let token = held.attempt.token();
    let span = tracing::info_span!("attempt", %token, host = %held.attempt.host());
    let driver = Driver { scene: Arc::clone(scene), held, seat, pause: FIRST_PAUSE, silent_since: None };
    scene.tasks.spawn(driver.run().instrument(span));
}

struct Driver {
    scene: Arc<Scene>,
    held: Held,
    seat: Seat,
    /// The pause before the next question to a provider that does not answer.
    pause: Duration,
    /// Since when it has not answered.
    silent_since: Option<Timestamp>,
}

impl Driver {
    async fn run(mut self) {
        loop {
            let step = match self.held.attempt.state {
                AttemptState::Launching => self.launch().await,
                AttemptState::Launched => self.see_through().await,
                AttemptState::Ended => self.remove().await,
                _ => return,
            };
            match step {
                Ok(()) => {}
                Err(Leave::Gone) => return,
                Err(Leave::Stale) => {
                    if self.reload().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Reads the attempt again. It may be another's now.
    async fn reload(&mut self) -> Step {
        loop {
            match self.scene.store().attempt(self.token()).await {
                Ok(held) if held.attempt.session == Some(self.scene.session) => {
                    self.held = held;
                    return Ok(());
                }
                Err(error) if error.is_lost_contact() => self.rest().await,
                _ => return Err(Leave::Gone),
            }
        }
    }

    /// Stores what happened; returns once it is durable.
    async fn record(&mut self, what: What) -> Step {
        let change = Change::new(self.token(), self.now(), what);
        match self.scene.recorder.record(change.clone()).await {
            Ok(()) => {
                self.held.attempt.apply(&change);
                self.held.job.runs += u32::from(matches!(change.what, What::Launched(_)));
                metrics::changed(&change, &self.held);
                tracing::debug!(change = change.effect().kind, "stored");
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::LeaseLost => Err(Leave::Gone),
            Err(error) => {
                tracing::info!(error = %error.chain(), "the store knows something else of this attempt");
                Err(Leave::Stale)
            }
        }
    }

    /// Stores the outcome, and what becomes of the job.
    async fn end(&mut self, outcome: Outcome, charges: Vec<Charge>, next: Next, closed: bool) -> Step {
        let outcome = Box::new(outcome);
        self.record(What::Ended { outcome, charges, next, closed }).await
    }

    /// What became of it can't be proven; what is seen of it later is stopped and removed.
    async fn lose(&mut self, why: String) -> Step {
        tracing::warn!(why, "lost");
        let outcome = Outcome::lost(why);
        let next = Next::Finish(outcome.status);
        let charges = self.held.attempt.charges.clone();
        self.end(outcome, charges, next, false).await
    }

    fn token(&self) -> LaunchToken {
        self.held.attempt.token()
    }

    fn host(&self) -> &HostName {
        self.held.attempt.host()
    }

    fn now(&self) -> Timestamp {
        self.scene.clock().now()
    }

    fn executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        self.scene.executor(self.host())
    }

    fn is_cancelled(&self) -> bool {
        self.seat.attention.borrow().cancel
    }

    /// Whether a former holder can launch it no more.
    fn is_quiet(&self) -> bool {
        self.held.attempt.quiet_at.is_none_or(|quiet_at| quiet_at <= self.now())
    }

    /// Waits until no former holder can launch it any more; unless the session drains.
    async fn wait_for_quiet(&self) -> Step {
        let Some(quiet_at) = self.held.attempt.quiet_at else { return Ok(()) };
        self.sleep_until(quiet_at).await
    }

    async fn sleep_until(&self, time: Timestamp) -> Step {
        while self.now() < time {
            tokio::select! {
                biased;
                () = self.scene.drained() => return Err(Leave::Gone),
                () = self.scene.clock().sleep(since(time, self.now())) => {}
            }
        }
        Ok(())
    }

    /// Waits a while, each time longer, before something is tried again.
    async fn rest(&mut self) {
        self.scene.clock().sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The provider did not answer: waits and, when that has gone on for too long, says so. Ends early when the session
    /// drains.
    async fn bear_silence(&mut self, error: &Error) -> Step<Silence> {
        let since_when = *self.silent_since.get_or_insert_with(|| self.scene.clock().now());
        if later(since_when, self.scene.settings().lost_after) <= self.now() {
            return Ok(Silence::TooLong);
        }
        tracing::debug!(error = %error.chain(), "no answer; asking again");
        let drained = self.scene.clone();
        tokio::select! {
            biased;
            () = drained.drained() => Err(Leave::Gone),
            () = self.rest() => Ok(Silence::GoesOn),
        }
    }

    fn heard(&mut self) {
        self.silent_since = None;
        self.pause = FIRST_PAUSE;
    }

    /// Waits until somebody wants the job to end. Cancel-safe.
    async fn cancelled(&self) {
        let mut attention = self.seat.attention.clone();
        if attention.wait_for(|attention| attention.cancel).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How long a silence goes on.
#[derive(Debug, PartialEq, Eq)]
enum Silence {
    GoesOn,
    TooLong,
}
