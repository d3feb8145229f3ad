//! Every command of the binary, as a newcomer types it, against a broker of the same binary.

mod broker;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use broker::Broker;
use serde_json::Value;

/// What a command said and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the commands of these tests print text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    #[track_caller]
    fn printed(&self, out: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(0), out), "{self:?}");
    }

    #[track_caller]
    fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {:?}", self.err);
        }
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    fn json_lines(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// Runs `weir` with these words, and `input` on its standard input.
fn weir(bootstrap: &str, line: &str, input: &[u8]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(line.split(' ')).env("WEIR_BOOTSTRAP", bootstrap);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("weir starts");
    // A command that reads nothing may have closed its input.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    child.wait_with_output().expect("weir ends").into()
}

impl Broker {
    fn weir(&self, line: &str) -> Said {
        weir(self.address(), line, b"")
    }

    fn produce(&self, line: &str, input: &[u8]) -> Said {
        weir(self.address(), &format!("produce {line}"), input)
    }
}

#[test]
fn the_first_message_goes_round_as_the_readme_says() {
    let broker = Broker::start();
    let created = broker.weir("topic create greetings --partitions 3");
    created.printed("created topic greetings with 3 partitions, replication factor 1\n");
    broker.produce("greetings", b"hello\n").printed("");
    broker.weir("consume greetings --from earliest --max 1").printed("hello\n");
}

#[test]
fn topics_are_created_listed_described_altered_and_deleted() {
    let broker = Broker::start();
    let created = broker.weir("topic create orders -p 2 -c retention.ms=3600000 -o json").json();
    assert_eq!(created["name"], "orders");
    assert_eq!((&created["partitions"], &created["created"]), (&2.into(), &true.into()));
    let id = created["topic_id"].as_str().expect("the broker tells the id").to_owned();
    let listed = broker.weir("topic list");
    listed.printed("NAME    PARTITIONS  REPLICAS\norders           2         1\n");
    assert_eq!(broker.weir("topic list -o json").json()[0]["topic_id"], *id);

    broker.produce("orders --partition 1", b"a\nb\n").printed("");
    let altered = broker.weir("topic alter orders --partitions 3 --set segment.ms=60000 --unset retention.ms");
    altered.printed("topic orders altered: 3 partitions; segment.ms, retention.ms\n");
    let described = broker.weir("topic describe orders -o json").json();
    let partitions = described[0]["partitions"].as_array().expect("partitions").clone();
    assert_eq!(partitions.len(), 3);
    assert_eq!((&partitions[1]["start_offset"], &partitions[1]["end_offset"]), (&0.into(), &2.into()));
    let configs = described[0]["configs"].as_array().expect("configs");
    let set: Vec<_> = configs.iter().filter(|it| it["source"] == "topic").map(|it| &it["name"]).collect();
    assert_eq!(set, ["segment.ms"]);
    let table = broker.weir("topic describe orders");
    assert!(table.out.contains("PARTITION  LEADER") && table.out.contains("segment.ms"), "{table:?}");

    broker.weir("topic delete orders").printed("deleted topic orders\n");
    broker.weir("topic list -o json").printed("[]\n");
    broker.weir("topic delete orders --if-exists").printed("there was no topic orders\n");
}

#[test]
fn keys_headers_bytes_and_nulls_come_back_as_they_were_sent() {
    let broker = Broker::start();
    broker.weir("topic create t -p 1").printed("created topic t with 1 partition, replication factor 1\n");
    let sent =
        broker.produce("t --key-separator : -H trace=1 -H trace -z zstd -o json", b"k:v:w\nk2:\xff\n").json_lines();
    assert_eq!(sent.iter().map(|it| it["offset"].as_i64()).collect::<Vec<_>>(), [Some(0), Some(1)]);
    broker.produce("t --tombstone --key k --timestamp 1000 --report", b"").printed("topic t partition 0 offset 2\n");
    broker.produce("t --value last --acks 0", b"").printed("");
    // Nobody said when it is written: this waits until it is there.
    broker.weir("consume t --from 3 --max 1").printed("last\n");
    let read = broker.weir("consume t --from earliest --exit-at-end -o json").json_lines();
    assert_eq!(read.len(), 4, "{read:?}");
    assert_eq!((&read[0]["key"], &read[0]["value"]), (&"k".into(), &"v:w".into()));
    let headers = serde_json::json!([{"key": "trace", "value": "1"}, {"key": "trace", "value": null}]);
    assert_eq!(read[0]["headers"], headers);
    assert_eq!(read[1]["value"], serde_json::json!({"base64": "/w=="}));
    assert_eq!((&read[2]["value"], &read[2]["timestamp"]), (&Value::Null, &1000.into()));
    assert_eq!((&read[3]["value"], &read[3]["key"]), (&"last".into(), &Value::Null));
    let shown = broker.weir("consume t --from 2 --max 1 --show key,offset,timestamp");
    shown.printed("k\t2\t1970-01-01T00:00:01.000Z\tnull\n");
}

#[test]
fn reading_begins_and_ends_where_it_is_told() {
    let broker = Broker::start();
    broker.weir("topic create t -p 1 -o json").json();
    let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
    broker.produce("t --compression lz4", lines.as_bytes()).printed("");
    broker.weir("consume t --from earliest --exit-at-end").printed(&lines);
    broker.weir("consume t --from 997 -e").printed("997\n998\n999\n");
    broker.weir("consume t --from -2 -e").printed("998\n999\n");
    broker.weir("consume t --from 1h --max 2").printed("0\n1\n");
    broker.weir("consume t -e").printed("");
    broker.weir("consume t --from 1001 -e").failed(1, &["t-0 has no offset 1001", "holds 0 up to 1000"]);
}

#[test]
fn files_are_read_by_line_or_whole() {
    let broker = Broker::start();
    broker.weir("topic create t -p 1 -o json").json();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lines");
    std::fs::write(&path, "one\ntwo").expect("a file");
    broker.produce(&format!("t --file {}", path.display()), b"").printed("");
    broker.produce(&format!("t --value-file {}", path.display()), b"").printed("");
    broker.weir("consume t --from earliest -e").printed("one\ntwo\none\ntwo\n");
    let read = broker.weir("consume t --from 2 -n 1 -o json").json();
    assert_eq!(read["value"], "one\ntwo");
    broker.produce("t --file /nowhere/at/all", b"").failed(1, &["/nowhere/at/all"]);
}

#[test]
fn following_prints_records_as_they_come() {
    let broker = Broker::start();
    broker.weir("topic create t -p 2 -o json").json();
    let mut follow = Command::new(env!("CARGO_BIN_EXE_weir"));
    follow.args(["consume", "t", "--from", "earliest", "--max", "2", "--bootstrap", broker.address()]);
    let follow = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("weir starts");
    broker.produce("t --partition 0", b"first\n").printed("");
    broker.produce("t --partition 1", b"second\n").printed("");
    let said: Said = follow.wait_with_output().expect("weir ends").into();
    let mut lines: Vec<_> = said.out.lines().collect();
    lines.sort_unstable();
    assert_eq!((said.code, lines), (Some(0), vec!["first", "second"]));
}

#[test]
fn the_cluster_describes_itself() {
    let broker = Broker::start();
    let cluster = broker.weir("cluster describe -o json").json();
    let described = &cluster["brokers"][0];
    assert_eq!(format!("{}:{}", described["host"].as_str().unwrap(), described["port"]), broker.address());
    assert_eq!(cluster["controller_id"], described["id"]);
    let table = broker.weir("cluster describe");
    assert!(table.out.starts_with(&format!("cluster {}", cluster["cluster_id"].as_str().unwrap())), "{table:?}");
}

#[test]
fn a_replica_moves_to_another_directory_and_is_seen_on_its_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let paths = [1, 2].map(|number| directory.path().join(format!("disk-{number}")).display().to_string());
    // A megabyte a second: four seconds, in which it is asked again and again.
    let rate = "replica.alter.log.dirs.io.max.bytes.per.second=1048576".to_owned();
    let broker = Broker::start_with(&[format!("log.dirs={}", paths.join(",")), rate]);
    broker.weir("topic create orders -p 1 -o json").json();
    let id = broker.weir("cluster describe -o json").json()["controller_id"].to_string();
    let lines = format!("{}\n", "x".repeat(1023)).repeat(4096);
    broker.produce("orders", lines.as_bytes()).printed("");
    let holding = || {
        let dirs = broker.weir("cluster dirs --topic orders -o json").json();
        let dirs = dirs.as_array().expect("directories").clone();
        assert_eq!(dirs.len(), 2, "{dirs:?}");
        let holds =
            |dir: &&Value| dir["replicas"].as_array().is_some_and(|all| all.iter().any(|it| it["is_future"] == false));
        dirs.iter().find(holds).expect("the replica lies somewhere").clone()
    };
    let (before, to) =
        (holding(), |from: &Value| paths.iter().find(|path| from != path.as_str()).expect("two").clone());
    assert!(before["replica_bytes"].as_u64().is_some_and(|bytes| bytes >= 4 << 20), "{before}");
    let to = to(&before["path"]);
    let moving = broker.weir(&format!("partition move-dir orders-0 --broker {id} --to {to}"));
    moving.printed(&format!("orders-0 is moving to {to} on broker {id}\n"));
    let mut seen = Vec::new();
    while holding()["path"] != *to {
        seen.extend(broker.weir("partition moves -o json").json().as_array().expect("moves").clone());
    }
    let seen = &seen.first().expect("it was under way for seconds")["directory"];
    assert_eq!((&seen["from"], seen["to"].as_str()), (&before["path"], Some(&*to)), "{seen}");
    let replicas = broker.weir("cluster dirs --replicas");
    assert!(replicas.out.contains(&format!("orders-0        {id}  {to}")), "{replicas:?}");
    assert!(broker.weir("cluster dirs").out.contains("online"));
    let wrong = broker.weir(&format!("partition move-dir orders-0 --broker {id} --to /nowhere -o json"));
    assert!(wrong.err.contains("LOG_DIR_NOT_FOUND") && wrong.err.contains("`weir cluster dirs`"), "{wrong:?}");
    let unknown = broker.weir(&format!("partition move-dir none-0 --broker {id} --to {to} -o json"));
    assert!(unknown.err.contains("REPLICA_NOT_AVAILABLE"), "{unknown:?}");
}

