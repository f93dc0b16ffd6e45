//! An archive's entries, made one by one below a layer's root.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Uid, XattrFlags, fsetxattr, linkat, mkdirat, mknodat,
        openat, symlinkat,
    },
    io::Errno,
};
use std::{fs::File, io::Read};
use tar::{Entry, EntryType};

use super::{
    Options, Ownership,
    content::write_content,
    error::UnpackError,
    extended::Extended,
    names::{Mark, Place, mark},
    root::{Attributes, Root, clear, is_whiteout, kind, look, open_folder},
};

type Made = Result<(), UnpackError>;

/// A layer while it is unpacked.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    root: Root,
    options: &'a Options,
    /// When folders were changed, which is set at the end: what is made in them changes it.
    folders: Vec<(Vec<u8>, Attributes)>,
    pub(crate) bytes: u64,
    /// Entries that were left out: devices, which a container gets from its runtime.
    pub(crate) skipped: u64,
}

impl<'a> Layer<'a> {
    pub(crate) const fn new(root: Root, options: &'a Options) -> Self {
        Self { root, options, folders: Vec::new(), bytes: 0, skipped: 0 }
    }

    /// Makes what the entry describes.
    pub(crate) fn make(&mut self, entry: &mut Entry<'_, impl Read>, extended: &Extended) -> Made {
        let mut kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let name = entry.path_bytes().into_owned();
        // The oldest archives know no folders but by their names.
        if kind == EntryType::Regular && name.ends_with(b"/") {
            kind = EntryType::Directory;
        }
        let place = Place::parse(&name).map_err(|rule| UnpackError::refused(&name, rule))?;
        if place.is_root() {
            return self.make_root(kind, &name, entry, extended);
        }
        match mark(&place.name) {
            Mark::Ignored => Ok(()),
            Mark::Opaque => self.make_opaque(&place),
            Mark::Gone(gone) => self.make_gone(&place, gone),
            Mark::None => self.make_kind(kind, &place, entry, extended),
        }
    }

    /// Sets when folders were changed, now that nothing more is made in them.
    pub(crate) fn finish(self) -> Made {
        for (path, attributes) in self.folders.into_iter().rev() {
            match self.root.own_folder(&path) {
                Ok(folder) => attributes.give_time(folder).map_err(|error| UnpackError::system(&path, error))?,
                // Something else has taken the folder's place since.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(UnpackError::system(&path, error)),
            }
        }
        Ok(())
    }

    fn make_root(&mut self, kind: EntryType, name: &[u8], entry: &Entry<'_, impl Read>, extended: &Extended) -> Made {
        if !kind.is_dir() {
            return Err(UnpackError::refused(name, "the root of a layer is a folder"));
        }
        let attributes = self.attributes(name, entry, extended)?;
        let root = self.root.own_folder(b"").map_err(|error| UnpackError::system(name, error))?;
        self.give_folder(root, Vec::new(), attributes, extended)
    }

    fn make_kind(
        &mut self,
        kind: EntryType,
        place: &Place,
        entry: &mut Entry<'_, impl Read>,
        extended: &Extended,
    ) -> Made {
        match kind {
            EntryType::Directory => self.make_folder(place, entry, extended),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.make_file(place, entry, extended),
            EntryType::Link => self.make_hard_link(place, entry),
            EntryType::Symlink => self.make_link(place, entry, extended),
            EntryType::Fifo => self.make_pipe(place, entry, extended),
            EntryType::Char | EntryType::Block => {
                self.skipped += 1;
                Ok(())
            }
            other => {
                let rule = format!("no layer has entries of type {:?}", char::from(other.as_byte()));
                Err(UnpackError::refused(&place.path(), &rule))
            }
        }
    }

    fn make_opaque(&self, place: &Place) -> Made {
        let failed = |error| UnpackError::system(&place.folder, error);
        self.parent(place)?;
        let folder = self.root.folder(&place.folder).map_err(failed)?;
        let folder = open_folder(folder, b".").map_err(failed)?;
        self.mark_opaque(folder).map_err(failed)
    }

