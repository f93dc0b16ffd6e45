//! The program under test: this one again, as a dispatcher that is told what to do by a file.

use longshore::{
    ExecutionHost, ExecutorContext, Owner, SystemClock,
    dispatcher::{Dispatcher, DrainMode, Parts, Settings},
    route::{RoutedHost, Router, RoutingTable},
    store::{JobStore, LogStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore},
};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::world::until;

/// The word by which this program knows that it is to be a dispatcher.
const ROLE: &str = "as-dispatcher";

/// What a dispatcher is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) database: Database,
    pub(crate) logs: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) host: ExecutionHost,
    pub(crate) owner: Owner,
    pub(crate) lease_ms: u64,
}

/// Where the jobs are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Database {
    pub(crate) async fn open(&self) -> longshore::Result<Arc<dyn JobStore>> {
        Ok(match self {
            Self::Sqlite(path) => Arc::new(SqliteStore::open(path, SqliteOptions::default()).await?),
            Self::Postgres(url) => Arc::new(PostgresStore::connect(url, PostgresOptions::default()).await?),
        })
    }
}

impl Assignment {
    pub(crate) fn router(&self) -> Router {
        let executor = longshore::registry().build(&self.host, &ExecutorContext::new(&self.state)).unwrap();
        let hosts = vec![RoutedHost::new(self.host.clone(), executor)];
        Router::new(RoutingTable::builder().hosts(hosts).build().unwrap())
    }

    fn settings(&self) -> Settings {
        Settings::builder()
            .owner(self.owner.clone())
            .lease(Duration::from_millis(self.lease_ms))
            .launch_window(Duration::from_secs(4))
            .margin(Duration::from_secs(1))
            .reconcile(Duration::from_secs(2))
            .build()
    }
}

/// Plays the dispatcher, if that is what this process was started for.
pub(crate) fn play() -> Option<ExitCode> {
    let mut words = std::env::args().skip(1);
    let assignment = words.next().filter(|word| word == ROLE).and_then(|_| words.next())?;
    tracing_subscriber::fmt()
        .with_env_filter("longshore_dispatcher=debug,longshore_store=debug,warn")
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let assignment = serde_json::from_slice(&std::fs::read(assignment).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(dispatch(&assignment));
    Some(ExitCode::SUCCESS)
}

async fn dispatch(assignment: &Assignment) {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let store = assignment.database.open().await.unwrap();
    let dispatcher = Dispatcher::new(Parts {
        store,
        logs: Arc::new(LogStore::local(&assignment.logs).unwrap()),
        router: Arc::new(assignment.router()),
        clock: Arc::new(SystemClock),
        settings: assignment.settings(),
    });
    let drain = dispatcher.drain();
    tokio::spawn(async move {
        terminate.recv().await;
        drain.begin(DrainMode::HandOver);
    });
    dispatcher.run().await.unwrap();
}

/// A dispatcher as a process. It is killed, by its id, when the test ends first.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(assignment: &Path, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(ROLE).arg(assignment).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// `kill -9`: it does nothing more from this instant on.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, and waits until it has, in order.
    pub(crate) async fn terminate(mut self) {
        self.signal(Signal::TERM);
        let ended = until("the dispatcher ends", async || self.0.try_wait().unwrap()).await;
        assert!(ended.success(), "the dispatcher ended with {ended}");
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
