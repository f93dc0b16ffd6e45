//! What a driver has told the store and has no answer to yet.

use longshore_core::ErrorKind;
use longshore_store::{Change, Held};
use std::collections::VecDeque;

use super::{Leave, Step};
use crate::{metrics, recorder::Answer, report};

/// Changes that were handed in, in their order.
#[derive(Debug, Default)]
pub(super) struct Told {
    waiting: VecDeque<(Change, Answer)>,
    /// What a refusal of an earlier one means, until somebody has heard it.
    refused: Option<Leave>,
}

impl Told {
    pub(super) fn push(&mut self, change: Change, answer: Answer) {
        self.waiting.push_back((change, answer));
    }

    /// Returns once each of them is durable or refused. Cancel-safe.
    pub(super) async fn stored(&mut self, held: &Held) -> Step {
        while let Some((change, answer)) = self.waiting.front_mut() {
            match answer.stored().await {
                Ok(()) => {
                    metrics::changed(change, held);
                    report::stored(change);
                }
                Err(error) if error.kind() == ErrorKind::LeaseLost => self.refused = Some(Leave::Gone),
                Err(error) => {
                    report::note(&error, "the store knows something else of this attempt");
                    self.refused.get_or_insert(Leave::Stale);
                }
            }
            self.waiting.pop_front();
        }
        self.refused.take().map_or(Ok(()), Err)
    }

    /// Returns when one of them is refused, and never otherwise. Cancel-safe.
    pub(super) async fn refused(&mut self, held: &Held) -> Leave {
        match self.stored(held).await {
            Err(leave) => leave,
            Ok(()) => std::future::pending().await,
        }
    }
}
