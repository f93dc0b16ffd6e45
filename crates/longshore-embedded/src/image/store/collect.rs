//! Removing what nobody uses: what dead programs left half made, and beyond the size limit the images that were
//! used the longest ago.

use longshore_core::Result;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    Shared,
    folder::{Folder, ImageRecord, LayerRecord, NameRecord},
    holds::{Hold, take, take_made},
    layers::Staging,
};
use crate::image::{digest::Digest, unpacker::blocking};

impl Shared {
    /// Removes what nobody uses until the layers have at most so many bytes; says how many bytes went. When another
    /// program is at it already, nothing is done.
    pub(super) async fn collect(self: Arc<Self>, limit: Option<u64>) -> Result<u64> {
        let folder = self.folder.clone();
        let lock = blocking(move || {
            take_made(&folder.collecting(), Hold::Exclusive).map_err(|error| folder.failed("can't be locked", error))
        })
        .await?;
        let Some(_collecting) = lock else { return Ok(0) };
        self.sweep().await?;
        let Some(limit) = limit else { return Ok(0) };
        let folder = self.folder.clone();
        let (mut size, unused) = blocking(move || Ok((size(&folder)?, unused_layers(&folder)?))).await?;
        let before = size;
        if size > limit {
            size -= self.remove_layers(unused).await?;
        }
        if size > limit {
            size -= self.remove_images(size - limit).await?;
        }
        let folder = self.folder.clone();
        blocking(move || forget_names(&folder)).await?;
        Ok(before - size)
    }

    /// Removes what dead programs left half made.
    pub(super) async fn sweep(&self) -> Result<()> {
        let folder = self.folder.clone();
        let paths = blocking(move || entries(&folder, &folder.tmp())).await?;
        for path in paths {
            let own = path.clone();
            let dead = tokio::task::spawn_blocking(move || take(&own, Hold::Exclusive)).await;
            // What can't be locked is somebody's, or gone.
            if let Ok(Ok(Some(lock))) = dead {
                if lock.metadata().is_ok_and(|found| found.is_dir()) {
                    self.options.unpacker.remove(&path).await?;
                } else if is_old(&lock) {
                    let _ = fs::remove_file(&path);
                }
            }
        }
        Ok(())
    }

    /// Removes the images that were used the longest ago and that nobody holds, until so many bytes have gone.
    async fn remove_images(&self, wanted: u64) -> Result<u64> {
        let folder = self.folder.clone();
        let mut images = blocking(move || images_by_use(&folder)).await?.into_iter();
        let mut freed = 0;
        while freed < wanted {
            let Some(id) = images.next() else { break };
            let folder = self.folder.clone();
            let unused = blocking(move || forget_image(&folder, &id)).await?;
            freed += self.remove_layers(unused).await?;
        }
        Ok(freed)
    }

    async fn remove_layers(&self, layers: Vec<Digest>) -> Result<u64> {
        let mut freed = 0;
        for layer in layers {
            let folder = self.folder.clone();
            if let Some((gone, bytes)) = blocking(move || take_out(&folder, &layer)).await? {
                self.options.unpacker.remove(&gone.path).await?;
                freed += bytes;
            }
        }
        Ok(freed)
    }
}

/// A record's temporary file has no lock of its own, and lives for the blink of an eye: an old one is a dead program's.
fn is_old(file: &fs::File) -> bool {
    const OLD: std::time::Duration = std::time::Duration::from_secs(3600);
    let changed = file.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    changed.elapsed().is_ok_and(|age| age > OLD)
}

/// The bytes of all layers.
fn size(folder: &Folder) -> Result<u64> {
    entries(folder, &folder.layers())?.iter().map(|path| layer_size(folder, path)).sum()
}

fn layer_size(folder: &Folder, path: &Path) -> Result<u64> {
    let record: Option<LayerRecord> = folder.read(&path.join("layer.json"))?;
    Ok(record.map_or(0, |record| record.bytes))
}

