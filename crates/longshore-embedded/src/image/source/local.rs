//! Images that lie in files and folders of this machine.

use async_trait::async_trait;
use longshore_core::{ImageFormat, LocalImage, Platform, Progress, Result};
use std::{io::PipeWriter, path::PathBuf, sync::Arc};

use super::{
    FeedError, Meter, Source, UNPACKING, docker_archive,
    feed::{Cancel, copy},
    layout,
    place::{Checked, Place, blob_name, unreadable},
    unusable,
};
use crate::image::{
    digest::Digest,
    manifest::{Blob, Layer, Resolved},
    unpacker::blocking,
};

/// An image in an archive or a layout.
#[derive(Debug)]
pub(crate) struct LocalSource {
    image: LocalImage,
    platform: Platform,
    place: Arc<Place>,
}

impl LocalSource {
    /// Opens the archive or folder.
    pub(crate) async fn open(image: LocalImage, platform: Platform) -> Result<Self> {
        let named = image.clone();
        let place = blocking(move || match named.format() {
            ImageFormat::OciLayout => Ok(Place::folder(named.to_string(), PathBuf::from(named.path()))),
            ImageFormat::DockerArchive | ImageFormat::OciArchive => Place::archive(named.to_string(), named.path()),
            _ => Err(unusable(&named.to_string(), "images of this form are not unpacked")),
        })
        .await?;
        Ok(Self { image, platform, place: Arc::new(place) })
    }
}

#[async_trait]
impl Source for LocalSource {
    async fn digest(&self) -> Result<Digest> {
        self.resolve().await.map(|resolved| resolved.digest)
    }

    async fn resolve(&self) -> Result<Resolved> {
        let (place, image, platform) = (self.place.clone(), self.image.clone(), self.platform.clone());
        blocking(move || match image.format() {
            ImageFormat::DockerArchive => docker_archive::resolve(&place, image.name(), &platform),
            _ => layout::resolve(&place, image.name(), &platform),
        })
        .await
    }

    async fn feed(&self, layer: &Layer, into: PipeWriter, progress: &Progress) -> Result<(), FeedError> {
        let cancel = Cancel::default();
        let (place, layer, progress, cancelled) =
            (self.place.clone(), layer.clone(), progress.clone(), cancel.0.clone());
        let fed = blocking(move || Ok(feed(&place, &layer, into, &progress, &cancelled))).await;
        drop(cancel);
        fed?
    }
}

fn feed(
    place: &Place,
    layer: &Layer,
    into: PipeWriter,
    progress: &Progress,
    cancelled: &std::sync::atomic::AtomicBool,
) -> Result<(), FeedError> {
    let (name, digest) = match &layer.blob {
        Blob::Known(digest, _) => (blob_name(digest), Some(digest)),
        Blob::Named(name) => (name.clone(), None),
    };
    let content = place.open(&name)?;
    let mut meter = Meter::new(progress, UNPACKING, layer, Some(content.size));
    let mut checked = Checked::new(content, digest);
    copy(&mut checked, into, cancelled, |bytes| meter.add(bytes), |error| unreadable(place.image(), &name, error))?;
    if checked.finish() {
        return Ok(());
    }
    Err(unusable(place.image(), format!("{name} does not have the content that its name promises")).into())
}
