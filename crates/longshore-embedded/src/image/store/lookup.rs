//! Finding an image that is there: two small files and a lock.

use longshore_core::{Error, ImageFormat, ImageSource, LocalImage, Platform, Result};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
use std::{collections::HashSet, fs::File, io, path::PathBuf, sync::Arc};

use super::{
    Image, Shared, Wanted,
    folder::{Folder, ImageRecord, NameRecord},
    holds::{Hold, take},
    local_file::{LocalFile, root_folder},
};
use crate::image::{config::ImageConfig, digest::Digest, platform, source::canonical, unpacker::blocking};

/// What is looked for.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// The name and the platform, for people.
    pub(super) name: String,
    /// What the name's files are called.
    pub(super) file_name: String,
    /// The state of the image's file, where it lies in one.
    pub(super) state: Option<String>,
    pub(super) platform: Platform,
}

impl Key {
    pub(super) fn of(source: &ImageSource, wanted: Option<&Platform>) -> Result<Self> {
        let platform = wanted.map_or_else(platform::own, |platform| Ok(platform.clone()))?;
        let (name, state) = match source {
            ImageSource::Registry(reference) => (canonical(reference), None),
            ImageSource::Local(image) => {
                let file = LocalFile::find(image)?;
                (file.name, Some(file.state))
            }
            _ => (source.to_string(), None),
        };
        let name = format!("{name} {platform}");
        Ok(Self { file_name: Digest::of(name.as_bytes()).parts().1.to_owned(), name, state, platform })
    }
}

pub(super) async fn lookup(store: &Arc<Shared>, wanted: &Wanted<'_>) -> Result<Option<Image>> {
    if let Some(image) = of_folder(wanted.source).await? {
        return Ok(Some(image));
    }
    store.be_usable().await?;
    let (folder, source, platform) = (store.folder.clone(), wanted.source.clone(), wanted.platform.cloned());
    blocking(move || Ok(find(&folder, &Key::of(&source, platform.as_ref())?)?.map(|found| found.0))).await
}

/// A root folder, which is an image as it is.
pub(super) async fn of_folder(source: &ImageSource) -> Result<Option<Image>> {
    match source.local() {
        Some(image) if image.format() == ImageFormat::RootFolder => {
            let image = image.clone();
            blocking(move || leased_folder(&image).map(Some)).await
        }
        _ => Ok(None),
    }
}

fn leased_folder(image: &LocalImage) -> Result<Image> {
    let path = root_folder(image)?;
    let lease = File::open(&path).map_err(|error| {
        Error::new(longshore_core::ErrorKind::PermissionDenied, format!("the image {image} can't be read"))
            .with_operation("prepare")
            .with_source(error)
    })?;
    Ok(Image {
        digest: image.to_string(),
        config: ImageConfig::default(),
        layers: vec![path.clone()],
        lock: path,
        _lease: lease,
    })
}

/// The image that the name leads to, held; and what the name led to.
pub(super) fn find(folder: &Folder, key: &Key) -> Result<Option<(Image, NameRecord)>> {
    let Some(name) = folder.read::<NameRecord>(&folder.name(&key.file_name).0)? else { return Ok(None) };
    if name.file != key.state {
        return Ok(None);
    }
    let Ok(id) = name.image.parse::<Digest>() else { return Ok(None) };
    Ok(held(folder, &id, &name.digest)?.map(|image| (image, name)))
}

/// Holds the image, if it is there. Its record is read once the lock is held: until then it could be removed.
pub(super) fn held(folder: &Folder, id: &Digest, digest: &str) -> Result<Option<Image>> {
    let (record, lock) = folder.image(id);
    let lease = match take(&lock, Hold::Shared) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Somebody is removing it.
        Ok(None) => return Ok(None),
        Ok(Some(lease)) => lease,
        Err(error) => return Err(folder.failed("can't be locked", error)),
    };
    let Some(record) = folder.read::<ImageRecord>(&record)? else { return Ok(None) };
    let Some(layers) = folders(folder, &record.layers) else { return Ok(None) };
    // By the lock's time, the image that was used the longest ago is found; a store that can't be written keeps all.
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let _ = futimens(&lease, &Timestamps { last_access: now, last_modification: now });
    Ok(Some(Image { digest: digest.to_owned(), config: record.config, layers, lock, _lease: lease }))
}

/// The layers' folders. Overlayfs takes no folder twice; of a layer that an image has twice, the upper one alone says
/// what both say together.
fn folders(folder: &Folder, layers: &[String]) -> Option<Vec<PathBuf>> {
    let mut seen = HashSet::new();
    let mut folders = Vec::new();
    for layer in layers.iter().rev().filter(|layer| seen.insert(layer.as_str())) {
        folders.push(folder.layer(&layer.parse().ok()?).join("diff"));
    }
    folders.reverse();
    Some(folders)
}
