//! The DescribeLogDirs response v1–v5: v5 says of each directory whether it is cordoned (KIP-1066).
//!
//! ```text
//! v5:  throttle_time_ms i32  error_code i16
//!      results [ error_code i16  log_dir string  topics [ as in v4 ]  total_bytes i64  usable_bytes i64
//!                is_cordoned bool  tags ]  tags
//! ```

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages;
use kafka_protocol::messages::describe_log_dirs_response::{DescribeLogDirsResult, DescribeLogDirsTopic};
use kafka_protocol::protocol::buf::ByteBufMut;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::primitives::{
    array, boolean, int16, int32, int64, put_array, put_string, put_tagged_fields, string, tagged_fields,
};

/// The last version that the codec crate has.
const CRATE_VERSION: i16 = 4;

/// The codec crate's struct, with what v5 adds to its results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeLogDirsResponse {
    /// How long the request was held back for a quota.
    pub throttle_time_ms: i32,
    /// What went wrong with all of it.
    pub error_code: i16,
    /// One for each log directory.
    pub results: Vec<DescribedLogDir>,
    /// Tagged fields that are not known.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

/// One log directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribedLogDir {
    /// What every version says of it.
    pub result: DescribeLogDirsResult,
    /// Whether no partition is placed there any more; from v5 on.
    pub is_cordoned: bool,
}

impl DescribeLogDirsResponse {
    /// Decodes the body of a response. The bytes must have been admitted.
    pub fn decode(body: &mut Bytes, version: i16) -> Result<Self> {
        if version <= CRATE_VERSION {
            let response = messages::DescribeLogDirsResponse::decode(body, version)?;
            let described = |result| DescribedLogDir { result, is_cordoned: false };
            return Ok(Self {
                throttle_time_ms: response.throttle_time_ms,
                error_code: response.error_code,
                results: response.results.into_iter().map(described).collect(),
                unknown_tagged_fields: response.unknown_tagged_fields,
            });
        }
        Ok(Self {
            throttle_time_ms: int32(body)?,
            error_code: int16(body)?,
            results: array(body, decode_log_dir)?,
            unknown_tagged_fields: tagged_fields(body)?,
        })
    }

    fn to_crate(&self) -> messages::DescribeLogDirsResponse {
        messages::DescribeLogDirsResponse::default()
            .with_throttle_time_ms(self.throttle_time_ms)
            .with_error_code(self.error_code)
            .with_results(self.results.iter().map(|dir| dir.result.clone()).collect())
            .with_unknown_tagged_fields(self.unknown_tagged_fields.clone())
    }
}

fn decode_log_dir(body: &mut Bytes) -> Result<DescribedLogDir> {
    let result = DescribeLogDirsResult::default()
        .with_error_code(int16(body)?)
        .with_log_dir(string(body)?)
        .with_topics(array(body, |body| DescribeLogDirsTopic::decode(body, CRATE_VERSION))?)
        .with_total_bytes(int64(body)?)
        .with_usable_bytes(int64(body)?);
    let is_cordoned = boolean(body)?;
    Ok(DescribedLogDir { result: result.with_unknown_tagged_fields(tagged_fields(body)?), is_cordoned })
}

impl Encodable for DescribeLogDirsResponse {
    fn encode<B: ByteBufMut>(&self, out: &mut B, version: i16) -> Result<()> {
        if version <= CRATE_VERSION {
            return self.to_crate().encode(out, version);
        }
        out.put_i32(self.throttle_time_ms);
        out.put_i16(self.error_code);
        put_array(out, Some(&self.results), |out, DescribedLogDir { result, is_cordoned }| {
            out.put_i16(result.error_code);
            put_string(out, Some(&result.log_dir))?;
            put_array(out, Some(&result.topics), |out, topic| topic.encode(out, CRATE_VERSION))?;
            out.put_i64(result.total_bytes);
            out.put_i64(result.usable_bytes);
            out.put_u8(u8::from(*is_cordoned));
            put_tagged_fields(out, &result.unknown_tagged_fields)
        })?;
        put_tagged_fields(out, &self.unknown_tagged_fields)
    }

    /// By encoding it: administrators do not ask often.
    fn compute_size(&self, version: i16) -> Result<usize> {
        let mut out = BytesMut::new();
        self.encode(&mut out, version)?;
        Ok(out.len())
    }
}

impl HeaderVersion for DescribeLogDirsResponse {
    fn header_version(version: i16) -> i16 {
        messages::DescribeLogDirsResponse::header_version(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsPartition;
    use kafka_protocol::protocol::StrBytes;

    #[test]
    fn the_bytes_are_those_of_kafka() {
        // Written by the Java client 4.3.1's `DescribeLogDirsResponseData` at version 5.
        let golden: &[u8] = b"\0\0\0\x07\0\0\x02\0\0\x03/d\x02\x02t\x02\
            \0\0\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\0\0\0\0\x01\x01\0\0\
            \0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x01\xf4\x01\0\0";
        let partition = DescribeLogDirsPartition::default()
            .with_partition_index(3)
            .with_partition_size(42)
            .with_offset_lag(1)
            .with_is_future_key(true);
        let topic = DescribeLogDirsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![partition]);
        let result = DescribeLogDirsResult::default()
            .with_log_dir(StrBytes::from_static_str("/d"))
            .with_topics(vec![topic])
            .with_total_bytes(1_000)
            .with_usable_bytes(500);
        let results = vec![DescribedLogDir { result, is_cordoned: true }];
        let response = DescribeLogDirsResponse { throttle_time_ms: 7, results, ..DescribeLogDirsResponse::default() };
        let mut bytes = BytesMut::new();
        response.encode(&mut bytes, 5).expect("encodes");
        assert_eq!(&bytes[..], golden);
        assert_eq!(response.compute_size(5).expect("encodes"), golden.len());
        let mut body = Bytes::from_static(golden);
        assert_eq!(DescribeLogDirsResponse::decode(&mut body, 5).expect("decodes"), response);
        assert!(body.is_empty());
    }

    #[test]
    fn before_version_5_nothing_is_said_of_cordons() {
        let dir = DescribedLogDir { is_cordoned: true, ..DescribedLogDir::default() };
        let response = DescribeLogDirsResponse { results: vec![dir], ..DescribeLogDirsResponse::default() };
        for version in 1..=4 {
            let (mut ours, mut crates) = (BytesMut::new(), BytesMut::new());
            response.encode(&mut ours, version).expect("encodes");
            response.to_crate().encode(&mut crates, version).expect("encodes");
            assert_eq!(ours, crates);
        }
    }
}
