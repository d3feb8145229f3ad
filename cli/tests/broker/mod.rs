//! A broker of the binary under test, on free ports and a directory of its own, killed when the test ends.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;

/// A running `weir serve`.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Child,
    /// `host:port` by the listener's name.
    addresses: HashMap<String, String>,
    /// Takes what it logs once it is up; a full pipe would stop the broker.
    log: Option<JoinHandle<Vec<String>>>,
    _directory: TempDir,
}

impl Broker {
    /// Starts it and waits until it says that it is up.
    pub(crate) fn start() -> Broker {
        Self::start_with(&[])
    }

    /// The same, with settings beyond where its data lies.
    pub(crate) fn start_with(more: &[String]) -> Broker {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = [
            "listeners=PLAINTEXT://127.0.0.1:0".to_owned(),
            "http.listener=".to_owned(),
            format!("log.dirs={}", directory.path().join("data").display()),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["serve", "--log-format", "json"]).env("WEIR_LOG", "info");
        for setting in settings.iter().chain(more) {
            command.args(["-o", setting]);
        }
        let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("weir starts");
        let log = BufReader::new(process.stderr.take().expect("stderr is piped"));
        let mut lines = log.lines();
        let mut addresses = HashMap::new();
        let mut is_up = false;
        let mut said = Vec::new();
        for line in lines.by_ref() {
            let line = line.expect("the log is text");
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            match event["message"].as_str() {
                Some("listening") => {
                    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
                    addresses.insert(text("listener"), text("address"));
                }
                Some("weir is up") => {
                    is_up = true;
                    break;
                }
                _ => {}
            }
            said.push(line);
        }
        if !is_up {
            let _ = process.kill();
            let status = process.wait();
            panic!("weir did not come up ({status:?}): {said:#?}");
        }
        let log = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Broker { process, addresses, log: Some(log), _directory: directory }
    }

    /// `host:port` of its plaintext listener.
    pub(crate) fn address(&self) -> &str {
        self.listener("PLAINTEXT")
    }

    /// `host:port` of a listener.
    pub(crate) fn listener(&self, name: &str) -> &str {
        &self.addresses[name]
    }

    /// Kills it; what it logged since it was up.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.kill().expect("it runs");
        self.log.take().expect("it is taken once").join().expect("it reads lines")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself; the test has failed by then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
