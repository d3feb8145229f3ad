//! The way from a frame to the file of its API.

use std::rc::Rc;
use std::sync::Arc;

use weir_protocol::api::ApiKey;
use weir_protocol::messages::{RequestKind, StrBytes};
use weir_protocol::request::{self, RequestError, RequestHeader};
use weir_protocol::response;

use super::call::Call;
use super::registry::ListenerKind;
use super::{
    alter_configs, alter_partition_reassignments, alter_replica_log_dirs, api_versions, create_partitions,
    create_topics, delete_records, delete_topics, describe_cluster, describe_configs, describe_log_dirs,
    describe_producers, describe_quorum, describe_topic_partitions, elect_leaders, fetch, find_coordinator, groups,
    init_producer_id, list_config_resources, list_offsets, list_partition_reassignments, metadata, offset_commit,
    offset_delete, offset_fetch, offset_for_leader_epoch, produce, raft_voters, registry, unregister_broker,
    update_features,
};
use crate::administration::Administration;
use crate::broker::Broker;
use crate::metrics::RequestMetrics;
use crate::net::{ConnectionContext, Dispatch, Frame, Handler};

/// Every API of a broker, on the listeners for clients and brokers.
#[derive(Debug)]
pub struct Apis {
    broker: Arc<Broker>,
}

impl Apis {
    /// The APIs of `broker`.
    pub fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }
}

impl Handler for Apis {
    fn dispatch(&self, connection: &Rc<ConnectionContext>, mut frame: Frame) -> Dispatch {
        let listener_kind = ListenerKind::Broker;
        let (header, body) = match open(connection, &mut frame, listener_kind, &self.broker.administration.requests) {
            Ok(opened) => opened,
            Err(refused) => return refused,
        };
        let call = Call { node: self.broker.clone(), connection: connection.clone(), listener_kind, header };
        match body {
            RequestKind::Produce(request) => produce::handle(call, request, frame),
            other => serve(call, other),
        }
    }

    fn shutting_down(&self) {
        self.broker.partitions.local().close();
    }
}

/// The APIs for administrators, on controller listeners (KIP-919).
#[derive(Debug)]
pub(crate) struct ControllerApis {
    administration: Arc<Administration>,
}

impl ControllerApis {
    /// The APIs of the node that `administration` is of.
    pub(crate) fn new(administration: Arc<Administration>) -> Self {
        Self { administration }
    }

    pub(crate) fn dispatch(&self, connection: &Rc<ConnectionContext>, mut frame: Frame) -> Dispatch {
        let listener_kind = ListenerKind::Controller;
        let (header, body) = match open(connection, &mut frame, listener_kind, &self.administration.requests) {
            Ok(opened) => opened,
            Err(refused) => return refused,
        };
        administer(
            Call { node: self.administration.clone(), connection: connection.clone(), listener_kind, header },
            body,
        )
    }
}

/// Reads a request, which only Produce goes on taking out of the frame; or says what becomes of one that is not read.
fn open(
    connection: &ConnectionContext,
    frame: &mut Frame,
    listener_kind: ListenerKind,
    requests: &RequestMetrics,
) -> Result<(RequestHeader, RequestKind), Dispatch> {
    let mut bytes = frame.share();
    let mut header = request::decode_header(&mut bytes).map_err(|error| refused(connection, requests, &error))?;
    if !registry::is_built(header.api_key, listener_kind) {
        tracing::warn!(
            peer = %connection.peer_address, api = ?header.api_key, version = header.api_version,
            "an API that is not advertised was asked for; the connection is closed"
        );
        return Err(Dispatch::Close);
    }
    let body = request::decode_body(&header, &mut bytes).map_err(|error| refused(connection, requests, &error))?;
    requests.count(header.api_key);
    // From here on only what an API keeps on purpose may keep the frame alive.
    drop(bytes);
    header.client_id = header.client_id.map(|id| StrBytes::from_string(id.to_string()));
    Ok((header, body))
}

