//! Images in registries, by the distribution protocol
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).

use async_trait::async_trait;
use futures::StreamExt;
use longshore_core::{Error, ErrorKind, ImageReference, Platform, Progress, RegistryLogins, Result};
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    manifest::{
        IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    },
    secrets::RegistryAuth,
};
use std::{fmt, io::PipeWriter, net::IpAddr, os::fd::OwnedFd, time::Duration};
use tokio::{io::AsyncWriteExt, net::unix::pipe::Sender};

use super::{DOWNLOADING, FeedError, Meter, Source, UNPACKING, feed::not_written, login, registry_errors::Asked};
use crate::image::{
    digest::Digest,
    manifest::{self, Blob, Document, LONGEST_DOCUMENT, Layer, Resolved},
};

const CONNECT: Duration = Duration::from_secs(20);
/// How long a registry may be silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(60);
const AGENT: &str = concat!("longshore/", env!("CARGO_PKG_VERSION"));
const MANIFESTS: [&str; 4] =
    [OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];
/// Indexes in indexes that are followed.
const DEEPEST: usize = 4;

/// An image in a registry that lets us in.
pub(crate) struct RegistrySource {
    client: Client,
    auth: RegistryAuth,
    reference: Reference,
    platform: Platform,
    asked: Asked,
}

impl fmt::Debug for RegistrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySource").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl RegistrySource {
    /// Finds the login, and logs in where the registry asks for it.
    ///
    /// Cancel-safe: nothing is changed anywhere.
    pub(crate) async fn connect(
        image: &ImageReference,
        platform: Platform,
        logins: Option<RegistryLogins<'_>>,
    ) -> Result<Self> {
        let login = match logins {
            Some(logins) => logins.find(image).await?,
            None => None,
        };
        let reference = reference(image);
        let registry = reference.resolve_registry().to_owned();
        let asked = Asked { image: image.to_string(), registry: registry.clone(), with_login: login.is_some() };
        let auth = login::of(login.as_ref()).map_err(|error| error.with_context("image", image))?;
        let client = Client::try_from(config(&registry)).map_err(|error| asked.failed(error))?;
        client.auth(&reference, &auth, RegistryOperation::Pull).await.map_err(|error| asked.failed(error))?;
        Ok(Self { client, auth, reference, platform, asked })
    }

    async fn manifest(&self, reference: &Reference) -> Result<(Vec<u8>, Digest)> {
        let pulled = self.client.pull_manifest_raw(reference, &self.auth, &MANIFESTS).await;
        let (bytes, digest) = pulled.map_err(|error| self.asked.failed(error))?;
        if bytes.len() as u64 > LONGEST_DOCUMENT {
            return Err(self.asked.unusable(format!("its manifest has {} bytes; at most 4 MiB are read", bytes.len())));
        }
        let digest: Digest = digest.parse().map_err(|why: String| self.asked.unusable(why))?;
        if !digest.names(&bytes) {
            return Err(self.asked.wrong_content());
        }
        Ok((bytes.to_vec(), digest))
    }

    /// The image's configuration, checked against its digest.
    async fn config(&self, digest: &Digest, size: u64) -> Result<Vec<u8>> {
        if size > LONGEST_DOCUMENT {
            return Err(self.asked.unusable(format!("its configuration has {size} bytes; at most 4 MiB are read")));
        }
        let pulled = self.client.pull_blob_stream(&self.reference, digest.as_str()).await;
        let mut stream = pulled.map_err(|error| self.asked.failed(error))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| self.asked.cut(&error))?);
            if bytes.len() as u64 > size {
                return Err(self.asked.wrong_content());
            }
        }
        if digest.names(&bytes) { Ok(bytes) } else { Err(self.asked.wrong_content()) }
    }
}

#[async_trait]
impl Source for RegistrySource {
    async fn digest(&self) -> Result<Digest> {
        let digest = self.client.fetch_manifest_digest(&self.reference, &self.auth).await;
        let digest = digest.map_err(|error| self.asked.failed(error))?;
        digest.parse().map_err(|why: String| self.asked.unusable(why))
    }