#[test]
fn what_goes_wrong_says_what_to_do_next() {
    let broker = Broker::start();
    broker.weir("topic create greetings -o json").json();
    let mistyped = ["did you mean greetings?", "`weir topic list`", "`weir topic create gretings`"];
    for command in ["consume gretings", "produce gretings", "topic describe gretings", "topic alter gretings -p 9"] {
        broker.weir(command).failed(1, &mistyped);
    }
    broker.weir("topic create greetings").failed(1, &["TOPIC_ALREADY_EXISTS", "--if-not-exists"]);
    broker.weir("topic create greetings --if-not-exists").printed("exists already: topic greetings\n");
    broker.weir("topic create t -r 3").failed(1, &["INVALID_REPLICATION_FACTOR", "`weir cluster describe`"]);
    broker.weir("topic create t -c retention.mss=1").failed(1, &["retention.mss", "INVALID_CONFIG"]);
    broker.weir("topic alter greetings").failed(2, &["--partitions"]);
    broker.weir("produce greetings --partition 99").failed(1, &["no partition 99"]);
    broker.weir("consume greetings --partition 99").failed(1, &["no partition 99"]);
    let unsplit = broker.produce("greetings --key-separator : --partition 0 --report", b"k:v\nno key\n");
    assert_eq!((unsplit.code, unsplit.out.as_str()), (Some(1), "topic greetings partition 0 offset 0\n"));
    assert!(unsplit.err.contains("line 2"), "{unsplit:?}");
    let delete = broker.weir("topic delete greetings gone");
    assert_eq!((delete.code, delete.out.as_str()), (Some(1), "deleted topic greetings\n"));
    assert!(delete.err.contains("there is no topic gone"), "{delete:?}");
}

