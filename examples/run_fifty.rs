//! Runs fifty jobs, a few at a time, with a progress bar, and sums up what became of them.
//!
//! ```sh
//! cargo run --example run_fifty                                        # on Docker, four at a time
//! cargo run --example run_fifty -- --mock --width 16 --fail-every 10   # without an engine
//! ```
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program speaks to its user")]

mod ctrl_c;

use comfy_table::{Table, presets};
use futures::{StreamExt, stream};
use indicatif::{MultiProgress, ProgressBar, ProgressFinish};
use longshore::{
    Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutionHost, ExecutorContext, ImageSource, JobName,
    JobStatus, JobTemplate, Result, RunEvent, RunObserver, RunOutcome, Runner, StopLevel, SystemClock, Violation,
    async_trait, docker,
};
use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

const JOBS: usize = 50;
/// Made on the spot, so that the example needs no registry.
const IMAGE: &str = "longshore.test/fifty:1";

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        eprintln!("run_fifty: {}", error.chain());
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    let (mut width, mut fail_every, mut mock) = (4, 0, false);
    let mut args = std::env::args().skip(1);
    let number = |text: Option<String>| {
        let number = text.unwrap_or_default().parse::<usize>();
        number.map_err(|error| Error::new(ErrorKind::Invalid, "N must be a whole number").with_source(error))
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--width" => width = number(args.next())?.max(1),
            "--fail-every" => fail_every = number(args.next())?,
            "--mock" => mock = true,
            _ => return Err(Violation::new("option", arg, "use --width N, --fail-every N and --mock").into()),
        }
    }
    let state =
        tempfile::tempdir().map_err(|error| Error::new(ErrorKind::Unexpected, "no folder").with_source(error))?;
    let stop = ctrl_c::stop_at_ctrl_c();
    let runner = Runner::new(executor(mock, &ExecutorContext::new(state.path())).await?).stopped_by(stop.clone());

    let bars = MultiProgress::new();
    let total = bars.add(ProgressBar::new(JOBS as u64));
    let ended: Vec<(JobName, Result<RunOutcome>)> = stream::iter(jobs(fail_every)?)
        .take_until(stop.reached(StopLevel::Graceful))
        .map(|job| run_one(&runner, job, &bars))
        .buffer_unordered(width)
        .inspect(|_| total.inc(1))
        .collect()
        .await;
    total.finish_and_clear();
    Ok(if summed_up(&ended) == JOBS { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The place to run: the local engine, or one that exists only in memory. The jobs are the same.
async fn executor(mock: bool, context: &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>> {
    if !mock {
        docker::load_image(&docker::DockerConfig::default(), longshore_probe::image_archive(IMAGE).into()).await?;
    }
    let kind = if mock { "mock" } else { "docker" }.parse()?;
    let host = ExecutionHost::builder().name("here".parse()?).executor_type(kind).build();
    longshore::registry().build(&host, context)
}

/// Jobs of up to a second. Each argument is an instruction to the program of the image.
fn jobs(fail_every: usize) -> Result<Vec<ContainerJob>> {
    let image: ImageSource = IMAGE.parse()?;
    let job = |number: usize| {
        let work = format!("sleep {}ms", 100 + number * 37 % 900);
        let exit = format!("exit {}", i32::from(number.is_multiple_of(fail_every)));
        let script = ["print reading".to_owned(), work, "print writing".to_owned(), exit];
        let name = format!("job-{number:02}").parse()?;
        let template = JobTemplate::builder().name(name).image(image.clone()).args(script).build();
        Ok(ContainerJob::new(template, SystemClock.now()))
    };
    (1..=JOBS).map(job).collect()
}

/// What goes wrong is this job's alone: the others go on.
async fn run_one(runner: &Runner, job: ContainerJob, bars: &MultiProgress) -> (JobName, Result<RunOutcome>) {
    let bar = bars.add(ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear));
    let outcome = runner.run(&job, &Line(&job.template.name, bar)).await;
    (job.template.name, outcome)
}

/// Shows how a job goes on a line of its own.
struct Line<'a>(&'a JobName, ProgressBar);

#[async_trait]
impl RunObserver for Line<'_> {
    async fn observe(&self, event: RunEvent<'_>) -> Result<()> {
        let news = match event {
            // What a job writes may hold control characters, which a terminal would obey.
            RunEvent::Logs([.., last]) => String::from_utf8_lossy(&last.bytes).trim_end().escape_debug().to_string(),
            RunEvent::Stopping(_) => "is being stopped".to_owned(),
            RunEvent::LostContact(_) => "goes on, but the engine does not answer".to_owned(),
            _ => return Ok(()),
        };
        self.1.set_message(format!("{}: {news}", self.0));
        Ok(())
    }
}

/// Prints what went wrong and a table, and returns how many jobs have completed.
fn summed_up(ended: &[(JobName, Result<RunOutcome>)]) -> usize {
    let (mut ends, mut times) = (BTreeMap::from([(JobStatus::Completed, 0)]), Vec::new());
    for (name, outcome) in ended {
        let (status, why) = match outcome {
            Ok(outcome) => (outcome.status, outcome.to_string()),
            Err(error) => (JobStatus::Failed, error.chain()),
        };
        if status != JobStatus::Completed {
            println!("{name}: {why}");
        }
        *ends.entry(status).or_default() += 1;
        times.extend(outcome.iter().filter_map(|outcome| Some(outcome.harvest.as_ref()?.usage.wall_time)));
    }
    times.sort_unstable();
    let time = |at: usize| times.get(at).map(|time| format!("{time:.2?}")).unwrap_or_default();
    let mut rows: Vec<_> = ends.iter().map(|(status, jobs)| [status.to_string(), jobs.to_string()]).collect();
    rows.push(["not started".to_owned(), (JOBS - ended.len()).to_string()]);
    rows.push(["median".to_owned(), time(times.len() / 2)]);
    rows.push(["slowest".to_owned(), time(times.len().saturating_sub(1))]);
    println!("{}", Table::new().load_style(presets::UTF8_FULL_CONDENSED).add_rows(rows));
    ends[&JobStatus::Completed]
}
