import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Consumer groups: eager and cooperative rebalances, static members, patterns, the newer protocol. */
final class GroupCases {
    private static final String TOPIC = "java-groups";
    private static final int PARTITIONS = 6;

    private GroupCases() {
    }

    static void run() throws Exception {
        try (Admin admin = Brokers.admin()) {
            Outcome.section("groups.fill", () -> {
                Brokers.create(admin, TOPIC, PARTITIONS);
                try (var producer = Brokers.producer()) {
                    for (int index = 0; index < 120; index++) {
                        producer.send(new ProducerRecord<>(TOPIC, index % PARTITIONS, null, Brokers.bytes("v" + index)));
                    }
                }
            });
        }
        Outcome.section("groups.range", () -> rebalances("range", "org.apache.kafka.clients.consumer.RangeAssignor"));
        Outcome.section("groups.round-robin", () -> rebalances("round-robin", "org.apache.kafka.clients.consumer.RoundRobinAssignor"));
        Outcome.section("groups.cooperative", () -> rebalances("cooperative", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"));
        Outcome.section("groups.static", GroupCases::staticMembers);
        Outcome.section("groups.fenced", GroupCases::fencedMember);
        Outcome.section("groups.pattern", GroupCases::pattern);
        Outcome.section("groups.mixed", GroupCases::inconsistentProtocols);
        Outcome.section("groups.next-protocol", GroupCases::nextProtocol);
    }

    private static KafkaConsumer<byte[], byte[]> member(String group, String name, String... more) {
        List<String> pairs = new ArrayList<>(List.of("group.id", group, "client.id", name, "heartbeat.interval.ms", "300", "session.timeout.ms", "6000"));
        pairs.addAll(List.of(more));
        return Brokers.consumer(pairs.toArray(String[]::new));
    }

    private static void settle(List<KafkaConsumer<byte[], byte[]>> members, List<Integer> sizes) throws Exception {
        Outcome.until("assignments of " + sizes, () -> {
            List<Integer> now = new ArrayList<>(members.stream().map(member -> member.assignment().size()).toList());
            now.sort(null);
            return now.equals(sizes);
        }, () -> {
            for (var member : members) {
                member.poll(Duration.ofMillis(30));
            }
        });
    }

    /** One member, then two, then three, then one again. Members' names sort their ids, so the assignments are the same each time. */
    private static void rebalances(String name, String assignor) throws Exception {
        String group = "java-" + name;
        String[] strategy = {"partition.assignment.strategy", assignor};
        var first = member(group, "a", strategy);
        first.subscribe(List.of(TOPIC));
        settle(List.of(first), List.of(6));
        var second = member(group, "b", strategy);
        second.subscribe(List.of(TOPIC));
        settle(List.of(first, second), List.of(3, 3));
        if (!name.equals("cooperative")) {
            Outcome.line(group + ".two", Brokers.partitions(first.assignment()) + " " + Brokers.partitions(second.assignment()));
        }
        var third = member(group, "c", strategy);
        third.subscribe(List.of(TOPIC));
        settle(List.of(first, second, third), List.of(2, 2, 2));
        Outcome.line(group + ".three", first.assignment().size() + " " + second.assignment().size() + " " + third.assignment().size());
        third.close();
        second.close();
        settle(List.of(first), List.of(6));
        Outcome.line(group + ".one", Brokers.partitions(first.assignment()) + " protocol metadata " + first.groupMetadata().groupId());
        first.commitSync();
        first.close();
    }

    private static void staticMembers() throws Exception {
        String group = "java-static";
        var first = member(group, "a", "group.instance.id", "instance-a");
        var second = member(group, "b", "group.instance.id", "instance-b");
        first.subscribe(List.of(TOPIC));
        second.subscribe(List.of(TOPIC));
        settle(List.of(first, second), List.of(3, 3));
        String before = Brokers.partitions(second.assignment());
        int generation = second.groupMetadata().generationId();
        second.close();
        var again = member(group, "b", "group.instance.id", "instance-b");
        again.subscribe(List.of(TOPIC));
        settle(List.of(first, again), List.of(3, 3));
        Outcome.line("java-static.rejoined", "same partitions " + before.equals(Brokers.partitions(again.assignment()))
            + ", same generation " + (again.groupMetadata().generationId() == generation) + ", instance " + again.groupMetadata().groupInstanceId());
        first.close();
        again.close();
    }

    private static void fencedMember() throws Exception {
        String group = "java-fenced";
        var first = member(group, "a", "group.instance.id", "instance");
        first.subscribe(List.of(TOPIC));
        settle(List.of(first), List.of(6));
        var second = member(group, "a", "group.instance.id", "instance");
        second.subscribe(List.of(TOPIC));
        settle(List.of(second), List.of(6));
        Outcome.of("java-fenced.first", () -> {
            Outcome.until("the fence", () -> false, () -> first.poll(Duration.ofMillis(50)));
            return "polled on";
        });
        Outcome.of("java-fenced.commit", () -> {
            first.commitSync(Map.of(new TopicPartition(TOPIC, 0), new org.apache.kafka.clients.consumer.OffsetAndMetadata(1)));
            return "ok";
        });
        second.close();
        first.close(org.apache.kafka.clients.consumer.CloseOptions.timeout(Duration.ofSeconds(2)));
    }

    private static void pattern() throws Exception {
        try (var consumer = member("java-pattern", "a", "metadata.max.age.ms", "500")) {
            List<String> seen = new ArrayList<>();
            consumer.subscribe(Pattern.compile("java-gro.ps"), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    seen.add("revoked " + partitions.size());
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    seen.add("assigned " + partitions.size());
                }
            });
            settle(List.of(consumer), List.of(6));
            Outcome.line("java-pattern.assigned", Brokers.partitions(consumer.assignment()) + " " + seen);
            consumer.enforceRebalance();
            Outcome.until("a second assignment", () -> seen.size() >= 3, () -> consumer.poll(Duration.ofMillis(30)));
            Outcome.line("java-pattern.enforced", seen);
        }
    }

    /** Two members without a common assignor cannot share a group. */
    private static void inconsistentProtocols() throws Exception {
        var first = member("java-mixed", "a", "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        first.subscribe(List.of(TOPIC));
        settle(List.of(first), List.of(6));
        var second = member("java-mixed", "b", "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RoundRobinAssignor");
        second.subscribe(List.of(TOPIC));
        Outcome.of("java-mixed.second", () -> {
            Outcome.until("a refusal", () -> false, () -> second.poll(Duration.ofMillis(50)));
            return "polled on";
        });
        first.close();
        second.close(org.apache.kafka.clients.consumer.CloseOptions.timeout(Duration.ofSeconds(2)));
    }

    private static void nextProtocol() throws Exception {
        try (var consumer = Brokers.consumer("group.id", "java-next", "group.protocol", "consumer")) {
            consumer.subscribe(List.of(TOPIC));
            Outcome.of("java-next.assigned", () -> {
                settle(List.of(consumer), List.of(6));
                return Brokers.partitions(consumer.assignment());
            });
        }
    }
}
