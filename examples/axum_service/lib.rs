//! A small HTTP service that runs container jobs: the part that its program and its tests share.
//!
//! Its jobs are durable. Once a job is taken in, it reaches its end whatever happens to the service: one that is killed
//! leaves its jobs running, and takes them up again when it is started anew, and so does another service on the same
//! database.
//!
//! It has no authentication. Whoever reaches it can run containers, so that a service for others puts its own check
//! of who is asking in front of [`router`].

mod http;
mod jobs;
mod refusal;
mod report;

pub use http::{router, serve};
pub use jobs::{Jobs, open_store};
pub use report::Report;
