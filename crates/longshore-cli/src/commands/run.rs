//! `longshore run`: one job, from what was typed to its exit code.

use longshore::{
    Cleanup, Clock, ContainerJob, Error, ErrorKind, JobStatus, LaunchToken, LogDelivery, Owner, Plan, Result,
    RunOutcome, Runner, StopLevel, SystemClock,
    config::{Config, Loader},
    route::Target,
};
use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{own_folder, own_variable};
use crate::{
    RunReport,
    args::RunArgs,
    choice::Choice,
    configuration,
    console::{self, Console},
    database::{Address, Database, UNRECORDED},
    described, env_file, exit, hints, host, image, job,
    machine::Machine,
    place::{Chosen, Place},
    reader::Reader,
    recording::{self, Launching, Recording},
    routing::{self, Routing},
    signals::{self, Asked, Signals},
    text::json_line,
};

/// As long as a preparation may take: whoever waits at a terminal for a large image decides when it is too long.
const TIME_TO_SEND: Duration = Duration::from_secs(3600);

/// Runs the job, and returns the program's exit code.
pub(crate) fn run(args: &RunArgs) -> u8 {
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            super::complain(&error);
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
        Ok(Ended::Finished(outcome)) => for_programs(args, &console, tell_outcome(args, &outcome, &console, &asked)),
        Ok(Ended::Left) => for_programs(args, &console, tell_left(&console, &asked)),
        Err(error) => for_programs(args, &console, tell_error(args, &error, &console, &asked)),
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
    place: Place,
    /// Where it must run, for whoever runs it again.
    bound: Option<Target>,
    /// The installation, where one was typed.
    owner: Option<Owner>,
}

async fn set_up(args: &RunArgs, console: &Console) -> Result<SetUp> {
    let files = args.job.container.env_file.iter().map(|path| env_file::read(path)).collect::<Result<Vec<_>>>()?;
    let loader = configuration::loader();
    let config = configuration_of(args, &loader, console)?;
    let mut reader = Reader::default();
    let begun = described::begun(&mut reader, &args.job, &loader, config.as_ref(), &args.store).await?;
    let mut job = job::job(&mut reader, &args.job, begun, &files.concat(), &own_variable, &own_folder())?;
    let config = config.filter(|_| !args.place.describes_a_host());
    let bound =
        config.as_ref().and_then(|config| configuration::target(&mut reader, args.place.executor.as_deref(), config));
    let machine = machine(args);
    let typed = match &config {
        Some(_) => None,
        None => {
            let image = &job.template.image;
            let choice = Choice::of(&args.place, image, loader.registry());
            let image = (!args.job.is_described()).then_some(image);
            let (kind, registry) = (choice.first(), loader.registry());
            let host = host::typed(&mut reader, &args.place, kind, image, registry, &own_variable, &machine)?;
            Some((choice, host))
        }
    };
    let kind = typed.as_ref().map(|(_, host)| &host.executor_type);
    let options = host::options(&mut reader, &args.place.executor_option, loader.registry(), kind);
    let owner = reader.one("--owner", args.place.owner.as_deref());
    let notices = reader.finish()?;
    let by_kind = kind.filter(|_| args.place.executor.is_some()).cloned().map(Target::Executor);
    let to = bound.clone().or(by_kind);
    host::add_options(&mut job.template, options);
    notices.iter().for_each(|notice| console.notice(notice));
    let context = routing::context();
    let place = match (config, typed) {
        (Some(config), _) => {
            let routing = Routing::new(&config, loader.registry(), Owner::new(UNRECORDED)?)?;
            Place::Routed { routing: Box::new(routing), bound, clock: Arc::clone(&context.clock) }
        }
        (None, Some((choice, host))) => Place::of_host(choice, host, loader.registry(), &context, &machine)?,
        (None, None) => return Err(Error::new(ErrorKind::Unexpected, "there is neither a host nor a configuration")),
    };
    let job = job.into_job(context.clock.now());
    console.expect(LaunchToken::new(job.id, 1));
    if let Some(host) = place.typed() {
        console.placed(host);
    }
    Ok(SetUp { job, place, bound: to, owner })
}

/// What tells the hosts of this machine from those of others that share the database.
fn machine(args: &RunArgs) -> Machine {
    let address = Address::of(&args.store).ok().filter(|_| !args.no_record);
    address.map(|address| Machine::sharing(&address)).unwrap_or_default()
}

