//! Hostile bytes: whatever is sent, the walk allocates nothing and does not panic, and what it lets through makes the
//! decoder hold no more than `admission::decoded_bytes_limit`.

#![allow(missing_docs)]

mod counting_allocator;
mod random_message;

use bytes::Bytes;
use counting_allocator::peak_bytes;
use proptest::prelude::*;
use random_message::{Random, Side, Sizes, every_version};
use weir_protocol::admission::{self, Refusal};
use weir_protocol::api::ApiKey;
use weir_protocol::request::{self, RequestError, RequestHeader};

/// An error's text and its chain.
const ERROR_BYTES: usize = 4096;

fn any_message() -> impl Strategy<Value = (Side, ApiKey, i16)> {
    let versions: Vec<(ApiKey, i16)> = every_version().collect();
    (proptest::sample::select(&Side::BOTH[..]), proptest::sample::select(versions))
        .prop_map(|(side, (key, version))| (side, key, version))
}

/// Walks `body` and, if it is admitted, decodes it; checks what both allocate. Says whether it was admitted.
fn check(side: Side, key: ApiKey, version: i16, body: &[u8]) -> Result<bool, TestCaseError> {
    let (walked, walk_bytes) = peak_bytes(|| side.admit(key, version, body));
    prop_assert_eq!(walk_bytes, 0, "the walk allocates nothing");
    let Ok(walked) = walked else { return Ok(false) };
    let mut left = Bytes::copy_from_slice(body);
    let (decoded, decoded_bytes) = peak_bytes(|| side.decode(key, version, &mut left));
    let limit = admission::decoded_bytes_limit(body.len()) + ERROR_BYTES;
    prop_assert!(decoded_bytes <= limit, "{side:?} {key:?} v{version}: {decoded_bytes} bytes for {}", body.len());
    match decoded {
        Ok(message) => {
            prop_assert_eq!(
                walked,
                body.len() - left.len(),
                "{:?} {:?} v{}: walk and decoder part",
                side,
                key,
                version
            );
            prop_assert!(message.encode(version).is_ok(), "{side:?} {key:?} v{version}: decoded and cannot be said");
        }
        // The walk does not look into strings.
        Err(error) => prop_assert!(error.contains("utf-8"), "{side:?} {key:?} v{version}: {error}"),
    }
    Ok(true)
}

/// One change to a body.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    prop_oneof![
        4 => (any::<prop::sample::Index>(), byte).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Change::Cut),
        1 => (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

fn apply(body: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Set(at, byte) if !body.is_empty() => {
            let at = at.index(body.len());
            body[at] = *byte;
        }
        Change::Set(..) => {}
        Change::Cut(at) => body.truncate(at.index(body.len() + 1)),
        Change::Insert(at, bytes) => {
            let at = at.index(body.len() + 1);
            body.splice(at..at, bytes.iter().copied());
        }
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(8192))]

    #[test]
    fn random_bytes_are_refused_or_decode_within_the_limit(
        (side, key, version) in any_message(),
        body in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..4, Just(0xff)], 0..200),
    ) {
        check(side, key, version, &body)?;
    }

    #[test]
    fn changed_messages_are_refused_or_decode_within_the_limit(
        (side, key, version) in any_message(),
        seed in any::<u64>(),
        changes in prop::collection::vec(change(), 1..5),
    ) {
        let mut body = side.random_body(key, version, Sizes::ORDINARY, &mut Random(seed));
        for change in &changes {
            apply(&mut body, change);
        }
        check(side, key, version, &body)?;
    }

    #[test]
    fn random_headers_never_panic(mut frame in prop::collection::vec(any::<u8>(), 0..40), key in 0u8..95) {
        if let Some(front) = frame.get_mut(..4) {
            front.copy_from_slice(&[0, key, 0, front[3] % 12]);
        }
        let whole = Bytes::from(frame);
        let mut left = whole.clone();
        match request::decode_header(&mut left) {
            Ok(_) => prop_assert!(left.len() <= whole.len() - 8),
            Err(_) => prop_assert_eq!(left, whole, "a frame that is refused is left as it was"),
        }
    }
}

