//! The elections suite: who may lead a partition of three brokers when not all of them can be trusted (KIP-966), and what a leader says that was away.
//!
//! `elections`: each rule on a cluster of its own, or on one that the rule before left whole.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    CreateTopicsRequest, DescribeTopicPartitionsRequest, ProduceResponse, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use tempfile::TempDir;
use weir_protocol::compression::Codec;
use weir_protocol::records::BatchBuilder;
use weir_tests::cluster::{Cluster, NodeOptions, Roles};
use weir_tests::load::AnyError;
use weir_tests::verdict::Verdict;
use weir_tests::wire::{PRODUCE, Wire, produce_request};

/// A controller of its own, so that brokers die alone, and three brokers.
const ROLES: [Roles; 4] = [Roles::Controller, Roles::Broker, Roles::Broker, Roles::Broker];
/// The places of the brokers.
const BROKERS: std::ops::Range<usize> = 1..ROLES.len();
const TOPIC: &str = "elections";
const CREATE_TOPICS: i16 = 5;
const DESCRIBE: i16 = 0;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const NOT_ENOUGH_REPLICAS: i16 = 19;
/// Records that are written before the power goes.
const RECORDS: usize = 20;
/// How long the cluster may take to do what it is to do, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<ExitCode, AnyError> {
    let dir = TempDir::new()?;
    let mut verdict = Verdict::new("elections");
    let outcome = run(dir.path(), &mut verdict);
    if outcome.is_err() || verdict.is_broken() {
        println!("elections: everything is kept in {}", dir.keep().display());
    }
    outcome?;
    Ok(verdict.finish())
}

fn run(dir: &Path, verdict: &mut Verdict) -> Result<(), AnyError> {
    let settings = ["default.replication.factor=3", "min.insync.replicas=2"].map(str::to_owned);
    let mut cluster = Cluster::of(NodeOptions::of(dir, &ROLES, &settings)?)?;
    create_topic(&cluster.node(BROKERS.start).options().bootstrap())?;
    until_whole(&mut cluster)?;
    a_leader_that_was_away_acknowledges_nothing(&mut cluster, verdict)?;
    until_whole(&mut cluster)?;
    who_left_a_small_isr_leads_when_the_last_member_is_gone(&mut cluster, verdict)?;
    until_whole(&mut cluster)?;
    of_those_that_lost_power_the_longest_log_leads(&mut cluster, verdict)
}

/// A leader is frozen with a request for acks=1 in its socket; the moment others have another it comes back, and must not say yes.
fn a_leader_that_was_away_acknowledges_nothing(cluster: &mut Cluster, verdict: &mut Verdict) -> Result<(), AnyError> {
    let (other, _, place) = others_first(cluster)?;
    let leader = cluster.node(place).options().id;
    let mut wire = Wire::connect(&cluster.node(place).options().bootstrap())?;
    let before = produce(&mut wire, 1)?;
    verdict.holds("a leader acknowledges", before == 0, || format!("error {before}"));
    cluster.node(place).freeze()?;
    let pid = cluster.node(place).pid().ok_or("the leader does not run")?;
    cluster.watch().wait_for(PATIENCE, || is_stopped(pid))?;
    wire.send(&produce_request(TOPIC, 0, batch()?).with_acks(1), PRODUCE)?;
    wait_for(cluster, other, |state| state.leader >= 0 && state.leader != leader)?;
    cluster.node(place).thaw()?;
    let error = answer(&wire.read_answer()?)?.error_code;
    let rule = "a leader that was away longer than a session acknowledges nothing that it alone has";
    verdict.holds(rule, error == NOT_LEADER_OR_FOLLOWER, || format!("error {error}"));
    // The one that was away may not have heard yet what it missed.
    wait_for(cluster, place, |state| state.leader >= 0 && state.leader != leader)?;
    Ok(())
}

