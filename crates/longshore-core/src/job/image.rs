//! Which image a job runs, parsed once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::{SecretReference, Violation, text::text_serde};

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ImageSource {
    /// An image of a registry, or one that the host already has under that name.
    Registry(ImageReference),
}

/// Sources that are reserved, so that a later version can read them without changing what an old text means.
const RESERVED: [&str; 4] = ["docker-archive", "oci-archive", "oci", "rootfs"];

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

impl FromStr for ImageSource {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        if scheme.is_some_and(|scheme| RESERVED.contains(&scheme)) {
            return Err(Violation::new(
                "image",
                text,
                "no executor of this version reads archives, layouts or root folders; load the image into the host and give its name",
            ));
        }
        text.parse().map(Self::Registry)
    }
}

text_serde!(ImageSource, "An image reference: [REGISTRY/]NAME[:TAG][@DIGEST].");

impl From<ImageReference> for ImageSource {
    fn from(reference: ImageReference) -> Self {
        Self::Registry(reference)
    }
}

/// A reference to an image in a registry: `[REGISTRY/]NAME[:TAG][@DIGEST]`, by the grammar of the
/// distribution specification (<https://distribution.github.io/distribution/spec/api/>).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ImageReference {
    registry: Option<String>,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageReference {
    /// The registry's host and port, when the reference names one.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The name below the registry: `library/alpine`, `team/tool`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, when the reference names one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest (`sha256:…`), when the reference is pinned.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The reference without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        self.registry
            .as_ref()
            .map_or_else(|| self.repository.clone(), |registry| format!("{registry}/{}", self.repository))
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        f.pad(&format!("{}{tag}{digest}", self.name()))
    }
}

impl FromStr for ImageReference {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |rule: &str| Violation::new("image", text, rule);
        if text.is_empty() {
            return Err(wrong("an image is needed, such as alpine:3.20 or registry.example.com/team/tool:1.2"));
        }
        let (rest, digest) = split_optional(text, text.find('@'));
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = split_optional(rest, rest[slash..].find(':').map(|at| at + slash));
        let (registry, repository) = match name.split_once('/') {
            Some((host, path)) if is_registry(host) => (Some(host), path),
            _ => (None, name),
        };
        if name.len() > 255 {
            return Err(wrong("a name has at most 255 characters"));
        }
        if !registry.is_none_or(valid_registry) {
            return Err(wrong("the registry must be a host name with an optional port"));
        }
        if !repository.split('/').all(valid_component) {
            return Err(wrong(
                "a name is made of lower-case letters and digits, with `.`, `_`, `__` or dashes between them and `/` between its parts",
            ));
        }
        if !tag.is_none_or(valid_tag) {
            return Err(wrong(
                "a tag has 1 to 128 letters, digits, `_`, `.` and `-`, and begins with a letter, digit or `_`",
            ));
        }
        if !digest.is_none_or(valid_digest) {
            return Err(wrong("a digest is `sha256:` and 64, or `sha512:` and 128, lower-case hexadecimal digits"));
        }
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Ok(Self {
            registry: owned(registry),
            repository: repository.to_owned(),
            tag: owned(tag),
            digest: owned(digest),
        })
    }
}

text_serde!(ImageReference, "[REGISTRY/]NAME[:TAG][@DIGEST]");

/// The parts before and after the separator at the given place.
fn split_optional(text: &str, at: Option<usize>) -> (&str, Option<&str>) {
    at.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

/// The first part of a name is a registry when it can't be a repository's: Docker's own rule.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(|c| c.is_ascii_uppercase())
}

fn valid_registry(registry: &str) -> bool {
    let (host, port) = match registry.rfind(':') {
        Some(at) if !registry.ends_with(']') => (&registry[..at], Some(&registry[at + 1..])),
        _ => (registry, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits =
        address.map_or_else(|| host.split('.').all(label), |address| address.parse::<std::net::Ipv6Addr>().is_ok());
    host_fits && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn valid_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |run: &str| matches!(run, "." | "_" | "__") || run.chars().all(|c| c == '-');
    let fits_ends = component.starts_with(alphanumeric) && component.ends_with(alphanumeric);
    fits_ends && component.split(alphanumeric).filter(|run| !run.is_empty()).all(separator)
}

fn valid_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn valid_digest(digest: &str) -> bool {
    let hex = |hex: &str, length: usize| hex.len() == length && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    match digest.split_once(':') {
        Some(("sha256", digits)) => hex(digits, 64),
        Some(("sha512", digits)) => hex(digits, 128),
        _ => false,
    }
}

/// When an image is fetched from its registry before a launch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PullPolicy {
    /// Only when the host does not have it.
    #[default]
    IfMissing,
    /// Before every launch, so that a moved tag is noticed.
    Always,
    /// Never; a missing image is an error.
    Never,
}

impl PullPolicy {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::IfMissing
    }
}

impl FromStr for PullPolicy {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "always" => Ok(Self::Always),
            "missing" | "if-missing" => Ok(Self::IfMissing),
            "never" => Ok(Self::Never),
            _ => Err(Violation::new("pull policy", text, "use `always`, `missing` or `never`")),
        }
    }
}

/// Credentials for the image's registry: the user's name, and where the password or token is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RegistryCredentials {
    /// The user's name.
    pub username: String,
    /// Where the password or access token is kept.
    pub password: SecretReference,
}

impl RegistryCredentials {
    /// A user's name, and where the password or token is kept.
    pub fn new(username: impl Into<String>, password: SecretReference) -> Self {
        Self { username: username.into(), password }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let cases = [
            ("alpine", (None, "alpine", None, None)),
            ("library/alpine:3.20", (None, "library/alpine", Some("3.20"), None)),
            ("localhost/tool", (Some("localhost"), "tool", None, None)),
            ("localhost:5000/a/b:1", (Some("localhost:5000"), "a/b", Some("1"), None)),
            ("[::1]:5000/a", (Some("[::1]:5000"), "a", None, None)),
            ("Registry/a__b/c--d", (Some("Registry"), "a__b/c--d", None, None)),
        ];
        for (text, (registry, repository, tag, pinned)) in cases {
            let parsed: ImageReference = text.parse().unwrap();
            assert_eq!(
                (parsed.registry(), parsed.repository(), parsed.tag(), parsed.digest()),
                (registry, repository, tag, pinned),
                "{text}"
            );
            assert_eq!(parsed.to_string(), text);
        }
        let pinned: ImageReference = format!("a.b/c:1@{digest}").parse().unwrap();
        assert_eq!(pinned.digest(), Some(digest.as_str()));
    }

    #[test]
    fn what_is_no_reference_is_refused_by_rule() {
        for text in [
            "",
            "A/b C",
            "a//b",
            "-a",
            "a:",
            "a:-1",
            "a@sha256:12",
            "a.b:99999/c",
            "a___b",
            "/a",
            "a/",
            " a",
            "a\nb",
            "a:b:c",
            "http://a/b",
        ] {
            let error = text.parse::<ImageSource>().unwrap_err();
            assert_eq!(error.field, "image", "{text}");
        }
        for text in ["docker-archive:/a.tar", "oci:/layout:1", "rootfs:/srv"] {
            assert!(text.parse::<ImageSource>().unwrap_err().to_string().contains("give its name"), "{text}");
        }
    }
}
