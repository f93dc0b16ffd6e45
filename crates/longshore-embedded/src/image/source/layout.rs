//! An OCI layout, in a folder or in an archive
//! (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).

use longshore_core::{Error, Platform, Result};
use oci_client::manifest::{ImageIndexEntry, OciImageIndex};
use serde::Deserialize;

use super::{place::Place, unusable};
use crate::image::{
    digest::Digest,
    manifest::{self, Document, Resolved},
    platform,
};

/// The annotation that holds a tag.
const TAG: &str = "org.opencontainers.image.ref.name";
/// Indexes in indexes that are followed.
const DEEPEST: usize = 4;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

/// Finds the image of the tag, or the only one, and reads its documents.
pub(super) fn resolve(place: &Place, tag: Option<&str>, wanted: &Platform) -> Result<Resolved> {
    let broken = |why: String| unusable(place.image(), why);
    check_version(place)?;
    let index: OciImageIndex = serde_json::from_slice(&place.document("index.json")?)
        .map_err(|error| broken(format!("its index.json can't be read: {error}")))?;
    let named = find(&index.manifests, tag, wanted).map_err(broken)?;
    let digest: Digest = named.digest.parse().map_err(broken)?;
    let mut at = digest.clone();
    for _ in 0..DEEPEST {
        match manifest::read(&place.known_document(&at)?, wanted).map_err(broken)? {
            Document::Chosen(chosen) => at = chosen,
            Document::Image { config: (id, _), blobs } => {
                let document = place.known_document(&id)?;
                return manifest::resolved(digest, id, &document, blobs, wanted).map_err(broken);
            }
        }
    }
    Err(broken(format!("its index leads through more than {DEEPEST} others")))
}

fn check_version(place: &Place) -> Result<(), Error> {
    let layout: Layout = serde_json::from_slice(&place.document("oci-layout")?)
        .map_err(|error| unusable(place.image(), format!("its oci-layout can't be read: {error}")))?;
    if layout.image_layout_version.starts_with("1.") {
        return Ok(());
    }
    let why = format!("it is an OCI layout of version {:?}; 1.x is known here", layout.image_layout_version);
    Err(unusable(place.image(), why))
}

fn find<'a>(
    entries: &'a [ImageIndexEntry],
    tag: Option<&str>,
    wanted: &Platform,
) -> Result<&'a ImageIndexEntry, String> {
    let fitting: Vec<ImageIndexEntry> =
        entries.iter().filter(|entry| tag.is_none() || tag == tag_of(entry)).cloned().collect();
    let position = |entry: &ImageIndexEntry| entries.iter().position(|other| other.digest == entry.digest);
    let tags = || {
        let mut tags: Vec<&str> = entries.iter().filter_map(tag_of).collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.is_empty() { "none of them has a tag".to_owned() } else { format!("its tags are {}", tags.join(", ")) }
    };
    let one = match fitting.as_slice() {
        [] if entries.is_empty() => return Err("there is no image in it".to_owned()),
        [] => return Err(format!("it has no tag {:?}; {}", tag.unwrap_or_default(), tags())),
        [one] => Some(one),
        // Several of one tag, or of none, are builds for several platforms.
        several if several.iter().all(|entry| tag_of(entry) == tag_of(&several[0])) => {
            let chosen = platform::choose(several, wanted);
            Some(chosen.ok_or_else(|| format!("there is none for {wanted}; there is {}", platform::offered(several)))?)
        }
        _ => None,
    };
    let one = one.ok_or_else(|| format!("it holds several images; name one after the path's `:` ({})", tags()))?;
    position(one).map(|at| &entries[at]).ok_or_else(|| "its index.json contradicts itself".to_owned())
}

fn tag_of(entry: &ImageIndexEntry) -> Option<&str> {
    entry.annotations.as_ref()?.get(TAG).map(String::as_str)
}
