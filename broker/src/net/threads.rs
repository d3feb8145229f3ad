//! The network threads as acceptors and their supervisor see them: who takes connections, and who takes the place of a thread that a
//! disk holds.
//!
//! A thread appends where it receives, so a disk that does not answer holds every thread that writes to it. Whoever knows of such a disk
//! calls [`SuperviseThreads::replace_held`]: the connections of a held thread are hung up, and another thread takes its place. The held
//! one ends when its disk answers, for nobody hands it connections any more. Kafka's network threads touch no disk; its handlers do,
//! and are as many as are configured, held or not.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::acceptor::{Acceptor, ThreadHandle};
use super::config::NetworkConfig;
use super::connection_quota::ConnectionQuota;
use super::handler::Handler;
use super::listener::Listener;
use super::memory_budget::MemoryBudget;
use super::metrics::NetworkMetrics;
use super::network_thread::{self, MAX_HANDED_OVER, ThreadSetup};
use super::open_sockets::OpenSockets;
use super::thread_load::{HeldWatch, ThreadLoad};

/// The most threads that are given up in the life of a process; what disks hold beyond that waits for them.
const MAX_REPLACED: usize = 256;

/// Looks after the network threads.
pub trait SuperviseThreads: Send + Sync {
    /// Looks at every thread at `now`; to be called now and then, so that it is known for how long one has been at the same request.
    fn look(&self, now: Instant);

    /// Replaces every thread that has been at the same request for `patience`; returns how many there were.
    fn replace_held(&self, now: Instant, patience: Duration) -> usize;
}

/// What every thread is made with.
pub(super) struct Parts<H> {
    pub(super) config: Arc<NetworkConfig>,
    pub(super) handler: Arc<H>,
    pub(super) listeners: Vec<Arc<Listener>>,
    pub(super) quota: Arc<ConnectionQuota>,
    pub(super) metrics: Arc<NetworkMetrics>,
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) stop: watch::Receiver<Option<tokio::time::Instant>>,
}

/// The network threads.
pub(super) struct NetworkThreads<H> {
    parts: Parts<H>,
    handles: Arc<ArcSwap<Vec<ThreadHandle>>>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    threads: Vec<(JoinHandle<()>, HeldWatch)>,
    replaced: usize,
}

impl<H: Handler> NetworkThreads<H> {
    /// Starts as many as the configuration says.
    pub(super) fn start(parts: Parts<H>) -> io::Result<Self> {
        let (handles, receivers): (Vec<_>, Vec<_>) =
            (0..parts.metrics.threads.len()).map(|index| handle(&parts.metrics, index)).unzip();
        let threads = Self { parts, handles: Arc::new(ArcSwap::from_pointee(handles)), running: Mutex::default() };
        for (index, accepted) in receivers.into_iter().enumerate() {
            let thread = threads.spawn(index, accepted)?;
            threads.running.lock().threads.push((thread, HeldWatch::default()));
        }
        Ok(threads)
    }

    /// Starts the thread of this place. Connections fill the threads from the first; the acceptors disturb them least on the last.
    fn spawn(
        &self,
        index: usize,
        accepted: mpsc::Receiver<super::network_thread::Accepted>,
    ) -> io::Result<JoinHandle<()>> {
        let Parts { config, handler, metrics, memory, stop, .. } = &self.parts;
        let setup = ThreadSetup {
            index,
            config: Arc::clone(config),
            handler: Arc::clone(handler),
            metrics: Arc::clone(&metrics.threads[index]),
            load: Arc::clone(&self.handles.load()[index].load),
            memory: Arc::clone(memory),
            accepted,
            stop: stop.clone(),
        };
        let is_last = index + 1 == metrics.threads.len();
        let acceptors = if is_last { self.acceptors() } else { Vec::new() };
        let also = move || acceptors.into_iter().for_each(|acceptor| drop(tokio::task::spawn_local(acceptor.run())));
        network_thread::spawn(setup, also)
    }

    fn acceptors(&self) -> Vec<Acceptor> {
        let acceptor = |listener: &Arc<Listener>| Acceptor {
            listener: Arc::clone(listener),
            quota: Arc::clone(&self.parts.quota),
            threads: Arc::clone(&self.handles),
            stop: self.parts.stop.clone(),
        };
        self.parts.listeners.iter().map(acceptor).collect()
    }

    /// Gives the thread of this place up and starts another. Its connections are hung up last, when they can be taken over.
    fn replace(&self, index: usize) -> io::Result<JoinHandle<()>> {
        let held = self.handles.load()[index].clone();
        let (handle, accepted) = handle(&self.parts.metrics, index);
        self.handles.rcu(|handles| {
            let mut handles = Vec::clone(handles);
            handles[index] = handle.clone();
            handles
        });
        drop(handle);
        let thread = self.spawn(index, accepted);
        let connections = held.sockets.hang_up();
        tracing::warn!(
            thread = index,
            connections,
            "a network thread is held by a disk that does not answer: its connections are hung up, and another thread takes its place"
        );
        thread
    }

    /// Waits until every thread has ended, but for those that a disk holds.
    pub(super) fn join(&self) {
        for (thread, _) in self.running.lock().threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a network thread panicked");
            }
        }
    }
}

impl<H: Handler> SuperviseThreads for NetworkThreads<H> {
    fn look(&self, now: Instant) {
        let handles = self.handles.load();
        for (handle, (_, watch)) in handles.iter().zip(&mut self.running.lock().threads) {
            watch.look(now, &handle.load, &handle.metrics);
        }
    }

    fn replace_held(&self, now: Instant, patience: Duration) -> usize {
        let mut running = self.running.lock();
        let mut count = 0;
        for index in 0..running.threads.len() {
            if running.replaced >= MAX_REPLACED || !running.threads[index].1.is_held(now, patience) {
                continue;
            }
            match self.replace(index) {
                Ok(thread) => {
                    // The held thread is let go of: nobody waits for it.
                    running.threads[index] = (thread, HeldWatch::default());
                    running.replaced += 1;
                    count += 1;
                }
                Err(error) => tracing::error!(%error, "no thread takes the place of one that a disk holds"),
            }
        }
        count
    }
}

fn handle(metrics: &NetworkMetrics, index: usize) -> (ThreadHandle, mpsc::Receiver<super::network_thread::Accepted>) {
    let (accepted, receiver) = mpsc::channel(MAX_HANDED_OVER);
    let handle = ThreadHandle {
        accepted,
        metrics: Arc::clone(&metrics.threads[index]),
        load: Arc::new(ThreadLoad::new()),
        sockets: Arc::new(OpenSockets::default()),
    };
    (handle, receiver)
}
