//! The files that a simulated container sees.

use bytes::Bytes;
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
    room: Option<u64>,
}

/// A tree of files in memory. Like a kernel it knows nothing of what the bytes mean; unlike one it asks nobody for
/// permissions.
#[derive(Clone)]
pub(crate) struct Files {
    files: BTreeMap<String, Bytes>,
    folders: BTreeSet<String>,
    volumes: Vec<Volume>,
}

impl Files {
    /// What every container sees, on a root with so many bytes of room.
    pub(crate) fn new(read_only: bool, room: Option<u64>) -> Self {
        let root = Volume { target: "/".to_owned(), read_only, room };
        let folders = PLATFORM.map(str::to_owned).into_iter().collect();
        Self { files: BTreeMap::new(), folders, volumes: vec![root] }
    }

    /// Makes a folder, and those above it.
    pub(crate) fn add_folder(&mut self, path: &str) {
        for (at, _) in path.match_indices('/').skip(1) {
            self.folders.insert(path[..at].to_owned());
        }
        self.folders.insert(path.to_owned());
    }

    /// Mounts something of its own at the path, with so many bytes of room.
    pub(crate) fn mount(&mut self, target: &str, read_only: bool, room: Option<u64>) {
        self.add_folder(target);
        self.volumes.push(Volume { target: target.to_owned(), read_only, room });
    }

    /// Puts a file there, whatever the rules of the place are.
    pub(crate) fn place(&mut self, path: &str, bytes: Bytes) {
        if let Some((folder, _)) = path.rsplit_once('/').filter(|(folder, _)| !folder.is_empty()) {
            self.add_folder(folder);
        }
        self.files.insert(path.to_owned(), bytes);
    }

    pub(crate) fn is_folder(&self, path: &str) -> bool {
        self.folders.contains(path)
    }

    pub(crate) fn read(&self, path: &str) -> Result<Bytes, Refusal> {
        if self.is_folder(path) {
            return Err(IS_FOLDER);
        }
        self.files.get(path).cloned().ok_or(NO_SUCH)
    }

    pub(crate) fn write(&mut self, path: &str, bytes: &[u8], append: bool) -> Result<(), Refusal> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = if folder.is_empty() { "/" } else { folder };
        if self.is_folder(path) {
            return Err(IS_FOLDER);
        }
        if !self.is_folder(folder) {
            return Err(NO_SUCH);
        }
        let place = self.volume_of(path);
        let (read_only, room) = self.volumes.get(place).map_or((true, None), |it| (it.read_only, it.room));
        if read_only {
            return Err(READ_ONLY);
        }
        let before = self.files.get(path).cloned().unwrap_or_default();
        let kept: &[u8] = if append { &before } else { &[] };
        let used = self.used(place) - before.len() as u64;
        let length = (kept.len() + bytes.len()) as u64;
        if room.is_some_and(|room| used + length > room) {
            return Err(NO_SPACE);
        }
        self.files.insert(path.to_owned(), [kept, bytes].concat().into());
        Ok(())
    }

    /// The last volume whose target is the path's longest beginning.
    fn volume_of(&self, path: &str) -> usize {
        let fits = |volume: &Volume| {
            let target = volume.target.trim_end_matches('/');
            path.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let fitting = self.volumes.iter().enumerate().filter(|(_, volume)| fits(volume));
        fitting.max_by_key(|(_, volume)| volume.target.len()).map_or(0, |(at, _)| at)
    }

    fn used(&self, volume: usize) -> u64 {
        let inside = self.files.iter().filter(|(path, _)| self.volume_of(path) == volume);
        inside.map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// The path from the root, without `.`, `..` and doubled slashes.
pub(crate) fn absolute(working_directory: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{working_directory}/{path}") };
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut files = Files::new(false, None);
        assert_eq!(files.read("/tmp/a"), Err(NO_SUCH));
        files.write("/tmp/a", b"one\n", false).unwrap();
        files.write("/tmp/a", b"two\n", true).unwrap();
        assert_eq!(files.read("/tmp/a").unwrap(), "one\ntwo\n");
        files.write("/tmp/a", b"three\n", false).unwrap();
        assert_eq!(files.read("/tmp/a").unwrap(), "three\n");
        files.write("/in-the-root", b"", false).unwrap();
    }

    #[test]
    fn what_a_kernel_refuses_is_refused() {
        let mut files = Files::new(true, None);
        files.mount("/scratch", false, Some(10));
        files.mount("/scratch/fixed", true, None);
        files.place("/scratch/fixed/file", Bytes::from_static(b"placed"));
        assert_eq!(files.read("/etc"), Err(IS_FOLDER));
        assert_eq!(files.write("/etc", b"", false), Err(IS_FOLDER));
        assert_eq!(files.write("/no/such/folder", b"", false), Err(NO_SUCH));
        assert_eq!(files.write("/etc/passwd", b"", false), Err(READ_ONLY));
        assert_eq!(files.write("/scratch/fixed/file", b"", false), Err(READ_ONLY));
        assert_eq!(files.write("/scratch/a", b"12345678901", false), Err(NO_SPACE));
        files.write("/scratch/a", b"1234567890", false).unwrap();
        files.write("/scratch/a", b"0987654321", false).unwrap();
        assert_eq!(files.write("/scratch/a", b"1", true), Err(NO_SPACE));
        assert_eq!(files.write("/scratch/b", b"1", false), Err(NO_SPACE));
        assert_eq!(files.read("/scratch/fixed/file").unwrap(), "placed");
    }

    #[test]
    fn paths_are_made_absolute() {
        for (folder, path, expected) in [
            ("/", "a", "/a"),
            ("/a/b", "../c", "/a/c"),
            ("/a", "/b//c/.", "/b/c"),
            ("/", "../..", "/"),
            ("/a", ".", "/a"),
        ] {
            assert_eq!(absolute(folder, path), expected);
        }
    }
}
