//! What becomes of brokers that are dead or silent, and what is said of the coming and going of brokers.
//!
//! Owns the submission of the fencings: all of them share a proposal, so that everything that a zone led moves in one change.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;
use weir_protocol::ids::BrokerId;

use super::active::{ActiveController, Submission};
use super::broker_watch::BrokerWatch;
use crate::decide::{ControllerRequest, ControllerResponse, FenceBrokerRequest};
use crate::image::MetadataImage;
use crate::liveness::{Fencing, FencingReason};
use crate::record::MetadataRecord;

/// Dials and fences whoever is due.
pub(super) async fn look_after_brokers(active: &mut ActiveController, watch: &Arc<BrokerWatch>) {
    // What came while this node was busy counts.
    active.serve_waiting().await;
    if active.lost_quorum() || active.room.is_missing() {
        // Nobody can be answered, so nobody can be heard.
        return watch.excuse_all();
    }
    let fencings = watch.act(&active.publication.image());
    if fencings.is_empty() {
        return;
    }
    fencings.iter().for_each(explain);
    let mut answers = Vec::new();
    let submissions = fencings.iter().map(|fencing| {
        let (answer, answered) = oneshot::channel();
        answers.push((fencing.broker, answered));
        let request = FenceBrokerRequest { broker: fencing.broker, broker_epoch: fencing.epoch };
        Submission { request: request.into(), answer }
    });
    let submissions = submissions.collect::<VecDeque<_>>();
    active.serve(submissions).await;
    for (broker, answered) in answers {
        match answered.await {
            Ok(Ok(ControllerResponse::FenceBroker(Ok(())))) => {}
            Ok(Ok(other)) => tracing::info!(%broker, ?other, "the broker was left alone"),
            Ok(Err(error)) => tracing::warn!(%broker, %error, "the broker could not be fenced"),
            Err(_) => tracing::error!(%broker, "nobody answered who was to fence the broker"),
        }
    }
}

fn explain(fencing: &Fencing) {
    let broker = fencing.broker;
    match fencing.reason {
        FencingReason::Dead => {
            tracing::warn!(%broker, "fencing a dead broker: its connection closed and its listener refuses connections");
        }
        FencingReason::Silent(Some(silent)) => {
            tracing::warn!(%broker, silent_ms = silent.as_millis(), "fencing a silent broker: its session timed out");
        }
        FencingReason::Silent(None) => {
            tracing::warn!(%broker, "fencing a broker that was not heard since this node is the active controller");
        }
    }
}

/// What a batch of decisions tells the watch, now that it holds.
pub(super) fn note<'a>(
    watch: &BrokerWatch,
    image: &MetadataImage,
    records: &[MetadataRecord],
    decided: impl Iterator<Item = (&'a ControllerRequest, &'a ControllerResponse)>,
) {
    if records.iter().any(is_of_brokers) {
        watch.follow(image);
        tell(records);
    }
    for (request, response) in decided {
        match (request, response) {
            (ControllerRequest::BrokerHeartbeat(request), ControllerResponse::BrokerHeartbeat(Ok(_))) => {
                watch.on_heard(request.broker, request.broker_epoch);
            }
            (ControllerRequest::RegisterBroker(request), ControllerResponse::RegisterBroker(Ok(epoch))) => {
                watch.on_heard(request.broker, *epoch);
            }
            _ => {}
        }
    }
}

pub(super) fn is_of_brokers(record: &MetadataRecord) -> bool {
    matches!(
        record,
        MetadataRecord::RegisterBroker(_)
            | MetadataRecord::UnregisterBroker(_)
            | MetadataRecord::BrokerRegistrationChange(_)
    )
}

/// One line for each broker that came or went, with what the change meant for partitions.
fn tell(records: &[MetadataRecord]) {
    let changes = records.iter().filter_map(|record| match record {
        MetadataRecord::PartitionChange(change) => change.leader,
        _ => None,
    });
    let (leaderless, moved): (Vec<BrokerId>, Vec<BrokerId>) = changes.partition(|leader| *leader == BrokerId::NONE);
    let (moved, leaderless) = (moved.len(), leaderless.len());
    for record in records {
        match record {
            MetadataRecord::RegisterBroker(record) => {
                let rack = record.rack.as_deref().unwrap_or("none");
                let (broker, epoch) = (record.broker, record.broker_epoch);
                tracing::info!(%broker, %epoch, rack, fenced = record.fenced, "a broker registered");
            }
            MetadataRecord::UnregisterBroker(record) => {
                tracing::info!(broker = %record.broker, moved, leaderless, "a broker was unregistered");
            }
            MetadataRecord::BrokerRegistrationChange(record) => {
                let broker = record.broker;
                match record.fenced {
                    Some(true) => tracing::info!(%broker, moved, leaderless, "a broker is out of service"),
                    Some(false) => tracing::info!(%broker, elected = moved, "a broker is in service"),
                    None if record.in_controlled_shutdown => {
                        tracing::info!(%broker, moved, "a broker wants to stop: its leaderships move");
                    }
                    None if !record.log_dirs.is_empty() => {
                        tracing::warn!(%broker, moved, leaderless, "a broker lost log directories");
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }
}
