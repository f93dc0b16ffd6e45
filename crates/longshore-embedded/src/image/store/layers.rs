//! Layers: unpacked out of sight, checked, and then there as a whole.

use longshore_core::{Error, ErrorKind, Progress, Result};
use std::{
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Shared,
    folder::{Folder, LayerRecord, sync_parent},
    holds::{Hold, take},
};
use crate::image::{
    digest::Digest,
    manifest::Layer,
    source::{FeedError, Source},
    unpack::Unpacked,
    unpacker::blocking,
};

/// Keeps a layer where it is for as long as it is held.
pub(super) type Pin = File;

/// A folder in which something is made, known by its lock to have a living maker. Without one, it is removed with the
/// next sweep.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) path: PathBuf,
    lock: File,
}

impl Staging {
    pub(super) fn make(folder: &Folder) -> Result<Self> {
        let failed = |error| folder.failed("has no room to work in", error);
        loop {
            let made = tempfile::Builder::new().prefix("layer-").tempdir_in(folder.tmp()).map_err(failed)?;
            let path = made.keep();
            // A sweep may have seen the folder before it was locked, and taken it for a dead maker's.
            match take(&path, Hold::Shared) {
                Ok(Some(lock)) => return Ok(Self { path, lock }),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Where the layer's files are made.
    pub(super) fn files(&self) -> PathBuf {
        self.path.join("diff")
    }
}

impl Shared {
    /// Has the layer there, and keeps it there.
    pub(super) async fn layer(
        self: Arc<Self>,
        source: Arc<dyn Source>,
        layer: Layer,
        progress: Progress,
    ) -> Result<Pin> {
        loop {
            if let Some(pin) = self.pinned(&layer.diff_id).await? {
                return Ok(pin);
            }
            let (folder, diff_id) = (self.folder.clone(), layer.diff_id.clone());
            let staging = blocking(move || staged(&folder)).await?;
            let path = staging.path.clone();
            match self.make(source.as_ref(), &layer, &progress, staging).await {
                Ok(Some(pin)) => return Ok(pin),
                // Somebody else had the same layer there first.
                Ok(None) => self.discard(&path).await,
                Err(error) => {
                    self.discard(&path).await;
                    return Err(error.with_context("layer", diff_id));
                }
            }
        }
    }

    async fn pinned(&self, diff_id: &Digest) -> Result<Option<Pin>> {
        let (folder, path) = (self.folder.clone(), self.folder.layer(diff_id));
        blocking(move || match take(&path, Hold::Shared) {
            Ok(pin) => Ok(pin),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(folder.failed("can't be read", error)),
        })
        .await
    }

    async fn make(
        &self,
        source: &dyn Source,
        layer: &Layer,
        progress: &Progress,
        staging: Staging,
    ) -> Result<Option<Pin>> {
        let unpacked = self.unpack(source, layer, progress, &staging.files()).await?;
        if unpacked.diff_id != layer.diff_id.as_str() {
            let message = format!(
                "a layer's content has the digest {}, and the image's configuration promises {}",
                unpacked.diff_id, layer.diff_id
            );
            return Err(Error::new(ErrorKind::ImageUnavailable, message).with_operation("unpack"));
        }
        if unpacked.skipped > 0 {
            tracing::debug!(layer = %layer.diff_id, devices = unpacked.skipped, "a layer's devices are left out");
        }
        let (folder, target) = (self.folder.clone(), self.folder.layer(&layer.diff_id));
        blocking(move || publish(&folder, staging, unpacked.bytes, &target)).await
    }

    async fn unpack(&self, source: &dyn Source, layer: &Layer, progress: &Progress, target: &Path) -> Result<Unpacked> {
        let (reader, writer) = io::pipe().map_err(|error| self.folder.failed("can't be fed", error))?;
        let blob = File::from(OwnedFd::from(reader));
        let (fed, unpacked) =
            tokio::join!(source.feed(layer, writer, progress), self.options.unpacker.unpack(blob, target));
        match fed {
            Err(FeedError::Failed(error)) => Err(error),
            Ok(()) => unpacked,
            Err(FeedError::ReaderGone) => unpacked.and_then(|_| {
                Err(Error::new(ErrorKind::Unexpected, "a layer was taken for unpacked before it was read to its end"))
            }),
        }
    }

    /// Removes what was made in vain; a sweep does it when it can't be done now.
    async fn discard(&self, path: &Path) {
        if let Err(error) = self.options.unpacker.remove(path).await {
            tracing::debug!(folder = %path.display(), error = %error.chain(), "what was unpacked in vain stays for now");
        }
    }
}

fn staged(folder: &Folder) -> Result<Staging> {
    let staging = Staging::make(folder)?;
    fs::create_dir(staging.files())
        // The root of a container is open to its users, unless the layer says otherwise.
        .and_then(|()| fs::set_permissions(staging.files(), fs::Permissions::from_mode(0o755)))
        // A container's users pass through here to their files.
        .and_then(|()| fs::set_permissions(&staging.path, fs::Permissions::from_mode(0o755)))
        .map_err(|error| folder.failed("has no room to work in", error))?;
    Ok(staging)
}

/// Gives a whole layer its name, once it is on the disk; `None` when somebody else was faster.
fn publish(folder: &Folder, staging: Staging, bytes: u64, target: &Path) -> Result<Option<Pin>> {
    let failed = |error| folder.failed("can't take a layer", error);
    folder.write_record(&staging.path.join("layer.json"), &LayerRecord { bytes })?;
    rustix::fs::syncfs(&staging.lock).map_err(|error| failed(error.into()))?;
    match fs::rename(&staging.path, target) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    }
    sync_parent(target).map_err(failed)?;
    Ok(Some(staging.lock))
}
