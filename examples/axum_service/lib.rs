//! A small HTTP service that runs container jobs: the part that its program and its tests share.
//!
//! It keeps everything in memory: with the service its jobs are forgotten, and a job that is still running when the
//! service is killed is left running. Where that won't do, a durable dispatcher is needed, which is to come.
//!
//! It has no authentication. Whoever reaches it can run containers, so that a service for others puts its own check
//! of who is asking in front of [`router`].

mod http;
mod jobs;
mod record;
mod refusal;
mod report;
mod worker;

pub use http::{router, serve};
pub use jobs::{Jobs, Limits};
pub use report::Report;
pub use worker::Worker;
