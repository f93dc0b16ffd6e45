//! One execution's folder, and what it tells of where the execution stands.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use uuid::Uuid;

use super::{Ended, Launched, Lock, Process, Started, StopWish, read};

/// One execution's folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Folder(PathBuf);

/// Where an execution stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is no such execution.
    Absent,
    /// Somebody is launching it.
    Launching,
    /// Whoever launched it is gone, and nothing was started: nor will it be, for the lock that it takes is gone too.
    Abandoned,
    /// It runs.
    Running(Started),
    /// It has ended.
    Ended(Started, Ended),
    /// Its supervisor is gone and has left no record of the end.
    Lost(Started),
}

impl Folder {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn launch_record(&self) -> PathBuf {
        self.0.join("launch.json")
    }

    pub(crate) fn supervisor_record(&self) -> PathBuf {
        self.0.join("supervisor.json")
    }

    pub(crate) fn start_record(&self) -> PathBuf {
        self.0.join(Self::STARTED)
    }

    pub(crate) fn exit_record(&self) -> PathBuf {
        self.0.join(Self::ENDED)
    }

    /// Where the record of the end is written, with room kept for it.
    pub(crate) fn exit_reserve(&self) -> PathBuf {
        self.0.join("exit.new")
    }

    pub(crate) fn mount_point(&self) -> PathBuf {
        self.0.join("mnt")
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.0.join("upper")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// The start of the names of wishes to stop it.
    pub(crate) const STOP: &'static str = "stop.";
    /// The record of the start.
    pub(crate) const STARTED: &'static str = "started.json";
    /// The record of the end.
    pub(crate) const ENDED: &'static str = "exit.json";

    /// Leaves a wish to stop it. All of it is in the name of an empty file, for which a full disk still has room.
    pub(crate) fn leave_stop(&self, wish: &StopWish) -> io::Result<()> {
        let name = format!("{}{}.{}", Self::STOP, wish.to_name(), Uuid::new_v4().simple());
        fs::File::options().write(true).create_new(true).mode(0o600).open(self.0.join(name)).map(drop)
    }

    /// What was asked, where it is there.
    pub(crate) fn launched(&self) -> io::Result<Option<Launched>> {
        read(&self.launch_record())
    }

    /// Where the execution stands.
    pub(crate) fn stage(&self) -> io::Result<Stage> {
        if let Some(ended) = self.ended()? {
            return Ok(ended);
        }
        // Before the records: what they do not say when nobody holds the lock, they never will.
        if !Lock::is_held(&self.lock())? {
            return self.stage_unlocked();
        }
        match (read(&self.start_record())?, read::<Process>(&self.supervisor_record())?) {
            (Some(started), _) => Ok(Stage::Running(started)),
            (None, Some(supervisor)) if !supervisor.is_living() => self.after(supervisor),
            (None, _) => Ok(Stage::Launching),
        }
    }

    /// A supervisor that was killed while it made the container leaves processes behind that hold the lock, and wait for it
    /// for ever.
    fn after(&self, supervisor: Process) -> io::Result<Stage> {
        supervisor.kill_group();
        drop(Lock::wait(&self.lock())?);
        self.stage_unlocked()
    }

    /// Where the execution stands, for whoever holds its lock.
    pub(crate) fn stage_unlocked(&self) -> io::Result<Stage> {
        if let Some(ended) = self.ended()? {
            return Ok(ended);
        }
        match read(&self.start_record())? {
            Some(started) => Ok(Stage::Lost(started)),
            // Without a record too: a launch puts a folder here whole, so that this one was left half removed.
            None if self.0.is_dir() => Ok(Stage::Abandoned),
            None => Ok(Stage::Absent),
        }
    }

    fn ended(&self) -> io::Result<Option<Stage>> {
        let Some(ended) = read(&self.exit_record())? else { return Ok(None) };
        let started = read(&self.start_record())?;
        Ok(started.map(|started| Stage::Ended(started, ended)))
    }

    /// Takes the folder out of sight under a name that no token has, so that it can be removed at leisure. `false` when
    /// it is not there any more. The caller holds its lock.
    pub(crate) fn bury(&self) -> io::Result<Option<Self>> {
        let name = format!(".gone.{}", Uuid::new_v4().simple());
        let grave = self.0.with_file_name(name);
        match fs::rename(&self.0, &grave) {
            Ok(()) => Ok(Some(Self(grave))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Exit, LogEnd, Used, record::Process, write_new};
    use jiff::Timestamp;

    fn started() -> Started {
        let process = Process { pid: 1, start: 2 };
        Started {
            version: 1,
            boot_id: "boot".to_owned(),
            supervisor: process,
            init: process,
            network: None,
            started_at: Timestamp::UNIX_EPOCH,
            cgroups: Vec::new(),
        }
    }

    fn ended() -> Ended {
        Ended {
            version: 1,
            exit: Exit::Code(0),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            stop: None,
            oom_kills: None,
            used: Used::default(),
            log: LogEnd::default(),
        }
    }

    #[test]
    fn the_stage_follows_the_records_and_the_lock() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().join("x"));
        assert_eq!(folder.stage().unwrap(), Stage::Absent);
        fs::create_dir(folder.path()).unwrap();
        let lock = Lock::try_new(&folder.lock()).unwrap().unwrap();
        assert_eq!(folder.stage().unwrap(), Stage::Launching);
        fs::write(folder.launch_record(), "{}").unwrap();
        drop(lock);
        assert_eq!(folder.stage().unwrap(), Stage::Abandoned);
        let lock = Lock::try_new(&folder.lock()).unwrap().unwrap();
        write_new(&folder.start_record(), &started()).unwrap();
        assert_eq!(folder.stage().unwrap(), Stage::Running(started()));
        drop(lock);
        assert_eq!(folder.stage().unwrap(), Stage::Lost(started()));
        write_new(&folder.exit_record(), &ended()).unwrap();
        assert_eq!(folder.stage().unwrap(), Stage::Ended(started(), ended()));
    }

    #[test]
    fn what_is_buried_is_absent() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().join("x"));
        fs::create_dir(folder.path()).unwrap();
        let grave = folder.bury().unwrap().unwrap();
        assert!(grave.path().exists() && folder.stage().unwrap() == Stage::Absent);
        assert_eq!(folder.bury().unwrap(), None);
    }
}
