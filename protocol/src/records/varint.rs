//! Zig-zag variable-length integers, as records use them (Kafka: `ByteUtils`; Protocol Buffers' `sint32`, `sint64`).

pub(super) const MAX_BYTES_32: usize = 5;
pub(super) const MAX_BYTES_64: usize = 10;

/// Takes an `i32` from the front of `input`; `None` if it is cut off or longer than five bytes.
#[inline]
pub(super) fn take_i32(input: &mut &[u8]) -> Option<i32> {
    let raw = take(input, MAX_BYTES_32)?;
    // Kafka drops the bits beyond 32 of a fifth byte; a writer that sets them is broken.
    let raw = u32::try_from(raw).ok()?;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes an `i64` from the front of `input`; `None` if it is cut off or longer than ten bytes.
#[inline]
pub(super) fn take_i64(input: &mut &[u8]) -> Option<i64> {
    let raw = take(input, MAX_BYTES_64)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[inline]
fn take(input: &mut &[u8], max_bytes: usize) -> Option<u64> {
    if let Some((&byte, rest)) = input.split_first()
        && byte < 0x80
    {
        *input = rest;
        return Some(u64::from(byte));
    }
    take_long(input, max_bytes)
}

fn take_long(input: &mut &[u8], max_bytes: usize) -> Option<u64> {
    let mut value = 0u64;
    for (index, &byte) in input.iter().take(max_bytes).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == MAX_BYTES_64 - 1 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            *input = &input[index + 1..];
            return Some(value);
        }
    }
    None
}

#[inline]
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// How many bytes [`put`] writes. An `i32` is the same number as an `i64`, and takes the same bytes.
#[inline]
pub(super) const fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes `value`.
#[inline]
pub(super) fn put(out: &mut impl bytes::BufMut, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        out.put_u8(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.put_u8(raw as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_values_of_kafkas_byte_utils() {
        let cases: [(i64, &[u8]); 8] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!((&out[..], size(value)), (bytes, bytes.len()));
            assert_eq!(take_i32(&mut &bytes[..]).map(i64::from), Some(value));
            assert_eq!(take_i64(&mut &bytes[..]), Some(value));
        }
    }

    #[test]
    fn too_long_and_cut_off_are_refused() {
        assert_eq!(take_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
        assert_eq!(take_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
        assert_eq!(take_i64(&mut &[0xff; 10][..]), None);
        assert_eq!(take_i64(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..]), None);
        assert_eq!(take_i32(&mut &[0x80][..]), None);
        assert_eq!(take_i32(&mut &[][..]), None);
    }

    proptest! {
        #[test]
        fn every_number_comes_back(value: i64) {
            let mut out = Vec::new();
            put(&mut out, value);
            prop_assert_eq!(out.len(), size(value));
            let mut input = &out[..];
            prop_assert_eq!(take_i64(&mut input), Some(value));
            prop_assert!(input.is_empty());
        }
    }
}
