//! Producer, consumer and admin against the fake broker.

use crate::fake_broker::FakeBroker;
use bytes::Bytes;
use std::collections::HashSet;
use std::time::Duration;
use weir_protocol::client::{
    Acks, Admin, Client, ClientError, Consumer, ConsumerConfig, CoordinatorKind, Delivery, Isolation, NewRecord,
    NewTopic, OffsetSpec, Producer, ProducerConfig, partition_for_key,
};
use weir_protocol::compression::Codec;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{PartitionIndex, TopicPartition};
use weir_protocol::messages::ApiKey;

const WAIT: Duration = Duration::from_secs(10);

fn value(text: &str) -> NewRecord {
    NewRecord { value: Some(Bytes::copy_from_slice(text.as_bytes())), ..NewRecord::default() }
}

fn keyed(key: &str, text: &str) -> NewRecord {
    NewRecord { key: Some(Bytes::copy_from_slice(key.as_bytes())), ..value(text) }
}

async fn cluster(topic: &str, partitions: usize) -> (FakeBroker, Client) {
    let broker = FakeBroker::start().await;
    broker.create(topic, partitions);
    let client = Client::connect(broker.config()).await.unwrap();
    (broker, client)
}

async fn send(producer: &mut Producer, topic: &str, records: &[NewRecord]) -> Vec<Delivery> {
    producer.send(topic, records).await.into_iter().map(|outcome| outcome.unwrap()).collect()
}

async fn read_all(client: &Client, topic: &str, partitions: i32, spec: OffsetSpec, count: usize) -> Vec<String> {
    let mut consumer = Consumer::new(client, ConsumerConfig::default());
    let partitions: Vec<_> = (0..partitions).map(|index| TopicPartition::new(topic, index)).collect();
    consumer.assign(&partitions, spec).await.unwrap();
    let mut values = Vec::new();
    while values.len() < count {
        for polled in consumer.poll(WAIT).await.unwrap() {
            let text = |value: Option<Bytes>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
            values.extend(polled.records.into_iter().map(|record| text(record.value)));
        }
    }
    values
}

#[tokio::test]
async fn what_is_sent_is_read_with_every_codec() {
    let (_broker, client) = cluster("orders", 1).await;
    for codec in Codec::ALL {
        let mut producer = Producer::new(client.clone(), ProducerConfig { codec, ..ProducerConfig::default() });
        send(&mut producer, "orders", &[value(codec.name()), value("x")]).await;
    }
    let values = read_all(&client, "orders", 1, OffsetSpec::Earliest, 10).await;
    assert_eq!(values, ["none", "x", "gzip", "x", "snappy", "x", "lz4", "x", "zstd", "x"]);
}

#[tokio::test]
async fn brokers_without_topic_ids_are_asked_by_name() {
    let broker = FakeBroker::start().await;
    let old = [(ApiKey::Metadata, 8), (ApiKey::Produce, 7), (ApiKey::Fetch, 7), (ApiKey::ListOffsets, 1)];
    broker.state().max_versions.extend(old);
    broker.create("orders", 1);
    let client = Client::connect(broker.config()).await.unwrap();
    let mut producer = Producer::new(client.clone(), ProducerConfig::default());
    send(&mut producer, "orders", &[value("old")]).await;
    assert_eq!(read_all(&client, "orders", 1, OffsetSpec::Earliest, 1).await, ["old"]);
}

