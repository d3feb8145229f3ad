//! OffsetFetch v10: v9 with a topic's id in the place of its name.
//!
//! ```text
//! groups [ group_id string  member_id string?  member_epoch i32  topics? [ topic_id uuid  partitions [i32]  tags ]  tags ]
//! require_stable bool  tags
//! ```

use anyhow::Result;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest};

use super::primitives::{
    array, boolean, int32, nullable_array, nullable_string, put_array, put_string, put_tagged_fields, string,
    tagged_fields, uuid,
};

pub(super) fn decode(body: &mut Bytes) -> Result<OffsetFetchRequest> {
    Ok(OffsetFetchRequest::default()
        .with_groups(array(body, decode_group)?)
        .with_require_stable(boolean(body)?)
        .with_unknown_tagged_fields(tagged_fields(body)?))
}

fn decode_group(body: &mut Bytes) -> Result<OffsetFetchRequestGroup> {
    Ok(OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(string(body)?))
        .with_member_id(nullable_string(body)?)
        .with_member_epoch(int32(body)?)
        .with_topics(nullable_array(body, decode_topic)?)
        .with_unknown_tagged_fields(tagged_fields(body)?))
}

fn decode_topic(body: &mut Bytes) -> Result<OffsetFetchRequestTopics> {
    Ok(OffsetFetchRequestTopics::default()
        .with_topic_id(uuid(body)?)
        .with_partition_indexes(array(body, int32)?)
        .with_unknown_tagged_fields(tagged_fields(body)?))
}

pub(super) fn encode(request: &OffsetFetchRequest, out: &mut BytesMut) -> Result<()> {
    put_array(out, Some(&request.groups), encode_group)?;
    out.put_u8(u8::from(request.require_stable));
    put_tagged_fields(out, &request.unknown_tagged_fields)
}

fn encode_group(out: &mut BytesMut, group: &OffsetFetchRequestGroup) -> Result<()> {
    put_string(out, Some(&group.group_id))?;
    put_string(out, group.member_id.as_deref())?;
    out.put_i32(group.member_epoch);
    put_array(out, group.topics.as_deref(), |out, topic| {
        out.put_u128(topic.topic_id.as_u128());
        put_array(out, Some(&topic.partition_indexes), |out, index| {
            out.put_i32(*index);
            Ok(())
        })?;
        put_tagged_fields(out, &topic.unknown_tagged_fields)
    })?;
    put_tagged_fields(out, &group.unknown_tagged_fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::protocol::StrBytes;
    use uuid::Uuid;

    #[test]
    fn the_bytes_are_those_of_kafka() {
        // Written by the Java client 4.3.1's `OffsetFetchRequestData` at version 10.
        let golden: &[u8] = b"\x03\x02g\x02m\0\0\0\x07\x02\
            \0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x03\0\0\0\x03\0\0\0\x04\0\0\
            \x02h\0\xff\xff\xff\xff\0\0\x01\0";
        let text = StrBytes::from_static_str;
        let topic = OffsetFetchRequestTopics::default()
            .with_topic_id(Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f))
            .with_partition_indexes(vec![3, 4]);
        let some = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_member_id(Some(text("m")))
            .with_member_epoch(7)
            .with_topics(Some(vec![topic]));
        let all = OffsetFetchRequestGroup::default().with_group_id(GroupId(text("h"))).with_topics(None);
        let request = OffsetFetchRequest::default().with_groups(vec![some, all]).with_require_stable(true);
        let mut bytes = BytesMut::new();
        encode(&request, &mut bytes).expect("encodes");
        assert_eq!(&bytes[..], golden);
        let mut body = Bytes::from_static(golden);
        let decoded = decode(&mut body).expect("decodes");
        assert_eq!(decoded.groups, request.groups);
        assert!(decoded.require_stable && body.is_empty());
    }
}
