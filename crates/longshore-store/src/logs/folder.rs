//! A local folder, used so that what was written is still there after the power was cut.

use longshore_core::LaunchToken;
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::place::shard;

/// Makes the folder and what leads to it, each on disk before the next. Only this user may enter a folder made here: programs
/// print what they should not.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = parent_of(folder) {
        create(parent)?;
    }
    match make(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    parent_of(folder).map_or(Ok(()), sync)
}

fn parent_of(folder: &Path) -> Option<&Path> {
    folder.parent().filter(|parent| !parent.as_os_str().is_empty())
}

#[cfg(unix)]
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)
}

/// Sees to it that the entries of a folder are on disk.
#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

fn folder_of(root: &Path, token: LaunchToken) -> PathBuf {
    root.join(shard(token)).join(token.to_string())
}

/// Sees to it that the folders that lead to a token's chunks are on disk. Whoever writes a chunk syncs only the folders that it
/// made itself; another, who made them, may have died before it could.
pub(super) fn settle(root: &Path, token: LaunchToken) -> io::Result<()> {
    let settled = sync(&root.join(shard(token))).and_then(|()| sync(root));
    // A place that is not there says nothing of the log that was to be written to it.
    settled.map_err(|error| if error.kind() == ErrorKind::NotFound { io::Error::other(error) } else { error })
}

/// Removes everything from a token's folder but the names to be kept, half-written files too, and the folder when it is empty.
/// Returns how many files it removed.
pub(super) fn clear(root: &Path, token: LaunchToken, keep: impl Fn(&str) -> bool) -> io::Result<u64> {
    let folder = folder_of(root, token);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(&keep) {
            removed += u64::from(gone(fs::remove_file(entry.path()))?);
        }
    }
    match fs::remove_dir(&folder) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Err(error),
        _ => Ok(removed),
    }
}

fn gone(removal: io::Result<()>) -> io::Result<bool> {
    match removal {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        removal => removal.map(|()| true),
    }
}
