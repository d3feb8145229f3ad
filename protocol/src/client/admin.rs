//! The admin requests that a command line needs: topics, partitions, configs, records.
//!
//! Each answer speaks of several things, so each call returns one result per thing, in the answer's order; the call
//! itself fails only if no broker gave an answer.

use super::cluster::topic_name;
use super::{Client, ClientError, TopicMetadata};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, PartitionIndex, TopicPartition};
use crate::messages::create_partitions_request::CreatePartitionsTopic;
use crate::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::messages::create_topics_response::CreatableTopicResult;
use crate::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use crate::messages::delete_topics_request::DeleteTopicState;
use crate::messages::describe_configs_request::DescribeConfigsResource;
use crate::messages::describe_configs_response::DescribeConfigsResourceResult;
use crate::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::messages::{
    ApiKey, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest, IncrementalAlterConfigsRequest, StrBytes,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

/// The most resources that one request asks for the configs of.
const RESOURCES_PER_REQUEST: usize = 500;
/// The source of a config that is set on its topic (Kafka: `DYNAMIC_TOPIC_CONFIG`).
const TOPIC_CONFIG_SOURCE: i8 = 1;

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Partitions; the broker's `num.partitions` without.
    pub partitions: Option<i32>,
    /// Replicas of each; the broker's `default.replication.factor` without.
    pub replication_factor: Option<i16>,
    /// Topic configs.
    pub configs: Vec<(String, String)>,
}

/// What has configs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// One broker.
    Broker(BrokerId),
    /// The dynamic default of all brokers.
    ClusterDefault,
    /// A consumer group (KIP-848).
    Group(String),
}

/// A change of one config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// To this value.
    Set(String),
    /// Back to what holds without it.
    Delete,
    /// One more element of a list.
    Append(String),
    /// One element of a list fewer.
    Subtract(String),
}

/// What a topic is deleted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its name.
    Name(String),
    /// Its id, which no later topic of the same name has.
    Id(crate::ids::TopicId),
}

/// A thing's name and what became of it.
pub type PerItem<K, T> = Vec<(K, Result<T, ClientError>)>;

/// Admin requests.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

impl ConfigResource {
    fn wire(&self) -> (i8, StrBytes) {
        match self {
            Self::Topic(name) => (2, text(name)),
            Self::Broker(id) => (4, text(&id.to_string())),
            Self::ClusterDefault => (4, StrBytes::new()),
            Self::Group(name) => (32, text(name)),
        }
    }
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::ClusterDefault => write!(f, "every broker's default"),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}

impl ConfigChange {
    fn wire(&self) -> (i8, Option<StrBytes>) {
        match self {
            Self::Set(value) => (0, Some(text(value))),
            Self::Delete => (1, None),
            Self::Append(value) => (2, Some(text(value))),
            Self::Subtract(value) => (3, Some(text(value))),
        }
    }
}

/// The worst that must be tried again among the codes of an answer.
pub(super) fn retry_code(codes: impl IntoIterator<Item = i16>) -> ErrorCode {
    let not_controller = |code: &ErrorCode| matches!(code, ErrorCode::NotController);
    codes.into_iter().map(ErrorCode::from_code).find(not_controller).unwrap_or(ErrorCode::None)
}

