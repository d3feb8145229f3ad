//! The floor of consume: `sendfile` of cached file pages to a socket, in pieces as large as a fetch gives a partition.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use rand::RngCore;

use super::LoopRun;
use crate::usage;

/// The largest file: what is sent beyond it is sent from its beginning again.
const FILE_BYTES: u64 = 1_000_000_000;
/// How much is written at once while the file is prepared.
const PREPARE_BYTES: usize = 1 << 20;

/// Writes the file that is sent; not part of what is measured.
pub(super) fn prepare(dir: &Path, total_bytes: u64) -> io::Result<()> {
    let mut file = File::create(dir.join("data"))?;
    let mut piece = vec![0; PREPARE_BYTES];
    rand::rng().fill_bytes(&mut piece);
    let mut left = total_bytes.min(FILE_BYTES);
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(PREPARE_BYTES).min(PREPARE_BYTES);
        file.write_all(&piece[..now])?;
        left -= now as u64;
    }
    Ok(())
}

pub(super) fn serve(listener: &TcpListener, dir: &Path, piece_bytes: usize, total_bytes: u64) -> io::Result<()> {
    let file = File::open(dir.join("data"))?;
    let length = file.metadata()?.len();
    let (mut stream, _) = listener.accept()?;
    stream.read_exact(&mut [0])?;
    let mut left = total_bytes;
    let mut position = 0;
    while left > 0 {
        let piece = usize::try_from(left.min(length - position)).unwrap_or(piece_bytes).min(piece_bytes);
        let sent = rustix::fs::sendfile(&stream, &file, Some(&mut position), piece)?;
        if sent == 0 {
            return Err(io::Error::other("the file became shorter"));
        }
        left -= sent as u64;
        if position == length {
            position = 0;
        }
    }
    Ok(())
}

pub(super) fn drive(port: u16, loop_pid: u32, piece_bytes: usize, total_bytes: u64) -> io::Result<LoopRun> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let mut buffer = vec![0; piece_bytes];
    let cpu_before = usage::cpu_seconds(loop_pid)?;
    let started = Instant::now();
    stream.write_all(&[1])?;
    let mut received = 0;
    while received < total_bytes {
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other("the loop ended early")),
            count => received += count as u64,
        }
    }
    Ok(LoopRun {
        cpu_seconds: usage::cpu_seconds(loop_pid)? - cpu_before,
        seconds: started.elapsed().as_secs_f64(),
        bytes: received,
        acknowledgement: None,
        end_to_end: None,
    })
}
