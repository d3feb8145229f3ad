//! Several controllers in one process, over channels that lose, delay, repeat and cut.
//!
//! A node is reached at a port, as over a real network: whoever listens there answers. Faults are drawn from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;
use weir_controller::decide::{ControllerResponse, CreateTopicsRequest};
use weir_controller::image::METADATA_VERSION_FEATURE;
use weir_controller::liveness::DialOutcome;
use weir_controller::quorum::{
    ConfiguredVoters, Controller, ControllerConfig, ControllerEndpoint, LivenessConfig, MemberRecord, PeerAddress,
    PeerConfig, PeerError, PeerFuture, PeerRpcKind, PeerService, PeerTransport, QuorumTiming, RaftNodeId, StartError,
    StartingController, SubmitError,
};
use weir_protocol::ids::BrokerId;

use crate::cluster::{HIGHEST_METADATA_VERSION, LOWEST_METADATA_VERSION, Record, config, create, register_as};

/// How long anything that must come may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a link does to calls, in parts of a thousand.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) late: u64,
    pub(crate) late_by: Duration,
}

#[derive(Default)]
struct Switchboard {
    listeners: BTreeMap<u16, PeerService>,
    cut: BTreeSet<(u16, u16)>,
    faults: Faults,
    /// Calls that arrive, and whose answers are lost; until they are answered again, whatever is mended.
    unanswered: BTreeSet<PeerRpcKind>,
    calls: BTreeMap<(u16, PeerRpcKind), u64>,
}

/// The network between the nodes of a test.
#[derive(Clone, Default)]
pub(crate) struct Wires {
    switchboard: Arc<Mutex<Switchboard>>,
    dice: Arc<AtomicU64>,
}

impl Wires {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { dice: Arc::new(AtomicU64::new(seed)), ..Self::default() }
    }

    pub(crate) fn transport(&self, from: u16) -> Arc<dyn PeerTransport> {
        Arc::new(Wire { wires: self.clone(), from })
    }

    pub(crate) fn listen(&self, port: u16, service: PeerService) {
        self.switchboard.lock().listeners.insert(port, service);
    }

    pub(crate) fn hang_up(&self, port: u16) {
        self.switchboard.lock().listeners.remove(&port);
    }

    /// Cuts everything between `port` and everybody else.
    pub(crate) fn cut_off(&self, port: u16, everybody: &[u16]) {
        let mut switchboard = self.switchboard.lock();
        for other in everybody.iter().filter(|other| **other != port) {
            switchboard.cut.extend([(port, *other), (*other, port)]);
        }
    }

    pub(crate) fn mend(&self) {
        let mut switchboard = self.switchboard.lock();
        switchboard.cut.clear();
        switchboard.faults = Faults::default();
    }

    pub(crate) fn trouble(&self, faults: Faults) {
        self.switchboard.lock().faults = faults;
    }

    /// From now on calls of a kind arrive, and their answers do not.
    pub(crate) fn lose_answers(&self, kind: PeerRpcKind) {
        self.switchboard.lock().unanswered.insert(kind);
    }

    pub(crate) fn answer_again(&self) {
        self.switchboard.lock().unanswered.clear();
    }

    /// How many calls of a kind `port` has made.
    pub(crate) fn calls(&self, port: u16, kind: PeerRpcKind) -> u64 {
        self.switchboard.lock().calls.get(&(port, kind)).copied().unwrap_or(0)
    }

    /// Whether something happens that does so in `parts` of a thousand cases (splitmix64).
    fn happens(&self, parts: u64) -> bool {
        let mut z = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 1_000 < parts
    }
}

struct Wire {
    wires: Wires,
    from: u16,
}

