//! DescribeLogDirs (35): what lies in each log directory (KIP-113, KIP-827).

use std::collections::BTreeMap;

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::TopicPartition;
use weir_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use weir_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use weir_protocol::messages::{DescribeLogDirsRequest, StrBytes, TopicName};
use weir_protocol::newer::{DescribeLogDirsResponse, DescribedLogDir};
use weir_storage::manager::LogDirStatus;

use super::call::Call;
use crate::net::Dispatch;

pub(super) fn handle(call: Call, request: DescribeLogDirsRequest) -> Dispatch {
    let asked = request.topics.as_deref();
    let image = call.image();
    let cordoned = image.broker(call.node.id()).and_then(|broker| broker.cordoned_log_dirs.as_deref());
    let is_cordoned = |dir: &LogDirStatus| cordoned.is_some_and(|cordoned| cordoned.contains(&dir.id));
    let described = |dir| DescribedLogDir { is_cordoned: is_cordoned(&dir), result: describe(&call, dir, asked) };
    let results = call.node.logs.dirs().into_iter().map(described).collect();
    call.ready(&DescribeLogDirsResponse { results, ..DescribeLogDirsResponse::default() })
}

fn describe(call: &Call, dir: LogDirStatus, asked: Option<&[DescribableLogDirTopic]>) -> DescribeLogDirsResult {
    let result = DescribeLogDirsResult::default().with_log_dir(StrBytes::from_string(absolute(&dir)));
    if dir.offline.is_some() {
        return result.with_error_code(ErrorCode::KafkaStorageError.code()).with_total_bytes(-1).with_usable_bytes(-1);
    }
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (topic_partition, size_bytes) in &dir.logs {
        let index = topic_partition.partition.get();
        if is_asked(asked, &topic_partition.topic, index) {
            let partition = DescribeLogDirsPartition::default()
                .with_partition_index(index)
                .with_partition_size(*size_bytes as i64)
                .with_offset_lag(lag(call, topic_partition));
            topics.entry(&topic_partition.topic).or_default().push(partition);
        }
    }
    for copy in &dir.copies {
        let index = copy.partition.partition.get();
        if is_asked(asked, &copy.partition.topic, index) {
            let partition = DescribeLogDirsPartition::default()
                .with_partition_index(index)
                .with_partition_size(copy.size_bytes as i64)
                .with_offset_lag(copy.lag)
                .with_is_future_key(true);
            topics.entry(&copy.partition.topic).or_default().push(partition);
        }
    }
    let topics = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_unstable_by_key(|partition| partition.partition_index);
        let name = TopicName(StrBytes::from_string(name.to_owned()));
        DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions)
    });
    result.with_topics(topics.collect()).with_total_bytes(dir.total_bytes).with_usable_bytes(dir.usable_bytes)
}

/// How far a follower is behind what it knows to be committed.
fn lag(call: &Call, partition: &TopicPartition) -> i64 {
    let log = call.node.logs.get(partition);
    log.map_or(0, |log| (log.high_watermark() - log.log_end_offset()).max(0))
}

/// Kafka shows directories by their absolute path.
pub(super) fn absolute(dir: &LogDirStatus) -> String {
    std::path::absolute(&dir.path).unwrap_or_else(|_| dir.path.clone()).display().to_string()
}

fn is_asked(asked: Option<&[DescribableLogDirTopic]>, topic: &str, index: i32) -> bool {
    asked.is_none_or(|asked| asked.iter().any(|a| *a.topic.0 == *topic && a.partitions.contains(&index)))
}
