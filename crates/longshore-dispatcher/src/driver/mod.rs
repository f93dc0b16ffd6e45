//! One attempt from its intent to the last trace removed. Each step begins from what is stored, so that any dispatcher can go
//! on from wherever another one died.

mod launch;
mod refusal;
mod remove;
mod settle;
mod stop;
mod told;
mod watch;

use jiff::Timestamp;
use longshore_core::{ContainerExecutor, Error, HostName, LaunchToken, Result, clock::later};
use longshore_store::{AttemptState, Change, Charge, Held, Next, Outcome, WaitingFor, What};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;
use told::Told;
use tracing::Instrument;

use crate::{
    report,
    scene::{Scene, Seat, planted},
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

/// How fresh what is known of an attempt is when its driver begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// It is as it was told: nobody else in this session can have driven it meanwhile.
    Fresh,
    /// Somebody may have driven it, and even closed it, since it was told: it is read again first.
    Stale,
}

/// Drives an attempt in the background of its session, unless somebody does already.
pub(crate) fn drive(scene: &Arc<Scene>, held: Held, knowledge: Knowledge) {
    let Some(seat) = scene.seat(&held) else { return };
    let token = held.attempt.token();
    let span = tracing::info_span!("attempt", %token, host = %held.attempt.host());
    // Whoever begins in a later state than the first has taken it over, and so has who finds a quiet time stored.
    let was_another_s = held.attempt.state != AttemptState::Launching || held.attempt.quiet_at.is_some();
    // Where a driver broke, the next one knows as little of what was sent as if it had died.
    let was_another_s = scene.had_broken(token) || was_another_s;
    let mut driver = Driver {
        scene: Arc::clone(scene),
        held: Box::new(held),
        seat,
        pause: FIRST_PAUSE,
        silent_since: None,
        unproven: was_another_s,
        untidy: was_another_s,
        unquiet: None,
        told: Told::default(),
    };
    if was_another_s {
        let settings = scene.settings();
        driver.is_unquiet_for(settings.launch_window.saturating_add(settings.margin));
    }
    scene.tasks.spawn(driver.run(knowledge).instrument(span));
}

struct Driver {
    scene: Arc<Scene>,
    held: Box<Held>,
    seat: Seat,
    /// The pause before the next question to a provider that does not answer.
    pause: Duration,
    /// Since when it has not answered.
    silent_since: Option<Timestamp>,
    /// Whether it may have been launched, so that looking comes before anything else.
    unproven: bool,
    /// Whether something may be kept of its log that nobody refers to: somebody else may have saved it, or saving it failed.
    untidy: bool,
    /// Ends when no launch can be on its way any more: neither one that a former holder sent, nor one of our own that was
    /// not answered. Measured from here on, and never by comparing clocks: theirs may be another, and any may jump.
    unquiet: Option<oneshot::Receiver<()>>,
    /// What was told and is not known to be stored. Whatever ends the attempt, or removes anything, waits for it.
    told: Told,
}

impl Driver {
    async fn run(mut self, knowledge: Knowledge) {
        let is_stale = knowledge == Knowledge::Stale && !planted!(self.scene, ActsOnOldAnswers);
        if is_stale && self.reload().await.is_err() {
            return;
        }
        loop {
            let step = match self.held.attempt.state {
                AttemptState::Launching => self.launch().await,
                AttemptState::Launched => self.see_through().await,
                AttemptState::Ended => self.remove().await,
                _ => return,
            };
            let Err(leave) = step else { continue };
            // Whoever goes on from here, this driver or the next, finds it stored.
            let stored = self.stored().await;
            if matches!((leave, stored), (Leave::Gone, _) | (_, Err(Leave::Gone))) || self.reload().await.is_err() {
                return;
            }
        }
    }

    /// Reads the attempt again. It may be another's now.
    async fn reload(&mut self) -> Step {
        loop {
            match self.scene.store().attempt(self.token()).await {
                Ok(held) if held.attempt.session == Some(self.scene.session) => {
                    *self.held = held;
                    return Ok(());
                }
                Err(error) if error.is_lost_contact() => self.rest().await,
                _ => return Err(Leave::Gone),
            }
        }
    }

    /// Stores what happened; returns once it is durable, with everything that was told before.
    async fn record(&mut self, what: What) -> Step {
        self.tell(what).await;
        self.stored().await
    }

    /// Hands in what happened, and goes on as if it were stored.
    async fn tell(&mut self, what: What) {
        let change = Change::new(self.token(), self.scene.certain_now().await, what);
        self.held.attempt.apply(&change);
        if matches!(change.what, What::Launched(_)) && !planted!(self.scene, MiscountsRuns) {
            self.held.job.runs += 1;
        }
        let answer = self.scene.recorder.hand_in(change.clone());
        self.told.push(change, answer);
    }

    /// Returns once all that was told is durable.
    async fn stored(&mut self) -> Step {
        self.told.stored(&self.held).await
    }

    /// Stores the outcome, and what becomes of the job.
    async fn end(&mut self, outcome: Outcome, charges: Vec<Charge>, next: Next, closed: bool) -> Step {
        let outcome = Arc::new(outcome);
        self.record(What::Ended { outcome, charges, next, closed }).await
    }

    /// What became of it can't be proven; what is seen of it later is stopped and removed.
    async fn lose(&mut self, why: String) -> Step {
        report::lost(&why);
        let outcome = Outcome::lost(why);
        let next = if planted!(self.scene, RunsTheLostAgain) {
            Next::Requeue { reason: outcome.reason.clone(), waiting_for: WaitingFor::NOTHING, refused_by: None }
        } else {
            Next::Finish(outcome.status)
        };
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

    /// From now on, and for so long, a launch may be on its way.
    fn is_unquiet_for(&mut self, duration: Duration) {
        let clock = Arc::clone(&self.scene.parts.clock);
        let (over, unquiet) = oneshot::channel();
        self.unquiet = Some(unquiet);
        self.scene.tasks.spawn(async move {
            clock.sleep(duration).await;
            // Nobody may wait for it any more.
            let _ = over.send(());
        });
    }

    /// Whether no launch can be on its way any more.
    fn is_quiet(&mut self) -> bool {
        if self.unquiet.as_mut().is_some_and(|over| over.try_recv().is_ok()) {
            self.unquiet = None;
        }
        self.unquiet.is_none()
    }

    /// Waits until no launch can be on its way any more; unless the session drains.
    async fn wait_for_quiet(&mut self) -> Step {
        let scene = Arc::clone(&self.scene);
        let Some(over) = self.unquiet.as_mut() else { return Ok(()) };
        tokio::select! {
            biased;
            () = scene.drained() => return Err(Leave::Gone),
            over = over => over.map_err(|_| Leave::Gone)?,
        }
        self.unquiet = None;
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
        self.scene.trouble(self.host(), error, "no answer about an attempt; asking again");
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
        if planted!(self.scene, ForgetsTheCancelledLaunch) {
            let _ = attention.changed().await;
        }
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
