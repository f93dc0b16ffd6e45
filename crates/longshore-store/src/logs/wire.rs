//! Numbers and pieces of bytes, as chunks hold them.

use bytes::Bytes;
use std::fmt;

/// Why bytes are not what a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// They end in the middle.
    CutOff,
    /// Something in them can't be.
    Malformed(&'static str),
    /// A newer version wrote them.
    Newer(u8),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff => f.write_str("it ends in the middle"),
            Self::Malformed(what) => write!(f, "it is malformed: {what}"),
            Self::Newer(version) => write!(f, "it has the form {version}, which a newer version of Longshore wrote"),
        }
    }
}

/// Appends a number, seven bits a byte, the lowest first; the highest bit says that more follow.
pub(super) fn put_number(buffer: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        buffer.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    buffer.push(number as u8);
}

/// Appends a signed number: doubled, and one less than that for what is below zero, so that small ones stay short.
pub(super) fn put_signed(buffer: &mut Vec<u8>, number: i128) {
    put_number(buffer, ((number << 1) ^ (number >> 127)) as u128);
}

/// Appends bytes after their length.
pub(super) fn put_bytes(buffer: &mut Vec<u8>, bytes: &[u8]) {
    put_number(buffer, bytes.len() as u128);
    buffer.extend_from_slice(bytes);
}

/// Takes what was put, in the same order, without copying bytes.
#[derive(Debug)]
pub(super) struct Taker<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Taker<'a> {
    pub(super) const fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Damage> {
        let byte = *self.bytes.get(self.at).ok_or(Damage::CutOff)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, Damage> {
        u64::try_from(self.wide()?).map_err(|_| Damage::Malformed("a number is too large"))
    }

    pub(super) fn signed(&mut self) -> Result<i128, Damage> {
        let number = self.wide()?;
        Ok((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    /// As many bytes as asked for.
    pub(super) fn exactly(&mut self, length: usize) -> Result<Bytes, Damage> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(Damage::CutOff)?;
        let taken = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    /// Bytes after their length.
    pub(super) fn counted(&mut self) -> Result<Bytes, Damage> {
        let length = usize::try_from(self.number()?).map_err(|_| Damage::CutOff)?;
        self.exactly(length)
    }

    fn wide(&mut self) -> Result<u128, Damage> {
        let mut number = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if part.leading_zeros() < shift {
                break;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damage::Malformed("a number is too large"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_are_read_back() {
        for number in [0, 1, -1, 63, -64, 64, 1 << 20, i128::from(i64::MIN), i128::MAX, i128::MIN] {
            let mut buffer = Vec::new();
            put_signed(&mut buffer, number);
            assert_eq!(Taker::new(&buffer.into()).signed(), Ok(number));
        }
        for (number, length) in [(0, 1), (127, 1), (128, 2), (u64::MAX, 10)] {
            let mut buffer = Vec::new();
            put_number(&mut buffer, u128::from(number));
            assert_eq!(buffer.len(), length);
            assert_eq!(Taker::new(&buffer.into()).number(), Ok(number));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let endless = Bytes::from_static(&[0xff; 40]);
        assert_eq!(Taker::new(&endless).number(), Err(Damage::Malformed("a number is too large")));
        assert_eq!(Taker::new(&endless.slice(..5)).number(), Err(Damage::CutOff));
        let length = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 7]);
        assert_eq!(Taker::new(&length).counted(), Err(Damage::CutOff));
    }
}