    async fn resolve(&self) -> Result<Resolved> {
        let (mut document, digest) = self.manifest(&self.reference).await?;
        for _ in 0..DEEPEST {
            let read = manifest::read(&document, &self.platform).map_err(|why| self.asked.unusable(why))?;
            match read {
                Document::Chosen(chosen) => {
                    let one = self.reference.clone_with_digest(chosen.to_string());
                    document = self.manifest(&one).await?.0;
                }
                Document::Image { config: (id, size), blobs } => {
                    let config = self.config(&id, size).await?;
                    return manifest::resolved(digest, id, &config, blobs, &self.platform)
                        .map_err(|why| self.asked.unusable(why));
                }
            }
        }
        Err(self.asked.unusable(format!("its index leads through more than {DEEPEST} others")))
    }

    async fn feed(&self, layer: &Layer, into: PipeWriter, progress: &Progress) -> Result<(), FeedError> {
        let Blob::Known(digest, size) = &layer.blob else {
            return Err(self.asked.unusable("a layer has no digest").into());
        };
        let mut into = Sender::from_owned_fd(OwnedFd::from(into)).map_err(not_written)?;
        let mut meter = Meter::new(progress, DOWNLOADING, layer, Some(*size));
        let pulled = self.client.pull_blob_stream(&self.reference, digest.as_str()).await;
        let mut stream = pulled.map_err(|error| self.asked.failed(error))?;
        let mut left = *size;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| self.asked.cut(&error))?;
            left = left.checked_sub(chunk.len() as u64).ok_or_else(|| self.asked.wrong_content())?;
            into.write_all(&chunk).await.map_err(not_written)?;
            meter.add(chunk.len());
        }
        if left > 0 {
            return Err(self.asked.wrong_content().into());
        }
        // What is left to do is not the network's.
        Meter::new(progress, UNPACKING, layer, None);
        Ok(())
    }
}

/// The reference as the registry's client takes it, with Docker's defaults.
fn reference(image: &ImageReference) -> Reference {
    let (registry, is_hub) = match image.registry() {
        None | Some("docker.io" | "index.docker.io" | "registry-1.docker.io") => ("docker.io", true),
        Some(registry) => (registry, false),
    };
    let repository = match image.repository() {
        short if is_hub && !short.contains('/') => format!("library/{short}"),
        whole => whole.to_owned(),
    };
    let registry = registry.to_owned();
    match image.digest() {
        Some(digest) => Reference::with_digest(registry, repository, digest.to_owned()),
        None => Reference::with_tag(registry, repository, image.tag().unwrap_or("latest").to_owned()),
    }
}

fn config(registry: &str) -> ClientConfig {
    let plain = if is_loopback(registry) { vec![registry.to_owned()] } else { Vec::new() };
    ClientConfig {
        protocol: ClientProtocol::HttpsExcept(plain),
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: AGENT,
        platform_resolver: None,
        ..ClientConfig::default()
    }
}

/// True for a registry on this machine, which Docker speaks plain HTTP to as well.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The name by which an image of a registry is remembered, whichever way it was written.
pub(crate) fn canonical(image: &ImageReference) -> String {
    let reference = reference(image);
    let version =
        image.digest().map_or_else(|| format!(":{}", reference.tag().unwrap_or("latest")), |d| format!("@{d}"));
    format!("{}/{}{version}", reference.registry(), reference.repository())
}

/// The error for an image that is not here and may not be fetched.
pub(crate) fn never_fetched(image: &ImageReference) -> Error {
    let message = format!("the host does not have the image {image}, and the pull policy says never to fetch it");
    Error::new(ErrorKind::ImageUnavailable, message).with_operation("prepare")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_completes_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let cases = [
            ("alpine", "docker.io/library/alpine:latest"),
            ("docker.io/alpine:3", "docker.io/library/alpine:3"),
            ("index.docker.io/team/tool", "docker.io/team/tool:latest"),
            ("ghcr.io/tool", "ghcr.io/tool:latest"),
            ("localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ];
        for (name, whole) in cases {
            assert_eq!(canonical(&name.parse().unwrap()), whole, "{name}");
        }
        let pinned = canonical(&format!("alpine:3@{digest}").parse().unwrap());
        assert_eq!(pinned, format!("docker.io/library/alpine@{digest}"));
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for local in ["localhost", "localhost:5000", "127.0.0.1:80", "127.3.2.1", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(local), "{local}");
        }
        for far in
            ["localhost.example", "127.0.0.1.example:5000", "10.0.0.1:5000", "[fe80::1]:5000", "docker.io", "128.0.0.1"]
        {
            assert!(!is_loopback(far), "{far}");
        }
    }
}
