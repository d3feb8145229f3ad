//! Bare loops: what the same work costs with nothing around it. They are the unit of the benchmark's CPU figures.
//!
//! Each loop is a process of its own with one thread, and so is what drives it. A loop keeps none of a broker's promises; it only
//! makes the system calls (and the checksum) that no broker can do without.

mod poll;
mod receive;
mod send_file;

use std::error::Error;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::child::{self, ChildProcess};
use crate::latencies::Percentiles;

/// The child's role that serves a loop.
pub(crate) const SERVE: &str = "loop";
/// The child's role that drives one.
pub(crate) const DRIVE: &str = "drive-loop";

/// One loop with its sizes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Loop {
    /// Receive a frame, CRC-32C over it, write it to one of four files.
    Receive { frame_bytes: usize, total_bytes: u64 },
    /// Send a file to a socket in pieces of the size of a fetch.
    SendFile { piece_bytes: usize, total_bytes: u64 },
    /// Wait for a record, write it, acknowledge it, forward it, take the consumer's next request.
    Poll { record_bytes: usize, records_per_second: u64, seconds: u64 },
}

/// What the server of a loop is told.
#[derive(Debug, Serialize, Deserialize)]
struct ServeTask {
    this: Loop,
    dir: PathBuf,
}

/// What the driver of a loop is told.
#[derive(Debug, Serialize, Deserialize)]
struct DriveTask {
    this: Loop,
    port: u16,
    loop_pid: u32,
}

/// What the driver of a loop measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LoopRun {
    /// CPU-seconds of the loop's process.
    pub(crate) cpu_seconds: f64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Payload bytes moved.
    pub(crate) bytes: u64,
    /// Acknowledgement latency, of the poll loop.
    pub(crate) acknowledgement: Option<Percentiles>,
    /// Latency from sending to the consumer, of the poll loop.
    pub(crate) end_to_end: Option<Percentiles>,
}

/// Runs a loop and its driver as processes, with files below `dir`, which is empty again afterwards.
pub(crate) fn run(this: Loop, dir: &Path) -> io::Result<LoopRun> {
    let dir = dir.join("loop");
    fs::create_dir_all(&dir)?;
    let mut server = ChildProcess::start(SERVE, &ServeTask { this, dir: dir.clone() })?;
    let port: u16 = server.next()?;
    let result = ChildProcess::start(DRIVE, &DriveTask { this, port, loop_pid: server.pid() })?.next();
    drop(server);
    fs::remove_dir_all(&dir)?;
    result
}

/// The child's part: serves one loop until its peers are done.
pub(crate) fn serve(task: &str) -> Result<(), Box<dyn Error>> {
    let task: ServeTask = serde_json::from_str(task)?;
    if let Loop::SendFile { total_bytes, .. } = task.this {
        send_file::prepare(&task.dir, total_bytes)?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    child::say(&listener.local_addr()?.port())?;
    match task.this {
        Loop::Receive { frame_bytes, .. } => receive::serve(&listener, &task.dir, frame_bytes)?,
        Loop::SendFile { piece_bytes, total_bytes } => {
            send_file::serve(&listener, &task.dir, piece_bytes, total_bytes)?
        }
        Loop::Poll { record_bytes, .. } => poll::serve(&listener, &task.dir, record_bytes)?,
    }
    // The parent reads this process's CPU time from /proc until it ends it.
    loop {
        std::thread::park();
    }
}

/// The child's part: drives one loop.
pub(crate) fn drive(task: &str) -> Result<(), Box<dyn Error>> {
    let task: DriveTask = serde_json::from_str(task)?;
    let run = match task.this {
        Loop::Receive { frame_bytes, total_bytes } => {
            receive::drive(task.port, task.loop_pid, frame_bytes, total_bytes)?
        }
        Loop::SendFile { piece_bytes, total_bytes } => {
            send_file::drive(task.port, task.loop_pid, piece_bytes, total_bytes)?
        }
        Loop::Poll { record_bytes, records_per_second, seconds } => {
            poll::drive(task.port, task.loop_pid, record_bytes, records_per_second, seconds)?
        }
    };
    child::say(&run)?;
    Ok(())
}
