//! Asking the controller for other ISRs: what waits goes in one request, one request at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::AHashMap;
use tokio::sync::mpsc::UnboundedReceiver;
use weir_controller::decide::{
    AlterPartitionRequest, AlterPartitionResponse, AlteredPartition, ControllerResponse, PartitionIsrChange,
    TopicIsrChanges,
};
use weir_controller::record::LeaderRecoveryState;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, PartitionEpoch, TopicId};

use super::ReplicaMetrics;
use crate::controller_client::ControllerClient;
use crate::partition::{Partition, PartitionKey};
use crate::replication::ProposalOutcome;

/// How long to wait before a proposal that nobody has answered is sent again; it doubles up to the longest wait.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LONGEST_RETRY: Duration = Duration::from_millis(500);
/// The most partitions in one request; more wait for the next.
const MAX_PROPOSALS: usize = 10_000;

/// A partition and what was asked for it.
struct Asked {
    partition: Arc<Partition>,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    members: usize,
    members_before: usize,
}

/// Sends what leaders want, until there are none any more.
pub(super) async fn propose(
    mut wanted: UnboundedReceiver<Arc<Partition>>,
    controller: Arc<ControllerClient>,
    metrics: Arc<ReplicaMetrics>,
) {
    let mut waiting: AHashMap<PartitionKey, Arc<Partition>> = AHashMap::new();
    let mut retry = FIRST_RETRY;
    loop {
        if waiting.is_empty() {
            match wanted.recv().await {
                Some(partition) => drop(waiting.insert(partition.key(), partition)),
                None => return,
            }
        }
        while let Ok(partition) = wanted.try_recv() {
            waiting.insert(partition.key(), partition);
        }
        let keys: Vec<_> = waiting.keys().take(MAX_PROPOSALS).copied().collect();
        let batch = keys.iter().filter_map(|key| waiting.remove(key));
        let Some((request, asked)) = request(batch) else { continue };
        let answer = match controller.submit(request).await {
            Ok(ControllerResponse::AlterPartition(answer)) => answer.map_err(|error| error.code),
            Ok(other) => {
                tracing::error!(answer = ?other, "the controller answered something else to a proposal of ISRs");
                Err(ErrorCode::UnknownServerError)
            }
            Err(error) => {
                tracing::debug!(%error, "a proposal of ISRs was not answered");
                Err(error.error_code())
            }
        };
        let again = take_answer(asked, &answer, &metrics);
        retry = if again.is_empty() { FIRST_RETRY } else { retry };
        if !again.is_empty() {
            waiting.extend(again.into_iter().map(|partition| (partition.key(), partition)));
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }
}

/// One request of all that is still wanted.
fn request(batch: impl Iterator<Item = Arc<Partition>>) -> Option<(AlterPartitionRequest, Vec<Asked>)> {
    let mut topics: AHashMap<TopicId, Vec<PartitionIsrChange>> = AHashMap::new();
    let mut asked = Vec::new();
    let mut local = None;
    for partition in batch {
        let Some((leader_epoch, proposal)) = partition.isr_proposal() else { continue };
        local = Some(partition.local().clone());
        asked.push(Asked {
            leader_epoch,
            partition_epoch: proposal.partition_epoch,
            members: proposal.isr.len(),
            members_before: partition.registration().isr.len(),
            partition: partition.clone(),
        });
        topics.entry(partition.topic().id).or_default().push(PartitionIsrChange {
            partition: partition.index(),
            leader_epoch,
            partition_epoch: proposal.partition_epoch,
            new_isr: proposal.isr,
            // A leader that was elected uncleanly has nothing to recover: it leads with what it has.
            leader_recovery_state: LeaderRecoveryState::Recovered,
        });
    }
    let local = local?;
    let topics = topics.into_iter().map(|(topic_id, partitions)| TopicIsrChanges { topic_id, partitions }).collect();
    Some((AlterPartitionRequest { broker: local.id(), broker_epoch: local.epoch(), topics }, asked))
}

/// Hands each leader its answer; returns those that are to ask again.
fn take_answer(
    asked: Vec<Asked>,
    answer: &Result<<AlterPartitionResponse as IntoIterator>::Item, ErrorCode>,
    metrics: &ReplicaMetrics,
) -> Vec<Arc<Partition>> {
    let mut by_partition: AHashMap<PartitionKey, Result<&AlteredPartition, ErrorCode>> = AHashMap::new();
    for topic in answer.iter().flatten() {
        for result in &topic.partitions {
            let outcome = result.outcome.as_ref().map_err(|code| *code);
            by_partition.insert((topic.topic_id, result.partition), outcome);
        }
    }
    let refusal = answer.as_ref().err().copied().unwrap_or(ErrorCode::UnknownServerError);
    let mut again = Vec::new();
    for Asked { partition, leader_epoch, partition_epoch, members, members_before } in asked {
        let outcome = by_partition.get(&partition.key()).copied().unwrap_or(Err(refusal));
        let name = partition.topic_partition();
        if let Ok(altered) = outcome {
            tracing::info!(partition = %name, isr = ?ids(altered), "the in-sync replicas have changed");
            let counter = if members < members_before { &metrics.isr_shrinks } else { &metrics.isr_expands };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        match partition.on_isr_answer(leader_epoch, partition_epoch, outcome) {
            ProposalOutcome::SendAgain => again.push(partition),
            ProposalOutcome::Dropped => {
                metrics.isr_refusals.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(partition = %name, outcome = ?outcome.err(), "a proposal of an ISR was refused");
            }
            ProposalOutcome::Committed | ProposalOutcome::Superseded => {}
        }
    }
    again
}

fn ids(altered: &AlteredPartition) -> Vec<i32> {
    altered.isr.iter().map(|broker| broker.get()).collect()
}
