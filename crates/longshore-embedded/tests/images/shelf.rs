//! A registry with images on it, and a store to pull them into.

use longshore_core::{
    Error, ImageSource, LocalSecrets, Platform, PrepareProgress, Progress, PullPolicy, RegistryCredentials,
    RegistryLogins,
};
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};
use std::{net::SocketAddr, path::PathBuf};
use tempfile::TempDir;

use crate::{
    image::{
        Image, ImageStore, Wanted,
        digest::Digest,
        testing::{TestImage, store},
    },
    registry::Registry,
};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry, and a store in a folder of its own.
pub(crate) struct Shelf {
    pub(crate) registry: Registry,
    pub(crate) folder: TempDir,
    client: Client,
}

impl Shelf {
    pub(crate) async fn new(locked: bool) -> Self {
        let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
        Self { registry: Registry::start(locked).await, folder: TempDir::new().unwrap(), client: Client::new(config) }
    }

    pub(crate) fn store(&self) -> ImageStore {
        store(self.path("store"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reference(&self, tag: &str) -> Reference {
        Reference::with_tag(self.registry.address.to_string(), "team/tool".to_owned(), tag.to_owned())
    }

    /// Pushes what an image consists of, but for its manifest.
    pub(crate) async fn push_blobs(&self, image: &TestImage) {
        let auth = RegistryAuth::Basic(Registry::USER.to_owned(), Registry::PASSWORD.to_owned());
        let reference = self.reference("any");
        self.client.auth(&reference, &auth, RegistryOperation::Push).await.unwrap();
        for blob in image.blobs.iter().cloned().chain([image.config_text()]) {
            let digest = Digest::of(&blob);
            self.client.push_blob(&reference, blob, digest.as_str()).await.unwrap();
        }
    }

    /// Pushes a manifest or index as it is, and gives it the tag.
    pub(crate) async fn push_manifest(&self, tag: &str, manifest: Vec<u8>, media_type: &str) {
        let media_type = media_type.parse().unwrap();
        self.client.push_manifest_raw(&self.reference(tag), manifest, media_type).await.unwrap();
    }

    /// Pushes an image, and says what it is called.
    pub(crate) async fn push(&self, tag: &str, image: &TestImage) -> ImageSource {
        self.push_blobs(image).await;
        self.push_manifest(tag, image.manifest(), OCI_MANIFEST).await;
        self.named(self.registry.address, tag)
    }

    /// The image of this tag, asked for at an address that may be a proxy's.
    pub(crate) fn named(&self, address: SocketAddr, tag: &str) -> ImageSource {
        format!("{address}/team/tool:{tag}").parse().unwrap()
    }
}

/// How an image is had in a test.
#[derive(Default)]
pub(crate) struct How {
    pub(crate) policy: PullPolicy,
    pub(crate) platform: Option<Platform>,
    pub(crate) own: Option<RegistryCredentials>,
    pub(crate) docker_config: PathBuf,
}

impl How {
    pub(crate) async fn prepare(
        &self,
        store: &ImageStore,
        source: &ImageSource,
        progress: &Progress,
    ) -> Result<Image, Error> {
        let logins = RegistryLogins::new(self.own.as_ref(), &LocalSecrets, Some(&self.docker_config));
        let wanted = Wanted { source, policy: self.policy, platform: self.platform.as_ref(), logins: Some(logins) };
        store.prepare(&wanted, progress).await
    }
}

/// Has the image by the usual policy, without a login.
pub(crate) async fn pull(store: &ImageStore, source: &ImageSource) -> Result<Image, Error> {
    How::default().prepare(store, source, &Progress::ignored()).await
}

/// The same, and what was reported meanwhile.
pub(crate) async fn pull_reported(
    how: &How,
    store: &ImageStore,
    source: &ImageSource,
) -> (Image, Vec<PrepareProgress>) {
    let (progress, mut reports) = Progress::channel();
    let image = how.prepare(store, source, &progress).await.unwrap();
    let mut reported = Vec::new();
    while let Ok(report) = reports.try_recv() {
        reported.push(report);
    }
    (image, reported)
}

/// What the image's uppermost layer has in its file.
pub(crate) fn content(image: &Image) -> String {
    std::fs::read_to_string(image.layers.last().unwrap().join("file")).unwrap()
}
