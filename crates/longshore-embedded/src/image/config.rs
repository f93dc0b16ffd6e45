//! What an image says about how its program is run.

use longshore_core::Platform;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::digest::Digest;

/// What an image says about how its program is run. What it leaves out is for the executor to decide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ImageConfig {
    /// Variables, as `NAME=VALUE`.
    pub(crate) env: Vec<String>,
    /// The program with its first arguments.
    pub(crate) entrypoint: Option<Vec<String>>,
    /// The arguments after it, or the program where there is no entrypoint.
    pub(crate) cmd: Option<Vec<String>>,
    /// `USER[:GROUP]`, as names or numbers.
    pub(crate) user: Option<String>,
    /// The folder that the program starts in.
    pub(crate) working_dir: Option<String>,
    /// The signal that asks the program to stop.
    pub(crate) stop_signal: Option<String>,
    /// Folders that hold data beyond the image, in order.
    pub(crate) volumes: Vec<String>,
}

/// An image's configuration document, as Docker and OCI write it alike
/// (<https://github.com/opencontainers/image-spec/blob/main/config.md>). Only what is used here is read, so that a
/// date or a history that somebody wrote wrongly spoils nothing.
#[derive(Debug, Deserialize)]
struct Document {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    variant: Option<String>,
    config: Option<Runtime>,
    rootfs: RootFolder,
}

#[derive(Debug, Deserialize)]
struct RootFolder {
    diff_ids: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Runtime {
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    user: Option<String>,
    working_dir: Option<String>,
    stop_signal: Option<String>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
}

/// An image as its configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) config: ImageConfig,
    /// The layers without their compression, the lowest first.
    pub(crate) diff_ids: Vec<Digest>,
}

/// Reads an image's configuration, which must be for the wanted platform where it says which it is for.
///
/// # Errors
/// Why the document can't be used, as a sentence's end.
pub(crate) fn read(document: &[u8], wanted: &Platform) -> Result<Description, String> {
    let document: Document =
        serde_json::from_slice(document).map_err(|error| format!("its configuration can't be read: {error}"))?;
    check_platform(&document, wanted)?;
    let diff_ids = document.rootfs.diff_ids.unwrap_or_default();
    let diff_ids = diff_ids.iter().map(|id| diff_id(id)).collect::<Result<_, _>>()?;
    Ok(Description { config: config(document.config.unwrap_or_default()), diff_ids })
}

fn check_platform(document: &Document, wanted: &Platform) -> Result<(), String> {
    if document.os.is_empty() || document.architecture.is_empty() {
        return Ok(());
    }
    let variant = document.variant.as_ref().filter(|variant| !variant.is_empty());
    let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
    let text = format!("{}/{}{variant}", document.os, document.architecture);
    let fits = text.parse::<Platform>().is_ok_and(|built_for| built_for.runs_on(wanted));
    if fits { Ok(()) } else { Err(format!("it is for {text:?}, and {wanted} is wanted")) }
}

fn diff_id(text: &str) -> Result<Digest, String> {
    let digest: Digest = text.parse()?;
    match digest.parts().0 {
        "sha256" => Ok(digest),
        other => Err(format!("its layers are known by {other} digests; sha256 is what is known here")),
    }
}

fn config(runtime: Runtime) -> ImageConfig {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    ImageConfig {
        env: runtime.env.unwrap_or_default(),
        entrypoint: runtime.entrypoint.filter(|words| !words.is_empty()),
        cmd: runtime.cmd.filter(|words| !words.is_empty()),
        user: said(runtime.user),
        working_dir: said(runtime.working_dir),
        stop_signal: said(runtime.stop_signal),
        volumes: runtime.volumes.unwrap_or_default().into_keys().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Platform {
        "linux/amd64".parse().unwrap()
    }

    #[test]
    fn what_an_image_says_is_read_and_what_it_leaves_open_stays_open() {
        let id = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","created":"nonsense","config":{{"Env":["A=b"],"Entrypoint":["/x"],
            "Cmd":[],"User":"","WorkingDir":"/w","StopSignal":"SIGQUIT","Volumes":{{"/data":{{}}}},"Labels":null}},
            "rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#
        );
        let read_back = read(text.as_bytes(), &wanted()).unwrap();
        assert_eq!(read_back.diff_ids, [id.parse().unwrap()]);
        let expected = ImageConfig {
            env: vec!["A=b".to_owned()],
            entrypoint: Some(vec!["/x".to_owned()]),
            working_dir: Some("/w".to_owned()),
            stop_signal: Some("SIGQUIT".to_owned()),
            volumes: vec!["/data".to_owned()],
            ..ImageConfig::default()
        };
        assert_eq!(read_back.config, expected);
        let bare = read(br#"{"config":{"Env":null},"rootfs":{"diff_ids":null}}"#, &wanted()).unwrap();
        assert_eq!((bare.config, bare.diff_ids), (ImageConfig::default(), Vec::new()));
    }

    #[test]
    fn what_can_not_run_here_is_refused_with_what_it_is_for() {
        let cases = [
            (r#"{"os":"linux","architecture":"arm64","rootfs":{}}"#, "linux/arm64"),
            (r#"{"os":"windows","architecture":"amd64","rootfs":{}}"#, "windows/amd64"),
            (r#"{"rootfs":{"diff_ids":["md5:12"]}}"#, "md5:12"),
            (r#"{"rootfs":{"diff_ids":["../../etc"]}}"#, "../../etc"),
            ("{}", "rootfs"),
            ("", "can't be read"),
        ];
        for (text, names) in cases {
            let error = read(text.as_bytes(), &wanted()).unwrap_err();
            assert!(error.contains(names), "{text}: {error}");
        }
    }
}
