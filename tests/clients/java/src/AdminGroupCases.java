import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;

/** Groups by Admin: list, describe, offsets, members, deletion, with a live member and without. */
final class AdminGroupCases {
    private static final String TOPIC = "java-admin-groups";
    private static final String GROUP = "java-admin-group";
    private static final TopicPartition ZERO = new TopicPartition(TOPIC, 0);
    private static final TopicPartition ONE = new TopicPartition(TOPIC, 1);

    private AdminGroupCases() {
    }

    static void run() throws Exception {
        try (Admin admin = Brokers.admin()) {
            Outcome.section("group.live", () -> live(admin));
            Outcome.section("group.empty", () -> empty(admin));
            Outcome.section("group.unknown", () -> unknown(admin));
            Outcome.section("group.removed", () -> removed(admin));
        }
    }

    private static String list(Admin admin, ListGroupsOptions options) throws Exception {
        return admin.listGroups(options).all().get().stream().filter(group -> group.groupId().startsWith(GROUP))
            .map(group -> group.groupId() + " " + group.type() + " " + group.protocol() + " " + group.groupState()).sorted().collect(Collectors.joining(", "));
    }

    private static String describe(Admin admin, String group) throws Exception {
        var described = admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
        return described.groupId() + " simple " + described.isSimpleConsumerGroup() + " assignor " + described.partitionAssignor() + " " + described.groupState()
            + " " + described.type() + " coordinator " + described.coordinator().id() + " operations " + described.authorizedOperations() + " members "
            + described.members().stream().map(member -> Outcome.plain(member.consumerId()) + "/" + member.clientId() + "/" + member.groupInstanceId() + "/"
                + member.host() + "/" + Brokers.partitions(member.assignment().topicPartitions())).sorted().toList();
    }

    private static KafkaConsumer<byte[], byte[]> joined(String instance) throws Exception {
        var consumer = instance == null ? Brokers.consumer("group.id", GROUP, "client.id", "member")
            : Brokers.consumer("group.id", GROUP, "client.id", "member", "group.instance.id", instance);
        consumer.subscribe(List.of(TOPIC));
        Outcome.until("assignment", () -> consumer.assignment().size() == 2, () -> consumer.poll(Duration.ofMillis(30)));
        return consumer;
    }

    private static void live(Admin admin) throws Exception {
        Brokers.create(admin, TOPIC, 2);
        var consumer = joined(null);
        consumer.commitSync(Map.of(ZERO, new OffsetAndMetadata(5, "five"), ONE, new OffsetAndMetadata(6)));
        Outcome.of("group.list", () -> list(admin, new ListGroupsOptions()));
        Outcome.of("group.list.stable", () -> list(admin, new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE))));
        Outcome.of("group.list.empty", () -> list(admin, new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY))));
        Outcome.of("group.list.consumers", () -> list(admin, ListGroupsOptions.forConsumerGroups()));
        Outcome.of("group.describe", () -> describe(admin, GROUP));
        Outcome.of("group.offsets", () -> Outcome.sorted(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata().get()));
        Outcome.of("group.offsets.one", () -> Outcome.sorted(admin.listConsumerGroupOffsets(Map.of(GROUP, new ListConsumerGroupOffsetsSpec()
            .topicPartitions(List.of(ONE, new TopicPartition(TOPIC, 9))))).all().get().get(GROUP)));
        Outcome.of("group.alter-offsets.live", () -> alter(admin, Map.of(ZERO, new OffsetAndMetadata(1))));
        Outcome.of("group.delete-offsets.live", () -> deleteOffsets(admin, ZERO));
        Outcome.of("group.delete.live", () -> admin.deleteConsumerGroups(List.of(GROUP)).all().get());
        consumer.close();
    }

    private static String alter(Admin admin, Map<TopicPartition, OffsetAndMetadata> offsets) throws Exception {
        admin.alterConsumerGroupOffsets(GROUP, offsets).all().get();
        return "ok";
    }

    private static String deleteOffsets(Admin admin, TopicPartition partition) throws Exception {
        admin.deleteConsumerGroupOffsets(GROUP, Set.of(partition)).all().get();
        return "ok";
    }

    private static void empty(Admin admin) throws Exception {
        Outcome.of("group.describe.empty", () -> describe(admin, GROUP));
        Outcome.of("group.list.now-empty", () -> list(admin, new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY))));
        Outcome.of("group.alter-offsets", () -> alter(admin, Map.of(ZERO, new OffsetAndMetadata(1, "one"))));
        Outcome.of("group.alter-offsets.unknown-topic", () -> alter(admin, Map.of(new TopicPartition("java-no-such-topic", 0), new OffsetAndMetadata(1))));
        Outcome.of("group.delete-offsets", () -> deleteOffsets(admin, ONE));
        Outcome.of("group.delete-offsets.unknown-topic", () -> deleteOffsets(admin, new TopicPartition("java-no-such-topic", 0)));
        Outcome.of("group.offsets.now", () -> Outcome.sorted(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata().get()));
        Outcome.of("group.delete", () -> admin.deleteConsumerGroups(List.of(GROUP)).all().get());
        Outcome.of("group.offsets.deleted", () -> Outcome.sorted(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata().get()));
    }

    private static void unknown(Admin admin) throws Exception {
        Outcome.of("group.describe.unknown", () -> describe(admin, "java-no-such-group"));
        Outcome.of("group.delete.unknown", () -> admin.deleteConsumerGroups(List.of("java-no-such-group")).all().get());
        Outcome.of("group.delete-offsets.unknown", () -> {
            admin.deleteConsumerGroupOffsets("java-no-such-group", Set.of(ZERO)).all().get();
            return "ok";
        });
        Outcome.of("group.offsets.unknown", () -> Outcome.sorted(admin.listConsumerGroupOffsets("java-no-such-group").partitionsToOffsetAndMetadata().get()));
        Outcome.of("group.alter-offsets.new", () -> {
            admin.alterConsumerGroupOffsets("java-admin-group-new", Map.of(ZERO, new OffsetAndMetadata(3))).all().get();
            return describe(admin, "java-admin-group-new");
        });
        Outcome.of("group.delete.empty-name", () -> admin.deleteConsumerGroups(List.of("")).all().get());
    }

    private static void removed(Admin admin) throws Exception {
        var consumer = joined("instance");
        Outcome.of("group.describe.static", () -> describe(admin, GROUP));
        Outcome.of("group.remove", () -> {
            admin.removeMembersFromConsumerGroup(GROUP, new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("instance")))).all().get();
            return describe(admin, GROUP);
        });
        Outcome.of("group.remove.unknown", () -> {
            admin.removeMembersFromConsumerGroup(GROUP, new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("stranger")))).all().get();
            return "ok";
        });
        consumer.close(org.apache.kafka.clients.consumer.CloseOptions.timeout(Duration.ofSeconds(2)));
    }
}
