//! Three nodes whose connections to each other are all encrypted, each side asking the other for its certificate.

use std::time::Duration;

use tempfile::TempDir;
use weir_tests::certificates::Certificates;
use weir_tests::cluster::{Cluster, NodeOptions, Roles};
use weir_tests::load::Load;
use weir_tests::ports;

/// How long the cluster may take to be whole.
const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "encrypted";

/// Clients come by plaintext, brokers and controllers by TLS.
fn encrypted(dir: &TempDir) -> Vec<NodeOptions> {
    let certificates = Certificates::make(&dir.path().join("tls")).unwrap();
    let mut nodes = NodeOptions::of(dir.path(), &[Roles::Combined; 3], &[]).unwrap();
    for node in &mut nodes {
        // It is free again before the node binds it, and nobody else is given it meanwhile but by chance.
        let ([replication], _held) = ports::hold_ports().unwrap();
        let (port, controller) = (node.port, node.controller_port);
        node.settings = vec![
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{port},REPLICATION://127.0.0.1:{replication},CONTROLLER://127.0.0.1:{controller}"
            ),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,REPLICATION:SSL,CONTROLLER:SSL".to_owned(),
            "inter.broker.listener.name=REPLICATION".to_owned(),
            "ssl.keystore.type=PEM".to_owned(),
            "ssl.truststore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", certificates.keystore().display()),
            format!("ssl.truststore.location={}", certificates.authority().display()),
            "ssl.client.auth=required".to_owned(),
        ];
    }
    nodes
}

#[test]
fn nodes_that_trust_each_others_certificates_replicate_and_outlive_one_of_them() {
    let dir = TempDir::new().unwrap();
    let mut cluster = Cluster::of(encrypted(&dir)).unwrap();
    let load = Load {
        bootstrap: cluster.bootstrap(),
        topic: TOPIC.to_owned(),
        partitions: 3,
        producer: Vec::new(),
        pace: None,
        settle: PATIENCE,
    };
    load.create_topic(3, &[]).unwrap();
    let watch = cluster.watch();
    watch.wait_until_whole(TOPIC, PATIENCE).unwrap();
    let controller = watch.wait_for(PATIENCE, || watch.active_controller()).unwrap();
    let place = cluster.place_of(controller).unwrap();
    cluster.node(place).kill().unwrap();
    let successor = watch.wait_for(PATIENCE, || match watch.active_controller()? {
        same if same == controller => Err(std::io::Error::other("the dead node is the active controller")),
        other => Ok(other),
    });
    assert_ne!(successor.unwrap(), controller);
    cluster.node(place).start(PATIENCE).unwrap();
    watch.wait_until_whole(TOPIC, PATIENCE).unwrap();
    assert_eq!(cluster.complaints(&[]).unwrap(), Vec::<String>::new());
}

#[test]
fn a_node_whose_certificate_nobody_trusts_is_kept_out() {
    let dir = TempDir::new().unwrap();
    let mut nodes = encrypted(&dir);
    let strange = Certificates::make(&dir.path().join("strange")).unwrap();
    nodes[2].settings.push(format!("ssl.keystore.location={}", strange.keystore().display()));
    let mut stranger = weir_tests::cluster::Node::new(nodes.pop().unwrap());
    let cluster = Cluster::of(nodes).unwrap();
    stranger.spawn().unwrap();
    // It goes on trying, and says why it is let in nowhere.
    let said = cluster.watch().wait_for(PATIENCE, || match stranger.log_tail(500).contains("received fatal alert") {
        true => Ok(()),
        false => Err(std::io::Error::other(stranger.log_tail(500))),
    });
    said.unwrap();
}