/// The layers that no image has.
fn unused_layers(folder: &Folder) -> Result<Vec<Digest>> {
    let used = used_layers(folder)?;
    let names = entries(folder, &folder.layers())?;
    Ok(names.iter().filter_map(|path| digest_of(path)).filter(|layer| !used.contains(layer.as_str())).collect())
}

fn used_layers(folder: &Folder) -> Result<HashSet<String>> {
    let mut used = HashSet::new();
    for id in images(folder)? {
        let record: Option<ImageRecord> = folder.read(&folder.image(&id).0)?;
        used.extend(record.into_iter().flat_map(|record| record.layers));
    }
    Ok(used)
}

fn images(folder: &Folder) -> Result<Vec<Digest>> {
    let paths = entries(folder, &folder.images())?;
    let records = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(records.filter_map(|path| digest_of(&path.with_extension(""))).collect())
}

/// The images, the one that was used the longest ago first.
fn images_by_use(folder: &Folder) -> Result<Vec<Digest>> {
    let used = |id: &Digest| {
        let lock = fs::metadata(folder.image(id).1);
        lock.and_then(|lock| lock.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let mut images = images(folder)?;
    images.sort_by_cached_key(used);
    Ok(images)
}

/// Forgets an image that nobody holds; what it leaves are the layers that no other has.
fn forget_image(folder: &Folder, id: &Digest) -> Result<Vec<Digest>> {
    let failed = |error| folder.failed("can't be cleared", error);
    let (record, lock) = folder.image(id);
    let Some(_held) = take_made(&lock, Hold::Exclusive).map_err(failed)? else { return Ok(Vec::new()) };
    let layers = folder.read::<ImageRecord>(&record)?.map(|record| record.layers).unwrap_or_default();
    for path in [record, lock] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let used = used_layers(folder)?;
    Ok(layers.iter().filter(|layer| !used.contains(*layer)).filter_map(|layer| layer.parse().ok()).collect())
}

/// Takes a layer that no image has and nobody is about to use out of sight; where it is then, and its size.
fn take_out(folder: &Folder, layer: &Digest) -> Result<Option<(Staging, u64)>> {
    let failed = |error| folder.failed("can't be cleared", error);
    let path = folder.layer(layer);
    let held = match take(&path, Hold::Exclusive) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        held => held.map_err(failed)?,
    };
    let Some(_held) = held else { return Ok(None) };
    // Whoever held the layer until now may have made an image of it.
    if used_layers(folder)?.contains(layer.as_str()) {
        return Ok(None);
    }
    let bytes = layer_size(folder, &path)?;
    let gone = Staging::make(folder)?;
    fs::rename(&path, gone.path.join("gone")).map_err(failed)?;
    Ok(Some((gone, bytes)))
}

/// Removes names that lead to images that are gone.
fn forget_names(folder: &Folder) -> Result<()> {
    let failed = |error| folder.failed("can't be cleared", error);
    for path in entries(folder, &folder.names())? {
        let Some(key) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".lock"))
        else {
            continue;
        };
        let (record, lock) = folder.name(key);
        let Some(_held) = take_made(&lock, Hold::Exclusive).map_err(failed)? else { continue };
        let name: Option<NameRecord> = folder.read(&record)?;
        let image: Option<Digest> = name.and_then(|name| name.image.parse().ok());
        if image.is_none_or(|id| !folder.image(&id).0.exists()) {
            let _ = fs::remove_file(record);
            let _ = fs::remove_file(lock);
        }
    }
    Ok(())
}

/// The digest that a file's or folder's name is made of.
fn digest_of(path: &Path) -> Option<Digest> {
    path.file_name()?.to_str()?.replacen('-', ":", 1).parse().ok()
}

fn entries(folder: &Folder, path: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found.map_err(|error| folder.failed("can't be read", error)),
    }
}
