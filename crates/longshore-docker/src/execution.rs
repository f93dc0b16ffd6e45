//! What this program holds of an execution while it takes part in it: the followed log, the notes, the sampling.

use longshore_core::{Clock, ExecutionHandle};
use std::{path::Path, sync::Arc};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    client::SharedEngine,
    logs::{Follower, Following, LogReader},
    mapping::labels::Metadata,
    notes::NotesFile,
    usage,
};

/// Ends its work when it is dropped; the container and what is on disk stay.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) logs: LogReader,
    pub(crate) notes: NotesFile,
    work: JoinHandle<()>,
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// The name of an execution's files. The container's id is in it, because a token may be used again after cleanup.
pub(crate) fn file_name(handle: &ExecutionHandle) -> String {
    let id: String = handle.external_execution_id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("{}-{id}", handle.token)
}

/// What is known of a container's start when its following begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It may be still to come.
    Nothing,
    /// It has happened.
    Started,
    /// It has happened this moment.
    JustStarted,
}

impl Execution {
    /// Begins to follow the log and to sample the usage of a container.
    pub(crate) fn follow(
        engine: &SharedEngine,
        handle: &ExecutionHandle,
        metadata: &Metadata,
        folder: &Path,
        clock: &Arc<dyn Clock>,
        known: Known,
    ) -> Self {
        let name = file_name(handle);
        let notes = NotesFile::new(folder, &name);
        let unbroken = known == Known::JustStarted;
        let (following, seen) = watch::channel(Following { unbroken, ..Following::default() });
        let (said, over) = watch::channel(false);
        let container = handle.external_execution_id.clone();
        let follower = Follower {
            engine: engine.clone(),
            container: container.clone(),
            folder: folder.to_owned(),
            name,
            cap: metadata.log_cap,
            driver: metadata.log_driver.clone(),
            launched_on: metadata.engine.clone(),
            clock: clock.clone(),
            started: (known != Known::Nothing).into(),
            following,
            over,
        };
        let work = tokio::spawn(work(engine.clone(), container.clone(), follower, notes.clone(), clock.clone()));
        Self { logs: LogReader::new(container, seen, said, clock.clone()), notes, work }
    }
}

async fn work(engine: SharedEngine, container: String, follower: Follower, notes: NotesFile, clock: Arc<dyn Clock>) {
    let sampling = usage::sample(&engine, &container, &notes, clock.as_ref());
    tokio::select! {
        () = follower.run() => {}
        () = async {
            sampling.await;
            std::future::pending::<()>().await;
        } => {}
    }
}
