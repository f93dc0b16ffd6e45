//! What an entry's extended header says beyond what the archive's reader understands.

use rustix::{
    fd::AsFd,
    fs::{Timespec, XattrFlags, fsetxattr},
    io::{Errno, Result},
};

/// Under which name an extended attribute stands.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
/// Billionths, as digits after the point.
const NANOSECOND_DIGITS: usize = 9;

/// What an entry's extended header says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extended {
    /// When it was changed, where the header says it more exactly.
    pub(crate) modified: Option<Timespec>,
    /// True for a sparse file in one of the forms that extended headers describe.
    pub(crate) is_sparse: bool,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Extended {
    pub(crate) fn from_records(records: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let mut extended = Self::default();
        for (key, value) in records {
            if key == b"mtime" {
                extended.modified = timestamp(&value);
            } else if key.starts_with(b"GNU.sparse.") {
                extended.is_sparse = true;
            } else if let Some(name) = key.strip_prefix(ATTRIBUTE)
                && is_carried(name)
            {
                extended.attributes.push((name.to_vec(), value));
            }
        }
        extended
    }

    /// Gives the extended attributes to what is open. One that the file system does not keep, or that we may not
    /// set, is left out, as Docker does.
    pub(crate) fn give(&self, file: impl AsFd) -> Result<()> {
        for (name, value) in &self.attributes {
            match fsetxattr(&file, name.as_slice(), value, XattrFlags::empty()) {
                Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::RANGE) => {}
                // The attribute is too large for the file system's own limit; a full disk shows at the content.
                Err(Errno::NOSPC | Errno::TOOBIG) => {}
                set => set?,
            }
        }
        Ok(())
    }
}

/// Attributes that an archive may set: what users keep, and what a program may do. Never one that means something
/// to overlayfs, by which an archive could lead outside its layer.
fn is_carried(name: &[u8]) -> bool {
    let is_users = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
    (is_users || name == b"security.capability") && !name.contains(&0)
}

/// Seconds with an optional fraction, before or after 1970.
fn timestamp(text: &[u8]) -> Option<Timespec> {
    let text = str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(NANOSECOND_DIGITS).collect();
    let nanoseconds: i64 = digits.parse().ok().filter(|number| *number >= 0)?;
    if whole.starts_with('-') && nanoseconds > 0 {
        return Some(Timespec { tv_sec: seconds.checked_sub(1)?, tv_nsec: 1_000_000_000 - nanoseconds });
    }
    Some(Timespec { tv_sec: seconds, tv_nsec: nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions_and_may_lie_before_1970() {
        let cases = [
            ("12", Some((12, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.0000000019", Some((12, 1))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-0.25", Some((-1, 750_000_000))),
            ("1.-5", None),
            ("x", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let read = timestamp(text.as_bytes()).map(|time| (time.tv_sec, time.tv_nsec));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn attributes_that_lead_an_overlay_are_never_carried() {
        for name in ["user.a", "security.capability", "user.overlayed"] {
            assert!(is_carried(name.as_bytes()), "{name}");
        }
        for name in [
            "trusted.overlay.redirect",
            "trusted.a",
            "user.overlay.opaque",
            "user.overlay.redirect",
            "security.selinux",
            "system.posix_acl_access",
            "user.a\0",
        ] {
            assert!(!is_carried(name.as_bytes()), "{name}");
        }
    }
}
