//! The floor of produce: receive a framed batch, take its CRC-32C, append it to one of four files.
//!
//! A frame is a 4-byte length and that many bytes. Frames are received one at a time, as batches come to a broker one request at a time:
//! a read-ahead over several would be cheaper for small frames only in a loop that answers nobody.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use rand::RngCore;

use super::LoopRun;
use weir_tests::usage;

/// Files written in turn, as four partitions are.
const FILES: usize = 4;
/// The bytes of a batch that its checksum does not cover (a v2 batch: up to and with the checksum itself).
const BEFORE_CHECKSUM: usize = 21;
const LENGTH: usize = 4;

pub(super) fn serve(listener: &TcpListener, dir: &Path, frame_bytes: usize) -> io::Result<()> {
    let mut files = Vec::with_capacity(FILES);
    for index in 0..FILES {
        files.push(File::create(dir.join(format!("{index}.log")))?);
    }
    let (mut stream, _) = listener.accept()?;
    let mut buffer = vec![0; LENGTH + frame_bytes];
    let mut filled = 0;
    let mut turn = 0;
    loop {
        let received = stream.read(&mut buffer[filled..])?;
        if received == 0 {
            break;
        }
        filled += received;
        if filled < buffer.len() {
            continue;
        }
        let frame = &buffer[LENGTH..];
        black_box(crc32c::crc32c(&frame[BEFORE_CHECKSUM..]));
        files[turn % FILES].write_all(frame)?;
        turn += 1;
        filled = 0;
    }
    // Tells the driver that everything has been written.
    stream.write_all(&[1])
}

pub(super) fn drive(port: u16, loop_pid: u32, frame_bytes: usize, total_bytes: u64) -> io::Result<LoopRun> {
    let frame_length = u32::try_from(frame_bytes).map_err(io::Error::other)?;
    let mut frame = vec![0; LENGTH + frame_bytes];
    rand::rng().fill_bytes(&mut frame);
    frame[..LENGTH].copy_from_slice(&frame_length.to_be_bytes());
    let frames = total_bytes / u64::from(frame_length);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let cpu_before = usage::cpu_seconds(loop_pid)?;
    let started = Instant::now();
    for _ in 0..frames {
        stream.write_all(&frame)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut [0])?;
    Ok(LoopRun {
        cpu_seconds: usage::cpu_seconds(loop_pid)? - cpu_before,
        seconds: started.elapsed().as_secs_f64(),
        bytes: frames * u64::from(frame_length),
        acknowledgement: None,
        end_to_end: None,
    })
}
