//! Controllers of two builds: the level of a feature rises once the last of them can run it, and then none that cannot takes part.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use weir_controller::decide::{ControllerResponse, FeatureUpdate, FeatureUpdateType, UpdateFeaturesRequest};
use weir_controller::image::METADATA_VERSION_FEATURE;
use weir_controller::quorum::{CLUSTER_METADATA_FOLDER, Controller, MetadataLogError, StartError};
use weir_protocol::error_code::ErrorCode;

use crate::cluster::HIGHEST_METADATA_VERSION;
use crate::peers::{Node, Quorum};

/// The level that only the newer build can run.
const NEWER: i16 = HIGHEST_METADATA_VERSION + 1;

impl Quorum {
    /// Asks whoever leads for a level of `metadata.version`.
    fn finalize(&self, level: i16) -> Result<(), String> {
        let update_type = FeatureUpdateType::Upgrade;
        let updates = vec![FeatureUpdate { name: METADATA_VERSION_FEATURE.into(), level, update_type }];
        let request = UpdateFeaturesRequest { updates, ..UpdateFeaturesRequest::default() };
        match self.submit(self.node(self.leader()), request.into()) {
            Ok(ControllerResponse::UpdateFeatures(Ok(()))) => Ok(()),
            Ok(ControllerResponse::UpdateFeatures(Err(error))) => {
                assert_eq!(error.code, ErrorCode::InvalidUpdateVersion);
                Err(error.message.unwrap_or_default())
            }
            other => panic!("{other:?}"),
        }
    }

    /// Starts a node again, with a build that can run `highest`.
    fn restart_with(&mut self, number: i32, highest: i16) {
        self.stop(number);
        self.node_mut(number).highest_version = highest;
        self.start(number);
    }

    /// Has a node start again with the newer build while another leads; gives who leads last.
    fn upgrade_all_but_one(&mut self) -> i32 {
        let last = self.leader();
        for number in (1..=3).filter(|number| *number != last) {
            self.restart_with(number, NEWER);
        }
        // Whoever is left hands over when it stops, so that one of the newer build leads.
        self.restart_with(last, HIGHEST_METADATA_VERSION);
        last
    }
}

#[test]
fn a_level_waits_for_the_last_voter_of_an_older_build_and_names_it_here_or_away() {
    let mut quorum = Quorum::running(3);
    let last = quorum.upgrade_all_but_one();
    assert_ne!(quorum.leader(), last);
    let refusal = |reason| Err(format!("Invalid update version {NEWER} for feature metadata.version. {reason}"));
    let is_older = format!("Controller {last} only supports versions 7-{HIGHEST_METADATA_VERSION}");
    assert_eq!(quorum.finalize(NEWER), refusal(is_older));
    quorum.stop(last);
    let is_away = format!("Controller {last} does not answer, and may not support this feature.");
    assert_eq!(quorum.finalize(NEWER), refusal(is_away));
    quorum.node_mut(last).highest_version = NEWER;
    quorum.start(last);
    assert_eq!(quorum.finalize(NEWER), Ok(()));
    let level = |number| quorum.node(number).controller().image().feature_level(METADATA_VERSION_FEATURE);
    quorum.wait("the level on every node", || (1..=3).all(|number| level(number) == NEWER).then_some(()));
}

/// Every file of a stopped node's metadata, and what it holds.
fn files(node: &Node) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(node.directory.path().join(CLUSTER_METADATA_FOLDER)).unwrap();
    files.map(|file| file.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_node_of_an_older_build_does_not_start_behind_a_finalized_level_and_the_others_go_on() {
    let mut quorum = Quorum::running(3);
    for number in 1..=3 {
        quorum.restart_with(number, NEWER);
    }
    assert_eq!(quorum.finalize(NEWER), Ok(()));
    let level = |number| quorum.node(number).controller().image().feature_level(METADATA_VERSION_FEATURE);
    quorum.wait("the level on every node", || (1..=3).all(|number| level(number) == NEWER).then_some(()));
    let old = quorum.leader();
    quorum.stop(old);
    quorum.node_mut(old).highest_version = HIGHEST_METADATA_VERSION;
    let before = files(quorum.node(old));
    let error = Controller::start(quorum.config_of(quorum.node(old))).err().unwrap();
    assert!(matches!(error, StartError::Log(MetadataLogError::OfNewerBuild { .. })), "{error}");
    let said = error.to_string();
    let named =
        format!("metadata.version to level {NEWER}, and this build runs levels 7 to {HIGHEST_METADATA_VERSION}");
    assert!(said.contains(&named) && said.contains("upgrade this node"), "{said}");
    assert!(files(quorum.node(old)) == before, "the start that was refused changed the metadata");
    quorum.register_broker_of(NEWER);
    quorum.create("meanwhile");
    quorum.node_mut(old).highest_version = NEWER;
    quorum.start(old);
    assert_eq!(quorum.agreed_topics(), ["meanwhile"]);
}
