//! The program itself, from its arguments to its exit code, on the mock executor: no engine, no network.

#![cfg(unix)]

mod bad_input;
mod commands;
mod config;
mod databases;
mod faults;
mod hosts;
mod images;
mod output;
mod plan;
mod route;
mod routed;
mod secrets;
mod signals;
mod support;
