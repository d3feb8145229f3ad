import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;

/** Topics by Admin: create, describe, enlarge, delete, offsets, deleted records, and what is refused. */
final class AdminTopicCases {
    private AdminTopicCases() {
    }

    static void run() throws Exception {
        try (Admin admin = Brokers.admin()) {
            Outcome.section("topics.create", () -> create(admin));
            Outcome.section("topics.refused", () -> refused(admin));
            Outcome.section("topics.describe", () -> describe(admin));
            Outcome.section("topics.partitions", () -> partitions(admin));
            Outcome.section("topics.offsets", () -> offsets(admin));
            Outcome.section("topics.delete-records", () -> deleteRecords(admin));
            Outcome.section("topics.delete", () -> delete(admin));
        }
    }

    private static void create(Admin admin) throws Exception {
        Outcome.of("topic.create", () -> result(admin, new NewTopic("java-topic", 3, (short) 1)));
        Outcome.of("topic.create.again", () -> result(admin, new NewTopic("java-topic", 3, (short) 1)));
        Outcome.of("topic.create.defaults", () -> result(admin, new NewTopic("java-topic-defaults", Optional.empty(), Optional.empty())));
        Outcome.of("topic.create.assigned", () -> result(admin, new NewTopic("java-topic-assigned", Map.of(0, List.of(1), 1, List.of(1)))));
        Outcome.of("topic.create.configured", () -> result(admin, new NewTopic("java-topic-configured", 1, (short) 1)
            .configs(Map.of("retention.ms", "12345678", "cleanup.policy", "compact,delete", "max.message.bytes", "2000000"))));
        Outcome.of("topic.create.validate-only", () -> {
            var options = new CreateTopicsOptions().validateOnly(true);
            var result = admin.createTopics(List.of(new NewTopic("java-topic-validated", 5, (short) 1)), options);
            return result.numPartitions("java-topic-validated").get() + " partitions, exists "
                + admin.listTopics().names().get().contains("java-topic-validated");
        });
        Outcome.of("topic.create.longest-name", () -> result(admin, new NewTopic("java-" + "n".repeat(244), 1, (short) 1)));
        Brokers.settled(admin, "java-topic", 3);
        Brokers.settled(admin, "java-topic-defaults", 1);
        Brokers.settled(admin, "java-topic-assigned", 2);
        Brokers.settled(admin, "java-topic-configured", 1);
    }

    private static String result(Admin admin, NewTopic topic) throws Exception {
        var result = admin.createTopics(List.of(topic));
        String name = topic.name();
        result.values().get(name).get();
        var config = result.config(name).get();
        String own = config.entries().stream().filter(e -> !e.isDefault()).map(e -> e.name() + "=" + e.value() + " " + e.source())
            .sorted().collect(Collectors.joining(", ", "[", "]"));
        return result.numPartitions(name).get() + " partitions, replication " + result.replicationFactor(name).get()
            + ", id " + !result.topicId(name).get().equals(Uuid.ZERO_UUID) + ", configs " + own;
    }

    private static void refused(Admin admin) throws Exception {
        Map<String, NewTopic> bad = new java.util.LinkedHashMap<>();
        bad.put("slash", new NewTopic("java/topic", 1, (short) 1));
        bad.put("empty", new NewTopic("", 1, (short) 1));
        bad.put("dot", new NewTopic(".", 1, (short) 1));
        bad.put("dots", new NewTopic("..", 1, (short) 1));
        bad.put("too-long", new NewTopic("n".repeat(250), 1, (short) 1));
        bad.put("unicode", new NewTopic("тема", 1, (short) 1));
        bad.put("replication-3", new NewTopic("java-refused", 1, (short) 3));
        bad.put("replication-0", new NewTopic("java-refused", 1, (short) 0));
        bad.put("partitions-0", new NewTopic("java-refused", 0, (short) 1));
        bad.put("partitions-minus", new NewTopic("java-refused", -5, (short) 1));
        bad.put("assigned-unknown-broker", new NewTopic("java-refused", Map.of(0, List.of(77))));
        bad.put("assigned-twice", new NewTopic("java-refused", Map.of(0, List.of(1, 1))));
        bad.put("assigned-gap", new NewTopic("java-refused", Map.of(1, List.of(1))));
        bad.put("assigned-empty", new NewTopic("java-refused", Map.of(0, List.of())));
        bad.put("config-unknown", new NewTopic("java-refused", 1, (short) 1).configs(Map.of("no.such.config", "1")));
        bad.put("config-not-a-number", new NewTopic("java-refused", 1, (short) 1).configs(Map.of("retention.ms", "soon")));
        bad.put("config-out-of-range", new NewTopic("java-refused", 1, (short) 1).configs(Map.of("min.insync.replicas", "0")));
        bad.put("config-not-a-choice", new NewTopic("java-refused", 1, (short) 1).configs(Map.of("cleanup.policy", "shred")));
        bad.put("config-compression", new NewTopic("java-refused", 1, (short) 1).configs(Map.of("compression.type", "rar")));
        for (var entry : bad.entrySet()) {
            Outcome.of("topic.refused." + entry.getKey(), () -> result(admin, entry.getValue()));
        }
        Outcome.of("topic.refused.collision.first", () -> result(admin, new NewTopic("java.collision_one", 1, (short) 1)));
        Outcome.of("topic.refused.collision.second", () -> result(admin, new NewTopic("java_collision.one", 1, (short) 1)));
        Outcome.of("topic.refused.twice-in-one", () -> {
            var result = admin.createTopics(List.of(new NewTopic("java-good-one", 1, (short) 1), new NewTopic("java/bad", 1, (short) 1)));
            Map<String, String> each = new HashMap<>();
            for (var entry : result.values().entrySet()) {
                try {
                    entry.getValue().get();
                    each.put(entry.getKey(), "ok");
                } catch (Exception error) {
                    each.put(entry.getKey(), Outcome.error(error));
                }
            }
            return Outcome.sorted(each);
        });
    }

