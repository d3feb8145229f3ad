//! Several `weir` processes that form one cluster, started from configuration files as Apache Kafka's operators write them; or as many of
//! Apache Kafka's own, for comparison.
//!
//! Every node is broker and controller unless told otherwise, has a zone of its own, and keeps its ports and its directory over
//! restarts. Nothing here knows the inside of a node: what it says of itself comes over the wire or from `/metrics`.

mod node;
mod program;
mod watch;

use std::io;
use std::path::Path;
use std::time::Duration;

pub use node::{Node, NodeOptions, Roles};
pub use program::Program;
pub use watch::{InSync, Watch};

/// How long a cluster may take to be there before the test gives up.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// A running cluster: nodes by their place, each running or not.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// Starts `count` combined nodes below `dir`, with more settings for each, and waits until every one serves.
    pub fn start(dir: &Path, count: usize, settings: &[String]) -> io::Result<Cluster> {
        Self::of(NodeOptions::combined(dir, count, settings)?)
    }

    /// Starts these nodes, and waits until every one serves.
    pub fn of(nodes: Vec<NodeOptions>) -> io::Result<Cluster> {
        let mut cluster = Self::waiting(nodes);
        cluster.start_all()?;
        Ok(cluster)
    }

    /// These nodes, none of which runs yet.
    pub fn waiting(nodes: Vec<NodeOptions>) -> Cluster {
        Cluster { nodes: nodes.into_iter().map(Node::new).collect() }
    }

    /// Starts every node that does not run, all at once, and waits until each serves.
    pub fn start_all(&mut self) -> io::Result<()> {
        for node in &mut self.nodes {
            node.spawn()?;
        }
        self.nodes.iter_mut().try_for_each(|node| node.wait_until_ready(START_PATIENCE))
    }

    /// How many nodes there are, running or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node, by its place.
    pub fn node(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }

    /// The place of the node with that `node.id`.
    pub fn place_of(&self, id: i32) -> Option<usize> {
        self.nodes.iter().position(|node| node.options().id == id)
    }

    /// Every node's `host:port`, as `bootstrap.servers` takes them.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.options().bootstrap()).collect();
        addresses.join(",")
    }

    /// Every controller's `host:port`, as `bootstrap.controllers` takes them.
    pub fn controllers(&self) -> String {
        let controllers = self.nodes.iter().filter_map(|node| node.options().controller());
        controllers.collect::<Vec<String>>().join(",")
    }

    /// What the cluster says of itself, asked of whichever node answers.
    pub fn watch(&self) -> Watch {
        Watch::new(self.nodes.iter().map(|node| node.options().bootstrap()).collect())
    }

    /// What one node says of the cluster.
    pub fn watch_from(&self, index: usize) -> Watch {
        Watch::new(vec![self.nodes[index].options().bootstrap()])
    }

    /// What every node said in its log that it should not have, with its place.
    pub fn complaints(&self, not_well: &[&str]) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for node in &self.nodes {
            found.extend(node.complaints(not_well)?);
        }
        Ok(found)
    }

    /// The process ids of the nodes that run.
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Node::pid).collect()
    }
}
