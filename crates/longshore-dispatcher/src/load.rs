//! What a session has to do, and what it may be given at any moment.

use std::time::Duration;
use tokio::sync::watch;

/// What there is to do now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Now {
    /// How many attempts are driven.
    driven: usize,
    /// How many of them have ended and can't be removed now.
    stuck: usize,
    /// How many questions for attempts to drive are under way.
    asking: usize,
    /// For how many more beats it is looked whether more is held than is driven.
    doubts: u32,
    /// Whether what others had left was adopted once.
    has_adopted: bool,
}

impl Now {
    const fn is_nothing(&self) -> bool {
        self.driven == self.stuck && self.asking == 0 && self.doubts == 0 && self.has_adopted
    }
}

/// What a session has to do.
#[derive(Debug, Default)]
pub(crate) struct Load(watch::Sender<Now>);

/// A question for attempts to drive. Dropped without an answer, it leaves doubts: the store may give them all the same.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    load: &'a Load,
    /// For how many beats nobody can be sure of it.
    doubts: u32,
}

impl Asking<'_> {
    /// The answer came, and what it tells of is driven.
    pub(crate) fn answered(mut self) {
        self.doubts = 0;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.load.0.send_modify(|now| {
            now.asking -= 1;
            now.doubts = now.doubts.max(self.doubts);
        });
    }
}

impl Load {
    /// Notes how many attempts are driven now. Returns how many were before.
    pub(crate) fn drives(&self, attempts: usize) -> usize {
        let mut before = 0;
        self.0.send_modify(|now| before = std::mem::replace(&mut now.driven, attempts));
        before
    }

    /// How many attempts are driven.
    pub(crate) fn driven(&self) -> usize {
        self.0.borrow().driven
    }

    /// How many attempts are driven that are not merely waiting to be removed.
    pub(crate) fn busy(&self) -> usize {
        let now = *self.0.borrow();
        now.driven.saturating_sub(now.stuck)
    }

    /// Another of the attempts has ended and can't be removed now.
    pub(crate) fn is_stuck(&self) {
        self.0.send_modify(|now| now.stuck += 1);
    }

    /// One of those is not driven any more, and so many attempts still are.
    pub(crate) fn lets_go_of_stuck(&self, attempts: usize) {
        self.0.send_modify(|now| (now.driven, now.stuck) = (attempts, now.stuck - 1));
    }

    /// Begins a question. An answer that does not come may take effect for as long as the margin, given in beats.
    pub(crate) fn ask(&self, margin: Duration, beat: Duration) -> Asking<'_> {
        let beats = margin.as_millis() / beat.as_millis().max(1);
        self.0.send_modify(|now| now.asking += 1);
        Asking { load: self, doubts: u32::try_from(beats).unwrap_or(u32::MAX).saturating_add(2) }
    }

    /// Whether a question was not answered of late.
    pub(crate) fn has_doubts(&self) -> bool {
        self.0.borrow().doubts > 0
    }

    /// Another beat later, everything that is held is driven.
    pub(crate) fn is_reassured(&self) {
        self.0.send_modify(|now| now.doubts = now.doubts.saturating_sub(1));
    }

    /// What others had left is adopted, as far as it will be.
    pub(crate) fn has_adopted(&self) {
        self.0.send_if_modified(|now| !std::mem::replace(&mut now.has_adopted, true));
    }

    /// Waits until there is nothing to do and nothing on its way, or until that is over. Cancel-safe.
    pub(crate) async fn becomes(&self, nothing: bool) {
        self.reaches(|now| now.is_nothing() == nothing).await;
    }

    /// Waits until nothing is driven, whatever may come. Cancel-safe.
    pub(crate) async fn is_undriven(&self) {
        self.reaches(|now| now.driven == 0).await;
    }

    /// Waits until no answer is outstanding. Cancel-safe.
    pub(crate) async fn is_answered(&self) {
        self.reaches(|now| now.asking == 0).await;
    }

    async fn reaches(&self, is_so: impl Fn(&Now) -> bool) {
        // The sender is here, so the wait can't fail.
        let _ = self.0.subscribe().wait_for(is_so).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const MARGIN: Duration = Duration::from_secs(60);
    const BEAT: Duration = Duration::from_secs(10);

    fn is_nothing(load: &Load) -> bool {
        load.becomes(true).now_or_never().is_some()
    }

    #[test]
    fn there_is_something_to_do_until_what_others_left_is_adopted() {
        let load = Load::default();
        assert!(!is_nothing(&load));
        load.has_adopted();
        assert!(is_nothing(&load));
        load.drives(1);
        assert!(!is_nothing(&load));
        load.drives(0);
        assert!(is_nothing(&load));
    }

    #[test]
    fn what_ended_and_can_not_be_removed_is_waited_for_by_nobody() {
        let load = Load::default();
        load.has_adopted();
        load.drives(2);
        load.is_stuck();
        assert!(!is_nothing(&load));
        assert_eq!((load.driven(), load.busy()), (2, 1));
        load.drives(1);
        assert!(is_nothing(&load));
        assert!(load.is_undriven().now_or_never().is_none());
        load.lets_go_of_stuck(0);
        assert!(is_nothing(&load));
        assert_eq!((load.driven(), load.busy()), (0, 0));
    }

    #[test]
    fn a_question_may_bring_something_until_it_is_answered() {
        let load = Load::default();
        load.has_adopted();
        let asking = load.ask(MARGIN, BEAT);
        assert!(!is_nothing(&load));
        asking.answered();
        assert!(is_nothing(&load) && !load.has_doubts());
    }

    #[test]
    fn a_question_without_an_answer_may_bring_something_for_the_margin() {
        let load = Load::default();
        load.has_adopted();
        drop(load.ask(MARGIN, BEAT));
        let mut beats = 0;
        while !is_nothing(&load) {
            assert!(load.has_doubts());
            load.is_reassured();
            beats += 1;
        }
        assert!(BEAT * beats >= MARGIN, "{beats} beats");
        load.is_reassured();
        assert!(is_nothing(&load));
    }
}
