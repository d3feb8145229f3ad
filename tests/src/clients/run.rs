//! Runs one driver against one broker and takes what it said.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::drivers::Driver;
use super::outcomes::Outcomes;

/// How often the end of a driver is looked for.
const POLL: Duration = Duration::from_millis(10);

/// A broker as a driver sees it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// A name for messages: never told to the driver.
    pub name: String,
    /// `host:port` of the plaintext listener, of each broker.
    pub bootstrap: String,
    /// `host:port` of the TLS listener, of each broker.
    pub ssl_bootstrap: String,
    /// `host:port` of the controller listener, of each controller.
    pub controllers: String,
    /// The authority that signed the TLS listener's certificate.
    pub ssl_ca: PathBuf,
    /// A broker's data directory, for tools that read files.
    pub data_dir: PathBuf,
    /// Where the outputs of drivers are kept.
    pub output_dir: PathBuf,
}

/// Runs `driver` against `endpoint`. Its standard output is its outcomes; how it ended is the case `driver.exit`.
pub fn run_driver(driver: &Driver, endpoint: &Endpoint) -> io::Result<(Outcomes, Duration)> {
    fs::create_dir_all(&endpoint.output_dir)?;
    let said = endpoint.output_dir.join(format!("{}.out", driver.name));
    let complained = endpoint.output_dir.join(format!("{}.err", driver.name));
    let scratch = endpoint.output_dir.join(format!("{}.scratch", driver.name));
    fs::create_dir_all(&scratch)?;
    let started = Instant::now();
    let mut command = driver.command();
    command
        .env("BOOTSTRAP", &endpoint.bootstrap)
        .env("SSL_BOOTSTRAP", &endpoint.ssl_bootstrap)
        .env("CONTROLLERS", &endpoint.controllers)
        .env("SSL_CA", &endpoint.ssl_ca)
        .env("DATA_DIR", &endpoint.data_dir)
        .env("SCRATCH_DIR", &scratch)
        .stdin(Stdio::null())
        .stdout(File::create(&said)?)
        .stderr(File::create(&complained)?);
    let mut child = command.spawn()?;
    let exit = loop {
        if let Some(status) = child.try_wait()? {
            break if status.success() { "ok".to_owned() } else { status.to_string() };
        }
        if started.elapsed() > driver.patience {
            child.kill()?;
            child.wait()?;
            break format!("killed after {:?}", driver.patience);
        }
        thread::sleep(POLL);
    };
    let mut text = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
    text.push_str(&format!("\ndriver.exit = {exit}\n"));
    Ok((Outcomes::parse(&text), started.elapsed()))
}
