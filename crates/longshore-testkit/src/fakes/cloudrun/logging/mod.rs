//! Cloud Logging: what is written, and how it is listed.

mod filter;
mod lines;
mod list;
mod log;

pub(crate) use self::{
    lines::Lines,
    list::list,
    log::{Entry, Kind, Log, Payload, Source},
};
