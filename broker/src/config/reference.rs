//! The reference page of every key, made from the tables so that it cannot fall behind them.

use std::fmt::Write;

use super::broker_keys::BROKER_KEYS;
use super::definition::{Definition, Kind, Update};
use super::topic_keys::TOPIC_KEYS;

/// Keys whose default is not Kafka's: the key, Kafka's default, and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("broker.heartbeat.interval.ms", "2000", "a lost host is noticed sooner"),
    ("broker.session.timeout.ms", "9000", "a lost host is noticed sooner"),
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
    page.push_str("\n## Topic keys\n\nSet on a topic, or for all topics by the broker key beside.\n\n");
    page.push_str("| key | default | values | broker keys | meaning |\n|---|---|---|---|---|\n");
    for key in TOPIC_KEYS {
        let synonyms: Vec<_> = key.synonyms.iter().map(|(name, _)| format!("`{name}`")).collect();
        let Definition { name, default, kind, doc, .. } = key.definition;
        let default = code(default.unwrap_or("null"));
        let _ = writeln!(page, "| `{name}` | {default} | {} | {} | {doc} |", values(kind), synonyms.join(", "));
    }
    page.push_str("\n## Broker keys\n\n| key | default | values | changes | meaning |\n|---|---|---|---|---|\n");
    for Definition { name, default, kind, doc, update } in BROKER_KEYS {
        let update = match update {
            Update::ReadOnly => "at start",
            Update::ClusterWide => "at once",
        };
        let default = code(default.unwrap_or("null"));
        let _ = writeln!(page, "| `{name}` | {default} | {} | {update} | {doc} |", values(*kind));
    }
    page
}

const HEAD: &str = "# Configuration

Settings come from `--config server.properties`, then `WEIR_*` variables (`WEIR_LOG_DIRS` sets `log.dirs`; two underscores stand for
one, three for a hyphen), then `-o key=value`. Names, units and meanings are Kafka's. This page is made from the tables in
`broker/src/config`.

## Where defaults differ from Kafka's
";

fn code(text: &str) -> String {
    if text.is_empty() { "(empty)".to_owned() } else { format!("`{text}`") }
}

fn values(kind: Kind) -> String {
    match kind {
        Kind::Boolean => "true, false".to_owned(),
        Kind::Short(min, max) | Kind::Int(min, max) | Kind::Long(min, max) => range(min, max),
        Kind::Double(min, max) => format!("{min} to {max}"),
        Kind::String => "text".to_owned(),
        Kind::Password => "secret".to_owned(),
        Kind::OneOf(words) => words.join(", "),
        Kind::List => "list".to_owned(),
        Kind::ListOf(words) => format!("list of {}", words.join(", ")),
    }
}

fn range(min: i64, max: i64) -> String {
    match max {
        i64::MAX => format!("{min} or more"),
        max if max == i64::from(i32::MAX) => format!("{min} or more"),
        max => format!("{min} to {max}"),
    }
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
