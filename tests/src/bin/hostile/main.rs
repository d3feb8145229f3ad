//! The hostile suite: random and changed frames at every API and version, from several connections at once, while a witness produces
//! and consumes; then garbage at the TLS listener. The broker answers or closes, lives, stays small, and loses nothing.
//!
//! `hostile [FRAMES] [SEED]`: the bounded number of CI unless told. The seed decides every byte that is sent.

mod attack;
mod change;
mod requests;
mod tls_garbage;
mod vocabulary;
mod witness;

use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::Rng;
use tempfile::TempDir;

use weir_tests::certificates::Certificates;
use weir_tests::usage;
use weir_tests::verdict::Verdict;
use weir_tests::weir::{Weir, WeirOptions};
use weir_tests::wire::Wire;

use attack::{Attack, Outcome};
use vocabulary::Vocabulary;
use witness::{Testimony, Witness};

const FRAMES: u64 = 20_000;
/// Connections that attack at the same time.
const ATTACKERS: u64 = 4;
/// Connections to the TLS listener that do not speak TLS, or badly.
const TLS_CONNECTIONS: u64 = 200;
/// What the broker may ever hold in memory while this goes on.
const MAX_PEAK_RESIDENT_BYTES: f64 = 128.0 * 1024.0 * 1024.0;
/// How long the witness may wait for one answer.
const MAX_WITNESS_WAIT: Duration = Duration::from_secs(2);

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<ExitCode, AnyError> {
    let mut arguments = env::args().skip(1);
    let frames: u64 = arguments.next().map_or(Ok(FRAMES), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(rand::rng().random()), |text| text.parse())?;
    println!("hostile: {frames} frames, seed {seed}");
    let dir = TempDir::new()?;
    let certificates = Certificates::make(&dir.path().join("certificates"))?;
    let options = WeirOptions::new(dir.path())?.with_ssl(certificates)?;
    let mut weir = Weir::start(options.with_setting("offsets.topic.num.partitions=4"))?;
    let bootstrap = weir.bootstrap();

    let mut idle = Wire::connect(&bootstrap)?;
    let witness = Witness::arrive(&bootstrap)?;
    let vocabulary = Arc::new(Vocabulary::prepare(&bootstrap)?);
    let running = Arc::new(AtomicBool::new(true));
    let witness = thread::spawn({
        let running = Arc::clone(&running);
        move || witness.watch(&running)
    });
    let started = Instant::now();
    let outcome = attack(&weir, frames, seed, &vocabulary)?;
    println!("hostile: {outcome} in {:?}", started.elapsed());
    running.store(false, Ordering::Relaxed);
    let testimony = witness.join().map_err(|_| "the witness died")??;

    let mut verdict = Verdict::new("hostile");
    judge(&mut verdict, &mut weir, &outcome, &testimony)?;
    let answered = idle.api_versions();
    verdict.holds("a connection from before is served", answered.is_ok(), || format!("{answered:?}"));
    let log = weir.process().log().to_owned();
    let stopped = Instant::now();
    let options = weir.stop()?;
    println!("hostile: the stop took {:?}", stopped.elapsed());
    let mut weir = Weir::start(options)?;
    let kept = testimony.verify(&weir.bootstrap());
    verdict.holds("a restart finds what was there", kept.is_ok(), || {
        format!("{kept:?}; the broker said last:\n{}", weir.process().log_tail(30))
    });
    drop(weir);
    let panics: Vec<String> = String::from_utf8_lossy(&fs::read(log)?)
        .lines()
        .filter(|line| line.contains("panicked"))
        .map(str::to_owned)
        .collect();
    verdict.holds("nothing panics", panics.is_empty(), || panics.join("\n"));
    Ok(verdict.finish())
}

/// Sends everything and gives what became of it.
fn attack(weir: &Weir, frames: u64, seed: u64, vocabulary: &Arc<Vocabulary>) -> Result<Outcome, AnyError> {
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|index| {
            let attack = Attack::new(weir.bootstrap(), seed.wrapping_add(index), Arc::clone(vocabulary));
            thread::spawn(move || attack.run(frames / ATTACKERS))
        })
        .collect();
    let ssl = weir.ssl_bootstrap().ok_or("no TLS listener")?;
    let garbage = thread::spawn(move || tls_garbage::send(&ssl, seed, TLS_CONNECTIONS));
    let mut outcome = Outcome::default();
    for attacker in attackers {
        outcome.add(attacker.join().map_err(|_| "an attacker died")?);
    }
    outcome.complaints.extend(garbage.join().map_err(|_| "the TLS attacker died")??);
    Ok(outcome)
}

fn judge(verdict: &mut Verdict, weir: &mut Weir, outcome: &Outcome, testimony: &Testimony) -> Result<(), AnyError> {
    let complaints = || outcome.complaints.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    verdict.holds("every connection is answered or closed, in order", outcome.complaints.is_empty(), complaints);
    let ended = weir.process().ended()?;
    verdict.holds("the process lives", ended.is_none(), || format!("{ended:?}:\n{}", weir.process().log_tail(30)));
    let peak = usage::peak_resident_bytes(weir.process().pid())?;
    println!("hostile: {:.1} MiB at the peak", peak / 1024.0 / 1024.0);
    verdict.holds("memory is bounded", peak <= MAX_PEAK_RESIDENT_BYTES, || format!("{peak} bytes at the peak"));
    println!("hostile: the witness saw {testimony}");
    let slowest = testimony.slowest();
    verdict.holds("others are served meanwhile", slowest <= MAX_WITNESS_WAIT, || format!("one waited {slowest:?}"));
    let kept = testimony.verify(&weir.bootstrap());
    verdict.holds("what was there is there", kept.is_ok(), || format!("{kept:?}"));
    Ok(())
}
