//! The files that a simulated container sees.

use std::collections::{BTreeMap, BTreeSet};

/// Why a file can't be read or written, as a Linux program would say it.
pub(crate) type Refusal = &'static str;

const NO_SUCH: Refusal = "No such file or directory (os error 2)";
const IS_FOLDER: Refusal = "Is a directory (os error 21)";
const NO_SPACE: Refusal = "No space left on device (os error 28)";
const READ_ONLY: Refusal = "Read-only file system (os error 30)";

/// The folders that every platform makes, whatever the image holds.
const PLATFORM: [&str; 5] = ["/", "/dev", "/etc", "/proc", "/tmp"];

/// A part of the tree with rules of its own.
#[derive(Clone)]
struct Volume {
    target: String,
    read_only: bool,
    /// In bytes.
    room: Option<u64>,
}

/// A tree of files in memory. It asks nobody for permissions.
#[derive(Clone)]
pub(crate) struct Files {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    volumes: Vec<Volume>,
}

impl Files {
    /// What every container sees, on a root that can be written.
    pub(crate) fn new() -> Self {
        let folders = PLATFORM.map(str::to_owned).into_iter().collect();
        Self { files: BTreeMap::new(), folders, volumes: Vec::new() }
    }

    /// Mounts something of its own at the path, with so many bytes of room.
    pub(crate) fn mount(&mut self, target: &str, read_only: bool, room: Option<u64>) {
        self.add_folder(target);
        self.volumes.push(Volume { target: target.to_owned(), read_only, room });
    }

    /// Puts a file there, whatever the rules of the place are.
    pub(crate) fn place(&mut self, path: &str, bytes: Vec<u8>) {
        if let Some((folder, _)) = path.rsplit_once('/').filter(|(folder, _)| !folder.is_empty()) {
            self.add_folder(folder);
        }
        self.files.insert(path.to_owned(), bytes);
    }

    pub(crate) fn is_folder(&self, path: &str) -> bool {
        self.folders.contains(path)
    }

    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Refusal> {
        if self.is_folder(path) {
            return Err(IS_FOLDER);
        }
        self.files.get(path).cloned().ok_or(NO_SUCH)
    }

    pub(crate) fn write(&mut self, path: &str, bytes: &[u8], append: bool) -> Result<(), Refusal> {
        let folder = path.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| !folder.is_empty());
        if self.is_folder(path) {
            return Err(IS_FOLDER);
        }
        if !self.is_folder(folder.unwrap_or("/")) {
            return Err(NO_SUCH);
        }
        let before = self.files.get(path).filter(|_| append).cloned().unwrap_or_default();
        let whole = [before.as_slice(), bytes].concat();
        self.has_room_for(path, whole.len())?;
        self.files.insert(path.to_owned(), whole);
        Ok(())
    }

    fn has_room_for(&self, path: &str, length: usize) -> Result<(), Refusal> {
        let Some(volume) = self.volume_of(path) else { return Ok(()) };
        if volume.read_only {
            return Err(READ_ONLY);
        }
        let others = self.files.iter().filter(|(other, _)| *other != path && is_below(other, &volume.target));
        let used: usize = others.map(|(_, bytes)| bytes.len()).sum();
        if volume.room.is_some_and(|room| (used + length) as u64 > room) {
            return Err(NO_SPACE);
        }
        Ok(())
    }

    /// The volume whose target is the path's longest beginning.
    fn volume_of(&self, path: &str) -> Option<&Volume> {
        let fitting = self.volumes.iter().filter(|volume| is_below(path, &volume.target));
        fitting.max_by_key(|volume| volume.target.len())
    }

    /// Makes a folder, and those above it.
    fn add_folder(&mut self, path: &str) {
        for (at, _) in path.match_indices('/').skip(1) {
            self.folders.insert(path[..at].to_owned());
        }
        self.folders.insert(path.to_owned());
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path from the root, without `.`, `..` and doubled slashes.
pub(crate) fn absolute(working_directory: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{working_directory}/{path}") };
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