/// Whether a signal has stopped a process: until then it may still run on another processor.
fn is_stopped(pid: u32) -> io::Result<()> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let state = stat.rsplit(") ").next().unwrap_or_default();
    if state.starts_with('T') { Ok(()) } else { Err(io::Error::other(format!("process {pid} is not stopped: {stat}"))) }
}

/// Two of three end, then the third. The second to end has all that was committed, and leads when it comes back; the first has not.
fn who_left_a_small_isr_leads_when_the_last_member_is_gone(
    cluster: &mut Cluster,
    verdict: &mut Verdict,
) -> Result<(), AnyError> {
    let (first, second, last) = others_first(cluster)?;
    cluster.node(first).kill()?;
    wait_for(cluster, last, |state| state.isr.len() == 2)?;
    let mut wire = Wire::connect(&cluster.node(last).options().bootstrap())?;
    let committed = produce(&mut wire, -1)?;
    verdict.holds("two replicas are enough", committed == 0, || format!("error {committed}"));
    cluster.node(second).kill()?;
    let (second_id, last_id) = (cluster.node(second).options().id, cluster.node(last).options().id);
    let state = wait_for(cluster, last, |state| state.isr == [last_id])?;
    verdict.holds("who left has everything", state.eligible == [second_id], || format!("{state:?}"));
    let refused = produce(&mut wire, -1)?;
    verdict.holds("one replica is not", refused == NOT_ENOUGH_REPLICAS, || format!("error {refused}"));
    drop(wire);
    cluster.node(last).kill()?;
    cluster.node(second).spawn()?;
    cluster.node(first).spawn()?;
    let state = wait_for(cluster, second, |state| state.leader >= 0 && state.leader != last_id)?;
    verdict.holds("an eligible leader leads", state.leader == second_id, || format!("{state:?}"));
    cluster.start_all()?;
    Ok(())
}

/// All three lose power, and two of them what they had not flushed: nobody is trusted to have everything, and the longest log leads.
fn of_those_that_lost_power_the_longest_log_leads(
    cluster: &mut Cluster,
    verdict: &mut Verdict,
) -> Result<(), AnyError> {
    let (longest, other, leader) = others_first(cluster)?;
    let mut wire = Wire::connect(&cluster.node(leader).options().bootstrap())?;
    let mut end = 0;
    for _ in 0..RECORDS {
        let appended = produced(&mut wire, -1)?;
        end = appended.base_offset + 1;
    }
    drop(wire);
    for place in BROKERS {
        cluster.node(place).kill()?;
        forget_boot(&cluster.node(place).options().data_dir())?;
    }
    for place in [other, leader] {
        lose_half(&cluster.node(place).options().data_dir())?;
    }
    cluster.start_all()?;
    let longest_id = cluster.node(longest).options().id;
    let state = wait_for(cluster, longest, |state| state.leader >= 0)?;
    verdict.holds("the longest log leads", state.leader == longest_id, || format!("{state:?}, not {longest_id}"));
    until_whole(cluster)?;
    let mut wire = Wire::connect(&cluster.node(leader_place(cluster)?).options().bootstrap())?;
    let next = produced(&mut wire, -1)?;
    let (error, offset) = (next.error_code, next.base_offset);
    verdict.holds("and serves, with everything", (error, offset) == (0, end), || {
        format!("error {error}, the next record is at {offset} instead of {end}")
    });
    Ok(())
}

/// Takes the second half of the partition's log.
fn lose_half(data_dir: &Path) -> Result<(), AnyError> {
    let path = data_dir.join(format!("{TOPIC}-0/00000000000000000000.log"));
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.set_len(file.metadata()?.len() / 2)?;
    Ok(())
}

/// What is known of the partition.
#[derive(Debug)]
struct State {
    leader: i32,
    isr: Vec<i32>,
    eligible: Vec<i32>,
}

