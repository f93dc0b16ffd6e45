//! `longshore dispatch`: jobs from the queue to their end.

use longshore::dispatcher::{Dispatcher, Drain, DrainMode, Parts, Settings};
use longshore::{Error, ErrorKind, Result, SystemClock};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::{net::SocketAddr, sync::Arc};

use super::notice;
use crate::{
    args::DispatchArgs,
    configuration,
    database::{self, Database},
    exit,
    fleet::Fleet,
    machine::Machine,
    signals::Signals,
    values,
};

/// Dispatches until it is stopped, and returns the program's exit code.
///
/// # Errors
/// When something is wrong with the options or the configuration, or the database can't be used.
pub(crate) async fn dispatch(args: &DispatchArgs) -> Result<u8> {
    let lost_after = values::age(&args.lost_after)?;
    let retention = args.retention.as_deref().map(values::age).transpose()?;
    let most = args.max_jobs.as_deref().map(values::count).transpose()?;
    let mut signals = Signals::install()?;
    if configuration::path(&args.configuration)?.is_some() {
        // Services are told by it to read their configuration again.
        signals = signals.without_hang_up();
    }
    let database = Database::open(&args.store).await?;
    let owner = database.owner(args.owner.as_deref()).await?;
    let fleet = Fleet::open(&args.configuration, &Machine::sharing(&database.address)).await?;
    args.metrics.map(tell_figures).transpose()?;
    let settings = Settings::builder()
        .owner(owner.clone())
        .name(database::process("dispatch"))
        .lost_after(lost_after)
        .maybe_retention(retention)
        .maybe_max_jobs(most.map(|most| most.get() as usize))
        .build();
    let dispatcher = Dispatcher::new(Parts {
        store: Arc::clone(&database.store),
        logs: Arc::new(database.logs().await?),
        router: Arc::clone(&fleet.router),
        clock: Arc::new(SystemClock),
        settings,
    });
    let hosts = match fleet.configured() {
        Some((count, path)) => format!("{count} hosts of {}", path.display()),
        None => "the hosts of this machine".to_owned(),
    };
    notice(&format!("dispatches jobs of {} to {hosts}, as {owner}", database.address));
    let drain = dispatcher.drain();
    let ended = tokio::select! {
        biased;
        ended = dispatcher.run() => ended.map(|()| 0),
        signal = stopped(args, &mut signals, &drain) => {
            notice("ends at once; what runs goes on, and the next dispatcher takes it over");
            Ok(exit::signalled(signal))
        }
        never = async { tokio::join!(once(args, &dispatcher), fleet.follow(notice)) } => match never.1 {},
    };
    if matches!(ended, Ok(0)) {
        notice("has ended");
    }
    ended
}

/// Begins to end it at the first signal, and returns at the second one.
async fn stopped(args: &DispatchArgs, signals: &mut Signals, drain: &Drain) -> longshore::Signal {
    signals.next().await;
    let (mode, words) = match (args.drain, args.stop_jobs) {
        (true, _) => {
            (DrainMode::Finish, "launches nothing new and waits for what runs; a second signal ends it at once")
        }
        (_, true) => (DrainMode::StopJobs, "stops what runs; a second signal ends it at once"),
        _ => (DrainMode::HandOver, "hands over: what runs goes on, and the next dispatcher takes it over"),
    };
    notice(words);
    drain.begin(mode);
    signals.next().await
}

/// With `--once`, ends it when there is nothing to do now.
async fn once(args: &DispatchArgs, dispatcher: &Dispatcher) {
    if args.once {
        let mut idle = dispatcher.idle();
        if idle.wait_for(|idle| *idle).await.is_ok() {
            dispatcher.drain().begin(DrainMode::Finish);
        }
    }
    std::future::pending::<()>().await;
}

/// Tells Prometheus the figures for as long as the program runs.
fn tell_figures(address: SocketAddr) -> Result<()> {
    PrometheusBuilder::new().with_http_listener(address).install().map_err(|error| {
        let message = format!("the figures can't be told at {address}; name another address, or leave --metrics out");
        Error::new(ErrorKind::Invalid, message).with_source(error)
    })
}
