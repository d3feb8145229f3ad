//! The driver of the clients suite for librdkafka through rdkafka: used as its users use it, `case = outcome` lines on standard output.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const TOPIC: &str = "rdkafka-topic";
/// As many replicas as the brokers make unless told (KIP-464).
const DEFAULT_REPLICATION: i32 = -1;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

type AnyError = Box<dyn Error>;

fn line(case: &str, outcome: impl std::fmt::Display) {
    let bootstrap = env::var("BOOTSTRAP").unwrap_or_default();
    let brokers = bootstrap.split(',');
    let plain = brokers.fold(outcome.to_string(), |text, broker| text.replace(broker, "HOST:PORT"));
    println!("{case} = {}", plain.replace('\n', "\\n"));
}

fn client(more: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", env::var("BOOTSTRAP").unwrap_or_default());
    for (key, value) in more {
        config.set(*key, *value);
    }
    config
}

fn producer(more: &[(&str, &str)]) -> Result<FutureProducer, AnyError> {
    Ok(client(more).set("message.timeout.ms", "60000").create()?)
}

fn consumer(group: &str, more: &[(&str, &str)]) -> Result<BaseConsumer, AnyError> {
    let mut config = client(more);
    config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    Ok(config.create()?)
}

/// Sends numbered records at once and gives the places of the first and the last.
async fn send(producer: &FutureProducer, topic: &str, count: usize) -> Result<String, AnyError> {
    let mut waiting = Vec::new();
    for index in 0..count {
        let (key, value) = (format!("k{index}"), format!("value {index}"));
        let record = FutureRecord::to(topic).partition(0).key(&key).payload(&value);
        let time = 1_600_000_000_000 + i64::try_from(index)?;
        waiting.push(producer.send_result(record.timestamp(time)).map_err(|(error, _)| error)?);
    }
    let mut offsets = Vec::new();
    for delivery in waiting {
        offsets.push(delivery.await?.map_err(|(error, _)| error)?.offset);
    }
    Ok(format!("{:?} to {:?}", offsets.first(), offsets.last()))
}

fn next(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>, AnyError> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(Ok(message)) = consumer.poll(POLL) {
            return Ok(message);
        }
    }
    Err("no message came".into())
}

fn assigned(group: &str, topic: &str, offset: Offset, more: &[(&str, &str)]) -> Result<BaseConsumer, AnyError> {
    let consumer = consumer(group, more)?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, offset)?;
    consumer.assign(&partitions)?;
    Ok(consumer)
}

/// Reads `count` records of partition 0 and gives one number for them.
fn read(topic: &str, count: usize) -> Result<String, AnyError> {
    let consumer = assigned("rdkafka-reader", topic, Offset::Beginning, &[])?;
    let mut sum = 0;
    for _ in 0..count {
        sum = crc32c::crc32c_append(sum, next(&consumer)?.payload().unwrap_or(b"null"));
    }
    Ok(format!("{count} records {sum:08x}"))
}

async fn codecs() -> Result<(), AnyError> {
    for codec in ["none", "gzip", "snappy", "lz4"] {
        for idempotent in ["false", "true"] {
            let topic = format!("rdkafka-{codec}-{idempotent}");
            let settings = [("compression.codec", codec), ("enable.idempotence", idempotent), ("linger.ms", "20")];
            let places = send(&producer(&settings)?, &topic, 200).await?;
            line(&format!("codec.{codec}.{idempotent}"), format!("{places}, {}", read(&topic, 200)?));
        }
    }
    Ok(())
}

async fn acknowledgements() -> Result<(), AnyError> {
    for acks in ["0", "1", "all"] {
        let topic = format!("rdkafka-acks-{acks}");
        send(&producer(&[("acks", acks)])?, &topic, 50).await?;
        line(&format!("acks.{acks}"), read(&topic, 50)?);
    }
    Ok(())
}

