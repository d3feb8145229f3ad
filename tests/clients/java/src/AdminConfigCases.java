import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.ConfigResource.Type;

/** Configurations by Admin: every topic config with its source, type and synonyms; changes, dynamic broker configs, refusals. */
final class AdminConfigCases {
    private static final ConfigResource TOPIC = new ConfigResource(Type.TOPIC, "java-configs");
    private static final ConfigResource BROKER = new ConfigResource(Type.BROKER, "1");
    private static final ConfigResource EVERY_BROKER = new ConfigResource(Type.BROKER, "");

    private AdminConfigCases() {
    }

    static void run() throws Exception {
        try (Admin admin = Brokers.admin()) {
            Outcome.section("configs.topic", () -> topic(admin));
            Outcome.section("configs.change", () -> change(admin));
            Outcome.section("configs.refused", () -> refused(admin));
            Outcome.section("configs.broker", () -> broker(admin));
            Outcome.section("configs.dynamic", () -> dynamic(admin));
            Outcome.section("configs.other", () -> other(admin));
            Outcome.section("configs.groups", () -> groups(admin));
            Outcome.section("configs.client-metrics", () -> clientMetrics(admin));
        }
    }

    private static String plain(ConfigEntry entry) {
        return Outcome.plain(String.valueOf(entry.value())) + " " + entry.source() + " " + entry.type() + (entry.isSensitive() ? " sensitive" : "")
            + (entry.isReadOnly() ? " read-only" : "") + " synonyms "
            + entry.synonyms().stream().map(s -> s.name() + "=" + Outcome.plain(String.valueOf(s.value())) + ":" + s.source()).toList();
    }

