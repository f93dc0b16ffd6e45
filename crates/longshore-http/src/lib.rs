#![doc = include_str!("docs.md")]

mod auth;
mod body;
mod client;
mod failure;
mod pages;
mod rate;
mod request;
mod retry;
mod send;
mod traffic;

pub use auth::{AccessToken, Authority, AuthorityScheme};
pub use body::{ErrorBody, Reply};
pub use client::{Client, ClientBuilder};
pub use failure::{Failure, Refusal};
pub use pages::{Page, all_pages, pages_until};
pub use rate::{Rate, RateLimit};
pub use request::{Idempotency, Request};
pub use reqwest::{Method, StatusCode};
pub use retry::Retries;
pub use traffic::Traffic;
