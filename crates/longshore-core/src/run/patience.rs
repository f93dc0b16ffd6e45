//! Asking again while a provider can't be reached.

use std::{future::Future, time::Duration};

use super::observer::{RunEvent, RunObserver};
use crate::{Advice, Clock, Error, Result, clock::since};

/// How long to go on asking a provider that can't be reached, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// When to give up; never, when absent. The job goes on without us either way.
    pub give_up_after: Option<Duration>,
    /// The first pause between questions; each following one is twice as long.
    pub first_pause: Duration,
    /// The longest pause between questions.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { give_up_after: None, first_pause: Duration::from_millis(100), longest_pause: Duration::from_secs(5) }
    }
}

impl Patience {
    /// Patience that ends after the given time without contact.
    #[must_use]
    pub fn of(give_up_after: Duration) -> Self {
        Self { give_up_after: Some(give_up_after), ..Self::default() }
    }

    /// For what can be left to a later sweep: at most half a minute.
    pub(crate) fn brief(self) -> Self {
        let most = Duration::from_secs(30);
        Self { give_up_after: Some(self.give_up_after.map_or(most, |own| own.min(most))), ..self }
    }

    /// Asks until there is an answer: only lost contact is asked again, and the observer is told of it.
    pub(crate) async fn retry<T, F>(
        &self,
        clock: &dyn Clock,
        observer: Option<&dyn RunObserver>,
        mut ask: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let lost_at = clock.now();
        let mut pause = self.first_pause;
        let mut told = false;
        loop {
            let error = match ask().await {
                Ok(answer) => {
                    if told {
                        tell(observer, RunEvent::ContactRestored).await;
                    }
                    return Ok(answer);
                }
                Err(error) if !error.is_lost_contact() => return Err(error),
                Err(error) => error,
            };
            let waited = since(clock.now(), lost_at);
            if self.give_up_after.is_some_and(|limit| waited >= limit) {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                tell(observer, RunEvent::LostContact(&error)).await;
            }
            clock.sleep(next_pause(&error, pause)).await;
            pause = (pause * 2).min(self.longest_pause);
        }
    }
}

fn next_pause(error: &Error, usual: Duration) -> Duration {
    match error.advice() {
        Advice::After(pause) => pause.max(usual),
        _ => usual,
    }
}

/// A notice that can't be delivered changes nothing about the run.
async fn tell(observer: Option<&dyn RunObserver>, event: RunEvent<'_>) {
    if let Some(observer) = observer {
        let _ = observer.observe(event).await;
    }
}
