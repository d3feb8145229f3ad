//! The broker under load: Weir or Apache Kafka, started the same way and seen the same way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weir_tests::apache_kafka::{ApacheKafka, ApacheKafkaOptions};
use weir_tests::certificates::Certificates;
use weir_tests::usage;
use weir_tests::weir::{Weir, WeirOptions};
use weir_tests::wire::{self, NewTopic, Wire};

use crate::load::{Load, Work};
use crate::report::Who;

/// The flags of Apache Kafka's own start script.
pub(crate) const KAFKA_JVM_FLAGS: [&str; 6] =
    ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"];
/// How long the first metadata answer may take.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// A running broker and its directory, which goes when it does.
#[derive(Debug)]
pub(crate) struct Subject {
    running: Running,
    dir: PathBuf,
    started_in: Duration,
}

#[derive(Debug)]
enum Running {
    Weir(Weir),
    ApacheKafka(ApacheKafka),
}

/// A stopped broker that can be started again on its data.
#[derive(Debug)]
pub(crate) struct Stopped {
    options: StoppedOptions,
    dir: PathBuf,
}

#[derive(Debug)]
enum StoppedOptions {
    Weir(WeirOptions),
    ApacheKafka(ApacheKafkaOptions),
}

impl Subject {
    /// Starts a broker with a new directory below `work_dir` and more settings than where it listens.
    pub(crate) fn start(who: Who, work_dir: &Path, settings: &[&str]) -> io::Result<Subject> {
        let dir = new_dir(work_dir)?;
        let owned = settings.iter().map(|setting| (*setting).to_owned());
        let options = match who {
            Who::Weir => {
                let mut options = WeirOptions::new(&dir)?;
                options.settings.extend(owned);
                StoppedOptions::Weir(options)
            }
            Who::ApacheKafka => {
                let mut options = ApacheKafkaOptions::new(&dir)?.with_jvm_flags(&KAFKA_JVM_FLAGS);
                options.settings.extend(owned);
                StoppedOptions::ApacheKafka(options)
            }
            Who::Loop => return Err(io::Error::other("a loop is no broker")),
        };
        Stopped { options, dir }.start()
    }

    /// Starts Weir with a TLS listener beside the plaintext one, and returns where it is and what its clients trust.
    pub(crate) fn start_with_tls(work_dir: &Path) -> io::Result<(Subject, String, PathBuf)> {
        let dir = new_dir(work_dir)?;
        let certificates = Certificates::make(&dir.join("certificates"))?;
        let authority = certificates.authority().to_path_buf();
        let options = WeirOptions::new(&dir)?.with_ssl(certificates)?;
        let subject = Stopped { options: StoppedOptions::Weir(options), dir }.start()?;
        let Running::Weir(weir) = &subject.running else { return Err(io::Error::other("not Weir")) };
        let bootstrap = weir.ssl_bootstrap().ok_or_else(|| io::Error::other("no TLS listener"))?;
        Ok((subject, bootstrap, authority))
    }

    /// From the start of the process to the first metadata answer.
    pub(crate) fn started_in(&self) -> Duration {
        self.started_in
    }

    pub(crate) fn bootstrap(&self) -> String {
        match &self.running {
            Running::Weir(weir) => weir.bootstrap(),
            Running::ApacheKafka(kafka) => kafka.bootstrap(),
        }
    }

    pub(crate) fn pid(&mut self) -> u32 {
        match &mut self.running {
            Running::Weir(weir) => weir.process().pid(),
            Running::ApacheKafka(kafka) => kafka.process().pid(),
        }
    }

    pub(crate) fn wire(&self) -> io::Result<Wire> {
        Wire::connect(&self.bootstrap())
    }

    pub(crate) fn resident_bytes(&mut self) -> io::Result<f64> {
        usage::resident_bytes(self.pid())
    }

    pub(crate) fn cpu_seconds(&mut self) -> io::Result<f64> {
        usage::cpu_seconds(self.pid())
    }

    /// Creates one topic.
    pub(crate) fn create_topic(&self, name: &str, partitions: u32, configs: &[(&str, &str)]) -> io::Result<()> {
        let mut wire = self.wire()?;
        wire.create_topics(&[NewTopic { name: name.to_owned(), partitions, configs }])?;
        wire.wait_for_leaders(name, partitions)
    }

    /// This work for this broker.
    pub(crate) fn load(&mut self, work: Work) -> Load {
        Load { bootstrap: self.bootstrap(), broker_pids: vec![self.pid()], work }
    }

    /// Stops it as an operator does, and returns how long that took.
    pub(crate) fn stop(self) -> io::Result<(Duration, Stopped)> {
        let asked = Instant::now();
        let options = match self.running {
            Running::Weir(weir) => StoppedOptions::Weir(weir.stop()?),
            Running::ApacheKafka(kafka) => StoppedOptions::ApacheKafka(kafka.stop()?),
        };
        Ok((asked.elapsed(), Stopped { options, dir: self.dir }))
    }

    /// Ends Weir as `kill -9` does.
    pub(crate) fn kill(self) -> io::Result<Stopped> {
        match self.running {
            Running::Weir(weir) => Ok(Stopped { options: StoppedOptions::Weir(weir.kill()?), dir: self.dir }),
            Running::ApacheKafka(_) => Err(io::Error::other("only Weir is killed here")),
        }
    }

    /// Stops it and removes its data.
    pub(crate) fn discard(self) -> io::Result<()> {
        self.stop()?.1.discard()
    }
}

impl Stopped {
    /// Starts it (again) on its directory.
    pub(crate) fn start(self) -> io::Result<Subject> {
        let started = Instant::now();
        let running = match self.options {
            StoppedOptions::Weir(options) => Running::Weir(Weir::start(options)?),
            StoppedOptions::ApacheKafka(options) => Running::ApacheKafka(ApacheKafka::start(options)?),
        };
        let mut subject = Subject { running, dir: self.dir, started_in: Duration::ZERO };
        wire::wait_for_metadata(&subject.bootstrap(), START_PATIENCE)?;
        subject.started_in = started.elapsed();
        Ok(subject)
    }

    /// Removes its data.
    pub(crate) fn discard(self) -> io::Result<()> {
        fs::remove_dir_all(&self.dir)
    }
}

/// A directory that no other subject has.
fn new_dir(work_dir: &Path) -> io::Result<PathBuf> {
    let dir = tempfile::Builder::new().prefix("broker-").tempdir_in(work_dir)?;
    Ok(dir.keep())
}
