"""aiokafka used as its users use it."""

import asyncio
import ssl
import sys
import traceback

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.structs import OffsetAndMetadata

from outcome import BOOTSTRAP, PATIENCE_S, SSL_BOOTSTRAP, SSL_CA, digest, error, line

TOPIC = "aiokafka-topic"


async def of(case, body):
    try:
        line(case, await body)
    except Exception as problem:  # every error is an outcome
        traceback.print_exc()
        line(case, error(problem))


async def producer(**more):
    client = AIOKafkaProducer(**{"bootstrap_servers": BOOTSTRAP, **more})
    await client.start()
    return client


async def consumer(*topics, **more):
    client = AIOKafkaConsumer(*topics, **{"bootstrap_servers": BOOTSTRAP, "auto_offset_reset": "earliest", "enable_auto_commit": False, **more})
    await client.start()
    return client


async def read(topic, count, **more):
    client = await consumer(**more)
    client.assign([TopicPartition(topic, 0)])
    records = []
    async with asyncio.timeout(PATIENCE_S):
        while len(records) < count:
            for batch in (await client.getmany(timeout_ms=200)).values():
                records.extend(batch)
    await client.stop()
    return sorted(records, key=lambda record: record.offset)


async def codecs():
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        for idempotent in [False, True]:
            topic = f"aiokafka-{codec}-{idempotent}"
            client = await producer(compression_type=codec, enable_idempotence=idempotent, linger_ms=20)
            futures = [await client.send(topic, key=b"k%d" % i, value=b"value %d " % i * 20, timestamp_ms=1_600_000_000_000 + i) for i in range(200)]
            last = (await asyncio.gather(*futures))[-1]
            await client.stop()
            line(f"codec.{codec}.{idempotent}", f"last offset {last.offset} {digest([r.value for r in await read(topic, 200)])}")


async def shapes():
    client = await producer()
    await client.send_and_wait("aiokafka-shapes", value=b"no key", timestamp_ms=1000)
    await client.send_and_wait("aiokafka-shapes", key=b"no value", timestamp_ms=2000)
    await client.send_and_wait("aiokafka-shapes", key=b"k", value=b"v", headers=[("same", b"1"), ("same", b"2"), ("null", None)], timestamp_ms=3000)
    await client.stop()
    for record in await read("aiokafka-shapes", 3):
        line(f"shapes.{record.offset}", (record.key, record.value, record.headers, record.timestamp, record.timestamp_type))


async def acknowledgements():
    for acks in [0, 1, "all"]:
        client = await producer(acks=acks)
        for index in range(50):
            await client.send_and_wait(f"aiokafka-acks-{acks}", value=b"v%d" % index)
        await client.stop()
        line(f"acks.{acks}", digest([r.value for r in await read(f"aiokafka-acks-{acks}", 50)]))


async def large(admin):
    await admin.create_topics([NewTopic("aiokafka-large", 1, REPLICATION, topic_configs={"max.message.bytes": "70000000"})])
    client = await producer(max_request_size=70_000_000)
    value = bytes(range(256)) * (64 * 4096)
    line("large.sent", (await client.send_and_wait("aiokafka-large", value=value)).offset)
    line("large.read", digest([r.value for r in await read("aiokafka-large", 1, max_partition_fetch_bytes=70_000_000)]))
    await of("large.refused", client.send_and_wait("aiokafka-shapes", value=bytes(3_000_000)))
    await client.stop()


async def partitioning():
    client = await producer()
    line("keyed", [(await client.send_and_wait(TOPIC, key=b"key%d" % i, value=b"v")).partition for i in range(20)])
    await client.stop()


