//! The benchmark's own child processes: a load or a bare loop, told what to do as JSON, answering with one line of JSON.
//!
//! They are processes, not threads, so that the CPU of each side can be told from the other's.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The word that tells the program it is a child.
pub(crate) const CHILD: &str = "child";

/// A running child.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl ChildProcess {
    /// Starts this same program as `role`, with `task` as its argument.
    pub(crate) fn start<T: Serialize>(role: &str, task: &T) -> io::Result<ChildProcess> {
        let task = serde_json::to_string(task)?;
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args([CHILD, role, &task]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("the child has no output"))?;
        Ok(ChildProcess { child, output: BufReader::new(output) })
    }

    /// The operating system's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            let status = self.child.wait()?;
            return Err(io::Error::other(format!("the child process ended without an answer ({status})")));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // It is gone or ours to end; there is nothing to do about an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says one line to the parent.
pub(crate) fn say<T: Serialize>(answer: &T) -> io::Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}
