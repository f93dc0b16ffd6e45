//! Sending a request: admitted, authorized, tried, and tried again where that is the same.

use jiff::Timestamp;
use longshore_core::{Advice, Error, ErrorKind, clock::later, clock::since};
use reqwest::{StatusCode, header::CONTENT_TYPE};
use std::{borrow::Cow, time::Duration};

use crate::{
    AccessToken, ErrorBody, Failure, Idempotency, Refusal, Reply, Request,
    body::{MOST_OF_AN_ERROR, Read, read},
    retry::{may_have_effect, may_pass, retry_after},
};

/// One request on its way.
pub(crate) struct Sending<'a> {
    request: &'a Request<'a>,
    until: Timestamp,
    /// The token of the last try.
    token: Option<AccessToken>,
    /// The one that was refused: a fresh one is asked for once.
    refused: Option<AccessToken>,
}

impl<'a> Sending<'a> {
    pub(crate) fn new(request: &'a Request<'a>) -> Self {
        let until = later(request.client.clock().now(), request.time);
        Self { request, until, token: None, refused: None }
    }

    /// Tries until there is an answer, or no other try would be right.
    pub(crate) async fn run<T>(mut self, parse: impl Fn(Reply) -> Result<T, String>) -> Result<T, Failure> {
        let retries = self.request.client.retries();
        let mut tries = 0;
        loop {
            tries += 1;
            let tried = self.one_try().await.and_then(|reply| parse(reply).map_err(|why| self.unreadable(&why)));
            let failure = match tried {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if self.wants_a_fresh_token(&failure) {
                tries -= 1;
                continue;
            }
            match self.pause_before_another(&failure, tries) {
                Some(pause) if tries < retries.tries => self.request.client.clock().sleep(pause).await,
                _ => return Err(failure),
            }
        }
    }

    /// A token that was good a moment ago may have been withdrawn: one fresh one is tried, whatever the request,
    /// because who is not known has no effect.
    fn wants_a_fresh_token(&mut self, failure: &Failure) -> bool {
        if failure.status() != Some(StatusCode::UNAUTHORIZED) || self.refused.is_some() {
            return false;
        }
        self.refused = self.token.take();
        self.refused.is_some()
    }

    /// How long to wait before the same is sent again; `None` when it must not be, or when the time does not last.
    fn pause_before_another(&self, failure: &Failure, tries: u32) -> Option<Duration> {
        let (retries, chance) = (self.request.client.retries(), self.request.client.chance());
        let usual = retries.pause(tries, chance);
        let pause = match failure {
            Failure::Unsent(error) if error.is_lost_contact() => usual,
            Failure::Unanswered(error) if error.is_lost_contact() => usual,
            Failure::Refused(refusal) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
                let untold = || retries.pause_when_throttled(tries, chance);
                refusal.retry_after.unwrap_or_else(untold).max(usual)
            }
            Failure::Refused(refusal) if may_pass(refusal.status) => refusal.retry_after.unwrap_or_default().max(usual),
            _ => return None,
        };
        let in_time = later(self.request.client.clock().now(), pause) < self.until;
        (self.request.idempotency == Idempotency::Idempotent && in_time).then_some(pause)
    }

    async fn one_try(&mut self) -> Result<Reply, Failure> {
        self.admit().await?;
        let sending = self.authorized().await?;
        let client = self.request.client;
        if client.clock().now() >= self.request.sent_before {
            let message = format!("{} was not sent: its deadline has passed", self.asked());
            return Err(Failure::Unsent(Error::new(ErrorKind::DeadlinePassed, message)));
        }
        let left = since(self.until, client.clock().now()).min(client.time_of_a_try());
        tokio::select! {
            biased;
            answer = self.exchange(sending) => answer,
            () = client.clock().sleep(left) => Err(self.unanswered(ErrorKind::Timeout, &format!("within {left:?}"), None)),
        }
    }

    async fn admit(&self) -> Result<(), Failure> {
        for limit in [self.request.client.limit(), self.request.limit].into_iter().flatten() {
            if !limit.admit(self.until.min(self.request.sent_before)).await {
                let message = format!(
                    "{} was not sent: more is asked of this account already than its rate allows in time",
                    self.asked()
                );
                return Err(Failure::Unsent(Error::new(ErrorKind::RateLimited, message)));
            }
        }
        Ok(())
    }

