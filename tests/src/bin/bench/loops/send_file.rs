//! The floor of consume: `sendfile` of cached file pages to a socket, in pieces as large as a fetch gives a partition.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use rand::RngCore;

use super::LoopRun;
use weir_tests::usage;

/// Files sent from in turn, as four partitions are.
const FILES: usize = 4;
/// All files together hold this at most: what is sent beyond it is sent from their beginnings again.
const FILES_BYTES: u64 = 1_000_000_000;
/// Files are written as the receive loop and a broker write them, a batch at a time and in turn: how large the pages of the cache are,
/// which sending them depends on, follows from how they were written.
const BATCH_BYTES: usize = 64 << 10;

/// Writes the files that are sent; not part of what is measured.
pub(super) fn prepare(dir: &Path, total_bytes: u64) -> io::Result<()> {
    let mut files = Vec::with_capacity(FILES);
    for index in 0..FILES {
        files.push(File::create(dir.join(format!("{index}.log")))?);
    }
    let mut batch = vec![0; BATCH_BYTES];
    rand::rng().fill_bytes(&mut batch);
    let batches = total_bytes.min(FILES_BYTES) / BATCH_BYTES as u64;
    for (_, index) in (0..batches).zip((0..FILES).cycle()) {
        files[index].write_all(&batch)?;
    }
    Ok(())
}

pub(super) fn serve(listener: &TcpListener, dir: &Path, piece_bytes: usize, total_bytes: u64) -> io::Result<()> {
    let mut files = Vec::with_capacity(FILES);
    for index in 0..FILES {
        let file = File::open(dir.join(format!("{index}.log")))?;
        let length = file.metadata()?.len();
        files.push((file, length, 0_u64));
    }
    let (mut stream, _) = listener.accept()?;
    stream.read_exact(&mut [0])?;
    let mut left = total_bytes;
    for index in (0..FILES).cycle() {
        let (file, length, position) = &mut files[index];
        if position == length {
            *position = 0;
        }
        let piece = left.min(*length - *position).min(piece_bytes as u64);
        let end = *position + piece;
        while *position < end {
            let most = (end - *position) as usize;
            let sent = rustix::fs::sendfile(&stream, &*file, Some(position), most)?;
            if sent == 0 {
                return Err(io::Error::other("the file became shorter"));
            }
        }
        left -= piece;
        if left == 0 {
            break;
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