#[test]
fn without_a_broker_the_way_to_start_one_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = listener.local_addr().expect("its address").to_string();
    drop(listener);
    weir(&free, "topic list", b"").failed(1, &["cannot reach the cluster", &free, "`weir serve`", "--bootstrap"]);
}

#[test]
fn a_wrong_call_is_a_usage_error() {
    for line in ["topic", "produce t --acks 7", "consume t --from sometime", "topic list --bootstrap nowhere", "fly"] {
        weir("127.0.0.1:1", line, b"").failed(2, &["--help"]);
    }
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let broker = Broker::start();
    broker.weir("topic create t -p 1 -o json").json();
    let lines = "a line that is long enough to fill a pipe in a while\n".repeat(20_000);
    broker.produce("t", lines.as_bytes()).printed("");
    let mut consume = Command::new(env!("CARGO_BIN_EXE_weir"));
    consume.args(["consume", "t", "--from", "earliest", "--bootstrap", broker.address()]);
    let mut consume = consume.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("weir starts");
    drop(consume.stdout.take());
    let said: Said = consume.wait_with_output().expect("weir ends").into();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}

#[test]
fn cargo_run_finds_the_binary_that_the_readme_means() {
    let manifest = include_str!("../../Cargo.toml");
    assert!(manifest.contains("\ndefault-members = [\"cli\"]\n"), "`cargo run -- serve` would ask which binary");
}
