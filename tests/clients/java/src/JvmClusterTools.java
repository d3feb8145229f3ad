import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;

/** The tools with which Apache Kafka's operators look after a cluster, at three brokers with three replicas, and at their controller listeners. */
public final class JvmClusterTools extends ToolCalls {
    private static final String CONTROLLERS = System.getenv("CONTROLLERS");
    private static final Path SCRATCH = Path.of(System.getenv("SCRATCH_DIR"));
    private static final String TOPIC = "operated";
    private static final Map<Integer, List<Integer>> PLACED = Map.of(0, List.of(1, 2, 3), 1, List.of(2, 3, 1), 2, List.of(3, 1, 2));

    private JvmClusterTools() {
    }

    public static void main(String[] arguments) throws Exception {
        takeExits();
        Outcome.section("operated.topic", JvmClusterTools::topic);
        Outcome.section("operated.reassign", JvmClusterTools::reassign);
        Outcome.section("operated.elect", JvmClusterTools::elect);
        Outcome.section("operated.quorum", JvmClusterTools::quorum);
        Outcome.section("operated.features", JvmClusterTools::features);
        Outcome.section("operated.cluster", JvmClusterTools::cluster);
        Outcome.section("operated.configs", JvmClusterTools::configs);
        Runtime.getRuntime().halt(0);
    }

    private static String[] atControllers(String... arguments) {
        return Stream.concat(Stream.of("--bootstrap-controller", CONTROLLERS), Stream.of(arguments)).toArray(String[]::new);
    }

    private static String plain(String line) {
        return line.replaceAll("TopicId: [A-Za-z0-9_-]{22}", "TopicId: ID").replaceAll("\"log_dirs\":\\[[^]]*\\]", "\"log_dirs\":DIRS");
    }

    private static void topic() throws Exception {
        try (Admin admin = Brokers.admin(); var producer = Brokers.producer()) {
            admin.createTopics(List.of(new NewTopic(TOPIC, PLACED))).all().get();
            Brokers.settled(admin, TOPIC, PLACED.size());
            for (int index = 0; index < 300; index++) {
                producer.send(new ProducerRecord<>(TOPIC, index % PLACED.size(), null, Brokers.bytes("value " + index)));
            }
        }
        described("topic.placed");
        tool("topic.under-replicated", line -> line.contains(TOPIC) ? plain(line) : null, org.apache.kafka.tools.TopicCommand::main, with("--describe", "--under-replicated-partitions"));
        tool("topic.under-min-isr", line -> line.contains(TOPIC) ? plain(line) : null, org.apache.kafka.tools.TopicCommand::main, with("--describe", "--under-min-isr-partitions"));
        tool("topic.too-many", org.apache.kafka.tools.TopicCommand::main, with("--create", "--topic", "operated-four", "--replication-factor", "4"));
    }

