//! Having an image there: found, or fetched and unpacked.

use futures::{StreamExt, TryStreamExt, stream};
use longshore_core::{ByteSize, ErrorKind, ImageSource, Progress, PullPolicy, Result};
use std::{collections::HashSet, fs::File, sync::Arc, time::Duration};

use super::{
    Image, Shared, Wanted,
    folder::{Folder, ImageRecord, NameRecord},
    holds::{Hold, take_made},
    layers::Pin,
    lookup::{Key, find, held, of_folder},
};
use crate::image::{
    digest::Digest,
    manifest::Resolved,
    source::{LocalSource, RegistrySource, Source, never_fetched, unusable},
    unpacker::blocking,
};

/// Layers that are fetched and unpacked at the same time.
const AT_ONCE: usize = 3;
/// How often it is looked whether somebody else has finished the same.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn prepare(store: &Arc<Shared>, wanted: &Wanted<'_>, progress: &Progress) -> Result<Image> {
    if let Some(image) = of_folder(wanted.source).await? {
        return Ok(image);
    }
    store.be_usable().await?;
    let key = store.key(wanted).await?;
    let asks = must_ask(wanted);
    if !asks && let Some((image, _)) = store.find(&key).await? {
        return Ok(image);
    }
    if let (PullPolicy::Never, ImageSource::Registry(reference)) = (wanted.policy, wanted.source) {
        return Err(never_fetched(reference));
    }
    store.be_swept().await;
    let _only = store.only_one(&key).await?;
    let found = store.find(&key).await?;
    if !asks && let Some((image, _)) = found {
        return Ok(image);
    }
    let source = open(wanted, &key).await?;
    if let Some((image, name)) = found
        && source.digest().await?.as_str() == name.digest
    {
        return Ok(image);
    }
    let image = store.fetch(&key, source, progress).await?;
    store.keep_to_limit().await;
    Ok(image)
}

/// True when the registry has to say whether the image is still the same: by policy, unless the name says it.
fn must_ask(wanted: &Wanted<'_>) -> bool {
    match wanted.source {
        ImageSource::Registry(reference) => wanted.policy == PullPolicy::Always && reference.digest().is_none(),
        _ => false,
    }
}

async fn open(wanted: &Wanted<'_>, key: &Key) -> Result<Arc<dyn Source>> {
    match wanted.source {
        ImageSource::Registry(reference) => {
            Ok(Arc::new(RegistrySource::connect(reference, key.platform.clone(), wanted.logins).await?))
        }
        ImageSource::Local(image) => Ok(Arc::new(LocalSource::open(image.clone(), key.platform.clone()).await?)),
        other => Err(unusable(&other.to_string(), "images of this kind are not known here")),
    }
}

impl Shared {
    /// Has the folder there, once.
    pub(super) async fn be_usable(&self) -> Result<()> {
        let folder = self.folder.clone();
        self.usable.get_or_try_init(|| blocking(move || folder.prepare())).await.copied()
    }

    /// Has what dead programs left removed, once; what can't be removed does not keep an image from being prepared.
    async fn be_swept(&self) {
        self.swept
            .get_or_init(|| async {
                if let Err(error) = self.sweep().await {
                    tracing::debug!(error = %error.chain(), "the image store can't be swept");
                }
            })
            .await;
    }

    async fn key(&self, wanted: &Wanted<'_>) -> Result<Key> {
        let (source, platform) = (wanted.source.clone(), wanted.platform.cloned());
        blocking(move || Key::of(&source, platform.as_ref())).await
    }

    async fn find(&self, key: &Key) -> Result<Option<(Image, NameRecord)>> {
        let (folder, key) = (self.folder.clone(), key.clone());
        blocking(move || find(&folder, &key)).await
    }

    /// Waits until nobody else, here or in another program, is fetching what the name leads to.
    async fn only_one(&self, key: &Key) -> Result<File> {
        let lock = self.folder.name(&key.file_name).1;
        loop {
            let (folder, lock) = (self.folder.clone(), lock.clone());
            let taken = blocking(move || {
                take_made(&lock, Hold::Exclusive).map_err(|error| folder.failed("can't be locked", error))
            });
            if let Some(taken) = taken.await? {
                return Ok(taken);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Fetches and unpacks the image; when the disk is full, once more without the images that nobody uses.
    async fn fetch(self: &Arc<Self>, key: &Key, source: Arc<dyn Source>, progress: &Progress) -> Result<Image> {
        let resolved = source.resolve().await?;
        match self.clone().unpack_all(key, source.clone(), &resolved, progress).await {
            Err(error) if error.kind() == ErrorKind::Capacity => {
                let freed = self.clone().collect(Some(0)).await.unwrap_or(0);
                if freed == 0 {
                    return Err(error);
                }
                self.clone().unpack_all(key, source, &resolved, progress).await
            }
            done => done,
        }
        .map_err(|error| error.with_operation("prepare").with_context("name", &key.name))
    }

    async fn unpack_all(
        self: Arc<Self>,
        key: &Key,
        source: Arc<dyn Source>,
        resolved: &Resolved,
        progress: &Progress,
    ) -> Result<Image> {
        let mut seen = HashSet::new();
        let each: Vec<_> = resolved
            .layers
            .iter()
            .filter(|layer| seen.insert(layer.diff_id.clone()))
            .map(|layer| self.clone().layer(source.clone(), layer.clone(), progress.clone()))
            .collect();
        let pins: Vec<Pin> = stream::iter(each).buffer_unordered(AT_ONCE).try_collect().await?;
        let (folder, key, resolved) = (self.folder.clone(), key.clone(), resolved.clone());
        blocking(move || record(&folder, &key, &resolved, pins)).await
    }

    /// Removes what is over the limit; that it can't be is no reason to withhold an image.
    async fn keep_to_limit(self: &Arc<Self>) {
        if self.options.limit.is_none() {
            return;
        }
        if let Err(error) = self.clone().collect(self.options.limit.map(ByteSize::bytes)).await {
            tracing::warn!(error = %error.chain(), "the image store can't be kept to its limit");
        }
    }
}

/// Records the image, and then what the name leads to. The layers are held until the image's record holds them.
fn record(folder: &Folder, key: &Key, resolved: &Resolved, pins: Vec<Pin>) -> Result<Image> {
    let id: &Digest = &resolved.id;
    let layers = resolved.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let image = ImageRecord { id: id.to_string(), config: resolved.config.clone(), layers };
    let (path, lock) = folder.image(id);
    let _held = loop {
        match take_made(&lock, Hold::Shared).map_err(|error| folder.failed("can't be locked", error))? {
            Some(held) => break held,
            // Somebody removes the image of old, which takes as long as removing two files does.
            None => std::thread::yield_now(),
        }
    };
    folder.write_record(&path, &image)?;
    drop(pins);
    let name = NameRecord {
        name: key.name.clone(),
        image: image.id,
        digest: resolved.digest.to_string(),
        file: key.state.clone(),
    };
    folder.write_record(&folder.name(&key.file_name).0, &name)?;
    let found = held(folder, id, &name.digest)?;
    found.ok_or_else(|| folder.failed("loses what was just put there", std::io::ErrorKind::NotFound.into()))
}
