//! The power-cut suite: a broker on a disk whose power is cut again and again under load; what it acknowledged must be there.
//!
//! `powercut [CUTS] [SEED]`: the bounded number of CI unless told. The seed decides when the cuts fall and how the disk is mounted.
//!
//! Promised, by the table in the README: with `flush.messages=1` every acknowledged record, once, at its offset, and every committed offset
//! (the setting holds for `__consumer_offsets` too); always, every answered change of metadata. A topic that is not flushed may lose its
//! tail, and what is left of it is whole. Cuts fall on the load, on starts (recovery), on clean stops and on kills before them.
//! Ends with status 77 where there can be no such disk, and says why.

mod check;
mod load;
mod promises;
mod topics;

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use tempfile::TempDir;
use weir_tests::disk::{Disk, MOUNT_OPTIONS, NoDisk};
use weir_tests::ledger::Ledger;
use weir_tests::paths::cache_dir;
use weir_tests::weir::{Weir, WeirOptions};

use crate::load::{DURABLE, LOOSE, Load, LooseWriter, PARTITIONS};
use crate::promises::{Promises, Topic};
use crate::topics::{Topics, spawn_maker};

type AnyError = Box<dyn Error + Send + Sync>;
pub(crate) use weir_tests::ledger::Place;

const CUTS: u32 = 10;
/// How long a broker has power, at most.
const LIFE_MAX_MS: u64 = 700;
/// How long a start is left alone before it loses its power, at most.
const START_MAX_MS: u64 = 40;
/// How long what is under way at the end may take.
const SETTLE: Duration = Duration::from_secs(60);
/// `tests/run` counts it as skipped.
const SKIPPED: u8 = 77;
/// Everything is flushed unless a topic says otherwise; segments are small and checkpoints frequent, so that cuts fall on them too.
const SETTINGS: [&str; 7] = [
    "auto.create.topics.enable=false",
    "log.flush.interval.messages=1",
    "offsets.topic.num.partitions=4",
    "log.flush.offset.checkpoint.interval.ms=90",
    "replica.high.watermark.checkpoint.interval.ms=70",
    "log.retention.check.interval.ms=200",
    "log.segment.delete.delay.ms=100",
];
const SMALL_SEGMENTS: [(&str, &str); 2] = [("segment.bytes", "1048576"), ("segment.ms", "120")];

