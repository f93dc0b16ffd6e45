//! A layer's root folder: everything in it is made through descriptors that the kernel keeps inside.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, chmodat,
        chownat, fchmod, fchown, futimens, mkdirat, openat, openat2, statat, unlinkat, utimensat,
    },
    io::{Errno, Result},
};
use std::path::Path;

use super::remove::remove_below;

/// How often a walk is tried anew that somebody's renaming elsewhere on the system has disturbed.
const WALKS: usize = 128;
/// What a folder gets that no entry describes.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// Who owns something, who may use it, and when it was changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) owner: Option<(Uid, Gid)>,
    pub(crate) mode: Mode,
    pub(crate) modified: Timespec,
}

impl Attributes {
    fn times(&self) -> Timestamps {
        let untouched = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Timestamps { last_access: untouched, last_modification: self.modified }
    }

    /// Gives them to what is open. The owner comes first, because changing it drops the mode's special bits.
    pub(crate) fn give(&self, file: impl AsFd) -> Result<()> {
        if let Some((user, group)) = self.owner {
            fchown(&file, Some(user), Some(group))?;
        }
        fchmod(&file, self.mode)
    }

    /// Sets when it was changed, which is the last thing to do to it.
    pub(crate) fn give_time(&self, file: impl AsFd) -> Result<()> {
        futimens(file, &self.times())
    }

    /// Gives them to what has a name in a folder and is no folder; a symbolic link has no mode.
    pub(crate) fn give_at(&self, folder: impl AsFd, name: &[u8], is_link: bool) -> Result<()> {
        if let Some((user, group)) = self.owner {
            chownat(&folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if !is_link {
            chmodat(&folder, name, self.mode, AtFlags::empty())?;
        }
        utimensat(folder, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// The root folder of a layer.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// The folder at the place, links followed as if the layer's root were the machine's.
    pub(crate) fn folder(&self, path: &[u8]) -> Result<OwnedFd> {
        self.walk(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// The same, with the folders made that are missing.
    pub(crate) fn folder_made(&self, path: &[u8]) -> Result<OwnedFd> {
        match self.folder(path) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        let mut current = self.folder(b"")?;
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut begin = 0;
        for end in ends.chain([path.len()]) {
            current = match self.folder(&path[..end]) {
                Err(Errno::NOENT) => {
                    mkdirat(&current, &path[begin..end], FOLDER_MODE)?;
                    let made = open_folder(&current, &path[begin..end])?;
                    fchmod(&made, FOLDER_MODE)?;
                    self.folder(&path[..end])?
                }
                found => found?,
            };
            begin = end + 1;
        }
        Ok(current)
    }

    /// The folder itself, not a link to it, opened so that its attributes can be set.
    pub(crate) fn own_folder(&self, path: &[u8]) -> Result<OwnedFd> {
        self.walk(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
    }

    fn walk(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..WALKS {
            match openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), within) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// Opens the folder of that name, which is no link.
pub(crate) fn open_folder(folder: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// What has the name in the folder, links not followed.
pub(crate) fn look(folder: impl AsFd, name: &[u8]) -> Result<Option<Stat>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn kind(of: &Stat) -> FileType {
    FileType::from_raw_mode(of.st_mode)
}

/// True for the mark that overlayfs takes for "gone": a character device without numbers.
pub(crate) fn is_whiteout(of: &Stat) -> bool {
    kind(of) == FileType::CharacterDevice && of.st_rdev == 0
}

/// Removes what has the name in the folder, with everything below it.
pub(crate) fn clear(folder: impl AsFd, name: &[u8]) -> Result<()> {
    match unlinkat(&folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => remove_below(folder, name),
        done => done,
    }
}
