//! The chaos suite: one broker killed again and again under the load of an idempotent producer, a reader, a consumer that commits and an
//! administrator; what it acknowledged must be there, once, in order, at the offset it said.
//!
//! `chaos [KILLS] [SEED]`: the bounded number of CI unless told. The seed decides when the kills fall, and how broker and topic are set up.

mod commits;
mod plan;
mod topics;

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::producer::Producer;
use tempfile::TempDir;

use weir_tests::gaps::Gaps;
use weir_tests::ledger::Ledger;
use weir_tests::load::{AnyError, Load};
use weir_tests::verdict::Verdict;
use weir_tests::weir::{Weir, WeirOptions};

use plan::Plan;

const KILLS: u32 = 60;
const TOPIC: &str = "chaos";
const PARTITIONS: i32 = 6;
/// How long a broker lives before it is killed, at most.
const LIFE_MAX_MS: u64 = 400;
/// How long the last flush and the last read may take.
const SETTLE: Duration = Duration::from_secs(120);
/// What a broker says of itself when it is not well.
const COMPLAINTS: [&str; 3] = ["panicked", "goes offline", " ERROR "];

fn main() -> Result<ExitCode, AnyError> {
    let mut arguments = env::args().skip(1);
    let kills: u32 = arguments.next().map_or(Ok(KILLS), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(rand::rng().random()), |text| text.parse())?;
    let mut random = StdRng::seed_from_u64(seed);
    let plan = Plan::draw(&mut random);
    println!("chaos: {kills} kills, seed {seed}: {plan}");
    let dir = TempDir::new()?;
    let mut weir = Weir::start(options(dir.path(), &plan)?)?;
    let bootstrap = weir.bootstrap();
    let load = Load {
        bootstrap: bootstrap.clone(),
        topic: TOPIC.to_owned(),
        partitions: PARTITIONS,
        producer: vec![("compression.codec", plan.codec.to_owned())],
        pace: None,
        settle: SETTLE,
    };
    load.create_topic(1, &plan.topic)?;

    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let producer = load.producer(Arc::clone(&ledger), Arc::new(Gaps::new(PARTITIONS)))?;
    let running = Arc::new(AtomicBool::new(true));
    let sender = load.spawn_sender(Arc::clone(&producer), Arc::clone(&running));
    let reader = load.spawn_reader(Arc::clone(&ledger), Arc::clone(&running))?;
    let committer = commits::spawn(&bootstrap, Arc::clone(&running))?;
    let administrator = topics::spawn(&bootstrap, Arc::clone(&running))?;

    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        thread::sleep(Duration::from_millis(random.random_range(0..LIFE_MAX_MS)));
        let options = weir.kill()?;
        weir = Weir::start(options)?;
        slowest = slowest.max(weir.ready_after());
    }
    running.store(false, Ordering::Relaxed);
    let sent = sender.join().map_err(|_| "the sender died")??;
    producer.flush(SETTLE)?;
    reader.join().map_err(|_| "the reader died")??;
    let commits = committer.join().map_err(|_| "the committer died")??;
    let topics = administrator.join().map_err(|_| "the administrator died")??;
    let everything = load.read_everything()?;
    let refused = producer.context().refused.load(Ordering::Relaxed);
    let unplaced = producer.context().unplaced.load(Ordering::Relaxed);
    drop(producer);

    let ledger = Arc::into_inner(ledger).ok_or("the ledger is still held")?;
    let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    let acknowledged = u64::try_from(ledger.acknowledged())? + unplaced;
    println!(
        "chaos: {sent} sent, {acknowledged} acknowledged, {} read, {} commits and {} changes of topics acknowledged, slowest start {slowest:?}",
        everything.len(),
        commits.acknowledged,
        topics.acknowledged
    );
    let mut verdict = Verdict::new("chaos");
    let violations: Vec<String> = ledger.settle(everything).iter().map(|broken| format!("{broken:?}")).collect();
    verdict.check("what was acknowledged is there, once, in order, at its offset", &violations);
    // The producer never gives up, and the broker is alive.
    let incomplete = refused > 0 || acknowledged != sent || sent == 0;
    let incomplete = incomplete.then(|| format!("{refused} refused, {acknowledged} of {sent} acknowledged"));
    verdict.check("every record is acknowledged in the end", incomplete.as_slice());
    verdict.check("a committed offset is the last acknowledged, or one tried after it", &commits.broken);
    verdict.check("a topic that was made is there, and one that was deleted is not", &topics.verify(&bootstrap)?);
    verdict.check("a broker has nothing to complain of", &complaints(weir.process().log())?);
    if verdict.is_broken() {
        println!("chaos: the broker said last:\n{}", weir.process().log_tail(40));
    }
    Ok(verdict.finish())
}

fn options(dir: &Path, plan: &Plan) -> Result<WeirOptions, AnyError> {
    let options = WeirOptions::new(dir)?;
    let dirs: Vec<String> =
        (0..plan.log_dirs).map(|index| dir.join(format!("data-{index}")).display().to_string()).collect();
    Ok(options.with_setting(&format!("log.dirs={}", dirs.join(","))))
}

/// Lines of the log that should not be there.
fn complaints(log: &Path) -> Result<Vec<String>, AnyError> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let complains = |line: &&str| COMPLAINTS.iter().any(|complaint| line.contains(complaint));
    Ok(text.lines().filter(complains).map(str::to_owned).collect())
}
