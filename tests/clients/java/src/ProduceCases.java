import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;

/** Producing: acknowledgements, codecs, record shapes, sizes, partitioners, refusals. */
final class ProduceCases {
    private static final int LARGE = 64 * 1024 * 1024;

    private ProduceCases() {
    }

    static void run() throws Exception {
        try (Admin admin = Brokers.admin()) {
            Outcome.section("produce.acks", () -> acks(admin));
            Outcome.section("produce.codecs", () -> codecs(admin));
            Outcome.section("produce.shapes", () -> shapes(admin));
            Outcome.section("produce.large", () -> large(admin));
            Outcome.section("produce.partitions", () -> partitions(admin));
            Outcome.section("produce.times", () -> times(admin));
            Outcome.section("produce.refusals", () -> refusals(admin));
            Outcome.section("produce.auto-creation", ProduceCases::autoCreation);
            Outcome.section("produce.transactions", () -> transactions(admin));
            Outcome.section("produce.tls", () -> tls(admin));
        }
    }

    private static void acks(Admin admin) throws Exception {
        for (String acks : List.of("0", "1", "all")) {
            for (String idempotent : acks.equals("all") ? List.of("false", "true") : List.of("false")) {
                String topic = "java-acks-" + acks + "-" + idempotent;
                Brokers.create(admin, topic, 1);
                try (var producer = Brokers.producer("acks", acks, "enable.idempotence", idempotent)) {
                    RecordMetadata last = null;
                    for (int index = 0; index < 50; index++) {
                        last = producer.send(new ProducerRecord<>(topic, Brokers.bytes("k" + index), Brokers.bytes("v" + index))).get();
                    }
                    Outcome.line(topic + ".last", "offset " + last.offset() + " partition " + last.partition()
                        + " sizes " + last.serializedKeySize() + " " + last.serializedValueSize());
                }
                var records = Brokers.read(topic, 50);
                Outcome.line(topic + ".read", values(records));
            }
        }
    }

    private static String values(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(r -> r.offset() + ":" + Brokers.text(r.value())).collect(Collectors.joining(" "));
    }

