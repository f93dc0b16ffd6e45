//! Google's token server: a signed statement of a service account for an access token (RFC 7523).

use axum::{Form, Router, extract::State, response::Response, routing::post};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use std::{collections::BTreeMap, io, sync::Arc};

use super::{api::Shared, error::json_response};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";
/// The longest life that a statement may give itself, in seconds.
const LONGEST_LIFE: i64 = 3_600;

/// A service account that may ask for tokens.
pub(crate) struct Account {
    project: String,
    email: String,
}

impl Account {
    pub(crate) fn of(project: &str) -> Self {
        Self { project: project.to_owned(), email: format!("kit@{project}.iam.gserviceaccount.com") }
    }

    /// The file that somebody has who may act as the account: a new key each time. The fake reads what is signed
    /// with it, and believes the signature.
    pub(crate) fn key(&self, token_uri: &str) -> io::Result<String> {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).map_err(io::Error::other)?;
        let file = json!({
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": KEY_ID,
            "private_key": key.serialize_pem(),
            "client_email": self.email,
            "client_id": "100000000000000000000",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        });
        Ok(file.to_string())
    }
}

/// The server, which answers to `/token`.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    Router::new().route("/token", post(token)).with_state(Arc::clone(shared))
}

async fn token(State(shared): State<Arc<Shared>>, Form(form): Form<BTreeMap<String, String>>) -> Response {
    let granted = form.get("grant_type").is_some_and(|grant| grant == GRANT);
    let account = shared.world().0.account.email.clone();
    let stated =
        form.get("assertion").and_then(|assertion| claims(assertion)).and_then(|claims| fits(&claims, &account));
    let (true, Some(())) = (granted, stated) else {
        let refusal = json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." });
        return json_response(400, &refusal, true);
    };
    let token = shared.change(|world, now| world.iam.issue(now, super::iam::LIFETIME));
    let answer = json!({ "access_token": token, "expires_in": super::iam::LIFETIME.as_secs(), "token_type": "Bearer" });
    json_response(200, &answer, true)
}

/// What a signed statement says, if it has the form of one.
fn claims(assertion: &str) -> Option<Value> {
    let [header, claims, _signature] = assertion.split('.').collect::<Vec<_>>()[..] else { return None };
    // Google takes it with padding too, and some clients pad.
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok();
    let read = |part: &str| serde_json::from_slice::<Value>(&bytes(part)?).ok();
    let header = read(header)?;
    if header["alg"] == "RS256" && header["typ"] == "JWT" { read(claims) } else { None }
}

fn fits(claims: &Value, account: &str) -> Option<()> {
    let has_scope = claims["scope"].as_str()?.split(' ').any(|scope| scope == SCOPE);
    let life = claims["exp"].as_i64()? - claims["iat"].as_i64()?;
    let is_for_us = claims["aud"].as_str()?.ends_with("/token");
    (claims["iss"] == account && has_scope && is_for_us && (1..=LONGEST_LIFE).contains(&life)).then_some(())
}
