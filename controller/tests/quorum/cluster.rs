//! A one-voter cluster in a temporary directory, with one registered broker.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;
use weir_controller::decide::{
    AnyConfig, ControllerRequest, ControllerResponse, CreateTopicsRequest, Defaults, DeleteTopicsRequest, LogState,
    NewTopic, RegisterBrokerRequest, TopicRef,
};
use weir_controller::quorum::{
    CLUSTER_METADATA_FOLDER, Controller, ControllerConfig, MemberRecord, StartError, SubmitError,
};
use weir_controller::record::{BrokerEndpoint, BrokerFeature};
use weir_protocol::ids::BrokerId;

pub(crate) const BROKER: BrokerId = BrokerId(1);

/// What every build can run unless a test says otherwise.
pub(crate) const LOWEST_METADATA_VERSION: i16 = 7;
pub(crate) const HIGHEST_METADATA_VERSION: i16 = 25;

const FEATURES: [(&str, i16, i16); 2] =
    [("metadata.version", LOWEST_METADATA_VERSION, HIGHEST_METADATA_VERSION), ("weir.metadata.version", 1, 1)];

pub(crate) fn config(directory: &Path) -> ControllerConfig {
    let supported_features = FEATURES.map(|(name, lowest, highest)| (name.into(), (lowest, highest)));
    let supported_features = BTreeMap::from(supported_features);
    ControllerConfig {
        node_id: BROKER,
        directory_id: Uuid::from_u128(0x1001),
        member_record: None,
        directory: directory.to_path_buf(),
        cluster_id: None,
        endpoints: Vec::new(),
        peers: None,
        catalog: Arc::new(AnyConfig),
        defaults: Defaults { supported_features, ..Defaults::default() },
    }
}

/// What `meta.properties` says of the metadata log beside it.
#[derive(Default)]
pub(crate) struct Record(Mutex<Option<Uuid>>);

impl MemberRecord for Record {
    fn member(&self) -> Option<Uuid> {
        *self.0.lock()
    }

    fn set_member(&self, id: Uuid) -> io::Result<()> {
        *self.0.lock() = Some(id);
        Ok(())
    }
}

pub(crate) fn start(directory: &Path) -> Result<Controller, StartError> {
    Controller::start(config(directory))
}

/// A running controller, its directory, and a runtime to wait on.
pub(crate) struct Cluster {
    pub(crate) controller: Arc<Controller>,
    pub(crate) directory: TempDir,
    pub(crate) runtime: Runtime,
}

impl Cluster {
    /// A new cluster with one registered, unfenced broker.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let controller = Arc::new(start(directory.path()).unwrap());
        let runtime = Builder::new_current_thread().build().unwrap();
        let cluster = Self { controller, directory, runtime };
        match cluster.submit(register(&cluster.controller).into()) {
            Ok(ControllerResponse::RegisterBroker(epoch)) => drop(epoch.unwrap()),
            other => panic!("{other:?}"),
        }
        cluster
    }

    pub(crate) fn submit(&self, request: ControllerRequest) -> Result<ControllerResponse, SubmitError> {
        self.runtime.block_on(self.controller.submit(request))
    }

    /// Creates a topic and expects that it was created.
    pub(crate) fn create(&self, name: &str) {
        match self.submit(create(name, 1).into()) {
            Ok(ControllerResponse::CreateTopics(response)) => {
                response.topics[0].outcome.as_ref().unwrap();
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Deletes a topic and expects that it was there.
    pub(crate) fn delete(&self, name: &str) {
        let request = DeleteTopicsRequest { topics: vec![TopicRef::named(name)] };
        match self.submit(request.into()) {
            Ok(ControllerResponse::DeleteTopics(response)) => {
                response.topics[0].outcome.as_ref().unwrap();
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    pub(crate) fn metadata_log(&self) -> PathBuf {
        self.directory.path().join(CLUSTER_METADATA_FOLDER)
    }
}

fn supported((name, min_supported_level, max_supported_level): (&str, i16, i16)) -> BrokerFeature {
    BrokerFeature { name: name.into(), min_supported_level, max_supported_level }
}

/// The registration of a broker of its own cluster.
pub(crate) fn register_as(controller: &Controller) -> RegisterBrokerRequest {
    register(controller)
}

fn register(controller: &Controller) -> RegisterBrokerRequest {
    RegisterBrokerRequest {
        broker: BROKER,
        cluster_id: Arc::clone(controller.cluster_id()),
        incarnation_id: Uuid::new_v4(),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "127.0.0.1".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: FEATURES.map(supported).to_vec(),
        rack: None,
        log_dirs: vec![Uuid::from_u128(0x1001)],
        fenced: false,
        log_state: LogState::Intact,
        previous_broker_epoch: None,
        earlier_session_open: false,
    }
}

pub(crate) fn create(name: &str, num_partitions: i32) -> CreateTopicsRequest {
    let topic = NewTopic {
        name: name.into(),
        num_partitions,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    CreateTopicsRequest { topics: vec![topic], validate_only: false }
}

/// What a crash of the process leaves: the files as the page cache has them now.
pub(crate) fn copy_as_a_kill_leaves_it(from: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            let target = to.join(file.file_name());
            if file.file_type().unwrap().is_dir() {
                copy(&file.path(), &target);
            } else {
                fs::copy(file.path(), target).unwrap();
            }
        }
    }
    let copied = tempfile::tempdir().unwrap();
    copy(from, copied.path());
    copied
}