async def positions():
    partition = TopicPartition("aiokafka-None-False", 0)
    client = await consumer(group_id="aiokafka-positions")
    client.assign([partition])
    line("beginning", (await client.beginning_offsets([partition]))[partition])
    line("end", (await client.end_offsets([partition]))[partition])
    for time in [0, 1_600_000_000_100, 1_700_000_000_000]:
        found = (await client.offsets_for_times({partition: time}))[partition]
        line(f"times.{time}", found and (found.offset, found.timestamp))
    client.seek(partition, 150)
    line("seek", (await client.getone()).offset)
    await client.commit({partition: OffsetAndMetadata(42, "note")})
    line("committed", await client.committed(partition))
    await client.stop()
    again = await consumer(group_id="aiokafka-positions")
    again.assign([partition])
    line("resumed", (await again.getone()).offset)
    await again.stop()


async def groups():
    settings = {"group_id": "aiokafka-group", "session_timeout_ms": 6000, "heartbeat_interval_ms": 300, "metadata_max_age_ms": 1000}

    async def settle(live, sizes):
        async with asyncio.timeout(PATIENCE_S):
            while sorted(len(member.assignment()) for member in live) != sizes:
                for member in live:
                    await member.getmany(timeout_ms=30)
    first = await consumer(TOPIC, client_id="a", **settings)
    await settle([first], [3])
    second = await consumer(TOPIC, client_id="b", **settings)
    await settle([first, second], [1, 2])
    await second.stop()
    await settle([first], [3])
    line("group", sorted(p.partition for p in first.assignment()))
    await first.stop()


def codes(response):
    """Topic or group with its error code, of an answer whose layout differs from version to version."""
    return [entry[:2] for entry in response.topic_errors]


async def administration(admin):
    await of("topics.again", call(lambda: admin.create_topics([NewTopic(TOPIC, 1, 1)]), codes))
    await of("topics.bad-name", call(lambda: admin.create_topics([NewTopic("bad/name", 1, 1)]), codes))
    await of("topics.replication", call(lambda: admin.create_topics([NewTopic("aiokafka-bad", 1, 5)]), codes))
    await of("topics.partitions", call(lambda: admin.create_partitions({TOPIC: NewPartitions(4)}), codes))
    await of("topics.listed", call(admin.list_topics, lambda names: sorted(name for name in names if name.startswith("aiokafka-t"))))
    await of("groups.listed", call(admin.list_consumer_groups, lambda found: sorted(g[0] for g in found if g[0].startswith("aiokafka-"))))
    await of("groups.offsets", call(lambda: admin.list_consumer_group_offsets("aiokafka-positions"), lambda found: sorted((p.topic, p.partition, o.offset) for p, o in found.items())))
    await of("topics.deleted", call(lambda: admin.delete_topics(["aiokafka-acks-0"]), lambda r: r.topic_error_codes))


async def call(body, plain):
    return plain(await body())


async def tls():
    context = ssl.create_default_context(cafile=SSL_CA)
    secure = {"bootstrap_servers": SSL_BOOTSTRAP, "security_protocol": "SSL", "ssl_context": context}
    client = await producer(**secure)
    for _ in range(20):
        last = await client.send_and_wait("aiokafka-tls", value=bytes(10_000))
    line("tls.sent", last.offset)
    await client.stop()
    line("tls.read", digest([r.value for r in await read("aiokafka-tls", 20, **secure)]))


# As many as there are brokers: this client takes no -1 for "as the broker says".
REPLICATION = len(BOOTSTRAP.split(","))


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    single = [f"aiokafka-{codec}-{idempotent}" for codec in ["None", "gzip", "snappy", "lz4", "zstd"] for idempotent in [False, True]]
    single += ["aiokafka-shapes", "aiokafka-tls", "aiokafka-acks-0", "aiokafka-acks-1", "aiokafka-acks-all"]
    await admin.create_topics([NewTopic(TOPIC, 3, REPLICATION)] + [NewTopic(name, 1, REPLICATION) for name in single])
    for name, step in {"codecs": codecs, "shapes": shapes, "acknowledgements": acknowledgements, "large": lambda: large(admin), "partitioning": partitioning,
                       "positions": positions, "groups": groups, "administration": lambda: administration(admin), "tls": tls}.items():
        print(f"section {name}", file=sys.stderr)
        await of(f"section.{name}", call(step, lambda result: result or "done"))
    await admin.close()


asyncio.run(main())
