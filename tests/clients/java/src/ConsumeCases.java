import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Consuming without a group's help: positions, times, pauses, limits; and commits. */
final class ConsumeCases {
    private static final String TOPIC = "java-consume";
    private static final TopicPartition ZERO = new TopicPartition(TOPIC, 0);
    private static final TopicPartition ONE = new TopicPartition(TOPIC, 1);

    private ConsumeCases() {
    }

    static void run() throws Exception {
        try (Admin admin = Brokers.admin()) {
            Outcome.section("consume.fill", () -> fill(admin));
            Outcome.section("consume.positions", ConsumeCases::positions);
            Outcome.section("consume.times", ConsumeCases::times);
            Outcome.section("consume.pause", ConsumeCases::pause);
            Outcome.section("consume.out-of-range", ConsumeCases::outOfRange);
            Outcome.section("consume.commits", ConsumeCases::commits);
            Outcome.section("consume.isolation", ConsumeCases::isolation);
            Outcome.section("consume.wakeup", ConsumeCases::wokenByTheAppend);
        }
    }

    private static void fill(Admin admin) throws Exception {
        Brokers.create(admin, TOPIC, 3);
        try (var producer = Brokers.producer()) {
            for (int index = 0; index < 100; index++) {
                producer.send(new ProducerRecord<>(TOPIC, 0, 1_000_000L + index * 1000L, null, Brokers.bytes("zero-" + index))).get();
            }
            for (int index = 0; index < 10; index++) {
                producer.send(new ProducerRecord<>(TOPIC, 1, 2_000_000L, null, Brokers.bytes("one-" + index)));
            }
            producer.flush();
        }
    }

    private static void positions() throws Exception {
        try (var consumer = Brokers.consumer("max.poll.records", "7")) {
            Outcome.line("java-consume.partitions", consumer.partitionsFor(TOPIC).size());
            Outcome.line("java-consume.listed", consumer.listTopics().containsKey(TOPIC));
            consumer.assign(List.of(ZERO, ONE));
            Outcome.line("java-consume.beginning", Outcome.sorted(consumer.beginningOffsets(List.of(ZERO, ONE))));
            Outcome.line("java-consume.end", Outcome.sorted(consumer.endOffsets(List.of(ZERO, ONE))));
            consumer.seek(ZERO, 42);
            consumer.pause(List.of(ONE));
            var records = Brokers.poll(consumer, 7);
            Outcome.line("java-consume.seek", records.get(0).offset() + " " + Brokers.text(records.get(0).value()) + " then position " + consumer.position(ZERO));
            consumer.seekToEnd(List.of(ZERO));
            Outcome.line("java-consume.seek-end", consumer.position(ZERO) + " lag " + consumer.currentLag(ZERO));
            Outcome.line("java-consume.nothing", consumer.poll(Duration.ofMillis(50)).count());
            consumer.seekToBeginning(List.of(ZERO));
            Outcome.line("java-consume.seek-beginning", consumer.position(ZERO));
        }
    }

    private static void times() throws Exception {
        try (var consumer = Brokers.consumer()) {
            for (long time : new long[] {0, 1_000_000, 1_000_001, 1_050_000, 1_099_000, 1_099_001, 9_999_999}) {
                Outcome.line("java-times." + time, consumer.offsetsForTimes(Map.of(ZERO, time)).get(ZERO));
            }
            Outcome.line("java-times.empty", consumer.offsetsForTimes(Map.of(new TopicPartition(TOPIC, 2), 1L)).get(new TopicPartition(TOPIC, 2)));
            consumer.assign(List.of(ZERO));
            consumer.seek(ZERO, consumer.offsetsForTimes(Map.of(ZERO, 1_070_500L)).get(ZERO).offset());
            Outcome.line("java-times.seek", Brokers.text(Brokers.poll(consumer, 1).get(0).value()));
        }
    }

    private static void pause() throws Exception {
        try (var consumer = Brokers.consumer()) {
            consumer.assign(List.of(ZERO, ONE));
            consumer.pause(List.of(ZERO));
            var records = Brokers.poll(consumer, 10);
            Outcome.line("java-pause.paused", records.stream().allMatch(r -> r.partition() == 1) + " " + consumer.paused());
            consumer.resume(List.of(ZERO));
            Outcome.line("java-pause.resumed", Brokers.poll(consumer, 100).stream().filter(r -> r.partition() == 0).count());
        }
    }

