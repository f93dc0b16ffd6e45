//! Where images come from.

mod archive;
mod docker_archive;
mod feed;
mod layout;
mod local;
mod login;
mod place;
mod registry;
mod registry_errors;

pub(crate) use self::{
    feed::FeedError,
    local::LocalSource,
    registry::{RegistrySource, canonical, never_fetched},
};

use async_trait::async_trait;
use longshore_core::{Error, ErrorKind, PrepareProgress, Progress, Result};
use std::{fmt::Debug, io::PipeWriter};

use super::{
    digest::Digest,
    manifest::{Layer, Resolved},
};

/// One image where it comes from.
#[async_trait]
pub(crate) trait Source: Debug + Send + Sync {
    /// The digest that the image's name leads to now, by as little asking as can be.
    async fn digest(&self) -> Result<Digest>;

    /// The image's description, and its layers; every document is checked against its digest.
    async fn resolve(&self) -> Result<Resolved>;

    /// Writes a layer's bytes into a pipe, and checks them against their digest.
    async fn feed(&self, layer: &Layer, into: PipeWriter, progress: &Progress) -> Result<(), FeedError>;
}

/// An image that is not as it should be, or not at all: the same everywhere and at any time.
pub(crate) fn unusable(image: &str, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::ImageUnavailable, format!("the image {image} can't be used: {why}")).with_operation("prepare")
}

/// The steps of a preparation, as people read them.
const DOWNLOADING: &str = "Downloading";
pub(crate) const UNPACKING: &str = "Unpacking";

/// Reports how many bytes of a layer are done, not more often than every so many bytes.
#[derive(Debug)]
struct Meter<'a> {
    progress: &'a Progress,
    step: &'static str,
    item: String,
    total: Option<u64>,
    done: u64,
    reported: u64,
}

impl<'a> Meter<'a> {
    const EVERY: u64 = 512 * 1024;

    fn new(progress: &'a Progress, step: &'static str, layer: &Layer, total: Option<u64>) -> Self {
        let meter = Self { progress, step, item: layer.diff_id.short(), total, done: 0, reported: 0 };
        meter.report();
        meter
    }

    fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.done - self.reported >= Self::EVERY || Some(self.done) == self.total {
            self.reported = self.done;
            self.report();
        }
    }

    fn report(&self) {
        let item = Some(self.item.clone());
        self.progress.report(PrepareProgress::new(self.step, item, Some(self.done), self.total));
    }
}
