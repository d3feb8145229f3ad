"""confluent-kafka (librdkafka) used as its users use it."""

import sys

from confluent_kafka import (
    OFFSET_BEGINNING, OFFSET_END, Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)

from outcome import BOOTSTRAP, SSL_BOOTSTRAP, SSL_CA, digest, line, of, until

TOPIC = "confluent-topic"
# What librdkafka says of brokers that it cannot reach at the moment.
AWAY = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}
# What a coordinator says that has just begun, or ceased to be one.
MOVED = {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE}


def describe(problem):
    """librdkafka's own name of the error."""
    inner = problem.args[0] if problem.args else None
    return inner.name() if hasattr(inner, "name") else f"{type(problem).__name__} {problem}"


def producer(**more):
    return Producer({"bootstrap.servers": BOOTSTRAP, "message.timeout.ms": 60000, **{k.replace("_", "."): v for k, v in more.items()}})


def consumer(group, **more):
    return Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     **{k.replace("_", "."): v for k, v in more.items()}})


def results(futures):
    return [future.result(30) for future in futures.values()]


def send(client, topic, records):
    """Sends (key, value, headers, partition) and gives what the delivery reports said, in order of sending."""
    reports = {}
    for index, (key, value, headers, partition) in enumerate(records):
        def report(problem, message, index=index):
            reports[index] = problem.name() if problem else f"{message.partition()}@{message.offset()}"
        client.produce(topic, value=value, key=key, headers=headers, partition=partition, timestamp=1_600_000_000_000 + index, on_delivery=report)
        client.poll(0)
    client.flush(60)
    return [reports.get(index) for index in range(len(records))]


def read(topic, count, partitions=1, **more):
    client = consumer("confluent-reader", **more)
    client.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    messages = []

    def step():
        messages.extend(m for m in client.consume(500, 0.2) if m.error() is None)
        return len(messages) >= count
    until(f"{count} messages of {topic}", step)
    client.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def next_message(client):
    """The next message. That a broker is away is told as one, too, and is no end: the client goes on by itself."""
    def step():
        message = client.poll(0.2)
        problem = message.error() if message else None
        if problem:
            print(f"poll: {problem}", file=sys.stderr)
            if problem.code() not in AWAY:
                raise KafkaException(problem)
        return None if problem else message
    return until("a message", step)


def topics(admin):
    results(admin.create_topics([NewTopic(TOPIC, 3, -1), NewTopic("confluent-one", 1, -1), NewTopic("confluent-large", 1, -1, config={"max.message.bytes": "70000000"})]))

    def names():
        return sorted(name for name in admin.list_topics(timeout=10).topics if name.startswith("confluent-"))
    until("three topics", lambda: len(names()) >= 3)
    line("created", names())
    for name, topic in {"again": NewTopic(TOPIC, 3, 1), "name": NewTopic("bad/name", 1, 1), "replication": NewTopic("confluent-bad", 1, 7),
                        "config": NewTopic("confluent-bad", 1, 1, config={"retention.ms": "x"})}.items():
        of(f"create.refused.{name}", lambda topic=topic: results(admin.create_topics([topic])), describe)


def codecs():
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        for idempotent in [False, True]:
            client = producer(compression_type=codec, enable_idempotence=idempotent, linger_ms=20)
            topic = f"confluent-{codec}-{'idempotent' if idempotent else 'plain'}"
            reports = send(client, topic, [(b"k%d" % i, b"value %d " % i * 20, None, 0) for i in range(200)])
            line(f"codec.{topic}", f"{reports[0]} to {reports[-1]} {digest([m.value() for m in read(topic, 200)])}")


def shapes():
    headers = [("same", b"1"), ("same", b"2"), ("null", None), ("empty", b"")]
    reports = send(producer(), "confluent-one", [(None, b"no key", None, 0), (b"no value", None, None, 0), (b"", b"", headers, 0)])
    line("shapes.sent", reports)
    for message in read("confluent-one", 3):
        line(f"shapes.{message.offset()}", f"{(message.key(), message.value(), message.headers(), message.timestamp())} epoch {message.leader_epoch()}")


