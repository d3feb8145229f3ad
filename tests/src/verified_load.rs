//! A verified load: an idempotent producer, a reader that follows it and the ledger of both, under way while something is done to the
//! brokers; and the verdict on what was acknowledged and what was read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::producer::{Producer, ThreadedProducer};

use crate::gaps::Gaps;
use crate::ledger::{Ledger, Violation};
use crate::load::{Acknowledgements, AnyError, Load};
use crate::verdict::Verdict;

/// How often it is looked whether every partition is written to.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A load that is under way.
pub struct VerifiedLoad {
    load: Load,
    ledger: Arc<Mutex<Ledger>>,
    gaps: Arc<Gaps>,
    producer: Arc<ThreadedProducer<Acknowledgements>>,
    goes_on: Arc<AtomicBool>,
    sender: thread::JoinHandle<Result<u64, AnyError>>,
    reader: thread::JoinHandle<Result<(), AnyError>>,
}

impl VerifiedLoad {
    /// Begins to write to the topic, which exists, and to read it. Returns once every partition is written to: a client that is still
    /// making itself known takes seconds to get over a fault.
    pub fn begin(load: Load) -> Result<VerifiedLoad, AnyError> {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let gaps = Arc::new(Gaps::new(load.partitions));
        let goes_on = Arc::new(AtomicBool::new(true));
        let producer = load.producer(Arc::clone(&ledger), Arc::clone(&gaps))?;
        let sender = load.spawn_sender(Arc::clone(&producer), Arc::clone(&goes_on));
        let reader = load.spawn_reader(Arc::clone(&ledger), Arc::clone(&goes_on))?;
        let begun = Instant::now();
        while !gaps.are_all_written() {
            if begun.elapsed() > load.settle {
                return Err(format!("not every partition is written to after {:?}", load.settle).into());
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(VerifiedLoad { load, ledger, gaps, producer, goes_on, sender, reader })
    }

    /// The times of acknowledgements.
    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// The longest gap of any partition since [`Gaps::begin`].
    pub fn longest_gap(&self) -> Duration {
        self.gaps.longest().into_iter().max().unwrap_or_default()
    }

    /// Ends it, reads everything that is in the topic, and compares that with what was promised.
    pub fn end(self, verdict: &mut Verdict) -> Result<(), AnyError> {
        self.goes_on.store(false, Ordering::Relaxed);
        let sent = self.sender.join().map_err(|_| "the sender died")??;
        self.producer.flush(self.load.settle)?;
        self.reader.join().map_err(|_| "the reader died")??;
        let everything = self.load.read_everything()?;
        let refused = self.producer.context().refused.load(Ordering::Relaxed);
        let unplaced = self.producer.context().unplaced.load(Ordering::Relaxed);
        let skips = self.producer.context().skips.load(Ordering::Relaxed);
        drop(self.producer);
        let ledger = Arc::into_inner(self.ledger).ok_or("the ledger is still held")?;
        let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
        let acknowledged = u64::try_from(ledger.acknowledged())? + unplaced;
        println!("{}: {sent} sent, {acknowledged} acknowledged, {} read", verdict.suite(), everything.len());
        let mut violations = ledger.settle(everything);
        if skips > 0 {
            let before = violations.len();
            violations.retain(|violation| !matches!(violation, Violation::OutOfOrder { .. }));
            let repeated = before - violations.len();
            println!(
                "{}: the client skipped a batch of its own {skips} times, and repeated what it had sent {repeated} times",
                verdict.suite()
            );
        }
        let violations: Vec<String> = violations.iter().map(|broken| format!("{broken:?}")).collect();
        verdict.check("what was acknowledged is there, once, in order, at its offset", &violations);
        let complete = refused == 0 && acknowledged == sent && sent > 0;
        verdict.holds("every record is acknowledged in the end", complete, || {
            format!("{refused} refused, {acknowledged} of {sent} acknowledged")
        });
        Ok(())
    }
}
