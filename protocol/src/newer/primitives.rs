//! Kafka's compact types (KIP-482), which the codec crate keeps to itself: varints, strings, arrays, tagged fields.
//!
//! What is read never takes more than is there, and allocates for no more elements than bytes remain.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::protocol::buf::ByteBufMut;
use uuid::Uuid;

/// Unknown tagged fields, as the codec crate keeps them.
pub(super) type TaggedFields = BTreeMap<i32, Bytes>;

const CUT_SHORT: &str = "the message ends inside a field";

pub(super) fn varint(body: &mut Bytes) -> Result<u32> {
    let mut value = 0u32;
    for shift in (0..32).step_by(7) {
        let byte = body.try_get_u8().context(CUT_SHORT)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    anyhow::bail!("a varint does not end")
}

pub(super) fn put_varint<B: ByteBufMut>(out: &mut B, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// A length or a count; `None` is null.
fn length(body: &mut Bytes) -> Result<Option<usize>> {
    let Some(length) = varint(body)?.checked_sub(1) else { return Ok(None) };
    ensure!(length as usize <= body.len(), "{length} are announced where {} bytes are left", body.len());
    Ok(Some(length as usize))
}

fn put_length<B: ByteBufMut>(out: &mut B, length: Option<usize>) -> Result<()> {
    let length = length.map_or(Ok(0), |length| u32::try_from(length + 1)).context("a field is too long")?;
    put_varint(out, length);
    Ok(())
}

pub(super) fn int16(body: &mut Bytes) -> Result<i16> {
    body.try_get_i16().context(CUT_SHORT)
}

pub(super) fn int32(body: &mut Bytes) -> Result<i32> {
    body.try_get_i32().context(CUT_SHORT)
}

pub(super) fn int64(body: &mut Bytes) -> Result<i64> {
    body.try_get_i64().context(CUT_SHORT)
}

pub(super) fn boolean(body: &mut Bytes) -> Result<bool> {
    Ok(body.try_get_u8().context(CUT_SHORT)? != 0)
}

pub(super) fn uuid(body: &mut Bytes) -> Result<Uuid> {
    Ok(Uuid::from_u128(body.try_get_u128().context(CUT_SHORT)?))
}

/// Shares the bytes of the message.
pub(super) fn nullable_string(body: &mut Bytes) -> Result<Option<StrBytes>> {
    let Some(length) = length(body)? else { return Ok(None) };
    Ok(Some(StrBytes::from_utf8(body.split_to(length))?))
}

pub(super) fn string(body: &mut Bytes) -> Result<StrBytes> {
    nullable_string(body)?.context("a string is null")
}

pub(super) fn put_string<B: ByteBufMut>(out: &mut B, text: Option<&str>) -> Result<()> {
    put_length(out, text.map(str::len))?;
    out.put_slice(text.unwrap_or_default().as_bytes());
    Ok(())
}

pub(super) fn nullable_array<T>(
    body: &mut Bytes,
    mut element: impl FnMut(&mut Bytes) -> Result<T>,
) -> Result<Option<Vec<T>>> {
    let Some(count) = length(body)? else { return Ok(None) };
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        elements.push(element(body)?);
    }
    Ok(Some(elements))
}

pub(super) fn array<T>(body: &mut Bytes, element: impl FnMut(&mut Bytes) -> Result<T>) -> Result<Vec<T>> {
    nullable_array(body, element)?.context("an array is null")
}

pub(super) fn put_array<B: ByteBufMut, T>(
    out: &mut B,
    elements: Option<&[T]>,
    mut put: impl FnMut(&mut B, &T) -> Result<()>,
) -> Result<()> {
    put_length(out, elements.map(<[T]>::len))?;
    elements.unwrap_or_default().iter().try_for_each(|element| put(out, element))
}

/// The tagged fields that end a struct without known ones.
pub(super) fn tagged_fields(body: &mut Bytes) -> Result<TaggedFields> {
    let mut fields = TaggedFields::new();
    for _ in 0..varint(body)? {
        let tag = varint(body)?;
        let length = varint(body)? as usize;
        ensure!(length <= body.len(), CUT_SHORT);
        fields.insert(tag as i32, body.split_to(length));
    }
    Ok(fields)
}

pub(super) fn put_tagged_fields<B: ByteBufMut>(out: &mut B, fields: &TaggedFields) -> Result<()> {
    put_varint(out, u32::try_from(fields.len())?);
    for (tag, bytes) in fields {
        put_varint(out, *tag as u32);
        put_varint(out, u32::try_from(bytes.len())?);
        out.put_slice(bytes);
    }
    Ok(())
}
