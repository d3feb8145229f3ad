//! The floor of one record at a time: wait, receive it, write it, acknowledge it, forward it, take the consumer's next request.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rand::RngCore;
use rustix::event::{PollFd, PollFlags, poll};

use super::LoopRun;
use crate::latencies::Latencies;
use crate::pace::{Pace, WARM_UP_SECONDS};
use weir_tests::usage;

/// An acknowledgement and a consumer's request: about what they are without their fields.
const SMALL: usize = 32;
/// Where a record says when it was sent.
const STAMP: usize = 8;

pub(super) fn serve(listener: &TcpListener, dir: &Path, record_bytes: usize) -> io::Result<()> {
    let mut file = File::create(dir.join("0.log"))?;
    // The driver connects the producer first.
    let (mut producer, _) = listener.accept()?;
    let (mut consumer, _) = listener.accept()?;
    producer.set_nodelay(true)?;
    consumer.set_nodelay(true)?;
    let mut record = vec![0; record_bytes];
    let mut filled = 0;
    let mut acknowledgement = [0; SMALL];
    let mut asked = [0; SMALL];
    loop {
        let mut ready = [
            PollFd::from_borrowed_fd(producer.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(consumer.as_fd(), PollFlags::IN),
        ];
        poll(&mut ready, None)?;
        let (from_producer, from_consumer) = (!ready[0].revents().is_empty(), !ready[1].revents().is_empty());
        if from_producer {
            match producer.read(&mut record[filled..])? {
                0 => return Ok(()),
                count => filled += count,
            }
            if filled == record_bytes {
                filled = 0;
                file.write_all(&record)?;
                acknowledgement[..STAMP].copy_from_slice(&record[..STAMP]);
                producer.write_all(&acknowledgement)?;
                consumer.write_all(&record)?;
            }
        }
        if from_consumer && consumer.read(&mut asked)? == 0 {
            return Ok(());
        }
    }
}

pub(super) fn drive(port: u16, loop_pid: u32, record_bytes: usize, rate: u64, seconds: u64) -> io::Result<LoopRun> {
    let producer = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let consumer = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    producer.set_nodelay(true)?;
    consumer.set_nodelay(true)?;
    let warm_up = WARM_UP_SECONDS * rate;
    let records = warm_up + seconds * rate;
    let epoch = Instant::now();
    let acknowledgements = producer.try_clone()?;
    let acknowledged = thread::spawn(move || take_answers(acknowledgements, epoch, warm_up, records, SMALL, false));
    let consumed = thread::spawn(move || take_answers(consumer, epoch, warm_up, records, record_bytes, true));
    let (cpu_seconds, measured) = send_records(producer, epoch, loop_pid, record_bytes, rate, warm_up, records)?;
    let acknowledged = acknowledged.join().map_err(|_| io::Error::other("the acknowledged side failed"))??;
    let consumed = consumed.join().map_err(|_| io::Error::other("the consuming side failed"))??;
    Ok(LoopRun {
        cpu_seconds,
        seconds: measured.as_secs_f64(),
        bytes: seconds * rate * record_bytes as u64,
        acknowledgement: Some(acknowledged.percentiles()),
        end_to_end: Some(consumed.percentiles()),
    })
}

/// Sends the records, and returns the loop's CPU-seconds and the time of those that count.
fn send_records(
    mut producer: TcpStream,
    epoch: Instant,
    loop_pid: u32,
    record_bytes: usize,
    rate: u64,
    warm_up: u64,
    records: u64,
) -> io::Result<(f64, Duration)> {
    let mut record = vec![0; record_bytes];
    rand::rng().fill_bytes(&mut record);
    let mut pace = Pace::new(rate);
    let mut before = (0.0, epoch);
    for index in 0..records {
        pace.wait();
        if index == warm_up {
            before = (usage::cpu_seconds(loop_pid)?, Instant::now());
        }
        record[..STAMP].copy_from_slice(&elapsed_ns(epoch).to_be_bytes());
        producer.write_all(&record)?;
    }
    Ok((usage::cpu_seconds(loop_pid)? - before.0, before.1.elapsed()))
}

/// Takes as many answers as there were records, each with its record's stamp; a consumer then asks for the next.
fn take_answers(
    mut stream: TcpStream,
    epoch: Instant,
    warm_up: u64,
    records: u64,
    answer_bytes: usize,
    asks: bool,
) -> io::Result<Latencies> {
    let mut latencies = Latencies::new()?;
    let mut answer = vec![0; answer_bytes];
    for index in 0..records {
        stream.read_exact(&mut answer)?;
        let mut stamp = [0; STAMP];
        stamp.copy_from_slice(&answer[..STAMP]);
        let took = elapsed_ns(epoch).saturating_sub(u64::from_be_bytes(stamp));
        if index >= warm_up {
            latencies.record(Duration::from_nanos(took));
        }
        if asks {
            stream.write_all(&[0; SMALL])?;
        }
    }
    Ok(latencies)
}

fn elapsed_ns(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
