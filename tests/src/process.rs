//! A broker or a driver as a child process: started with its output in a file, ended by its own id.
//!
//! Dropping a process kills it, so that a failing test leaves nothing behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often the end of a process is looked for.
const POLL: Duration = Duration::from_millis(5);

/// A child process and the file that takes what it says.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with standard output and standard error in `log` (appended to, so that a restart keeps its past).
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Process> {
        let output = File::options().create(true).append(true).open(log)?;
        Self::spawn(command.stdout(output.try_clone()?).stderr(output), log)
    }

    /// Starts `command` with standard output in `output`, made anew, and standard error alone in `log`.
    pub fn start_apart(command: &mut Command, output: &Path, log: &Path) -> io::Result<Process> {
        Self::spawn(command.stdout(File::create(output)?).stderr(File::create(log)?), log)
    }

    fn spawn(command: &mut Command, log: &Path) -> io::Result<Process> {
        let child = command.stdin(Stdio::null()).spawn()?;
        Ok(Process { child, log: log.to_path_buf() })
    }

    /// The operating system's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that takes standard output and standard error.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last `lines` of what it said, for a failing test's message.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Ends it at once, as `kill -9` does, and waits for its end.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("no such process id"))?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Asks it to stop (SIGTERM) and waits; past `patience` it is killed and the answer is an error.
    pub fn stop(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        self.signal(rustix::process::Signal::TERM)?;
        self.wait(patience)
    }

    /// Waits for its end; past `patience` it is killed and the answer is an error.
    pub fn wait(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                self.kill()?;
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("still running after {patience:?}")));
            }
            thread::sleep(POLL);
        }
    }
}

/// Runs a command to its end, and gives what it said; what it complained of is the error where it failed.
pub fn output_of(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?} ended with {}: {}", output.status, complaint.trim())))
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to do about an error here: the process is gone or is not ours.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
