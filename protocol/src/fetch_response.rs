//! Encodes Fetch responses around records that stay where they are.
//!
//! Owns the bytes of a Fetch response other than its records. The caller brings the codec crate's [`FetchResponse`] with
//! every partition's `records` absent or empty, and beside it one part of records for each partition, in order: slices of files,
//! or bytes. Out come chunks to be written one after the other; the first begins with the frame's length, and each part
//! of records is its own chunk, handed back as it came.
//!
//! ```text
//!  Bytes:   length | header | .. topic .. partition: offsets, aborted transactions, length of records |
//!  Records: the records, wherever they are
//!  Bytes:   tagged fields of the partition | next partition .. length of records |
//!  ...
//! ```
//!
//! Records are never null: a partition without any has zero bytes of them, for librdkafka takes null as a protocol error
//! and asks again at once. Everything is written as the codec crate would write it; `tests/fetch_response.rs` compares.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Message};

use crate::request::RequestHeader;
use crate::response::{self, ResponseError};

/// The first version with compact lengths and tagged fields.
const FLEXIBLE_FROM: i16 = 12;
/// The first version that names topics by id (KIP-516).
const TOPIC_ID_FROM: i16 = 13;
/// The first version that names the endpoints of leaders (KIP-951).
const NODE_ENDPOINTS_FROM: i16 = 16;
/// Room for a partition's fields; a frame that needs more grows.
const PARTITION_BYTES: usize = 80;

/// Something that knows how many bytes of records it stands for.
pub trait RecordsLength {
    /// Bytes that it will put on the wire.
    fn size_bytes(&self) -> usize;
}

impl RecordsLength for Bytes {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

/// A partition without records may have none.
impl<R: RecordsLength> RecordsLength for Option<R> {
    fn size_bytes(&self) -> usize {
        self.as_ref().map_or(0, R::size_bytes)
    }
}

/// A stretch of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk<R> {
    /// Encoded fields.
    Bytes(Bytes),
    /// A part of records as the caller brought it; never one of zero bytes.
    Records(R),
}

impl<R: RecordsLength> Chunk<R> {
    /// Bytes that it puts on the wire.
    pub fn size_bytes(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::Records(records) => records.size_bytes(),
        }
    }
}

/// Encodes the answer to `request`, a Fetch, as one frame in chunks. `records` has one part for each partition of
/// `response`, in the order of its topics and their partitions.
pub fn encode<R: RecordsLength>(
    request: &RequestHeader,
    response: &FetchResponse,
    records: Vec<R>,
) -> Result<Vec<Chunk<R>>, ResponseError> {
    let partitions = response.responses.iter().map(|topic| topic.partitions.len()).sum();
    if partitions != records.len() {
        return Err(ResponseError::RecordsMismatch { partitions, records: records.len() });
    }
    let header_version = FetchResponse::header_version(request.api_version);
    let frame = response::start_frame(request, header_version, PARTITION_BYTES * (partitions + 1));
    let mut encoder = Encoder { request, frame, parts: Vec::with_capacity(partitions), records_bytes: 0 };
    encoder.response(response, &mut records.into_iter())?;
    encoder.finish()
}

struct Encoder<'a, R> {
    request: &'a RequestHeader,
    frame: BytesMut,
    /// Where in `frame` each part of records belongs.
    parts: Vec<(usize, R)>,
    records_bytes: usize,
}

