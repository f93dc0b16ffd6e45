//! Gives long lines the line break back that the engine loses.
//!
//! The engine cuts a line that is longer than 16 KiB into pieces of that size with one time stamp, and the `local`
//! driver forgets whether the last piece ended with a line break (measured on Engine 20.10, whose `json-file` driver
//! does not forget). What follows tells: a further record of the same stream, or an empty last piece, can only come
//! after a line break. Only where a log ends with the last piece of a long line nobody can tell.

use super::frames::Frame;

/// The size of the pieces.
const PIECE: usize = 16 << 10;

/// Where a line break has to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineBreak {
    Nowhere,
    Before,
    After,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Short,
    /// The latest record is a full piece of a long line, with this time stamp.
    Long(i64),
    /// The latest record ends a long line, and its line break is missing.
    Owed,
}

/// Follows the lines of both streams.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LongLines([Line; 2]);

impl LongLines {
    /// Takes note of the next record, and says where a line break belongs.
    pub(crate) fn next(&mut self, frame: &Frame) -> LineBreak {
        let line = &mut self.0[frame.stream as usize];
        let piece = Self::is_piece(frame);
        let goes_on = *line == Line::Long(frame.time);
        let owed = std::mem::take(line) == Line::Owed;
        if piece {
            *line = Line::Long(frame.time);
        } else if goes_on && frame.bytes.is_empty() {
            return LineBreak::After;
        } else if goes_on && !frame.bytes.ends_with(b"\n") {
            *line = Line::Owed;
        }
        if owed { LineBreak::Before } else { LineBreak::Nowhere }
    }

    /// True when the record is a piece of a long line that may go on; such pieces can be all alike.
    pub(crate) fn is_piece(frame: &Frame) -> bool {
        frame.bytes.len() == PIECE && !frame.bytes.ends_with(b"\n")
    }

    /// True when the log so far ends with a line of which nobody can tell whether it ended with a line break.
    pub(crate) fn is_open_ended(&self) -> bool {
        self.0.contains(&Line::Owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use longshore_core::LogStream;

    /// Its stream, its time, how many bytes come before its end, and its end.
    type Record = (LogStream, i64, usize, &'static str);

    fn breaks(records: &[Record]) -> (Vec<LineBreak>, bool) {
        let mut lines = LongLines::default();
        let found = records.iter().map(|(stream, time, filler, end)| {
            let bytes = Bytes::from("x".repeat(*filler) + end);
            lines.next(&Frame { stream: *stream, time: *time, bytes })
        });
        (found.collect(), lines.is_open_ended())
    }

    #[test]
    fn a_break_is_added_where_what_follows_proves_it() {
        use LineBreak::{After, Before, Nowhere};
        use LogStream::{Stderr, Stdout};
        let piece = (Stdout, 1, PIECE, "");
        let cases: [(&[Record], &[LineBreak], bool); 7] = [
            (&[(Stdout, 1, 3, "\n"), (Stdout, 2, 3, "")], &[Nowhere, Nowhere], false),
            (&[piece, piece, (Stdout, 1, 5, ""), (Stdout, 2, 1, "\n")], &[Nowhere, Nowhere, Nowhere, Before], false),
            (&[piece, (Stdout, 1, 0, ""), (Stdout, 2, 1, "\n")], &[Nowhere, After, Nowhere], false),
            (&[piece, (Stdout, 1, 5, "\n"), (Stdout, 2, 1, "\n")], &[Nowhere, Nowhere, Nowhere], false),
            (&[piece, (Stderr, 1, 5, ""), (Stdout, 1, 5, "")], &[Nowhere, Nowhere, Nowhere], true),
            (&[(Stdout, 1, PIECE - 1, "\n"), (Stdout, 2, 5, "")], &[Nowhere, Nowhere], false),
            (&[piece, piece], &[Nowhere, Nowhere], false),
        ];
        for (records, expected, open_ended) in cases {
            assert_eq!(breaks(records), (expected.to_vec(), open_ended), "{records:?}");
        }
    }
}