    fn mark_opaque(&self, folder: impl AsFd) -> Result<(), Errno> {
        fsetxattr(folder, self.options.whiteouts.opaque(), b"y", XattrFlags::empty())
    }

    /// Marks a name as gone from the layers below. What this layer itself has under the name stays, by the
    /// specification, and hides what is below; a folder does so when it is opaque.
    fn make_gone(&self, place: &Place, gone: &[u8]) -> Made {
        if matches!(gone, b"" | b"." | b"..") {
            return Err(UnpackError::refused(&place.path(), "a whiteout names what is gone"));
        }
        let parent = self.parent(place)?;
        let failed = |error| UnpackError::system(&place.path(), error);
        match look(&parent, gone).map_err(failed)? {
            None => mknodat(parent, gone, FileType::CharacterDevice, Mode::empty(), 0).map_err(failed),
            Some(own) if kind(&own) == FileType::Directory => {
                open_folder(parent, gone).and_then(|folder| self.mark_opaque(folder)).map_err(failed)
            }
            Some(_) => Ok(()),
        }
    }

    fn make_folder(&mut self, place: &Place, entry: &Entry<'_, impl Read>, extended: &Extended) -> Made {
        let failed = |error| UnpackError::system(&place.path(), error);
        let attributes = self.attributes(&place.path(), entry, extended)?;
        let parent = self.parent(place)?;
        let before = look(&parent, &place.name).map_err(failed)?;
        let is_folder = |found: &Stat| kind(found) == FileType::Directory;
        if !before.as_ref().is_some_and(is_folder) {
            clear(&parent, &place.name).map_err(failed)?;
            mkdirat(&parent, place.name.as_slice(), Mode::RWXU).map_err(failed)?;
        }
        let folder = open_folder(&parent, &place.name).map_err(failed)?;
        if before.as_ref().is_some_and(is_whiteout) {
            self.mark_opaque(&folder).map_err(failed)?;
        }
        self.give_folder(folder, place.path(), attributes, extended)
    }

    fn give_folder(&mut self, folder: OwnedFd, path: Vec<u8>, attributes: Attributes, extended: &Extended) -> Made {
        attributes
            .give(&folder)
            .and_then(|()| extended.give(folder))
            .map_err(|error| UnpackError::system(&path, error))?;
        self.folders.push((path, attributes));
        Ok(())
    }

    fn make_file(&mut self, place: &Place, entry: &mut Entry<'_, impl Read>, extended: &Extended) -> Made {
        let path = place.path();
        if extended.is_sparse {
            let rule = "sparse files are read in the old GNU form only; make the layer with `tar --format=gnu`";
            return Err(UnpackError::refused(&path, rule));
        }
        let attributes = self.attributes(&path, entry, extended)?;
        let parent = self.cleared(place)?;
        let failed = |error| UnpackError::system(&path, error);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(parent, place.name.as_slice(), flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        let file = File::from(file);
        let room = self.options.limit.map(|limit| limit.saturating_sub(self.bytes));
        self.bytes += write_content(entry, &file, &path, room)?;
        attributes.give(&file).map_err(failed)?;
        extended.give(&file).map_err(failed)?;
        attributes.give_time(&file).map_err(failed)
    }

    fn make_hard_link(&self, place: &Place, entry: &Entry<'_, impl Read>) -> Made {
        let path = place.path();
        let target = entry.link_name_bytes().unwrap_or_default();
        let target = Place::parse(&target).map_err(|rule| UnpackError::refused(&path, &format!("its link: {rule}")))?;
        let missing = || {
            let rule =
                format!("it links to {:?}, which this layer does not have", String::from_utf8_lossy(&target.path()));
            UnpackError::refused(&path, &rule)
        };
        if target.is_root() {
            return Err(missing());
        }
        if target == *place {
            return Ok(());
        }
        let from = match self.root.folder(&target.folder) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(missing()),
            opened => opened.map_err(|error| UnpackError::system(&path, error))?,
        };
        let found = look(&from, &target.name).map_err(|error| UnpackError::system(&path, error))?;
        let found = found.ok_or_else(missing)?;
        if kind(&found) == FileType::Directory {
            return Err(UnpackError::refused(&path, "it is a hard link to a folder"));
        }
        let parent = self.parent(place)?;
        if self.is_same(&parent, &place.name, &found)? {
            return Ok(());
        }
        clear(&parent, &place.name).map_err(|error| UnpackError::system(&path, error))?;
        match linkat(from, target.name.as_slice(), parent, place.name.as_slice(), AtFlags::empty()) {
            Err(Errno::NOENT) => Err(missing()),
            made => made.map_err(|error| UnpackError::system(&path, error)),
        }
    }

