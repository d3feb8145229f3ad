//! The walk itself.
//!
//! Owns three budgets that a message draws on as it is walked: array elements, unknown tagged fields, and the memory that
//! decoding will take. It goes down a shape no deeper than the table is, keeps its state on the stack, allocates nothing
//! and reads every byte but those inside strings, records and unknown tags, which it steps over.
//!
//! An array's elements are walked one by one, so a count that passes is a count whose elements have arrived.

use super::reader::Reader;
use super::shape::{Field, Kind, Shape};
use super::{AdmissionError, Refusal, decoded_bytes_limit};

/// What a string or a slice takes in a `Vec`.
const STRING_BYTES: usize = size_of::<kafka_protocol::protocol::StrBytes>();
/// What the first unknown tagged field of a struct costs: a node of a `BTreeMap<i32, Bytes>` (416 bytes), rounded up.
const FIRST_TAG_BYTES: usize = 512;
/// What each further one costs at most: a node that is half full, and its share of the nodes above.
const NEXT_TAG_BYTES: usize = 96;
/// The byte in front of a nullable struct that is there.
const PRESENT: i8 = 1;
/// The byte in its place if it is null.
const ABSENT: i8 = -1;

/// What one message may spend; its memory follows from its length.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// Elements of all its arrays.
    pub(super) elements: usize,
    /// Unknown tagged fields of all its structs.
    pub(super) tags: usize,
}

/// Walks a body and tells how long it is. What comes after it is nobody's, as in Kafka: librdkafka's Metadata request for all topics carries three
/// bytes too many.
pub(super) fn body(shape: &Shape, version: i16, bytes: &[u8], budget: Budget) -> Result<usize, AdmissionError> {
    let mut walk = Walk {
        reader: Reader::new(bytes),
        version,
        flexible: version >= shape.flexible_from,
        elements_left: budget.elements,
        tags_left: budget.tags,
        decoded_bytes_left: decoded_bytes_limit(bytes.len()),
    };
    walk.fields(shape.fields)?;
    Ok(bytes.len() - walk.reader.left())
}

struct Walk<'a> {
    reader: Reader<'a>,
    version: i16,
    flexible: bool,
    elements_left: usize,
    tags_left: usize,
    decoded_bytes_left: usize,
}

impl<'a> Walk<'a> {
    fn fields(&mut self, fields: &'static [Field]) -> Result<(), AdmissionError> {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.value(field)?;
            }
        }
        if self.flexible { self.tagged_fields(fields) } else { Ok(()) }
    }

    fn value(&mut self, field: &'static Field) -> Result<(), AdmissionError> {
        let named = |refusal| AdmissionError { field: field.name, refusal };
        match field.kind {
            Kind::Bool => self.reader.take(1).map(drop).map_err(named),
            Kind::Fixed(bytes) => self.reader.take(bytes).map(drop).map_err(named),
            Kind::String => {
                let length = self.reader.string_length(self.flexible);
                self.slice(field, length).map_err(named)
            }
            Kind::Bytes => {
                let length = self.reader.length(self.flexible);
                self.slice(field, length).map_err(named)
            }
            Kind::Struct(fields) => {
                if !field.is_nullable_in(self.version) || self.is_present().map_err(named)? {
                    self.fields(fields)?;
                }
                Ok(())
            }
            Kind::ArrayOfFixed(bytes) => {
                let count = self.count(field, bytes).map_err(named)?;
                self.reader.take(count.saturating_mul(bytes)).map(drop).map_err(named)
            }
            Kind::ArrayOfStrings => {
                for _ in 0..self.count(field, STRING_BYTES).map_err(named)? {
                    self.string().map_err(named)?;
                }
                Ok(())
            }
            Kind::ArrayOfStructs { fields, element_bytes } => {
                for _ in 0..self.count(field, element_bytes).map_err(named)? {
                    self.fields(fields)?;
                }
                Ok(())
            }
        }
    }

    /// Steps over a string or bytes of this length.
    #[inline]
    fn slice(&mut self, field: &Field, length: Result<Option<usize>, Refusal>) -> Result<(), Refusal> {
        match length? {
            Some(length) => self.reader.take(length).map(drop),
            None if field.is_nullable_in(self.version) => Ok(()),
            None => Err(Refusal::Null),
        }
    }

    /// A string in an array: never null in any message.
    fn string(&mut self) -> Result<(), Refusal> {
        let length = self.reader.string_length(self.flexible)?.ok_or(Refusal::Null)?;
        self.reader.take(length).map(drop)
    }

    fn is_present(&mut self) -> Result<bool, Refusal> {
        match self.reader.i8()? {
            PRESENT => Ok(true),
            ABSENT => Ok(false),
            byte => Err(Refusal::Presence { byte }),
        }
    }

    /// The count in front of an array, paid for: null counts as none. No element is empty, so more elements than bytes
    /// are refused before the first is looked at.
    fn count(&mut self, field: &Field, element_bytes: usize) -> Result<usize, Refusal> {
        let Some(count) = self.reader.length(self.flexible)? else {
            return if field.is_nullable_in(self.version) { Ok(0) } else { Err(Refusal::Null) };
        };
        if count > self.reader.left() {
            return Err(Refusal::Short { needed: count, left: self.reader.left() });
        }
        self.elements_left = self.elements_left.checked_sub(count).ok_or(Refusal::Elements)?;
        self.spend(count.saturating_mul(element_bytes))?;
        Ok(count)
    }

    fn spend(&mut self, decoded_bytes: usize) -> Result<(), Refusal> {
        self.decoded_bytes_left = self.decoded_bytes_left.checked_sub(decoded_bytes).ok_or(Refusal::TooCostly)?;
        Ok(())
    }

    #[inline]
    fn tagged_fields(&mut self, fields: &'static [Field]) -> Result<(), AdmissionError> {
        let named = |refusal| AdmissionError { field: "tagged fields", refusal };
        match self.reader.unsigned_varint().map_err(named)? {
            0 => Ok(()),
            count => self.some_tagged_fields(fields, count),
        }
    }

    fn some_tagged_fields(&mut self, fields: &'static [Field], count: u32) -> Result<(), AdmissionError> {
        let named = |refusal| AdmissionError { field: "tagged fields", refusal };
        let (mut previous, mut unknown) = (None, 0);
        for _ in 0..count {
            let (tag, bytes) = self.reader.tagged_field(previous).map_err(named)?;
            previous = Some(tag);
            match fields.iter().find(|field| field.tag == Some(tag)) {
                Some(field) if field.is_in(self.version) => self.inside(field, bytes)?,
                Some(field) => return Err(AdmissionError { field: field.name, refusal: Refusal::TagVersion { tag } }),
                None => {
                    self.tags_left = self.tags_left.checked_sub(1).ok_or(named(Refusal::TaggedFields))?;
                    self.spend(if unknown == 0 { FIRST_TAG_BYTES } else { NEXT_TAG_BYTES }).map_err(named)?;
                    unknown += 1;
                }
            }
        }
        Ok(())
    }

    /// Walks a known tagged field, which must use up exactly what its size says.
    fn inside(&mut self, field: &'static Field, bytes: &'a [u8]) -> Result<(), AdmissionError> {
        let behind = std::mem::replace(&mut self.reader, Reader::new(bytes));
        self.value(field)?;
        match std::mem::replace(&mut self.reader, behind).left() {
            0 => Ok(()),
            left => Err(AdmissionError { field: field.name, refusal: Refusal::Trailing { left } }),
        }
    }
}
