import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.ProducerRecord;

/** The command-line tools of Apache Kafka, called in one JVM; each line that a tool prints is a line of the outcome. */
public final class JvmTools extends ToolCalls {
    private static final Path DATA = Path.of(System.getenv("DATA_DIR"));
    private static final Path SCRATCH = Path.of(System.getenv("SCRATCH_DIR"));

    private JvmTools() {
    }

    public static void main(String[] arguments) throws Exception {
        takeExits();
        Outcome.section("tools.topics", JvmTools::topics);
        Outcome.section("tools.configs", JvmTools::configs);
        Outcome.section("tools.console", JvmTools::console);
        Outcome.section("tools.perf", JvmTools::perf);
        Outcome.section("tools.verifiable", JvmTools::verifiable);
        Outcome.section("tools.groups", JvmTools::groups);
        Outcome.section("tools.offsets", JvmTools::offsets);
        Outcome.section("tools.log-dirs", JvmTools::logDirs);
        Outcome.section("tools.dump-log", JvmTools::dumpLog);
        Outcome.section("tools.cluster", JvmTools::cluster);
        Runtime.getRuntime().halt(0);
    }

    /** Without the topic's id, and its configurations in the order of their names. */
    private static String id(String line) {
        String plain = line.replaceAll("TopicId: [A-Za-z0-9_-]{22}", "TopicId: ID");
        int configs = plain.indexOf("Configs: ");
        if (configs < 0) {
            return plain;
        }
        String[] each = plain.substring(configs + 9).split(",");
        java.util.Arrays.sort(each);
        return plain.substring(0, configs + 9) + String.join(",", each);
    }

    private static void topics() {
        Main main = org.apache.kafka.tools.TopicCommand::main;
        tool("kafka-topics.create", main, with("--create", "--topic", "tools-topic", "--partitions", "3", "--config", "retention.ms=1000000", "--config", "segment.bytes=1048576"));
        tool("kafka-topics.create-again", main, with("--create", "--topic", "tools-topic"));
        tool("kafka-topics.create-if-not-exists", main, with("--create", "--topic", "tools-topic", "--if-not-exists"));
        tool("kafka-topics.create-dotted", main, with("--create", "--topic", "tools.dotted", "--replication-factor", "1"));
        tool("kafka-topics.create-replicated", main, with("--create", "--topic", "tools-three", "--replication-factor", "3"));
        tool("kafka-topics.describe", JvmTools::id, main, with("--describe", "--topic", "tools-topic"));
        tool("kafka-topics.describe-unknown", main, with("--describe", "--topic", "tools-no-such-topic"));
        tool("kafka-topics.list", line -> line.startsWith("tools") ? line : null, main, with("--list"));
        tool("kafka-topics.alter", main, with("--alter", "--topic", "tools-topic", "--partitions", "4"));
        tool("kafka-topics.alter-fewer", main, with("--alter", "--topic", "tools-topic", "--partitions", "2"));
        tool("kafka-topics.unavailable", line -> line.contains("tools-") ? id(line) : null, main, with("--describe", "--unavailable-partitions"));
        tool("kafka-topics.under-replicated", line -> line.contains("tools-") ? id(line) : null, main, with("--describe", "--under-replicated-partitions"));
        sortedTool("kafka-topics.with-overrides", line -> line.contains("tools-") ? id(line) : null, main, with("--describe", "--topics-with-overrides"));
        tool("kafka-topics.delete", main, with("--delete", "--topic", "tools.dotted"));
        tool("kafka-topics.delete-unknown", main, with("--delete", "--topic", "tools-no-such-topic"));
    }

