//! The metadata quorum of several real processes: it forms from configuration files alone, takes a change at any node, outlives its active
//! controller, and keeps out whoever does not belong to it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_tests::cluster::{Cluster, Node, NodeOptions, Roles};
use weir_tests::wire::{NewTopic, Wire};

/// How long a change may take while an active controller is elected: a busy machine's measure; the bar, a second, is the cluster suite's.
const RESUME_PATIENCE: Duration = Duration::from_secs(5);
/// How long a node may take to start, or to say why it does not.
const PATIENCE: Duration = Duration::from_secs(30);

fn create(node: &Node, name: &str) -> io::Result<()> {
    let topic = NewTopic { name: name.to_owned(), partitions: 3, configs: &[] };
    Wire::connect(&node.options().bootstrap())?.create_topics(&[topic])
}

fn knows(node: &Node, name: &str) -> io::Result<bool> {
    let metadata = Wire::connect(&node.options().bootstrap())?.metadata()?;
    Ok(metadata.topics.iter().any(|topic| topic.name.as_ref().is_some_and(|known| known.as_str() == name)))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_active(node: &Node) -> bool {
    node.metric("weir_controller_active").is_ok_and(|active| active > 0.0)
}

fn active(cluster: &mut Cluster) -> usize {
    let mut found = None;
    wait_until("a node is the active controller", || {
        found =
            (0..cluster.len()).find(|place| cluster.node(*place).pid().is_some() && is_active(cluster.node(*place)));
        found.is_some()
    });
    found.expect("waited for")
}

/// Kills the active controller; returns its place and how long it took until a change was made by another.
fn kill_active(cluster: &mut Cluster, ask: usize, topic: &str) -> (usize, Duration) {
    let place = active(cluster);
    let ask = if ask == place { (ask + 1) % cluster.len() } else { ask };
    cluster.node(place).kill().expect("killed");
    let killed = Instant::now();
    let created = create(cluster.node(ask), topic);
    created
        .unwrap_or_else(|error| panic!("no other controller took over: {error}\n{}", cluster.node(ask).log_tail(20)));
    (place, killed.elapsed())
}

/// Starts a node that should not start, and gives the sentence it ends with.
fn refusal(options: NodeOptions) -> String {
    let mut node = Node::new(options);
    let error = node.start(PATIENCE).expect_err("it must not start").to_string();
    assert!(error.contains("ended (exit status: 1)"), "{error}");
    error.lines().last().unwrap_or_default().to_owned()
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_dir(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("a copy")),
        }
    }
}

#[test]
fn a_change_asked_of_any_node_is_made_and_visible_there_when_it_is_answered() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = Cluster::start(dir.path(), 3, &[]).expect("three nodes form a cluster");
    for place in 0..3 {
        let name = format!("asked-of-{place}");
        create(cluster.node(place), &name).expect("a topic");
        assert!(
            knows(cluster.node(place), &name).expect("metadata"),
            "node {place} does not know what it has answered"
        );
    }
    for place in 0..3 {
        wait_until("every node knows every topic", || {
            (0..3).all(|asked| knows(cluster.node(place), &format!("asked-of-{asked}")).unwrap_or(false))
        });
    }
}

#[test]
fn a_killed_active_controller_is_replaced_and_comes_back_as_one_of_the_others() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = Cluster::start(dir.path(), 3, &[]).expect("three nodes form a cluster");
    for round in 0..2 {
        let topic = format!("after-{round}");
        let (place, took) = kill_active(&mut cluster, round, &topic);
        assert!(took < RESUME_PATIENCE, "metadata could not be changed for {took:?}");
        cluster.node(place).start(PATIENCE).expect("it comes back");
        assert!(knows(cluster.node(place), &topic).expect("metadata"), "it missed a change and says that it is ready");
        create(cluster.node(place), &format!("asked-after-{round}")).expect("a topic");
    }
}

