//! Who unpacks layers and removes them again.

use async_trait::async_trait;
use longshore_core::{Error, ErrorKind, Result};
use std::{
    fmt::Debug,
    fs::File,
    path::{Path, PathBuf},
};

use super::unpack::{Options, Unpacked, remove_tree, unpack};

/// Unpacks layers and removes them again, as whoever the files belong to.
#[async_trait]
pub(crate) trait Unpacker: Debug + Send + Sync {
    /// Unpacks a layer into a folder that is there and empty. The blob may be a pipe; it is read to its end, or closed
    /// when there is an error. After an error the folder holds anything.
    ///
    /// Not cancel-safe for the folder: something may still be made in it for a while.
    ///
    /// # Errors
    /// What [`UnpackError`](super::unpack::UnpackError) becomes.
    async fn unpack(&self, blob: File, target: &Path) -> Result<Unpacked>;

    /// Removes a folder with all that is in it; that it is not there is fine.
    ///
    /// # Errors
    /// `Unavailable` when the operating system refuses.
    async fn remove(&self, folder: &Path) -> Result<()>;
}

/// Unpacks in this process, as its own user.
#[derive(Debug, Clone)]
pub(crate) struct LocalUnpacker {
    options: Options,
}

impl LocalUnpacker {
    pub(crate) const fn new(options: Options) -> Self {
        Self { options }
    }
}

#[async_trait]
impl Unpacker for LocalUnpacker {
    async fn unpack(&self, blob: File, target: &Path) -> Result<Unpacked> {
        let (options, target) = (self.options.clone(), target.to_owned());
        blocking(move || unpack(blob, &target, &options).map_err(Error::from)).await
    }

    async fn remove(&self, folder: &Path) -> Result<()> {
        let folder: PathBuf = folder.to_owned();
        blocking(move || {
            remove_tree(&folder).map_err(|error| {
                Error::new(ErrorKind::Unavailable, format!("{} can't be removed", folder.display()))
                    .with_source(std::io::Error::from(error))
            })
        })
        .await
    }
}

/// Does what blocks where it blocks nobody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => {
            Err(Error::new(ErrorKind::Unexpected, "work on the image store ended without a result").with_source(failed))
        }
    }
}
