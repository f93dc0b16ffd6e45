//! Runs one container job on Docker, shows its output while it runs, and exits as it did.
//!
//! ```sh
//! cargo run --example run_one
//! cargo run --example run_one -- alpine:3 sh -c 'echo out; echo err >&2; exit 3'
//! ```
#![expect(clippy::print_stderr, reason = "a program speaks to its user")]

mod ctrl_c;

use longshore::{
    Cleanup, Clock, ContainerJob, Error, ErrorKind, ExecutionHost, ExecutorContext, ImageSource, JobTemplate,
    LogRecord, LogStream, Result, RunEvent, RunObserver, Runner, SystemClock, async_trait,
};
use std::process::ExitCode;
use tokio::io::{AsyncWriteExt, stderr, stdout};

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        eprintln!("run_one: {}", error.chain());
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let image: ImageSource = args.next().as_deref().unwrap_or("alpine:3").parse()?;
    let mut command: Vec<String> = args.collect();
    if command.is_empty() {
        command = vec!["echo".to_owned(), "hello".to_owned()];
    }

    // What Docker's executor must remember of a running job, it keeps in this folder.
    let state = tempfile::tempdir().map_err(failed("no folder for state"))?;
    let host = ExecutionHost::builder().name("here".parse()?).executor_type("docker".parse()?).build();
    let docker = longshore::registry().build(&host, &ExecutorContext::new(state.path()))?;

    let template = JobTemplate::builder().name("one".parse()?).image(image).command(command).build();
    let job = ContainerJob::new(template, SystemClock.now());
    let outcome = Runner::new(docker).stopped_by(ctrl_c::stop_at_ctrl_c()).run(&job, &PassOn).await?;

    if let Cleanup::Kept { reason } = &outcome.cleanup {
        eprintln!("run_one: the container {} is kept: {reason}", outcome.request.token);
    }
    if outcome.succeeded() && matches!(outcome.cleanup, Cleanup::Removed) {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("run_one: {outcome}");
    let code = outcome.exit_code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Passes the job's output on, byte for byte, each stream to our own.
struct PassOn;

#[async_trait]
impl RunObserver for PassOn {
    async fn observe(&self, event: RunEvent<'_>) -> Result<()> {
        let RunEvent::Logs(records) = event else { return Ok(()) };
        write(records).await.map_err(failed("the output can't be passed on"))
    }
}

async fn write(records: &[LogRecord]) -> std::io::Result<()> {
    let (mut out, mut err) = (stdout(), stderr());
    for record in records {
        match record.stream {
            LogStream::Stdout => out.write_all(&record.bytes).await?,
            LogStream::Stderr => err.write_all(&record.bytes).await?,
        }
    }
    out.flush().await?;
    err.flush().await
}

fn failed(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::new(ErrorKind::Unexpected, what).with_source(error)
}
