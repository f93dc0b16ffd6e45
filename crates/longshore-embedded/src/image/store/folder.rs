//! The store on disk: what lies where, and how it is written.

use longshore_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::image::{config::ImageConfig, digest::Digest, unpack::is_full};

/// The version of what lies where. A store of another version is not touched.
const VERSION: &str = "1";

/// The store's folder:
///
/// ```text
/// version
/// names/KEY.json, KEY.lock     what a name leads to; the lock is held by who finds that out
/// images/ID.json, ID.lock      an image; the lock is held (shared) by whoever uses it
/// layers/DIFF_ID/              an unpacked layer, locked (shared) by whoever is about to use it:
///     layer.json                   its size
///     diff/                        its files
/// tmp/…/                       what is being made, locked (shared) by its maker
/// ```
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    /// The digest of its configuration.
    pub(super) id: String,
    pub(super) config: ImageConfig,
    /// Its layers by their digests, the lowest first.
    pub(super) layers: Vec<String>,
}

/// What a name leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NameRecord {
    /// The name, for people.
    pub(super) name: String,
    /// The image's id.
    pub(super) image: String,
    /// What the name led to: the digest of an index, a manifest, or a configuration.
    pub(super) digest: String,
    /// The state of the file that the image was read from, by which a changed one is known.
    pub(super) file: Option<String>,
}

/// A layer that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerRecord {
    /// How many bytes its files have.
    pub(super) bytes: u64,
}

impl Folder {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn names(&self) -> PathBuf {
        self.0.join("names")
    }

    pub(super) fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.0.join("layers")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.0.join("tmp")
    }

    pub(super) fn collecting(&self) -> PathBuf {
        self.0.join("collect.lock")
    }

    /// A name's record, and beside it its lock.
    pub(super) fn name(&self, key: &str) -> (PathBuf, PathBuf) {
        record_and_lock(&self.names(), key)
    }

    /// An image's record, and beside it its lock.
    pub(super) fn image(&self, id: &Digest) -> (PathBuf, PathBuf) {
        record_and_lock(&self.images(), &id.file_name())
    }

    pub(super) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.file_name())
    }

    /// Makes the folder, or checks that it is a store of this version.
    pub(super) fn prepare(&self) -> Result<()> {
        let failed = |error| self.failed("can't be used", error);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for folder in [self.names(), self.images(), self.layers(), self.tmp()] {
            builder.create(folder).map_err(failed)?;
        }
        let path = self.0.join("version");
        if !path.exists() {
            self.write(&path, VERSION.as_bytes())?;
        }
        let found = fs::read_to_string(&path).map_err(failed)?;
        if found.trim() == VERSION {
            return Ok(());
        }
        let message = format!(
            "the image store {} is of version {:?}, and this program knows version {VERSION}; use the program that \
             made it, give this one a folder of its own, or remove the folder",
            self.0.display(),
            found.trim().chars().take(20).collect::<String>(),
        );
        Err(Error::new(ErrorKind::Unsupported, message).with_operation("prepare"))
    }

    /// A record; `None` when there is none, or none that can be read.
    pub(super) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        match fs::read(path) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("can't be read", error)),
        }
    }

    /// Writes a record, which is there as a whole or not at all, whenever the power fails.
    pub(super) fn write_record(&self, path: &Path, record: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(record).map_err(|error| self.failed("can't be written", error.into()))?;
        self.write(path, &text)
    }

    fn write(&self, path: &Path, text: &[u8]) -> Result<()> {
        let failed = |error| self.failed("can't be written", error);
        let mut file = tempfile::Builder::new().prefix("record-").tempfile_in(self.tmp()).map_err(failed)?;
        file.write_all(text).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        sync_parent(path).map_err(failed)
    }

    /// What went wrong with the store's files.
    pub(super) fn failed(&self, what: &str, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
            _ if is_full(&error) => ErrorKind::Capacity,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("the image store {} {what}", self.0.display()))
            .with_operation("prepare")
            .with_source(error)
    }
}

fn record_and_lock(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{name}.json")), folder.join(format!("{name}.lock")))
}

/// Makes sure that a name survives a power cut.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
