//! The data of a fault: which requests, how often, and what goes wrong.

use std::time::Duration;

use hyper::Method;

use super::{answer::Answer, pattern::Pattern};

/// Which requests a fault strikes and how often: once, unless [`times`](Self::times) or [`always`](Self::always)
/// says otherwise. Begun by [`Fault::on`], ended by the method that names what goes wrong.
#[derive(Debug, Clone)]
#[must_use = "a rule does nothing until a fault is made of it and injected"]
pub struct Rule {
    pattern: Pattern,
    skip: u64,
    times: Option<u64>,
}

/// Something that goes wrong, for [`FaultProxy::inject`](super::FaultProxy::inject).
///
/// *Before* means that the server never sees the request (or sees it later, after a delay); *after* means that it
/// has answered, so the effect has happened, and the client does not hear of it.
///
/// ```
/// use longshore_testkit::proxy::{Fault, Method, StatusCode, header::RETRY_AFTER, Answer};
///
/// // The second start really happens, but the client is told that it failed.
/// let lied_to = Fault::on(Method::POST, "/containers/*/start")
///     .skip(1)
///     .answer_after((StatusCode::INTERNAL_SERVER_ERROR, "boom"));
/// // Three pulls in a row are refused.
/// let limited = Fault::on(Method::POST, "/images/create")
///     .times(3)
///     .answer_before(Answer::new(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, 2));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing until it is injected"]
pub struct Fault {
    pub(super) rule: Rule,
    pub(super) action: Action,
}

/// What goes wrong with a request that a rule has caught.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Before(Interruption),
    After(Interruption),
    Freeze,
    Body(BodyFault),
}

/// What stands between a request and its answer.
#[derive(Debug, Clone)]
pub(super) enum Interruption {
    Answer(Answer),
    Reset,
    /// Waits for the release, but no longer than this.
    Hold(Option<Duration>),
}

/// What becomes of a response's body after so many bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyFault {
    pub(super) after: u64,
    pub(super) ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Cut,
    Stall,
}

impl Fault {
    /// Begins a fault of the requests with this method and path.
    ///
    /// A path is compared segment by segment: `*` stands for one segment or a part of one (`/jobs/*:run`), `**` for
    /// any number of segments. A version like `/v1.41` at the request's beginning is skipped unless the pattern has
    /// one. A query in the pattern names the pairs that must be there (`?follow=1`); without one, the request's
    /// query is ignored.
    pub fn on(method: Method, path: &str) -> Rule {
        Rule::new(Pattern::new(Some(method), path))
    }

    /// Begins a fault of the requests with this path, whatever their method; the path is that of [`on`](Self::on).
    pub fn on_any_method(path: &str) -> Rule {
        Rule::new(Pattern::new(None, path))
    }
}

impl Rule {
    fn new(pattern: Pattern) -> Self {
        Self { pattern, skip: 0, times: Some(1) }
    }

    /// Strikes this many matching requests, then no more.
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Strikes every matching request until released.
    pub fn always(self) -> Self {
        Self { times: None, ..self }
    }

    /// Lets this many matching requests pass first.
    pub fn skip(self, requests: u64) -> Self {
        Self { skip: requests, ..self }
    }

    /// Answers in the server's place; the request is never forwarded.
    pub fn answer_before(self, answer: impl Into<Answer>) -> Fault {
        self.does(Action::Before(Interruption::Answer(answer.into())))
    }

    /// Forwards the request, reads the server's answer to its end, and answers something else. An endless stream is
    /// never answered: see [`cut_body_after`](Self::cut_body_after).
    pub fn answer_after(self, answer: impl Into<Answer>) -> Fault {
        self.does(Action::After(Interruption::Answer(answer.into())))
    }

    /// Closes the client's connection without an answer (over TCP with a reset); the request is never forwarded.
    pub fn reset_before(self) -> Fault {
        self.does(Action::Before(Interruption::Reset))
    }

    /// Forwards the request, reads the server's answer to its end, and closes the client's connection without an
    /// answer (over TCP with a reset).
    pub fn reset_after(self) -> Fault {
        self.does(Action::After(Interruption::Reset))
    }

    /// Holds the request until released, then forwards it, unless the client has left by then.
    pub fn hang_before(self) -> Fault {
        self.does(Action::Before(Interruption::Hold(None)))
    }

    /// Forwards the request and holds the server's answer until released.
    pub fn hang_after(self) -> Fault {
        self.does(Action::After(Interruption::Hold(None)))
    }

    /// Holds the request for a while (or until released), then forwards it, unless the client has left by then.
    pub fn delay_before(self, delay: Duration) -> Fault {
        self.does(Action::Before(Interruption::Hold(Some(delay))))
    }

    /// Forwards the request and holds the server's answer for a while (or until released).
    pub fn delay_after(self, delay: Duration) -> Fault {
        self.does(Action::After(Interruption::Hold(Some(delay))))
    }

    /// Holds the request until released, then forwards it **even if the client has left**: a server that was
    /// stopped and continued, and carries out late what was declared failed.
    pub fn freeze(self) -> Fault {
        self.does(Action::Freeze)
    }

    /// Closes the connection after this many bytes of the response's body, or of what the server sends after an
    /// upgrade. The last frame stays unfinished; a body that ends before passes whole.
    pub fn cut_body_after(self, bytes: u64) -> Fault {
        self.does(Action::Body(BodyFault { after: bytes, ending: Ending::Cut }))
    }

    /// Stops passing the response's body on after this many bytes (or what the server sends after an upgrade), and
    /// stops reading it, so that the server feels it. Released, the rest follows.
    pub fn stall_body_after(self, bytes: u64) -> Fault {
        self.does(Action::Body(BodyFault { after: bytes, ending: Ending::Stall }))
    }

    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether the fault strikes the matching request that came after this many others.
    pub(super) fn strikes(&self, earlier: u64) -> bool {
        earlier.checked_sub(self.skip).is_some_and(|index| self.times.is_none_or(|times| index < times))
    }

    fn does(self, action: Action) -> Fault {
        Fault { rule: self, action }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(rule: &Rule) -> Vec<u64> {
        (0..6).filter(|&earlier| rule.strikes(earlier)).collect()
    }

    #[test]
    fn a_rule_strikes_once_unless_told_otherwise() {
        let rule = Fault::on(Method::GET, "/x");
        assert_eq!(struck(&rule), [0]);
        assert_eq!(struck(&rule.clone().times(3)), [0, 1, 2]);
        assert_eq!(struck(&rule.clone().times(2).skip(3)), [3, 4]);
        assert_eq!(struck(&rule.clone().skip(4).always()), [4, 5]);
        assert!(struck(&rule.times(0)).is_empty());
    }
}
