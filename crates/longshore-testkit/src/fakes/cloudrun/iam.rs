//! Who calls, and what they may.

use jiff::Timestamp;
use longshore_core::clock::later;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::error::{Code, Refusal};

/// How long a token is good for, as Google's token server gives it.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3_600);

/// The tokens that were issued, and the permissions that were taken away.
#[derive(Default)]
pub(crate) struct Iam {
    tokens: BTreeMap<String, Token>,
    current: Option<String>,
    issued: u64,
    denied: BTreeSet<String>,
}

struct Token {
    expires: Timestamp,
    calls: u32,
}

impl Iam {
    /// The token that was issued last, or a new one when that is not good any more.
    pub(crate) fn token(&mut self, now: Timestamp) -> String {
        let current = self.current.clone();
        let good = current.filter(|token| self.tokens.get(token).is_some_and(|token| token.expires > now));
        good.unwrap_or_else(|| self.issue(now, LIFETIME))
    }

    pub(crate) fn issue(&mut self, now: Timestamp, lifetime: Duration) -> String {
        self.issued += 1;
        let token = format!("ya29.fake-token-{}", self.issued);
        self.tokens.insert(token.clone(), Token { expires: later(now, lifetime), calls: 0 });
        self.current = Some(token.clone());
        token
    }

    pub(crate) fn expire_all(&mut self) {
        self.tokens.clear();
        self.current = None;
    }

    pub(crate) fn deny(&mut self, permission: &str) {
        self.denied.insert(permission.to_owned());
    }

    pub(crate) fn allow(&mut self, permission: &str) {
        self.denied.remove(permission);
    }

    pub(crate) fn allows(&self, permission: &str) -> bool {
        !self.denied.contains(permission)
    }

    /// Requires a token that is good now.
    pub(crate) fn authenticate(
        &mut self,
        header: Option<&str>,
        calls: Option<u32>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) else {
            return Err(unauthenticated("CREDENTIALS_MISSING"));
        };
        let Some(known) = self.tokens.get_mut(token) else {
            return Err(unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED"));
        };
        if known.expires <= now || calls.is_some_and(|calls| known.calls >= calls) {
            known.expires = known.expires.min(now);
            return Err(unauthenticated("ACCESS_TOKEN_EXPIRED"));
        }
        known.calls += 1;
        Ok(())
    }

    /// Requires the permission on the resource.
    pub(crate) fn authorize(&self, permission: &str, resource: &str) -> Result<(), Refusal> {
        if self.allows(permission) {
            return Ok(());
        }
        let message = format!("Permission '{permission}' denied on resource '{resource}' (or resource may not exist).");
        let metadata = json!({ "permission": permission, "resource": resource });
        let refusal = Refusal::new(Code::PermissionDenied, message);
        Err(refusal.with_reason("IAM_PERMISSION_DENIED", "iam.googleapis.com", &metadata))
    }
}

fn unauthenticated(reason: &str) -> Refusal {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                   valid authentication credential. See \
                   https://developers.google.com/identity/sign-in/web/devconsole-project.";
    Refusal::new(Code::Unauthenticated, message).with_reason(reason, "googleapis.com", &json!({}))
}