fn main() -> Result<ExitCode, AnyError> {
    let mut arguments = env::args().skip(1);
    let cuts: u32 = arguments.next().map_or(Ok(CUTS), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(rand::rng().random()), |text| text.parse())?;
    let dir = TempDir::new()?;
    let options = SETTINGS.iter().fold(WeirOptions::new(dir.path())?, |options, setting| options.with_setting(setting));
    let mounted_with = MOUNT_OPTIONS[(seed % MOUNT_OPTIONS.len() as u64) as usize];
    let disk = match Disk::make(dir.path().join("disk.img"), options.data_dir(), mounted_with) {
        Ok(disk) => disk,
        Err(NoDisk::Io(error)) => return Err(error.into()),
        Err(reason) => {
            println!("powercut: skipped: {reason}");
            return Ok(ExitCode::from(SKIPPED));
        }
    };
    println!("powercut: {cuts} cuts, seed {seed}, mounted with {mounted_with}");
    let mut run =
        Run { disk, options, promises: Arc::default(), random: StdRng::seed_from_u64(seed), seed, loose: None };
    let outcome = run.go(cuts);
    if !outcome.as_ref().is_ok_and(Vec::is_empty) {
        keep_log(dir.path())?;
    }
    let broken = outcome?;
    for rule in broken.iter().take(20) {
        println!("powercut: {rule}");
    }
    let failed = u32::from(!broken.is_empty());
    println!("powercut: {} passed, {failed} failed", 1 - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the broker said in all its lives stays when its directory goes.
fn keep_log(dir: &Path) -> Result<(), AnyError> {
    let kept = cache_dir().join("powercut-broker.log");
    fs::create_dir_all(cache_dir())?;
    fs::copy(dir.join("weir.log"), &kept)?;
    println!("powercut: what the broker said is in {}", kept.display());
    Ok(())
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The power goes under load.
    UnderLoad,
    /// The power goes while the broker starts.
    AtStart,
    /// The process is killed and starts again before the power goes.
    KilledBefore,
    /// The broker stops in order, and then the power goes.
    StoppedBefore,
}

struct Run {
    disk: Disk,
    options: WeirOptions,
    promises: Arc<Promises>,
    random: StdRng,
    seed: u64,
    loose: Option<LooseWriter>,
}

impl Run {
    /// Cuts the power so often; gives the rules that were broken.
    fn go(&mut self, cuts: u32) -> Result<Vec<String>, AnyError> {
        let mut weir = Weir::start(self.options.clone())?;
        let bootstrap = weir.bootstrap();
        self.promises.listen();
        self.create_topics(&bootstrap)?;
        let load = Load::start(&bootstrap, &self.promises, self.seed)?;
        let pause = Arc::new(Mutex::new(()));
        let maker = spawn_maker(&bootstrap, &self.promises, load.running(), Arc::clone(&pause), self.seed)?;
        for cut in 1..=cuts {
            let end = self.choose_end();
            self.loose = Some(LooseWriter::start(&bootstrap, &self.promises, self.seed, cut)?);
            weir = self.live_and_lose_power(weir, end)?;
            let _paused = pause.lock().unwrap_or_else(PoisonError::into_inner);
            let broken = check::after_a_start(&bootstrap, &self.promises)?;
            if !broken.is_empty() {
                println!("powercut: cut {cut} ({end:?}) broke promises");
                return Ok(broken);
            }
        }
        let (sent, refused) = load.finish(SETTLE)?;
        let made = maker.join().map_err(|_| "the maker of topics died")??;
        let acknowledged = self.promises.known().topics[DURABLE].ledger.acknowledged();
        println!(
            "powercut: {sent} sent, {acknowledged} acknowledged, {} promises, {made} topics made",
            self.promises.known().promises
        );
        let mut broken = check::everything(&bootstrap, &self.promises)?;
        if refused > 0 || sent == 0 {
            broken.push(format!("{refused} of {sent} records were refused"));
        }
        Ok(broken)
    }

    fn create_topics(&self, bootstrap: &str) -> Result<(), AnyError> {
        let topics = Topics::new(bootstrap)?;
        let never = ("flush.messages", "9223372036854775807");
        for (name, durable) in [(DURABLE, true), (LOOSE, false)] {
            let mut configs = SMALL_SEGMENTS.to_vec();
            configs.extend((!durable).then_some(never));
            if !topics.create(name, PARTITIONS, &configs) {
                return Err(format!("{name} could not be created").into());
            }
            let topic = Topic { partitions: PARTITIONS, durable, ledger: Ledger::default() };
            self.promises.note(|known| drop(known.topics.insert(name.to_owned(), topic)));
        }
        Ok(())
    }

    fn choose_end(&mut self) -> End {
        match self.random.random_range(0..10) {
            0..=4 => End::UnderLoad,
            5..=6 => End::AtStart,
            7..=8 => End::KilledBefore,
            _ => End::StoppedBefore,
        }
    }

    /// Lets the broker live for a while, takes its power, and starts it again.
    fn live_and_lose_power(&mut self, mut weir: Weir, end: End) -> Result<Weir, AnyError> {
        let life = |random: &mut StdRng| Duration::from_millis(random.random_range(0..LIFE_MAX_MS));
        thread::sleep(life(&mut self.random));
        match end {
            End::UnderLoad => self.lose_power(weir)?,
            End::AtStart => {
                self.lose_power(weir)?;
                let weir = Weir::spawn(self.options.clone())?;
                thread::sleep(Duration::from_millis(self.random.random_range(0..START_MAX_MS)));
                self.lose_power(weir)?;
            }
            End::KilledBefore => {
                let options = weir.kill()?;
                weir = Weir::start(options)?;
                thread::sleep(life(&mut self.random) / 4);
                self.lose_power(weir)?;
            }
            End::StoppedBefore => {
                weir.stop()?;
                self.promises.stop_listening();
                self.disk.cut()?;
                self.power_on()?;
            }
        }
        self.loose.take().map_or(Ok(()), LooseWriter::stop)?;
        let weir = Weir::start(self.options.clone())?;
        self.promises.listen();
        Ok(weir)
    }

    /// Nothing is promised any more, then the broker halts where it stands, then nothing more reaches the disk. An fsync that is under way
    /// is cut with it and cannot be told to anybody.
    fn lose_power(&self, mut weir: Weir) -> Result<(), AnyError> {
        self.promises.stop_listening();
        weir.process().signal(Signal::STOP)?;
        self.disk.cut()?;
        weir.kill()?;
        self.power_on()
    }

    /// The disk is back, and so is the host: under another boot id than the one that the broker noted.
    fn power_on(&self) -> Result<(), AnyError> {
        self.disk.power_on()?;
        note_another_boot(self.disk.path())
    }
}

/// Makes the boot id in the directory another than the running system's, as a reboot does.
fn note_another_boot(data_dir: &Path) -> Result<(), AnyError> {
    let path = data_dir.join(weir_storage::identity::BOOT_ID_FILE);
    if fs::exists(&path)? {
        let mut file = File::create(&path)?;
        file.write_all(b"00000000-0000-0000-0000-000000000000\n")?;
        file.sync_all()?;
    }
    Ok(())
}
