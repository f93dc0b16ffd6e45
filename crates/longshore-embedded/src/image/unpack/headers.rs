//! What stands before an entry's content: bounded, and kept for those extended headers that the archive's reader
//! can't tell.

use std::{
    cell::RefCell,
    io::{self, Read},
    rc::Rc,
};
use tar::Header;

const BLOCK: u64 = 512;
/// What the headers of one entry may take: its names, its link's target and its extended attributes.
const LONGEST: u64 = 4 << 20;

/// The headers of the entry that is being read. The archive's reader keeps an entry's extended headers in memory,
/// however long the archive says that they are: more than 4 MiB of them are an error here. And it splits their
/// records at line feeds, which a binary attribute may contain: [`records`](Self::records) goes by their lengths.
#[derive(Debug, Clone)]
pub(crate) struct Headers(Rc<RefCell<Tape>>);

#[derive(Debug)]
struct Tape {
    bytes: Vec<u8>,
    /// How far the archive had been read when the tape began.
    start: u64,
    position: u64,
    records: bool,
}

impl Headers {
    /// The headers of an archive, and the archive through which they are seen.
    pub(crate) fn of<R: Read>(archive: R) -> (Self, Watched<R>) {
        let headers = Self(Rc::new(RefCell::new(Tape { bytes: Vec::new(), start: 0, position: 0, records: true })));
        (headers.clone(), Watched { inner: archive, headers })
    }

    /// The next entry's headers are going to be read.
    pub(crate) fn begin(&self) {
        let mut tape = self.0.borrow_mut();
        tape.bytes.clear();
        tape.start = tape.position;
        tape.records = true;
    }

    /// Content is going to be read.
    pub(crate) fn end(&self) {
        self.0.borrow_mut().records = false;
    }

    /// The records of the entry's extended (PAX) header, by name.
    pub(crate) fn records(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let tape = self.0.borrow();
        tape.extended().map_or_else(|| Ok(Vec::new()), |bytes| parse(bytes).ok_or_else(malformed))
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an extended header is malformed")
}

impl Tape {
    /// The content of the extended header on the tape, if there is one.
    fn extended(&self) -> Option<&[u8]> {
        // The rest of the previous entry's last block stands before the first header.
        let mut at = usize::try_from(self.start.next_multiple_of(BLOCK) - self.start).ok()?;
        loop {
            let block = self.bytes.get(at..)?.first_chunk::<{ BLOCK as usize }>()?;
            let header = Header::from_byte_slice(block);
            let kind = header.entry_type();
            let size = header.entry_size().ok()?;
            at += block.len();
            if kind.is_pax_local_extensions() {
                return self.bytes.get(at..at.checked_add(usize::try_from(size).ok()?)?);
            }
            if !kind.is_gnu_longname() && !kind.is_gnu_longlink() {
                return None;
            }
            at = at.checked_add(usize::try_from(size.checked_next_multiple_of(BLOCK)?).ok()?)?;
        }
    }
}

/// Records of the form `LENGTH KEY=VALUE\n`, where the length is that of the whole record.
fn parse(mut bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&byte| byte == b' ')?;
        let length: usize = str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        bytes = &bytes[length..];
    }
    Some(records)
}

/// The archive, watched where headers are read.
#[derive(Debug)]
pub(crate) struct Watched<R> {
    inner: R,
    headers: Headers,
}

impl<R> Watched<R> {
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut tape = self.headers.0.borrow_mut();
        let most = if tape.records { LONGEST.saturating_sub(tape.position - tape.start) } else { u64::MAX };
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("an entry's headers are longer than 4 MiB"));
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        tape.position += count as u64;
        if tape.records {
            tape.bytes.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_by_their_lengths() {
        let records = parse(b"8 a=b\nc\n12 path=/x\n\n").unwrap();
        assert_eq!(records, [(b"a".to_vec(), b"b\nc".to_vec()), (b"path".to_vec(), b"/x\n".to_vec())]);
        for malformed in ["8 a=b", "x a=b\n", "6 a=bc\n", "5 abc\n", "0 a=b\n", "99999999999999999999 a=b\n", "3 a=b\n"]
        {
            assert!(parse(malformed.as_bytes()).is_none(), "{malformed}");
        }
    }

    #[test]
    fn headers_are_bounded_and_content_is_not() {
        let (headers, mut reader) = Headers::of(io::repeat(7).take(16 << 20));
        let mut taken = Vec::new();
        assert!(reader.by_ref().read_to_end(&mut taken).is_err());
        assert_eq!(taken.len(), 4 << 20);
        headers.end();
        assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), 12 << 20);
    }
}
