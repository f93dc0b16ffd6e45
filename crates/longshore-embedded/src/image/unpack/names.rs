//! Entries' names as places below the layer's root.

/// The most folders that one name may go down. Nothing real comes near, and every tool that walks a tree copes.
const DEEPEST: usize = 512;

/// A place below the layer's root: a folder and a name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The folder, from the root, without a leading or trailing `/`; empty for the root itself.
    pub(crate) folder: Vec<u8>,
    /// The name in the folder; empty when the place is the root itself.
    pub(crate) name: Vec<u8>,
}

impl Place {
    /// An archive's name for a place. Absolute names begin at the root, too.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, &'static str> {
        if name.contains(&0) {
            return Err("a name has no NUL in it");
        }
        let parts: Vec<&[u8]> =
            name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        if parts.contains(&b"..".as_slice()) {
            return Err("a name has no `..` in it");
        }
        if parts.len() > DEEPEST {
            return Err("a name goes down at most 512 folders");
        }
        let (name, folder) = parts.split_last().map_or((&b""[..], &[][..]), |(name, folder)| (*name, folder));
        Ok(Self { folder: folder.join(&b'/'), name: name.to_vec() })
    }

    pub(crate) fn is_root(&self) -> bool {
        self.name.is_empty()
    }

    /// The whole name from the root.
    pub(crate) fn path(&self) -> Vec<u8> {
        if self.folder.is_empty() {
            return self.name.clone();
        }
        [self.folder.as_slice(), b"/", &self.name].concat()
    }
}

/// What a name means to the layers below.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mark<'a> {
    /// Nothing: it is an entry like any other.
    None,
    /// The folder hides what the layers below have in it.
    Opaque,
    /// The file or folder of this name in the layers below is gone.
    Gone(&'a [u8]),
    /// A note of the aufs file system, which means nothing elsewhere.
    Ignored,
}

/// What the name means to the layers below
/// (<https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>).
pub(crate) fn mark(name: &[u8]) -> Mark<'_> {
    match name.strip_prefix(b".wh.") {
        None => Mark::None,
        Some(b".wh..opq") => Mark::Opaque,
        Some(rest) if rest.starts_with(b".wh.") => Mark::Ignored,
        Some(rest) => Mark::Gone(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_places_below_the_root() {
        let cases: [(&str, &str, &str); 7] = [
            ("a", "", "a"),
            ("./a/b/", "a", "b"),
            ("/etc//./passwd", "etc", "passwd"),
            ("a/b/c", "a/b", "c"),
            ("./", "", ""),
            ("", "", ""),
            ("...", "", "..."),
        ];
        for (name, folder, last) in cases {
            let place = Place::parse(name.as_bytes()).unwrap();
            assert_eq!(
                (place.folder.as_slice(), place.name.as_slice()),
                (folder.as_bytes(), last.as_bytes()),
                "{name}"
            );
        }
    }

    #[test]
    fn names_that_leave_the_root_or_can_not_be_are_refused() {
        for name in ["..", "../a", "a/../b", "/..", "a/..", "a\0b", &"d/".repeat(600)] {
            assert!(Place::parse(name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn marks_are_told_by_their_names() {
        assert_eq!(mark(b"wh.a"), Mark::None);
        assert_eq!(mark(b".wh.a"), Mark::Gone(b"a"));
        assert_eq!(mark(b".wh."), Mark::Gone(b""));
        assert_eq!(mark(b".wh..."), Mark::Gone(b".."));
        assert_eq!(mark(b".wh..wh..opq"), Mark::Opaque);
        assert_eq!(mark(b".wh..wh.plnk"), Mark::Ignored);
    }
}
