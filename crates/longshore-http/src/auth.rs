//! Tokens: fetched once for all who ask at the same time, renewed before they expire.

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{Clock, Result, clock::later};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// How long before its end a token is renewed.
const MARGIN: Duration = Duration::from_secs(120);

/// A token that shows itself to nobody.
#[derive(Debug, Clone)]
pub struct AccessToken {
    secret: SecretString,
    expires_at: Option<Timestamp>,
}

impl AccessToken {
    /// A token that is good until the given time; for ever, when absent.
    pub fn new(secret: impl Into<SecretString>, expires_at: Option<Timestamp>) -> Self {
        Self { secret: secret.into(), expires_at }
    }

    /// When it ends; `None` when nobody knows of an end.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// True when both are the same token.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }

    /// The body with the token taken out of it: a gateway may repeat what it was sent.
    pub(crate) fn hidden_in<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let (secret, text) = (self.secret.expose_secret(), String::from_utf8_lossy(body));
        if secret.is_empty() || !text.contains(secret) {
            return Cow::Borrowed(body);
        }
        Cow::Owned(text.replace(secret, "[token]").into_bytes())
    }

    fn is_good_at(&self, time: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| time < end)
    }
}

/// Where tokens come from.
#[async_trait]
pub trait Authority: fmt::Debug + Send + Sync {
    /// A token. `refused` is one that the server has just refused although it seemed good: it must not come back
    /// from a cache.
    ///
    /// # Errors
    /// `Unauthenticated` when there are no credentials or they are refused, `Unavailable` when whoever gives tokens
    /// can't be reached. Neither shows any part of a credential.
    async fn token(&self, refused: Option<&AccessToken>) -> Result<AccessToken>;
}

/// In which header a token is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorityScheme {
    /// `Authorization: Bearer TOKEN`.
    #[default]
    Bearer,
    /// The token alone, in a header of this name in lower case, such as `x-auth-token`.
    Header(&'static str),
}

impl AuthorityScheme {
    /// The header; `None` when the token can't stand in one.
    pub(crate) fn header(&self, token: &AccessToken) -> Option<(HeaderName, HeaderValue)> {
        let secret = token.secret.expose_secret();
        let (name, text) = match self {
            Self::Bearer => (AUTHORIZATION, format!("Bearer {secret}")),
            Self::Header(name) => (HeaderName::from_static(name), secret.to_owned()),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

/// The token in use, renewed by one for all.
#[derive(Debug)]
pub(crate) struct Tokens {
    authority: Arc<dyn Authority>,
    clock: Arc<dyn Clock>,
    current: Mutex<Option<AccessToken>>,
}

impl Tokens {
    pub(crate) fn new(authority: Arc<dyn Authority>, clock: Arc<dyn Clock>) -> Self {
        Self { authority, clock, current: Mutex::default() }
    }

    /// A token that is good for a while, other than the refused one. Who asks while somebody fetches waits for the
    /// same one. Cancel-safe: the next one who asks fetches it.
    pub(crate) async fn get(&self, refused: Option<&AccessToken>) -> Result<AccessToken> {
        let mut current = self.current.lock().await;
        let now = self.clock.now();
        let usable = current.as_ref().filter(|token| refused.is_none_or(|refused| !token.is_same_as(refused)));
        if let Some(token) = usable.filter(|token| token.is_good_at(later(now, MARGIN))) {
            return Ok(token.clone());
        }
        match self.authority.token(refused).await {
            Ok(fresh) => Ok(current.insert(fresh).clone()),
            // The one in use is still good for a moment: whoever gives tokens may be back by then.
            Err(error) => usable.filter(|token| token.is_good_at(now)).cloned().ok_or(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::{Error, ErrorKind, TokioClock};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    struct Counting {
        lifetime: Duration,
        clock: TokioClock,
        given: AtomicUsize,
        is_down: std::sync::atomic::AtomicBool,
    }

    impl Counting {
        fn of(lifetime: Duration) -> (Arc<Self>, Tokens) {
            let clock = TokioClock::starting_at(Timestamp::UNIX_EPOCH);
            let this = Arc::new(Self { lifetime, clock, given: AtomicUsize::new(0), is_down: false.into() });
            (Arc::clone(&this), Tokens::new(this, Arc::new(clock)))
        }
    }

    #[async_trait]
    impl Authority for Counting {
        async fn token(&self, _: Option<&AccessToken>) -> Result<AccessToken> {
            self.clock.sleep(Duration::from_millis(50)).await;
            if self.is_down.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Unavailable, "nobody gives tokens"));
            }
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            Ok(AccessToken::new(format!("token-{number}"), Some(later(self.clock.now(), self.lifetime))))
        }
    }

    fn text(token: &AccessToken) -> &str {
        token.secret.expose_secret()
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_get_one_token_and_the_next_comes_before_its_end() {
        let (counting, tokens) = Counting::of(Duration::from_secs(3600));
        let all = futures::future::try_join_all((0..20).map(|_| tokens.get(None))).await.unwrap();
        assert!(all.iter().all(|token| text(token) == "token-0"));
        tokio::time::advance(Duration::from_secs(3600) - MARGIN).await;
        assert_eq!(text(&tokens.get(None).await.unwrap()), "token-1");
        assert_eq!(counting.given.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_never_comes_back_and_a_good_one_outlives_a_silent_authority() {
        let (counting, tokens) = Counting::of(Duration::from_secs(3600));
        let first = tokens.get(None).await.unwrap();
        let second = tokens.get(Some(&first)).await.unwrap();
        assert_eq!(text(&second), "token-1");
        assert_eq!(text(&tokens.get(Some(&first)).await.unwrap()), "token-1", "somebody else has already renewed it");
        counting.is_down.store(true, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(3550)).await;
        assert_eq!(text(&tokens.get(None).await.unwrap()), "token-1");
        assert_eq!(tokens.get(Some(&second)).await.unwrap_err().kind(), ErrorKind::Unavailable);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(tokens.get(None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_token_is_not_shown_and_stands_in_the_scheme_s_header() {
        let token = AccessToken::new("s3cret".to_owned(), None);
        let shown = format!("{token:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        let (name, value) = AuthorityScheme::Header("x-auth-token").header(&token).unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-auth-token", "s3cret"));
        assert!(!format!("{value:?}").contains("s3cret"));
        assert!(AuthorityScheme::Bearer.header(&AccessToken::new("two\nlines".to_owned(), None)).is_none());
    }
}
