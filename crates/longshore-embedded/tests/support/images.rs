//! The probe's image in every form in which an image can lie in a file or folder.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::ImageFormat;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// The text of the image's source. It lies in a folder of its own, which is made.
pub(crate) fn image(folder: &Path, format: ImageFormat) -> String {
    let own = folder.join(format.scheme());
    fs::create_dir_all(&own).unwrap();
    let path = match format {
        ImageFormat::DockerArchive => written(own.join("probe.tar"), &docker_archive()),
        ImageFormat::OciArchive => {
            let layout = layout(&own.join("layout"));
            let mut archive = tar::Builder::new(fs::File::create(own.join("probe.tar")).unwrap());
            archive.append_dir_all(".", layout).unwrap();
            archive.finish().unwrap();
            own.join("probe.tar")
        }
        ImageFormat::OciLayout => layout(&own.join("probe")),
        _ => {
            let parts = parts();
            tar::Archive::new(&parts.layer[..]).unpack(own.join("probe")).unwrap();
            own.join("probe")
        }
    };
    format!("{}:{}", format.scheme(), path.display())
}

fn docker_archive() -> Vec<u8> {
    longshore_probe::image_archive("longshore.test/probe:1")
}

struct Parts {
    config: Vec<u8>,
    layer: Vec<u8>,
}

/// The image's configuration and its one layer.
fn parts() -> Parts {
    let archive = docker_archive();
    let mut files = HashMap::new();
    for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.path().unwrap().to_string_lossy().into_owned(), bytes);
    }
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let mut file = |name: &Value| files.remove(name.as_str().unwrap()).unwrap();
    Parts { config: file(&manifest[0]["Config"]), layer: file(&manifest[0]["Layers"][0]) }
}

fn written(path: PathBuf, bytes: &[u8]) -> PathBuf {
    fs::write(&path, bytes).unwrap();
    path
}

/// An OCI layout of the image.
fn layout(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    let blob = |kind: &str, bytes: &[u8]| {
        let digest = Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        fs::write(folder.join("blobs/sha256").join(&digest), bytes).unwrap();
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() })
    };
    let parts = parts();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", &parts.config),
        "layers": [blob("layer.v1.tar", &parts.layer)],
    });
    let manifest = blob("manifest.v1+json", &serde_json::to_vec(&manifest).unwrap());
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(folder.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    folder.to_owned()
}