    /** In the order of the brokers' ids, for who is in sync stands there in the order in which they came. */
    private static void described(String name) throws Exception {
        try (Admin admin = Brokers.admin()) {
            Outcome.of(name, () -> admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC).partitions().stream()
                .map(partition -> partition.partition() + " leader " + partition.leader().id() + " replicas " + partition.replicas().stream().map(node -> node.id()).toList()
                    + " in sync " + partition.isr().stream().map(node -> node.id()).sorted().toList() + " zones " + partition.replicas().stream().map(node -> node.rack()).toList()).toList());
        }
    }

    private static String plan(String name, String partitions) throws Exception {
        Path file = SCRATCH.resolve(name + ".json");
        Files.writeString(file, "{\"version\":1,\"partitions\":[" + partitions + "]}");
        return file.toString();
    }

    private static String move(int partition, List<Integer> replicas) {
        return "{\"topic\":\"" + TOPIC + "\",\"partition\":" + partition + ",\"replicas\":" + replicas + "}";
    }

    /** Until the tool says that every move has come to its end; what it says last is the outcome. */
    private static void verified(String name, String plan, String... more) throws Exception {
        Outcome.until(name, () -> {
            try (Admin admin = Brokers.admin()) {
                return admin.listPartitionReassignments().reassignments().get().isEmpty();
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }, () -> Thread.sleep(20));
        String[] arguments = Stream.concat(Stream.of("--verify", "--reassignment-json-file", plan), Stream.of(more)).toArray(String[]::new);
        tool(name, org.apache.kafka.tools.reassign.ReassignPartitionsCommand::main, with(arguments));
    }

    private static void reassign() throws Exception {
        Main main = org.apache.kafka.tools.reassign.ReassignPartitionsCommand::main;
        Path topics = SCRATCH.resolve("topics.json");
        Files.writeString(topics, "{\"version\":1,\"topics\":[{\"topic\":\"" + TOPIC + "\"}]}");
        // What it proposes is drawn.
        tool("reassign.generate", line -> line.startsWith("{") ? null : line, main, with("--generate", "--topics-to-move-json-file", topics.toString(), "--broker-list", "1,2"));
        String fewer = plan("fewer", move(0, List.of(3, 2)));
        tool("reassign.fewer", JvmClusterTools::plain, main, with("--execute", "--reassignment-json-file", fewer));
        verified("reassign.fewer.verified", fewer);
        described("reassign.fewer.then");
        String back = plan("back", move(0, List.of(1, 2, 3)) + "," + move(1, List.of(3, 1)));
        tool("reassign.back", JvmClusterTools::plain, main, with("--execute", "--reassignment-json-file", back, "--throttle", "50000000"));
        verified("reassign.back.verified", back);
        described("reassign.back.then");
        tool("reassign.throttles", JvmClusterTools::plain, org.apache.kafka.tools.TopicCommand::main, with("--describe", "--topics-with-overrides", "--topic", TOPIC));
        tool("reassign.throttles.broker", line -> line.contains("throttled") ? line : null, kafka.admin.ConfigCommand::main, with("--describe", "--entity-type", "brokers", "--entity-name", "1"));
        String unknown = plan("unknown", move(0, List.of(1, 9)));
        tool("reassign.unknown-broker", JvmClusterTools::plain, main, with("--execute", "--reassignment-json-file", unknown));
        tool("reassign.twice", JvmClusterTools::plain, main, with("--execute", "--reassignment-json-file", plan("twice", move(0, List.of(1, 1)))));
        tool("reassign.list", main, with("--list"));
        tool("reassign.cancel", main, with("--cancel", "--reassignment-json-file", back));
        tool("reassign.list.controllers", main, atControllers("--list"));
        String whole = plan("whole", move(1, List.of(2, 3, 1)));
        tool("reassign.whole.controllers", JvmClusterTools::plain, main, atControllers("--execute", "--reassignment-json-file", whole));
        verified("reassign.whole.verified", whole);
        described("reassign.whole.then");
    }

    private static void elect() throws Exception {
        Main main = org.apache.kafka.tools.LeaderElectionCommand::main;
        Path chosen = SCRATCH.resolve("elect.json");
        Files.writeString(chosen, "{\"partitions\":[{\"topic\":\"" + TOPIC + "\",\"partition\":0},{\"topic\":\"" + TOPIC + "\",\"partition\":1}]}");
        // A leader that a move has put elsewhere goes back where it belongs; whether one has is the moment's.
        tool("elect.preferred", line -> null, main, with("--election-type", "preferred", "--path-to-json-file", chosen.toString()));
        tool("elect.preferred.again", main, with("--election-type", "preferred", "--topic", TOPIC, "--partition", "0"));
        described("elect.preferred.then");
        tool("elect.unclean", main, with("--election-type", "unclean", "--topic", TOPIC, "--partition", "1"));
        tool("elect.unknown", main, with("--election-type", "preferred", "--topic", "operated-nowhere", "--partition", "0"));
        tool("elect.controllers", main, atControllers("--election-type", "preferred", "--topic", TOPIC, "--partition", "2"));
    }

    private static String quorumLine(String line) {
        return line.replaceAll("ClusterId: .*", "ClusterId: ID").replaceAll("\"directoryId\": \"[^\"]*\"", "\"directoryId\": ID").replaceAll("^(LeaderId|LeaderEpoch|HighWatermark|MaxFollowerLag|MaxFollowerLagTimeMs): .*", "$1: N")
            .replaceAll("localhost|127\\.0\\.0\\.1", "HOST").replaceAll(":[0-9]{4,5}\\b", ":PORT");
    }

    /** A member's numbers are the moment's, and so is who leads. */
    private static String memberLine(String line) {
        String[] columns = line.strip().split("\\s+");
        return columns[0].matches("[0-9]+") ? columns.length + " columns" : line;
    }

    private static void quorum() throws Exception {
        Main main = org.apache.kafka.tools.MetadataQuorumCommand::main;
        for (String status : List.of("--status", "--replication")) {
            Plain plain = status.equals("--status") ? JvmClusterTools::quorumLine : JvmClusterTools::memberLine;
            tool("quorum." + status, plain, main, with("describe", status));
            tool("quorum." + status + ".controllers", plain, main, atControllers("describe", status));
        }
        tool("quorum.remove.unknown", JvmClusterTools::quorumLine, main, with("remove-controller", "--controller-id", "9", "--controller-directory-id", "AAAAAAAAAAAAAAAAAAAAAQ"));
        tool("quorum.remove.unknown.controllers", JvmClusterTools::quorumLine, main, atControllers("remove-controller", "--controller-id", "9", "--controller-directory-id", "AAAAAAAAAAAAAAAAAAAAAQ"));
    }

    private static void features() {
        Main main = org.apache.kafka.tools.FeatureCommand::main;
        Plain plain = line -> line.startsWith("Feature: metadata.version") ? line.replaceAll("\\s+", " ").replaceAll("Epoch: [0-9]+", "Epoch: N") : line.startsWith("Feature: ") ? null : line;
        tool("features.describe", plain, main, with("describe"));
        tool("features.describe.controllers", plain, main, atControllers("describe"));
        Plain refusal = line -> line.replaceAll("Local controller [0-9]+", "Local controller");
        tool("features.too-new", refusal, main, with("upgrade", "--feature", "metadata.version=77"));
        tool("features.unknown", refusal, main, with("upgrade", "--feature", "no.such.feature=1"));
        tool("features.downgrade", refusal, main, atControllers("downgrade", "--feature", "metadata.version=1"));
    }

    private static void cluster() {
        Main main = org.apache.kafka.tools.ClusterTool::main;
        Plain plain = line -> line.replaceAll("[A-Za-z0-9_-]{22}", "ID").replaceAll("\\b[0-9]{4,5}\\b", "PORT").replaceAll("(true|false) +(CONTROLLER|BROKER)", "$1 $2");
        tool("cluster.id", plain, main, "cluster-id", "--bootstrap-server", BOOTSTRAP);
        tool("cluster.id.controllers", plain, main, "cluster-id", "--bootstrap-controller", CONTROLLERS);
        tool("cluster.endpoints", plain, main, "list-endpoints", "--bootstrap-server", BOOTSTRAP);
        tool("cluster.endpoints.fenced", plain, main, "list-endpoints", "--bootstrap-server", BOOTSTRAP, "--include-fenced-brokers");
        tool("cluster.endpoints.controllers", plain, main, "list-endpoints", "--bootstrap-controller", CONTROLLERS);
        tool("cluster.unregister.unknown", main, "unregister", "--bootstrap-server", BOOTSTRAP, "--id", "9");
        tool("cluster.unregister.unknown.controllers", main, "unregister", "--bootstrap-controller", CONTROLLERS, "--id", "9");
        tool("cluster.log-dirs", line -> line.startsWith("{") ? line.replaceAll("\"logDir\":\"[^\"]*\"", "\"logDir\":DIR").replaceAll("\"(size|totalBytes|usableBytes)\":[0-9]+", "\"$1\":N")
            : line, org.apache.kafka.tools.LogDirsCommand::main, with("--describe", "--topic-list", TOPIC, "--broker-list", "2"));
    }

    private static void configs() throws Exception {
        Main main = kafka.admin.ConfigCommand::main;
        Plain own = line -> line.contains("sensitive") && !line.contains("log.cleaner.threads") ? null : line;
        tool("configs.default", main, with("--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.cleaner.threads=2"));
        tool("configs.default.then", own, main, with("--describe", "--entity-type", "brokers", "--entity-default"));
        tool("configs.default.controllers", own, main, atControllers("--describe", "--entity-type", "brokers", "--entity-default"));
        tool("configs.broker", main, with("--alter", "--entity-type", "brokers", "--entity-name", "3", "--add-config", "log.cleaner.threads=3"));
        // A broker tells of the layer before it takes the value up.
        Outcome.until("the value", () -> "3".equals(cleanerThreads("3")), () -> Thread.sleep(10));
        tool("configs.broker.then", own, main, with("--describe", "--entity-type", "brokers", "--entity-name", "3"));
        tool("configs.broker.controllers", main, atControllers("--alter", "--entity-type", "brokers", "--entity-name", "3", "--delete-config", "log.cleaner.threads"));
        tool("configs.topic.controllers", main, atControllers("--alter", "--entity-type", "topics", "--entity-name", TOPIC, "--add-config", "retention.ms=7777777"));
        tool("configs.topic.then", line -> line.contains("retention.ms") || !line.contains("sensitive") ? line : null, main, with("--describe", "--entity-type", "topics", "--entity-name", TOPIC));
    }

    private static String cleanerThreads(String broker) {
        var resource = new ConfigResource(ConfigResource.Type.BROKER, broker);
        try (Admin admin = Brokers.admin()) {
            return admin.describeConfigs(List.of(resource)).all().get().get(resource).get("log.cleaner.threads").value();
        } catch (Exception error) {
            return null;
        }
    }
}
