//! What `docker save` writes
//! (<https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>).

use longshore_core::{Platform, Result};
use serde::Deserialize;

use super::{place::Place, unusable};
use crate::image::{
    digest::Digest,
    manifest::{self, Blob, Resolved},
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Finds the image of the name, or the only one, and reads its documents.
pub(super) fn resolve(place: &Place, name: Option<&str>, wanted: &Platform) -> Result<Resolved> {
    let broken = |why: String| unusable(place.image(), why);
    let images: Vec<Saved> = serde_json::from_slice(&place.document("manifest.json")?)
        .map_err(|error| broken(format!("its manifest.json can't be read: {error}")))?;
    let image = find(images, name).map_err(broken)?;
    let document = place.document(&image.config)?;
    let id = Digest::of(&document);
    if promised(&image.config).is_some_and(|promised| promised != id.parts().1) {
        return Err(broken(format!("{} does not have the content that its name promises", image.config)));
    }
    let blobs = image.layers.into_iter().map(Blob::Named).collect();
    manifest::resolved(id.clone(), id, &document, blobs, wanted).map_err(broken)
}

/// The SHA-256 that a configuration's name is made of, where it is: `HEX.json`, or `blobs/sha256/HEX`.
fn promised(name: &str) -> Option<&str> {
    let last = name.rsplit('/').next()?;
    let digits = last.strip_suffix(".json").unwrap_or(last);
    (digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

fn find(mut images: Vec<Saved>, name: Option<&str>) -> Result<Saved, String> {
    let mut names: Vec<String> = images.iter().flat_map(|image| image.repo_tags.clone().unwrap_or_default()).collect();
    names.sort_unstable();
    let names = if names.is_empty() { "none has a name".to_owned() } else { format!("there is {}", names.join(", ")) };
    match name {
        None if images.len() > 1 => Err(format!("it holds several images; name one after the path's `:` ({names})")),
        None => images.pop().ok_or_else(|| "there is no image in it".to_owned()),
        Some(name) => {
            let wanted = with_tag(name);
            let has = |image: &Saved| image.repo_tags.iter().flatten().any(|tag| *tag == wanted);
            images.into_iter().find(has).ok_or_else(|| format!("it has no image {wanted:?} in it; {names}"))
        }
    }
}

/// The name with its tag, which is `latest` where none is given.
fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(names: &[&str]) -> Saved {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Saved { config: names.join("+"), repo_tags: Some(names), layers: Vec::new() }
    }

    #[test]
    fn one_image_needs_no_name_and_of_several_one_is_named() {
        let two = || vec![saved(&["a:latest", "a:1"]), saved(&["r.example:5000/b:2"])];
        assert_eq!(find(vec![saved(&[])], None).unwrap().config, "");
        for (name, config) in
            [("a", "a:latest+a:1"), ("a:1", "a:latest+a:1"), ("r.example:5000/b:2", "r.example:5000/b:2")]
        {
            assert_eq!(find(two(), Some(name)).unwrap().config, config, "{name}");
        }
        for (name, says) in [(None, "there is a:1, a:latest"), (Some("r.example:5000/b"), "r.example:5000/b:latest")] {
            assert!(find(two(), name).unwrap_err().contains(says), "{name:?}");
        }
        assert!(find(Vec::new(), None).unwrap_err().contains("no image"));
    }

    #[test]
    fn a_configurations_name_may_promise_its_content() {
        let hex = "0".repeat(64);
        assert_eq!(promised(&format!("{hex}.json")), Some(hex.as_str()));
        assert_eq!(promised(&format!("blobs/sha256/{hex}")), Some(hex.as_str()));
        assert_eq!(promised("config.json"), None);
    }
}
