//! One execution, by its folder: how it stands, its log, its end.

use longshore_core::{
    Clock, Error, ErrorKind, ExecutionHandle, ExecutionStatus, Harvest, LogCompleteness, LogCursor, LogPage, LogQuery,
    LogSummary, Result, StopRequest, Termination, Usage,
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::{io, sync::Arc, time::Duration};

use crate::{
    blocking::blocking,
    helper::Helpers,
    logs::{self, Place},
    mapping::end,
    remove,
    state::{Ended, Folder, Home, Lock, RuntimeId, Stage, Started, StopWish, boot_id},
    supervisor::{Task, clear_cgroups, has_ended, remove_cgroups},
    watch::{Bell, Watch, Watcher},
};

/// The version of the handles that are given out.
pub(crate) const HANDLE_VERSION: u32 = 1;

/// What a handle remembers beside its token. The first handles had none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// The runtime that has the execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runtime: Option<RuntimeId>,
}

impl Metadata {
    pub(crate) fn of(handle: &ExecutionHandle) -> Self {
        Self::deserialize(&handle.executor_metadata).unwrap_or_default()
    }

    pub(crate) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// How often a stop looks whether it has had its effect, when it hears of nothing.
const LOOK: Duration = Duration::from_secs(1);
/// How long the last process of a container may take to end once it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// One execution, and what is needed to look at it.
pub(crate) struct Execution<'a> {
    pub(crate) home: &'a Home,
    pub(crate) watcher: &'a Watcher,
    pub(crate) helpers: &'a Helpers,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) handle: &'a ExecutionHandle,
}

