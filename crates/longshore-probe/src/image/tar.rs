//! Tar archives in the ustar format (POSIX.1-2017, `pax`, "ustar Interchange Format"), for names of at most 100 bytes
//! and files below 8 GiB. Everything belongs to root and is as old as the epoch.

const BLOCK: usize = 512;

pub(super) struct Archive(Vec<u8>);

struct Entry<'a> {
    name: &'a str,
    mode: u32,
    kind: u8,
    size: usize,
}

impl Archive {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.0.extend(header(&Entry { name, mode, kind: b'0', size: content.len() }));
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    /// A folder, whose name ends with a slash.
    pub(super) fn folder(&mut self, name: &str, mode: u32) {
        self.0.extend(header(&Entry { name, mode, kind: b'5', size: 0 }));
    }

    /// The archive with its two empty blocks at the end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

fn header(entry: &Entry<'_>) -> [u8; BLOCK] {
    debug_assert!(entry.name.len() <= 100, "{} is too long for a ustar header", entry.name);
    let mut header = [0; BLOCK];
    let mut put = |start: usize, text: &str| {
        for (target, byte) in header[start..].iter_mut().zip(text.bytes()) {
            *target = byte;
        }
    };
    put(0, entry.name);
    put(100, &format!("{:07o}", entry.mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", entry.size));
    put(136, "00000000000");
    // The sum is taken with spaces in its own place.
    put(148, "        ");
    put(257, "ustar\u{0}00");
    put(265, "root");
    put(297, "root");
    put(329, "0000000");
    put(337, "0000000");
    header[156] = entry.kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (target, byte) in header[148..].iter_mut().zip(format!("{sum:06o}\0 ").bytes()) {
        *target = byte;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_fields_and_its_sum() {
        let mut archive = Archive::new();
        archive.file("probe", 0o755, &[7; 600]);
        archive.folder("tmp/", 0o1777);
        let bytes = archive.finish();
        assert_eq!(bytes.len(), BLOCK * (1 + 2 + 1 + 2));
        assert_eq!(&bytes[..6], b"probe\0");
        assert_eq!(&bytes[100..108], b"0000755\0");
        assert_eq!(&bytes[124..136], b"00000001130\0");
        assert_eq!(bytes[156], b'0');
        assert_eq!(&bytes[257..265], b"ustar\x0000");
        assert_eq!(&bytes[512..1112], [7; 600]);
        let folder = &bytes[1536..2048];
        assert_eq!(
            (&folder[..5], &folder[100..108], folder[156]),
            (b"tmp/\0".as_slice(), b"0001777\0".as_slice(), b'5')
        );
        let stored = u32::from_str_radix(std::str::from_utf8(&folder[148..154]).unwrap(), 8).unwrap();
        let counted: u32 = folder
            .iter()
            .enumerate()
            .map(|(i, byte)| if (148..156).contains(&i) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(stored, counted);
        assert_eq!(&bytes[2048..], [0; 1024]);
    }
}