    async fn authorized(&mut self) -> Result<reqwest::RequestBuilder, Failure> {
        let Request { client, method, path, query, body, .. } = self.request;
        let mut sending = client.http().request(method.clone(), format!("{}{path}", client.base()));
        if !query.is_empty() {
            sending = sending.query(query);
        }
        if let Ok(Some(body)) = body {
            sending = sending.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let Some(tokens) = client.tokens() else { return Ok(sending) };
        let token = tokens.get(self.refused.as_ref()).await.map_err(Failure::Unsent)?;
        let (name, value) = client.scheme().header(&token).ok_or_else(|| {
            let message = "the token has characters that no header can hold; has it a line break at its end?";
            Failure::Unsent(Error::new(ErrorKind::Unauthenticated, message))
        })?;
        self.token = Some(token);
        Ok(sending.header(name, value))
    }

    async fn exchange(&self, sending: reqwest::RequestBuilder) -> Result<Reply, Failure> {
        let Request { client, body, .. } = self.request;
        client.counters().sending(body.as_ref().ok().and_then(Option::as_ref).map_or(0, bytes::Bytes::len));
        let mut response = match sending.send().await {
            Ok(response) => response,
            Err(error) => return Err(self.no_response(error)),
        };
        let status = response.status();
        let most = if status.is_success() { self.request.most_bytes } else { MOST_OF_AN_ERROR };
        let body = read(&mut response, most).await;
        client.counters().received(body.len());
        tracing::trace!(asked = %self.asked(), status = status.as_u16(), bytes = body.len(), "answered");
        match (status.is_success(), body) {
            (true, Read::Whole(body)) => Ok(Reply::new(status, body)),
            (true, Read::TooLong(_)) => {
                Err(Failure::TooLong(self.no_answer(ErrorKind::Unexpected, &format!("of at most {most} bytes"), None)))
            }
            (true, Read::Cut(_, error)) => Err(self.unanswered(ErrorKind::Unavailable, "that was whole", Some(error))),
            (false, Read::Whole(body) | Read::TooLong(body) | Read::Cut(body, _)) => {
                Err(self.refused(status, retry_after(response.headers(), client.clock().now()), &body))
            }
        }
    }

    fn refused(&self, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.request.client.counters().limited();
            for limit in [self.request.client.limit(), self.request.limit].into_iter().flatten() {
                limit.pause(retry_after.unwrap_or(self.request.client.retries().throttled_pause));
            }
        }
        let body = self.token.as_ref().map_or(Cow::Borrowed(body), |token| token.hidden_in(body));
        Failure::Refused(Refusal {
            status,
            retry_after,
            body: ErrorBody::new(&body),
            may_have_effect: self.is_sent_once() && may_have_effect(status),
            asked: self.asked(),
        })
    }

    /// What did not come to a connection was not sent; of everything else nobody knows.
    fn no_response(&self, error: reqwest::Error) -> Failure {
        let error = error.without_url();
        if error.is_builder() {
            let message = format!("{} is no request that can be sent", self.asked());
            return Failure::Unsent(Error::new(ErrorKind::Invalid, message).with_source(error));
        }
        if error.is_connect() {
            let message = format!("{} can't be reached", self.request.client.base());
            return Failure::Unsent(Error::new(ErrorKind::Unavailable, message).with_source(error));
        }
        self.unanswered(ErrorKind::Unavailable, "before the connection ended", Some(error))
    }

    fn unreadable(&self, why: &str) -> Failure {
        self.unanswered(ErrorKind::Unavailable, &format!("that can be read: it was {why}"), None)
    }

    fn unanswered(&self, kind: ErrorKind, how: &str, source: Option<reqwest::Error>) -> Failure {
        Failure::Unanswered(self.no_answer(kind, how, source))
    }

    fn no_answer(&self, kind: ErrorKind, how: &str, source: Option<reqwest::Error>) -> Error {
        let mut error =
            Error::new(kind, format!("{} at {} got no answer {how}", self.asked(), self.request.client.base()));
        if let Some(source) = source {
            error = error.with_source(source.without_url());
        }
        if self.is_sent_once() { error.with_advice(Advice::LookUpFirst) } else { error }
    }

    fn is_sent_once(&self) -> bool {
        self.request.idempotency == Idempotency::Once
    }

    fn asked(&self) -> String {
        format!("{} {}", self.request.method, self.request.path)
    }
}
