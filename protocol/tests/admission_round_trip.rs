//! The tables of shapes against the codec crate: two descriptions of Kafka's messages that must be the same.

#![allow(missing_docs)]

mod random_message;

use bytes::Bytes;
use random_message::{Random, Side, Sizes, every_version};
use weir_protocol::admission::shape::{Field, Kind};
use weir_protocol::admission::{Refusal, requests};
use weir_protocol::api::{self, ApiKey};
use weir_protocol::request;

const SEEDS: u64 = 64;

fn random_body(side: Side, key: ApiKey, version: i16, seed: u64) -> Vec<u8> {
    side.random_body(key, version, Sizes::ORDINARY, &mut Random(seed))
}

fn every_message() -> impl Iterator<Item = (Side, ApiKey, i16)> {
    Side::BOTH.into_iter().flat_map(|side| every_version().map(move |(key, version)| (side, key, version)))
}

#[test]
fn a_body_of_the_right_shape_is_admitted_decodes_to_its_end_and_encodes_to_itself() {
    for (side, key, version) in every_message() {
        for seed in 0..SEEDS {
            let bytes = random_body(side, key, version, seed);
            let at = || format!("{side:?} {key:?} v{version} seed {seed}: {bytes:02x?}");
            side.admit(key, version, &bytes).unwrap_or_else(|refused| panic!("{refused} at {}", at()));
            let mut left = Bytes::copy_from_slice(&bytes);
            let message = side.decode(key, version, &mut left).unwrap_or_else(|error| panic!("{error} at {}", at()));
            assert!(left.is_empty(), "{} bytes left at {}", left.len(), at());
            let again = message.encode(version).unwrap_or_else(|error| panic!("{error} at {}", at()));
            assert_eq!(&again[..], bytes, "{}", at());
        }
    }
}

#[test]
fn a_body_that_is_cut_short_is_refused_wherever_it_is_cut() {
    for (side, key, version) in every_message() {
        for seed in 0..4 {
            let bytes = random_body(side, key, version, seed);
            for length in 0..bytes.len() {
                let walked = side.admit(key, version, &bytes[..length]);
                assert!(walked.is_err(), "{side:?} {key:?} v{version} seed {seed}: {length} of {}", bytes.len());
            }
        }
    }
}

#[test]
fn bytes_after_a_body_are_nobodys() {
    for (side, key, version) in every_message() {
        let mut bytes = random_body(side, key, version, 7);
        let length = bytes.len();
        bytes.push(0);
        assert_eq!(side.admit(key, version, &bytes), Ok(length), "{side:?} {key:?} v{version}");
    }
}

#[test]
fn a_version_outside_the_table_is_refused() {
    for versions in ApiKey::iter().map(api::versions) {
        for version in [i16::MIN, versions.min - 1, versions.max + 1, i16::MAX] {
            for side in Side::BOTH {
                let refused = side.admit(versions.key, version, &[0; 64]).unwrap_err();
                assert_eq!(refused.refusal, Refusal::Version { version }, "{side:?} {:?}", versions.key);
            }
        }
    }
}

/// The walk refuses an array with more elements than bytes before it looks at one, which needs this to be true.
#[test]
fn no_element_of_an_array_is_empty() {
    fn least(fields: &[Field], version: i16, flexible: bool) -> usize {
        let in_line = fields.iter().filter(|field| field.tag.is_none() && field.is_in(version));
        in_line.map(|field| least_of(field, version, flexible)).sum::<usize>() + usize::from(flexible)
    }
    fn least_of(field: &Field, version: i16, flexible: bool) -> usize {
        match field.kind {
            Kind::Bool => 1,
            Kind::Fixed(bytes) => bytes,
            Kind::Struct(fields) => least(fields, version, flexible).max(1),
            Kind::ArrayOfStructs { fields, .. } => {
                assert!(least(fields, version, flexible) > 0, "{} v{version} has empty elements", field.name);
                1
            }
            Kind::String | Kind::Bytes | Kind::ArrayOfStrings | Kind::ArrayOfFixed(_) => 1,
        }
    }
    for (side, key, version) in every_message() {
        let shape = side.shape(key);
        least(shape.fields, version, version >= shape.flexible_from);
    }
}

/// With the cap on elements this bounds what any request becomes, however long it is: 128 MB.
#[test]
fn no_element_of_a_request_takes_more_than_128_bytes() {
    fn largest(fields: &[Field]) -> usize {
        let of = |field: &Field| match field.kind {
            Kind::ArrayOfStructs { fields, element_bytes } => element_bytes.max(largest(fields)),
            Kind::Struct(fields) => largest(fields),
            _ => 0,
        };
        fields.iter().map(of).max().unwrap_or(0)
    }
    for key in ApiKey::iter() {
        let bytes = largest(requests::shape_of(key).fields);
        assert!(bytes <= 128, "{key:?} has elements of {bytes} bytes");
    }
}

#[test]
fn a_header_is_flexible_where_its_body_is_but_for_the_answer_to_api_versions() {
    for (key, version) in every_version() {
        let flexible = |side: Side| version >= side.shape(key).flexible_from;
        assert_eq!(request::header_version(key, version) == 2, flexible(Side::Request), "{key:?} v{version}");
        let answered = flexible(Side::Response) && key != ApiKey::ApiVersions;
        assert_eq!(key.response_header_version(version) == 1, answered, "{key:?} v{version}");
    }
}