    /// True when the name is the found file already, by another way there.
    fn is_same(&self, parent: &OwnedFd, name: &[u8], found: &Stat) -> Result<bool, UnpackError> {
        let there = look(parent, name).map_err(|error| UnpackError::system(name, error))?;
        Ok(there.is_some_and(|there| (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino)))
    }

    fn make_link(&self, place: &Place, entry: &Entry<'_, impl Read>, extended: &Extended) -> Made {
        let path = place.path();
        let target = entry.link_name_bytes().unwrap_or_default();
        if target.is_empty() || target.contains(&0) {
            return Err(UnpackError::refused(&path, "a symbolic link leads somewhere"));
        }
        let attributes = self.attributes(&path, entry, extended)?;
        let parent = self.cleared(place)?;
        symlinkat(target.as_ref(), &parent, place.name.as_slice())
            .and_then(|()| attributes.give_at(parent, &place.name, true))
            .map_err(|error| UnpackError::system(&path, error))
    }

    fn make_pipe(&self, place: &Place, entry: &Entry<'_, impl Read>, extended: &Extended) -> Made {
        let path = place.path();
        let attributes = self.attributes(&path, entry, extended)?;
        let parent = self.cleared(place)?;
        mknodat(&parent, place.name.as_slice(), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .and_then(|()| attributes.give_at(parent, &place.name, false))
            .map_err(|error| UnpackError::system(&path, error))
    }

    /// The folder that the place is in, made if it is missing.
    fn parent(&self, place: &Place) -> Result<OwnedFd, UnpackError> {
        self.root.folder_made(&place.folder).map_err(|error| match error {
            Errno::EXIST | Errno::NOTDIR => UnpackError::refused(&place.path(), "what it lies in is no folder"),
            Errno::LOOP => UnpackError::refused(&place.path(), "the links on the way there go in a circle"),
            error => UnpackError::system(&place.path(), error),
        })
    }

    /// The same, with nothing at the place any more.
    fn cleared(&self, place: &Place) -> Result<OwnedFd, UnpackError> {
        let parent = self.parent(place)?;
        clear(&parent, &place.name).map_err(|error| UnpackError::system(&place.path(), error))?;
        Ok(parent)
    }

    fn attributes(
        &self,
        name: &[u8],
        entry: &Entry<'_, impl Read>,
        extended: &Extended,
    ) -> Result<Attributes, UnpackError> {
        let header = entry.header();
        let unreadable = |_| UnpackError::refused(name, "its owner, mode or time can't be read");
        let seconds = i64::try_from(header.mtime().map_err(unreadable)?).unwrap_or(i64::MAX);
        let owner = match self.options.ownership {
            Ownership::Flattened => None,
            Ownership::Kept => {
                let user = id(header.uid().map_err(unreadable)?).map(Uid::from_raw);
                let group = id(header.gid().map_err(unreadable)?).map(Gid::from_raw);
                let missing = || UnpackError::refused(name, "users and groups have numbers below 4294967295");
                Some((user.ok_or_else(missing)?, group.ok_or_else(missing)?))
            }
        };
        Ok(Attributes {
            owner,
            mode: Mode::from_raw_mode(header.mode().map_err(unreadable)? & 0o7777),
            modified: extended.modified.unwrap_or(Timespec { tv_sec: seconds, tv_nsec: 0 }),
        })
    }
}

/// A user's or group's number; the last of them means "unchanged" to the kernel, and is nobody's.
fn id(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|id| *id != u32::MAX)
}
