//! When a request is sent again, and after which pause.

use jiff::{Timestamp, fmt::rfc2822};
use longshore_core::clock::since;
use reqwest::{StatusCode, header::HeaderMap, header::RETRY_AFTER};
use std::time::Duration;

/// How often an idempotent request is sent, and with which pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retries {
    /// How often at most, the first time included.
    pub tries: u32,
    /// The longest first pause; each following one may be twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// The longest first pause after a 429 that does not say how long; each following one may be twice as long. What is
    /// counted by the minute is not allowed again a moment later.
    pub throttled_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            tries: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            throttled_pause: Duration::from_secs(10),
        }
    }
}

impl Retries {
    /// Everything is sent once.
    #[must_use]
    pub fn none() -> Self {
        Self { tries: 1, ..Self::default() }
    }

    /// The pause after so many tries: at least half of what it may be, so that clients that failed together part,
    /// and none comes back at once. `chance` is between 0 and 1.
    pub(crate) fn pause(&self, tries: u32, chance: f64) -> Duration {
        jittered(doubled(self.first_pause, tries).min(self.longest_pause), chance)
    }

    /// The same after a 429 that does not say how long.
    pub(crate) fn pause_when_throttled(&self, tries: u32, chance: f64) -> Duration {
        jittered(doubled(self.throttled_pause, tries), chance)
    }
}

fn doubled(first: Duration, tries: u32) -> Duration {
    first.saturating_mul(1 << tries.saturating_sub(1).min(16))
}

fn jittered(longest: Duration, chance: f64) -> Duration {
    longest.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// True for a status that may be another when the same is asked again.
pub(crate) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// True for a refusal after which nobody knows whether the request has taken effect.
pub(crate) fn may_have_effect(status: StatusCode) -> bool {
    status == StatusCode::REQUEST_TIMEOUT || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// How long the server asks to be left alone: in seconds, or until a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(since(until, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now: Timestamp = "2015-10-21T07:27:30Z".parse().unwrap();
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        // RFC 9110, section 10.2.3.
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "1.5", "99999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn pauses_grow_up_to_the_longest_and_keep_their_half() {
        let retries = Retries::default();
        let pauses = |chance| [1, 2, 3, 9, 80].map(|tries| retries.pause(tries, chance).as_millis());
        assert_eq!(pauses(1.0), [500, 1000, 2000, 8000, 8000]);
        assert_eq!(pauses(0.0), [250, 500, 1000, 4000, 4000]);
    }
}
