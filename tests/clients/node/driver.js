// kafkajs used as its users use it: `case = outcome` lines, free of ports, times and random ids.
"use strict";

const fs = require("node:fs");
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, PartitionAssigners, logLevel } = require("kafkajs");
const snappy = require("kafkajs-snappy");

CompressionCodecs[CompressionTypes.Snappy] = snappy;

const TOPIC = "kafkajs-topic";
const PATIENCE_MS = 60_000;
// Leaving waits for the fetch in flight.
const PROMPT = { maxWaitTimeInMs: 300 };
const log = () => ({ namespace, log: entry }) => console.error(namespace, entry.message, entry.error || "");
const kafka = new Kafka({ clientId: "kafkajs", brokers: process.env.BOOTSTRAP.split(","), logLevel: logLevel.WARN, logCreator: log });

const plain = (text) => String(text).replace(/(127\.0\.0\.1|localhost):[0-9]+/g, "HOST:PORT").replaceAll("\n", "\\n");
const line = (name, outcome) => console.log(`${name} = ${plain(typeof outcome === "string" ? outcome : JSON.stringify(outcome))}`);

async function of(name, body) {
  const started = Date.now();
  try {
    const outcome = await body();
    line(name, outcome === undefined ? "done" : outcome);
  } catch (error) {
    const inner = error.errors ? error.errors.map((each) => `${each.type || ""} ${each.message}`).join("; ") : `${error.type || ""} ${error.message}`;
    console.error(error);
    line(name, `${error.name} ${inner}`);
  }
  console.error(`${name} took ${Date.now() - started} ms`);
}

async function until(what, condition) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// A digest that every version of Node can make.
function digest(values) {
  let sum = 0;
  for (const value of values) for (const byte of value || Buffer.from("null")) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return `${values.length} values ${sum.toString(16)}`;
}

async function withProducer(options, body, client = kafka) {
  const producer = client.producer(options);
  await producer.connect();
  try {
    return await body(producer);
  } finally {
    await producer.disconnect();
  }
}

// Reads with a group of its own, as kafkajs has no other way.
async function read(topic, count, client = kafka) {
  const consumer = client.consumer({ groupId: `kafkajs-read-${topic}`, ...PROMPT });
  const messages = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({ eachMessage: async ({ partition, message }) => { messages.push({ partition, ...message }); } });
  await until(`${count} messages of ${topic}`, () => messages.length >= count);
  await consumer.disconnect();
  return messages.sort((a, b) => a.partition - b.partition || Number(a.offset) - Number(b.offset));
}

const numbered = (count) => Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: `value ${index} `.repeat(10), timestamp: String(1600000000000 + index), partition: 0 }));

async function codecs() {
  for (const [name, compression] of [["none", CompressionTypes.None], ["gzip", CompressionTypes.GZIP], ["snappy", CompressionTypes.Snappy]]) {
    const topic = `kafkajs-${name}`;
    const sent = await withProducer({}, (producer) => producer.send({ topic, compression, messages: numbered(200) }));
    line(`codec.${name}`, `${sent[0].baseOffset} ${digest((await read(topic, 200)).map((message) => message.value))}`);
  }
}

async function acknowledgements() {
  for (const acks of [0, 1, -1]) {
    const topic = `kafkajs-acks${acks}`;
    await withProducer({}, (producer) => producer.send({ topic, acks, messages: numbered(50) }));
    line(`acks.${acks}`, digest((await read(topic, 50)).map((message) => message.value)));
  }
  await withProducer({ idempotent: true }, async (producer) => {
    for (let index = 0; index < 3; index++) {
      const sent = await producer.send({ topic: "kafkajs-idempotent", messages: numbered(10) });
      line(`idempotent.${index}`, sent[0].baseOffset);
    }
  });
}

