//! An administrator who creates and deletes topics while the broker is killed: what was acknowledged stays done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::types::RDKafkaErrorCode;

use weir_tests::load::{self, AnyError, Quiet};

use super::SETTLE;

const PREFIX: &str = "made-";
const PARTITIONS: i32 = 2;
/// Between one request and the next.
const PACE: Duration = Duration::from_millis(20);
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of so many topics one is kept.
const KEPT_OF: u64 = 4;

/// What is known of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    There,
    Gone,
    /// A request was not answered.
    Either,
}

/// What became of the topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    known: BTreeMap<String, Known>,
    /// Requests that were acknowledged.
    pub(crate) acknowledged: u64,
}

/// Creates and deletes until told to stop.
pub(crate) fn spawn(
    bootstrap: &str,
    running: Arc<AtomicBool>,
) -> Result<thread::JoinHandle<Result<Topics, AnyError>>, AnyError> {
    let admin: AdminClient<Quiet> = load::client(bootstrap).create_with_context(Quiet)?;
    Ok(thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut topics = Topics::default();
        let mut number = 0_u64;
        while running.load(Ordering::Relaxed) {
            let name = format!("{PREFIX}{number}");
            runtime.block_on(topics.create(&admin, &name));
            if !number.is_multiple_of(KEPT_OF) {
                runtime.block_on(topics.delete(&admin, &name));
            }
            number += 1;
            thread::sleep(PACE);
        }
        Ok(topics)
    }))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

impl Topics {
    async fn create(&mut self, admin: &AdminClient<Quiet>, name: &str) {
        let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
        let outcome = admin.create_topics([&topic], &options()).await;
        let done = match outcome.as_deref() {
            Ok([Ok(_)]) => true,
            // An earlier try that was not answered has made it.
            Ok([Err((_, code))]) => *code == RDKafkaErrorCode::TopicAlreadyExists,
            _ => false,
        };
        self.note(name, done, Known::There);
    }

    async fn delete(&mut self, admin: &AdminClient<Quiet>, name: &str) {
        let outcome = admin.delete_topics(&[name], &options()).await;
        let done = match outcome.as_deref() {
            Ok([Ok(_)]) => true,
            // Nobody else makes topics of these names, so it is gone for good.
            Ok([Err((_, code))]) => {
                *code == RDKafkaErrorCode::UnknownTopicOrPartition && self.known.get(name) == Some(&Known::There)
            }
            _ => false,
        };
        self.note(name, done, Known::Gone);
    }

    fn note(&mut self, name: &str, done: bool, known: Known) {
        self.acknowledged += u64::from(done);
        self.known.insert(name.to_owned(), if done { known } else { Known::Either });
    }

    /// What the broker says of the topics that is not what it promised.
    pub(crate) fn verify(&self, bootstrap: &str) -> Result<Vec<String>, AnyError> {
        let admin: AdminClient<Quiet> = load::client(bootstrap).create_with_context(Quiet)?;
        let metadata = admin.inner().fetch_metadata(None, SETTLE)?;
        let there: BTreeMap<&str, usize> =
            metadata.topics().iter().map(|topic| (topic.name(), topic.partitions().len())).collect();
        let broken = self.known.iter().filter(|(name, known)| match known {
            Known::There => there.get(name.as_str()) != Some(&(PARTITIONS as usize)),
            Known::Gone => there.contains_key(name.as_str()),
            Known::Either => false,
        });
        Ok(broken.map(|(name, known)| format!("{name} should be {known:?}: {:?}", there.get(name.as_str()))).collect())
    }
}
