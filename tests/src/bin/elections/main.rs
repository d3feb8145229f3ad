//! The elections suite: who may lead a partition of three brokers when not all of them can be trusted (KIP-966), and what a leader says that was away.
//!
//! `elections`: each rule on a cluster of its own, or on one that the rule before left whole.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
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
/// How long the cluster may take to do what it is to do, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a session.
const AWAY: Duration = Duration::from_secs(4);

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
    cluster.watch().wait_until_whole(TOPIC, PATIENCE)?;
    a_leader_that_was_away_acknowledges_nothing(&mut cluster, verdict)?;
    cluster.watch().wait_until_whole(TOPIC, PATIENCE)?;
    who_left_a_small_isr_leads_when_the_last_member_is_gone(&mut cluster, verdict)?;
    cluster.watch().wait_until_whole(TOPIC, PATIENCE)?;
    an_unclean_start_takes_nobody_for_eligible(&mut cluster, verdict)
}

/// A leader is frozen with a request for acks=1 in its socket; others elect another; it must not say yes when it comes back.
fn a_leader_that_was_away_acknowledges_nothing(cluster: &mut Cluster, verdict: &mut Verdict) -> Result<(), AnyError> {
    let leader = leader(cluster)?;
    let place = cluster.place_of(leader).ok_or("a leader that is no node")?;
    let mut wire = Wire::connect(&cluster.node(place).options().bootstrap())?;
    let before = produce(&mut wire, 1)?;
    verdict.holds("a leader acknowledges", before == 0, || format!("error {before}"));
    cluster.node(place).freeze()?;
    wire.send(&produce_request(TOPIC, 0, batch()?).with_acks(1), PRODUCE)?;
    thread::sleep(AWAY);
    cluster.node(place).thaw()?;
    let error = error_of(&wire.read_answer()?)?;
    let rule = "a leader that was away longer than a session acknowledges nothing that it alone has";
    verdict.holds(rule, error == NOT_LEADER_OR_FOLLOWER, || format!("error {error}"));
    Ok(())
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

/// All three lose power: nobody is trusted to have everything, and somebody leads all the same.
fn an_unclean_start_takes_nobody_for_eligible(cluster: &mut Cluster, verdict: &mut Verdict) -> Result<(), AnyError> {
    let mut wire = Wire::connect(&cluster.node(leader_place(cluster)?).options().bootstrap())?;
    produce(&mut wire, -1)?;
    drop(wire);
    let epoch = epoch(cluster)?;
    for place in BROKERS {
        cluster.node(place).kill()?;
        forget_boot(&cluster.node(place).options().data_dir())?;
    }
    cluster.start_all()?;
    cluster.watch().wait_until_whole(TOPIC, PATIENCE)?;
    let after = self::epoch(cluster)?;
    verdict.holds("a leader is elected anew", after > epoch, || format!("from epoch {epoch} to {after}"));
    let mut wire = Wire::connect(&cluster.node(leader_place(cluster)?).options().bootstrap())?;
    let error = produce(&mut wire, -1)?;
    verdict.holds("and it serves", error == 0, || format!("error {error}"));
    Ok(())
}

/// What is known of the partition.
#[derive(Debug)]
struct State {
    leader: i32,
    epoch: i32,
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

fn describe(address: &str) -> io::Result<State> {
    let topic = TopicRequest::default().with_name(topic_name());
    let request = DescribeTopicPartitionsRequest::default().with_topics(vec![topic]).with_response_partition_limit(1);
    let mut response = Wire::connect(address)?.call(&request, DESCRIBE)?;
    let partition = response.topics.pop().and_then(|mut topic| topic.partitions.pop());
    let partition = partition.ok_or_else(|| io::Error::other("the topic is not there"))?;
    let ids = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    Ok(State {
        leader: partition.leader_id.0,
        epoch: partition.leader_epoch,
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

fn epoch(cluster: &mut Cluster) -> Result<i32, AnyError> {
    let address = cluster.node(BROKERS.start).options().bootstrap();
    Ok(describe(&address)?.epoch)
}

/// The places of the nodes, the leader last.
fn others_first(cluster: &Cluster) -> Result<(usize, usize, usize), AnyError> {
    let last = leader_place(cluster)?;
    let others: Vec<usize> = BROKERS.filter(|place| *place != last).collect();
    Ok((others[0], others[1], last))
}

fn batch() -> Result<Bytes, AnyError> {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(1, None, Some(b"value"), &[])?;
    Ok(Bytes::from(batch.build()?.to_vec()))
}

/// The error that a produce is answered with.
fn produce(wire: &mut Wire, acks: i16) -> Result<i16, AnyError> {
    wire.send(&produce_request(TOPIC, 0, batch()?).with_acks(acks), PRODUCE)?;
    error_of(&wire.read_answer()?)
}

fn error_of(answer: &[u8]) -> Result<i16, AnyError> {
    let mut answer = Bytes::copy_from_slice(answer);
    ResponseHeader::decode(&mut answer, 1)?;
    let response = ProduceResponse::decode(&mut answer, PRODUCE)?;
    let partition = response.responses.first().and_then(|topic| topic.partition_responses.first());
    Ok(partition.ok_or("an answer without a partition")?.error_code)
}

/// Makes the boot id in the directory another than the running system's, as a reboot does.
fn forget_boot(data_dir: &Path) -> Result<(), AnyError> {
    fs::write(data_dir.join(weir_storage::identity::BOOT_ID_FILE), "00000000-0000-0000-0000-000000000000\n")?;
    Ok(())
}
