//! A place to run, a database, kept logs and a ledger; and whoever submits.

use longshore::{
    Allow, Clock, ExecutionHost, JobId, Owner, SystemClock,
    store::{AttemptRecord, JobRecord, JobStore, Submission},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;

use crate::{
    jobs::Kind,
    ledger::Ledger,
    program::{Assignment, Database, Process},
    support,
};

/// How long anything may take before the test fails: far longer than it should, and not for ever.
const LIMIT: Duration = Duration::from_secs(120);
/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until there is something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "within {LIMIT:?} it did not come to this: {what}");
        SystemClock.sleep(LOOK).await;
    }
}

/// Where jobs run.
pub(crate) enum Place<'a> {
    Docker(&'a Path),
    Embedded,
}

pub(crate) struct World {
    pub(crate) assignment: Assignment,
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) ledger: Ledger,
    image: String,
    /// The engine's, where there is one.
    socket: Option<PathBuf>,
    jobs: Mutex<Vec<(JobId, Kind)>>,
    folder: TempDir,
}

impl World {
    /// A new world, with its jobs in a SQLite file.
    pub(crate) async fn on_sqlite(place: Place<'_>) -> Self {
        let folder = new_folder();
        let database = Database::Sqlite(folder.path().join("database/jobs.db"));
        Self::new(folder, place, database).await
    }

    /// A new world, with its jobs in a database of a PostgreSQL server.
    pub(crate) async fn on_postgres(place: Place<'_>, url: String) -> Self {
        Self::new(new_folder(), place, Database::Postgres(url)).await
    }

    pub(crate) async fn new(folder: TempDir, place: Place<'_>, database: Database) -> Self {
        let ledger = Ledger::new(folder.path());
        let socket = if let Place::Docker(socket) = place { Some(socket.to_owned()) } else { None };
        let (image, kind, config) = match place {
            Place::Docker(socket) => {
                let config = serde_json::json!({ "host": format!("unix://{}", socket.display()) });
                (support::IMAGE.to_owned(), "docker", config)
            }
            Place::Embedded => {
                let archive = folder.path().join("probe.tar");
                fs::write(&archive, longshore_probe::image_archive(support::IMAGE)).unwrap();
                (format!("docker-archive:{}", archive.display()), "embedded", serde_json::Value::Null)
            }
        };
        let mut allow = Allow::default();
        allow.bind_mounts.insert(ledger.path().to_owned());
        allow.image_folders.insert(folder.path().to_owned());
        let host = ExecutionHost::builder()
            .name("here".parse().unwrap())
            .executor_type(kind.parse().unwrap())
            .executor_config(config)
            .allow(allow)
            .maybe_max_concurrent_jobs(8.try_into().ok())
            .build();
        let assignment = Assignment {
            logs: folder.path().join("logs"),
            state: folder.path().join("state"),
            owner: Owner::new(format!("durable-{}", uuid::Uuid::now_v7().simple())).unwrap(),
            lease_ms: 1_500,
            database,
            host,
        };
        let store = assignment.database.open().await.unwrap();
        Self { assignment, store, ledger, image, socket, jobs: Mutex::default(), folder }
    }

    /// Submits a job of each kind; returns their ids once they are stored.
    pub(crate) async fn submit(&self, kinds: &[Kind]) -> Vec<JobId> {
        self.try_submit(kinds).await.unwrap()
    }

    /// The same, where it may be refused.
    pub(crate) async fn try_submit(&self, kinds: &[Kind]) -> longshore::Result<Vec<JobId>> {
        let now = SystemClock.now();
        let jobs = kinds.iter().map(|kind| kind.job(&self.image, self.ledger.path(), now));
        let submissions: Vec<Submission> = jobs.map(|job| Submission::builder(job).build()).collect();
        let submitted = self.store.submit(submissions, now).await?;
        let ids: Vec<JobId> = submitted.into_iter().map(|submitted| submitted.unwrap().id()).collect();
        self.jobs.lock().unwrap().extend(ids.iter().copied().zip(kinds.iter().copied()));
        Ok(ids)
    }