/// The configuration, where one counts: options that describe a host leave aside all but its templates.
fn configuration_of(args: &RunArgs, loader: &Loader, console: &Console) -> Result<Option<Config>> {
    let place = &args.place;
    let is_named = configuration::named(&place.configuration).is_some();
    let describes = place.describes_a_host();
    if place.no_config || (describes && !is_named && args.job.template.is_none()) {
        return Ok(None);
    }
    let config = configuration::load(&place.configuration, loader)?;
    if let Some(config) = &config {
        configuration::warnings(config).iter().for_each(|warning| console.notice(warning));
        if describes {
            let why =
                "the options describe a host of their own, and the hosts and rules of the configuration are left aside";
            console.notice(why);
        }
    }
    Ok(config)
}

async fn execute(args: &RunArgs, console: &Console, asked: &Asked) -> Result<Ended> {
    let set_up = set_up(args, console).await?;
    let mut signals = Signals::install()?;
    let recording = OnceLock::new();
    tokio::select! {
        biased;
        ended = go(args, set_up, console, asked, &recording) => ended,
        () = asked.listen(&mut signals, |words| console.notice(words)) => {
            if let Some(recording) = recording.get() {
                Recording::leave(recording).await;
            }
            Ok(Ended::Left)
        }
    }
}

async fn go(
    args: &RunArgs,
    mut set_up: SetUp,
    console: &Console,
    asked: &Asked,
    record: &OnceLock<Recording>,
) -> Result<Ended> {
    let (database, recording) = tokio::select! {
        recorded = recorded(args, console) => recorded?,
        _ = asked.switch.reached(StopLevel::Graceful) => {
            return Err(Error::new(ErrorKind::Cancelled, "stopped before the launch; nothing was started"));
        }
    };
    let recording = record.get_or_init(|| recording);
    let owner = match (&set_up.owner, &database) {
        (Some(owner), _) => owner.clone(),
        // What is kept belongs to nobody who would clean it up.
        (None, Some(database)) if !args.report.keep => database.owner(None).await?,
        (None, _) => Owner::new(UNRECORDED)?,
    };
    let run = async {
        set_up.place.heed(&owner, database.map(|database| database.store)).await?;
        run_recorded(args, &set_up, owner, console, asked, recording).await
    };
    let obey = async {
        if let Some(journal) = recording.journal() {
            let words = journal.wanted().await;
            console.notice(&words);
            asked.switch.stop(StopLevel::Graceful);
        }
        std::future::pending::<Infallible>().await
    };
    let ended = tokio::select! {
        biased;
        ended = run => ended,
        never = obey => match never {},
    };
    match ended {
        Ok(Ended::Finished(outcome)) => {
            recording.conclude(&outcome).await;
            Ok(Ended::Finished(outcome))
        }
        Ok(other) => {
            recording.leave().await;
            Ok(other)
        }
        Err(error) => Err(recording.break_off(error).await),
    }
}

async fn run_recorded(
    args: &RunArgs,
    set_up: &SetUp,
    owner: Owner,
    console: &Console,
    asked: &Asked,
    recording: &Recording,
) -> Result<Ended> {
    let chosen = set_up.place.choose(&set_up.job, console, asked, args.report.dry_run).await?;
    console.placed(&chosen.host);
    let executor = match recording.journal() {
        Some(_) => recording.of(Arc::clone(&chosen.executor), launching(args, set_up, &chosen, console)?),
        None => chosen.executor,
    };
    let runner = Runner::new(executor)
        .on(chosen.host)
        .owned_by(owner)
        .with_time_to_send(TIME_TO_SEND)
        .keeping(args.report.keep)
        .stopped_by(asked.switch.clone());
    if args.report.dry_run {
        return runner.plan(&set_up.job).await.map(|plan| Ended::Planned(Box::new(plan)));
    }
    let outcome = runner.run(&set_up.job, console).await?;
    Ok(Ended::Finished(Box::new(outcome)))
}

/// What is stored of the launch beside the request.
fn launching(args: &RunArgs, set_up: &SetUp, chosen: &Chosen, console: &Console) -> Result<Launching> {
    let job = set_up.job.clone();
    let decision = match console.decision() {
        Some(decision) => decision,
        None => routing::named(&chosen.host, &chosen.executor, &job, SystemClock.now())?,
    };
    Ok(Launching { job, bound: set_up.bound.clone(), decision, keep: args.report.keep })
}

