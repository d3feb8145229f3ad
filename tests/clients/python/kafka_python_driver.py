"""kafka-python used as its users use it."""

import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaConnectionError
from kafka.structs import OffsetAndMetadata

from outcome import BOOTSTRAP, SSL_BOOTSTRAP, SSL_CA, digest, line, of, until

TOPIC = "kafka-python-topic"


def producer(**more):
    return KafkaProducer(**{"bootstrap_servers": BOOTSTRAP, **more})


def consumer(*topics, **more):
    return KafkaConsumer(*topics, **{"bootstrap_servers": BOOTSTRAP, "auto_offset_reset": "earliest", "enable_auto_commit": False, **more})


def again(body):
    """Asks once more where a broker was restarted at the moment, as this client's metadata leaves to its users."""
    def step():
        try:
            return body()
        except KafkaConnectionError as problem:
            print(f"again: {problem}", file=sys.stderr)
            return None
    return until("an answer", step)


def read(topic, count, **more):
    client = consumer(**more)
    partitions = [TopicPartition(topic, partition) for partition in sorted(again(lambda: client.partitions_for_topic(topic)))]
    client.assign(partitions)
    client.seek_to_beginning(*partitions)
    records = []

    def step():
        for batch in client.poll(200).values():
            records.extend(batch)
        return len(records) >= count
    until(f"{count} records of {topic}", step)
    client.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def codecs():
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        client = producer(compression_type=codec, linger_ms=20)
        topic = f"kafka-python-{codec}"
        futures = [client.send(topic, key=b"k%d" % i, value=b"value %d " % i * 20, timestamp_ms=1_600_000_000_000 + i) for i in range(200)]
        client.flush()
        line(f"codec.{codec}", f"last offset {futures[-1].get(30).offset} {digest([r.value for r in read(topic, 200)])}")
        client.close()


def acknowledgements():
    for acks, idempotent in [(0, False), (1, False), ("all", False), ("all", True)]:
        client = producer(acks=acks, enable_idempotence=idempotent)
        topic = f"kafka-python-acks-{acks}-{idempotent}"
        futures = [client.send(topic, value=b"v%d" % i) for i in range(50)]
        client.flush()
        last = futures[-1].get(30)
        line(f"acks.{acks}.{idempotent}", f"offset {last.offset if acks else None} {digest([r.value for r in read(topic, 50)])}")
        client.close()


def shapes():
    client = producer()
    client.send("kafka-python-shapes", value=b"no key", timestamp_ms=1000).get(30)
    client.send("kafka-python-shapes", key=b"no value", timestamp_ms=2000).get(30)
    client.send("kafka-python-shapes", key=b"k", value=b"v", headers=[("same", b"1"), ("same", b"2"), ("empty", b"")], timestamp_ms=3000).get(30)
    client.close()
    for record in read("kafka-python-shapes", 3):
        line(f"shapes.{record.offset}", (record.key, record.value, record.headers, record.timestamp, record.timestamp_type))


def large(admin):
    admin.create_topics([NewTopic(name="kafka-python-large", num_partitions=1, replication_factor=-1, topic_configs={"max.message.bytes": "70000000"})])
    value = bytes(range(256)) * (16 * 4096)
    client = producer(max_request_size=70_000_000)
    line("large.sent", client.send("kafka-python-large", value=value).get(60).offset)
    line("large.read", digest([r.value for r in read("kafka-python-large", 1, max_partition_fetch_bytes=70_000_000)]))
    of("large.refused", lambda: client.send("kafka-python-shapes", value=bytes(3_000_000)).get(30).offset)
    client.close()


def partitioning():
    client = producer()
    line("keyed", [client.send(TOPIC, key=b"key%d" % i, value=b"v").get(30).partition for i in range(20)])
    client.close()


