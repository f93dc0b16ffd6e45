//! Where tests of durable jobs run the program: a home with a database, and one host, the embedded executor.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

use crate::program::{Done, Run};

/// The probe's image under a name that no registry has.
const IMAGE: &str = "longshore.test/durable:1";

/// A home of its own. What a test starts in it ends with its jobs.
pub(crate) struct Desk {
    pub(crate) home: TempDir,
    pub(crate) image: String,
    /// As they are typed: the database, and where logs are kept unless that is beside it.
    database: String,
    logs: Option<String>,
}

impl Desk {
    /// With a database in its home.
    pub(crate) fn new() -> Self {
        Self::with(|home| (home.join("jobs.db").to_str().unwrap().to_owned(), None))
    }

    /// With a database and a folder for logs that others share.
    pub(crate) fn sharing(database: &str, logs: &Path) -> Self {
        Self::with(|_| (database.to_owned(), Some(format!("file://{}", logs.display()))))
    }

    fn with(place: impl FnOnce(&Path) -> (String, Option<String>)) -> Self {
        let home = TempDir::new().unwrap();
        let archive = home.path().join("probe.tar");
        std::fs::write(&archive, longshore_probe::image_archive(IMAGE)).unwrap();
        let folder = home.path().display();
        let config = format!(
            "[hosts.here]\nexecutor = \"embedded\"\ndefault = true\nallow = {{ image_folders = [\"{folder}\"] }}\n"
        );
        std::fs::write(home.path().join("longshore.toml"), config).unwrap();
        let (database, logs) = place(home.path());
        Self { image: format!("docker-archive:{}", archive.display()), database, logs, home }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A path as it is typed.
    pub(crate) fn word(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// `longshore WORDS…` over the desk's database and configuration.
    pub(crate) fn longshore(&self, words: &[&str]) -> Run<'static> {
        let run = Run::new(words, self.home.path()).env("LONGSHORE_CONFIG", self.path("longshore.toml"));
        let run = run.env("LONGSHORE_DATABASE", &self.database).env("USER", "ann");
        self.logs.iter().fold(run, |run, logs| run.env("LONGSHORE_LOGS", logs))
    }

    /// The same, to its end, which must be a good one; what it prints.
    pub(crate) async fn does(&self, words: &[&str]) -> String {
        self.longshore(words).finish().await.exited(0).to_owned()
    }

    /// What a command prints as JSON.
    pub(crate) async fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        self.longshore(&words).finish().await.json()
    }

    /// Hands a job of the probe in, and returns its id.
    pub(crate) async fn submit(&self, options: &[&str], instructions: &[&str]) -> String {
        let words = [&["submit"], options, &[&self.image, "--"], instructions].concat();
        self.does(&words).await.trim().to_owned()
    }

    /// `longshore run` of the probe.
    pub(crate) fn run(&self, options: &[&str], instructions: &[&str]) -> Run<'static> {
        self.longshore(&[&["run", "-q"], options, &[&self.image, "--"], instructions].concat())
    }

    /// Dispatches until nothing is left to do.
    pub(crate) async fn dispatch_all(&self) -> Done {
        let done = self.longshore(&["dispatch", "--once"]).finish().await;
        done.exited(0);
        done
    }

    /// All that is kept of a job.
    pub(crate) async fn job(&self, id: &str) -> Value {
        self.json(&["jobs", "show", id]).await
    }

    /// What a job has written, from where its log is kept.
    pub(crate) async fn log(&self, id: &str) -> String {
        self.does(&["jobs", "logs", id]).await
    }
}