async function shapes() {
  await withProducer({}, (producer) => producer.send({ topic: "kafkajs-shapes", messages: [
    { value: "no key", timestamp: "1000" }, { key: "no value", value: null, timestamp: "2000" },
    { key: "k", value: "v", headers: { one: "1", many: ["2", "3"] }, timestamp: "3000" }] }));
  for (const message of await read("kafkajs-shapes", 3)) {
    const headers = Object.entries(message.headers).map(([key, value]) => `${key}:${[value].flat().map(String)}`);
    line(`shapes.${message.offset}`, `${message.key} ${message.value} ${message.timestamp} ${headers}`);
  }
}

async function large(admin) {
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic: "kafkajs-large", numPartitions: 1, configEntries: [{ name: "max.message.bytes", value: "70000000" }] }] });
  const value = Buffer.alloc(32 << 20, "0123456789abcdef");
  await withProducer({}, (producer) => producer.send({ topic: "kafkajs-large", messages: [{ value }] }));
  line("large", (await read("kafkajs-large", 1))[0].value.equals(value));
  await of("large.refused", () => withProducer({ retry: { retries: 0 } }, (producer) => producer.send({ topic: "kafkajs-shapes", messages: [{ value: Buffer.alloc(3_000_000) }] })));
}

async function partitioning() {
  const sent = await withProducer({}, (producer) => producer.send({ topic: TOPIC, messages: numbered(30).map(({ partition, ...message }) => message) }));
  line("keyed", sent.map((each) => [each.partition, each.baseOffset]).sort());
}

async function groups() {
  const members = [];
  const join = async (clientId) => {
    const client = new Kafka({ clientId, brokers: process.env.BOOTSTRAP.split(","), logLevel: logLevel.WARN, logCreator: log });
    const consumer = client.consumer({ groupId: "kafkajs-group", ...PROMPT, heartbeatInterval: 300, sessionTimeout: 6000, partitionAssigners: [PartitionAssigners.roundRobin] });
    const member = { consumer, held: [] };
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { member.held = payload.memberAssignment[TOPIC] || []; });
    await consumer.connect();
    await consumer.subscribe({ topics: [TOPIC], fromBeginning: true });
    await consumer.run({ eachMessage: async () => {} });
    members.push(member);
    return member;
  };
  const sizes = () => members.map((member) => member.held.length).sort().join();
  const first = await join("a");
  await until("the first assignment", () => sizes() === "4");
  const second = await join("b");
  await until("two assignments", () => sizes() === "2,2");
  line("group.two", "2,2");
  await second.consumer.disconnect();
  members.pop();
  await until("the last assignment", () => sizes() === "4");
  line("group.one", first.held.sort());
  await first.consumer.disconnect();
}

async function commits() {
  const settings = { groupId: "kafkajs-commits", ...PROMPT };
  const consumer = kafka.consumer(settings);
  await consumer.connect();
  await consumer.subscribe({ topics: ["kafkajs-none"], fromBeginning: true });
  let seen = 0;
  await consumer.run({ autoCommit: false, eachMessage: async () => { seen += 1; } });
  await until("200 messages", () => seen >= 200);
  await consumer.commitOffsets([{ topic: "kafkajs-none", partition: 0, offset: "120", metadata: "note" }]);
  await consumer.disconnect();
  const again = kafka.consumer(settings);
  const offsets = [];
  await again.connect();
  await again.subscribe({ topics: ["kafkajs-none"] });
  await again.run({ autoCommit: false, eachMessage: async ({ message }) => { offsets.push(message.offset); } });
  await until("the rest", () => offsets.length >= 80);
  line("commits.resumed", [offsets[0], offsets.length]);
  again.seek({ topic: "kafkajs-none", partition: 0, offset: "199" });
  await until("the last once more", () => offsets.length >= 81);
  line("commits.sought", offsets.at(-1));
  await again.disconnect();
}