def positions():
    partition = TopicPartition("kafka-python-None", 0)
    client = consumer(group_id="kafka-python-positions")
    line("beginning", client.beginning_offsets([partition])[partition])
    line("end", client.end_offsets([partition])[partition])
    for time in [0, 1_600_000_000_100, 1_700_000_000_000]:
        found = client.offsets_for_times({partition: time})[partition]
        line(f"times.{time}", found and (found.offset, found.timestamp))
    client.assign([partition])
    client.seek(partition, 150)
    line("seek", until("a record", lambda: client.poll(200, max_records=1))[partition][0].offset)
    client.commit({partition: OffsetAndMetadata(42, "note", -1)})
    line("committed", client.committed(partition))
    client.close()
    again = consumer(group_id="kafka-python-positions")
    again.assign([partition])
    line("resumed", until("a record", lambda: again.poll(200, max_records=1))[partition][0].offset)
    again.close()


def groups():
    members = [consumer(group_id="kafka-python-group", client_id=name, session_timeout_ms=6000, heartbeat_interval_ms=300) for name in "ab"]

    def settle(live, sizes):
        def step():
            for member in live:
                member.poll(300)
            return sorted(len(member.assignment()) for member in live) == sizes
        until(f"assignments of {sizes}", step)
    members[0].subscribe([TOPIC])
    settle(members[:1], [3])
    members[1].subscribe([TOPIC])
    settle(members, [1, 2])
    line("group.two", [sorted(p.partition for p in member.assignment()) for member in members])
    members[1].close()
    settle(members[:1], [3])
    members[0].close()
    line("group", "settled")


def result(body):
    return str(body)[:200]


def administration(admin):
    of("topics.again", lambda: admin.create_topics([NewTopic(name=TOPIC, num_partitions=1, replication_factor=1)]))
    of("topics.bad-name", lambda: admin.create_topics([NewTopic(name="bad/name", num_partitions=1, replication_factor=1)]))
    of("topics.replication", lambda: admin.create_topics([NewTopic(name="kafka-python-bad", num_partitions=1, replication_factor=5)]))
    of("topics.described", lambda: [(t.get("name"), len(t["partitions"])) for t in admin.describe_topics([TOPIC])])
    of("topics.listed", lambda: sorted(name for name in admin.list_topics() if name.startswith("kafka-python-t")))
    of("groups.offsets", lambda: result(admin.list_group_offsets("kafka-python-positions")))
    of("groups.deleted", lambda: result(admin.delete_groups(["kafka-python-positions"])))
    of("topics.deleted", lambda: bool(admin.delete_topics(["kafka-python-shapes"])))
    of("topics.deleted-unknown", lambda: bool(admin.delete_topics(["kafka-python-no-such"])))


def tls():
    secure = {"bootstrap_servers": SSL_BOOTSTRAP, "security_protocol": "SSL", "ssl_cafile": SSL_CA}
    client = producer(**secure)
    futures = [client.send("kafka-python-tls", value=bytes(10_000)) for _ in range(50)]
    client.flush()
    line("tls.sent", futures[-1].get(30).offset)
    client.close()
    line("tls.read", digest([r.value for r in read("kafka-python-tls", 50, **secure)]))


def main():
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    admin.create_topics([NewTopic(name=TOPIC, num_partitions=3, replication_factor=-1)])
    for name in ["None", "gzip", "snappy", "lz4", "zstd", "acks-0-False", "acks-1-False", "acks-all-False", "acks-all-True", "shapes", "tls"]:
        admin.create_topics([NewTopic(name=f"kafka-python-{name}", num_partitions=1, replication_factor=-1)])
    for name, step in {"codecs": codecs, "acknowledgements": acknowledgements, "shapes": shapes, "large": lambda: large(admin), "partitioning": partitioning,
                       "positions": positions, "groups": groups, "administration": lambda: administration(admin), "tls": tls}.items():
        of(f"section.{name}", lambda step=step: step() or "done")
    admin.close()


main()