    private static void configs() {
        Main main = kafka.admin.ConfigCommand::main;
        tool("kafka-configs.describe", main, with("--describe", "--entity-type", "topics", "--entity-name", "tools-topic"));
        tool("kafka-configs.describe-all", main, with("--describe", "--all", "--entity-type", "topics", "--entity-name", "tools-topic"));
        tool("kafka-configs.alter", main, with("--alter", "--entity-type", "topics", "--entity-name", "tools-topic", "--add-config", "retention.ms=2000000,max.message.bytes=2000000"));
        tool("kafka-configs.altered", main, with("--describe", "--entity-type", "topics", "--entity-name", "tools-topic"));
        tool("kafka-configs.delete", main, with("--alter", "--entity-type", "topics", "--entity-name", "tools-topic", "--delete-config", "retention.ms"));
        tool("kafka-configs.delete-unknown", main, with("--alter", "--entity-type", "topics", "--entity-name", "tools-topic", "--delete-config", "no.such.config"));
        tool("kafka-configs.refused", main, with("--alter", "--entity-type", "topics", "--entity-name", "tools-topic", "--add-config", "retention.ms=never"));
        tool("kafka-configs.brokers", main, with("--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.message.timestamp.after.max.ms=7200000"));
        tool("kafka-configs.brokers-described", line -> line.contains("timestamp.after") ? line : null, main, with("--describe", "--entity-type", "brokers", "--entity-default"));
        tool("kafka-configs.brokers-deleted", main, with("--alter", "--entity-type", "brokers", "--entity-default", "--delete-config", "log.message.timestamp.after.max.ms"));
        tool("kafka-configs.groups", main, with("--describe", "--all", "--entity-type", "groups", "--entity-name", "tools-config-group"));
    }

