//! The store of unpacked images.

mod collect;
mod folder;
mod holds;
mod layers;
mod local_file;
mod lookup;
mod prepare;
#[cfg(test)]
mod tests;

use longshore_core::{ByteSize, ImageSource, Platform, Progress, PullPolicy, RegistryLogins, Result};
use std::{fs::File, path::PathBuf, sync::Arc};
use tokio::sync::OnceCell;

use self::folder::Folder;
use super::{config::ImageConfig, unpacker::Unpacker};

/// How a store is run.
#[derive(Debug, Clone)]
pub(crate) struct StoreOptions {
    /// Who unpacks layers and removes them.
    pub(crate) unpacker: Arc<dyn Unpacker>,
    /// How many bytes the layers may have before those that are not used are removed; without one, all stay.
    pub(crate) limit: Option<ByteSize>,
}

/// Which image is wanted, and how it may be had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The image.
    pub(crate) source: &'a ImageSource,
    /// Whether its registry is asked.
    pub(crate) policy: PullPolicy,
    /// The platform; this machine's where none is given.
    pub(crate) platform: Option<&'a Platform>,
    /// Where the registry's login is found, when the registry is asked; without, nobody logs in.
    pub(crate) logins: Option<RegistryLogins<'a>>,
}

/// An image that is there, and stays there for as long as this is held.
#[derive(Debug)]
pub(crate) struct Image {
    /// What the name led to: the digest of an index or manifest, or of the configuration where there is neither. A
    /// root folder has none; there it is the image's name.
    pub(crate) digest: String,
    /// How its program is run.
    pub(crate) config: ImageConfig,
    /// The folders of its layers, the lowest first, each one once.
    pub(crate) layers: Vec<PathBuf>,
    /// Whoever holds a shared lock (`flock`) on this file, taken while this image is held, keeps the image too.
    pub(crate) lock: PathBuf,
    /// The lock by which this holds the image; it is let go with it.
    pub(crate) _lease: File,
}

/// A folder of unpacked images, which several programs may share.
#[derive(Debug, Clone)]
pub(crate) struct ImageStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: Folder,
    options: StoreOptions,
    /// That the folder is there and of the right version.
    usable: OnceCell<()>,
    /// That what dead programs left was removed.
    swept: OnceCell<()>,
}

impl ImageStore {
    /// A store in a folder, which is looked at, and made if need be, when an image is wanted for the first time.
    pub(crate) fn open(folder: PathBuf, options: StoreOptions) -> Self {
        Self(Arc::new(Shared { folder: Folder::new(folder), options, usable: OnceCell::new(), swept: OnceCell::new() }))
    }

    /// Makes the image available.
    ///
    /// May be repeated: what is there already is not fetched again. Cancel-safe: what was begun is removed by a later
    /// preparation, and layers that were finished are kept.
    ///
    /// # Errors
    /// `ImageUnavailable` when there is no such image, or none that can be used; `RateLimited`, `Unavailable` or
    /// `Timeout` when its registry does not give it now; `Capacity` when the disk is full; `Unsupported` when the
    /// store is of another version.
    pub(crate) async fn prepare(&self, wanted: &Wanted<'_>, progress: &Progress) -> Result<Image> {
        prepare::prepare(&self.0, wanted, progress).await
    }

    /// The image if it is there, without asking anybody. An archive that was changed since is not there.
    ///
    /// # Errors
    /// `ImageUnavailable` when a local image's file is not there, `Unsupported` when the store is of another version,
    /// `Unavailable` when it can't be read.
    pub(crate) async fn lookup(&self, wanted: &Wanted<'_>) -> Result<Option<Image>> {
        lookup::lookup(&self.0, wanted).await
    }

    /// Removes what dead programs left behind and, beyond the size limit, the images that were used the longest ago
    /// and that nobody holds; says how many bytes went.
    ///
    /// # Errors
    /// `Unavailable` when something can't be removed.
    pub(crate) async fn collect(&self) -> Result<u64> {
        self.collect_to(self.0.options.limit.map(ByteSize::bytes)).await
    }

    /// The same with another limit; zero leaves only what is held.
    ///
    /// # Errors
    /// `Unavailable` when something can't be removed.
    pub(crate) async fn collect_to(&self, limit: Option<u64>) -> Result<u64> {
        self.0.be_usable().await?;
        self.0.clone().collect(limit).await
    }
}
