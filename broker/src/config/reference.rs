//! The reference page of every key, made from the tables so that it cannot fall behind them.

use std::fmt::Write;

use super::broker_keys::BROKER_KEYS;
use super::client_metrics_keys::CLIENT_METRICS_KEYS;
use super::definition::{Definition, Effect, Update};
use super::group_keys::GROUP_KEYS;
use super::topic_keys::TOPIC_KEYS;

/// Keys whose default is not Kafka's: the key, Kafka's default, and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("broker.heartbeat.interval.ms", "2000", "a lost host is noticed sooner"),
    ("broker.session.timeout.ms", "9000", "a lost host is noticed sooner"),
    ("controller.quorum.election.timeout.ms", "1000", "a lost active controller is replaced sooner"),
    ("controller.quorum.fetch.timeout.ms", "2000", "a lost active controller is replaced sooner"),
    ("http.listener", "(none)", "Weir's own: metrics and health"),
    ("listeners", "PLAINTEXT://:9092", "nothing is open to the network unless that is asked for"),
    ("log.dir", "/tmp/kafka-logs", "a file system that forgets is no place for data"),
    ("node.id", "(required)", "a single node needs no file"),
    ("num.network.threads", "3", "connections are pinned to threads, which also do the work"),
    ("process.roles", "(required)", "a single node needs no file"),
    ("queued.max.request.bytes", "-1 (no bound)", "-1 is a bound of 1 GiB"),
    ("replica.lag.time.max.ms", "30000", "a replica that lags leaves the in-sync set sooner"),
    (
        "socket.listen.backlog.size",
        "50",
        "less than 1024 is raised to 1024, so that a burst of clients is not turned away",
    ),
    ("ssl.keystore.type", "JKS", "PEM is what is read"),
    ("ssl.truststore.type", "JKS", "PEM is what is read"),
    ("listener.security.protocol.map", "all four protocols", "SASL is not built"),
    ("socket.receive.buffer.bytes", "102400", "left to the system, which tunes it"),
    ("socket.send.buffer.bytes", "102400", "left to the system, which tunes it"),
];

/// The page, in Markdown.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n| key | here | Kafka | why |\n|---|---|---|---|\n");
    for (key, kafkas, why) in DIFFERENCES {
        let ours = super::broker_keys::broker_key(key).and_then(|key| key.default).unwrap_or("");
        let _ = writeln!(page, "| `{key}` | {} | {kafkas} | {why} |", code(ours));
    }
    page.push_str(SEVERAL_NODES);
    page.push_str("\n## Topic keys\n\nSet on a topic, or for all topics by the broker key beside.\n\n");
    page.push_str("| key | default | values | broker keys | meaning |\n|---|---|---|---|---|\n");
    for key in TOPIC_KEYS {
        let synonyms: Vec<_> = key.synonyms.iter().map(|(name, _)| format!("`{name}`")).collect();
        let definition = &key.definition;
        let Definition { name, kind, .. } = definition;
        let (default, synonyms, meaning) = (default(definition), synonyms.join(", "), meaning(definition));
        let _ = writeln!(page, "| `{name}` | {default} | {kind} | {synonyms} | {meaning} |");
    }
    page.push_str("\n## Broker keys\n\n| key | default | values | changes | meaning |\n|---|---|---|---|---|\n");
    for definition in BROKER_KEYS.iter() {
        let Definition { name, kind, update, .. } = definition;
        let update = match update {
            Update::ReadOnly => "at start",
            Update::PerBroker => "at once, for one broker",
            Update::ClusterWide => "at once",
        };
        let (default, meaning) = (default(definition), meaning(definition));
        let _ = writeln!(page, "| `{name}` | {default} | {kind} | {update} | {meaning} |");
    }
    for (title, keys) in [("Group", GROUP_KEYS), ("Client metrics", CLIENT_METRICS_KEYS)] {
        let _ = write!(page, "\n## {title} keys\n\n| key | default | values | meaning |\n|---|---|---|---|\n");
        for definition in keys {
            let Definition { name, kind, .. } = definition;
            let _ = writeln!(page, "| `{name}` | {} | {kind} | {} |", default(definition), meaning(definition));
        }
    }
    page
}

fn default(definition: &Definition) -> String {
    code(definition.default.unwrap_or("null"))
}

fn meaning(definition: &Definition) -> String {
    match definition.effect {
        Effect::Acts => definition.doc.to_owned(),
        Effect::None(why) => format!("{} **No effect**: {why}.", definition.doc),
    }
}

const HEAD: &str = "# Configuration

Settings come from `--config server.properties`, then `WEIR_*` variables (`WEIR_LOG_DIRS` sets `log.dirs`; two underscores stand for
one, three for a hyphen), then `-o key=value`. Names, units and meanings are Kafka's. This page is made from the tables in
`broker/src/config`.

Every key of Apache Kafka 4.3 is taken and shown, so that its files and tools work. Those marked **No effect** change nothing: a start
whose settings name one says so, with the reason.

## Where defaults differ from Kafka's
";

const SEVERAL_NODES: &str = "
Where `default.replication.factor` is not set, a topic that does not say gets as many replicas as brokers are registered, up to three;
the internal topics do so too. Where it is three or more, or where it is not set and `controller.quorum.voters` or
`controller.quorum.bootstrap.servers` names several nodes, `min.insync.replicas` is 2 unless it is set, and 1 for topics of fewer
than three replicas: what was acknowledged survives the loss of any one node.

Who left the in-sync replicas when fewer than `min.insync.replicas` remained may lead without them (eligible leader replicas, KIP-966). Unlike
Kafka, no cluster-wide value of that key is written for it, so what the file says goes on counting and should be the same on every node;
one broker cannot be given its own at run time.
";

fn code(text: &str) -> String {
    if text.is_empty() { "(empty)".to_owned() } else { format!("`{text}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

    /// `WEIR_WRITE_DOCS=1 cargo test -p weir-broker reference` writes it anew.
    #[test]
    fn the_page_in_docs_is_what_the_tables_say() {
        if std::env::var_os("WEIR_WRITE_DOCS").is_some() {
            std::fs::write(PATH, page()).unwrap();
        }
        assert!(std::fs::read_to_string(PATH).unwrap() == page(), "docs/configuration.md is out of date");
    }
}
