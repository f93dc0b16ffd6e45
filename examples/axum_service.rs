//! A service that embeds Longshore: jobs over HTTP, run on Docker.
//!
//! ```sh
//! cargo run --example axum_service                       # on 127.0.0.1:8080; another address as an argument
//! curl -i localhost:8080/jobs -H 'content-type: application/json' \
//!      -d '{"name": "hello", "image": "alpine:3", "command": ["sh", "-c", "echo hello; sleep 60"]}'
//! curl localhost:8080/jobs/ID                            # how it stands
//! curl -N 'localhost:8080/jobs/ID/logs?follow=true'      # its output; stream=stderr for the other one
//! curl -X DELETE localhost:8080/jobs/ID                  # ask it to end
//! ```
#![expect(clippy::print_stderr, reason = "a program speaks to its user")]

use axum_service::{Jobs, Limits, serve};
use longshore::{Error, ErrorKind, ExecutionHost, ExecutorContext, Result, Violation};
use std::{net::SocketAddr, process::ExitCode, sync::Arc};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum_service: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let address: SocketAddr =
        address.parse().map_err(|_| Violation::new("address", &address, "write IP:PORT, such as 127.0.0.1:8080"))?;

    let state = tempfile::tempdir().map_err(failed("no folder for state"))?;
    let context = ExecutorContext::new(state.path());
    let host = ExecutionHost::builder().name("here".parse()?).executor_type("docker".parse()?).build();
    let docker = longshore::registry().build(&host, &context)?;
    // An engine that does not answer is better noticed now than at the first job.
    let engine = docker.discover().await?.engine.clone();

    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("no signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("no signals"))?;
    let asked = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("stopping the jobs; new ones are refused");
    };

    let listener = TcpListener::bind(address).await.map_err(failed("the address can't be listened on"))?;
    let address = listener.local_addr().map_err(failed("the address is not known"))?;
    eprintln!("http://{address}/jobs runs jobs on {engine}, for whoever reaches it: it has no authentication");
    let (jobs, worker) = Jobs::new(docker, "axum-service".parse()?, Arc::clone(&context.clock), Limits::default());
    serve(listener, jobs, worker, asked).await.map_err(failed("the listener failed"))
}

fn failed(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::new(ErrorKind::Unexpected, what).with_source(error)
}
