//! OffsetCommit v10: v9 with a topic's id in the place of its name.
//!
//! ```text
//! group_id string  generation_id_or_member_epoch i32  member_id string  group_instance_id string?
//! topics [ topic_id uuid  partitions [ as in v9 ]  tags ]  tags
//! ```

use anyhow::Result;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::primitives::{
    array, int32, nullable_string, put_array, put_string, put_tagged_fields, string, tagged_fields, uuid,
};

/// The version whose partitions are the same.
const PARTITION_VERSION: i16 = 9;

pub(super) fn decode(body: &mut Bytes) -> Result<OffsetCommitRequest> {
    Ok(OffsetCommitRequest::default()
        .with_group_id(GroupId(string(body)?))
        .with_generation_id_or_member_epoch(int32(body)?)
        .with_member_id(string(body)?)
        .with_group_instance_id(nullable_string(body)?)
        .with_topics(array(body, decode_topic)?)
        .with_unknown_tagged_fields(tagged_fields(body)?))
}

fn decode_topic(body: &mut Bytes) -> Result<OffsetCommitRequestTopic> {
    Ok(OffsetCommitRequestTopic::default()
        .with_topic_id(uuid(body)?)
        .with_partitions(array(body, |body| OffsetCommitRequestPartition::decode(body, PARTITION_VERSION))?)
        .with_unknown_tagged_fields(tagged_fields(body)?))
}

pub(super) fn encode(request: &OffsetCommitRequest, out: &mut BytesMut) -> Result<()> {
    put_string(out, Some(&request.group_id))?;
    out.put_i32(request.generation_id_or_member_epoch);
    put_string(out, Some(&request.member_id))?;
    put_string(out, request.group_instance_id.as_deref())?;
    put_array(out, Some(&request.topics), |out, topic| {
        out.put_u128(topic.topic_id.as_u128());
        put_array(out, Some(&topic.partitions), |out, partition| partition.encode(out, PARTITION_VERSION))?;
        put_tagged_fields(out, &topic.unknown_tagged_fields)
    })?;
    put_tagged_fields(out, &request.unknown_tagged_fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::protocol::StrBytes;
    use uuid::Uuid;

    #[test]
    fn the_bytes_are_those_of_kafka() {
        // Written by the Java client 4.3.1's `OffsetCommitRequestData` at version 10.
        let golden: &[u8] = b"\x02g\0\0\0\x07\x02m\x02i\x02\
            \0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x02\
            \0\0\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x05\x05note\0\0\0";
        let text = StrBytes::from_static_str;
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(3)
            .with_committed_offset(42)
            .with_committed_leader_epoch(5)
            .with_committed_metadata(Some(text("note")));
        let topic = OffsetCommitRequestTopic::default()
            .with_topic_id(Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_generation_id_or_member_epoch(7)
            .with_member_id(text("m"))
            .with_group_instance_id(Some(text("i")))
            .with_topics(vec![topic]);
        let mut bytes = BytesMut::new();
        encode(&request, &mut bytes).expect("encodes");
        assert_eq!(&bytes[..], golden);
        let mut body = Bytes::from_static(golden);
        assert_eq!(decode(&mut body).expect("decodes"), request);
        assert!(body.is_empty());
    }
}
