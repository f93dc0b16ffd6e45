//! Which of an image's builds is for this machine.

use longshore_core::{Error, Platform, Result};
use oci_client::manifest::ImageIndexEntry;

/// The platform of this machine.
pub(crate) fn own() -> Result<Platform> {
    let architecture = match std::env::consts::ARCH {
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        same => same,
    };
    format!("linux/{architecture}").parse().map_err(Error::from)
}

/// The build for the wanted platform: the one of exactly its variant, else one without, else the first.
pub(crate) fn choose<'a>(entries: &'a [ImageIndexEntry], wanted: &Platform) -> Option<&'a ImageIndexEntry> {
    let fitting: Vec<(&ImageIndexEntry, Platform)> = entries
        .iter()
        .filter_map(|entry| built_for(entry).map(|platform| (entry, platform)))
        .filter(|(_, platform)| wanted.runs_on(platform))
        .collect();
    let with = |variant: Option<&String>| fitting.iter().find(|(_, built)| built.variant.as_ref() == variant);
    with(wanted.variant.as_ref()).or_else(|| with(None)).or_else(|| fitting.first()).map(|(entry, _)| *entry)
}

/// What the entries are for, for people.
pub(crate) fn offered(entries: &[ImageIndexEntry]) -> String {
    let mut platforms: Vec<String> =
        entries.iter().filter_map(built_for).filter(|built| built.os != "unknown").map(|b| b.to_string()).collect();
    platforms.sort_unstable();
    platforms.dedup();
    if platforms.is_empty() { "nothing that says what it is for".to_owned() } else { platforms.join(", ") }
}

fn built_for(entry: &ImageIndexEntry) -> Option<Platform> {
    let platform = entry.platform.as_ref()?;
    let variant = platform.variant.as_ref().filter(|variant| !variant.is_empty());
    let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", platform.os, platform.architecture).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(platforms: &[&str]) -> Vec<ImageIndexEntry> {
        let entry = |text: &&str| {
            let parts: Vec<&str> = text.split('/').collect();
            serde_json::from_value(serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": text, "size": 1,
                "platform": { "os": parts[0], "architecture": parts[1], "variant": parts.get(2) },
            }))
            .unwrap()
        };
        platforms.iter().map(entry).collect()
    }

    #[test]
    fn the_nearest_build_is_chosen() {
        let all =
            ["unknown/unknown", "linux/amd64/v3", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8"];
        let cases = [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/amd64/v3", Some("linux/amd64/v3")),
            ("linux/arm64", Some("linux/arm64/v8")),
            ("linux/arm/v7", Some("linux/arm/v7")),
            ("linux/arm", Some("linux/arm/v6")),
            ("linux/s390x", None),
            ("windows/amd64", None),
        ];
        let entries = entries(&all);
        for (wanted, chosen) in cases {
            let found = choose(&entries, &wanted.parse().unwrap()).map(|entry| entry.digest.as_str());
            assert_eq!(found, chosen, "{wanted}");
        }
        assert!(offered(&entries).starts_with("linux/amd64, linux/amd64/v3, linux/arm/v6"));
    }

    #[test]
    fn this_machine_has_a_platform() {
        assert_eq!(own().unwrap().os, "linux");
    }
}