/// Opens the database and begins to record. A database that nobody has named must not keep a job from running.
async fn recorded(args: &RunArgs, console: &Console) -> Result<(Option<Database>, Recording)> {
    if args.no_record || args.report.dry_run {
        return Ok((None, Recording::default()));
    }
    let begun = async {
        let database = Database::open(&args.store).await?;
        let recording = Recording::begin(&database).await?;
        Ok((Some(database), recording))
    };
    match begun.await {
        Ok(begun) => Ok(begun),
        Err(error) if Address::is_named(&args.store) => Err(unrecordable(&error)),
        Err(error) => {
            console.notice(&format!("the job is not recorded: {}; --no-record leaves it out", error.chain()));
            Ok((None, Recording::default()))
        }
    }
}

fn unrecordable(error: &Error) -> Error {
    let message = format!("the job can't be recorded, and nothing was started: {}", error.chain());
    Error::new(error.kind(), message).with_operation("record")
}

fn shown_plan(args: &RunArgs, plan: &Plan) -> Option<String> {
    if args.report.json { json_line(plan).ok() } else { Some(super::plan::text(plan)) }
}

/// The report as the JSON that was asked for, if it was.
fn for_programs(args: &RunArgs, console: &Console, report: RunReport) -> (u8, Option<String>) {
    let report = report.routed(console.decision());
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
    tell_cleanup(outcome, console);
    match &outcome.logs {
        LogDelivery::Failed(error) => report.with_error(error, hints::of_error(&asked_of(args, console), error)),
        LogDelivery::Delivered(completeness) if outcome.lost.is_none() => {
            console::of_log(completeness).iter().for_each(|notice| console.notice(notice));
            report
        }
        _ => report,
    }
}

fn tell_cleanup(outcome: &RunOutcome, console: &Console) {
    let Some(handle) = &outcome.handle else { return };
    let to_find = hints::to_find(handle, console.address());
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

/// What the hints depend on.
fn asked_of<'a>(args: &'a RunArgs, console: &'a Console) -> hints::Asked<'a> {
    hints::Asked {
        executor: console.executor().or(args.place.executor.as_deref()).unwrap_or("docker"),
        never_pulls: args.job.container.pull.as_deref() == Some("never"),
        is_routed: console.decision().is_some(),
        is_local: !args.job.is_described() && image::is_local(args.job.image()),
    }
}

/// The job could not be planned, launched or taken to its end.
fn tell_error(args: &RunArgs, error: &Error, console: &Console, asked: &Asked) -> RunReport {
    let code = exit::of_error(error, asked.signal());
    match configuration::problems_of(error) {
        Some(problems) => {
            console.lines(problems);
            console.say(error.message());
        }
        None => console.say(&error.chain()),
    }
    let hint = asked.signal().is_none().then(|| hints::of_error(&asked_of(args, console), error)).flatten();
    if let Some(hint) = &hint {
        console.hint(hint);
    }
    let unknown = matches!(error.operation(), Some("find_launch" | recording::IN_DOUBT));
    let status = match (console.launched(), asked.signal()) {
        (Some(_), _) => JobStatus::Lost,
        (None, _) if unknown => JobStatus::Lost,
        (None, Some(_)) => JobStatus::Cancelled,
        (None, None) => JobStatus::Failed,
    };
    let report = RunReport::bare(status, code).expected(console.expected()).with_error(error, hint);
    match console.launched() {
        Some(handle) => {
            console.say(&format!("the container is left as it is; {}", hints::to_find(handle, console.address())));
            report.launched(handle)
        }
        None => report,
    }
}

/// Somebody does not want to wait any more.
fn tell_left(console: &Console, asked: &Asked) -> RunReport {
    let code = asked.signal().map_or(exit::FAILED, exit::signalled);
    let report = RunReport::bare(JobStatus::Lost, code).expected(console.expected());
    match console.launched() {
        Some(handle) => {
            console.say(&format!("the job is left as it is; {}", hints::to_find(handle, console.address())));
            report.launched(handle)
        }
        None => {
            let token = console.expected().map(|token| format!(" of {token}")).unwrap_or_default();
            console.say(&format!("a launch{token} may be under way and is left as it is"));
            report
        }
    }
}
