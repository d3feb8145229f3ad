//! Well-formed requests of every API and version, made from the broker's own tables of shapes and filled with values that mean something
//! to it, so that many are carried out and not only refused at the first look.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use uuid::Uuid;
use weir_protocol::admission::requests;
use weir_protocol::admission::shape::{Field, Kind};
use weir_protocol::api::{self, ApiKey};
use weir_protocol::compression::Codec;
use weir_protocol::records::BatchBuilder;
use weir_protocol::request;

use super::vocabulary::{CONFIG_KEYS, CONFIG_VALUES, GROUPS, Vocabulary, WORDS};

/// Elements of an array, at most.
const MAX_ELEMENTS: u32 = 3;
/// Of 100 nullable fields, how many are null.
const NULL_PERCENT: u32 = 25;
/// Of 100 tagged fields, how many are there.
const TAGGED_PERCENT: u32 = 50;

/// Every API at every version that the broker's table says is parsed.
pub(crate) fn every_version() -> Vec<(ApiKey, i16)> {
    let versions = |api: api::ApiVersions| (api.min..=api.max).map(move |version| (api, version));
    api::all().flat_map(versions).filter(|(api, version)| api.parses(*version)).map(|(api, v)| (api.key, v)).collect()
}

/// A request without its length: header and body.
pub(crate) fn make(
    (key, version): (ApiKey, i16),
    correlation_id: i32,
    words: &Vocabulary,
    random: &mut StdRng,
) -> Vec<u8> {
    let shape = requests::shape_of(key);
    let flexible = version >= shape.flexible_from;
    let mut bytes = Vec::new();
    bytes.extend((key as i16).to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(correlation_id.to_be_bytes());
    bytes.extend(7_i16.to_be_bytes());
    bytes.extend(b"hostile");
    if request::header_version(key, version) >= 2 {
        bytes.push(0);
    }
    let mut writer = Writer { bytes, version, flexible, words, random };
    writer.fields(shape.fields);
    writer.bytes
}

struct Writer<'a> {
    bytes: Vec<u8>,
    version: i16,
    flexible: bool,
    words: &'a Vocabulary,
    random: &'a mut StdRng,
}