    private static String plain(TopicDescription described) {
        return described.name() + " internal " + described.isInternal() + " " + described.partitions().stream()
            .map(p -> p.partition() + ": leader " + p.leader().id() + "/" + p.replicas().size() + "/isr " + p.isr().size() + "/elr "
                + (p.elr() == null ? "null" : p.elr().size()) + "/last " + (p.lastKnownElr() == null ? "null" : p.lastKnownElr().size()))
            .toList();
    }

    private static void describe(Admin admin) throws Exception {
        Outcome.of("topic.describe", () -> plain(admin.describeTopics(List.of("java-topic")).allTopicNames().get().get("java-topic")));
        Outcome.of("topic.describe.by-id", () -> {
            Uuid id = admin.describeTopics(List.of("java-topic")).allTopicNames().get().get("java-topic").topicId();
            return plain(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id));
        });
        Outcome.of("topic.describe.unknown", () -> admin.describeTopics(List.of("java-no-such-topic")).allTopicNames().get());
        Outcome.of("topic.describe.unknown-id", () -> admin.describeTopics(TopicCollection.ofTopicIds(List.of(new Uuid(1, 2)))).allTopicIds().get()
            .toString().replaceAll("[A-Za-z0-9_-]{22}", "ID"));
        Outcome.of("topic.describe.bad-name", () -> admin.describeTopics(List.of("java/topic")).allTopicNames().get());
        Outcome.of("topic.describe.operations", () -> {
            var options = new DescribeTopicsOptions().includeAuthorizedOperations(true);
            var operations = admin.describeTopics(List.of("java-topic"), options).allTopicNames().get().get("java-topic").authorizedOperations();
            return operations == null ? "null" : Outcome.sorted(operations);
        });
        Outcome.of("topic.describe.paged", () -> {
            var options = new DescribeTopicsOptions().partitionSizeLimitPerResponse(2);
            return plain(admin.describeTopics(List.of("java-topic", "java-groups"), options).allTopicNames().get().get("java-groups"));
        });
        Outcome.of("topic.list", () -> admin.listTopics().names().get().stream().filter(name -> name.startsWith("java-topic")).sorted().toList());
        Outcome.of("topic.list.internal", () -> admin.listTopics(new ListTopicsOptions().listInternal(true)).listings().get().stream()
            .filter(listing -> listing.isInternal() && listing.name().equals("__consumer_offsets")).map(l -> l.name()).toList());
    }

    private static void partitions(Admin admin) throws Exception {
        Outcome.of("topic.partitions.more", () -> more(admin, "java-topic", NewPartitions.increaseTo(5)));
        Brokers.settled(admin, "java-topic", 5);
        Outcome.of("topic.partitions.same", () -> more(admin, "java-topic", NewPartitions.increaseTo(5)));
        Outcome.of("topic.partitions.fewer", () -> more(admin, "java-topic", NewPartitions.increaseTo(2)));
        Outcome.of("topic.partitions.zero", () -> more(admin, "java-topic", NewPartitions.increaseTo(0)));
        Outcome.of("topic.partitions.unknown", () -> more(admin, "java-no-such-topic", NewPartitions.increaseTo(2)));
        Outcome.of("topic.partitions.assigned", () -> more(admin, "java-topic", NewPartitions.increaseTo(6, List.of(List.of(1)))));
        Brokers.settled(admin, "java-topic", 6);
        Outcome.of("topic.partitions.assigned-unknown", () -> more(admin, "java-topic", NewPartitions.increaseTo(7, List.of(List.of(9)))));
        Outcome.of("topic.partitions.assigned-too-many", () -> more(admin, "java-topic", NewPartitions.increaseTo(7, List.of(List.of(1), List.of(1)))));
        Outcome.of("topic.partitions.now", () -> admin.describeTopics(List.of("java-topic")).allTopicNames().get().get("java-topic").partitions().size());
    }

    private static String more(Admin admin, String topic, NewPartitions wanted) throws Exception {
        admin.createPartitions(Map.of(topic, wanted)).all().get();
        return "ok";
    }

    private static void offsets(Admin admin) throws Exception {
        Brokers.create(admin, "java-offsets", 2);
        TopicPartition zero = new TopicPartition("java-offsets", 0);
        TopicPartition one = new TopicPartition("java-offsets", 1);
        try (var producer = Brokers.producer()) {
            long[] times = {5000, 9000, 7000, 8000};
            for (long time : times) {
                producer.send(new ProducerRecord<>("java-offsets", 0, time, null, Brokers.bytes("v"))).get();
            }
        }
        Map<String, OffsetSpec> specs = new java.util.LinkedHashMap<>();
        specs.put("earliest", OffsetSpec.earliest());
        specs.put("latest", OffsetSpec.latest());
        specs.put("max-timestamp", OffsetSpec.maxTimestamp());
        specs.put("timestamp-6000", OffsetSpec.forTimestamp(6000));
        specs.put("timestamp-9001", OffsetSpec.forTimestamp(9001));
        specs.put("earliest-local", OffsetSpec.earliestLocal());
        specs.put("latest-tiered", OffsetSpec.latestTiered());
        specs.put("earliest-pending-upload", OffsetSpec.earliestPendingUpload());
        for (var entry : specs.entrySet()) {
            for (TopicPartition partition : List.of(zero, one)) {
                Outcome.of("topic.offsets." + entry.getKey() + "." + partition.partition(), () -> {
                    var info = admin.listOffsets(Map.of(partition, entry.getValue())).partitionResult(partition).get();
                    return info.offset() + " at " + info.timestamp() + " epoch " + info.leaderEpoch();
                });
            }
        }
        Outcome.of("topic.offsets.unknown", () -> {
            TopicPartition unknown = new TopicPartition("java-no-such-topic", 0);
            var options = new org.apache.kafka.clients.admin.ListOffsetsOptions();
            options.timeoutMs(2000);
            return admin.listOffsets(Map.of(unknown, OffsetSpec.latest()), options).partitionResult(unknown).get();
        });
    }

    private static void deleteRecords(Admin admin) throws Exception {
        Brokers.create(admin, "java-delete-records", 1);
        TopicPartition zero = new TopicPartition("java-delete-records", 0);
        try (var producer = Brokers.producer()) {
            for (int index = 0; index < 20; index++) {
                producer.send(new ProducerRecord<>("java-delete-records", Brokers.bytes("v" + index))).get();
            }
        }
        for (long before : new long[] {5, 3, 12, 21, -2, -1}) {
            Outcome.of("topic.delete-records." + before, () -> {
                var deleted = admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(before))).lowWatermarks().get(zero).get();
                var earliest = admin.listOffsets(Map.of(zero, OffsetSpec.earliest())).partitionResult(zero).get().offset();
                return "low watermark " + deleted.lowWatermark() + ", earliest " + earliest;
            });
        }
        Outcome.of("topic.delete-records.then", () -> {
            try (var producer = Brokers.producer()) {
                producer.send(new ProducerRecord<>("java-delete-records", Brokers.bytes("after"))).get();
            }
            var records = Brokers.read("java-delete-records", 1);
            return records.get(0).offset() + " " + Brokers.text(records.get(0).value());
        });
    }

    private static String gone(Admin admin, String topic) throws Exception {
        Outcome.until("the end of " + topic, () -> {
            try {
                return !admin.listTopics().names().get().contains(topic);
            } catch (Exception error) {
                return false;
            }
        }, () -> Thread.sleep(5));
        return "gone";
    }

    private static void delete(Admin admin) throws Exception {
        Outcome.of("topic.delete", () -> {
            admin.deleteTopics(List.of("java-topic-assigned")).all().get();
            return gone(admin, "java-topic-assigned");
        });
        Outcome.of("topic.delete.by-id", () -> {
            Uuid id = admin.describeTopics(List.of("java-topic-configured")).allTopicNames().get().get("java-topic-configured").topicId();
            admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
            return gone(admin, "java-topic-configured");
        });
        Outcome.of("topic.delete.unknown", () -> admin.deleteTopics(List.of("java-no-such-topic")).all().get());
        Outcome.of("topic.delete.unknown-id", () -> {
            try {
                return admin.deleteTopics(TopicCollection.ofTopicIds(List.of(new Uuid(1, 2)))).all().get();
            } catch (Exception error) {
                return Outcome.error(error);
            }
        });
        Outcome.of("topic.delete.and-create", () -> {
            admin.createTopics(List.of(new NewTopic("java-topic-assigned", 2, (short) 1))).all().get();
            Brokers.settled(admin, "java-topic-assigned", 2);
            try (var producer = Brokers.producer()) {
                return "first offset " + producer.send(new ProducerRecord<>("java-topic-assigned", 0, null, Brokers.bytes("v"))).get().offset();
            }
        });
    }
}
