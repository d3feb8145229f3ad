//! The clients suite: starts Apache Kafka and Weir once, runs every driver against both, compares, and ends with a totals line.
//!
//! `clients [--reference-only] [DRIVER...]`: with `--reference-only` the reference is compared with a second one of its own kind, which proves
//! that the drivers' outcomes are deterministic.

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use weir_tests::apache_kafka::{ApacheKafka, ApacheKafkaOptions};
use weir_tests::certificates::Certificates;
use weir_tests::clients::{DRIVERS, Driver, Endpoint, KnownDifferences, Outcomes, Verdict, compare, run_driver};
use weir_tests::paths;
use weir_tests::ports;
use weir_tests::weir::{Weir, WeirOptions};

/// Drivers that run at once: they wait more than they work.
const WORKERS: usize = 3;

/// What both brokers are told beyond where they listen. Weir takes all of it, and acts on what it has built.
const SETTINGS: [&str; 12] = [
    // The default of three seconds would be most of the run of every driver with a group.
    "group.initial.rebalance.delay.ms=0",
    "offsets.topic.num.partitions=5",
    "offsets.topic.replication.factor=1",
    // Room for the largest message that the drivers send.
    "socket.request.max.bytes=104857600",
    // Drivers write records of fixed, long gone times, which retention would take away; and reads of configurations show what a file sets.
    "log.retention.ms=-1",
    // So that the reference stays small.
    "log.cleaner.dedupe.buffer.size=10485760",
    "transaction.state.log.num.partitions=2",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "share.coordinator.state.topic.num.partitions=2",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
];

type AnyError = Box<dyn Error + Send + Sync>;

/// A broker that is kept running while drivers use it.
enum Running {
    Weir(Weir),
    ApacheKafka(ApacheKafka),
}

impl Running {
    fn log_tail(&mut self) -> String {
        match self {
            Running::Weir(weir) => weir.process().log_tail(15),
            Running::ApacheKafka(kafka) => kafka.process().log_tail(15),
        }
    }
}

fn main() -> Result<ExitCode, AnyError> {
    let (flags, names): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|argument| argument.starts_with("--"));
    if let Some(unknown) = flags.iter().find(|flag| *flag != "--reference-only") {
        return Err(format!("no such option: {unknown}").into());
    }
    let reference_only = !flags.is_empty();
    let drivers = chosen(&names)?;
    let known = if reference_only { String::new() } else { fs::read_to_string(known_differences_file())? };
    let known = KnownDifferences::parse(&known)?;

    let work = work_dir()?;
    let certificates = Certificates::make(&work.join("certificates"))?;
    let (reference, mut reference_broker) = start_reference("reference", &work, &certificates)?;
    let (subject, mut subject_broker) = if reference_only {
        start_reference("reference-again", &work, &certificates)?
    } else {
        start_subject(&work, &certificates)?
    };
    let results = run_all(&drivers, &reference, &subject)?;

    let mut passed = 0;
    let mut failed = 0;
    for (driver, reference_said, subject_said) in &results {
        let (good, bad) = report(driver, reference_said, subject_said, &known);
        passed += good;
        failed += bad;
    }
    if failed > 0 {
        println!("\noutputs are in {}", work.display());
        println!("{} said last:\n{}", reference.name, reference_broker.log_tail());
        println!("{} said last:\n{}", subject.name, subject_broker.log_tail());
    }
    drop(reference_broker);
    drop(subject_broker);
    println!("clients: {passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(names: &[String]) -> Result<Vec<Driver>, AnyError> {
    if let Some(unknown) = names.iter().find(|name| !DRIVERS.iter().any(|driver| driver.name == name.as_str())) {
        let all: Vec<&str> = DRIVERS.iter().map(|driver| driver.name).collect();
        return Err(format!("no driver is called {unknown}; there are {}", all.join(", ")).into());
    }
    let asked = |driver: &&Driver| names.is_empty() || names.iter().any(|name| name == driver.name);
    let (ready, missing): (Vec<Driver>, Vec<Driver>) = DRIVERS.iter().filter(asked).partition(|d| d.is_installed());
    for driver in &missing {
        println!("skipped: {} needs its {:?} part installed by tests/run", driver.name, driver.toolchain);
    }
    if env::var_os("CI").is_some() && !missing.is_empty() {
        return Err("drivers are missing, and CI skips none".into());
    }
    Ok(ready)
}

fn known_differences_file() -> PathBuf {
    paths::tests_dir().join("clients/known-differences.txt")
}

