//! `weir partition move --throttle`, and what takes a throttle away that an interrupted command has left (KIP-73).

use std::collections::BTreeMap;
use std::time::Duration;

use weir_controller::balance::PlannedMove;
use weir_protocol::client::{Admin, TopicMetadata};
use weir_protocol::ids::BrokerId;

use super::changes::NewReplicas;
use super::tell;
use crate::cluster::replica_sizes;
use crate::command_error::CommandError;
use crate::moving::{MoveOptions, Mover, Throttle};
use crate::output::{self, Format};
use crate::topic;

/// The broker that is asked for the outcome may not have heard of it yet: it is asked this often.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Moves all of them at once; returns when the last has ended and nothing is throttled any more: which have moved, and which not.
pub(super) async fn carry_out(
    admin: &Admin,
    moves: Vec<NewReplicas>,
    bytes_per_s: u64,
) -> Result<(Vec<String>, Vec<CommandError>), CommandError> {
    let sizes = replica_sizes(admin).await?;
    let mut topics = BTreeMap::new();
    let mut planned = Vec::new();
    for NewReplicas { partition, replicas } in moves {
        if !topics.contains_key(&*partition.topic) {
            topics.insert(partition.topic.to_string(), topic::find(admin, &partition.topic).await?);
        }
        let found =
            topics.get(&*partition.topic).and_then(|topic: &TopicMetadata| topic.partitions.get(&partition.partition));
        let Some(found) = found else {
            return Err(CommandError::UnknownPartition {
                topic: partition.topic.to_string(),
                partition: partition.partition.get(),
                partitions: topics.get(&*partition.topic).map_or(0, |topic| topic.partitions.len()),
            });
        };
        let replica_bytes = sizes.get(&partition).copied().unwrap_or(0);
        planned.push(PlannedMove { partition, from: found.replicas.clone(), to: replicas, replica_bytes });
    }
    let options = MoveOptions { at_a_time: u16::MAX, throttle: Some(bytes_per_s) };
    Mover::new(admin, options).carry_out(planned.clone()).await?;
    outcome(admin, &planned).await
}

/// Which are where they were to go.
async fn outcome(admin: &Admin, planned: &[PlannedMove]) -> Result<(Vec<String>, Vec<CommandError>), CommandError> {
    let mut attempt = 1;
    loop {
        let topics = admin.list_topics().await.map_err(|error| CommandError::client("list the topics", error))?;
        let is_there = |it: &&PlannedMove| {
            let replicas =
                |topic: &TopicMetadata| topic.partitions.get(&it.partition.partition)?.replicas.clone().into();
            topics
                .get(&*it.partition.topic)
                .and_then(replicas)
                .is_some_and(|found| sorted(found) == sorted(it.to.clone()))
        };
        let (moved, elsewhere): (Vec<_>, Vec<_>) = planned.iter().partition(is_there);
        if elsewhere.is_empty() || attempt == ATTEMPTS {
            let called_off = |it: &PlannedMove| CommandError::CalledOff { partition: it.partition.to_string() };
            let moved = moved.iter().map(|it| it.partition.to_string()).collect();
            return Ok((moved, elsewhere.into_iter().map(called_off).collect()));
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

fn sorted(mut ids: Vec<BrokerId>) -> Vec<BrokerId> {
    ids.sort_unstable();
    ids
}

/// Takes every throttle away.
pub(super) async fn clear(admin: &Admin, format: Format) -> Result<(), CommandError> {
    let left = Throttle::left(admin).await?;
    left.clear(admin).await?;
    let freed: Vec<String> = left.resources().map(|it| it.to_string()).collect();
    tell(&freed, Vec::new(), format, "is not throttled any more")
}

/// What was called off needs no throttle, as Kafka's tool has it; that of other moves stays.
pub(super) async fn clear_if_nothing_moves(admin: &Admin) -> Result<(), CommandError> {
    let moves = admin.list_moves().await.map_err(|error| CommandError::client("list the moves", error))?;
    let left = if moves.is_empty() { Throttle::left(admin).await? } else { Throttle::default() };
    if !left.is_empty() {
        left.clear(admin).await?;
        output::remark("nothing moves any more, and the throttle was taken away");
    }
    Ok(())
}
