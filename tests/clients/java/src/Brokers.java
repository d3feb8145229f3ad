import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Clients of the broker under test, and the steps that every section needs. */
final class Brokers {
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");

    private Brokers() {
    }

    static Properties with(String... pairs) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", BOOTSTRAP);
        for (int index = 0; index < pairs.length; index += 2) {
            properties.put(pairs[index], pairs[index + 1]);
        }
        return properties;
    }

    static Admin admin() {
        return Admin.create(with("client.id", "java-admin", "default.api.timeout.ms", "30000", "request.timeout.ms", "20000"));
    }

    static KafkaProducer<byte[], byte[]> producer(String... pairs) {
        Properties properties = with(pairs);
        properties.putIfAbsent("delivery.timeout.ms", "60000");
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String... pairs) {
        Properties properties = with("auto.offset.reset", "earliest", "enable.auto.commit", "false");
        properties.putAll(with(pairs));
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Creates a topic and waits until its partitions have leaders, as a user's script does. */
    static void create(Admin admin, String topic, int partitions, String... configs) throws Exception {
        NewTopic wanted = new NewTopic(topic, partitions, (short) -1);
        java.util.HashMap<String, String> map = new java.util.HashMap<>();
        for (int index = 0; index < configs.length; index += 2) {
            map.put(configs[index], configs[index + 1]);
        }
        admin.createTopics(List.of(wanted.configs(map))).all().get();
        settled(admin, topic, partitions);
    }

    static void settled(Admin admin, String topic, int partitions) throws Exception {
        Outcome.until("leaders of " + topic, () -> {
            try {
                var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
                return described.partitions().size() == partitions
                    && described.partitions().stream().allMatch(p -> p.leader() != null && !p.leader().isEmpty());
            } catch (Exception error) {
                return false;
            }
        }, () -> Thread.sleep(5));
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? "null" : new String(bytes, StandardCharsets.UTF_8);
    }

    /** Reads `count` records of whole topics from their beginnings, in partition order. */
    static List<ConsumerRecord<byte[], byte[]>> read(String topic, int count, String... pairs) throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(pairs)) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition())).sorted((a, b) -> a.partition() - b.partition()).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            return poll(consumer, count);
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> poll(KafkaConsumer<byte[], byte[]> consumer, int count) throws Exception {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        Outcome.until(count + " records", () -> records.size() >= count,
            () -> consumer.poll(Duration.ofMillis(200)).forEach(records::add));
        records.sort((a, b) -> a.partition() != b.partition() ? a.partition() - b.partition() : Long.compare(a.offset(), b.offset()));
        return records;
    }

    static String partitions(Set<TopicPartition> assigned) {
        return assigned.stream().map(TopicPartition::partition).sorted().map(String::valueOf).collect(Collectors.joining(",", "[", "]"));
    }
}