/// A new directory for this run below the cache. Those of earlier runs are removed, since large messages fill disks; those of runs that
/// still go on are left alone.
fn work_dir() -> Result<PathBuf, AnyError> {
    let all = paths::cache_dir().join("clients-run");
    fs::create_dir_all(&all)?;
    for entry in fs::read_dir(&all)? {
        let entry = entry?;
        if !Path::new("/proc").join(entry.file_name()).exists() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let mine = all.join(std::process::id().to_string());
    fs::create_dir_all(&mine)?;
    Ok(mine)
}

fn start_reference(name: &str, work: &Path, certificates: &Certificates) -> Result<(Endpoint, Running), AnyError> {
    let dir = work.join(name);
    let mut options = ApacheKafkaOptions::new(&dir)?;
    let [ssl_port] = ports::free_ports()?;
    options.settings = SETTINGS.iter().map(|setting| (*setting).to_owned()).collect();
    // Later lines of a properties file win.
    let options = options
        .clone()
        .with_setting(&format!(
            "listeners=PLAINTEXT://127.0.0.1:{},SSL://127.0.0.1:{ssl_port},CONTROLLER://127.0.0.1:{}",
            options.port, options.controller_port
        ))
        .with_setting("listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT")
        .with_setting("ssl.keystore.type=PEM")
        .with_setting(&format!("ssl.keystore.location={}", certificates.keystore().display()));
    let kafka = ApacheKafka::start(options)?;
    println!("Apache Kafka ({name}) answered after {} ms", kafka.ready_after().as_millis());
    let endpoint = Endpoint {
        name: name.to_owned(),
        bootstrap: kafka.bootstrap(),
        ssl_bootstrap: format!("127.0.0.1:{ssl_port}"),
        ssl_ca: certificates.authority().to_path_buf(),
        data_dir: kafka.options().data_dir(),
        output_dir: dir.join("outputs"),
    };
    Ok((endpoint, Running::ApacheKafka(kafka)))
}

fn start_subject(work: &Path, certificates: &Certificates) -> Result<(Endpoint, Running), AnyError> {
    let dir = work.join("weir");
    let mut options = WeirOptions::new(&dir)?.with_ssl(certificates.clone())?.with_setting("node.id=1");
    options.settings.extend(SETTINGS.iter().map(|setting| (*setting).to_owned()));
    let weir = Weir::start(options)?;
    println!("Weir answered after {} ms", weir.ready_after().as_millis());
    let endpoint = Endpoint {
        name: "weir".to_owned(),
        bootstrap: weir.bootstrap(),
        ssl_bootstrap: weir.ssl_bootstrap().unwrap_or_default(),
        ssl_ca: certificates.authority().to_path_buf(),
        data_dir: weir.options().data_dir(),
        output_dir: dir.join("outputs"),
    };
    Ok((endpoint, Running::Weir(weir)))
}

/// Every driver against both brokers, a few at a time.
fn run_all(
    drivers: &[Driver],
    reference: &Endpoint,
    subject: &Endpoint,
) -> Result<Vec<(Driver, Outcomes, Outcomes)>, AnyError> {
    let jobs: VecDeque<(usize, &Endpoint)> =
        (0..drivers.len()).flat_map(|index| [(index, reference), (index, subject)]).collect();
    let jobs = Mutex::new(jobs);
    let done = Mutex::new(vec![(Outcomes::default(), Outcomes::default()); drivers.len()]);
    let work = || -> Result<(), AnyError> {
        loop {
            let Some((index, endpoint)) = jobs.lock().map_err(|_| "a worker died")?.pop_front() else {
                return Ok(());
            };
            let driver = &drivers[index];
            let (outcomes, took) = run_driver(driver, endpoint)?;
            println!("ran {} at {}: {} cases in {}", driver.name, endpoint.name, outcomes.len(), seconds(took));
            let mut done = done.lock().map_err(|_| "a worker died")?;
            let slot = if std::ptr::eq(endpoint, reference) { &mut done[index].0 } else { &mut done[index].1 };
            *slot = outcomes;
        }
    };
    thread::scope(|scope| -> Result<(), AnyError> {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker died")??;
        }
        Ok(())
    })?;
    let done = done.into_inner().map_err(|_| "a worker died")?;
    Ok(drivers
        .iter()
        .copied()
        .zip(done)
        .map(|(driver, (at_reference, at_subject))| (driver, at_reference, at_subject))
        .collect())
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Prints what differs of one driver, and counts.
fn report(driver: &Driver, reference: &Outcomes, subject: &Outcomes, known: &KnownDifferences) -> (usize, usize) {
    let mut failed = 0;
    let mut known_count = 0;
    let verdicts = compare(driver.name, reference, subject, known);
    for (case, verdict) in &verdicts {
        match verdict {
            Verdict::Same => {}
            Verdict::Known { .. } => known_count += 1,
            Verdict::Different { reference, subject } => {
                failed += 1;
                println!("\nDIFFERENT {} | {case}", driver.name);
                println!("  - {}", reference.as_deref().unwrap_or("(absent)"));
                println!("  + {}", subject.as_deref().unwrap_or("(absent)"));
            }
        }
    }
    // A driver that failed at the reference has compared nothing worth comparing.
    if reference.outcome("driver.exit").as_deref() != Some("ok") {
        failed += 1;
        println!("\nFAILED {} did not finish at the reference: {:?}", driver.name, reference.outcome("driver.exit"));
    }
    let differing = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Same).map(|(case, _)| case.clone());
    for line in known.unused(driver.name, &differing.collect::<Vec<_>>()) {
        failed += 1;
        println!("\nSTALE {} | {}: no difference any more", driver.name, line.case);
    }
    println!("{}: {} cases, {known_count} known differences, {failed} failed", driver.name, verdicts.len());
    (verdicts.len().saturating_sub(failed), failed)
}