def large():
    value = bytes(range(256)) * (64 * 4096)
    client = producer(message_max_bytes=70_000_000)
    line("large.sent", send(client, "confluent-large", [(None, value, None, 0), (None, b"small", None, 0)]))
    line("large.read", digest([m.value() for m in read("confluent-large", 2)]))
    line("large.refused", send(client, "confluent-one", [(None, bytes(3_000_000), None, 0), (None, b"next", None, 0)])[0])


def partitioning():
    for partitioner in ["consistent", "murmur2", "fnv1a"]:
        line(f"partitioner.{partitioner}", send(producer(partitioner=partitioner), TOPIC, [(b"key%d" % i, b"v", None, -1) for i in range(20)]))


def acknowledgements():
    for acks in ["0", "1", "all"]:
        client = producer(acks=acks)
        reports = send(client, f"confluent-acks-{acks}", [(None, b"v%d" % i, None, 0) for i in range(50)])
        line(f"acks.{acks}", f"{reports[-1] if acks != '0' else 'sent'} {digest([m.value() for m in read(f'confluent-acks-{acks}', 50)])}")


def positions():
    client = consumer("confluent-positions")
    partition = TopicPartition("confluent-none-plain", 0)
    line("watermarks", client.get_watermark_offsets(partition, timeout=10))
    line("watermarks.unknown", describe_of(lambda: client.get_watermark_offsets(TopicPartition("confluent-no-such", 0), timeout=2)))
    for time in [0, 1_600_000_000_100, 1_700_000_000_000]:
        line(f"times.{time}", client.offsets_for_times([TopicPartition(partition.topic, 0, time)], timeout=10)[0].offset)
    client.assign([TopicPartition(partition.topic, 0, 150)])
    message = next_message(client)
    line("assigned.at", message.offset())
    client.pause([partition])
    client.seek(TopicPartition(partition.topic, 0, 20))
    client.resume([partition])
    line("seek", next_message(client).offset())
    line("committed.none", of_coordinator(lambda: client.committed([partition], timeout=10)[0].offset))
    note = TopicPartition(partition.topic, 0, 21, metadata="note")
    line("commit", of_coordinator(lambda: [p.offset for p in client.commit(offsets=[note], asynchronous=False)]))
    committed = of_coordinator(lambda: client.committed([partition], timeout=10)[0])
    line("committed", (committed.offset, committed.metadata))
    client.close()
    again = consumer("confluent-positions")
    again.assign([partition])
    line("resumed", next_message(again).offset())
    again.close()


def of_coordinator(body):
    """What the group's coordinator answers. librdkafka hands on that it has moved, and asks the new one the next time."""
    def step():
        try:
            return [body()]
        except KafkaException as problem:
            if problem.args[0].code() not in MOVED:
                raise
            return None
    return until("the answer of a coordinator", step)[0]


def describe_of(body):
    try:
        return body()
    except KafkaException as problem:
        return describe(problem)


def groups(strategy, **more):
    members = [consumer(f"confluent-{strategy}", partition_assignment_strategy=strategy, client_id=name, session_timeout_ms=6000, heartbeat_interval_ms=300, **more)
               for name in "ab"]

    def settle(live, sizes):
        def step():
            for member in live:
                member.poll(0.05)
            return sorted(len(member.assignment()) for member in live) == sizes
        until(f"assignments of {sizes}", step)
    members[0].subscribe([TOPIC])
    settle(members[:1], [3])
    members[1].subscribe([TOPIC])
    settle(members, [1, 2])
    members[1].close()
    settle(members[:1], [3])
    line(f"group.{strategy}", sorted(p.partition for p in members[0].assignment()))
    members[0].close()


def read_a_group(topic):
    client = consumer("confluent-auto", enable_auto_commit=True)
    client.subscribe([topic])
    got = []
    until("200 messages", lambda: got.extend(client.consume(100, 0.2)) or len(got) >= 200)
    client.close()
    again = consumer("confluent-auto")
    line("auto-commit", [p.offset for p in again.committed([TopicPartition(topic, 0)], timeout=10)])
    again.close()


