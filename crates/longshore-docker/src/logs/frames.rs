//! The engine's framing of a log: eight bytes of header (stream, three zeros, length), then a time stamp, a
//! space and the bytes that were written
//! (<https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach>).

use bytes::{Buf, Bytes, BytesMut};
use jiff::Timestamp;
use longshore_core::LogStream;
use std::io;

const HEADER: usize = 8;
/// The engine cuts lines into pieces of 16 KiB; anything much larger is not a log.
const LARGEST: usize = 1 << 20;

/// One piece of a log as the engine sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) stream: LogStream,
    /// Nanoseconds since the epoch.
    pub(crate) time: i64,
    pub(crate) bytes: Bytes,
}

/// Takes frames from a stream of bytes that is cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct FrameParser {
    buffer: BytesMut,
}

impl FrameParser {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// True when no part of a frame is waiting for the rest: a stream that ends here was not cut.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let stream = match header[0] {
            1 => LogStream::Stdout,
            2 => LogStream::Stderr,
            other => return Err(broken(format!("a log frame of the unknown stream {other}"))),
        };
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if length > LARGEST {
            return Err(broken(format!("a log frame of {length} bytes")));
        }
        if self.buffer.len() < HEADER + length {
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        let payload = self.buffer.split_to(length).freeze();
        let space = payload
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or_else(|| broken("a log frame without a time stamp".to_owned()))?;
        let time = std::str::from_utf8(&payload[..space]).ok().and_then(|text| text.parse::<Timestamp>().ok());
        let time = time.ok_or_else(|| broken("a log frame whose time stamp can't be read".to_owned()))?;
        Ok(Some(Frame {
            stream,
            time: i64::try_from(time.as_nanosecond()).unwrap_or_default(),
            bytes: payload.slice(space + 1..),
        }))
    }
}

fn broken(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the engine sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(stream: u8, payload: &[u8]) -> Vec<u8> {
        let text = [b"2026-11-23T10:00:00.000000007Z ".as_slice(), payload].concat();
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], length.as_slice(), &text].concat()
    }

    #[test]
    fn frames_survive_any_cut() {
        let sent = [encode(1, b"one\n"), encode(2, b""), encode(1, b"\x00\xff \n")].concat();
        for cut in 0..=sent.len() {
            let mut parser = FrameParser::default();
            let mut frames = Vec::new();
            for part in [&sent[..cut], &sent[cut..]] {
                parser.push(part);
                while let Some(frame) = parser.next().unwrap() {
                    frames.push((frame.stream, frame.time % 1000, frame.bytes));
                }
            }
            let expected: [(LogStream, i64, &[u8]); 3] =
                [(LogStream::Stdout, 7, b"one\n"), (LogStream::Stderr, 7, b""), (LogStream::Stdout, 7, b"\x00\xff \n")];
            assert_eq!(frames, expected.map(|(stream, time, bytes)| (stream, time, Bytes::from_static(bytes))));
            assert!(parser.is_between_frames());
        }
    }

    #[test]
    fn what_is_no_log_is_refused() {
        for wrong in [
            encode(7, b"x"),
            vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [vec![1, 0, 0, 0, 0, 0, 0, 3], b"abc".to_vec()].concat(),
        ] {
            let mut parser = FrameParser::default();
            parser.push(&wrong);
            assert!(parser.next().is_err());
        }
        let mut parser = FrameParser::default();
        parser.push(&encode(1, b"cut")[..20]);
        assert_eq!(parser.next().unwrap(), None);
        assert!(!parser.is_between_frames());
    }
}
