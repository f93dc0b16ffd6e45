//! A copy of an image's layers as one folder, for hosts without overlayfs.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Uid, XattrFlags, fgetxattr,
        flistxattr, fsetxattr, fstat, ioctl_ficlone, linkat, mkdirat, mknodat, openat, openat2, readlinkat, symlinkat,
    },
    io::{Errno, Result},
};
use std::{
    collections::HashMap,
    ffi::CStr,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::unpack::{
    Whiteouts,
    root::{Attributes, clear, is_whiteout, kind, look},
};

/// Copies layers, the lowest first, one over the other into a folder that is there and empty. What a layer marks as
/// gone is gone; owners, modes, times, hard links and extended attributes are kept, and contents shared with the
/// original where the file system can.
///
/// # Errors
/// What the operating system said. The target then holds a part.
pub(crate) fn flatten(layers: &[PathBuf], target: &Path, whiteouts: Whiteouts) -> io::Result<()> {
    let mut copy = Copy { target: open_root(target)?, whiteouts, folders: HashMap::new() };
    for layer in layers {
        copy.add(&open_root(layer)?)?;
    }
    copy.finish().map_err(io::Error::from)
}

struct Copy {
    target: OwnedFd,
    whiteouts: Whiteouts,
    /// The folders, whose times are set at the end: what is made in them changes them.
    folders: HashMap<Vec<u8>, Attributes>,
}

/// A folder of a layer, and its copy.
struct Pair<'a> {
    path: &'a [u8],
    from: OwnedFd,
    to: OwnedFd,
}

/// Where a layer's files with several names were copied to first.
type Links = HashMap<(u64, u64), Vec<u8>>;

impl Copy {
    fn add(&mut self, layer: &OwnedFd) -> Result<()> {
        let mut links = Links::new();
        let mut waiting = vec![Vec::new()];
        while let Some(path) = waiting.pop() {
            let pair = Pair { path: &path, from: inside(layer, &path)?, to: inside(&self.target, &path)? };
            self.add_folder(&pair, &mut links, &mut waiting)?;
        }
        Ok(())
    }

    fn add_folder(&mut self, pair: &Pair<'_>, links: &mut Links, waiting: &mut Vec<Vec<u8>>) -> Result<()> {
        if is_opaque(&pair.from, self.whiteouts)? {
            clear_inside(&pair.to)?;
        }
        let attributes = attributes(&fstat(&pair.from)?);
        attributes.give(&pair.to)?;
        copy_xattrs(&pair.from, &pair.to)?;
        self.folders.insert(pair.path.to_vec(), attributes);
        for entry in Dir::read_from(&pair.from)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Some(found) = look(&pair.from, name.to_bytes())? else { continue };
            if kind(&found) == FileType::Directory {
                make_folder(&pair.to, name)?;
                waiting.push(joined(pair.path, name));
            } else {
                self.add_file(pair, name, &found, links)?;
            }
        }
        Ok(())
    }

    fn add_file(&self, pair: &Pair<'_>, name: &CStr, found: &Stat, links: &mut Links) -> Result<()> {
        clear(&pair.to, name.to_bytes())?;
        if is_whiteout(found) {
            return Ok(());
        }
        let number = (found.st_dev, found.st_ino);
        if let Some(first) = links.get(&number) {
            let (folder, first) = split(first);
            return linkat(inside(&self.target, folder)?, first, &pair.to, name, AtFlags::empty());
        }
        copy_one(pair, name, found)?;
        if found.st_nlink > 1 {
            links.insert(number, joined(pair.path, name));
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        for (path, attributes) in &self.folders {
            match inside(&self.target, path) {
                Ok(folder) => attributes.give_time(folder)?,
                // An upper layer has put something else there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open_root(path: &Path) -> Result<OwnedFd> {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens a folder below a root, on a way without links.
fn inside(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

fn joined(folder: &[u8], name: &CStr) -> Vec<u8> {
    if folder.is_empty() { name.to_bytes().to_vec() } else { [folder, b"/", name.to_bytes()].concat() }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.iter().rposition(|&byte| byte == b'/').map_or((b"", path), |at| (&path[..at], &path[at + 1..]))
}

fn attributes(of: &Stat) -> Attributes {
    Attributes {
        owner: Some((Uid::from_raw(of.st_uid), Gid::from_raw(of.st_gid))),
        mode: Mode::from_raw_mode(of.st_mode & 0o7777),
        modified: Timespec { tv_sec: of.st_mtime, tv_nsec: i64::try_from(of.st_mtime_nsec).unwrap_or(0) },
    }
}

fn is_opaque(folder: &OwnedFd, whiteouts: Whiteouts) -> Result<bool> {
    let mut value = [0_u8; 2];
    match fgetxattr(folder, whiteouts.opaque(), &mut value) {
        Ok(length) => Ok(value[..length] == *b"y"),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error),
    }
}

fn clear_inside(folder: &OwnedFd) -> Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            clear(folder, entry.file_name().to_bytes())?;
        }
    }
    Ok(())
}

fn make_folder(to: &OwnedFd, name: &CStr) -> Result<()> {
    let there = look(to, name.to_bytes())?;
    if there.is_some_and(|there| kind(&there) == FileType::Directory) {
        return Ok(());
    }
    clear(to, name.to_bytes())?;
    mkdirat(to, name, Mode::RWXU)
}

fn copy_one(pair: &Pair<'_>, name: &CStr, found: &Stat) -> Result<()> {
    let attributes = attributes(found);
    match kind(found) {
        FileType::RegularFile => copy_file(pair, name, &attributes),
        FileType::Symlink => {
            symlinkat(readlinkat(&pair.from, name, Vec::new())?, &pair.to, name)?;
            attributes.give_at(&pair.to, name.to_bytes(), true)
        }
        FileType::Fifo | FileType::Socket => {
            mknodat(&pair.to, name, kind(found), Mode::RUSR | Mode::WUSR, 0)?;
            attributes.give_at(&pair.to, name.to_bytes(), false)
        }
        // A container gets its devices from its runtime.
        _ => Ok(()),
    }
}

fn copy_file(pair: &Pair<'_>, name: &CStr, attributes: &Attributes) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut from = File::from(openat(&pair.from, name, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut to = File::from(openat(&pair.to, name, flags, Mode::RUSR | Mode::WUSR)?);
    if ioctl_ficlone(&to, &from).is_err() {
        // The standard library has the kernel copy where it can.
        io::copy(&mut from, &mut to).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    }
    attributes.give(&to)?;
    copy_xattrs(&from, &to)?;
    attributes.give_time(&to)
}

/// Copies the extended attributes that mean something to programs; what they say to overlayfs has been done.
fn copy_xattrs(from: impl AsFd, to: impl AsFd) -> Result<()> {
    let mut names = Vec::with_capacity(64 * 1024);
    match flistxattr(&from, rustix::buffer::spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error),
    }
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        let mut value = Vec::with_capacity(64 * 1024);
        fgetxattr(&from, name, rustix::buffer::spare_capacity(&mut value))?;
        match fsetxattr(&to, name, &value, XattrFlags::empty()) {
            Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            set => set?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "flatten_tests.rs"]
mod tests;
