//! Which image a job runs, parsed once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use super::mounts::absolute_path;
use crate::{Capability, SecretReference, Violation, text::text_serde};

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ImageSource {
    /// An image of a registry, or one that the host already has under that name.
    Registry(ImageReference),
    /// An image that lies in a file or folder of the machine that runs it.
    Local(LocalImage),
}

impl ImageSource {
    /// What people would call the image: the last part of its name, or of its path.
    #[must_use]
    pub fn short_name(&self) -> &str {
        let (path, last) = match self {
            Self::Registry(reference) => (reference.repository(), reference.repository().rsplit('/').next()),
            Self::Local(local) => (local.path(), local.path().rsplit('/').next()),
        };
        last.unwrap_or(path)
    }

    /// The file or folder, when the image lies in one.
    #[must_use]
    pub const fn local(&self) -> Option<&LocalImage> {
        match self {
            Self::Registry(_) => None,
            Self::Local(local) => Some(local),
        }
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Local(local) => local.fmt(f),
        }
    }
}

impl FromStr for ImageSource {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(local) = LocalImage::parse(text) {
            return local.map(Self::Local);
        }
        text.parse().map(Self::Registry)
    }
}

text_serde!(
    ImageSource,
    "An image: [REGISTRY/]NAME[:TAG][@DIGEST], docker-archive:PATH[:NAME], oci-archive:PATH[:TAG], oci:PATH[:TAG] or rootfs:PATH."
);

/// An image in a file or folder: `docker-archive:PATH[:NAME]`, `oci-archive:PATH[:TAG]`, `oci:PATH[:TAG]` or
/// `rootfs:PATH`. The path is absolute and has no `:` in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct LocalImage {
    format: ImageFormat,
    path: String,
    name: Option<String>,
}

impl LocalImage {
    /// `None` for a text that does not begin with the name of a format.
    fn parse(text: &str) -> Option<Result<Self, Violation>> {
        let (scheme, rest) = text.split_once(':')?;
        let format = ImageFormat::ALL.into_iter().find(|format| format.scheme() == scheme)?;
        let (path, name) = split_optional(rest, rest.find(':'));
        Some(Self::new(format, path, name).map_err(|rule| Violation::new("image", text, rule)))
    }

    fn new(format: ImageFormat, path: &str, name: Option<&str>) -> Result<Self, String> {
        absolute_path("image", path).map_err(|violation| violation.rule)?;
        if name.is_some() && format == ImageFormat::RootFolder {
            return Err("a root folder holds one image; its path must have no `:` in it".to_owned());
        }
        if name.is_some_and(|name| name.is_empty() || name.contains(char::is_control)) {
            return Err("name the image after the path's `:`, or leave the `:` out".to_owned());
        }
        Ok(Self { format, path: path.to_owned(), name: name.map(str::to_owned) })
    }

    /// In which form the image lies there.
    #[must_use]
    pub const fn format(&self) -> ImageFormat {
        self.format
    }

    /// The file or folder, an absolute path without `.` and `..`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which of several images, when the text says so.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl fmt::Display for LocalImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
        f.pad(&format!("{}:{}{name}", self.format.scheme(), self.path))
    }
}

/// In which form an image lies in a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// What `docker save` writes.
    DockerArchive,
    /// An OCI layout in a tar archive.
    OciArchive,
    /// An OCI layout: a folder with `index.json`.
    OciLayout,
    /// A folder that is the container's root, unpacked.
    RootFolder,
}

impl ImageFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::DockerArchive, Self::OciArchive, Self::OciLayout, Self::RootFolder];

    /// The word before the path.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::DockerArchive => "docker-archive",
            Self::OciArchive => "oci-archive",
            Self::OciLayout => "oci",
            Self::RootFolder => "rootfs",
        }
    }

    /// What an executor needs to run such an image.
    #[must_use]
    pub const fn capability(self) -> Capability {
        match self {
            Self::DockerArchive => Capability::DockerArchives,
            Self::OciArchive => Capability::OciArchives,
            Self::OciLayout => Capability::OciLayouts,
            Self::RootFolder => Capability::RootFolders,
        }
    }
}

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
    fn files_and_folders_are_taken_apart() {
        let cases = [
            ("docker-archive:/a.tar", (ImageFormat::DockerArchive, "/a.tar", None, "a.tar")),
            ("docker-archive:/a.tar:b.c:1/d:2", (ImageFormat::DockerArchive, "/a.tar", Some("b.c:1/d:2"), "a.tar")),
            ("oci-archive:/a/b.tar:1", (ImageFormat::OciArchive, "/a/b.tar", Some("1"), "b.tar")),
            ("oci:/layout:1", (ImageFormat::OciLayout, "/layout", Some("1"), "layout")),
            ("rootfs:/srv/root", (ImageFormat::RootFolder, "/srv/root", None, "root")),
        ];
        for (text, (format, path, name, short)) in cases {
            let parsed: ImageSource = text.parse().unwrap();
            let local = parsed.local().unwrap();
            assert_eq!((local.format(), local.path(), local.name()), (format, path, name), "{text}");
            assert_eq!((parsed.to_string(), parsed.short_name()), (text.to_owned(), short));
        }
    }

    #[test]
    fn files_and_folders_that_could_be_mistaken_are_refused() {
        for text in ["rootfs:", "rootfs:srv", "oci:/a/../b", "oci:./a", "rootfs:/a:b", "oci:/a:", "oci-archive://a"] {
            let error = text.parse::<ImageSource>().unwrap_err();
            assert_eq!((error.field.as_str(), error.shown), ("image", format!("{text:?}")));
        }
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
    }
}