    private static void codecs(Admin admin) throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            // The producer's codec to a topic that takes any; and a topic that asks for its own codec.
            for (String wanted : List.of("producer", codec.equals("none") ? "uncompressed" : codec)) {
                String topic = "java-codec-" + codec + "-" + wanted;
                Brokers.create(admin, topic, 1, "compression.type", wanted);
                String sent = wanted.equals("producer") ? codec : "gzip";
                try (var producer = Brokers.producer("compression.type", sent, "linger.ms", "20", "batch.size", "65536")) {
                    for (int index = 0; index < 300; index++) {
                        producer.send(new ProducerRecord<>(topic, Brokers.bytes("key-" + index), Brokers.bytes("value-" + "x".repeat(index))));
                    }
                    producer.flush();
                }
                var records = Brokers.read(topic, 300);
                int hash = Arrays.hashCode(records.stream().map(r -> r.offset() + Brokers.text(r.key()) + Brokers.text(r.value())).toArray());
                Outcome.line(topic, records.size() + " records " + Integer.toHexString(hash));
            }
        }
    }

    private static void shapes(Admin admin) throws Exception {
        String topic = "java-shapes";
        Brokers.create(admin, topic, 1);
        try (var producer = Brokers.producer()) {
            List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
            records.add(new ProducerRecord<>(topic, 0, 1000L, null, Brokers.bytes("null key")));
            records.add(new ProducerRecord<>(topic, 0, 2000L, Brokers.bytes("null value"), (byte[]) null));
            records.add(new ProducerRecord<>(topic, 0, 3000L, (byte[]) null, (byte[]) null));
            records.add(new ProducerRecord<>(topic, 0, 0L, new byte[0], new byte[0]));
            var headed = new ProducerRecord<>(topic, 0, 4000L, Brokers.bytes("headers"), Brokers.bytes("v"));
            headed.headers().add("same", Brokers.bytes("first")).add("same", Brokers.bytes("second")).add("null", null)
                .add("empty", new byte[0]).add("", Brokers.bytes("no name")).add("ключ", Brokers.bytes("значение"));
            records.add(headed);
            for (var record : records) {
                producer.send(record).get();
            }
        }
        for (var record : Brokers.read(topic, 5)) {
            List<String> headers = new ArrayList<>();
            for (Header header : record.headers()) {
                headers.add(header.key() + ":" + Brokers.text(header.value()));
            }
            Outcome.line("java-shapes." + record.offset(), Brokers.text(record.key()) + " -> " + Brokers.text(record.value()) + " at "
                + record.timestamp() + " " + record.timestampType() + " headers " + headers + " epoch " + record.leaderEpoch()
                + " sizes " + record.serializedKeySize() + " " + record.serializedValueSize());
        }
    }

    private static void large(Admin admin) throws Exception {
        String topic = "java-large";
        Brokers.create(admin, topic, 1, "max.message.bytes", "70000000");
        byte[] value = new byte[LARGE];
        for (int index = 0; index < value.length; index++) {
            value[index] = (byte) (index * 31 ^ index >>> 11);
        }
        try (var producer = Brokers.producer("max.request.size", "70000000", "buffer.memory", "80000000")) {
            Outcome.line("java-large.sent", "offset " + producer.send(new ProducerRecord<>(topic, value)).get().offset());
            Outcome.line("java-large.after", "offset " + producer.send(new ProducerRecord<>(topic, Brokers.bytes("small"))).get().offset());
        }
        var records = Brokers.read(topic, 2);
        Outcome.line("java-large.read", Outcome.digest(records.get(0).value()) + " equal " + Arrays.equals(value, records.get(0).value())
            + ", then " + Brokers.text(records.get(1).value()));
    }

    private static void partitions(Admin admin) throws Exception {
        String keyed = "java-keyed";
        Brokers.create(admin, keyed, 6);
        List<String> places = new ArrayList<>();
        try (var producer = Brokers.producer()) {
            for (int index = 0; index < 40; index++) {
                var metadata = producer.send(new ProducerRecord<>(keyed, Brokers.bytes("key" + index), Brokers.bytes("v"))).get();
                places.add(metadata.partition() + "@" + metadata.offset());
            }
        }
        Outcome.line("java-keyed.places", places);
        String keyless = "java-keyless";
        Brokers.create(admin, keyless, 6);
        try (var producer = Brokers.producer("partitioner.class", "org.apache.kafka.clients.producer.RoundRobinPartitioner")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int index = 0; index < 60; index++) {
                sent.add(producer.send(new ProducerRecord<>(keyless, Brokers.bytes("v" + index))));
            }
            for (var one : sent) {
                one.get();
            }
        }
        var records = Brokers.read(keyless, 60);
        Outcome.line("java-keyless.read", records.size() + " records, " + records.stream().map(r -> Brokers.text(r.value())).distinct().count()
            + " values, " + records.stream().map(ConsumerRecord::partition).distinct().count() + " partitions");
        try (var producer = Brokers.producer("max.block.ms", "3000")) {
            Outcome.of("java-keyed.no-such-partition", () -> producer.send(new ProducerRecord<>(keyed, 17, null, Brokers.bytes("v"))).get());
        }
    }

    private static void times(Admin admin) throws Exception {
        String topic = "java-append-time";
        Brokers.create(admin, topic, 1, "message.timestamp.type", "LogAppendTime");
        long before = System.currentTimeMillis();
        try (var producer = Brokers.producer("compression.type", "lz4")) {
            var metadata = producer.send(new ProducerRecord<>(topic, 0, 1000L, null, Brokers.bytes("v"))).get();
            Outcome.line("java-append-time.sent", "has time " + metadata.hasTimestamp() + ", recent " + (metadata.timestamp() >= before - 5000));
        }
        var read = Brokers.read(topic, 1).get(0);
        Outcome.line("java-append-time.read", read.timestampType() + ", recent " + (read.timestamp() >= before - 5000));
        String bounded = "java-time-bounds";
        Brokers.create(admin, bounded, 1, "message.timestamp.before.max.ms", "60000", "message.timestamp.after.max.ms", "60000");
        try (var producer = Brokers.producer()) {
            Outcome.of("java-time-bounds.now", () -> producer.send(new ProducerRecord<>(bounded, Brokers.bytes("v"))).get().offset());
            Outcome.of("java-time-bounds.old", () -> sendAt(producer, bounded, before - 3_600_000));
            Outcome.of("java-time-bounds.future", () -> sendAt(producer, bounded, before + 3_600_000));
            Outcome.of("java-time-bounds.again", () -> producer.send(new ProducerRecord<>(bounded, Brokers.bytes("v"))).get().offset());
        }
    }

    private static String sendAt(KafkaProducer<byte[], byte[]> producer, String topic, long time) throws Exception {
        try {
            return "offset " + producer.send(new ProducerRecord<>(topic, 0, time, null, Brokers.bytes("v"))).get().offset();
        } catch (java.util.concurrent.ExecutionException error) {
            return Outcome.error(error).replaceAll("[0-9]{10,}", "TIME");
        }
    }

    private static void refusals(Admin admin) throws Exception {
        Brokers.create(admin, "java-small-limit", 1, "max.message.bytes", "10000");
        Brokers.create(admin, "java-compacted", 1, "cleanup.policy", "compact");
        Brokers.create(admin, "java-two-in-sync", 1, "min.insync.replicas", "2");
        try (var producer = Brokers.producer("retries", "0", "enable.idempotence", "false", "max.request.size", "5000000", "max.block.ms", "5000")) {
            Outcome.of("java-refused.too-large", () -> producer.send(new ProducerRecord<>("java-small-limit", new byte[20_000])).get().offset());
            Outcome.of("java-refused.default-limit", () -> producer.send(new ProducerRecord<>("java-acks-1-false", new byte[2_000_000])).get().offset());
            Outcome.of("java-refused.no-key", () -> producer.send(new ProducerRecord<>("java-compacted", Brokers.bytes("v"))).get().offset());
            Outcome.of("java-refused.min-isr", () -> producer.send(new ProducerRecord<>("java-two-in-sync", Brokers.bytes("v"))).get().offset());
            Outcome.of("java-refused.bad-name", () -> producer.send(new ProducerRecord<>("bad/name", Brokers.bytes("v"))).get().offset());
        }
        try (var producer = Brokers.producer("acks", "1", "enable.idempotence", "false")) {
            Outcome.of("java-refused.min-isr-acks-1", () -> producer.send(new ProducerRecord<>("java-two-in-sync", Brokers.bytes("v"))).get().offset());
        }
        // An idempotent producer goes on after a refused record.
        try (var producer = Brokers.producer("max.request.size", "5000000")) {
            Outcome.of("java-refused.then.1", () -> producer.send(new ProducerRecord<>("java-small-limit", new byte[100])).get().offset());
            Outcome.of("java-refused.then.2", () -> producer.send(new ProducerRecord<>("java-small-limit", new byte[20_000])).get().offset());
            Outcome.of("java-refused.then.3", () -> producer.send(new ProducerRecord<>("java-small-limit", new byte[100])).get().offset());
        }
    }

    private static void autoCreation() throws Exception {
        try (var producer = Brokers.producer()) {
            Outcome.of("java-auto.first", () -> producer.send(new ProducerRecord<>("java-auto-created", Brokers.bytes("v"))).get().offset());
            Outcome.line("java-auto.partitions", producer.partitionsFor("java-auto-created").size());
        }
    }

    private static void transactions(Admin admin) throws Exception {
        Brokers.create(admin, "java-transactional", 1);
        try (var producer = Brokers.producer("transactional.id", "java-transaction", "max.block.ms", "20000")) {
            Outcome.of("java-transactions.init", () -> {
                producer.initTransactions();
                return "ok";
            });
            Outcome.of("java-transactions.begin", () -> {
                producer.beginTransaction();
                return "ok";
            });
            Outcome.of("java-transactions.commit", () -> {
                producer.send(new ProducerRecord<>("java-transactional", Brokers.bytes("v")));
                producer.commitTransaction();
                return "ok";
            });
        }
    }

    private static void tls(Admin admin) throws Exception {
        Brokers.create(admin, "java-tls", 1);
        String[] tls = {
            "bootstrap.servers", System.getenv("SSL_BOOTSTRAP"), "security.protocol", "SSL",
            "ssl.truststore.type", "PEM", "ssl.truststore.location", Path.of(System.getenv("SSL_CA")).toString(),
        };
        try (var producer = Brokers.producer(tls)) {
            for (int index = 0; index < 100; index++) {
                producer.send(new ProducerRecord<>("java-tls", Brokers.bytes("k"), new byte[5000]));
            }
            producer.flush();
        }
        Outcome.line("java-tls.read", Brokers.read("java-tls", 100, tls).size());
    }
}