def administration(admin):
    of("partitions", lambda: results(admin.create_partitions([NewPartitions(TOPIC, 4)])), describe)
    of("partitions.fewer", lambda: results(admin.create_partitions([NewPartitions(TOPIC, 2)])), describe)
    resource = ConfigResource(ResourceType.TOPIC, TOPIC)

    def altered():
        resource.add_incremental_config(ConfigEntry("retention.ms", "55555", incremental_operation=AlterConfigOpType.SET))
        results(admin.incremental_alter_configs([resource]))
        read_back = ConfigResource(ResourceType.TOPIC, TOPIC)
        return until("the change", lambda: [(e.name, e.value, e.source) for r in results(admin.describe_configs([read_back])) for e in r.values()
                                            if e.name == "retention.ms" and e.value == "55555"])
    of("configs.altered", altered, describe)
    of("configs.names", lambda: sorted(results(admin.describe_configs([ConfigResource(ResourceType.TOPIC, TOPIC)]))[0]), describe)
    partition = TopicPartition("confluent-none-plain", 0)
    for name, spec in {"earliest": OffsetSpec.earliest(), "latest": OffsetSpec.latest(), "max": OffsetSpec.max_timestamp(),
                       "time": OffsetSpec.for_timestamp(1_600_000_000_010)}.items():
        of(f"offsets.{name}", lambda spec=spec: [(r.offset, r.timestamp) for r in results(admin.list_offsets({partition: spec}))], describe)
    of("records.deleted", lambda: [r.low_watermark for r in results(admin.delete_records([TopicPartition("confluent-none-plain", 0, 77)]))], describe)
    of("cluster", lambda: (lambda c: f"id of {len(c.cluster_id)}, {[n.id for n in c.nodes]}, controller {c.controller.id}")(admin.describe_cluster().result(30)), describe)
    of("groups.listed", lambda: sorted((g.group_id, g.state.name, g.is_simple_consumer_group) for g in admin.list_consumer_groups().result(30).valid
                                       if g.group_id.startswith("confluent-")), describe)
    of("groups.described", lambda: [(g.group_id, g.state.name, g.partition_assignor, len(g.members)) for g in
                                    results(admin.describe_consumer_groups(["confluent-positions"]))], describe)
    of("groups.offsets", lambda: [[(p.topic, p.partition, p.offset) for p in r.topic_partitions] for r in results(
        admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("confluent-positions")]))], describe)
    of("groups.altered", lambda: [[(p.partition, p.offset) for p in r.topic_partitions] for r in results(admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions("confluent-positions", [TopicPartition("confluent-none-plain", 0, 5)])]))], describe)
    of("groups.deleted", lambda: results(admin.delete_consumer_groups(["confluent-positions"])), describe)
    of("groups.deleted-again", lambda: results(admin.delete_consumer_groups(["confluent-positions"])), describe)
    of("topics.deleted", lambda: results(admin.delete_topics(["confluent-acks-0"])), describe)
    of("topics.deleted-unknown", lambda: results(admin.delete_topics(["confluent-no-such"])), describe)


def transactions():
    client = producer(transactional_id="confluent-transaction")

    def run():
        client.init_transactions(20)
        client.begin_transaction()
        client.produce("confluent-one", b"transactional")
        client.commit_transaction(20)
        return "committed"
    of("transactions", run, describe)


def tls():
    client = producer(bootstrap_servers=SSL_BOOTSTRAP, security_protocol="SSL", ssl_ca_location=SSL_CA)
    line("tls.sent", send(client, "confluent-tls", [(None, bytes(10_000), None, 0)] * 100)[-1])
    line("tls.read", digest([m.value() for m in read("confluent-tls", 100, bootstrap_servers=SSL_BOOTSTRAP, security_protocol="SSL", ssl_ca_location=SSL_CA)]))


def main():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    steps = {
        "topics": lambda: topics(admin), "codecs": codecs, "shapes": shapes, "large": large, "partitioning": partitioning, "acknowledgements": acknowledgements,
        "positions": positions, "range": lambda: groups("range"), "cooperative": lambda: groups("cooperative-sticky"), "roundrobin": lambda: groups("roundrobin"),
        "auto": lambda: read_a_group("confluent-gzip-plain"), "administration": lambda: administration(admin), "transactions": transactions, "tls": tls,
    }
    for name, step in steps.items():
        of(f"section.{name}", lambda step=step: step() or "done", describe)
    line("beginning-and-end", (OFFSET_BEGINNING, OFFSET_END))


main()
