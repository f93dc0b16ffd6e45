//! A file's content on its way to the disk, with its holes.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
};

use super::error::{UnpackError, UnpackErrorKind};

const BUFFER: usize = 64 * 1024;

/// Writes an entry's content to an empty file; says how many bytes it has. What is all zeros becomes a hole, so that
/// a sparse file takes no more room than it did where it came from.
///
/// # Errors
/// `TooLarge` when it has more bytes than there is room for, `Corrupt` when the archive can't be read on.
pub(crate) fn write_content(
    content: &mut impl Read,
    mut file: &File,
    name: &[u8],
    room: Option<u64>,
) -> Result<u64, UnpackError> {
    let failed = |error| UnpackError::system(name, error);
    let mut buffer = vec![0; BUFFER];
    let (mut written, mut hole) = (0_u64, 0_u64);
    loop {
        let count = fill(content, &mut buffer)?;
        if count == 0 {
            break;
        }
        written += count as u64;
        if room.is_some_and(|room| written > room) {
            return Err(UnpackError::new(UnpackErrorKind::TooLarge, "the layer unpacks to more bytes than it may"));
        }
        if buffer[..count].iter().all(|byte| *byte == 0) {
            hole += count as u64;
            continue;
        }
        if hole > 0 {
            file.seek(SeekFrom::Current(i64::try_from(hole).unwrap_or(i64::MAX))).map_err(failed)?;
            hole = 0;
        }
        file.write_all(&buffer[..count]).map_err(failed)?;
    }
    if hole > 0 {
        file.set_len(written).map_err(failed)?;
    }
    Ok(written)
}

/// Fills the buffer as far as the content goes.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> Result<usize, UnpackError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(UnpackError::corrupt(&error)),
        }
    }
    Ok(filled)
}
