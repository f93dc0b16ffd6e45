//! The operating system and processor that an image is for.

use std::{fmt, str::FromStr};

use crate::{Violation, text::text_serde};

/// An operating system and architecture in the OCI notation: `linux/amd64`, `linux/arm64`, `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Platform {
    /// The operating system as GOOS spells it.
    pub os: String,
    /// The architecture as GOARCH spells it.
    pub architecture: String,
    /// The architecture's variant, such as `v7`.
    pub variant: Option<String>,
}

impl Platform {
    /// True when something built for `self` runs where `other` is offered; a variant that is not named fits all.
    #[must_use]
    pub fn runs_on(&self, other: &Self) -> bool {
        let variant_fits = self.variant.is_none() || other.variant.is_none() || self.variant == other.variant;
        self.os == other.os && self.architecture == other.architecture && variant_fits
    }
}

/// The OCI name of an architecture that the kernel (`uname -m`) or an engine spells differently.
fn oci_architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armhf" => "arm",
        "i386" | "i686" => "386",
        other => other,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = self.variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
        f.pad(&format!("{}/{}{variant}", self.os, self.architecture))
    }
}

impl FromStr for Platform {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |part: &&str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(part) {
            return Err(Violation::new(
                "platform",
                text,
                "write OS/ARCHITECTURE[/VARIANT] in lower case, such as linux/amd64 or linux/arm/v7",
            ));
        }
        Ok(Self {
            os: parts[0].to_owned(),
            architecture: oci_architecture(parts[1]).to_owned(),
            variant: parts.get(2).map(|&variant| variant.to_owned()),
        })
    }
}

text_serde!(Platform, "OS/ARCHITECTURE[/VARIANT], such as linux/amd64.");
