//! OffsetFetch v1–v10, for one group: what it has committed.
//!
//! Reads what was replayed, which the log may still lose: the shell gives the answer once everything appended so far is
//! replicated. A partition whose offset a transaction may still change is unstable, and refused to those who mind.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::StrBytes;
use weir_protocol::messages::TopicName;
use weir_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use weir_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};

use super::GroupCoordinatorShard;
use crate::group::state::OffsetAndMetadata;

/// The offset of a partition without a committed one.
const NO_OFFSET: i64 = -1;

impl GroupCoordinatorShard {
    /// Handles one group of an OffsetFetch; `topics: None` asks for all. Unknown groups have no offsets, and no error.
    pub fn fetch_offsets(&self, request: &OffsetFetchRequestGroup, require_stable: bool) -> OffsetFetchResponseGroup {
        let topics = match &request.topics {
            Some(topics) => topics.iter().map(|topic| self.fetch_topic(request, topic, require_stable)).collect(),
            None => self.fetch_all(&request.group_id.0, require_stable),
        };
        OffsetFetchResponseGroup::default().with_group_id(request.group_id.clone()).with_topics(topics)
    }

    fn fetch_topic(
        &self,
        request: &OffsetFetchRequestGroup,
        topic: &OffsetFetchRequestTopics,
        require_stable: bool,
    ) -> OffsetFetchResponseTopics {
        let group_id = request.group_id.as_str();
        let exists = self.durable.group(group_id).is_some();
        let partitions = topic.partition_indexes.iter().map(|partition| {
            if require_stable && self.durable.pending().holds(group_id, &topic.name, *partition) {
                return unstable(*partition);
            }
            let offset = self.durable.offsets().get(group_id, &topic.name, *partition);
            answer(*partition, offset.filter(|offset| exists && !offset.is_of_another_topic(topic.topic_id)))
        });
        OffsetFetchResponseTopics::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    }

    fn fetch_all(&self, group_id: &str, require_stable: bool) -> Vec<OffsetFetchResponseTopics> {
        if self.durable.group(group_id).is_none() {
            return Vec::new();
        }
        let topics = self.durable.offsets().of_group(group_id).into_iter().flatten();
        let answer_topic = |(topic, offsets): (&StrBytes, &std::collections::BTreeMap<i32, OffsetAndMetadata>)| {
            let partitions = offsets.iter().map(|(partition, offset)| {
                if require_stable && self.durable.pending().holds(group_id, topic, *partition) {
                    unstable(*partition)
                } else {
                    answer(*partition, Some(offset))
                }
            });
            OffsetFetchResponseTopics::default()
                .with_name(TopicName(topic.clone()))
                .with_partitions(partitions.collect())
        };
        topics.map(answer_topic).collect()
    }
}

fn answer(partition: i32, offset: Option<&OffsetAndMetadata>) -> OffsetFetchResponsePartitions {
    let response = OffsetFetchResponsePartitions::default().with_partition_index(partition);
    match offset {
        Some(offset) => response
            .with_committed_offset(offset.value.offset)
            .with_committed_leader_epoch(offset.value.leader_epoch)
            .with_metadata(Some(offset.value.metadata.clone())),
        None => response
            .with_committed_offset(NO_OFFSET)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(StrBytes::new())),
    }
}

fn unstable(partition: i32) -> OffsetFetchResponsePartitions {
    answer(partition, None).with_error_code(ErrorCode::UnstableOffsetCommit.code())
}
