//! Topics that come and go: made, given a record, deleted, made again under the same name.
//!
//! What the broker answered is a promise; a request without an answer leaves the topic out of the account.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, ThreadedProducer};
use tokio::runtime::Runtime;
use weir_tests::ledger::Ledger;

use crate::AnyError;
use crate::load::{Acknowledgements, Worker, careless_producer, client, first_sequence};
use crate::promises::{Promises, Topic, value_of};

/// The writer of the records in these topics.
const WRITER: u64 = 200;
/// How many partitions one has at most.
const PARTITIONS_MAX: i32 = 3;
/// How long an answer may take; a cut takes less.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes and deletes topics.
pub(crate) struct Topics {
    admin: AdminClient<DefaultClientContext>,
    runtime: Runtime,
}

impl Topics {
    pub(crate) fn new(bootstrap: &str) -> Result<Self, AnyError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { admin: client(bootstrap).create()?, runtime })
    }

    /// Makes a topic; whether the broker said that it did.
    pub(crate) fn create(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> bool {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in configs {
            topic = topic.set(key, value);
        }
        let outcome = self.runtime.block_on(self.admin.create_topics([&topic], &options()));
        outcome.is_ok_and(|topics| topics.iter().all(Result::is_ok))
    }

    fn delete(&self, name: &str) -> bool {
        let outcome = self.runtime.block_on(self.admin.delete_topics(&[name], &options()));
        outcome.is_ok_and(|topics| topics.iter().all(Result::is_ok))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

/// Makes and deletes until it is told to stop. `pause` is held through each step: who compares promises with what is there takes it.
pub(crate) fn spawn_maker(
    bootstrap: &str,
    promises: &Arc<Promises>,
    running: Arc<AtomicBool>,
    pause: Arc<Mutex<()>>,
    seed: u64,
) -> Result<Worker, AnyError> {
    let topics = Topics::new(bootstrap)?;
    let producer = careless_producer(bootstrap, promises)?;
    let mut maker = Maker {
        topics,
        producer,
        promises: Arc::clone(promises),
        random: StdRng::seed_from_u64(seed ^ WRITER),
        made: 0,
    };
    Ok(thread::spawn(move || {
        while running.load(Ordering::Relaxed) {
            let paused = pause.lock().unwrap_or_else(PoisonError::into_inner);
            maker.step();
            drop(paused);
            // Who wants the pause gets it.
            thread::sleep(Duration::from_millis(1));
        }
        Ok(maker.made)
    }))
}

struct Maker {
    topics: Topics,
    producer: ThreadedProducer<Acknowledgements>,
    promises: Arc<Promises>,
    random: StdRng,
    made: u64,
}

impl Maker {
    fn step(&mut self) {
        if self.random.random_ratio(2, 5)
            && let Some(name) = self.one_with_a_record()
        {
            self.delete(&name);
            if self.random.random_ratio(2, 3) {
                self.make(&name);
            }
            return;
        }
        let name = format!("made-{}", self.made);
        self.make(&name);
    }

    /// A topic whose one record is acknowledged, so that none is under way.
    fn one_with_a_record(&mut self) -> Option<String> {
        let known = self.promises.known();
        let ready =
            known.topics.iter().filter(|(name, topic)| name.starts_with("made-") && topic.ledger.acknowledged() == 1);
        ready.map(|(name, _)| name.clone()).choose(&mut self.random)
    }

    fn make(&mut self, name: &str) {
        let partitions = self.random.random_range(1..=PARTITIONS_MAX);
        let sequence = first_sequence(WRITER) + self.made;
        self.made += 1;
        // Whether it comes to be or not, nobody says any more that it is gone.
        self.promises.known().deleted.retain(|deleted| deleted != name);
        if !self.topics.create(name, partitions, &[]) {
            return;
        }
        let topic = Topic { partitions, durable: true, ledger: Ledger::default() };
        self.promises.note(|known| drop(known.topics.insert(name.to_owned(), topic)));
        let value = value_of(sequence);
        let record = BaseRecord::<(), [u8], Box<u64>>::with_opaque_to(name, Box::new(sequence));
        let partition = self.random.random_range(0..partitions);
        // Refused if the client has yet to hear of the partitions of a topic that is made again: then it has no record.
        let _ = self.producer.send(record.partition(partition).payload(&value));
    }

    fn delete(&mut self, name: &str) {
        self.promises.known().topics.remove(name);
        if self.topics.delete(name) {
            self.promises.note(|known| known.deleted.push(name.to_owned()));
        }
    }
}