proptest! {
    #![proptest_config(config(1024))]

    /// Many elements, each as short as it can be: what costs a decoder the most for the bytes sent.
    #[test]
    fn dense_messages_are_refused_or_decode_within_the_limit(
        (side, key, version) in any_message(),
        seed in any::<u64>(),
        elements in 1u64..20_000,
        unknown_tags_percent in prop_oneof![Just(0u64), 0u64..101],
    ) {
        let sizes = Sizes { elements, letters: 0, unknown_tags_percent, null_percent: 100 };
        let mut random = Random(seed);
        let mut body = side.random_body(key, version, sizes, &mut random);
        if body.len() < 64 {
            // The outermost array was null.
            let sizes = Sizes { null_percent: 0, ..sizes };
            body = side.random_body(key, version, sizes, &mut random);
        }
        check(side, key, version, &body)?;
    }
}

fn header(api_key: ApiKey, api_version: i16) -> RequestHeader {
    RequestHeader { api_key, api_version, correlation_id: 1, client_id: None }
}

#[test]
fn five_bytes_of_metadata_do_not_ask_for_309_gigabytes() {
    let mut body = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    let (refused, bytes) = peak_bytes(|| request::decode_body(&header(ApiKey::Metadata, 12), &mut body));
    let Err(RequestError::Refused { source, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((source.field, source.refusal), ("topics", Refusal::Short { needed: u32::MAX as usize - 1, left: 0 }));
    assert_eq!(bytes, 0);
}

/// `count` elements in the outermost array of `DeleteTopics` v5, which has nothing but names.
fn delete_topics(count: usize, name: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut value = count + 1;
    while value >= 0x80 {
        body.push(value as u8 | 0x80);
        value >>= 7;
    }
    body.push(value as u8);
    for _ in 0..count {
        body.push(name.len() as u8 + 1);
        body.extend(name);
    }
    body.extend([0, 0, 0, 0, 0]);
    body
}

#[test]
fn a_million_elements_are_allowed_and_one_more_is_not() {
    let most = delete_topics(admission::MAX_ARRAY_ELEMENTS, b"ab");
    assert!(check(Side::Request, ApiKey::DeleteTopics, 5, &most).unwrap());
    let more = delete_topics(admission::MAX_ARRAY_ELEMENTS + 1, b"ab");
    assert_eq!(admission::admit(ApiKey::DeleteTopics, 5, &more).unwrap_err().refusal, Refusal::Elements);
}

#[test]
fn a_request_that_decodes_to_many_times_its_size_is_refused() {
    let body = delete_topics(100_000, b"");
    let refused = admission::admit(ApiKey::DeleteTopics, 5, &body).unwrap_err();
    assert_eq!((refused.field, refused.refusal), ("topic_names", Refusal::TooCostly));
}

/// A Heartbeat v4 with so many unknown tagged fields, each empty.
fn heartbeat(tags: u32) -> Vec<u8> {
    let varint = |mut value: u32| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let mut body = vec![2, b'g', 0, 0, 0, 1, 2, b'm', 0];
    body.extend(varint(tags));
    for tag in 0..tags {
        body.extend(varint(tag));
        body.push(64);
        body.extend([0; 64]);
    }
    body
}

#[test]
fn ten_thousand_unknown_tagged_fields_are_allowed_and_one_more_is_not() {
    let most = admission::MAX_TAGGED_FIELDS as u32;
    assert!(check(Side::Request, ApiKey::Heartbeat, 4, &heartbeat(most)).unwrap());
    let refused = admission::admit(ApiKey::Heartbeat, 4, &heartbeat(most + 1)).unwrap_err();
    assert_eq!(refused.refusal, Refusal::TaggedFields);
}

#[test]
fn tags_that_do_not_rise_are_refused() {
    let body = |first: u8, second: u8| [2, b'g', 0, 0, 0, 1, 2, b'm', 0, 2, first, 0, second, 0];
    assert_eq!(admission::admit(ApiKey::Heartbeat, 4, &body(3, 4)), Ok(body(3, 4).len()));
    for (first, second) in [(4, 4), (4, 3)] {
        let refused = admission::admit(ApiKey::Heartbeat, 4, &body(first, second)).unwrap_err();
        assert_eq!(refused.refusal, Refusal::TagOrder { tag: u32::from(second) });
    }
}
