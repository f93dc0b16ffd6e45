//! Removing a folder with all that is in it, however deep it goes.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, chmodat, fchmod, openat, renameat_with, unlinkat},
    io::{Errno, Result},
};
use std::{ffi::CStr, path::Path};

use super::root::open_folder;

/// Removes a folder with all that is in it; that it is not there is fine. Links are not followed.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    match openat(CWD, parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => Ok(()),
        opened => remove_below(opened?, name.as_encoded_bytes()),
    }
}

/// Removes the folder of that name with all that is in it. Others may do the same at the same time.
///
/// Folders below are moved to the top of the tree and emptied there, one after the other, so that neither descriptors
/// nor the stack run out, whatever depth somebody's archive had.
pub(crate) fn remove_below(parent: impl AsFd, name: &[u8]) -> Result<()> {
    let top = match opened(&parent, name) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let mut tree = Tree { top, moved: 0 };
    loop {
        while tree.clear_top()? {}
        match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            done => return done,
        }
    }
}

struct Tree {
    top: OwnedFd,
    /// How many folders have been moved, which is what the next is called.
    moved: u64,
}

impl Tree {
    /// Removes what is at the top; true when something was there, so that there may be more now.
    fn clear_top(&mut self) -> Result<bool> {
        let mut found = false;
        for entry in Dir::read_from(&self.top)? {
            let entry = entry?;
            if is_self(entry.file_name()) {
                continue;
            }
            found = true;
            if !remove_one(&self.top, entry.file_name(), entry.file_type())? {
                self.lift(entry.file_name())?;
            }
        }
        Ok(found)
    }

    /// Empties a folder at the top, whose own folders move there, and removes it.
    fn lift(&mut self, name: &CStr) -> Result<()> {
        let folder = match opened(&self.top, name.to_bytes()) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            if !is_self(entry.file_name()) && !remove_one(&folder, entry.file_name(), entry.file_type())? {
                self.move_up(&folder, entry.file_name())?;
            }
        }
        match unlinkat(&self.top, name, AtFlags::REMOVEDIR) {
            // Gone, or filled again: the next look at the top tells.
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            done => done,
        }
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &CStr) -> Result<()> {
        loop {
            self.moved += 1;
            let free = format!("moved-{}", self.moved);
            match renameat_with(folder, name, &self.top, free, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                Err(Errno::NOENT) => return Ok(()),
                done => return done,
            }
        }
    }
}

fn is_self(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Opens a folder that may be closed even to its owner, and opens it to them.
fn opened(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let folder = match open_folder(&parent, name) {
        Err(Errno::ACCESS) => {
            chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?;
            open_folder(parent, name)?
        }
        opened => opened?,
    };
    // Root needs no permission, and whoever may not change it will hear so when something is removed.
    let _ = fchmod(&folder, Mode::RWXU);
    Ok(folder)
}

/// Removes what is no folder, or an empty one; false when it is a folder with something in it.
fn remove_one(folder: &OwnedFd, name: &CStr, kind: FileType) -> Result<bool> {
    if kind != FileType::Directory {
        match unlinkat(folder, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) if kind == FileType::Unknown => {}
            Err(Errno::NOENT) => return Ok(true),
            done => return done.map(|()| true),
        }
    }
    match unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(Errno::NOENT) => Ok(true),
        done => done.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mkdirat;
    use std::fs;

    #[test]
    fn a_tree_is_removed_and_what_its_links_lead_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, kept) = (folder.path().join("tree"), folder.path().join("kept"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(tree.join("moved-1/x")).unwrap();
        fs::write(tree.join("a/b/file"), "").unwrap();
        fs::write(&kept, "kept").unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("a/link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), tree.join("a/b/up")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
        remove_tree(&tree).unwrap();
        remove_tree(&tree.join("below/nothing")).unwrap();
    }

    #[test]
    fn a_tree_that_is_deeper_than_descriptors_go_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut current = open_folder(CWD, tree.as_os_str().as_encoded_bytes()).unwrap();
        for _ in 0..5000 {
            mkdirat(&current, "d", Mode::RWXU).unwrap();
            current = open_folder(&current, b"d").unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
