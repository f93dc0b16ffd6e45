//! `longshore run`: one job, from what was typed to its exit code.

use longshore::{
    Cleanup, ContainerExecutor, ContainerJob, Error, ErrorKind, ExecutorContext, JobStatus, LaunchToken, LogDelivery,
    Plan, Result, RunOutcome, Runner, StopLevel,
    layers::{TimeoutLayer, Timeouts, TracingLayer},
};
use std::{sync::Arc, time::Duration};

use super::own_variable;
use crate::{
    RunReport,
    args::RunArgs,
    console::{self, Console},
    env_file, exit, hints, host, job,
    reader::Reader,
    signals::{self, Asked, Signals},
    text::json_line,
};

/// As long as a preparation may take: whoever waits at a terminal for a large image decides when it is too long.
const TIME_TO_SEND: Duration = Duration::from_secs(3600);

/// Runs the job, and returns the program's exit code.
pub(crate) fn run(args: &RunArgs) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            super::complain(
                &Error::new(ErrorKind::Unexpected, "the program can't start its threads").with_source(error),
            );
            return exit::FAILED;
        }
    };
    let code = runtime.block_on(shown(args));
    // A thread may still be writing to somebody who has stopped reading; nobody waits for it.
    runtime.shutdown_background();
    code
}

/// How a run came to its end.
enum Ended {
    /// It was only to be planned.
    Planned(Box<Plan>),
    /// The job has ended.
    Finished(Box<RunOutcome>),
    /// The job is left as it is, at the third signal.
    Left,
}

/// Runs the job and shows what becomes of it.
async fn shown(args: &RunArgs) -> u8 {
    let console = Console::new(args.report.json, args.report.quiet);
    let asked = Asked::default();
    let ended = execute(args, &console, &asked).await;
    let left = matches!(ended, Ok(Ended::Left));
    let (code, text) = match ended {
        Ok(Ended::Planned(plan)) => (0, shown_plan(args, &plan)),
        Ok(Ended::Finished(outcome)) => for_programs(args, tell_outcome(args, &outcome, &console, &asked)),
        Ok(Ended::Left) => for_programs(args, tell_left(args, &console, &asked)),
        Err(error) => for_programs(args, tell_error(args, &error, &console, &asked)),
    };
    // Whoever reads us may have stopped reading: then a signal ends the program here as it ends any other.
    tokio::select! {
        printed = last_words(console, text, left) => if code == 0 && !printed { exit::FAILED } else { code },
        () = signals::any() => code,
    }
}

/// Prints the result and waits until everything is written. False when the result could not be.
async fn last_words(console: Console, text: Option<String>, in_haste: bool) -> bool {
    let printed = match text {
        Some(text) => console.result(text).await.is_ok(),
        None => true,
    };
    console.close(in_haste).await;
    printed
}

/// What is needed for a run.
struct SetUp {
    job: ContainerJob,
    executor: Arc<dyn ContainerExecutor>,
    runner: Runner,
}

fn set_up(args: &RunArgs, console: &Console, asked: &Asked) -> Result<SetUp> {
    let files = args.container.env_file.iter().map(|path| env_file::read(path)).collect::<Result<Vec<_>>>()?;
    let registry = longshore::registry();
    let mut reader = Reader::default();
    let mut template = job::template(&mut reader, args, &files.concat(), &own_variable)?;
    let place = host::place(&mut reader, &args.place, &registry)?;
    let notices = reader.finish()?;
    template.executor_options = place.options;
    let context = ExecutorContext::new(host::state_dir(&own_variable));
    let bare = registry.build(&place.host, &context)?;
    let limited = TimeoutLayer::new(bare, Arc::clone(&context.clock), Timeouts::default());
    let executor: Arc<dyn ContainerExecutor> = Arc::new(TracingLayer::new(Arc::new(limited)));
    let runner = Runner::new(Arc::clone(&executor))
        .owned_by(place.owner)
        .with_time_to_send(TIME_TO_SEND)
        .keeping(args.report.keep)
        .stopped_by(asked.switch.clone());
    notices.iter().for_each(|notice| console.notice(notice));
    let job = ContainerJob::new(template, context.clock.now());
    console.expect(LaunchToken::new(job.id, 1));
    Ok(SetUp { job, executor, runner })
}

async fn execute(args: &RunArgs, console: &Console, asked: &Asked) -> Result<Ended> {
    let set_up = set_up(args, console, asked)?;
    let mut signals = Signals::install()?;
    tokio::select! {
        biased;
        ended = go(args, &set_up, console, asked) => ended,
        () = asked.listen(&mut signals, |words| console.notice(words)) => Ok(Ended::Left),
    }
}

