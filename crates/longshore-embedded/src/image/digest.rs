//! Digests: what content is named by, and how it is checked against its name.

use sha2::{Digest as _, Sha256, Sha512};
use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

/// A digest as images write it: `sha256:` or `sha512:` and hexadecimal digits. Parsed, it is safe in a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(String);

impl Digest {
    /// The SHA-256 of some bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex(&Sha256::digest(bytes))))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm and the digits.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or(("sha256", &self.0))
    }

    /// The first twelve digits, as people know them.
    pub(crate) fn short(&self) -> String {
        self.parts().1.chars().take(12).collect()
    }

    /// The name of the file or folder that keeps what has this digest.
    pub(crate) fn file_name(&self) -> String {
        self.0.replace(':', "-")
    }

    /// A hasher by this digest's algorithm.
    pub(crate) fn hasher(&self) -> Hasher {
        match self.parts().0 {
            "sha512" => Hasher::Sha512(Sha512::new()),
            _ => Hasher::Sha256(Sha256::new()),
        }
    }

    /// True when the bytes are what the digest names.
    pub(crate) fn names(&self, bytes: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish() == *self
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Digest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |digits: &str, count: usize| {
            digits.len() == count && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        };
        match text.split_once(':') {
            Some(("sha256", hex)) if digits(hex, 64) => Ok(Self(text.to_owned())),
            Some(("sha512", hex)) if digits(hex, 128) => Ok(Self(text.to_owned())),
            _ => Err(format!("{:?} is no digest that is known here; sha256 and sha512 are", cut(text))),
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(140).collect()
}

/// Hashes by one of the two algorithms.
#[derive(Debug, Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(match self {
            Self::Sha256(hasher) => format!("sha256:{}", hex(&hasher.finalize())),
            Self::Sha512(hasher) => format!("sha512:{}", hex(&hasher.finalize())),
        })
    }
}

/// Hashes what is read through it.
#[derive(Debug)]
pub(crate) struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> HashingReader<R> {
    pub(crate) const fn new(inner: R, hasher: Hasher) -> Self {
        Self { inner, hasher }
    }

    /// The digest of what was read.
    pub(crate) fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_a_folder_is_no_digest() {
        let hex = "a".repeat(64);
        assert!(format!("sha256:{hex}").parse::<Digest>().is_ok());
        assert!(format!("sha512:{hex}{hex}").parse::<Digest>().is_ok());
        for text in ["", "sha256:", "sha256:../../etc", &hex, &format!("md5:{hex}"), &format!("sha256:{hex}0")] {
            assert!(text.parse::<Digest>().unwrap_err().contains("sha256 and sha512"), "{text}");
        }
    }

    #[test]
    fn content_is_known_by_both_algorithms() {
        let long: Digest = {
            let mut hasher = format!("sha512:{}", "0".repeat(128)).parse::<Digest>().unwrap().hasher();
            hasher.update(b"abc");
            hasher.finish()
        };
        assert!(long.as_str().starts_with("sha512:ddaf35a1"), "{long}");
        assert!(long.names(b"abc") && !long.names(b"abd"));
        assert_eq!(Digest::of(b"abc").short(), "ba7816bf8f01");
    }
}
