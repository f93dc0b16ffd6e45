//! Manifests and indexes, of Docker and OCI alike: checked, and turned into what is to be fetched.

use longshore_core::Platform;
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE,
    IMAGE_DOCKER_LAYER_TAR_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, OciDescriptor, OciManifest,
};

use super::{config, config::ImageConfig, digest::Digest, platform};

/// The longest manifest or configuration that is read.
pub(crate) const LONGEST_DOCUMENT: u64 = 4 << 20;

const LAYER_TYPES: [&str; 6] = [
    IMAGE_LAYER_MEDIA_TYPE,
    IMAGE_LAYER_GZIP_MEDIA_TYPE,
    "application/vnd.oci.image.layer.v1.tar+zstd",
    IMAGE_DOCKER_LAYER_TAR_MEDIA_TYPE,
    IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE,
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];
const CONFIG_TYPES: [&str; 2] = [IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE];

/// An image, found and described, before its layers are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// What the name led to: the digest of an index or manifest, or of the configuration where there is neither.
    pub(crate) digest: Digest,
    /// The digest of the configuration, which is what makes two images the same.
    pub(crate) id: Digest,
    pub(crate) config: ImageConfig,
    /// The lowest first.
    pub(crate) layers: Vec<Layer>,
}

/// A layer, as it is found and as it is to be when unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) diff_id: Digest,
    pub(crate) blob: Blob,
}

/// Where a layer's bytes are, in the words of where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blob {
    /// Content that is known by its digest, and its length.
    Known(Digest, u64),
    /// A file in an archive of Docker's, known by its name only.
    Named(String),
}

/// What a manifest document is.
pub(crate) enum Document {
    /// One of several, by platform: the digest of the one that was chosen.
    Chosen(Digest),
    /// A manifest: the configuration's digest and length, and the layers' blobs.
    Image { config: (Digest, u64), blobs: Vec<Blob> },
}

/// Reads a manifest or an index; of an index, what is for the platform is chosen.
///
/// # Errors
/// Why it can't be used, as a sentence's end.
pub(crate) fn read(document: &[u8], wanted: &Platform) -> Result<Document, String> {
    let manifest: OciManifest =
        serde_json::from_slice(document).map_err(|_| "its manifest is none that is known here".to_owned())?;
    match manifest {
        OciManifest::Image(image) => {
            let config_type = image.config.media_type.as_str();
            if !CONFIG_TYPES.contains(&config_type) {
                return Err(format!("it is no container image: its configuration is of type {config_type:?}"));
            }
            let blobs = image.layers.iter().map(layer).collect::<Result<_, _>>()?;
            Ok(Document::Image { config: described(&image.config)?, blobs })
        }
        OciManifest::ImageIndex(index) => {
            let chosen = platform::choose(&index.manifests, wanted).ok_or_else(|| {
                format!("there is none for {wanted}; there is {}", platform::offered(&index.manifests))
            })?;
            Ok(Document::Chosen(chosen.digest.parse()?))
        }
    }
}

fn layer(descriptor: &OciDescriptor) -> Result<Blob, String> {
    let media_type = descriptor.media_type.as_str();
    if LAYER_TYPES.contains(&media_type) {
        let (digest, size) = described(descriptor)?;
        return Ok(Blob::Known(digest, size));
    }
    if media_type.contains("foreign") || media_type.contains("nondistributable") {
        return Err(format!(
            "its layer {} is kept elsewhere ({media_type:?}), from where nothing is fetched",
            descriptor.digest
        ));
    }
    Err(format!("its layer {} is of type {media_type:?}; {} are known here", descriptor.digest, LAYER_TYPES.join(", ")))
}

fn described(descriptor: &OciDescriptor) -> Result<(Digest, u64), String> {
    Ok((descriptor.digest.parse()?, length(descriptor.size)?))
}

fn length(size: i64) -> Result<u64, String> {
    u64::try_from(size).map_err(|_| format!("its manifest has a length of {size}"))
}

/// Joins what the manifest and the configuration say about the layers.
///
/// # Errors
/// Why they don't go together, as a sentence's end.
pub(crate) fn resolved(
    digest: Digest,
    id: Digest,
    document: &[u8],
    blobs: Vec<Blob>,
    wanted: &Platform,
) -> Result<Resolved, String> {
    let description = config::read(document, wanted)?;
    if description.diff_ids.len() != blobs.len() {
        let (described, listed) = (description.diff_ids.len(), blobs.len());
        return Err(format!("its configuration describes {described} layers, and its manifest lists {listed}"));
    }
    let layers = description.diff_ids.into_iter().zip(blobs).map(|(diff_id, blob)| Layer { diff_id, blob }).collect();
    Ok(Resolved { digest, id, config: description.config, layers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::TestImage;

    fn read_as(from: &str, to: &str) -> Result<Document, String> {
        let manifest = String::from_utf8(TestImage::of_file("x").manifest()).unwrap();
        read(manifest.replace(from, to).as_bytes(), &platform::own().unwrap())
    }

    #[test]
    fn layers_and_configurations_of_other_types_are_refused_by_name() {
        assert!(matches!(read_as("", ""), Ok(Document::Image { .. })));
        let layer = IMAGE_LAYER_GZIP_MEDIA_TYPE;
        let cases = [
            (layer, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "is kept elsewhere"),
            (layer, "application/vnd.oci.image.layer.nondistributable.v1.tar", "is kept elsewhere"),
            (layer, "application/vnd.wasm.content.layer.v1+wasm", "layer.v1+wasm"),
            (IMAGE_CONFIG_MEDIA_TYPE, "application/vnd.cncf.helm.config.v1+json", "no container image"),
            ("sha256:", "sha1:", "is no digest"),
            ("\"size\":", "\"size\":-", "has a length of -"),
            ("schemaVersion", "schema", "none that is known"),
        ];
        for (from, to, says) in cases {
            let error = read_as(from, to).err().unwrap();
            assert!(error.contains(says), "{to}: {error}");
        }
    }
}
