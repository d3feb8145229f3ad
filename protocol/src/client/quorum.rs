//! The metadata quorum and its members (KIP-595, KIP-853), and brokers that are gone for good.

use super::admin::retry_code;
use super::{Address, Admin, ClientError};
use crate::ids::BrokerId;
use crate::messages::add_raft_voter_request::Listener;
use crate::messages::describe_quorum_request::{PartitionData, TopicData};
use crate::messages::describe_quorum_response::PartitionData as DescribedQuorum;
use crate::messages::{
    AddRaftVoterRequest, ApiKey, BrokerId as WireBrokerId, DescribeQuorumRequest, RemoveRaftVoterRequest, StrBytes,
    TopicName, UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use uuid::Uuid;

const METADATA_TOPIC: &str = "__cluster_metadata";

impl Admin {
    /// DescribeQuorum: who votes, who learns, and how far each is.
    pub async fn describe_quorum(&self) -> Result<DescribedQuorum, ClientError> {
        let topic = TopicName(StrBytes::from_static_str(METADATA_TOPIC));
        let asked = TopicData::default().with_topic_name(topic).with_partitions(vec![PartitionData::default()]);
        let request = DescribeQuorumRequest::default().with_topics(vec![asked]);
        let response = self.client().ask_any(&request).await?;
        let api = ApiKey::DescribeQuorum;
        self.item(api, "the quorum", response.error_code, response.error_message.as_ref())?;
        let described = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
        let described = described.ok_or_else(|| self.missing(api, "the quorum"))?;
        self.item(api, "the quorum", described.error_code, described.error_message.as_ref())?;
        Ok(described)
    }

    /// AddRaftVoter: a controller that already runs gets a vote. `listeners` are its controller listeners by name.
    pub async fn add_voter(
        &self,
        voter: BrokerId,
        directory: Uuid,
        listeners: &[(String, Address)],
    ) -> Result<(), ClientError> {
        let listeners = listeners.iter().map(|(name, address)| {
            Listener::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_host(StrBytes::from_string(address.host.clone()))
                .with_port(address.port)
        });
        let request = AddRaftVoterRequest::default()
            .with_timeout_ms(self.timeout_ms())
            .with_voter_id(voter.get())
            .with_voter_directory_id(directory)
            .with_listeners(listeners.collect());
        let response = self.client().ask_any(&request).await?;
        let subject = format!("voter {voter}");
        self.item(ApiKey::AddRaftVoter, &subject, response.error_code, response.error_message.as_ref())
    }

    /// RemoveRaftVoter: takes a controller's vote.
    pub async fn remove_voter(&self, voter: BrokerId, directory: Uuid) -> Result<(), ClientError> {
        let request = RemoveRaftVoterRequest::default().with_voter_id(voter.get()).with_voter_directory_id(directory);
        let response = self.client().ask_any(&request).await?;
        let subject = format!("voter {voter}");
        self.item(ApiKey::RemoveRaftVoter, &subject, response.error_code, response.error_message.as_ref())
    }

    /// UnregisterBroker: a broker that will not come back is forgotten.
    pub async fn unregister_broker(&self, broker: BrokerId) -> Result<(), ClientError> {
        let request = UnregisterBrokerRequest::default().with_broker_id(WireBrokerId(broker.get()));
        let code = |response: &UnregisterBrokerResponse| retry_code([response.error_code]);
        let response = self.client().ask_controller(&request, code).await?;
        let subject = format!("broker {broker}");
        self.item(ApiKey::UnregisterBroker, &subject, response.error_code, response.error_message.as_ref())
    }
}
