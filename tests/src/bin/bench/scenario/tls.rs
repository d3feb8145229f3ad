//! Produce over TLS 1.3 against produce over plaintext, with one client that differs in nothing else.

use std::io;

use super::Bench;
use crate::load::{self, Load, PARTITIONS, Work};
use crate::memory;
use crate::report::{Sheet, Who};
use crate::subject::Subject;

const BATCH_BYTES: u32 = 64 << 10;

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let (mut subject, tls_bootstrap, authority) = Subject::start_with_tls(bench.work_dir)?;
    let listeners = [("tls.plain.cpu", subject.bootstrap(), None), ("tls.cpu", tls_bootstrap, Some(authority))];
    for round in 0..bench.options.repeat() {
        for (key, bootstrap, authority) in &listeners {
            let topic = format!("{key}-{round}");
            subject.create_topic(&topic, PARTITIONS, &[])?;
            let work = Work::Encrypted {
                topic,
                partitions: PARTITIONS,
                batch_bytes: BATCH_BYTES,
                bytes: bench.options.throughput_bytes(),
                authority: authority.clone(),
            };
            let load = Load { bootstrap: bootstrap.clone(), broker_pids: vec![subject.pid()], work };
            memory::make_ready(bench.options.throughput_bytes());
            sheet.add(key, who, load::run(&load)?.cpu_seconds_per_gb());
        }
    }
    subject.discard()
}