impl PeerTransport for Wire {
    fn call(
        &self,
        peer: PeerAddress,
        kind: PeerRpcKind,
        body: Bytes,
        _timeout: Duration,
    ) -> PeerFuture<Result<Bytes, PeerError>> {
        let (wires, from) = (self.wires.clone(), self.from);
        Box::pin(async move {
            let Some(to) = peer.endpoints.first().map(|endpoint| endpoint.port) else {
                return Err(PeerError::Unreachable("no endpoint".into()));
            };
            let (service, cut, faults) = {
                let mut switchboard = wires.switchboard.lock();
                *switchboard.calls.entry((from, kind)).or_default() += 1;
                let service = switchboard.listeners.get(&to).cloned();
                (service, switchboard.cut.contains(&(from, to)), switchboard.faults)
            };
            if cut {
                return Err(PeerError::Unreachable(format!("{from} -> {to} is cut")));
            }
            let service = service.ok_or(PeerError::Refused)?;
            if wires.happens(faults.lost) {
                return std::future::pending().await;
            }
            if wires.happens(faults.repeated) {
                drop(service.answer(kind, body.clone()).await);
            }
            if wires.happens(faults.late) {
                tokio::time::sleep(faults.late_by).await;
            }
            let answer = service.answer(kind, body).await;
            let lost = {
                let switchboard = wires.switchboard.lock();
                switchboard.cut.contains(&(to, from)) || switchboard.unanswered.contains(&kind)
            };
            if wires.happens(faults.lost) || lost {
                return std::future::pending().await;
            }
            Ok(answer)
        })
    }

