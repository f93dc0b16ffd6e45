//! What tests of images are made of: layers, layouts and archives, written on the spot.

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};
use tar::{Builder, EntryType, Header};

use super::{
    LocalUnpacker, UnpackOptions,
    digest::Digest,
    platform,
    store::{ImageStore, StoreOptions},
    unpack::{Ownership, Whiteouts},
};

/// A layer's archive that is put together entry by entry.
pub(crate) struct LayerArchive(Builder<Vec<u8>>);

impl LayerArchive {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// Any entry, with its name exactly as given, whatever it is.
    pub(crate) fn entry(self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        self.header(header, content)
    }

    /// Any header, with its checksum set.
    pub(crate) fn header(mut self, mut header: Header, content: &[u8]) -> Self {
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    /// Records of an extended header for the next entry.
    pub(crate) fn extended(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", content.as_bytes())
    }

    pub(crate) fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", b"")
    }

    pub(crate) fn link(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, name, to, b"")
    }

    pub(crate) fn hard_link(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Link, name, to, b"")
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// An image's documents and blobs, which may be spoilt before they are written.
pub(crate) struct TestImage {
    /// The layers' archives, without compression.
    pub(crate) layers: Vec<Vec<u8>>,
    /// The layers as they are stored.
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) config: Value,
    /// The digests by which the manifest names the layers.
    pub(crate) named: Vec<Digest>,
}

impl TestImage {
    pub(crate) fn new(layers: Vec<Vec<u8>>) -> Self {
        let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let own = platform::own().unwrap();
        let config = json!({
            "architecture": own.architecture, "os": "linux", "config": { "Env": ["A=b"], "Cmd": ["/run"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let blobs: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
        let named = blobs.iter().map(|blob| Digest::of(blob)).collect();
        Self { layers, blobs, config, named }
    }

    /// An image of one layer with one file.
    pub(crate) fn of_file(content: &str) -> Self {
        Self::new(vec![LayerArchive::new().file("file", content).finish()])
    }

    pub(crate) fn config_text(&self) -> Vec<u8> {
        serde_json::to_vec(&self.config).unwrap()
    }

    pub(crate) fn manifest(&self) -> Vec<u8> {
        let config = self.config_text();
        let layers: Vec<Value> = self.blobs.iter().zip(&self.named).map(|(blob, digest)| {
            json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest.as_str(), "size": blob.len() })
        }).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(&config).as_str(), "size": config.len() },
            "layers": layers,
        });
        serde_json::to_vec(&manifest).unwrap()
    }

    /// The files of an OCI layout, but for its index.
    pub(crate) fn blobs(&self) -> Vec<(String, Vec<u8>)> {
        let known = |bytes: Vec<u8>| (blob_name(&Digest::of(&bytes)), bytes);
        let layers = self.named.iter().zip(&self.blobs).map(|(digest, blob)| (blob_name(digest), blob.clone()));
        layers.chain([known(self.config_text()), known(self.manifest())]).collect()
    }

    /// The image's entry in an index.
    pub(crate) fn descriptor(&self, tag: Option<&str>) -> Value {
        let manifest = self.manifest();
        let annotations = tag.map(|tag| json!({ "org.opencontainers.image.ref.name": tag }));
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(&manifest).as_str(),
            "size": manifest.len(), "annotations": annotations,
        })
    }

    /// What `docker save` writes of the image.
    pub(crate) fn docker_archive(&self, name: &str) -> Vec<u8> {
        let config = self.config_text();
        let config_name = format!("{}.json", Digest::of(&config).parts().1);
        let names: Vec<String> = (0..self.layers.len()).map(|at| format!("{at}/layer.tar")).collect();
        let manifest = json!([{ "Config": config_name, "RepoTags": [name], "Layers": names }]);
        let mut files = vec![("manifest.json".to_owned(), manifest.to_string().into_bytes()), (config_name, config)];
        files.extend(names.into_iter().zip(self.layers.clone()));
        archive(&files)
    }
}

fn blob_name(digest: &Digest) -> String {
    let (algorithm, digits) = digest.parts();
    format!("blobs/{algorithm}/{digits}")
}

/// The files of an OCI layout with images by their tags.
pub(crate) fn layout(images: &[(&TestImage, Option<&str>)]) -> Vec<(String, Vec<u8>)> {
    let manifests: Vec<Value> = images.iter().map(|(image, tag)| image.descriptor(*tag)).collect();
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), serde_json::to_vec(&index).unwrap()),
    ];
    files.extend(images.iter().flat_map(|(image, _)| image.blobs()));
    files
}

pub(crate) fn write_files(folder: &Path, files: &[(String, Vec<u8>)]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// A tar archive of some files.
pub(crate) fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// How anybody may unpack, root or not.
pub(crate) const ANYBODY: UnpackOptions =
    UnpackOptions { whiteouts: Whiteouts::User, ownership: Ownership::Flattened, limit: None };

/// A store in a folder, without a limit.
pub(crate) fn store(folder: PathBuf) -> ImageStore {
    store_with(folder, None)
}

/// A store in a folder, with a limit of so many bytes.
pub(crate) fn store_with(folder: PathBuf, limit: Option<u64>) -> ImageStore {
    let limit = limit.and_then(longshore_core::ByteSize::from_bytes);
    ImageStore::open(folder, StoreOptions { unpacker: Arc::new(LocalUnpacker::new(ANYBODY)), limit })
}
