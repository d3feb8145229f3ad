//! Reads the primitive types of the protocol from a slice without taking anything out of it.
//!
//! Owns a position and the checks that nothing is read beyond the end and that no length is taken on trust. It is
//! stricter than the codec crate where that one is lenient: a varint has at most five bytes and 32 bits.

use super::Refusal;

/// A position in the bytes of one message, or of one tagged field in it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        match self.bytes.split_at_checked(length) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(Refusal::Short { needed: length, left: self.bytes.len() }),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        match self.bytes.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => Err(Refusal::Short { needed: N, left: self.bytes.len() }),
        }
    }

    #[inline]
    pub(super) fn i8(&mut self) -> Result<i8, Refusal> {
        self.array().map(i8::from_be_bytes)
    }

    #[inline]
    pub(super) fn i16(&mut self) -> Result<i16, Refusal> {
        self.array().map(i16::from_be_bytes)
    }

    #[inline]
    pub(super) fn i32(&mut self) -> Result<i32, Refusal> {
        self.array().map(i32::from_be_bytes)
    }

    /// An unsigned varint of at most 32 bits: seven bits a byte, the low ones first, the high bit set on all but the last.
    #[inline]
    pub(super) fn unsigned_varint(&mut self) -> Result<u32, Refusal> {
        match self.bytes.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.bytes = rest;
                Ok(u32::from(byte))
            }
            _ => self.long_unsigned_varint(),
        }
    }

    fn long_unsigned_varint(&mut self) -> Result<u32, Refusal> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| Refusal::Varint);
            }
        }
        Err(Refusal::Varint)
    }

    /// The length in front of a string: `None` for null. Compact lengths are one too high, so that null is 0 (KIP-482).
    #[inline]
    pub(super) fn string_length(&mut self, compact: bool) -> Result<Option<usize>, Refusal> {
        if compact { self.compact_length() } else { self.i16().and_then(|length| plain_length(i64::from(length))) }
    }

    /// The length in front of bytes or an array.
    #[inline]
    pub(super) fn length(&mut self, compact: bool) -> Result<Option<usize>, Refusal> {
        if compact { self.compact_length() } else { self.i32().and_then(|length| plain_length(i64::from(length))) }
    }

    /// Tag, size, and so many bytes. Tags rise, so none comes twice (KIP-482); the codec crate holds them as signed.
    pub(super) fn tagged_field(&mut self, previous: Option<u32>) -> Result<(u32, &'a [u8]), Refusal> {
        let tag = self.unsigned_varint()?;
        if tag > i32::MAX as u32 || previous.is_some_and(|previous| tag <= previous) {
            return Err(Refusal::TagOrder { tag });
        }
        let size = self.unsigned_varint()? as usize;
        Ok((tag, self.take(size)?))
    }

    #[inline]
    fn compact_length(&mut self) -> Result<Option<usize>, Refusal> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }
}

#[inline]
fn plain_length(length: i64) -> Result<Option<usize>, Refusal> {
    match length {
        -1 => Ok(None),
        0.. => Ok(Some(length as usize)),
        _ => Err(Refusal::NegativeLength { length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_at_most_five_bytes_and_32_bits() {
        let check = |bytes: &[u8], expected| assert_eq!(Reader::new(bytes).unsigned_varint(), expected, "{bytes:?}");
        check(&[0x7f], Ok(127));
        check(&[0x80, 0x01], Ok(128));
        check(&[0xff, 0xff, 0xff, 0xff, 0x0f], Ok(u32::MAX));
        check(&[0xff, 0xff, 0xff, 0xff, 0x1f], Err(Refusal::Varint));
        check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Err(Refusal::Varint));
        check(&[0x80], Err(Refusal::Short { needed: 1, left: 0 }));
    }

    #[test]
    fn only_minus_one_is_null() {
        let check = |bytes: &[u8], expected| assert_eq!(Reader::new(bytes).string_length(false), expected, "{bytes:?}");
        check(&[0xff, 0xff], Ok(None));
        check(&[0x00, 0x00], Ok(Some(0)));
        check(&[0x80, 0x00], Err(Refusal::NegativeLength { length: -32768 }));
        assert_eq!(Reader::new(&[0]).length(true), Ok(None));
        assert_eq!(Reader::new(&[1]).length(true), Ok(Some(0)));
    }

    #[test]
    fn nothing_is_taken_beyond_the_end() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.take(4), Err(Refusal::Short { needed: 4, left: 3 }));
        assert_eq!(reader.take(2), Ok(&[1u8, 2][..]));
        assert_eq!(reader.left(), 1);
    }
}