/// What only a broker answers.
fn serve(call: Call, request: RequestKind) -> Dispatch {
    match request {
        RequestKind::Fetch(request) => fetch::handle(call, request),
        RequestKind::ListOffsets(request) => list_offsets::handle(call, request),
        RequestKind::Metadata(request) => metadata::handle(call, request),
        RequestKind::OffsetCommit(request) => offset_commit::handle(call, request),
        RequestKind::OffsetFetch(request) => offset_fetch::handle(call, request),
        RequestKind::FindCoordinator(request) => find_coordinator::handle(call, request),
        RequestKind::JoinGroup(request) => groups::join_group(call, request),
        RequestKind::Heartbeat(request) => groups::heartbeat(call, request),
        RequestKind::LeaveGroup(request) => groups::leave_group(call, request),
        RequestKind::SyncGroup(request) => groups::sync_group(call, request),
        RequestKind::DescribeGroups(request) => groups::describe_groups(call, request),
        RequestKind::ListGroups(request) => groups::list_groups(call, request),
        RequestKind::DeleteRecords(request) => delete_records::handle(call, request),
        RequestKind::InitProducerId(request) => init_producer_id::handle(call, request),
        RequestKind::OffsetForLeaderEpoch(request) => offset_for_leader_epoch::handle(call, request),
        RequestKind::AlterReplicaLogDirs(request) => alter_replica_log_dirs::handle(call, request),
        RequestKind::DescribeLogDirs(request) => describe_log_dirs::handle(call, request),
        RequestKind::DeleteGroups(request) => groups::delete_groups(call, request),
        RequestKind::OffsetDelete(request) => offset_delete::handle(call, request),
        RequestKind::DescribeProducers(request) => describe_producers::handle(call, request),
        RequestKind::DescribeTopicPartitions(request) => describe_topic_partitions::handle(call, request),
        other => administer(call.administering(), other),
    }
}

/// What every node answers.
fn administer(call: Call<Administration>, request: RequestKind) -> Dispatch {
    match request {
        RequestKind::ApiVersions(request) => api_versions::handle(call, request),
        RequestKind::CreateTopics(request) => create_topics::handle(call, request),
        RequestKind::DeleteTopics(request) => delete_topics::handle(call, request),
        RequestKind::DescribeConfigs(request) => describe_configs::handle(call, request),
        RequestKind::AlterConfigs(request) => alter_configs::replace(call, request),
        RequestKind::CreatePartitions(request) => create_partitions::handle(call, request),
        RequestKind::ElectLeaders(request) => elect_leaders::handle(call, request),
        RequestKind::IncrementalAlterConfigs(request) => alter_configs::change(call, request),
        RequestKind::AlterPartitionReassignments(request) => alter_partition_reassignments::handle(call, request),
        RequestKind::ListPartitionReassignments(request) => list_partition_reassignments::handle(call, request),
        RequestKind::DescribeQuorum(request) => describe_quorum::handle(call, request),
        RequestKind::UpdateFeatures(request) => update_features::handle(call, request),
        RequestKind::UnregisterBroker(request) => unregister_broker::handle(call, request),
        RequestKind::AddRaftVoter(request) => raft_voters::add(call, request),
        RequestKind::RemoveRaftVoter(request) => raft_voters::remove(call, request),
        RequestKind::DescribeCluster(request) => describe_cluster::handle(call, request),
        RequestKind::ListConfigResources(request) => list_config_resources::handle(call, request),
        _ => unreachable!("{:?} is built but has no route", call.header.api_key),
    }
}

/// Kafka closes the connection on what it cannot decode, but answers an ApiVersions it is too old for (KIP-511).
fn refused(connection: &ConnectionContext, requests: &RequestMetrics, error: &RequestError) -> Dispatch {
    if let RequestError::UnsupportedApi { api, correlation_id } = error
        && api.key == ApiKey::ApiVersions as i16
    {
        return Dispatch::Ready(response::unsupported_api_versions(*correlation_id).into());
    }
    requests.count_refused();
    tracing::warn!(peer = %connection.peer_address, %error, "a request was refused; the connection is closed");
    Dispatch::Close
}