    private static Collection<ConfigEntry> describe(Admin admin, ConfigResource resource) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        TreeMap<String, ConfigEntry> sorted = new TreeMap<>();
        admin.describeConfigs(List.of(resource), options).all().get().get(resource).entries().forEach(entry -> sorted.put(entry.name(), entry));
        return sorted.values();
    }

    private static void topic(Admin admin) throws Exception {
        Brokers.create(admin, "java-configs", 1, "retention.bytes", "99999999");
        for (ConfigEntry entry : describe(admin, TOPIC)) {
            Outcome.line("config.topic." + entry.name(), plain(entry) + (entry.documentation() == null ? " undocumented" : " documented"));
        }
        Outcome.of("config.topic.brief", () -> {
            var entries = admin.describeConfigs(List.of(TOPIC)).all().get().get(TOPIC);
            return entries.get("retention.bytes").value() + " " + entries.get("retention.bytes").synonyms() + " " + entries.get("retention.bytes").documentation();
        });
    }

    private static String alter(Admin admin, ConfigResource resource, String name, String value, OpType operation) throws Exception {
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(name, value), operation)))).all().get();
        return "ok";
    }

    /** Alters, and waits for a moment until what is described is what is expected: the reference applies changes after it has answered. */
    private static void changed(Admin admin, String step, ConfigResource resource, String name, String value, OpType operation, String expected) {
        Outcome.of("config.change." + step, () -> {
            alter(admin, resource, name, value, operation);
            return eventually(admin, resource, name, expected);
        });
    }

    private static String eventually(Admin admin, ConfigResource resource, String name, String expected) throws Exception {
        long deadline = System.currentTimeMillis() + 5000;
        while (true) {
            String described = describe(admin, resource).stream().filter(entry -> entry.name().equals(name)).findFirst().map(AdminConfigCases::plain).orElse("not listed");
            if (described.startsWith(expected) || System.currentTimeMillis() > deadline) {
                return described;
            }
            Thread.sleep(10);
        }
    }

    private static void change(Admin admin) throws Exception {
        changed(admin, "set", TOPIC, "retention.ms", "777777", OpType.SET, "777777 ");
        changed(admin, "delete", TOPIC, "retention.ms", null, OpType.DELETE, "-1 ");
        changed(admin, "delete-again", TOPIC, "retention.ms", null, OpType.DELETE, "-1 ");
        changed(admin, "append", TOPIC, "cleanup.policy", "compact", OpType.APPEND, "delete,compact ");
        changed(admin, "subtract", TOPIC, "cleanup.policy", "delete", OpType.SUBTRACT, "compact ");
        changed(admin, "back", TOPIC, "cleanup.policy", "delete", OpType.SET, "delete ");
        Outcome.of("config.change.validate-only", () -> {
            var options = new AlterConfigsOptions().validateOnly(true);
            admin.incrementalAlterConfigs(Map.of(TOPIC, List.of(new AlterConfigOp(new ConfigEntry("segment.ms", "1234567"), OpType.SET))), options).all().get();
            return plain(describe(admin, TOPIC).stream().filter(entry -> entry.name().equals("segment.ms")).findFirst().orElseThrow());
        });
        Outcome.of("config.change.many", () -> {
            admin.incrementalAlterConfigs(Map.of(TOPIC, List.of(
                new AlterConfigOp(new ConfigEntry("segment.bytes", "1048576"), OpType.SET),
                new AlterConfigOp(new ConfigEntry("flush.messages", "5"), OpType.SET)))).all().get();
            eventually(admin, TOPIC, "flush.messages", "5 ");
            return describe(admin, TOPIC).stream().filter(entry -> entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG)
                .map(entry -> entry.name() + "=" + entry.value()).sorted().toList();
        });
    }

    private static void refused(Admin admin) throws Exception {
        Outcome.of("config.refused.unknown", () -> alter(admin, TOPIC, "no.such.config", "1", OpType.SET));
        Outcome.of("config.refused.not-a-number", () -> alter(admin, TOPIC, "retention.ms", "soon", OpType.SET));
        Outcome.of("config.refused.out-of-range", () -> alter(admin, TOPIC, "segment.bytes", "1", OpType.SET));
        Outcome.of("config.refused.not-a-choice", () -> alter(admin, TOPIC, "message.timestamp.type", "Yesterday", OpType.SET));
        Outcome.of("config.refused.not-a-boolean", () -> alter(admin, TOPIC, "preallocate", "perhaps", OpType.SET));
        Outcome.of("config.refused.append-to-number", () -> alter(admin, TOPIC, "retention.ms", "1", OpType.APPEND));
        Outcome.of("config.refused.local-retention", () -> alter(admin, TOPIC, "local.retention.ms", "9999999999", OpType.SET));
        Outcome.of("config.refused.unknown-topic", () -> alter(admin, new ConfigResource(Type.TOPIC, "java-no-such-topic"), "retention.ms", "1", OpType.SET));
        Outcome.of("config.refused.unknown-broker", () -> {
            try (Admin hasty = Admin.create(Brokers.with("default.api.timeout.ms", "2000", "request.timeout.ms", "1000"))) {
                return alter(hasty, new ConfigResource(Type.BROKER, "99"), "log.retention.ms", "1", OpType.SET);
            }
        });
        Outcome.of("config.refused.read-only", () -> alter(admin, BROKER, "node.id", "4", OpType.SET));
        Outcome.of("config.refused.dynamic-value", () -> alter(admin, EVERY_BROKER, "log.flush.interval.messages", "zero", OpType.SET));
        Outcome.of("config.refused.dynamic-range", () -> alter(admin, EVERY_BROKER, "max.connections", "-1", OpType.SET));
        Outcome.of("config.refused.dynamic-overrides", () -> alter(admin, BROKER, "max.connections.per.ip.overrides", "127.0.0.1", OpType.SET));
        Outcome.of("config.refused.unknown-broker-config", () -> {
            String taken = alter(admin, BROKER, "no.such.config", "1", OpType.SET);
            alter(admin, BROKER, "no.such.config", null, OpType.DELETE);
            return taken;
        });
        Outcome.of("config.refused.certificates-of-all", () -> alter(admin, BROKER, "ssl.keystore.location", "/nowhere.pem", OpType.SET));
        Outcome.of("config.refused.certificates-of-cluster", () -> alter(admin, EVERY_BROKER, "listener.name.ssl.ssl.keystore.location", "/nowhere.pem", OpType.SET));
        Outcome.of("config.refused.certificates-of-none", () -> alter(admin, BROKER, "listener.name.ssl.ssl.keystore.location", "/nowhere.pem", OpType.SET));
        Outcome.of("config.refused.broker-not-a-number", () -> alter(admin, new ConfigResource(Type.BROKER, "one"), "log.retention.ms", "1", OpType.SET));
        Outcome.of("config.refused.throttled-replicas", () -> alter(admin, TOPIC, "leader.replication.throttled.replicas", "all", OpType.SET));
        Outcome.of("config.refused.gzip-level", () -> alter(admin, TOPIC, "compression.gzip.level", "0", OpType.SET));
        Outcome.of("config.refused.describe-unknown", () -> describe(admin, new ConfigResource(Type.TOPIC, "java-no-such-topic")));
        Outcome.of("config.refused.twice", () -> {
            admin.incrementalAlterConfigs(Map.of(TOPIC, List.of(
                new AlterConfigOp(new ConfigEntry("segment.ms", "1000"), OpType.SET),
                new AlterConfigOp(new ConfigEntry("segment.ms", "2000"), OpType.SET)))).all().get();
            return "ok";
        });
    }

    private static void broker(Admin admin) throws Exception {
        for (ConfigEntry entry : describe(admin, BROKER)) {
            // What the harness itself sets differently at each start, and what drivers that run meanwhile change.
            boolean ours = List.of("log.dirs", "listeners", "advertised.listeners", "controller.quorum.voters", "ssl.keystore.location",
                "log.flush.interval.messages", "log.flush.interval.ms", "log.message.timestamp.after.max.ms",
                "process.roles", "controller.listener.names", "listener.security.protocol.map").contains(entry.name());
            Outcome.line("config.broker." + entry.name(), ours ? "listed" : plain(entry));
        }
    }

    private static void dynamic(Admin admin) throws Exception {
        changed(admin, "cluster-default", EVERY_BROKER, "log.flush.interval.messages", "1000000", OpType.SET, "1000000 ");
        Outcome.of("config.dynamic.every-broker", () -> describe(admin, EVERY_BROKER).stream().filter(entry -> entry.name().contains("flush")).map(ConfigEntry::name).toList());
        changed(admin, "one-broker", BROKER, "log.flush.interval.messages", "2000000", OpType.SET, "2000000 ");
        Outcome.of("config.dynamic.topic-follows", () -> eventually(admin, new ConfigResource(Type.TOPIC, "java-groups"), "flush.messages", "2000000 "));
        changed(admin, "one-broker-deleted", BROKER, "log.flush.interval.messages", null, OpType.DELETE, "1000000 ");
        changed(admin, "connections", EVERY_BROKER, "max.connections.per.ip", "100000", OpType.SET, "100000 ");
        Outcome.of("config.dynamic.connections", () -> eventually(admin, BROKER, "max.connections.per.ip", "100000 "));
        Outcome.of("config.dynamic.connections-deleted", () -> alter(admin, EVERY_BROKER, "max.connections.per.ip", null, OpType.DELETE));
        changed(admin, "throttle", BROKER, "leader.replication.throttled.rate", "1000000000", OpType.SET, "1000000000 ");
        Outcome.of("config.dynamic.throttle-deleted", () -> alter(admin, BROKER, "leader.replication.throttled.rate", null, OpType.DELETE));
        Outcome.of("config.dynamic.cluster-deleted", () -> alter(admin, EVERY_BROKER, "log.flush.interval.messages", null, OpType.DELETE));
    }

    private static void other(Admin admin) throws Exception {
        Outcome.section("config.group", () -> {
            for (ConfigEntry entry : describe(admin, new ConfigResource(Type.GROUP, "java-config-group"))) {
                Outcome.line("config.group." + entry.name(), plain(entry));
            }
        });
        Outcome.of("config.client-metrics", () -> describe(admin, new ConfigResource(Type.CLIENT_METRICS, "java-metrics")).stream().map(ConfigEntry::name).toList());
        Outcome.of("config.broker-logger", () -> describe(admin, new ConfigResource(Type.BROKER_LOGGER, "1")).isEmpty() ? "empty" : "listed");
        Outcome.of("config.resources.topics", () -> admin.listConfigResources(java.util.Set.of(Type.TOPIC), new ListConfigResourcesOptions()).all().get().stream()
            .map(ConfigResource::name).filter(name -> name.startsWith("java-config")).sorted().toList());
        Outcome.of("config.resources.brokers", () -> admin.listConfigResources(java.util.Set.of(Type.BROKER), new ListConfigResourcesOptions()).all().get());
    }

    private static void groups(Admin admin) throws Exception {
        ConfigResource group = new ConfigResource(Type.GROUP, "java-config-group");
        changed(admin, "group", group, "consumer.session.timeout.ms", "50000", OpType.SET, "50000 ");
        Outcome.of("config.group.listed", () -> admin.listConfigResources(java.util.Set.of(Type.GROUP), new ListConfigResourcesOptions()).all().get());
        Outcome.of("config.group.refused.unknown", () -> alter(admin, group, "retention.ms", "1", OpType.SET));
        Outcome.of("config.group.refused.not-a-number", () -> alter(admin, group, "consumer.session.timeout.ms", "soon", OpType.SET));
        Outcome.of("config.group.refused.low", () -> alter(admin, group, "consumer.session.timeout.ms", "1000", OpType.SET));
        Outcome.of("config.group.refused.high", () -> alter(admin, group, "streams.num.standby.replicas", "9", OpType.SET));
        Outcome.of("config.group.refused.reset", () -> alter(admin, group, "share.auto.offset.reset", "tomorrow", OpType.SET));
        Outcome.of("config.group.refused.nameless", () -> alter(admin, new ConfigResource(Type.GROUP, ""), "consumer.session.timeout.ms", "50000", OpType.SET));
        Outcome.of("config.group.reset", () -> alter(admin, group, "share.auto.offset.reset", "by_duration:PT1H", OpType.SET));
        Outcome.of("config.group.reset-deleted", () -> alter(admin, group, "share.auto.offset.reset", null, OpType.DELETE));
        Outcome.of("config.group.deleted", () -> alter(admin, group, "consumer.session.timeout.ms", null, OpType.DELETE));
        Outcome.of("config.group.describe-nameless", () -> describe(admin, new ConfigResource(Type.GROUP, "")));
    }

    private static void clientMetrics(Admin admin) throws Exception {
        ConfigResource subscription = new ConfigResource(Type.CLIENT_METRICS, "java-metrics");
        changed(admin, "client-metrics", subscription, "interval.ms", "60000", OpType.SET, "60000 ");
        changed(admin, "client-metrics-list", subscription, "metrics", "org.apache.kafka.producer.,org.apache.kafka.consumer.", OpType.SET, "org.apache.kafka.producer.");
        Outcome.of("config.client-metrics.append", () -> alter(admin, subscription, "metrics", "org.apache.kafka.streams.", OpType.APPEND));
        Outcome.of("config.client-metrics.described", () -> describe(admin, subscription).stream().map(entry -> entry.name() + " " + plain(entry)).toList());
        Outcome.of("config.client-metrics.listed", () -> admin.listConfigResources(java.util.Set.of(Type.CLIENT_METRICS), new ListConfigResourcesOptions()).all().get());
        Outcome.of("config.client-metrics.refused.unknown", () -> alter(admin, subscription, "interval", "1", OpType.SET));
        Outcome.of("config.client-metrics.refused.interval", () -> alter(admin, subscription, "interval.ms", "99", OpType.SET));
        Outcome.of("config.client-metrics.refused.not-a-number", () -> alter(admin, subscription, "interval.ms", "soon", OpType.SET));
        Outcome.of("config.client-metrics.refused.match", () -> alter(admin, subscription, "match", "colour=red", OpType.SET));
        Outcome.of("config.client-metrics.refused.nameless", () -> alter(admin, new ConfigResource(Type.CLIENT_METRICS, ""), "interval.ms", "60000", OpType.SET));
        Outcome.of("config.client-metrics.match", () -> alter(admin, subscription, "match", "client_id=app-.*", OpType.SET));
        Outcome.of("config.client-metrics.deleted", () -> {
            for (String name : List.of("interval.ms", "metrics", "match")) {
                alter(admin, subscription, name, null, OpType.DELETE);
            }
            return admin.listConfigResources(java.util.Set.of(Type.CLIENT_METRICS), new ListConfigResourcesOptions()).all().get();
        });
    }
}
