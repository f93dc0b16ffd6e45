//! A layer without its compression.

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
use std::io::{self, BufRead, BufReader, Cursor, Read};

const BUFFER: usize = 128 * 1024;
const LONGEST_MAGIC: u64 = 4;

/// The layer without its compression, which its first bytes tell: gzip, zstd or none.
pub(crate) fn decompressed<'a>(mut blob: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::new();
    blob.by_ref().take(LONGEST_MAGIC).read_to_end(&mut head)?;
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(head.clone()).chain(blob));
    Ok(match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(whole)),
        // A zstd frame, or a skippable one, with which some writers begin.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Box::new(ZstdFrames::new(whole)),
        _ => Box::new(whole),
    })
}

/// All the frames of a zstd stream, one after the other; the decoder itself knows one only.
struct ZstdFrames<R: BufRead> {
    source: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(source: R) -> Self {
        Self { source, decoder: FrameDecoder::new() }
    }

    /// Opens the next frame; false at the end of the stream.
    fn open_next(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.decoder.is_finished() && self.decoder.can_collect() == 0 && !self.open_next()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Write;

    fn read(blob: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        decompressed(blob)?.read_to_end(&mut content)?;
        Ok(content)
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compression_is_told_by_the_first_bytes_and_parts_are_joined() {
        let zstd = compress_to_vec(b"one".as_slice(), CompressionLevel::Fastest);
        let more = compress_to_vec(b"two".as_slice(), CompressionLevel::Fastest);
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let cases: [(Vec<u8>, &[u8]); 6] = [
            (Vec::new(), b""),
            (b"ab".to_vec(), b"ab"),
            ([gzip(b"one"), gzip(b"two")].concat(), b"onetwo"),
            (zstd.clone(), b"one"),
            ([zstd.as_slice(), &skippable, &more].concat(), b"onetwo"),
            ([&skippable, zstd.as_slice()].concat(), b"one"),
        ];
        for (blob, content) in cases {
            assert_eq!(read(&blob).unwrap(), content, "{blob:x?}");
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error_and_no_end() {
        let content: Vec<u8> = (0..20_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for blob in [gzip(&content), compress_to_vec(content.as_slice(), CompressionLevel::Fastest)] {
            for length in [5, blob.len() / 2, blob.len() - 5] {
                assert!(read(&blob[..length]).is_err(), "{length} of {}", blob.len());
            }
        }
    }
}