    /// Every job that was acknowledged.
    pub(crate) fn jobs(&self) -> Vec<(JobId, Kind)> {
        self.jobs.lock().unwrap().clone()
    }

    /// Starts a dispatcher.
    pub(crate) fn start(&self) -> Process {
        self.start_as("dispatcher")
    }

    /// Starts one of several dispatchers.
    pub(crate) fn start_as(&self, name: &str) -> Process {
        let path = self.folder.path().join(format!("{name}.json"));
        fs::write(&path, serde_json::to_vec(&self.assignment).unwrap()).unwrap();
        Process::start(&path, &self.log_of(name))
    }

    pub(crate) fn log_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    pub(crate) async fn job(&self, id: JobId) -> JobRecord {
        self.insist(async || self.store.job(id).await).await
    }

    pub(crate) async fn attempts(&self, id: JobId) -> Vec<AttemptRecord> {
        self.insist(async || self.store.attempts(id).await).await
    }

    /// Asks until the database answers.
    pub(crate) async fn insist<T>(&self, mut ask: impl AsyncFnMut() -> longshore::Result<T>) -> T {
        until("the database answers", async || match ask().await {
            Err(error) if error.is_lost_contact() => None,
            answer => Some(answer.unwrap()),
        })
        .await
    }

    /// How many runs have begun, by the ledger.
    pub(crate) fn runs(&self) -> usize {
        self.jobs().iter().map(|(id, _)| self.ledger.starts(*id)).sum()
    }

    /// Waits until so many runs have begun.
    pub(crate) async fn begun(&self, least: usize) {
        until("runs begin", async || (self.runs() >= least).then_some(())).await;
    }

    /// Waits until a job is another's than the queue's.
    pub(crate) async fn claimed(&self, ids: &[JobId]) {
        until("jobs are claimed", async || {
            for id in ids {
                if self.job(*id).await.attempts > 0 {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    /// Waits until every job has ended and nothing of it is left to be done.
    pub(crate) async fn settled(&self) {
        for (id, kind) in self.jobs() {
            until(&format!("{kind:?} {id} is over"), async || {
                let over = self.job(id).await.status.is_terminal()
                    && self.attempts(id).await.iter().all(|attempt| !attempt.state.is_open());
                over.then_some(())
            })
            .await;
        }
    }
}

impl Drop for World {
    /// A failed test tells the end of the dispatchers' logs, and what the engine says of what it left.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for entry in fs::read_dir(self.folder.path()).unwrap().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                tell_end_of(&path);
            }
        }
        if let Some(socket) = &self.socket {
            tell_engine(socket);
        }
    }
}

fn tell_end_of(path: &Path) {
    let log = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(80)..];
    tell(&format!("--- {}\n{}", path.display(), last.join("\n")));
}

/// By the engine's own client, with limits of its own: that the engine does not answer may be the very failure.
fn tell_engine(socket: &Path) {
    let ask = |words: &[&str]| {
        let host = format!("unix://{}", socket.display());
        let output = Command::new("timeout").args(["5", "docker", "--host", &host]).args(words).output();
        output.map_or_else(
            |error| error.to_string(),
            |output| {
                let text = [output.stdout, output.stderr].concat();
                format!("{}{}", String::from_utf8_lossy(&text), output.status)
            },
        )
    };
    tell(&format!(
        "--- docker ps\n{}",
        ask(&["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Status}}"])
    ));
    for id in ask(&["ps", "--all", "--quiet", "--no-trunc"]).lines().filter(|line| line.len() == 64) {
        tell(&format!("--- docker inspect\n{}", ask(&["inspect", "--format", "{{.Name}} {{json .State}}", id])));
        tell(&format!("--- docker logs\n{}", ask(&["logs", "--tail", "3", id])));
    }
    // The private engine's own, beside its socket.
    if let Some(log) = socket.parent().map(|folder| folder.join("log")).filter(|log| log.exists()) {
        tell_end_of(&log);
    }
}

#[expect(clippy::print_stderr, reason = "what a failed test has to tell")]
fn tell(text: &str) {
    eprintln!("{text}");
}

fn new_folder() -> TempDir {
    tempfile::Builder::new().prefix("ls-durable-").tempdir().unwrap()
}