impl Writer<'_> {
    fn percent(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn fields(&mut self, fields: &[Field]) {
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
            self.value(field);
        }
        if self.flexible {
            self.tagged_fields(fields);
        }
    }

    fn tagged_fields(&mut self, fields: &[Field]) {
        let version = self.version;
        let known = fields.iter().filter(|field| field.is_in(version)).filter_map(|field| Some((field.tag?, field)));
        let mut tagged = Vec::new();
        for (tag, field) in known {
            if self.percent(TAGGED_PERCENT) {
                let before = std::mem::take(&mut self.bytes);
                self.value(field);
                tagged.push((tag, std::mem::replace(&mut self.bytes, before)));
            }
        }
        tagged.sort_by_key(|(tag, _)| *tag);
        self.varint(tagged.len() as u32);
        for (tag, bytes) in tagged {
            self.varint(tag);
            self.varint(bytes.len() as u32);
            self.bytes.extend(bytes);
        }
    }

    fn value(&mut self, field: &Field) {
        let null = field.is_nullable_in(self.version) && self.percent(NULL_PERCENT);
        match field.kind {
            Kind::Bool => {
                let bit = self.random.random_range(0..2);
                self.bytes.push(bit);
            }
            Kind::Fixed(width) => self.number(field.name, width),
            Kind::Struct(_) if null => self.bytes.push(0xff),
            Kind::Struct(fields) => {
                if field.is_nullable_in(self.version) {
                    self.bytes.push(1);
                }
                self.fields(fields);
            }
            Kind::String if null && !self.flexible => self.bytes.extend((-1_i16).to_be_bytes()),
            _ if null => self.length(None),
            Kind::String => self.text(field.name),
            Kind::Bytes => {
                let bytes = if field.name == "records" { self.batch() } else { self.noise(40) };
                self.length(Some(bytes.len()));
                self.bytes.extend(bytes);
            }
            Kind::ArrayOfFixed(width) => self.array(|writer| writer.number(field.name, width)),
            Kind::ArrayOfStrings => self.array(|writer| writer.text(field.name)),
            Kind::ArrayOfStructs { fields, .. } => self.array(|writer| writer.fields(fields)),
        }
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self)) {
        let count = self.random.random_range(0..=MAX_ELEMENTS);
        self.length(Some(count as usize));
        for _ in 0..count {
            element(self);
        }
    }

    fn number(&mut self, name: &str, width: usize) {
        if width == 16 {
            let id = if self.percent(80) { self.words.topic_ids.choose(self.random).copied() } else { None };
            self.bytes.extend(id.unwrap_or_else(|| Uuid::from_u128(self.random.random())).as_bytes());
            return;
        }
        let choices: &[i64] = match name {
            "partition" | "partition_index" | "partition_indexes" | "partitions" | "index" => &[0, 0, 0, 1, 1, 2, -1],
            "acks" => &[-1, -1, 0, 1, 1, 2],
            "timeout_ms" | "max_wait_ms" | "rebalance_timeout_ms" => &[0, 1, 20, 100],
            "session_timeout_ms" => &[6000, 10_000, 0],
            "num_partitions" | "count" => &[-1, 0, 1, 2, 3, 20],
            "replication_factor" => &[-1, 1, 1, 1, 0, 2],
            "max_bytes" | "partition_max_bytes" => &[0, 1, 1000, 1 << 20, i32::MAX as i64],
            "min_bytes" => &[0, 0, 1, 1 << 20],
            "replica_id" | "leader_epoch" | "current_leader_epoch" | "generation_id" => &[-1, -1, -1, 0, 1],
            "isolation_level" | "key_type" | "session_epoch" | "config_operation" => &[0, 0, 1, 2, 3, -1],
            "resource_type" => &[2, 2, 4, 8, 16, 32, 0],
            "timestamp" => &[-1, -2, -3, -4, -5, 0, i64::MAX],
            "offset" | "fetch_offset" | "log_start_offset" | "committed_offset" => &[0, 0, 1, 5, 100, -1, i64::MAX],
            _ => &[0, 1, -1, 7, i16::MAX as i64, i32::MAX as i64, i64::MAX, i64::MIN],
        };
        let value = choices.choose(self.random).copied().unwrap_or(0);
        self.bytes.extend(&value.to_be_bytes()[8 - width..]);
    }

    fn text(&mut self, name: &str) {
        let topics: Vec<&str> = self.words.topics.iter().map(String::as_str).collect();
        let choices: &[&str] = match name {
            "topic" | "topic_name" | "topic_names" | "topics" | "resource_name" | "subscribed_topic_names" => &topics,
            "group_id" | "group_ids" | "key" | "coordinator_keys" | "groups" => &GROUPS,
            "value" => &CONFIG_VALUES,
            "name" if self.percent(60) => &topics,
            "name" => &CONFIG_KEYS,
            _ => &WORDS,
        };
        let text = match self.random.random_range(0..100) {
            0..90 => choices.choose(self.random).copied().unwrap_or_default().to_owned(),
            90..98 => (0..self.random.random_range(0..8)).map(|_| self.random.random_range('a'..'é')).collect(),
            _ => "x".repeat(300),
        };
        match self.flexible {
            true => self.length(Some(text.len())),
            false => self.bytes.extend((text.len() as i16).to_be_bytes()),
        }
        self.bytes.extend(text.as_bytes());
    }

    fn noise(&mut self, most: usize) -> Vec<u8> {
        (0..self.random.random_range(0..=most)).map(|_| self.random.random()).collect()
    }

    /// A batch that a producer may send; the changes make it another.
    fn batch(&mut self) -> Vec<u8> {
        let codec = Codec::ALL.choose(self.random).copied().unwrap_or_default();
        let mut builder = BatchBuilder::new(codec);
        if self.percent(30) {
            builder = builder.producer(self.random.random_range(0..4), 0, self.random.random_range(0..3));
        }
        for _ in 0..self.random.random_range(1..4) {
            let (key, value) = (self.noise(20), self.noise(200));
            let key = self.percent(70).then_some(&key[..]);
            builder.append(1_700_000_000_000, key, Some(&value), &[]).expect("records follow each other");
        }
        builder.build().expect("a small batch").to_vec()
    }

    fn length(&mut self, length: Option<usize>) {
        match (self.flexible, length) {
            (true, length) => self.varint(length.map_or(0, |length| length as u32 + 1)),
            (false, Some(length)) => self.bytes.extend((length as i32).to_be_bytes()),
            (false, None) => self.bytes.extend((-1_i32).to_be_bytes()),
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn what_is_made_decodes_to_its_end_at_every_api_and_version() {
        let words = Vocabulary {
            topics: vec!["topic".to_owned()],
            topic_ids: vec![Uuid::from_u128(7)],
            advertised: Vec::new(),
        };
        let mut random = StdRng::seed_from_u64(7);
        for api in every_version() {
            for correlation_id in 0..20 {
                let mut frame = Bytes::from(make(api, correlation_id, &words, &mut random));
                let header = request::decode_header(&mut frame).unwrap();
                assert_eq!(header.correlation_id, correlation_id);
                request::decode_body(&header, &mut frame).unwrap_or_else(|error| panic!("{api:?}: {error}"));
                assert!(frame.is_empty(), "{api:?}");
            }
        }
    }
}