/// Asks one node until `is_so`.
fn wait_for(cluster: &mut Cluster, place: usize, is_so: impl Fn(&State) -> bool) -> Result<State, AnyError> {
    let (watch, address) = (cluster.watch(), cluster.node(place).options().bootstrap());
    let state = watch.wait_for(PATIENCE, || {
        let state = describe(&address)?;
        if is_so(&state) { Ok(state) } else { Err(io::Error::other(format!("{state:?}"))) }
    });
    Ok(state?)
}

/// Every broker knows of a leader and of all replicas in sync.
fn until_whole(cluster: &mut Cluster) -> Result<(), AnyError> {
    for place in BROKERS {
        wait_for(cluster, place, |state| state.leader >= 0 && state.isr.len() == BROKERS.len())?;
    }
    Ok(())
}

fn describe(address: &str) -> io::Result<State> {
    let topic = TopicRequest::default().with_name(topic_name());
    let request = DescribeTopicPartitionsRequest::default().with_topics(vec![topic]).with_response_partition_limit(1);
    let mut response = Wire::connect(address)?.call(&request, DESCRIBE)?;
    let partition = response.topics.pop().and_then(|mut topic| topic.partitions.pop());
    let partition = partition.ok_or_else(|| io::Error::other("the topic is not there"))?;
    let ids = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    Ok(State {
        leader: partition.leader_id.0,
        isr: ids(&partition.isr_nodes),
        eligible: ids(&partition.eligible_leader_replicas.unwrap_or_default()),
    })
}

fn create_topic(address: &str) -> Result<(), AnyError> {
    let topic = CreatableTopic::default().with_name(topic_name()).with_num_partitions(1).with_replication_factor(3);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let response = Wire::connect(address)?.call(&request, CREATE_TOPICS)?;
    match response.topics.first() {
        Some(topic) if topic.error_code == 0 => Ok(()),
        other => Err(format!("the topic was not created: {other:?}").into()),
    }
}

fn topic_name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn leader(cluster: &Cluster) -> Result<i32, AnyError> {
    let partitions = cluster.watch().partitions(TOPIC)?;
    Ok(partitions.first().ok_or("the topic is not there")?.leader)
}

fn leader_place(cluster: &Cluster) -> Result<usize, AnyError> {
    Ok(cluster.place_of(leader(cluster)?).ok_or("a leader that is no node")?)
}

/// The places of the nodes, the leader last.
fn others_first(cluster: &Cluster) -> Result<(usize, usize, usize), AnyError> {
    let last = leader_place(cluster)?;
    let others: Vec<usize> = BROKERS.filter(|place| *place != last).collect();
    Ok((others[0], others[1], last))
}

fn batch() -> Result<Bytes, AnyError> {
    let mut batch = BatchBuilder::new(Codec::None);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    batch.append(now_ms, None, Some(b"value"), &[])?;
    Ok(Bytes::from(batch.build()?.to_vec()))
}

/// The error that a produce is answered with.
fn produce(wire: &mut Wire, acks: i16) -> Result<i16, AnyError> {
    Ok(produced(wire, acks)?.error_code)
}

/// What a produce is answered with.
fn produced(wire: &mut Wire, acks: i16) -> Result<PartitionProduceResponse, AnyError> {
    wire.send(&produce_request(TOPIC, 0, batch()?).with_acks(acks), PRODUCE)?;
    answer(&wire.read_answer()?)
}

fn answer(bytes: &[u8]) -> Result<PartitionProduceResponse, AnyError> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    ResponseHeader::decode(&mut bytes, 1)?;
    let mut response = ProduceResponse::decode(&mut bytes, PRODUCE)?;
    let partition = response.responses.pop().and_then(|mut topic| topic.partition_responses.pop());
    partition.ok_or_else(|| "an answer without a partition".into())
}

/// Makes the boot id in the directory another than the running system's, as a reboot does.
fn forget_boot(data_dir: &Path) -> Result<(), AnyError> {
    fs::write(data_dir.join(weir_storage::identity::BOOT_ID_FILE), "00000000-0000-0000-0000-000000000000\n")?;
    Ok(())
}