    fn until_broken(&self, peer: PeerAddress) -> PeerFuture<()> {
        let (wires, from) = (self.wires.clone(), self.from);
        Box::pin(async move {
            while is_there(&wires, from, &peer) != DialOutcome::Refused {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    }

    fn dial(&self, peer: PeerAddress) -> PeerFuture<DialOutcome> {
        let outcome = is_there(&self.wires, self.from, &peer);
        Box::pin(async move { outcome })
    }
}

fn is_there(wires: &Wires, from: u16, peer: &PeerAddress) -> DialOutcome {
    let switchboard = wires.switchboard.lock();
    match peer.endpoints.first().map(|endpoint| endpoint.port) {
        Some(to) if switchboard.cut.contains(&(from, to)) => DialOutcome::Unknown("cut".into()),
        Some(to) if switchboard.listeners.contains_key(&to) => DialOutcome::Answered,
        Some(_) => DialOutcome::Refused,
        None => DialOutcome::Unknown("no endpoint".into()),
    }
}

/// One node: its disk, and the controller that runs on it.
pub(crate) struct Node {
    pub(crate) number: i32,
    pub(crate) directory: TempDir,
    pub(crate) directory_id: Uuid,
    pub(crate) record: Arc<Record>,
    pub(crate) may_vote: bool,
    /// The highest `metadata.version` that its build can run.
    pub(crate) highest_version: i16,
    pub(crate) controller: Option<Arc<Controller>>,
}

impl Node {
    pub(crate) fn new(number: i32) -> Self {
        Self {
            number,
            directory: tempfile::tempdir().unwrap(),
            directory_id: Uuid::new_v4(),
            record: Arc::default(),
            may_vote: true,
            highest_version: HIGHEST_METADATA_VERSION,
            controller: None,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        port(self.number)
    }

    pub(crate) fn id(&self) -> RaftNodeId {
        let directory_id = self.record.member().unwrap_or(self.directory_id);
        RaftNodeId { node_id: BrokerId(self.number), directory_id }
    }

    pub(crate) fn controller(&self) -> &Arc<Controller> {
        self.controller.as_ref().unwrap()
    }

    pub(crate) fn records(&self) -> Vec<String> {
        self.controller().image().to_records().map(|record| format!("{record:?}")).collect()
    }
}

fn port(number: i32) -> u16 {
    19_000 + u16::try_from(number).unwrap()
}

fn endpoints(number: i32) -> Vec<ControllerEndpoint> {
    vec![ControllerEndpoint { listener: "CONTROLLER".into(), host: "127.0.0.1".into(), port: port(number) }]
}

/// Nodes whose configuration names the same voters.
pub(crate) struct Quorum {
    pub(crate) wires: Wires,
    pub(crate) voters: ConfiguredVoters,
    pub(crate) nodes: Vec<Node>,
    pub(crate) timing: QuorumTiming,
    pub(crate) liveness: Option<LivenessConfig>,
    pub(crate) leader_rebalance_interval: Option<Duration>,
    pub(crate) runtime: Runtime,
}

impl Quorum {
    /// `voters` blank nodes numbered from 1, none of which runs.
    pub(crate) fn of(voters: i32) -> Self {
        let named = (1..=voters).map(|number| (BrokerId(number), endpoints(number)));
        Self {
            wires: Wires::seeded(1),
            voters: ConfiguredVoters::Named(named.collect()),
            nodes: (1..=voters).map(Node::new).collect(),
            timing: QuorumTiming { refusal_patience: Duration::from_millis(2_500), ..QuorumTiming::default() },
            liveness: None,
            leader_rebalance_interval: None,
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
        }
    }

    /// The same, running.
    pub(crate) fn running(voters: i32) -> Self {
        let mut quorum = Self::of(voters);
        quorum.start_all();
        quorum
    }

    pub(crate) fn node(&self, number: i32) -> &Node {
        self.nodes.iter().find(|node| node.number == number).unwrap()
    }

    pub(crate) fn node_mut(&mut self, number: i32) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.number == number).unwrap()
    }

    pub(crate) fn config_of(&self, node: &Node) -> ControllerConfig {
        self.config_at(node, node.directory.path(), node.port())
    }

    pub(crate) fn config_at(&self, node: &Node, directory: &Path, at: u16) -> ControllerConfig {
        let peers = PeerConfig {
            transport: self.wires.transport(at),
            voters: self.voters.clone(),
            may_vote: node.may_vote,
            timing: self.timing,
            liveness: self.liveness.clone(),
            leader_rebalance_interval: self.leader_rebalance_interval,
        };
        let mut config = config(directory);
        let highest = (METADATA_VERSION_FEATURE.into(), (LOWEST_METADATA_VERSION, node.highest_version));
        config.defaults.supported_features.extend([highest]);
        ControllerConfig {
            node_id: BrokerId(node.number),
            directory_id: node.directory_id,
            member_record: Some(node.record.clone()),
            endpoints: endpoints(node.number),
            peers: Some(peers),
            ..config
        }
    }

    pub(crate) fn launch(&self, number: i32) -> Result<StartingController, StartError> {
        let node = self.node(number);
        let starting = Controller::launch(self.config_of(node))?;
        self.wires.listen(node.port(), starting.peer_service().unwrap());
        Ok(starting)
    }

    /// Starts one node and waits until it is ready.
    pub(crate) fn start(&mut self, number: i32) {
        let controller = self.launch(number).unwrap().ready().unwrap();
        self.node_mut(number).controller = Some(Arc::new(controller));
    }

    /// Starts these nodes in this order, then waits until they are ready.
    pub(crate) fn start_in_order(&mut self, order: &[i32]) {
        let starting = order.iter().map(|number| (*number, self.launch(*number).unwrap())).collect::<Vec<_>>();
        for (number, starting) in starting {
            let controller = starting.ready().unwrap();
            self.node_mut(number).controller = Some(Arc::new(controller));
        }
    }

    pub(crate) fn start_all(&mut self) {
        let order = self.nodes.iter().map(|node| node.number).collect::<Vec<_>>();
        self.start_in_order(&order);
    }

    /// Stops a node as an operator does.
    pub(crate) fn stop(&mut self, number: i32) {
        let node = self.node_mut(number);
        node.controller.take().unwrap().shutdown();
        let port = node.port();
        self.wires.hang_up(port);
    }

    /// Takes a node away without a word: nothing of it is heard any more, and its disk keeps what it has now.
    pub(crate) fn kill(&mut self, number: i32) {
        let everybody = self.ports();
        let port = self.node(number).port();
        self.wires.cut_off(port, &everybody);
        self.wires.hang_up(port);
        let node = self.node_mut(number);
        let controller = node.controller.take().unwrap();
        let left = crate::cluster::copy_as_a_kill_leaves_it(node.directory.path());
        controller.shutdown();
        node.directory = left;
        self.wires.mend();
    }

    pub(crate) fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(Node::port).collect()
    }

    pub(crate) fn running_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.controller.is_some())
    }

    /// The number of the node that most of the running ones follow, once there is one that says so itself.
    pub(crate) fn leader(&self) -> i32 {
        self.wait("a leader", || {
            let leads = |node: &&Node| node.controller().active_controller() == Some(node.id());
            let leaders = self.running_nodes().filter(leads).collect::<Vec<_>>();
            let followed = |leader: &Node| {
                let follows = |node: &&Node| node.controller().active_controller() == Some(leader.id());
                self.running_nodes().filter(follows).count() * 2
                    > self.nodes.iter().filter(|node| node.may_vote).count()
            };
            leaders.into_iter().find(|leader| followed(leader)).map(|leader| leader.number)
        })
    }

    /// Waits until `look` sees something.
    pub(crate) fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Registers a broker with whoever leads.
    pub(crate) fn register_broker(&self) {
        self.register_broker_of(HIGHEST_METADATA_VERSION);
    }

    /// The same of a build that can run `metadata.version` up to this.
    pub(crate) fn register_broker_of(&self, highest_version: i16) {
        self.submit_until_done("a broker registered", |controller| {
            let mut request = register_as(controller);
            for feature in &mut request.features {
                if &*feature.name == METADATA_VERSION_FEATURE {
                    feature.max_supported_level = highest_version;
                }
            }
            request.into()
        });
    }

    /// Creates a topic with whoever leads, trying until it is there; how long that took.
    pub(crate) fn create(&self, name: &str) -> Duration {
        let begun = Instant::now();
        let request: CreateTopicsRequest = create(name, 1);
        self.submit_until_done(name, |_| request.clone().into());
        begun.elapsed()
    }

    fn submit_until_done(
        &self,
        what: &str,
        request: impl Fn(&Controller) -> weir_controller::decide::ControllerRequest,
    ) {
        self.wait(what, || {
            self.running_nodes().find_map(|node| {
                let answered = self.submit(node, request(node.controller()));
                matches!(answered, Ok(response) if done(&response)).then_some(())
            })
        });
    }

    /// Asks one node, and gives up after a while.
    pub(crate) fn submit(
        &self,
        node: &Node,
        request: weir_controller::decide::ControllerRequest,
    ) -> Result<ControllerResponse, SubmitError> {
        let answer = node.controller().submit(request);
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await.expect("no answer") })
    }

    /// Waits until every running node shows the same metadata, and returns the names of the topics.
    pub(crate) fn agreed_topics(&self) -> Vec<String> {
        self.wait("the same metadata everywhere", || {
            let all = self.running_nodes().map(Node::records).collect::<Vec<_>>();
            all.windows(2).all(|pair| pair[0] == pair[1]).then_some(())
        });
        let image = self.running_nodes().next().unwrap().controller().image();
        let mut names = image.topics().map(|topic| topic.name.to_string()).collect::<Vec<_>>();
        names.sort();
        names
    }
}

/// Whether it is there now, by this request or by an earlier try of it.
fn done(response: &ControllerResponse) -> bool {
    use weir_protocol::error_code::ErrorCode;
    match response {
        ControllerResponse::CreateTopics(created) => match &created.topics[0].outcome {
            Ok(_) => true,
            Err(error) => error.code == ErrorCode::TopicAlreadyExists,
        },
        ControllerResponse::RegisterBroker(registered) => registered.is_ok(),
        other => panic!("{other:?}"),
    }
}
