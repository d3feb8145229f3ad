//! Whether a broker answers: the first ApiVersions answer is what "started" means here, for both brokers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::Process;

/// How often a connection is tried while a broker starts.
const POLL: Duration = Duration::from_millis(2);
/// How long one connection may take to answer before the next is tried.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// An ApiVersions v0 request: length, key 18, version 0, correlation id 7, client id "ready".
const API_VERSIONS: [u8; 19] = [0, 0, 0, 15, 0, 18, 0, 0, 0, 0, 0, 7, 0, 5, b'r', b'e', b'a', b'd', b'y'];

/// Waits until `address` answers an ApiVersions request, and returns how long that took. An error when `process` ends first or
/// `patience` runs out, with the end of its log.
pub fn wait_until_answers(address: SocketAddr, process: &mut Process, patience: Duration) -> io::Result<Duration> {
    let started = Instant::now();
    loop {
        if asks_versions(address).is_ok() {
            return Ok(started.elapsed());
        }
        if let Some(status) = process.ended()? {
            let log = process.log_tail(30);
            return Err(io::Error::other(format!("the broker ended at start ({status}):\n{log}")));
        }
        if started.elapsed() > patience {
            let log = process.log_tail(30);
            return Err(io::Error::other(format!("{address} does not answer after {patience:?}:\n{log}")));
        }
        thread::sleep(POLL);
    }
}

/// One ApiVersions exchange.
pub fn asks_versions(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
    stream.write_all(&API_VERSIONS)?;
    let mut answer = [0_u8; 10];
    stream.read_exact(&mut answer)?;
    // Length, correlation id, error code.
    if answer[4..8] == [0, 0, 0, 7] && answer[8..10] == [0, 0] {
        Ok(())
    } else {
        Err(io::Error::other("not an ApiVersions answer"))
    }
}