    private static void outOfRange() throws Exception {
        for (String reset : List.of("none", "earliest", "latest")) {
            try (var consumer = Brokers.consumer("auto.offset.reset", reset)) {
                consumer.assign(List.of(ONE));
                consumer.seek(ONE, 5000);
                Outcome.of("java-out-of-range." + reset, () -> {
                    Outcome.until("a new position", () -> consumer.position(ONE) != 5000, () -> consumer.poll(Duration.ofMillis(50)));
                    return consumer.position(ONE) == 10 ? "10" : "somewhere before 10";
                });
            }
        }
        try (var consumer = Brokers.consumer("allow.auto.create.topics", "false", "default.api.timeout.ms", "3000")) {
            Outcome.of("java-unknown.partitions", () -> consumer.partitionsFor("java-no-such-topic"));
            Outcome.of("java-unknown.name", () -> consumer.partitionsFor("java no such topic"));
            Outcome.of("java-unknown.offsets", () -> consumer.endOffsets(List.of(new TopicPartition("java-no-such-topic", 0)), Duration.ofSeconds(2)));
        }
    }

    private static void commits() throws Exception {
        String[] group = {"group.id", "java-commits", "max.poll.records", "10"};
        try (var consumer = Brokers.consumer(group)) {
            consumer.subscribe(List.of(TOPIC));
            Outcome.until("assignment", () -> consumer.assignment().size() == 3, () -> consumer.poll(Duration.ofMillis(50)));
            consumer.commitSync(Map.of(ZERO, new OffsetAndMetadata(33, java.util.Optional.of(0), "noted"), ONE, new OffsetAndMetadata(4)));
        }
        try (var consumer = Brokers.consumer(group)) {
            consumer.subscribe(List.of(TOPIC));
            Outcome.until("assignment", () -> consumer.assignment().size() == 3, () -> consumer.poll(Duration.ofMillis(50)));
            Outcome.line("java-commits.committed", Outcome.sorted(consumer.committed(Set.of(ZERO, ONE, new TopicPartition(TOPIC, 2)))));
            consumer.seek(ZERO, consumer.committed(Set.of(ZERO)).get(ZERO));
            consumer.seek(ONE, consumer.committed(Set.of(ONE)).get(ONE));
            var records = Brokers.poll(consumer, 73);
            Outcome.line("java-commits.resumed", records.size() + " from " + records.get(0).offset());
            consumer.commitSync();
            Outcome.line("java-commits.end", Outcome.sorted(consumer.committed(Set.of(ZERO, ONE))));
        }
        try (var consumer = Brokers.consumer("group.id", "java-commits-alone")) {
            consumer.assign(List.of(ZERO));
            consumer.commitSync(Map.of(ZERO, new OffsetAndMetadata(7)));
            Outcome.line("java-commits.alone", consumer.committed(Set.of(ZERO)));
            Outcome.of("java-commits.metadata-too-large", () -> {
                consumer.commitSync(Map.of(ZERO, new OffsetAndMetadata(8, "m".repeat(5000))));
                return "ok";
            });
            Outcome.of("java-commits.unknown-topic", () -> {
                consumer.commitSync(Map.of(new TopicPartition("java-no-such-topic", 0), new OffsetAndMetadata(8)), Duration.ofSeconds(2));
                return "ok";
            });
        }
    }

    private static void isolation() throws Exception {
        try (var consumer = Brokers.consumer("isolation.level", "read_committed")) {
            consumer.assign(List.of(ZERO));
            Outcome.line("java-isolation.read", Brokers.poll(consumer, 100).size());
            Outcome.line("java-isolation.end", consumer.endOffsets(List.of(ZERO)));
        }
    }

    /** A consumer that waits long is answered by the append, not by its patience. */
    private static void wokenByTheAppend() throws Exception {
        TopicPartition two = new TopicPartition(TOPIC, 2);
        try (var consumer = Brokers.consumer("fetch.max.wait.ms", "6000"); var producer = Brokers.producer()) {
            consumer.assign(List.of(two));
            consumer.poll(Duration.ofMillis(300));
            long started = System.currentTimeMillis();
            producer.send(new ProducerRecord<>(TOPIC, 2, null, Brokers.bytes("wake"))).get();
            var records = Brokers.poll(consumer, 1);
            Outcome.line("java-wakeup", Brokers.text(records.get(0).value()) + " soon " + (System.currentTimeMillis() - started < 4000));
        }
    }
}