    private static void console() throws Exception {
        Main producer = org.apache.kafka.tools.ConsoleProducer::main;
        Main consumer = org.apache.kafka.tools.consumer.ConsoleConsumer::main;
        tool("kafka-console-producer", "one\ntwo\nthree\n", line -> line, producer, with("--topic", "tools-topic"));
        tool("kafka-console-producer.keys", "key1:value1\nkey2:value2\nkey3:value3\n", line -> line, producer,
            with("--topic", "tools-keys", "--property", "parse.key=true", "--property", "key.separator=:", "--compression-codec", "gzip"));
        tool("kafka-console-consumer", line -> line, consumer, with("--topic", "tools-keys", "--from-beginning", "--max-messages", "3", "--timeout-ms", "20000",
            "--property", "print.key=true", "--property", "print.offset=true", "--property", "print.partition=true", "--property", "print.headers=true"));
        tool("kafka-console-consumer.partition", line -> line, consumer, with("--topic", "tools-keys", "--partition", "0", "--offset", "1", "--max-messages", "1", "--timeout-ms", "20000"));
        tool("kafka-console-consumer.group", line -> line, consumer, with("--topic", "tools-keys", "--from-beginning", "--max-messages", "3", "--timeout-ms", "20000", "--group", "tools-console"));
        tool("kafka-console-consumer.offsets", once(line -> line.contains("\"tools-console\"") ? line.replaceAll("\"(commitTimestamp|expireTimestamp)\":-?[0-9]+", "\"$1\":TIME")
                .replaceAll("\"topicId\":\"[^\"]*\"", "\"topicId\":ID") : null), consumer,
            with("--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "4000", "--formatter", "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"));
        tool("kafka-console-consumer.group-metadata", once(line -> line.contains("\"tools-console\"") ? groupMetadata(line) : null), consumer,
            with("--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "4000", "--formatter", "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter"));
    }

    /** Drops lines that came before: how often a consumer commits depends on the time it takes. */
    private static Plain once(Plain plain) {
        Set<String> seen = new HashSet<>();
        return line -> {
            String left = plain.plain(line);
            return left != null && seen.add(left) ? left : null;
        };
    }

    private static String groupMetadata(String line) {
        return line.replaceAll("\"(currentStateTimestamp)\":-?[0-9]+", "\"$1\":TIME").replaceAll("\"(subscription|assignment)\":\"[^\"]*\"", "\"$1\":BYTES")
            .replaceAll("\"clientHost\":\"[^\"]*\"", "\"clientHost\":HOST");
    }

    /** The perf tools print rates; what counts is that they finish and how much they moved. */
    private static void perf() throws Exception {
        tool("kafka-producer-perf", line -> line.matches("^5000 records sent.*") ? "5000 records sent" : line.matches("^[0-9]+ records sent.*") ? null : line,
            org.apache.kafka.tools.ProducerPerformance::main, "--topic", "tools-perf", "--num-records", "5000", "--record-size", "1000", "--throughput", "-1",
            "--producer-props", "bootstrap.servers=" + BOOTSTRAP, "acks=all", "compression.type=zstd");
        tool("kafka-consumer-perf", line -> {
            String[] columns = line.split(", ");
            return columns.length > 6 && columns[4].matches("[0-9]+") ? "messages " + columns[4] + " megabytes " + columns[2] : line.startsWith("start.time") ? line : null;
        }, org.apache.kafka.tools.ConsumerPerformance::main, "--bootstrap-server", BOOTSTRAP, "--topic", "tools-perf", "--num-records", "5000", "--timeout", "20000", "--group", "tools-perf-group");
        tool("kafka-e2e-latency", line -> line.startsWith("Avg latency") ? "average latency" : line.startsWith("Percentiles") ? "percentiles" : null,
            org.apache.kafka.tools.EndToEndLatency::main, "--bootstrap-server", BOOTSTRAP, "--topic", "tools-latency", "--num-records", "100", "--producer-acks", "all", "--record-size", "100");
    }

    private static void verifiable() {
        tool("kafka-verifiable-producer", line -> line.contains("producer_send_success") ? null : line.replaceAll("\"(timestamp|avg_throughput)\":[0-9.]+", "\"$1\":N"),
            JvmTools::verifiableProducer, with("--topic", "tools-verifiable", "--max-messages", "200", "--acks", "-1"));
        tool("kafka-verifiable-consumer", line -> line.contains("records_consumed") || line.contains("offsets_committed") ? null : line.replaceAll("\"timestamp\":[0-9.]+", "\"timestamp\":N"),
            org.apache.kafka.tools.VerifiableConsumer::main, with("--topic", "tools-verifiable", "--max-messages", "200", "--group-id", "tools-verifiable-group", "--reset-policy", "earliest"));
    }

    /** This tool sends and leaves the waiting for answers to the end of its JVM. */
    private static void verifiableProducer(String... arguments) throws Exception {
        org.apache.kafka.tools.VerifiableProducer.main(arguments);
        Outcome.until("200 answers", () -> said.toString(StandardCharsets.UTF_8).split("producer_send_success", -1).length > 200, () -> Thread.sleep(10));
    }

    private static void groups() throws Exception {
        Main main = org.apache.kafka.tools.consumer.group.ConsumerGroupCommand::main;
        tool("kafka-consumer-groups.list", line -> line.startsWith("tools-console") ? line : null, main, with("--list"));
        tool("kafka-consumer-groups.list-state", line -> line.startsWith("tools-console") ? line : null, main, with("--list", "--state"));
        tool("kafka-consumer-groups.describe", main, with("--describe", "--group", "tools-console"));
        tool("kafka-consumer-groups.describe-state", main, with("--describe", "--group", "tools-console", "--state"));
        tool("kafka-consumer-groups.describe-members", main, with("--describe", "--group", "tools-console", "--members", "--verbose"));
        tool("kafka-consumer-groups.describe-unknown", main, with("--describe", "--group", "tools-no-such-group"));
        for (String where : List.of("--to-earliest", "--to-latest", "--shift-by=-1", "--to-offset=2", "--to-current", "--by-duration=P1D")) {
            String[] step = where.split("=");
            List<String> arguments = new ArrayList<>(List.of("--reset-offsets", "--group", "tools-console", "--topic", "tools-keys", "--execute"));
            arguments.addAll(List.of(step));
            tool("kafka-consumer-groups.reset" + where, main, with(arguments.toArray(String[]::new)));
        }
        tool("kafka-consumer-groups.reset-to-time", main, with("--reset-offsets", "--group", "tools-console", "--topic", "tools-keys", "--to-datetime", "2020-01-01T00:00:00.000", "--dry-run"));
        tool("kafka-consumer-groups.delete-offsets", main, with("--delete-offsets", "--group", "tools-console", "--topic", "tools-keys"));
        tool("kafka-consumer-groups.delete", main, with("--delete", "--group", "tools-console"));
        tool("kafka-consumer-groups.delete-unknown", main, with("--delete", "--group", "tools-no-such-group"));
        tool("kafka-groups.list", line -> line.startsWith("tools-perf") ? line : null, org.apache.kafka.tools.GroupsCommand::main, with("--list"));
    }

    private static void offsets() throws Exception {
        Main shell = org.apache.kafka.tools.GetOffsetShell::main;
        tool("kafka-get-offsets", shell, with("--topic", "tools-keys"));
        tool("kafka-get-offsets.earliest", shell, with("--topic", "tools-keys", "--time", "-2"));
        tool("kafka-get-offsets.time", shell, with("--topic", "tools-keys", "--time", "1000"));
        tool("kafka-get-offsets.partitions", shell, with("--topic-partitions", "tools-keys:0-2"));
        Path wanted = SCRATCH.resolve("delete-records.json");
        Files.writeString(wanted, "{\"partitions\": [{\"topic\": \"tools-perf\", \"partition\": 0, \"offset\": 1234}], \"version\": 1}");
        tool("kafka-delete-records", org.apache.kafka.tools.DeleteRecordsCommand::main, with("--offset-json-file", wanted.toString()));
        tool("kafka-delete-records.then", shell, with("--topic", "tools-perf", "--time", "-2"));
        Files.writeString(wanted, "{\"partitions\": [{\"topic\": \"tools-perf\", \"partition\": 0, \"offset\": 999999}], \"version\": 1}");
        tool("kafka-delete-records.beyond", org.apache.kafka.tools.DeleteRecordsCommand::main, with("--offset-json-file", wanted.toString()));
    }

    private static void logDirs() {
        tool("kafka-log-dirs", line -> line.replaceAll("\"logDir\":\"[^\"]*\"", "\"logDir\":DIR").replaceAll("\"size\":[0-9]+", "\"size\":N")
                .replaceAll("\"(totalBytes|usableBytes)\":[0-9]+", "\"$1\":N"),
            org.apache.kafka.tools.LogDirsCommand::main, with("--describe", "--topic-list", "tools-topic", "--broker-list", "1"));
    }

    /** The dump tool reads the broker's own files: batches, indexes and snapshots in Kafka's formats, of a sealed segment. */
    private static void dumpLog() throws Exception {
        try (Admin admin = Brokers.admin(); var producer = Brokers.producer("linger.ms", "0")) {
            Brokers.create(admin, "tools-dump", 1, "segment.bytes", "1048576");
            Brokers.create(admin, "tools-dump-small", 1);
            for (int index = 0; index < 60; index++) {
                producer.send(new ProducerRecord<>("tools-dump", 0, 1_600_000_000_000L + index * 1000L, Brokers.bytes("key-" + index), new byte[40_000])).get();
            }
            for (int index = 0; index < 4; index++) {
                var record = new ProducerRecord<>("tools-dump-small", 0, 1_600_000_000_000L + index * 1000L, Brokers.bytes("key-" + index), Brokers.bytes("value-" + index));
                record.headers().add("header", Brokers.bytes("value"));
                producer.send(record).get();
            }
        }
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) {
            try (var producer = Brokers.producer("compression.type", codec)) {
                producer.send(new ProducerRecord<>("tools-dump-small", 0, 1_600_000_000_000L, Brokers.bytes("key"), Brokers.bytes("value".repeat(100)))).get();
            }
        }
        Path directory = DATA.resolve("tools-dump-0");
        try (Stream<Path> files = Files.list(directory)) {
            Outcome.line("files", files.map(path -> path.getFileName().toString()).sorted().toList());
        }
        Outcome.of("files.leader-epoch-checkpoint", () -> Files.readString(directory.resolve("leader-epoch-checkpoint")));
        Outcome.of("files.partition.metadata", () -> Files.readString(directory.resolve("partition.metadata")).replaceAll("topic_id: .{22}", "topic_id: ID"));
        Main dump = org.apache.kafka.tools.DumpLogSegments::main;
        // Timestamps of the producer's last batch are the broker's, and crc covers what differs of a producer.
        Plain plain = line -> line.startsWith("Dumping ") ? "Dumping" : line.replaceAll("producerId: [0-9]+", "producerId: ID")
            .replaceAll("crc: [0-9]+", "crc: N").replaceAll("/[^ ]*/tools-dump", "DIR/tools-dump").replaceAll("lastTimestamp: [0-9]+", "lastTimestamp: TIME");
        String base = directory.resolve("00000000000000000000").toString();
        tool("kafka-dump-log", plain, dump, "--files", base + ".log");
        tool("kafka-dump-log.deep", plain, dump, "--files", base + ".log", "--deep-iteration");
        tool("kafka-dump-log.index", plain, dump, "--files", base + ".index");
        tool("kafka-dump-log.index-sane", plain, dump, "--files", base + ".index", "--index-sanity-check");
        tool("kafka-dump-log.index-verified", plain, dump, "--files", base + ".index", "--verify-index-only");
        tool("kafka-dump-log.timeindex", plain, dump, "--files", base + ".timeindex");
        tool("kafka-dump-log.timeindex-sane", plain, dump, "--files", base + ".timeindex", "--index-sanity-check");
        try (Stream<Path> files = Files.list(directory)) {
            for (Path snapshot : files.filter(path -> path.toString().endsWith(".snapshot")).sorted().toList()) {
                tool("kafka-dump-log.snapshot", plain, dump, "--files", snapshot.toString());
            }
        }
        tool("kafka-dump-log.data", plain, dump, "--files", DATA.resolve("tools-dump-small-0/00000000000000000000.log").toString(), "--print-data-log");
        // The one of five partitions that keeps the group. A sequence means nothing in a batch without a producer.
        Path log = DATA.resolve("__consumer_offsets-" + Math.abs("tools-console".hashCode()) % 5 + "/00000000000000000000.log");
        tool("kafka-dump-log.offsets", once(line -> line.contains("\"tools-console\"") ? groupMetadata(line).replaceAll("^.*(keySize|isControl)", "$1").replaceAll("sequence: -?[0-9]+ ", "")
                    .replaceAll("\"(commitTimestamp|expireTimestamp)\":\"?-?[0-9]+\"?", "\"$1\":TIME").replaceAll("\"topicId\":\"[^\"]*\"", "\"topicId\":ID") : null),
            dump, "--files", log.toString(), "--offsets-decoder");
    }

    private static void cluster() {
        tool("kafka-cluster", line -> line.replaceAll("[A-Za-z0-9_-]{22}", "ID"), org.apache.kafka.tools.ClusterTool::main, "cluster-id", "--bootstrap-server", BOOTSTRAP);
        tool("kafka-cluster.endpoints", line -> line.replaceAll("\\b[0-9]{4,5}\\b", "PORT"), org.apache.kafka.tools.ClusterTool::main, "list-endpoints", "--bootstrap-server", BOOTSTRAP);
        tool("kafka-features", line -> line.replaceAll("Epoch: [0-9]+", "Epoch: N"), org.apache.kafka.tools.FeatureCommand::main, with("describe"));
        tool("kafka-leader-election", org.apache.kafka.tools.LeaderElectionCommand::main, with("--election-type", "preferred", "--topic", "tools-topic", "--partition", "0"));
        tool("kafka-transactions", line -> line, org.apache.kafka.tools.TransactionsCommand::main, with("list"));
        versions();
    }

    /** One case for each API, so that what is not built is named API by API; brokers that say the same say it once. */
    private static void versions() {
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
        try {
            org.apache.kafka.tools.BrokerApiVersionsCommand.main(with());
        } catch (Throwable error) {
            ERR.println(error);
        } finally {
            System.setOut(OUT);
        }
        Set<String> seen = new HashSet<>();
        for (String line : said.toString(StandardCharsets.UTF_8).split("\n")) {
            String api = line.strip();
            if (api.contains("(") && api.contains("): ") && seen.add(api.replaceAll(",$", ""))) {
                Outcome.line("api." + api.substring(0, api.indexOf('(')), api.substring(api.indexOf("): ") + 3).replaceAll(" \\[usable.*|,$", ""));
            }
        }
    }
}