#[tokio::test]
async fn keys_choose_the_partition_and_keyless_records_stay_together() {
    let (_broker, client) = cluster("orders", 5).await;
    let mut producer = Producer::new(client, ProducerConfig::default());
    let records: Vec<_> = (0..20).map(|index| keyed(&format!("key-{index}"), "v")).collect();
    for (record, delivery) in records.iter().zip(send(&mut producer, "orders", &records).await) {
        assert_eq!(delivery.partition, partition_for_key(record.key.as_ref().unwrap(), 5));
    }
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let placed = send(&mut producer, "orders", &[value("a"), value("b")]).await;
        assert_eq!(placed[0].partition, placed[1].partition);
        assert_eq!(placed[0].offset.unwrap() + 1, placed[1].offset.unwrap());
        seen.insert(placed[0].partition);
    }
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn batches_of_a_partition_follow_each_other_in_sequence() {
    let (broker, client) = cluster("orders", 1).await;
    let config = ProducerConfig { batch_bytes: 200, ..ProducerConfig::default() };
    let mut producer = Producer::new(client.clone(), config);
    let records: Vec<_> =
        (0..50).map(|index| NewRecord { partition: Some(PartitionIndex(0)), ..value(&index.to_string()) }).collect();
    let placed = send(&mut producer, "orders", &records).await;
    assert_eq!(placed.iter().map(|it| it.offset.unwrap()).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    let produced = broker.state().produced.clone();
    assert!(produced.len() > 1 && produced.is_sorted() && produced[0] == (1000, 0), "{produced:?}");
    let values = read_all(&client, "orders", 1, OffsetSpec::Earliest, 50).await;
    assert_eq!(values, (0..50).map(|index| index.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_retriable_error_is_retried_with_the_same_sequence() {
    let (broker, client) = cluster("orders", 1).await;
    broker.state().produce_errors.extend([ErrorCode::NotLeaderOrFollower, ErrorCode::NotEnoughReplicas]);
    let mut producer = Producer::new(client, ProducerConfig::default());
    send(&mut producer, "orders", &[value("a")]).await;
    send(&mut producer, "orders", &[value("b")]).await;
    assert_eq!(broker.state().produced, [(1000, 0), (1000, 1)]);
}

#[tokio::test]
async fn a_lost_answer_makes_no_duplicate() {
    let (broker, client) = cluster("orders", 1).await;
    broker.state().lose_produce_answers = 1;
    let mut producer = Producer::new(client.clone(), ProducerConfig::default());
    let first = send(&mut producer, "orders", &[value("a")]).await;
    assert_eq!(first[0].offset, None, "the leader no longer says where");
    let second = send(&mut producer, "orders", &[value("b")]).await;
    assert_eq!(second[0].offset, Some(1));
    assert_eq!(read_all(&client, "orders", 1, OffsetSpec::Earliest, 2).await, ["a", "b"]);
}

#[tokio::test]
async fn a_refused_batch_fails_its_records_and_a_new_producer_id_follows() {
    let (broker, client) = cluster("orders", 1).await;
    let mut producer = Producer::new(client, ProducerConfig::default());
    send(&mut producer, "orders", &[value("a")]).await;
    broker.state().produce_errors.push_back(ErrorCode::MessageTooLarge);
    let outcomes = producer.send("orders", &[value("b"), value("c")]).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge));
        assert!(error.to_string().contains("orders-0"), "{error}");
    }
    send(&mut producer, "orders", &[value("d")]).await;
    assert_eq!(broker.state().produced, [(1000, 0), (1001, 0)]);
}

#[tokio::test]
async fn attempts_are_bounded() {
    let broker = FakeBroker::start().await;
    broker.create("orders", 1);
    let mut config = broker.config();
    config.max_attempts = 3;
    let client = Client::connect(config).await.unwrap();
    broker.state().produce_errors.extend([ErrorCode::NotEnoughReplicas; 10]);
    let mut producer = Producer::new(client, ProducerConfig::default());
    let error = producer.send("orders", &[value("a")]).await.remove(0).unwrap_err();
    assert!(matches!(&*error, ClientError::RetriesExhausted { attempts: 3, .. }), "{error}");
    assert_eq!(broker.state().produce_errors.len(), 7);
}

#[tokio::test]
async fn acks_none_waits_for_nothing() {
    let (_broker, client) = cluster("orders", 1).await;
    let config = ProducerConfig { acks: Acks::None, ..ProducerConfig::default() };
    let mut producer = Producer::new(client.clone(), config);
    let placed = send(&mut producer, "orders", &[value("a")]).await;
    assert_eq!(placed[0].offset, None);
    assert_eq!(read_all(&client, "orders", 1, OffsetSpec::Earliest, 1).await, ["a"]);
}

#[tokio::test]
async fn an_unknown_topic_is_named() {
    let broker = FakeBroker::start().await;
    let mut config = broker.config();
    config.max_attempts = 2;
    let client = Client::connect(config).await.unwrap();
    let mut producer = Producer::new(client.clone(), ProducerConfig::default());
    let error = producer.send("nowhere", &[value("a")]).await.remove(0).unwrap_err();
    assert!(error.to_string().contains("unknown topic or partition nowhere"), "{error}");
    let wanted = [(TopicPartition::new("nowhere", 0), OffsetSpec::Latest)];
    assert!(client.list_offsets(&wanted, Isolation::ReadUncommitted).await.is_err());
}

#[tokio::test]
async fn a_consumer_begins_where_it_is_told() {
    let (_broker, client) = cluster("orders", 1).await;
    let mut producer = Producer::new(client.clone(), ProducerConfig::default());
    for (text, timestamp) in [("a", 100), ("b", 200), ("c", 300)] {
        send(&mut producer, "orders", &[NewRecord { timestamp: Some(timestamp), ..value(text) }]).await;
    }
    assert_eq!(read_all(&client, "orders", 1, OffsetSpec::Timestamp(150), 2).await, ["b", "c"]);
    let mut consumer = Consumer::new(&client, ConsumerConfig::default());
    let partition = TopicPartition::new("orders", 0);
    for spec in [OffsetSpec::Latest, OffsetSpec::Timestamp(999)] {
        consumer.assign(std::slice::from_ref(&partition), spec).await.unwrap();
        assert_eq!(consumer.positions()[&partition], 3);
    }
    consumer.seek(&partition, 2);
    let polled = consumer.poll(WAIT).await.unwrap().remove(0);
    assert_eq!((polled.records.len(), polled.records[0].offset, polled.next_offset), (1, 2, 3));
    assert_eq!((polled.high_watermark, consumer.positions()[&partition]), (3, 3));
}

#[tokio::test]
async fn small_fetches_read_everything_and_cut_batches_once() {
    let (_broker, client) = cluster("orders", 1).await;
    let mut producer = Producer::new(client.clone(), ProducerConfig::default());
    for index in 0..20 {
        send(&mut producer, "orders", &[value(&index.to_string())]).await;
    }
    let config = ConsumerConfig { max_partition_bytes: 200, ..ConsumerConfig::default() };
    let mut consumer = Consumer::new(&client, config);
    consumer.assign(&[TopicPartition::new("orders", 0)], OffsetSpec::Earliest).await.unwrap();
    let mut offsets = Vec::new();
    while offsets.len() < 20 {
        let polled = consumer.poll(WAIT).await.unwrap();
        offsets.extend(polled.into_iter().flat_map(|polled| polled.records).map(|record| record.offset));
    }
    assert_eq!(offsets, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn retriable_fetch_errors_are_retried_and_a_damaged_batch_is_not() {
    let (broker, client) = cluster("orders", 1).await;
    let mut producer = Producer::new(client.clone(), ProducerConfig::default());
    send(&mut producer, "orders", &[value("a")]).await;
    broker.state().fetch_errors.extend([ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch]);
    assert_eq!(read_all(&client, "orders", 1, OffsetSpec::Earliest, 1).await, ["a"]);
    *broker.state().topics.get_mut("orders").unwrap().1[0].last_mut().unwrap() ^= 1;
    let mut consumer = Consumer::new(&client, ConsumerConfig::default());
    consumer.assign(&[TopicPartition::new("orders", 0)], OffsetSpec::Earliest).await.unwrap();
    let error = consumer.poll(WAIT).await.unwrap_err();
    assert!(matches!(error, ClientError::CorruptRecords { .. }), "{error}");
    assert!(error.to_string().contains("orders-0 at offset 0: record batch is corrupt"), "{error}");
}

#[tokio::test]
async fn an_offset_out_of_range_is_an_error_or_resets() {
    let (_broker, client) = cluster("orders", 1).await;
    let mut producer = Producer::new(client.clone(), ProducerConfig::default());
    send(&mut producer, "orders", &[value("a")]).await;
    let beyond = || [(TopicPartition::new("orders", 0), 77)];
    let mut strict = Consumer::new(&client, ConsumerConfig::default());
    strict.assign_offsets(beyond());
    assert_eq!(strict.poll(WAIT).await.unwrap_err().code(), Some(ErrorCode::OffsetOutOfRange));
    let config = ConsumerConfig { reset: Some(OffsetSpec::Earliest), ..ConsumerConfig::default() };
    let mut lenient = Consumer::new(&client, config);
    lenient.assign_offsets(beyond());
    assert_eq!(lenient.poll(WAIT).await.unwrap()[0].records[0].offset, 0);
}

#[tokio::test]
async fn nothing_assigned_or_nothing_new_is_no_records() {
    let (_broker, client) = cluster("orders", 1).await;
    let mut consumer = Consumer::new(&client, ConsumerConfig::default());
    assert_eq!(consumer.poll(Duration::from_millis(5)).await.unwrap(), []);
    consumer.assign(&[TopicPartition::new("orders", 0)], OffsetSpec::Latest).await.unwrap();
    assert_eq!(consumer.poll(Duration::from_millis(5)).await.unwrap(), []);
}

#[tokio::test]
async fn each_topic_of_an_admin_answer_has_its_own_result() {
    let (broker, client) = cluster("orders", 1).await;
    let topic = |name: &str| NewTopic { name: name.to_owned(), partitions: Some(2), ..NewTopic::default() };
    let made = Admin::new(client).create_topics(&[topic("orders"), topic("bills")], false).await.unwrap();
    let refused = made[0].1.as_ref().unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::TopicAlreadyExists));
    assert!(refused.to_string().contains("Topic 'orders' already exists."), "{refused}");
    assert!(made[1].1.is_ok() && broker.state().topics["bills"].1.len() == 2);
}

#[tokio::test]
async fn topics_are_listed_and_described_as_they_are_now() {
    let (broker, client) = cluster("orders", 3).await;
    let admin = Admin::new(client);
    broker.create("bills", 1);
    let listed = admin.list_topics().await.unwrap();
    assert_eq!(listed.keys().map(|name| &**name).collect::<Vec<_>>(), ["bills", "orders"]);
    assert_eq!(listed["orders"].partitions.len(), 3);
    broker.state().topics.remove("bills");
    let described = admin.describe_topics(&["orders", "bills"]).await.unwrap();
    assert!(described[0].1.is_ok());
    assert!(matches!(described[1].1, Err(ClientError::UnknownTopicOrPartition { .. })));
}

#[tokio::test]
async fn a_coordinator_is_found_once_and_asked_for_again_while_it_loads() {
    let (broker, client) = cluster("orders", 1).await;
    broker.state().coordinator_errors.push_back(ErrorCode::CoordinatorNotAvailable);
    let find = || client.retry(|_| client.coordinator(CoordinatorKind::Group, "readers"));
    assert_eq!(find().await.unwrap().get(), 1);
    assert_eq!(find().await.unwrap().get(), 1);
    assert_eq!(broker.state().asked[&ApiKey::FindCoordinator], 2);
}

#[tokio::test]
async fn the_bootstrap_list_is_tried_in_order_and_every_failure_is_told() {
    let broker = FakeBroker::start().await;
    let mut config = broker.config();
    config.bootstrap.insert(0, "127.0.0.1:1".parse().unwrap());
    assert!(Client::connect(config.clone()).await.is_ok());
    config.bootstrap.truncate(1);
    let error = Client::connect(config).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1") && matches!(error, ClientError::NoBroker { .. }), "{error}");
}
