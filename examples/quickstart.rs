//! Four real jobs in containers, side by side: one succeeds, one fails, one is stopped at its time limit, one runs out
//! of memory. Shows their logs as they come, then what became of each, and exits with 1 if that is not as it should be.
//! It leaves nothing on the engine but an image of 1.5 MB.

mod ctrl_c;

use comfy_table::{Table, presets};
use futures::future::join_all;
use longshore::{
    ByteSize, Cause, Cleanup, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, ExecutorContext,
    Harvest, HostFacts, JobTemplate, LogStream, Resources, Result, RunEvent, RunObserver, RunOutcome, Runner,
    SystemClock, async_trait, docker,
};
use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};
use tokio::process::Command;

/// Holds one small program. Its arguments are what it does, one instruction each.
const IMAGE: &str = "longshore.test/quickstart:1";

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "quickstart: {}", error.chain());
        ExitCode::FAILURE
    })
}

/// A job, and the end that it should come to.
struct Demo {
    name: &'static str,
    does: &'static str,
    script: &'static [&'static str],
    expected: Cause,
}

const DEMOS: [Demo; 4] = [
    demo("succeeds", "counts to three", &["print hello", "tick 3 300ms", "exit 0"], Cause::Exited { code: 0 }),
    demo("fails", "complains and fails", &["print hello", "eprint no work", "exit 3"], Cause::Exited { code: 3 }),
    demo("dawdles", "wants 60 s, has 3", &["tick 60 1s"], Cause::TimedOut),
    // The engine begins to watch for want of memory just after the start; what dies sooner it calls killed.
    demo("devours", "takes 256 of 64 MiB", &["print hungry", "sleep 500ms", "allocate 256m"], Cause::OutOfMemory),
];

const fn demo(name: &'static str, does: &'static str, script: &'static [&'static str], expected: Cause) -> Demo {
    Demo { name, does, script, expected }
}

async fn run() -> Result<ExitCode> {
    let state =
        tempfile::tempdir().map_err(|error| Error::new(ErrorKind::Unexpected, "no folder").with_source(error))?;
    let host = ExecutionHost::builder().name("here".parse()?).executor_type("docker".parse()?).build();
    let executor = longshore::registry().build(&host, &ExecutorContext::new(state.path()))?;
    let facts = reach_engine(executor.as_ref()).await?;
    say(&format!("running {} jobs on {}\n", DEMOS.len(), facts.engine));
    docker::load_image(&docker::DockerConfig::default(), longshore_probe::image_archive(IMAGE).into()).await?;
    let runner = Runner::new(executor).stopped_by(ctrl_c::stop_at_ctrl_c());
    let outcomes = join_all(DEMOS.iter().map(|demo| run_one(&runner, demo))).await;

    let ends = DEMOS.iter().zip(&outcomes);
    let mut table = Table::new();
    table.set_header(["job", "what it does", "status", "cause", "code", "seconds"]);
    table.load_style(presets::UTF8_FULL_CONDENSED).add_rows(ends.clone().map(|(demo, outcome)| row(demo, outcome)));
    say(&format!("\n{table}\nThe engine's evidence:"));
    ends.clone().for_each(|(demo, outcome)| say(&format!("{:>8}: {}", demo.name, evidence(outcome))));
    if ends.clone().all(|(demo, outcome)| is_met(demo, outcome)) {
        return Ok(ExitCode::SUCCESS);
    }
    say("quickstart: not every job ended as it should");
    Ok(ExitCode::FAILURE)
}

/// Asks the engine for its version. Where none answers, one is installed and started if that can be done.
async fn reach_engine(docker: &dyn ContainerExecutor) -> Result<Arc<HostFacts>> {
    match docker.discover().await {
        Err(error) if error.kind() == ErrorKind::Unavailable => say(&error.chain()),
        answer => return answer,
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/engine");
    match Command::new(script).arg("start").status().await {
        Ok(status) if status.success() => docker.discover().await,
        Ok(_) => Err(Error::new(ErrorKind::Unavailable, "the jobs need a container engine; see above how to get one")),
        Err(error) => Err(Error::new(ErrorKind::Unavailable, "scripts/engine can't be executed").with_source(error)),
    }
}

async fn run_one(runner: &Runner, demo: &Demo) -> Result<RunOutcome> {
    let template = JobTemplate::builder()
        .name(demo.name.parse()?)
        .image(IMAGE.parse()?)
        .args(demo.script.iter().copied())
        .resources(Resources::builder().memory(ByteSize::from_mib(64)).build())
        .run_timeout(Duration::from_secs(3))
        .stop_grace(Duration::from_secs(1))
        .build();
    runner.run(&ContainerJob::new(template, SystemClock.now()), demo).await
}

/// Shows the log, each line with the name of its job.
#[async_trait]
impl RunObserver for Demo {
    async fn observe(&self, event: RunEvent<'_>) -> Result<()> {
        match event {
            RunEvent::Logs(records) => {
                for record in records {
                    let mark = if record.stream == LogStream::Stderr { '!' } else { '|' };
                    say(&format!("{:>8} {mark} {}", self.name, String::from_utf8_lossy(&record.bytes).trim_end()));
                }
            }
            RunEvent::Stopping(reason) => say(&format!("{:>8} * is being stopped: {}", self.name, Cause::from(reason))),
            _ => {}
        }
        Ok(())
    }
}

/// Whether the job ended as it should, and nothing of it is left.
fn is_met(demo: &Demo, outcome: &Result<RunOutcome>) -> bool {
    let Ok(outcome) = outcome else { return false };
    let expected = outcome.termination().is_some_and(|end| end.cause == demo.expected);
    expected && matches!(outcome.cleanup, Cleanup::Removed)
}

fn row(demo: &Demo, outcome: &Result<RunOutcome>) -> Vec<String> {
    let mut row = vec![demo.name.to_owned(), demo.does.to_owned()];
    row.push(outcome.as_ref().map_or_else(|_| "not run".to_owned(), |outcome| outcome.status.to_string()));
    if let Ok(RunOutcome { harvest: Some(Harvest { termination: end, usage, .. }), .. }) = outcome {
        let code = end.exit_code.map(|code| code.to_string()).unwrap_or_default();
        row.extend([end.cause.to_string(), code, format!("{:.1}", usage.wall_time.as_secs_f64())]);
    }
    row
}

/// What a cause rests on, in the engine's words. Without a cause, why there is none.
fn evidence(outcome: &Result<RunOutcome>) -> String {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return error.chain(),
    };
    let Some(end) = outcome.termination() else { return outcome.lost.clone().unwrap_or_default() };
    let facts = end.evidence.facts.iter().map(|(name, value)| format!("{name} = {value}"));
    end.evidence.provider_message.iter().cloned().chain(facts).collect::<Vec<_>>().join(", ")
}

/// Whoever reads this may stop reading. The jobs, and what is to be cleaned up after them, go on.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
