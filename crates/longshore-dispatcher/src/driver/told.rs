//! What a driver has told the store and has no answer to yet.

use longshore_core::ErrorKind;
use longshore_store::{Change, Held};
use std::collections::VecDeque;

use super::{Leave, Step};
use crate::{metrics, recorder::Answer, report};

/// Changes that were handed in, in their order.
#[derive(Debug, Default)]
pub(super) struct Told(VecDeque<(Change, Answer)>);

impl Told {
    pub(super) fn push(&mut self, change: Change, answer: Answer) {
        self.0.push_back((change, answer));
    }

    /// Returns once each of them is durable or refused. Cancel-safe.
    pub(super) async fn stored(&mut self, held: &Held) -> Step {
        let mut step = Ok(());
        while let Some((change, answer)) = self.0.front_mut() {
            match answer.stored().await {
                Ok(()) => {
                    metrics::changed(change, held);
                    report::stored(change);
                }
                Err(error) if error.kind() == ErrorKind::LeaseLost => step = Err(Leave::Gone),
                Err(error) => {
                    report::note(&error, "the store knows something else of this attempt");
                    step = step.and(Err(Leave::Stale));
                }
            }
            self.0.pop_front();
        }
        step
    }

    /// Returns when one of them is refused, and never otherwise. Cancel-safe.
    pub(super) async fn refused(&mut self, held: &Held) -> Leave {
        match self.stored(held).await {
            Err(leave) => leave,
            Ok(()) => std::future::pending().await,
        }
    }
}
