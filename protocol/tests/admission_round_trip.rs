//! The table of shapes against the codec crate: two descriptions of Kafka's requests that must be the same.

#![allow(missing_docs)]

mod random_request;

use bytes::{Bytes, BytesMut};
use random_request::{Random, Sizes};
use weir_protocol::admission::shape::{Field, Kind};
use weir_protocol::admission::{self, Refusal, shapes};
use weir_protocol::api::{self, ApiKey};
use weir_protocol::messages::RequestKind;

const SEEDS: u64 = 64;

/// Every API at every version that is parsed, KRaft's own included.
fn every_version() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::iter().flat_map(|key| {
        let versions = api::versions(key);
        (versions.min..=versions.max)
            .filter(move |&version| versions.parses(version))
            .map(move |version| (key, version))
    })
}

fn random_body(key: ApiKey, version: i16, seed: u64) -> Vec<u8> {
    random_request::body(shapes::of(key), version, Sizes::ORDINARY, &mut Random(seed))
}

#[test]
fn a_body_of_the_right_shape_is_admitted_decodes_to_its_end_and_encodes_to_itself() {
    for (key, version) in every_version() {
        for seed in 0..SEEDS {
            let bytes = random_body(key, version, seed);
            let at = || format!("{key:?} v{version} seed {seed}: {bytes:02x?}");
            admission::admit(key, version, &bytes).unwrap_or_else(|refused| panic!("{refused} at {}", at()));
            let mut left = Bytes::copy_from_slice(&bytes);
            let request =
                RequestKind::decode(key, &mut left, version).unwrap_or_else(|error| panic!("{error:#} at {}", at()));
            assert!(left.is_empty(), "{} bytes left at {}", left.len(), at());
            let mut again = BytesMut::new();
            request.encode(&mut again, version).unwrap_or_else(|error| panic!("{error:#} at {}", at()));
            assert_eq!(&again[..], bytes, "{}", at());
        }
    }
}

#[test]
fn a_body_that_is_cut_short_is_refused_wherever_it_is_cut() {
    for (key, version) in every_version() {
        for seed in 0..4 {
            let bytes = random_body(key, version, seed);
            for length in 0..bytes.len() {
                let walked = admission::admit(key, version, &bytes[..length]);
                assert!(walked.is_err(), "{key:?} v{version} seed {seed} passes with {length} of {}", bytes.len());
            }
        }
    }
}

#[test]
fn a_byte_too_many_is_refused() {
    for (key, version) in every_version() {
        let mut bytes = random_body(key, version, 7);
        bytes.push(0);
        let refused = admission::admit(key, version, &bytes).unwrap_err();
        assert_eq!(refused.refusal, Refusal::Trailing { left: 1 }, "{key:?} v{version}");
    }
}

#[test]
fn a_version_outside_the_table_is_refused() {
    for key in ApiKey::iter() {
        let versions = api::versions(key);
        for version in [i16::MIN, versions.min - 1, versions.max + 1, i16::MAX] {
            let refused = admission::admit(key, version, &[0; 64]).unwrap_err();
            assert_eq!(refused.refusal, Refusal::Version { version }, "{key:?}");
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
    for (key, version) in every_version() {
        let shape = shapes::of(key);
        least(shape.fields, version, version >= shape.flexible_from);
    }
}

#[test]
fn the_header_is_flexible_where_the_body_is() {
    for (key, version) in every_version() {
        let flexible = version >= shapes::of(key).flexible_from;
        assert_eq!(weir_protocol::request::header_version(key, version) == 2, flexible, "{key:?} v{version}");
    }
}
