//! The flexible encoding of Kafka's messages, as far as metadata records use it (KIP-482).
//!
//! Owns reading and writing of primitives, compact strings and arrays, and tagged fields. A length is believed only when
//! the remaining bytes can hold it; tags that this binary does not know are skipped, as Kafka skips them.

use std::sync::Arc;

use uuid::Uuid;

use super::{DecodeError, EncodeError, MAX_STRING_BYTES};

/// Appends fields to a buffer; a field that cannot be written is remembered and reported by [`Writer::finish`].
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    error: Option<EncodeError>,
}

impl Writer {
    pub(super) fn finish(self) -> Result<Vec<u8>, EncodeError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.bytes),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(super) fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn uuid(&mut self, value: &Uuid) {
        self.raw(value.as_bytes());
    }

    pub(super) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A compact length: one more than the count, for nought means null.
    pub(super) fn compact_len(&mut self, len: usize) {
        self.uvarint(u32::try_from(len).map_or(u32::MAX, |len| len.saturating_add(1)));
    }

    pub(super) fn string(&mut self, value: &str) {
        if value.len() > MAX_STRING_BYTES {
            self.error.get_or_insert(EncodeError::StringTooLong { bytes: value.len() });
            return;
        }
        self.compact_len(value.len());
        self.raw(value.as_bytes());
    }

    pub(super) fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.uvarint(0),
        }
    }

    pub(super) fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.compact_len(items.len());
        for item in items {
            write(self, item);
        }
    }

    pub(super) fn ids<T: Copy + Into<i32>>(&mut self, ids: &[T]) {
        self.array(ids, |out, id| out.i32((*id).into()));
    }

    pub(super) fn uuids(&mut self, uuids: &[Uuid]) {
        self.array(uuids, |out, uuid| out.uuid(uuid));
    }

    pub(super) fn no_tags(&mut self) {
        self.uvarint(0);
    }

    /// Writes the tagged fields that are present; the caller gives them in ascending order of tag.
    pub(super) fn tags(&mut self, fields: impl FnOnce(&mut TagWriter)) {
        let mut tags = TagWriter { count: 0, fields: Writer::default() };
        fields(&mut tags);
        self.uvarint(tags.count);
        self.raw(&tags.fields.bytes);
        if let Some(error) = tags.fields.error {
            self.error.get_or_insert(error);
        }
    }
}

/// Collects tagged fields, which are counted before they are written.
pub(super) struct TagWriter {
    count: u32,
    fields: Writer,
}

impl TagWriter {
    pub(super) fn field(&mut self, tag: u32, write: impl FnOnce(&mut Writer)) {
        let mut value = Writer::default();
        write(&mut value);
        self.count += 1;
        self.fields.uvarint(tag);
        self.fields.uvarint(value.bytes.len() as u32);
        self.fields.raw(&value.bytes);
        if let Some(error) = value.error {
            self.fields.error.get_or_insert(error);
        }
    }

    pub(super) fn ids<T: Copy + Into<i32>>(&mut self, tag: u32, ids: Option<&[T]>) {
        if let Some(ids) = ids {
            self.field(tag, |out| out.ids(ids));
        }
    }

    pub(super) fn uuids(&mut self, tag: u32, uuids: Option<&[Uuid]>) {
        if let Some(uuids) = uuids {
            self.field(tag, |out| out.uuids(uuids));
        }
    }
}

/// Takes fields from the front of a slice.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        match self.bytes.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::TrailingBytes { bytes }),
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        if len > self.bytes.len() {
            return Err(DecodeError::Truncated { needed: len, remaining: self.bytes.len() });
        }
        let (front, rest) = self.bytes.split_at(len);
        self.bytes = rest;
        Ok(front)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut fixed = [0; N];
        fixed.copy_from_slice(self.take(N)?);
        Ok(fixed)
    }

    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.fixed::<1>()?[0] != 0)
    }

    pub(super) fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid::from_bytes(self.fixed()?))
    }

    pub(super) fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.fixed::<1>()?[0];
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(DecodeError::MalformedVarint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::MalformedVarint)
    }

    pub(super) fn uvarint_u16(&mut self) -> Result<u16, DecodeError> {
        u16::try_from(self.uvarint()?).map_err(|_| DecodeError::MalformedVarint)
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<Arc<str>>, DecodeError> {
        let Some(len) = self.uvarint()?.checked_sub(1) else { return Ok(None) };
        let bytes = self.take(len as usize)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8)?;
        Ok(Some(text.into()))
    }

    pub(super) fn string(&mut self, field: &'static str) -> Result<Arc<str>, DecodeError> {
        self.nullable_string()?.ok_or(DecodeError::UnexpectedNull { field })
    }

    /// An array whose items take at least `item_bytes` each, so that the count can be checked before it is believed.
    pub(super) fn nullable_array<T>(
        &mut self,
        item_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.uvarint()?.checked_sub(1) else { return Ok(None) };
        let count = count as usize;
        let needed = count.saturating_mul(item_bytes);
        if needed > self.bytes.len() {
            return Err(DecodeError::Truncated { needed, remaining: self.bytes.len() });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(Some(items))
    }

    pub(super) fn array<T>(
        &mut self,
        field: &'static str,
        item_bytes: usize,
        read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(item_bytes, read)?.ok_or(DecodeError::UnexpectedNull { field })
    }

    pub(super) fn nullable_ids<T: From<i32>>(&mut self) -> Result<Option<Vec<T>>, DecodeError> {
        self.nullable_array(4, |input| input.i32().map(T::from))
    }

    pub(super) fn ids<T: From<i32>>(&mut self, field: &'static str) -> Result<Vec<T>, DecodeError> {
        self.nullable_ids()?.ok_or(DecodeError::UnexpectedNull { field })
    }

    pub(super) fn nullable_uuids(&mut self) -> Result<Option<Vec<Uuid>>, DecodeError> {
        self.nullable_array(16, Self::uuid)
    }

    pub(super) fn uuids(&mut self, field: &'static str) -> Result<Vec<Uuid>, DecodeError> {
        self.nullable_uuids()?.ok_or(DecodeError::UnexpectedNull { field })
    }

    /// Hands every tagged field to `read`, which says whether it knew the tag; a known field must be read to its end.
    pub(super) fn tags(
        &mut self,
        mut read: impl FnMut(u32, &mut Reader<'_>) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.uvarint()?;
        for _ in 0..count {
            let tag = self.uvarint()?;
            let len = self.uvarint()? as usize;
            let mut field = Reader::new(self.take(len)?);
            if read(tag, &mut field)? {
                field.finish()?;
            }
        }
        Ok(())
    }

    pub(super) fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(false))
    }
}
