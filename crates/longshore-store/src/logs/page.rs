//! Pages out of one chunk.

use bytes::Bytes;
use longshore_core::LogRecord;

use super::{
    frame::{Ending, Frame, Frames, newlines},
    wire::Damage,
};

/// What a record takes of a page beside its bytes, so that a page of tiny records is small in memory too.
const RECORD_COST: usize = 64;

/// What a chunk gives for a page.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) records: Vec<LogRecord>,
    /// The place in the program's output behind the records, or where the chunk ends if that is before them.
    pub(super) next: u64,
    /// The end of the log, where it follows.
    pub(super) ending: Option<Ending>,
    /// Why nothing follows.
    pub(super) damage: Option<Damage>,
}

/// Takes records from this place on out of a chunk that begins at `start`: about as many bytes as asked for, at least one record
/// where there is one.
pub(super) fn fill(chunk: &Bytes, start: u64, offset: u64, max_bytes: usize) -> Filled {
    let mut filled = Filled { next: start, ..Filled::default() };
    let frames = match Frames::of(chunk) {
        Ok(frames) => frames,
        Err(damage) => return Filled { damage: Some(damage), ..filled },
    };
    let mut room = max_bytes;
    for frame in frames {
        let taken = match frame {
            Ok(Frame::Record(piece)) => {
                let end = filled.next + piece.bytes.len() as u64;
                if end <= offset {
                    filled.next = end;
                    continue;
                }
                piece.into_record(usize::try_from(offset.saturating_sub(filled.next)).unwrap_or(usize::MAX))
            }
            Ok(Frame::Ending(ending)) => {
                filled.ending = Some(ending);
                break;
            }
            Err(damage) => Err(damage),
        };
        match taken {
            Ok(record) if filled.records.is_empty() || record.bytes.len() + RECORD_COST <= room => {
                room = room.saturating_sub(record.bytes.len() + RECORD_COST);
                filled.next = filled.next.max(offset) + record.bytes.len() as u64;
                filled.records.push(record);
            }
            Ok(_) => break,
            Err(damage) => {
                filled.damage = Some(damage);
                break;
            }
        }
    }
    filled
}

/// The end of a log, out of its last chunk.
pub(super) fn ending(chunk: &Bytes) -> Result<Ending, Damage> {
    for frame in Frames::of(chunk)? {
        if let Frame::Ending(ending) = frame? {
            return Ok(ending);
        }
    }
    Err(Damage::CutOff)
}

/// How many line breaks a chunk has, and whether it ends with one.
pub(super) fn breaks(chunk: &Bytes) -> Result<(u64, bool), Damage> {
    let (mut count, mut ends_with_one) = (0, false);
    for frame in Frames::of(chunk)? {
        if let Frame::Record(piece) = frame? {
            count += newlines(&piece.bytes);
            ends_with_one = piece.bytes.ends_with(b"\n");
        }
    }
    Ok((count, ends_with_one))
}

/// How far behind the chunk's beginning the line begins that comes after the given number of line breaks and one more.
pub(super) fn after_break(chunk: &Bytes, mut before: u64) -> Result<u64, Damage> {
    let mut passed = 0;
    for frame in Frames::of(chunk)? {
        let Frame::Record(piece) = frame? else { break };
        for (position, _) in piece.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            if before == 0 {
                return Ok(passed + position as u64 + 1);
            }
            before -= 1;
        }
        passed += piece.bytes.len() as u64;
    }
    Err(Damage::Malformed("it has fewer line breaks than the log's end says"))
}