async function administration(admin) {
  await of("topics.again", () => admin.createTopics({ topics: [{ topic: TOPIC }] }));
  await of("topics.bad-name", () => admin.createTopics({ topics: [{ topic: "bad/name" }] }));
  await of("topics.replication", () => admin.createTopics({ topics: [{ topic: "kafkajs-bad", replicationFactor: 5 }] }));
  await of("topics.listed", async () => (await admin.listTopics()).filter((name) => name.startsWith("kafkajs-t")).sort());
  // Who leads, and who is in sync, is as it happens to be.
  const told = ({ partitionId, leader, replicas, isr }) => [partitionId, replicas.sort(), isr.includes(leader) && isr.every((id) => replicas.includes(id))];
  await of("topics.metadata", async () => (await admin.fetchTopicMetadata({ topics: [TOPIC] })).topics[0].partitions.map(told).sort());
  await of("partitions", () => admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count: 6 }] }));
  await of("offsets", () => admin.fetchTopicOffsets("kafkajs-none"));
  await of("offsets.by-time", () => admin.fetchTopicOffsetsByTimestamp("kafkajs-none", 1600000000100));
  await of("group.offsets", () => admin.fetchOffsets({ groupId: "kafkajs-commits", topics: ["kafkajs-none"] }));
  await of("group.set", () => admin.setOffsets({ groupId: "kafkajs-commits", topic: "kafkajs-none", partitions: [{ partition: 0, offset: "7" }] }));
  await of("group.set.read", () => admin.fetchOffsets({ groupId: "kafkajs-commits", topics: ["kafkajs-none"] }));
  await of("group.reset", () => admin.resetOffsets({ groupId: "kafkajs-commits", topic: "kafkajs-none", earliest: true }));
  await of("group.described", async () => (await admin.describeGroups(["kafkajs-commits"])).groups.map((each) => [each.groupId, each.state, each.protocolType, each.members.length]));
  await of("group.listed", async () => (await admin.listGroups()).groups.filter((each) => each.groupId === "kafkajs-commits"));
  await of("configs", async () => {
    const described = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: TOPIC, configNames: ["retention.ms", "cleanup.policy"] }] });
    return described.resources[0].configEntries.map((each) => [each.configName, each.configValue, each.isDefault]);
  });
  await of("configs.altered", () => admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: TOPIC, configEntries: [{ name: "retention.ms", value: "33333" }] }] }));
  await of("cluster", async () => {
    const cluster = await admin.describeCluster();
    return `${cluster.brokers.length} brokers, controller ${cluster.controller}, id of ${cluster.clusterId.length}`;
  });
  await of("records.deleted", () => admin.deleteTopicRecords({ topic: "kafkajs-none", partitions: [{ partition: 0, offset: "50" }] }));
  await of("group.deleted", () => admin.deleteGroups(["kafkajs-commits"]));
  await of("group.deleted-again", () => admin.deleteGroups(["kafkajs-commits"]));
  await of("topics.deleted", () => admin.deleteTopics({ topics: ["kafkajs-shapes"] }));
  await of("topics.deleted-unknown", () => admin.deleteTopics({ topics: ["kafkajs-no-such-topic"] }));
}

async function tls() {
  const secure = new Kafka({ clientId: "kafkajs", brokers: process.env.SSL_BOOTSTRAP.split(","), ssl: { ca: [fs.readFileSync(process.env.SSL_CA, "utf-8")] }, logLevel: logLevel.WARN, logCreator: log });
  await withProducer({}, (producer) => producer.send({ topic: "kafkajs-tls", messages: numbered(100) }), secure);
  line("tls", digest((await read("kafkajs-tls", 100, secure)).map((message) => message.value)));
}

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  const single = ["none", "gzip", "snappy", "acks0", "acks1", "acks-1", "idempotent", "shapes", "tls"];
  await of("topics", () => admin.createTopics({ waitForLeaders: true, topics: [{ topic: TOPIC, numPartitions: 4 }, ...single.map((name) => ({ topic: `kafkajs-${name}`, numPartitions: 1 }))] }));
  await of("section.codecs", codecs);
  await of("section.acknowledgements", acknowledgements);
  await of("section.shapes", shapes);
  await of("section.large", () => large(admin));
  await of("section.partitioning", partitioning);
  await of("section.groups", groups);
  await of("section.commits", commits);
  await of("section.administration", () => administration(admin));
  await of("section.tls", tls);
  await admin.disconnect();
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
