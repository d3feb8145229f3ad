//! The `weir` binary, started as its users start it, on free ports and a directory of its own.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::certificates::Certificates;
use crate::paths;
use crate::ports;
use crate::process::Process;
use crate::readiness;

/// How long a start may take before the test gives up (the broker's own bar is far below).
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a stop may take before the test kills it.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// What to start.
#[derive(Debug, Clone)]
pub struct WeirOptions {
    /// Everything of this broker: `data/` and `weir.log`.
    pub dir: PathBuf,
    /// The port of the plaintext listener, and the port of HTTP; kept over restarts.
    pub port: u16,
    /// The port of `/metrics` and `/health`.
    pub http_port: u16,
    /// The port of a TLS listener beside the plaintext one.
    pub ssl: Option<(u16, Certificates)>,
    /// More `key=value` settings, as `-o` takes them.
    pub settings: Vec<String>,
}

impl WeirOptions {
    /// A plaintext broker below `dir` on free ports.
    pub fn new(dir: &Path) -> io::Result<WeirOptions> {
        let [port, http_port] = ports::free_ports()?;
        Ok(WeirOptions { dir: dir.to_path_buf(), port, http_port, ssl: None, settings: Vec::new() })
    }

    /// Adds a TLS listener with this key and chain.
    pub fn with_ssl(mut self, certificates: Certificates) -> io::Result<WeirOptions> {
        let [port] = ports::free_ports()?;
        self.ssl = Some((port, certificates));
        Ok(self)
    }

    /// Adds a `key=value` setting.
    pub fn with_setting(mut self, setting: &str) -> WeirOptions {
        self.settings.push(setting.to_owned());
        self
    }

    /// The data directory (`log.dirs`).
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Starts a broker that is expected not to start, and gives how it ended and what it said.
    pub fn start_refused(&self) -> io::Result<(ExitStatus, String)> {
        std::fs::create_dir_all(&self.dir)?;
        let log = self.dir.join("refused.log");
        let mut process = Process::start(&mut self.command(), &log)?;
        let status = process.wait(START_PATIENCE)?;
        let said = std::fs::read_to_string(&log)?;
        std::fs::remove_file(log)?;
        Ok((status, said))
    }

    fn command(&self) -> Command {
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{}", self.port);
        let mut settings = vec![
            format!("http.listener=127.0.0.1:{}", self.http_port),
            format!("log.dirs={}", self.data_dir().display()),
        ];
        if let Some((port, certificates)) = &self.ssl {
            listeners.push_str(&format!(",SSL://127.0.0.1:{port}"));
            settings.push("ssl.keystore.type=PEM".to_owned());
            settings.push(format!("ssl.keystore.location={}", certificates.keystore().display()));
        }
        settings.push(format!("listeners={listeners}"));
        settings.extend(self.settings.iter().cloned());
        let mut command = Command::new(paths::weir_binary());
        // What the harness is told is not for the broker, which would take it for settings.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
            command.env_remove(name);
        }
        command.arg("serve");
        for setting in settings {
            command.arg("-o").arg(setting);
        }
        command
    }
}

/// A running `weir`.
#[derive(Debug)]
pub struct Weir {
    options: WeirOptions,
    process: Process,
    ready_after: Duration,
}

impl Weir {
    /// Starts it and waits for its first answer.
    pub fn start(options: WeirOptions) -> io::Result<Weir> {
        let mut weir = Weir::spawn(options)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, weir.options.port));
        weir.ready_after = readiness::wait_until_answers(address, &mut weir.process, START_PATIENCE)?;
        Ok(weir)
    }

    /// Starts it and waits for nothing.
    pub fn spawn(options: WeirOptions) -> io::Result<Weir> {
        std::fs::create_dir_all(&options.dir)?;
        let process = Process::start(&mut options.command(), &options.dir.join("weir.log"))?;
        Ok(Weir { options, process, ready_after: Duration::ZERO })
    }

    /// `host:port` of the plaintext listener.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.options.port)
    }

    /// `host:port` of the TLS listener, where there is one.
    pub fn ssl_bootstrap(&self) -> Option<String> {
        self.options.ssl.as_ref().map(|(port, _)| format!("127.0.0.1:{port}"))
    }

    /// The sum of a metric over its labels, as `/metrics` has it.
    pub fn metric(&self, name: &str) -> io::Result<f64> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.options.http_port))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let values = text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.reduce(|sum, value| sum + value).ok_or_else(|| io::Error::other(format!("no metric is called {name}")))
    }

    /// What it was started with; starting again with the same opens the same data on the same ports.
    pub fn options(&self) -> &WeirOptions {
        &self.options
    }

    /// From the start of the process to its first answer.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Stops it as an operator does, and returns what it was started with.
    pub fn stop(mut self) -> io::Result<WeirOptions> {
        self.process.stop(STOP_PATIENCE)?;
        Ok(self.options.clone())
    }

    /// Kills it as `kill -9` does, and returns what it was started with.
    pub fn kill(mut self) -> io::Result<WeirOptions> {
        self.process.kill()?;
        Ok(self.options.clone())
    }
}
