//! Output that is made piece by piece, however long it is.

use crate::{CHUNK, Effect, Stream, random::random_bytes_from};

/// What is still to be written to a stream.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    stream: Stream,
    source: Source,
    written: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    Text(Vec<u8>),
    Lines { count: u64, width: u64 },
    Bytes { count: u64, byte: u8 },
    Random { count: u64, seed: u64 },
}

impl Output {
    pub(crate) fn new(stream: Stream, source: Source) -> Self {
        Self { stream, source, written: 0 }
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> Option<Effect> {
        let left = self.source.length() - self.written;
        let length = self.source.chunk().min(usize::try_from(left).unwrap_or(usize::MAX));
        if length == 0 {
            return None;
        }
        let bytes = self.source.piece(self.written, length);
        self.written += length as u64;
        Some(Effect::Write { stream: self.stream, bytes })
    }
}

impl Source {
    fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Lines { count, width } => count * width,
            Self::Bytes { count, .. } | Self::Random { count, .. } => *count,
        }
    }

    /// The length of a full piece: whole lines where one fits, so that the two streams mix at lines.
    fn chunk(&self) -> usize {
        match self {
            Self::Lines { width, .. } => match usize::try_from(*width) {
                Ok(width) if width <= CHUNK => CHUNK / width * width,
                _ => CHUNK,
            },
            Self::Text(_) | Self::Bytes { .. } | Self::Random { .. } => CHUNK,
        }
    }

    fn piece(&self, start: u64, length: usize) -> Vec<u8> {
        match self {
            Self::Text(text) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                text.iter().skip(start).take(length).copied().collect()
            }
            Self::Lines { width, .. } => lines(start, length, *width),
            Self::Bytes { byte, .. } => vec![*byte; length],
            // A full piece is a whole number of the sequence's numbers.
            Self::Random { seed, .. } => random_bytes_from(start / 8, length, *seed),
        }
    }
}

/// So many bytes, from the given one on, of lines that are numbered from 1.
fn lines(start: u64, length: usize, width: u64) -> Vec<u8> {
    let mut bytes = vec![b'0'; length];
    let mut put = |place: u64, byte: u8| {
        let index = place.checked_sub(start).and_then(|index| usize::try_from(index).ok());
        if let Some(target) = index.and_then(|index| bytes.get_mut(index)) {
            *target = byte;
        }
    };
    let last = start + (length as u64 - 1);
    for line in start / width..=last / width {
        let mut place = line * width + (width - 1);
        put(place, b'\n');
        let mut number = line + 1;
        while number > 0 {
            place -= 1;
            put(place, b'0' + (number % 10) as u8);
            number /= 10;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_bytes;

    /// All of the output, and the length of each piece.
    fn all(source: Source) -> (Vec<u8>, Vec<usize>) {
        let mut output = Output::new(Stream::Stderr, source);
        let (mut all, mut lengths) = (Vec::new(), Vec::new());
        while let Some(effect) = output.next() {
            let Effect::Write { stream: Stream::Stderr, bytes } = effect else { panic!("{effect:?}") };
            lengths.push(bytes.len());
            all.extend(bytes);
        }
        (all, lengths)
    }

    #[test]
    fn lines_are_numbered_and_packed() {
        let expected: String = (1..=2_000).map(|line| format!("{line:08}\n")).collect();
        let (text, lengths) = all(Source::Lines { count: 2_000, width: 9 });
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert_eq!(lengths, [8_190, 8_190, 1_620]);
    }

    #[test]
    fn lines_longer_than_a_piece_are_whole_in_the_end() {
        let expected: String = (1..=3).map(|line| format!("{line:019999}\n")).collect();
        let (text, lengths) = all(Source::Lines { count: 3, width: 20_000 });
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert!(lengths.iter().all(|length| *length <= CHUNK));
    }

    #[test]
    fn long_output_comes_in_bounded_pieces() {
        assert_eq!(all(Source::Bytes { count: 20_000, byte: b'z' }), (vec![b'z'; 20_000], vec![CHUNK, CHUNK, 3_616]));
        assert_eq!(all(Source::Random { count: 20_001, seed: 5 }).0, random_bytes(20_001, 5));
        assert_eq!(all(Source::Text(vec![b'a'; 9_000])), (vec![b'a'; 9_000], vec![CHUNK, 808]));
        assert_eq!(all(Source::Text(Vec::new())), (vec![], vec![]));
    }

    #[test]
    fn the_longest_output_ends_with_its_last_line() {
        let mut output = Output::new(Stream::Stdout, Source::Lines { count: u64::MAX / 30, width: 30 });
        output.written = 30 * (u64::MAX / 30 - 1);
        let Some(Effect::Write { bytes, .. }) = output.next() else { panic!("the last line is missing") };
        assert_eq!(bytes, format!("{:029}\n", u64::MAX / 30).as_bytes());
        assert_eq!(output.next(), None);
    }
}