impl Execution<'_> {
    fn folder(&self) -> Folder {
        self.home.execution(self.handle.token)
    }

    pub(crate) async fn stage(&self) -> Result<Stage> {
        let folder = self.folder();
        blocking(move || folder.stage()).await.map_err(|error| self.home.unusable(error))
    }

    pub(crate) async fn status(&self) -> Result<ExecutionStatus> {
        match self.stage().await? {
            Stage::Absent | Stage::Abandoned => Ok(ExecutionStatus::NotFound),
            Stage::Launching => Ok(ExecutionStatus::Pending),
            Stage::Running(started) => Ok(ExecutionStatus::Running { started_at: Some(started.started_at) }),
            Stage::Ended(_, ended) => Ok(ExecutionStatus::Terminated(end::termination(&ended))),
            Stage::Lost(started) => self.lost(started).await.map(ExecutionStatus::Terminated),
        }
    }

    /// A container whose supervisor is gone dies with it; that it has is made sure of before it is said.
    async fn lost(&self, started: Started) -> Result<Termination> {
        let boot = boot_id().map_err(|error| self.home.unusable(error))?;
        let termination = end::lost(&started, &boot);
        blocking(move || end_lost(&started)).await.map_err(|error| {
            let message = "a container without its supervisor can't be ended";
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        Ok(termination)
    }

    fn watch(&self) -> Result<Watch> {
        self.watcher.watch(self.folder().path(), &Arc::new(Bell::default())).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound { self.not_found() } else { self.home.unusable(error) }
        })
    }

    /// Leaves the wish, rings the supervisor's bell, and waits for the end.
    pub(crate) async fn stop(&self, stop: &StopRequest) -> Result<Termination> {
        let watch = self.watch()?;
        let mut asked = false;
        loop {
            match self.stage().await? {
                Stage::Absent | Stage::Abandoned => return Err(self.not_found()),
                Stage::Ended(_, ended) => return Ok(end::termination(&ended)),
                Stage::Lost(started) => return self.lost(started).await,
                Stage::Running(started) if !asked => {
                    asked = true;
                    self.ask(&started, stop)?;
                    continue;
                }
                Stage::Running(_) | Stage::Launching => {}
            }
            // The kernel rings for the end of a supervisor just before it gives up the lock: news alone is not enough.
            tokio::select! {
                () = watch.bell().rung() => {}
                () = self.clock.sleep(LOOK) => {}
            }
        }
    }

    fn ask(&self, started: &Started, stop: &StopRequest) -> Result<()> {
        let wish = StopWish { reason: stop.reason, grace: stop.grace };
        let rung = self.folder().leave_stop(&wish).and_then(|()| started.supervisor.signal(Signal::USR1));
        match rung {
            Ok(_) => Ok(()),
            // It is ending, or has been cleaned up: the next look tells.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                let message = "the supervisor can't be asked to stop the container";
                Err(Error::new(ErrorKind::Unavailable, message).with_source(error))
            }
        }
    }

    pub(crate) async fn logs(&self, query: &LogQuery) -> Result<LogPage> {
        let from = self.place(query.cursor.as_ref())?;
        let watch = if query.wait.is_zero() { None } else { Some(self.watch()?) };
        let began = self.clock.now();
        loop {
            let page = self.page(from, query.max_bytes).await?;
            let left = query.wait.saturating_sub(longshore_core::clock::since(self.clock.now(), began));
            let Some(watch) =
                watch.as_ref().filter(|_| page.records.is_empty() && page.ended.is_none() && !left.is_zero())
            else {
                return Ok(page);
            };
            tokio::select! {
                () = watch.bell().rung() => {}
                () = self.clock.sleep(left) => {}
            }
        }
    }

    /// What is there now. The stage is looked at first: what is written before an end is there when the end is.
    async fn page(&self, from: Place, max_bytes: usize) -> Result<LogPage> {
        let stage = self.stage().await?;
        if matches!(stage, Stage::Absent | Stage::Abandoned) {
            return Err(self.not_found());
        }
        let folder = self.folder();
        let read = blocking(move || logs::read(&folder, from, max_bytes)).await;
        let (records, next) = match read {
            Ok(read) => read,
            // A launch that is under way has no log yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), from),
            Err(error) => return Err(self.unreadable(from, error)),
        };
        let cursor = self.cursor(next);
        if !records.is_empty() {
            // Whether this is the end, the next page tells, unless nothing can be left.
            let over = matches!(&stage, Stage::Ended(_, ended) if next.read() == (ended.log.stdout_bytes, ended.log.stderr_bytes));
            if !over {
                return Ok(LogPage::open(records, cursor));
            }
        }
        Ok(match self.completeness(&stage, next)? {
            Some(completeness) => LogPage::last(records, cursor, completeness),
            None => LogPage::open(records, cursor),
        })
    }

    /// How complete the log is, of an execution that has ended, when nothing comes after the place.
    fn completeness(&self, stage: &Stage, last: Place) -> Result<Option<LogCompleteness>> {
        Ok(match stage {
            Stage::Ended(_, ended) => Some(self.summary(ended, last)?.completeness),
            Stage::Lost(_) => Some(cut_off()),
            _ => None,
        })
    }

    fn summary(&self, ended: &Ended, last: Place) -> Result<LogSummary> {
        let launched =
            self.folder().launched().map_err(|error| self.home.unusable(error))?.ok_or_else(|| self.not_found())?;
        Ok(end::log_summary(&ended.log, launched.log_cap, last.read()))
    }

    pub(crate) async fn harvest(&self) -> Result<Harvest> {
        match self.stage().await? {
            Stage::Absent | Stage::Abandoned => Err(self.not_found()),
            Stage::Launching | Stage::Running(_) => {
                Err(still_running("the container still runs; wait for its end or stop it first"))
            }
            Stage::Ended(_, ended) => {
                let termination = end::termination(&ended);
                let logs = self.summary(&ended, self.end_of_log().await?)?;
                let usage = end::usage(&ended, termination.run_time().unwrap_or_default());
                Ok(Harvest::new(termination, logs, usage))
            }
            Stage::Lost(started) => {
                let (stdout, stderr) = self.end_of_log().await?.read();
                let logs = LogSummary::new(cut_off(), stdout, stderr);
                Ok(Harvest::new(self.lost(started).await?, logs, Usage::default()))
            }
        }
    }

    async fn end_of_log(&self) -> Result<Place> {
        let folder = self.folder();
        match blocking(move || logs::end(&folder)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::default()),
            other => other.map_err(|error| self.home.unusable(error)),
        }
    }

    pub(crate) async fn cleanup(&self) -> Result<()> {
        loop {
            match self.stage().await? {
                Stage::Absent => return Ok(()),
                Stage::Launching | Stage::Running(_) => {
                    return Err(still_running("the container still runs; stop it first"));
                }
                Stage::Lost(started) => drop(self.lost(started).await?),
                Stage::Ended(..) | Stage::Abandoned => {}
            }
            let folder = self.folder();
            let buried = blocking(move || take_out(&folder)).await.map_err(|error| self.home.unusable(error))?;
            // Otherwise somebody else has taken it out: what has come in its place, if anything, the next look tells.
            if let Some((grave, lock)) = buried {
                let removed = remove_folder(self.helpers, grave).await;
                drop(lock);
                return removed.map_err(|error| self.home.unusable(error));
            }
        }
    }

    fn place(&self, cursor: Option<&LogCursor>) -> Result<Place> {
        let Some(cursor) = cursor else { return Ok(Place::default()) };
        let ours = cursor.as_str().split_once(':').filter(|(mark, _)| *mark == self.handle.token.to_string());
        ours.and_then(|(_, place)| place.parse().ok()).ok_or_else(alien_cursor)
    }

    fn cursor(&self, place: Place) -> LogCursor {
        LogCursor::new(format!("{}:{place}", self.handle.token))
    }

    fn unreadable(&self, from: Place, error: io::Error) -> Error {
        let beyond = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput);
        if beyond && from != Place::default() { alien_cursor() } else { self.home.unusable(error) }
    }

    fn not_found(&self) -> Error {
        Error::new(ErrorKind::NotFound, "there is no such execution").with_context("token", self.handle.token)
    }
}