async fn shapes() -> Result<(), AnyError> {
    let producer = producer(&[])?;
    let mut headers = OwnedHeaders::new();
    for value in [Some("1"), Some("2"), None, Some("")] {
        headers = headers.insert(Header { key: "same", value });
    }
    let topic = "rdkafka-shapes";
    let unkeyed = FutureRecord::<(), str>::to(topic).payload("no key").timestamp(1000);
    producer.send(unkeyed, PATIENCE).await.map_err(|(error, _)| error)?;
    let tombstone = FutureRecord::<str, ()>::to(topic).key("no value").timestamp(2000);
    producer.send(tombstone, PATIENCE).await.map_err(|(error, _)| error)?;
    let headed = FutureRecord::to(topic).key("k").payload("v").headers(headers).timestamp(3000);
    producer.send(headed, PATIENCE).await.map_err(|(error, _)| error)?;
    let consumer = assigned("rdkafka-reader", topic, Offset::Beginning, &[])?;
    for _ in 0..3 {
        let message = next(&consumer)?;
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let headers: Vec<_> = message.headers().into_iter().flat_map(|headers| headers.iter()).collect();
        let headers: Vec<_> = headers.iter().map(|header| format!("{}:{:?}", header.key, text(header.value))).collect();
        let (key, value) = (text(message.key()), text(message.payload()));
        line(
            &format!("shapes.{}", message.offset()),
            format!("{key:?} {value:?} {:?} {headers:?}", message.timestamp()),
        );
    }
    Ok(())
}

async fn large(admin: &AdminClient<DefaultClientContext>) -> Result<(), AnyError> {
    let topic = NewTopic::new("rdkafka-large", 1, TopicReplication::Fixed(DEFAULT_REPLICATION))
        .set("max.message.bytes", "70000000");
    line("large.topic", format!("{:?}", admin.create_topics([&topic], &AdminOptions::new()).await?));
    let producer = producer(&[("message.max.bytes", "70000000")])?;
    let value: Vec<u8> =
        (0..64_u32 << 20).map(|index| (index.wrapping_mul(31) ^ (index >> 11)).to_le_bytes()[0]).collect();
    let sent = producer.send(FutureRecord::<(), _>::to("rdkafka-large").payload(&value), PATIENCE).await;
    line("large.sent", sent.map_err(|(error, _)| error)?.offset);
    let consumer = assigned("rdkafka-reader", "rdkafka-large", Offset::Beginning, &[])?;
    line("large.read", next(&consumer)?.payload() == Some(value.as_slice()));
    let refused = producer.send(FutureRecord::<(), _>::to(TOPIC).payload(&value[..3_000_000]), PATIENCE).await;
    line("large.refused", format!("{:?}", refused.map_err(|(error, _)| error).map(|delivery| delivery.offset)));
    Ok(())
}

fn positions() -> Result<(), AnyError> {
    let topic = "rdkafka-none-false";
    let consumer = assigned("rdkafka-positions", topic, Offset::Offset(150), &[])?;
    line("watermarks", format!("{:?}", consumer.fetch_watermarks(topic, 0, PATIENCE)?));
    for time in [0, 1_600_000_000_100, 1_700_000_000_000] {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset(topic, 0, Offset::Offset(time))?;
        let found = consumer.offsets_for_times(wanted, PATIENCE)?;
        line(&format!("times.{time}"), format!("{:?}", found.elements_for_topic(topic)[0].offset()));
    }
    line("assigned", next(&consumer)?.offset());
    consumer.seek(topic, 0, Offset::Offset(20), PATIENCE)?;
    line("seek", next(&consumer)?.offset());
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, 0, Offset::Offset(33))?;
    consumer.commit(&offsets, CommitMode::Sync)?;
    let again = assigned("rdkafka-positions", topic, Offset::Stored, &[])?;
    line("committed", format!("{:?}", again.committed(PATIENCE)?.elements_for_topic(topic)[0].offset()));
    line("resumed", next(&again)?.offset());
    Ok(())
}

