import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.quota.ClientQuotaFilter;

/** The cluster by Admin: nodes, directories, producers, features, elections; and the families that need what a plain broker lacks. */
final class AdminClusterCases {
    private static final String TOPIC = "java-cluster";
    private static final TopicPartition ZERO = new TopicPartition(TOPIC, 0);

    private AdminClusterCases() {
    }

    static void run() throws Exception {
        try (Admin admin = Brokers.admin()) {
            Outcome.section("cluster.describe", () -> describe(admin));
            Outcome.section("cluster.directories", () -> directories(admin));
            Outcome.section("cluster.producers", () -> producers(admin));
            Outcome.section("cluster.features", () -> features(admin));
            Outcome.section("cluster.partitions", () -> partitions(admin));
            Outcome.section("cluster.security", () -> security(admin));
            Outcome.section("cluster.transactions", () -> transactions(admin));
        }
    }

    private static void describe(Admin admin) throws Exception {
        Brokers.create(admin, TOPIC, 2);
        Outcome.of("cluster.nodes", () -> {
            var cluster = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
            return cluster.nodes().get().stream().map(node -> node.id() + "@" + node.host() + " rack " + node.rack() + " fenced " + node.isFenced()).toList()
                + " controller " + cluster.controller().get().id() + " id of " + cluster.clusterId().get().length()
                + " operations " + Outcome.sorted(cluster.authorizedOperations().get());
        });
        Outcome.of("cluster.quorum", () -> {
            var quorum = admin.describeMetadataQuorum().quorumInfo().get();
            return "leader " + quorum.leaderId() + ", voters " + quorum.voters().stream().map(voter -> voter.replicaId()).toList()
                + ", observers " + quorum.observers().size();
        });
    }

    private static void directories(Admin admin) throws Exception {
        try (var producer = Brokers.producer()) {
            producer.send(new ProducerRecord<>(TOPIC, 0, null, new byte[1000])).get();
        }
        Outcome.of("cluster.log-dirs", () -> admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().stream().map(directory -> {
            var mine = directory.replicaInfos().entrySet().stream().filter(entry -> entry.getKey().topic().equals(TOPIC))
                .map(entry -> entry.getKey().partition() + " size " + entry.getValue().size() + " lag " + entry.getValue().offsetLag() + " future " + entry.getValue().isFuture())
                .sorted().toList();
            return "error " + directory.error() + " total known " + directory.totalBytes().isPresent() + " usable known " + directory.usableBytes().isPresent() + " " + mine;
        }).toList());
        Outcome.of("cluster.log-dirs.unknown-broker", () -> admin.describeLogDirs(List.of(42),
            new org.apache.kafka.clients.admin.DescribeLogDirsOptions().timeoutMs(2000)).allDescriptions().get());
        Outcome.of("cluster.replica-log-dirs", () -> {
            var replica = new TopicPartitionReplica(TOPIC, 0, 1);
            var told = new java.util.concurrent.atomic.AtomicReference<org.apache.kafka.clients.admin.DescribeReplicaLogDirsResult.ReplicaLogDirInfo>();
            // A broker that has just started may not have the replica yet.
            Outcome.until("the replica's directory", () -> told.get() != null && told.get().getCurrentReplicaLogDir() != null,
                () -> told.set(admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica)));
            var info = told.get();
            return "current " + (info.getCurrentReplicaLogDir() != null) + " lag " + info.getCurrentReplicaOffsetLag() + " future " + info.getFutureReplicaLogDir();
        });
    }

    private static void producers(Admin admin) throws Exception {
        try (var producer = Brokers.producer()) {
            for (int index = 0; index < 3; index++) {
                producer.send(new ProducerRecord<>(TOPIC, 1, null, Brokers.bytes("v"))).get();
            }
            Outcome.of("cluster.producers.active", () -> admin.describeProducers(List.of(new TopicPartition(TOPIC, 1))).all().get()
                .get(new TopicPartition(TOPIC, 1)).activeProducers().stream().map(state -> "id known " + (state.producerId() >= 0) + " epoch " + state.producerEpoch()
                    + " sequence " + state.lastSequence() + " coordinator epoch " + state.coordinatorEpoch() + " transaction " + state.currentTransactionStartOffset()).toList());
        }
        Outcome.of("cluster.producers.unknown", () -> {
            try {
                return admin.describeProducers(List.of(new TopicPartition("java-no-such-topic", 0)),
                    new org.apache.kafka.clients.admin.DescribeProducersOptions().timeoutMs(2000)).all().get();
            } catch (java.util.concurrent.ExecutionException error) {
                return Outcome.error(error).replaceAll(":.*", "");
            }
        });
    }

    private static void features(Admin admin) throws Exception {
        var features = admin.describeFeatures().featureMetadata().get();
        features.supportedFeatures().forEach((name, range) -> Outcome.line("cluster.supported." + name, range.minVersion() + " to " + range.maxVersion()));
        features.finalizedFeatures().forEach((name, range) -> Outcome.line("cluster.finalized." + name, range.maxVersionLevel()));
    }

    private static void partitions(Admin admin) throws Exception {
        Outcome.of("cluster.elect.preferred", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(ZERO)).partitions().get().get(ZERO)
            .map(Outcome::error).orElse("elected"));
        Outcome.of("cluster.elect.unclean", () -> admin.electLeaders(ElectionType.UNCLEAN, Set.of(ZERO)).partitions().get().get(ZERO)
            .map(Outcome::error).orElse("elected"));
        Outcome.of("cluster.elect.unknown", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(new TopicPartition("java-no-such-topic", 0))).partitions().get()
            .values().iterator().next().map(Outcome::error).orElse("elected"));
        Outcome.of("cluster.elect.all", () -> admin.electLeaders(ElectionType.PREFERRED, null).partitions().get());
        Outcome.of("cluster.reassignments", () -> admin.listPartitionReassignments().reassignments().get());
        Outcome.of("cluster.reassign.unknown-broker", () -> admin.alterPartitionReassignments(
            Map.of(ZERO, Optional.of(new NewPartitionReassignment(List.of(1, 2))))).all().get());
        Outcome.of("cluster.unregister", () -> admin.unregisterBroker(42).all().get());
    }

    private static void security(Admin admin) throws Exception {
        Outcome.of("cluster.acls", () -> admin.describeAcls(AclBindingFilter.ANY).values().get());
        Outcome.of("cluster.quotas", () -> admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get());
        Outcome.of("cluster.scram", () -> admin.describeUserScramCredentials().all().get());
        Outcome.of("cluster.tokens", () -> admin.describeDelegationToken().delegationTokens().get());
    }

    private static void transactions(Admin admin) throws Exception {
        Outcome.of("cluster.transactions.unknown", () -> admin.describeTransactions(List.of("java-no-such-transaction"),
            new org.apache.kafka.clients.admin.DescribeTransactionsOptions().timeoutMs(5000)).all().get());
        Outcome.of("cluster.client-metrics", () -> admin.listConfigResources(Set.of(org.apache.kafka.common.config.ConfigResource.Type.CLIENT_METRICS),
            new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all().get());
    }
}
