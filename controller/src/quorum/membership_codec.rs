//! The bytes of a membership configuration, as a membership entry and a snapshot hold them.
//!
//! ```text
//! int16 version (0)
//! int32 configs        count x { int32 voters   count x { int32 node.id, 16 bytes directory.id } }
//! int32 nodes          count x { int32 node.id, 16 bytes directory.id,
//!                                int32 endpoints count x { string listener, string host, uint16 port } }
//! string = int32 length, UTF-8 bytes
//! ```
//!
//! All numbers big-endian. More than one config is a joint configuration; a node in no config is a learner. Kafka's
//! `KRaftVotersRecord` cannot say either, hence a format of our own in a control record of our own.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut};
use uuid::Uuid;
use weir_protocol::ids::BrokerId;

use super::types::{ControllerEndpoint, ControllerNode, Membership, RaftNodeId};

const VERSION: i16 = 0;

/// Bytes that are no membership configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MembershipDecodeError {
    #[error("membership entry ends early")]
    Truncated,
    #[error("membership entry of unknown version {0}")]
    UnknownVersion(i16),
    #[error("membership entry with an impossible count {0}")]
    InvalidCount(i32),
    #[error("membership entry holds a string that is not UTF-8")]
    NotUtf8,
    #[error("membership entry is inconsistent: {0}")]
    Inconsistent(String),
    #[error("{0} bytes follow the end of a membership entry")]
    TrailingBytes(usize),
}

pub(crate) fn encode_membership(membership: &Membership, out: &mut impl BufMut) {
    out.put_i16(VERSION);
    put_count(out, membership.get_joint_config().len());
    for config in membership.get_joint_config() {
        put_count(out, config.len());
        for voter in config {
            put_node_id(out, voter);
        }
    }
    put_count(out, membership.nodes().count());
    for (id, node) in membership.nodes() {
        put_node_id(out, id);
        put_count(out, node.endpoints.len());
        for endpoint in &node.endpoints {
            put_string(out, &endpoint.listener);
            put_string(out, &endpoint.host);
            out.put_u16(endpoint.port);
        }
    }
}

pub(crate) fn decode_membership(mut bytes: &[u8]) -> Result<Membership, MembershipDecodeError> {
    let input = &mut bytes;
    let version = i16::from_be_bytes(take(input)?);
    if version != VERSION {
        return Err(MembershipDecodeError::UnknownVersion(version));
    }
    let mut configs = Vec::new();
    for _ in 0..get_count(input)? {
        let mut config = BTreeSet::new();
        for _ in 0..get_count(input)? {
            config.insert(get_node_id(input)?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..get_count(input)? {
        let id = get_node_id(input)?;
        let mut endpoints = Vec::new();
        for _ in 0..get_count(input)? {
            let listener = get_string(input)?;
            let host = get_string(input)?;
            endpoints.push(ControllerEndpoint { listener, host, port: u16::from_be_bytes(take(input)?) });
        }
        nodes.insert(id, ControllerNode { endpoints });
    }
    if !bytes.is_empty() {
        return Err(MembershipDecodeError::TrailingBytes(bytes.len()));
    }
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|error| MembershipDecodeError::Inconsistent(error.to_string()))
}

fn put_count(out: &mut impl BufMut, count: usize) {
    out.put_i32(i32::try_from(count).expect("a quorum has fewer than 2^31 of anything"));
}

fn put_node_id(out: &mut impl BufMut, id: &RaftNodeId) {
    out.put_i32(id.node_id.get());
    out.put_slice(id.directory_id.as_bytes());
}

fn put_string(out: &mut impl BufMut, text: &str) {
    put_count(out, text.len());
    out.put_slice(text.as_bytes());
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], MembershipDecodeError> {
    let (head, _) = input.split_first_chunk::<N>().ok_or(MembershipDecodeError::Truncated)?;
    let head = *head;
    input.advance(N);
    Ok(head)
}

/// A count of things that take at least a byte each, so it cannot exceed what is left.
fn get_count(input: &mut &[u8]) -> Result<usize, MembershipDecodeError> {
    let count = i32::from_be_bytes(take(input)?);
    match usize::try_from(count) {
        Ok(count) if count <= input.len() => Ok(count),
        _ => Err(MembershipDecodeError::InvalidCount(count)),
    }
}

fn get_node_id(input: &mut &[u8]) -> Result<RaftNodeId, MembershipDecodeError> {
    let node_id = BrokerId(i32::from_be_bytes(take(input)?));
    Ok(RaftNodeId { node_id, directory_id: Uuid::from_bytes(take(input)?) })
}

fn get_string(input: &mut &[u8]) -> Result<String, MembershipDecodeError> {
    let length = get_count(input)?;
    let text = input.get(..length).ok_or(MembershipDecodeError::Truncated)?;
    let text = std::str::from_utf8(text).map_err(|_| MembershipDecodeError::NotUtf8)?.to_owned();
    input.advance(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(node_id: i32) -> RaftNodeId {
        RaftNodeId { node_id: BrokerId(node_id), directory_id: Uuid::from_u128(0xab) }
    }

    fn joint() -> Membership {
        let endpoint = ControllerEndpoint { listener: "CONTROLLER".into(), host: "zone-a".into(), port: 9093 };
        let nodes = BTreeMap::from([
            (id(1), ControllerNode { endpoints: vec![endpoint] }),
            (id(2), ControllerNode::default()),
            (id(7), ControllerNode::default()),
        ]);
        Membership::new(vec![BTreeSet::from([id(1)]), BTreeSet::from([id(1), id(2)])], nodes).unwrap()
    }

    #[test]
    fn a_joint_configuration_with_a_learner_survives_the_round_trip() {
        let mut bytes = Vec::new();
        encode_membership(&joint(), &mut bytes);
        assert_eq!(decode_membership(&bytes), Ok(joint()));
    }

    #[test]
    fn the_bytes_of_a_single_voter_never_change() {
        let membership = Membership::new(
            vec![BTreeSet::from([id(1)])],
            [(id(1), ControllerNode::default())].into_iter().collect::<BTreeMap<_, _>>(),
        )
        .unwrap();
        let mut bytes = Vec::new();
        encode_membership(&membership, &mut bytes);
        let node = [&[0, 0, 0, 1][..], &[0; 15], &[0xab]].concat();
        let golden = [&[0, 0][..], &[0, 0, 0, 1], &[0, 0, 0, 1], &node, &[0, 0, 0, 1], &node, &[0; 4]].concat();
        assert_eq!(bytes, golden);
    }

    #[test]
    fn every_cut_and_every_absurd_count_is_an_error() {
        let mut bytes = Vec::new();
        encode_membership(&joint(), &mut bytes);
        for end in 0..bytes.len() {
            assert!(decode_membership(&bytes[..end]).is_err(), "cut at {end}");
        }
        bytes[2..6].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(decode_membership(&bytes), Err(MembershipDecodeError::InvalidCount(i32::MAX)));
        bytes[0] = 1;
        assert_eq!(decode_membership(&bytes), Err(MembershipDecodeError::UnknownVersion(256)));
    }
}