fn groups() -> Result<(), AnyError> {
    for strategy in ["range", "roundrobin", "cooperative-sticky"] {
        let group = format!("rdkafka-{strategy}");
        let join = || -> Result<BaseConsumer, AnyError> {
            let settings = [
                ("partition.assignment.strategy", strategy),
                ("heartbeat.interval.ms", "300"),
                // The least that is allowed: where a word of leaving is lost with a coordinator that stops, nothing else ends the member, and
                // each coordinator that takes over gives it this time anew.
                ("session.timeout.ms", "6000"),
            ];
            let member = consumer(&group, &settings)?;
            member.subscribe(&[TOPIC])?;
            Ok(member)
        };
        let settle = |members: &[&BaseConsumer], wanted: &[usize]| -> Result<(), AnyError> {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let mut sizes = Vec::new();
                for member in members {
                    let _ = member.poll(Duration::from_millis(30));
                    sizes.push(member.assignment()?.count());
                }
                sizes.sort_unstable();
                if sizes == wanted {
                    return Ok(());
                }
                if Instant::now() > deadline {
                    return Err(format!("assignments of {wanted:?} never came").into());
                }
            }
        };
        let first = join()?;
        settle(&[&first], &[3])?;
        let second = join()?;
        settle(&[&first, &second], &[1, 2])?;
        let listed = first.fetch_group_list(Some(&group), PATIENCE)?;
        let shown: Vec<_> = listed
            .groups()
            .iter()
            .map(|g| format!("{} {} {} {}", g.state(), g.protocol_type(), g.protocol(), g.members().len()))
            .collect();
        line(&format!("group.{strategy}.two"), format!("{shown:?}"));
        drop(second);
        settle(&[&first], &[3])?;
        line(&format!("group.{strategy}.one"), 3);
    }
    Ok(())
}

async fn administration(admin: &AdminClient<DefaultClientContext>) -> Result<(), AnyError> {
    let options = AdminOptions::new();
    let bad = [
        ("again", NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1))),
        ("name", NewTopic::new("bad/name", 1, TopicReplication::Fixed(1))),
        ("replication", NewTopic::new("rdkafka-bad", 1, TopicReplication::Fixed(9))),
        ("partitions", NewTopic::new("rdkafka-bad", 0, TopicReplication::Fixed(1))),
        ("config", NewTopic::new("rdkafka-bad", 1, TopicReplication::Fixed(1)).set("retention.ms", "soon")),
    ];
    for (name, topic) in &bad {
        let result = admin.create_topics([topic], &options).await;
        line(&format!("create.refused.{name}"), format!("{result:?}"));
    }
    line("partitions", format!("{:?}", admin.create_partitions([&NewPartitions::new(TOPIC, 4)], &options).await?));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(TOPIC)], &options).await?;
    for resource in described.into_iter().flatten() {
        let entries: BTreeMap<_, _> =
            resource.entries.into_iter().map(|e| (e.name.clone(), format!("{:?} {:?}", e.value, e.source))).collect();
        for (name, entry) in entries {
            line(&format!("config.{name}"), entry);
        }
    }
    line(
        "groups.deleted",
        format!("{:?}", admin.delete_groups(&["rdkafka-range", "rdkafka-no-such"], &options).await?),
    );
    line(
        "topics.deleted",
        format!("{:?}", admin.delete_topics(&["rdkafka-acks-0", "rdkafka-no-such"], &options).await?),
    );
    Ok(())
}

fn transactions() -> Result<(), AnyError> {
    let producer = producer(&[("transactional.id", "rdkafka-transaction"), ("transaction.timeout.ms", "60000")])?;
    producer.init_transactions(Duration::from_secs(20))?;
    producer.begin_transaction()?;
    producer.commit_transaction(Duration::from_secs(20))?;
    Ok(())
}

fn section(name: &str, result: Result<(), AnyError>) {
    match result {
        Ok(()) => line(&format!("section.{name}"), "done"),
        Err(error) => line(&format!("section.{name}"), format!("error: {error}")),
    }
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let admin: AdminClient<DefaultClientContext> = client(&[]).create()?;
    let mut topics = vec![NewTopic::new(TOPIC, 3, TopicReplication::Fixed(DEFAULT_REPLICATION))];
    let names: Vec<String> = ["none", "gzip", "snappy", "lz4"]
        .iter()
        .flat_map(|codec| [format!("rdkafka-{codec}-false"), format!("rdkafka-{codec}-true")])
        .chain(["0", "1", "all"].iter().map(|acks| format!("rdkafka-acks-{acks}")))
        .chain(["rdkafka-shapes".to_owned()])
        .collect();
    topics.extend(names.iter().map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(DEFAULT_REPLICATION))));
    line(
        "topics",
        admin.create_topics(&topics, &AdminOptions::new()).await?.iter().filter(|created| created.is_ok()).count(),
    );
    section("codecs", codecs().await);
    section("acknowledgements", acknowledgements().await);
    section("shapes", shapes().await);
    section("large", large(&admin).await);
    section("positions", positions());
    section("groups", groups());
    section("administration", administration(&admin).await);
    section("transactions", transactions());
    Ok(())
}
