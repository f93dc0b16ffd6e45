//! Four real jobs in containers of this machine, side by side: one succeeds, one fails, one is stopped at its time limit,
//! one runs out of memory. Shows their logs as they come, then what became of each, and exits with 1 if that is not as it
//! should be. It needs Linux and nothing else, and leaves nothing behind.

mod ctrl_c;

use comfy_table::{Table, presets};
use futures::future::join_all;
use longshore::{
    Allow, ByteSize, Cause, CheckedJob, Cleanup, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind,
    ExecutionHost, ExecutorContext, Grant, Harvest, ImageSource, JobTemplate, LogStream, Network, Resources, Result,
    RunEvent, RunObserver, RunOutcome, Runner, SystemClock, async_trait,
};
use std::{io, io::Write, path::Path, process::ExitCode, sync::Arc, time::Duration};

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    longshore::embedded::supervise();
    let ran = tokio::runtime::Runtime::new().map_err(broken("no runtime")).and_then(|runtime| runtime.block_on(run()));
    ran.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "quickstart: {}", error.chain());
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
    demo("devours", "takes 256 of 64 MiB", &["print hungry", "allocate 256m"], Cause::OutOfMemory),
];

const fn demo(name: &'static str, does: &'static str, script: &'static [&'static str], expected: Cause) -> Demo {
    Demo { name, does, script, expected }
}

/// What became of a demo.
enum End {
    Ran(Box<Result<RunOutcome>>),
    /// This user can't limit memory, so nothing was run that relies on it.
    NotGranted(Grant),
}

async fn run() -> Result<ExitCode> {
    let folder = tempfile::tempdir().map_err(broken("no folder"))?;
    let image = image(folder.path())?;
    let executor = executor(folder.path())?;
    let facts = executor.discover().await?;
    say(&format!("running {} jobs on {}\n", DEMOS.len(), facts.engine));
    let runner = Runner::new(Arc::clone(&executor)).stopped_by(ctrl_c::stop_at_ctrl_c());
    let ends = join_all(DEMOS.iter().map(|demo| run_one(executor.as_ref(), &runner, demo, &image))).await;

    let ends = DEMOS.iter().zip(&ends);
    let mut table = Table::new();
    table.set_header(["job", "what it does", "status", "cause", "code", "seconds"]);
    table.load_style(presets::UTF8_FULL_CONDENSED).add_rows(ends.clone().map(|(demo, end)| row(demo, end)));
    say(&format!("\n{table}\nThe evidence:"));
    ends.clone().for_each(|(demo, end)| say(&format!("{:>8}: {}", demo.name, evidence(end))));
    if ends.clone().all(|(demo, end)| is_met(demo, end)) {
        return Ok(ExitCode::SUCCESS);
    }
    say("quickstart: not every job ended as it should");
    Ok(ExitCode::FAILURE)
}

/// An image with one small program, made on the spot. The program's arguments are what it does, one instruction each.
fn image(folder: &Path) -> Result<ImageSource> {
    let archive = folder.join("image.tar");
    std::fs::write(&archive, longshore_probe::image_archive("quickstart:1")).map_err(broken("no image"))?;
    Ok(format!("docker-archive:{}", archive.display()).parse()?)
}

/// The containers of this machine, with all that they need in the folder, which may hold images too.
fn executor(folder: &Path) -> Result<Arc<dyn ContainerExecutor>> {
    let mut allow = Allow::default();
    allow.image_folders.insert(folder.to_owned());
    let host = ExecutionHost::builder().name("here".parse()?).executor_type("embedded".parse()?).allow(allow).build();
    longshore::registry().build(&host, &ExecutorContext::new(folder))
}

fn broken(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::new(ErrorKind::Unexpected, what).with_source(error)
}

async fn run_one(executor: &dyn ContainerExecutor, runner: &Runner, demo: &Demo, image: &ImageSource) -> End {
    match planned(executor, demo, image) {
        Ok((job, None)) => End::Ran(Box::new(runner.run(&job, demo).await)),
        Ok((_, Some(refused))) => End::NotGranted(refused),
        Err(error) => End::Ran(Box::new(Err(error))),
    }
}

/// The job, and what it relies on and will not be given.
fn planned(
    executor: &dyn ContainerExecutor,
    demo: &Demo,
    image: &ImageSource,
) -> Result<(ContainerJob, Option<Grant>)> {
    let template = JobTemplate::builder()
        .name(demo.name.parse()?)
        .image(image.clone())
        .args(demo.script.iter().copied())
        .network(Network::None)
        .resources(Resources::builder().memory(ByteSize::from_mib(64)).build())
        .run_timeout(Duration::from_secs(3))
        .stop_grace(Duration::from_secs(1))
        .build();
    let job = ContainerJob::new(template, SystemClock.now());
    let plan = executor.plan(&CheckedJob::new(&job, executor)?)?;
    let is_refused = |grant: &Grant| grant.field == "resources.memory" && grant.granted.is_none();
    let refused = plan.grants.into_iter().find(is_refused).filter(|_| demo.expected == Cause::OutOfMemory);
    Ok((job, refused))
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
fn is_met(demo: &Demo, end: &End) -> bool {
    match end {
        End::NotGranted(_) => true,
        End::Ran(outcome) => outcome.as_ref().as_ref().is_ok_and(|outcome| {
            let expected = outcome.termination().is_some_and(|end| end.cause == demo.expected);
            expected && matches!(outcome.cleanup, Cleanup::Removed)
        }),
    }
}

fn row(demo: &Demo, end: &End) -> Vec<String> {
    let mut row = vec![demo.name.to_owned(), demo.does.to_owned()];
    let outcome = match end {
        End::NotGranted(_) => {
            row.push("not granted".to_owned());
            return row;
        }
        End::Ran(outcome) => outcome.as_ref(),
    };
    row.push(outcome.as_ref().map_or_else(|_| "not run".to_owned(), |outcome| outcome.status.to_string()));
    if let Ok(RunOutcome { harvest: Some(Harvest { termination: end, usage, .. }), .. }) = outcome {
        let code = end.exit_code.map(|code| code.to_string()).unwrap_or_default();
        row.extend([end.cause.to_string(), code, format!("{:.1}", usage.wall_time.as_secs_f64())]);
    }
    row
}

/// What a cause rests on. Without a cause, why there is none.
fn evidence(end: &End) -> String {
    let outcome = match end {
        End::NotGranted(grant) => return format!("{}: {}", grant.field, grant.reason.clone().unwrap_or_default()),
        End::Ran(outcome) => outcome.as_ref(),
    };
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
