//! A broker of the binary under test, on a free port and a directory of its own, killed when the test ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A running `weir serve`.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Child,
    address: String,
    _directory: TempDir,
}

impl Broker {
    /// Starts it and waits until it says that it is up.
    pub(crate) fn start() -> Broker {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = [
            "listeners=PLAINTEXT://127.0.0.1:0".to_owned(),
            "http.listener=".to_owned(),
            format!("log.dirs={}", directory.path().join("data").display()),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["serve", "--log-format", "json"]).env("WEIR_LOG", "info");
        for setting in &settings {
            command.args(["-o", setting]);
        }
        let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("weir starts");
        let log = BufReader::new(process.stderr.take().expect("stderr is piped"));
        let mut lines = log.lines();
        let mut address = None;
        let mut said = Vec::new();
        for line in lines.by_ref() {
            let line = line.expect("the log is text");
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            match event["message"].as_str() {
                Some("listening") => address = event["address"].as_str().map(str::to_owned),
                Some("weir is up") => break,
                _ => {}
            }
            said.push(line);
        }
        // A full pipe would stop the broker.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(address) = address else {
            let _ = process.kill();
            let status = process.wait();
            panic!("weir did not come up ({status:?}): {said:#?}");
        };
        Broker { process, address, _directory: directory }
    }

    /// `host:port` of its listener.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself; the test has failed by then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
