//! A service that embeds Longshore: durable jobs over HTTP, run on Docker.
//!
//! ```sh
//! cargo run --example axum_service                       # on 127.0.0.1:8080, with its state in ./longshore-jobs
//! curl -i localhost:8080/jobs -H 'content-type: application/json' -H 'idempotency-key: hello-1' \
//!      -d '{"name": "hello", "image": "alpine:3", "command": ["sh", "-c", "echo hello; sleep 60"]}'
//! curl localhost:8080/jobs/ID                            # how it stands
//! curl -N localhost:8080/jobs/ID/events                  # how it stands, each time that it moves
//! curl -X DELETE localhost:8080/jobs/ID                  # ask it to end
//! curl localhost:8080/jobs/ID/logs                       # its output, once it has ended; ?stream=stderr for the other one
//! ```
//!
//! Another address and another folder are the first and the second argument. The jobs are in a SQLite file of that folder,
//! or in the PostgreSQL database that the variable `LONGSHORE_DATABASE` names (`postgres://USER:PASSWORD@HOST/NAME`).
//!
//! Ended by ctrl-c or SIGTERM it hands over: what runs goes on running, and is taken up by whoever is started next. So it is
//! when the service is killed.
#![expect(clippy::print_stderr, reason = "a program speaks to its user")]

use axum_service::{Jobs, open_store, serve};
use longshore::{
    Allow, Error, ErrorKind, ExecutionHost, ExecutorContext, Result, SystemClock, Violation,
    route::{RoutedHost, Router, RoutingTable},
    store::LogStore,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
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
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let address: SocketAddr =
        address.parse().map_err(|_| Violation::new("address", &address, "write IP:PORT, such as 127.0.0.1:8080"))?;
    let folder = arguments.next().map_or_else(|| PathBuf::from("longshore-jobs"), PathBuf::from);

    let router = Arc::new(router(&folder)?);
    let logs = Arc::new(LogStore::local(folder.join("logs"))?);
    let store = open_store(&database(&folder)).await?;
    let jobs = Jobs::open(store, logs, router, Arc::new(SystemClock)).await?;

    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("no signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("no signals"))?;
    let asked = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("handing over; what runs goes on running");
    };

    let listener = TcpListener::bind(address).await.map_err(failed("the address can't be listened on"))?;
    let address = listener.local_addr().map_err(failed("the address is not known"))?;
    eprintln!("http://{address}/jobs runs jobs on Docker, for whoever reaches it: it has no authentication");
    serve(listener, jobs, asked).await
}

/// One Docker Engine, four jobs at a time.
fn router(folder: &Path) -> Result<Router> {
    let host = ExecutionHost::builder()
        .name("here".parse()?)
        .executor_type("docker".parse()?)
        .allow(Allow::default())
        .maybe_max_concurrent_jobs(4.try_into().ok())
        .build();
    let docker = longshore::registry().build(&host, &ExecutorContext::new(folder.join("state")))?;
    let table = RoutingTable::builder().hosts(vec![RoutedHost::new(host, docker)]).build()?;
    Ok(Router::new(table))
}

/// A password has no place among the arguments, which everybody on the machine can read.
#[expect(clippy::disallowed_methods, reason = "a program reads its environment where it starts")]
fn database(folder: &Path) -> String {
    std::env::var("LONGSHORE_DATABASE").unwrap_or_else(|_| folder.join("jobs.db").to_string_lossy().into_owned())
}

fn failed(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::new(ErrorKind::Unexpected, what).with_source(error)
}
