//! Unpacking a layer into a folder that overlayfs can lay over others.
//!
//! The archive is somebody else's. Whatever it says, nothing outside the folder is read, made or changed: folders are
//! opened by `openat2` with the layer as their root, and everything else is made relative to an open folder.

mod content;
mod entries;
mod error;
mod extended;
mod headers;
mod names;
#[cfg(test)]
mod random_tests;
mod remove;
pub(super) mod root;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    error::{UnpackError, is_full},
    remove::remove_tree,
};

use serde::{Deserialize, Serialize};
use std::{
    io::{self, Read},
    path::Path,
};

use self::{entries::Layer, extended::Extended, headers::Headers, root::Root};
use crate::image::digest::{Digest, HashingReader};

/// How overlayfs is told that a folder hides what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Whiteouts {
    /// By `trusted.*` attributes, which only root may set.
    Trusted,
    /// By `user.*` attributes, for an overlay that is mounted in a user namespace with `userxattr`.
    User,
}

impl Whiteouts {
    /// The attribute of a folder that hides what is below it.
    pub(crate) const fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }
}

/// To whom unpacked files belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ownership {
    /// To whom the archive says.
    Kept,
    /// All to whoever unpacks.
    Flattened,
}

/// How a layer is unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    /// How overlayfs is told what is hidden.
    pub(crate) whiteouts: Whiteouts,
    /// To whom the files belong.
    pub(crate) ownership: Ownership,
    /// The most bytes that the files may have together; without one, the disk's room is the bound.
    pub(crate) limit: Option<u64>,
}

/// A layer that was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unpacked {
    /// The digest of the archive without its compression, `sha256:…`.
    pub(crate) diff_id: String,
    /// How many bytes the files have together.
    pub(crate) bytes: u64,
    /// How many entries were left out, which are devices.
    pub(crate) skipped: u64,
}

/// Unpacks a layer (a tar archive, as it is or compressed by gzip or zstd) into a folder that is there and empty.
///
/// The blob is read to its end. After an error the folder holds what was unpacked until then.
///
/// # Errors
/// What the entry asked for that no layer may, or what was wrong with the archive or with the disk.
pub(crate) fn unpack(blob: impl Read, root: &Path, options: &Options) -> Result<Unpacked, UnpackError> {
    let root = Root::open(root).map_err(|error| UnpackError::system(root.as_os_str().as_encoded_bytes(), error))?;
    let plain = stream::decompressed(blob).map_err(|error| UnpackError::corrupt(&error))?;
    let (headers, watched) = Headers::of(HashingReader::new(plain, Digest::of(b"").hasher()));
    let mut archive = tar::Archive::new(watched);
    let mut layer = Layer::new(root, options);
    make_all(&mut archive, &headers, &mut layer)?;
    let mut rest = archive.into_inner().into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| UnpackError::corrupt(&error))?;
    let (bytes, skipped) = (layer.bytes, layer.skipped);
    layer.finish()?;
    Ok(Unpacked { diff_id: rest.finish().to_string(), bytes, skipped })
}

fn make_all<R: Read>(
    archive: &mut tar::Archive<headers::Watched<R>>,
    headers: &Headers,
    layer: &mut Layer<'_>,
) -> Result<(), UnpackError> {
    let corrupt = |error: io::Error| UnpackError::corrupt(&error);
    let mut entries = archive.entries().map_err(corrupt)?;
    loop {
        headers.begin();
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry.map_err(corrupt)?;
        let extended = Extended::from_records(headers.records().map_err(corrupt)?);
        headers.end();
        layer.make(&mut entry, &extended)?;
        io::copy(&mut entry, &mut io::sink()).map_err(corrupt)?;
    }
}