async fn go(args: &RunArgs, set_up: &SetUp, console: &Console, asked: &Asked) -> Result<Ended> {
    // An engine that does not answer is the most usual fault, and the moment at which people press Ctrl-C.
    tokio::select! {
        discovered = set_up.executor.discover() => discovered?,
        _ = asked.switch.reached(StopLevel::Graceful) => {
            return Err(Error::new(ErrorKind::Cancelled, "stopped before the launch; nothing was started"));
        }
    };
    if args.report.dry_run {
        return set_up.runner.plan(&set_up.job).await.map(|plan| Ended::Planned(Box::new(plan)));
    }
    let outcome = set_up.runner.run(&set_up.job, console).await?;
    Ok(Ended::Finished(Box::new(outcome)))
}

fn shown_plan(args: &RunArgs, plan: &Plan) -> Option<String> {
    if args.report.json { json_line(plan).ok() } else { Some(super::plan::text(plan)) }
}

/// The report as the JSON that was asked for, if it was.
fn for_programs(args: &RunArgs, report: RunReport) -> (u8, Option<String>) {
    let code = report.longshore_exit_code;
    (code, args.report.json.then(|| json_line(&report).ok()).flatten())
}

fn tell_outcome(args: &RunArgs, outcome: &RunOutcome, console: &Console, asked: &Asked) -> RunReport {
    let delivered = matches!(outcome.logs, LogDelivery::Delivered(_));
    let code = exit::of_run(outcome.status, outcome.termination(), delivered, asked.signal());
    let report = RunReport::of_outcome(outcome, code);
    if let Some(end) = outcome.termination().and_then(console::of_end) {
        let tell = if code == exit::FAILED { Console::say } else { Console::notice };
        tell(console, &end);
    }
    if let Some(reason) = &outcome.lost {
        console.say(&format!("what became of the job can't be told: {reason}"));
    }
    tell_cleanup(args, outcome, console);
    match &outcome.logs {
        LogDelivery::Failed(error) => report.with_error(error, hints::of_error(args, error)),
        LogDelivery::Delivered(completeness) if outcome.lost.is_none() => {
            console::of_log(completeness).iter().for_each(|notice| console.notice(notice));
            report
        }
        _ => report,
    }
}

fn tell_cleanup(args: &RunArgs, outcome: &RunOutcome, console: &Console) {
    let Some(handle) = &outcome.handle else { return };
    let to_find = hints::to_find(handle, args.place.host.as_deref());
    match &outcome.cleanup {
        Cleanup::Removed => {}
        Cleanup::Failed(error) => {
            console.say(&format!("the container could not be removed: {}; {to_find}", error.chain()));
        }
        _ if outcome.lost.is_some() => console.say(&format!("if the container is still there: {to_find}")),
        Cleanup::Kept { reason } if matches!(outcome.logs, LogDelivery::Failed(_)) => {
            console.say(&format!("the container is kept: {reason}; {to_find}"));
        }
        _ => console.notice(&format!("the container is kept; {to_find}")),
    }
}

/// The job could not be planned, launched or taken to its end.
fn tell_error(args: &RunArgs, error: &Error, console: &Console, asked: &Asked) -> RunReport {
    let code = exit::of_error(error, asked.signal());
    console.say(&error.chain());
    let hint = asked.signal().is_none().then(|| hints::of_error(args, error)).flatten();
    if let Some(hint) = &hint {
        console.hint(hint);
    }
    let unknown = error.operation() == Some("find_launch");
    let status = match (console.launched(), asked.signal()) {
        (Some(_), _) => JobStatus::Lost,
        (None, _) if unknown => JobStatus::Lost,
        (None, Some(_)) => JobStatus::Cancelled,
        (None, None) => JobStatus::Failed,
    };
    let report = RunReport::bare(status, code).expected(console.expected()).with_error(error, hint);
    match console.launched() {
        Some(handle) => {
            console.say(&format!(
                "the container is left as it is; {}",
                hints::to_find(handle, args.place.host.as_deref())
            ));
            report.launched(handle)
        }
        None => report,
    }
}

/// Somebody does not want to wait any more.
fn tell_left(args: &RunArgs, console: &Console, asked: &Asked) -> RunReport {
    let code = asked.signal().map_or(exit::FAILED, exit::signalled);
    let report = RunReport::bare(JobStatus::Lost, code).expected(console.expected());
    match console.launched() {
        Some(handle) => {
            console.say(&format!("the job is left as it is; {}", hints::to_find(handle, args.place.host.as_deref())));
            report.launched(handle)
        }
        None => {
            let token = console.expected().map(|token| format!(" of {token}")).unwrap_or_default();
            console.say(&format!("a launch{token} may be under way and is left as it is"));
            report
        }
    }
}