impl<R: RecordsLength> Encoder<'_, R> {
    fn response(
        &mut self,
        response: &FetchResponse,
        records: &mut impl Iterator<Item = R>,
    ) -> Result<(), ResponseError> {
        let version = self.request.api_version;
        let known = FetchResponse::VERSIONS;
        if version < known.min || version > known.max {
            return Err(self.unencodable("no such version of Fetch"));
        }
        self.frame.put_i32(response.throttle_time_ms);
        if version >= 7 {
            self.frame.put_i16(response.error_code);
            self.frame.put_i32(response.session_id);
        } else if response.session_id != 0 {
            return Err(self.unencodable("sessions begin with version 7"));
        }
        self.length(response.responses.len())?;
        for topic in &response.responses {
            self.topic(topic, records)?;
        }
        if self.is_flexible() {
            self.response_tags(response)?;
        }
        Ok(())
    }

    fn topic(
        &mut self,
        topic: &FetchableTopicResponse,
        records: &mut impl Iterator<Item = R>,
    ) -> Result<(), ResponseError> {
        if self.request.api_version >= TOPIC_ID_FROM {
            self.frame.put_slice(topic.topic_id.as_bytes());
        } else {
            self.string(&topic.topic)?;
        }
        self.length(topic.partitions.len())?;
        for (partition, records) in topic.partitions.iter().zip(records) {
            self.partition(partition, records)?;
        }
        if self.is_flexible() {
            self.varint(topic.unknown_tagged_fields.len())?;
            self.unknown_tags(&topic.unknown_tagged_fields)?;
        }
        Ok(())
    }

    fn partition(&mut self, partition: &PartitionData, records: R) -> Result<(), ResponseError> {
        let version = self.request.api_version;
        if partition.records.as_ref().is_some_and(|records| !records.is_empty()) {
            return Err(self.unencodable("records belong beside the response, not in it"));
        }
        self.frame.put_i32(partition.partition_index);
        self.frame.put_i16(partition.error_code);
        self.frame.put_i64(partition.high_watermark);
        self.frame.put_i64(partition.last_stable_offset);
        if version >= 5 {
            self.frame.put_i64(partition.log_start_offset);
        }
        match &partition.aborted_transactions {
            None => self.null(),
            Some(aborted) => {
                self.length(aborted.len())?;
                for transaction in aborted {
                    self.message(transaction)?;
                }
            }
        }
        if version >= 11 {
            self.frame.put_i32(*partition.preferred_read_replica);
        } else if *partition.preferred_read_replica != -1 {
            return Err(self.unencodable("preferred replicas begin with version 11"));
        }
        self.records(records)?;
        if self.is_flexible() {
            self.partition_tags(partition)?;
        }
        Ok(())
    }

    fn records(&mut self, records: R) -> Result<(), ResponseError> {
        let size = records.size_bytes();
        self.length(size)?;
        if size > 0 {
            self.records_bytes = self.records_bytes.saturating_add(size);
            self.parts.push((self.frame.len(), records));
        }
        Ok(())
    }

    fn partition_tags(&mut self, partition: &PartitionData) -> Result<(), ResponseError> {
        let diverging = (partition.diverging_epoch != Default::default()).then_some(&partition.diverging_epoch);
        let leader = (partition.current_leader != Default::default()).then_some(&partition.current_leader);
        let snapshot = (partition.snapshot_id != Default::default()).then_some(&partition.snapshot_id);
        let known = [diverging.is_some(), leader.is_some(), snapshot.is_some()].into_iter().filter(|&set| set).count();
        self.varint(known + partition.unknown_tagged_fields.len())?;
        self.tag(0, diverging)?;
        self.tag(1, leader)?;
        self.tag(2, snapshot)?;
        self.unknown_tags(&partition.unknown_tagged_fields)
    }

    fn response_tags(&mut self, response: &FetchResponse) -> Result<(), ResponseError> {
        let version = self.request.api_version;
        let endpoints = &response.node_endpoints;
        let has_endpoints = version >= NODE_ENDPOINTS_FROM && !endpoints.is_empty();
        self.varint(usize::from(has_endpoints) + response.unknown_tagged_fields.len())?;
        if has_endpoints {
            let mut size = varint_bytes(endpoints.len() + 1);
            for endpoint in endpoints {
                size += endpoint.compute_size(version).map_err(|error| self.unencodable(error))?;
            }
            self.varint(0)?;
            self.varint(size)?;
            self.length(endpoints.len())?;
            for endpoint in endpoints {
                self.message(endpoint)?;
            }
        }
        self.unknown_tags(&response.unknown_tagged_fields)
    }

    /// A struct as a tagged field, unless it is absent.
    fn tag(&mut self, tag: usize, value: Option<&impl Encodable>) -> Result<(), ResponseError> {
        let Some(value) = value else {
            return Ok(());
        };
        let size = value.compute_size(self.request.api_version).map_err(|error| self.unencodable(error))?;
        self.varint(tag)?;
        self.varint(size)?;
        self.message(value)
    }

    fn unknown_tags(&mut self, tags: &BTreeMap<i32, Bytes>) -> Result<(), ResponseError> {
        for (&tag, value) in tags {
            let tag = usize::try_from(tag).map_err(|_| self.unencodable("a tag is negative"))?;
            self.varint(tag)?;
            self.varint(value.len())?;
            self.frame.put_slice(value);
        }
        Ok(())
    }

    fn message(&mut self, value: &impl Encodable) -> Result<(), ResponseError> {
        value.encode(&mut self.frame, self.request.api_version).map_err(|error| self.unencodable(error))
    }

    fn string(&mut self, text: &str) -> Result<(), ResponseError> {
        if self.is_flexible() {
            self.length(text.len())?;
        } else {
            let length = i16::try_from(text.len()).map_err(|_| self.unencodable("a topic's name is too long"))?;
            self.frame.put_i16(length);
        }
        self.frame.put_slice(text.as_bytes());
        Ok(())
    }

    /// The length of an array or of bytes.
    fn length(&mut self, length: usize) -> Result<(), ResponseError> {
        if self.is_flexible() {
            return self.varint(length + 1);
        }
        let length = i32::try_from(length).map_err(|_| self.unencodable("a length does not fit in 31 bits"))?;
        self.frame.put_i32(length);
        Ok(())
    }

    fn null(&mut self) {
        if self.is_flexible() { self.frame.put_u8(0) } else { self.frame.put_i32(-1) }
    }

    fn varint(&mut self, value: usize) -> Result<(), ResponseError> {
        let mut value = u32::try_from(value).map_err(|_| self.unencodable("a length does not fit in 32 bits"))?;
        while value >= 0x80 {
            self.frame.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.frame.put_u8(value as u8);
        Ok(())
    }

    fn is_flexible(&self) -> bool {
        self.request.api_version >= FLEXIBLE_FROM
    }

    fn unencodable(&self, error: impl ToString) -> ResponseError {
        response::unencodable(self.request, error)
    }

    /// Writes the frame's length, then cuts the frame where records belong.
    fn finish(mut self) -> Result<Vec<Chunk<R>>, ResponseError> {
        let length = (self.frame.len() - crate::frame::FRAME_LENGTH_BYTES).saturating_add(self.records_bytes);
        response::put_length(self.request, &mut self.frame, length)?;
        let mut fields = self.frame.freeze();
        let mut chunks = Vec::with_capacity(2 * self.parts.len() + 1);
        let mut cut = 0;
        for (at, records) in self.parts {
            chunks.push(Chunk::Bytes(fields.split_to(at - cut)));
            chunks.push(Chunk::Records(records));
            cut = at;
        }
        if !fields.is_empty() {
            chunks.push(Chunk::Bytes(fields));
        }
        Ok(chunks)
    }
}

/// Bytes of `value` as an unsigned varint.
fn varint_bytes(value: usize) -> usize {
    (value.max(1).ilog2() as usize + 1).div_ceil(7)
}
