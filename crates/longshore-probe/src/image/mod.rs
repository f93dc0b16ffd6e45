//! The program as a container image: an archive as `docker save` writes it.
//!
//! Its format: <https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>.

mod json;
mod sha256;
mod tar;

use self::{json::quoted, sha256::hex_digest, tar::Archive};

/// The probe's program for Linux on this target's processor, linked statically.
pub const BINARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

const PASSWD: &str = "root:x:0:0:root:/:/probe\nnobody:x:65534:65534:nobody:/:/probe\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\n";
/// An image that is the same every time can't tell when it was made.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// An image that holds [`BINARY`] as `/probe`, its entrypoint, an empty `/tmp` that everybody may write to, and the
/// users root and nobody (65534), as the archive that `docker load` and `podman load` take. It is the same every time.
///
/// The tag is the name that the image gets, with its version: `longshore-probe:latest`. An engine refuses an archive
/// whose tag is no such name.
#[must_use]
pub fn image_archive(tag: &str) -> Vec<u8> {
    let layer = layer();
    let layer_digest = hex_digest(&layer);
    let config = config(&layer_digest);
    let config_name = format!("{}.json", hex_digest(config.as_bytes()));
    let layer_name = format!("{layer_digest}/layer.tar");
    let manifest = format!(
        r#"[{{"Config":{},"RepoTags":[{}],"Layers":[{}]}}]"#,
        quoted(&config_name),
        quoted(tag),
        quoted(&layer_name)
    );
    let mut archive = Archive::new();
    archive.file("manifest.json", 0o644, manifest.as_bytes());
    archive.file(&config_name, 0o644, config.as_bytes());
    archive.folder(&format!("{layer_digest}/"), 0o755);
    archive.file(&layer_name, 0o644, &layer);
    archive.finish()
}

fn layer() -> Vec<u8> {
    let mut archive = Archive::new();
    archive.folder("etc/", 0o755);
    archive.file("etc/group", 0o644, GROUP.as_bytes());
    archive.file("etc/passwd", 0o644, PASSWD.as_bytes());
    archive.file("probe", 0o755, BINARY);
    archive.folder("tmp/", 0o1777);
    archive.finish()
}

fn config(layer_digest: &str) -> String {
    let architecture = architecture();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    [
        format!(r#"{{"architecture":"{architecture}","os":"linux","created":"{CREATED}","#),
        format!(r#""config":{{"Env":["PATH={path}"],"Entrypoint":["/probe"]}},"#),
        format!(r#""rootfs":{{"type":"layers","diff_ids":["sha256:{layer_digest}"]}},"#),
        format!(r#""history":[{{"created":"{CREATED}","created_by":"longshore-probe"}}]}}"#),
    ]
    .concat()
}

/// The processor by the name that Go has for it, which is the one that images use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_the_same_every_time_and_names_the_tag() {
        let archive = image_archive("probe:\"1\"");
        assert_eq!(archive, image_archive("probe:\"1\""));
        let text = String::from_utf8_lossy(&archive[..1024]).into_owned();
        assert!(text.contains(r#""RepoTags":["probe:\"1\""]"#), "{text}");
    }

    #[test]
    fn the_config_names_the_layer() {
        let digest = hex_digest(&layer());
        let config = config(&digest);
        assert!(config.contains(&format!(r#""diff_ids":["sha256:{digest}"]"#)), "{config}");
        assert!(config.contains(r#""Entrypoint":["/probe"]"#), "{config}");
    }

    #[test]
    fn the_program_is_an_elf_file_without_an_interpreter() {
        assert_eq!(&BINARY[..4], b"\x7fELF");
        let loader = b"/ld-linux";
        assert!(!BINARY.windows(loader.len()).any(|window| window == loader), "it asks for a dynamic loader");
    }
}