impl Admin {
    /// Admin requests over `client`'s connections.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Whose connections it uses.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn timeout_ms(&self) -> i32 {
        self.client.config().request_timeout.as_millis().min(i32::MAX as u128) as i32
    }

    pub(super) fn item(
        &self,
        api: ApiKey,
        subject: &str,
        code: i16,
        message: Option<&StrBytes>,
    ) -> Result<(), ClientError> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => Ok(()),
            code => Err(ClientError::Refused {
                address: self.client.bootstrap_address(),
                api,
                subject: subject.to_owned(),
                code,
                message: message.map(|message| message.to_string()).filter(|message| !message.is_empty()),
            }),
        }
    }

    /// CreateTopics. `validate_only` changes nothing.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<PerItem<String, CreatableTopicResult>, ClientError> {
        let topics = topics.iter().map(|topic| {
            let config = |(name, value): &(String, String)| {
                CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
            };
            CreatableTopic::default()
                .with_name(topic_name(&topic.name))
                .with_num_partitions(topic.partitions.unwrap_or(-1))
                .with_replication_factor(topic.replication_factor.unwrap_or(-1))
                .with_configs(topic.configs.iter().map(config).collect())
        });
        let request = CreateTopicsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(self.timeout_ms())
            .with_validate_only(validate_only);
        let code = |response: &crate::messages::CreateTopicsResponse| {
            retry_code(response.topics.iter().map(|topic| topic.error_code))
        };
        let response = self.client.ask_controller(&request, code).await?;
        let item = |topic: CreatableTopicResult| {
            let name = topic.name.to_string();
            self.client.invalidate(&name);
            let checked = self.item(ApiKey::CreateTopics, &name, topic.error_code, topic.error_message.as_ref());
            (name, checked.map(|()| topic))
        };
        Ok(response.topics.into_iter().map(item).collect())
    }

    /// DeleteTopics.
    pub async fn delete_topics(&self, topics: &[Target]) -> Result<PerItem<String, ()>, ClientError> {
        let by_name: Option<Vec<_>> = topics
            .iter()
            .map(|topic| match topic {
                Target::Name(name) => Some(topic_name(name)),
                Target::Id(_) => None,
            })
            .collect();
        let states = topics.iter().map(|topic| match topic {
            Target::Name(name) => DeleteTopicState::default().with_name(Some(topic_name(name))),
            Target::Id(id) => DeleteTopicState::default().with_name(None).with_topic_id(*id),
        });
        let states: Vec<_> = states.collect();
        let controller = self.client.metadata().controller;
        let speaks_states = match controller {
            Some(id) => self.client.connection(id).await?.version_up_to::<DeleteTopicsRequest>(i16::MAX)? >= 6,
            None => true,
        };
        let request = DeleteTopicsRequest::default().with_timeout_ms(self.timeout_ms());
        let request = match by_name {
            // Before version 6 topics go by name only.
            Some(names) if !speaks_states => request.with_topic_names(names),
            _ => request.with_topics(states),
        };
        let code = |response: &crate::messages::DeleteTopicsResponse| {
            retry_code(response.responses.iter().map(|topic| topic.error_code))
        };
        let response = self.client.ask_controller(&request, code).await?;
        let item = |topic: crate::messages::delete_topics_response::DeletableTopicResult| {
            let name = topic.name.map_or_else(|| topic.topic_id.to_string(), |name| name.to_string());
            self.client.invalidate(&name);
            let done = self.item(ApiKey::DeleteTopics, &name, topic.error_code, topic.error_message.as_ref());
            (name, done)
        };
        Ok(response.responses.into_iter().map(item).collect())
    }

    /// Every topic of the cluster, with its partitions.
    pub async fn list_topics(&self) -> Result<BTreeMap<Arc<str>, TopicMetadata>, ClientError> {
        Ok(self.client.refresh(None, false).await?.topics.clone())
    }

    /// These topics, asked for anew.
    pub async fn describe_topics(&self, names: &[&str]) -> Result<PerItem<String, TopicMetadata>, ClientError> {
        let metadata = self.client.refresh(Some(names), false).await?;
        let item = |name: &&str| {
            let found = match metadata.topics.get(*name) {
                None => Err(ClientError::UnknownTopicOrPartition { subject: format!("topic {name}") }),
                Some(topic) => self.item(ApiKey::Metadata, name, topic.error.code(), None).map(|()| topic.clone()),
            };
            ((*name).to_owned(), found)
        };
        Ok(names.iter().map(item).collect())
    }

    /// CreatePartitions: raises a topic's partitions to `count`.
    pub async fn create_partitions(&self, topic: &str, count: i32, validate_only: bool) -> Result<(), ClientError> {
        let grown =
            CreatePartitionsTopic::default().with_name(topic_name(topic)).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![grown])
            .with_timeout_ms(self.timeout_ms())
            .with_validate_only(validate_only);
        let code = |response: &crate::messages::CreatePartitionsResponse| {
            retry_code(response.results.iter().map(|result| result.error_code))
        };
        let response = self.client.ask_controller(&request, code).await?;
        self.client.invalidate(topic);
        let Some(result) = response.results.first() else {
            return Err(self.missing(ApiKey::CreatePartitions, topic));
        };
        self.item(ApiKey::CreatePartitions, topic, result.error_code, result.error_message.as_ref())
    }

    pub(super) fn missing(&self, api: ApiKey, subject: &str) -> ClientError {
        ClientError::Missing { address: self.client.bootstrap_address(), api, subject: subject.to_owned() }
    }

    /// DescribeConfigs: every config of each resource, with synonyms and documentation.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<PerItem<ConfigResource, Vec<DescribeConfigsResourceResult>>, ClientError> {
        let mut results = Vec::new();
        for resource in resources {
            let (kind, name) = resource.wire();
            let asked = DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(name)
                .with_configuration_keys(None);
            let client = &self.client;
            let answer = client.retry(|_| {
                let asked = asked.clone();
                async move {
                    let request = DescribeConfigsRequest::default().with_resources(vec![asked]);
                    let request = request.with_include_synonyms(true);
                    match resource {
                        // A broker knows only its own static configs.
                        ConfigResource::Broker(id) => client.ask_broker(*id, &request).await,
                        _ => client.ask_any(&request).await,
                    }
                }
            });
            let answer = answer.await?;
            let Some(first) = answer.results.into_iter().next() else {
                results.push((resource.clone(), Err(self.missing(ApiKey::DescribeConfigs, &resource.to_string()))));
                continue;
            };
            let subject = resource.to_string();
            let checked = self.item(ApiKey::DescribeConfigs, &subject, first.error_code, first.error_message.as_ref());
            results.push((resource.clone(), checked.map(|()| first.configs)));
        }
        Ok(results)
    }

    /// DescribeConfigs of many topics at once: what is set on each of them under these names.
    pub async fn values_set_on_topics(
        &self,
        topics: &[&str],
        names: &[&str],
    ) -> Result<BTreeMap<String, Vec<DescribeConfigsResourceResult>>, ClientError> {
        let mut values = BTreeMap::new();
        for topics in topics.chunks(RESOURCES_PER_REQUEST) {
            let resource = |topic: &&str| {
                let (kind, name) = ConfigResource::Topic((*topic).to_owned()).wire();
                let names = names.iter().copied().map(text).collect();
                DescribeConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(name)
                    .with_configuration_keys(Some(names))
            };
            let request = DescribeConfigsRequest::default().with_resources(topics.iter().map(resource).collect());
            let response = self.client.ask_any(&request).await?;
            for mut result in response.results {
                // A topic that is deleted meanwhile has nothing set.
                result.configs.retain(|config| config.config_source == TOPIC_CONFIG_SOURCE);
                values.insert(result.resource_name.to_string(), result.configs);
            }
        }
        Ok(values)
    }

    /// IncrementalAlterConfigs (KIP-339): these changes to one resource, all or none.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[(String, ConfigChange)],
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let (kind, name) = resource.wire();
        let change = |(name, change): &(String, ConfigChange)| {
            let (operation, value) = change.wire();
            AlterableConfig::default().with_name(text(name)).with_config_operation(operation).with_value(value)
        };
        let altered = AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_configs(changes.iter().map(change).collect());
        let request =
            IncrementalAlterConfigsRequest::default().with_resources(vec![altered]).with_validate_only(validate_only);
        let code = |response: &crate::messages::IncrementalAlterConfigsResponse| {
            retry_code(response.responses.iter().map(|response| response.error_code))
        };
        let response = match resource {
            ConfigResource::Broker(id) => self.client.ask_broker(*id, &request).await?,
            _ => self.client.ask_controller(&request, code).await?,
        };
        let subject = resource.to_string();
        let Some(first) = response.responses.first() else {
            return Err(self.missing(ApiKey::IncrementalAlterConfigs, &subject));
        };
        self.item(ApiKey::IncrementalAlterConfigs, &subject, first.error_code, first.error_message.as_ref())
    }

    /// DeleteRecords: everything before these offsets goes (-1: before the high watermark). The new log start offsets.
    pub async fn delete_records(
        &self,
        before: &[(TopicPartition, i64)],
    ) -> Result<PerItem<TopicPartition, i64>, ClientError> {
        let mut by_leader: HashMap<BrokerId, BTreeMap<&str, Vec<DeleteRecordsPartition>>> = HashMap::new();
        for (partition, offset) in before {
            let (leader, _) = self.client.retry(|_| self.client.leader(partition)).await?;
            let deleted =
                DeleteRecordsPartition::default().with_partition_index(partition.partition.get()).with_offset(*offset);
            by_leader.entry(leader).or_default().entry(&partition.topic).or_default().push(deleted);
        }
        let mut results = Vec::new();
        for (leader, topics) in by_leader {
            let topics = topics.into_iter().map(|(name, partitions)| {
                DeleteRecordsTopic::default().with_name(topic_name(name)).with_partitions(partitions)
            });
            let request =
                DeleteRecordsRequest::default().with_topics(topics.collect()).with_timeout_ms(self.timeout_ms());
            let response = self.client.ask_broker(leader, &request).await?;
            for topic in response.topics {
                for answer in topic.partitions {
                    let partition = TopicPartition::new(&**topic.name, PartitionIndex(answer.partition_index));
                    let subject = partition.to_string();
                    let done = self.item(ApiKey::DeleteRecords, &subject, answer.error_code, None);
                    results.push((partition, done.map(|()| answer.low_watermark)));
                }
            }
        }
        Ok(results)
    }

    /// DescribeCluster: id, controller and brokers.
    pub async fn describe_cluster(&self) -> Result<DescribeClusterResponse, ClientError> {
        let response = self.client.ask_any(&DescribeClusterRequest::default()).await?;
        let message = response.error_message.as_ref();
        self.item(ApiKey::DescribeCluster, "the cluster", response.error_code, message)?;
        Ok(response)
    }
}