#[test]
fn controllers_and_brokers_apart_are_one_cluster() {
    let dir = TempDir::new().expect("a directory");
    let roles = [Roles::Broker, Roles::Broker, Roles::Controller, Roles::Controller, Roles::Controller];
    let nodes = NodeOptions::of(dir.path(), &roles, &[]).expect("free ports");
    let mut cluster = Cluster::of(nodes).expect("five nodes form a cluster");
    create(cluster.node(0), "before").expect("a topic");
    let (place, took) = kill_active(&mut cluster, 1, "after");
    assert!(took < RESUME_PATIENCE, "metadata could not be changed for {took:?}");
    wait_until("the other broker hears the new active controller", || knows(cluster.node(0), "after").unwrap_or(false));
    cluster.node(place).start(PATIENCE).expect("the controller comes back");
    cluster.node(0).kill().expect("killed");
    cluster.node(0).start(PATIENCE).expect("the broker comes back");
    assert!(knows(cluster.node(0), "after").expect("metadata"));
}

#[test]
fn a_voter_that_lost_its_disk_is_taken_in_anew() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = Cluster::start(dir.path(), 3, &[]).expect("three nodes form a cluster");
    create(cluster.node(0), "kept").expect("a topic");
    let lost = (active(&mut cluster) + 1) % 3;
    cluster.node(lost).kill().expect("killed");
    cluster.node(lost).wipe().expect("emptied");
    cluster.node(lost).start(PATIENCE).expect("it joins again");
    assert!(knows(cluster.node(lost), "kept").expect("metadata"));
    // It votes again: with another gone there is a majority only with it.
    let (_, took) = kill_active(&mut cluster, lost, "by-two");
    assert!(took < RESUME_PATIENCE, "metadata could not be changed for {took:?}");
}

#[test]
fn a_copied_data_directory_and_a_second_node_of_one_id_are_refused_in_words() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = Cluster::start(dir.path(), 3, &[]).expect("three nodes form a cluster");
    let original = cluster.node(1).options().clone();
    let mut elsewhere = NodeOptions::combined(&dir.path().join("elsewhere"), 1, &[]).expect("free ports").remove(0);
    elsewhere.id = original.id;
    // It stands where its own configuration says, and everybody else where they are.
    let own = |at: u16| format!("2@127.0.0.1:{at}");
    elsewhere.voters = original.voters.replace(&own(original.controller_port), &own(elsewhere.controller_port));
    let said = refusal(elsewhere.clone());
    assert!(said.contains("has the same node.id and lives"), "{said}");
    fs::remove_dir_all(elsewhere.data_dir()).expect("removed");
    copy_dir(&original.data_dir(), &elsewhere.data_dir());
    let said = refusal(elsewhere);
    assert!(said.contains("the data directory is a copy, or in use twice"), "{said}");
    create(cluster.node(1), "still").expect("the original is not disturbed");
}

#[test]
fn a_node_of_another_cluster_is_refused_in_words() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = Cluster::start(&dir.path().join("ours"), 3, &[]).expect("three nodes form a cluster");
    let roles = [Roles::Broker, Roles::Combined];
    let [mut broker, mut voter] =
        <[NodeOptions; 2]>::try_from(NodeOptions::of(&dir.path().join("theirs"), &roles, &[]).expect("free ports"))
            .expect("two nodes");
    voter.id = 9;
    broker.id = 8;
    let theirs = format!("9@127.0.0.1:{}", voter.controller_port);
    (voter.voters, broker.voters) = (theirs.clone(), theirs);
    drop(Cluster::of(vec![voter.clone(), broker.clone()]).expect("they form a cluster of their own"));
    for mut stranger in [voter, broker] {
        stranger.voters = match stranger.roles {
            Roles::Broker => cluster.node(0).options().voters.clone(),
            _ => format!("{},{}", cluster.node(0).options().voters, stranger.voters),
        };
        let said = refusal(stranger);
        assert!(said.contains("but the configured controllers belong to cluster"), "{said}");
    }
    create(cluster.node(1), "still").expect("the cluster is not disturbed");
}

#[test]
fn a_node_that_waits_for_its_quorum_stops_when_it_is_told_to() {
    let dir = TempDir::new().expect("a directory");
    let options = NodeOptions::combined(dir.path(), 3, &[]).expect("free ports").remove(0);
    let mut node = Node::new(options);
    node.spawn().expect("started");
    wait_until("it listens to controllers", || {
        std::net::TcpStream::connect(("127.0.0.1", node.options().controller_port)).is_ok()
    });
    let took = node.stop().expect("stopped");
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}