fn cut_off() -> LogCompleteness {
    LogCompleteness::Missing { reason: "the supervisor ended before the program's output did".to_owned() }
}

fn alien_cursor() -> Error {
    Error::new(ErrorKind::Invalid, "the cursor is not one of this log; read from the beginning")
}

fn still_running(message: &str) -> Error {
    Error::new(ErrorKind::StillRunning, message)
}

/// Ends a container whose supervisor is gone, sees it end, and removes its control groups. Of another boot nothing lives.
pub(crate) fn end_lost(started: &Started) -> io::Result<()> {
    if started.boot_id != boot_id()? {
        return Ok(());
    }
    for process in [Some(started.init), started.network].into_iter().flatten() {
        match process.signal(Signal::KILL) {
            Ok(process) if !has_ended(&process, PATIENCE)? => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // What is left of them, the cleanup removes.
    let _ = remove_cgroups(&started.cgroups);
    Ok(())
}

/// Takes an ended execution's folder out of sight, once its supervisor has let go of it; `None` when somebody else has.
fn take_out(folder: &Folder) -> io::Result<Option<(Folder, Lock)>> {
    let lock = match Lock::wait(&folder.lock()) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Only now nobody else can put another in its place.
    if matches!(folder.stage_unlocked()?, Stage::Absent) {
        return Ok(None);
    }
    bury(folder, lock)
}

/// Takes a folder out of sight whose lock is held, and removes the control groups of what was in it.
pub(crate) fn bury(folder: &Folder, lock: Lock) -> io::Result<Option<(Folder, Lock)>> {
    if let Some(group) = folder.launched().ok().flatten().and_then(|launched| launched.cgroup) {
        clear_cgroups(&group, PATIENCE)?;
    }
    Ok(folder.bury()?.map(|grave| (grave, lock)))
}

/// Removes a folder, as whoever its files belong to. The record of whose it is goes last: until then it is collected by
/// its owner, should this be interrupted.
pub(crate) async fn remove_folder(helpers: &Helpers, folder: Folder) -> io::Result<()> {
    let (path, parts) = (folder.path().to_owned(), [folder.mount_point(), folder.upper(), folder.work()]);
    let removed = blocking(move || {
        parts.iter().try_for_each(|part| remove::tree(part))?;
        remove::tree(&path)
    });
    match removed.await {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && helpers.identity.is_rootless() => {
            let task = Task::Remove(folder.path().to_owned());
            helpers.perform(&task, None).await.map(drop).map_err(io::Error::other)
        }
        other => other,
    }
}
