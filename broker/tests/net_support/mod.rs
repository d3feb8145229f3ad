//! A toy handler whose requests are words, and a network that serves it.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use weir_broker::net::{
    BoundNetwork, Chunk, ConnectionContext, Dispatch, FileSlice, Frame, Handler, ListenerConfig, ListenerSecurity,
    Network, NetworkConfig, NetworkMetrics, Response,
};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);
pub const FILE_BYTES: usize = 8_000_000;

/// Answers `echo X`, `wait X` (until released), `patch X`, `file AT LENGTH`, `mixed COUNT LENGTH`, `certificates`, `none`,
/// `close` and `stubborn` (never).
pub struct ToyHandler {
    state: Mutex<State>,
    changed: Condvar,
    file: Arc<File>,
    content: Vec<u8>,
}

#[derive(Default)]
struct State {
    seen: Vec<String>,
    parked: usize,
    disconnected: usize,
    released: HashSet<String>,
    release_all: bool,
    wakers: HashMap<String, Waker>,
}

/// Counts a parked answer for as long as it lives.
struct Parked(Arc<ToyHandler>);

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.change(|state| state.parked -= 1);
    }
}

impl ToyHandler {
    fn new() -> ToyHandler {
        let content: Vec<u8> = (0..FILE_BYTES as u64).map(|n| (n * n / 7 + n) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        ToyHandler { state: Mutex::default(), changed: Condvar::new(), file: Arc::new(file), content }
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
        result
    }

    fn until(&self, mut holds: impl FnMut(&State) -> bool) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) = self.changed.wait_timeout_while(state, PATIENCE, |state| !holds(state)).unwrap();
        assert!(!timeout.timed_out(), "it did not happen");
    }

    /// Waits until so many requests have been dispatched.
    pub fn arrived(&self, requests: usize) {
        self.until(|state| state.seen.len() >= requests);
    }

    /// Waits until so many answers are parked.
    pub fn parked(&self, answers: usize) {
        self.until(|state| state.parked == answers);
    }

    /// Waits until so many connections have gone.
    pub fn disconnected(&self, connections: usize) {
        self.until(|state| state.disconnected >= connections);
    }

    pub fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }

    /// Lets `wait name` be answered.
    pub fn release(&self, name: &str) {
        let waker = self.change(|state| {
            state.released.insert(name.to_owned());
            state.wakers.remove(name)
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn file_content(&self, at: u64, length: u32) -> &[u8] {
        &self.content[at as usize..][..length as usize]
    }

    /// What `mixed` answers.
    pub fn mixed_content(&self, count: u64, length: u32) -> Vec<u8> {
        (0..count)
            .flat_map(|n| [format!("part {n}:").as_bytes(), self.file_content(n * 1000, length)].concat())
            .collect()
    }

    fn slice(&self, position: u64, length: u32) -> Chunk {
        Chunk::Records(FileSlice { file: Arc::clone(&self.file), position, length })
    }
}

/// The handler the network sees: the toy behind an `Arc` that its futures share.
pub struct Toy(pub Arc<ToyHandler>);

impl Handler for Toy {
    fn dispatch(&self, connection: &Rc<ConnectionContext>, mut frame: Frame) -> Dispatch {
        let handler = &self.0;
        let body = frame.share();
        let split = body.iter().position(|&byte| byte == b' ').unwrap_or(body.len());
        let (word, rest) = (body.slice(..split), body.slice((split + 1).min(body.len())..));
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        handler.change(|state| state.seen.push(shown));
        let numbers = || {
            let text = String::from_utf8(rest.to_vec()).unwrap();
            let (first, second) = text.split_once(' ').unwrap();
            (first.parse::<u64>().unwrap(), second.parse::<u32>().unwrap())
        };
        match &word[..] {
            b"echo" => Dispatch::Ready(framed(&rest).into()),
            b"patch" => {
                let range = frame.range_of(&rest).unwrap();
                drop((body, word, rest));
                frame.unshare().unwrap()[range.clone()].fill(b'y');
                Dispatch::Ready(framed(&frame.as_slice()[range]).into())
            }
            b"wait" => Dispatch::Waiting(wait(Arc::clone(handler), String::from_utf8(rest.to_vec()).unwrap())),
            b"file" => {
                let (at, length) = numbers();
                let header = Bytes::copy_from_slice(&length.to_be_bytes());
                Dispatch::Ready([Chunk::Bytes(header), handler.slice(at, length)].into_iter().collect())
            }
            b"mixed" => {
                let (count, length) = numbers();
                let mut chunks = vec![Chunk::Bytes(Bytes::new())];
                for n in 0..count {
                    chunks.push(Chunk::Bytes(Bytes::from(format!("part {n}:"))));
                    chunks.push(handler.slice(n * 1000, length));
                }
                let total: usize = chunks.iter().map(Chunk::len).sum();
                chunks[0] = Chunk::Bytes(Bytes::copy_from_slice(&(total as u32).to_be_bytes()));
                Dispatch::Ready(chunks.into())
            }
            b"certificates" => {
                Dispatch::Ready(framed(connection.peer_certificates.len().to_string().as_bytes()).into())
            }
            b"none" => Dispatch::None,
            b"stubborn" => Dispatch::Waiting(Box::pin(std::future::pending())),
            _ => Dispatch::Close,
        }
    }

    fn disconnected(&self, _connection: &ConnectionContext) {
        self.0.change(|state| state.disconnected += 1);
    }

    fn shutting_down(&self) {
        let wakers = self.0.change(|state| {
            state.release_all = true;
            std::mem::take(&mut state.wakers)
        });
        wakers.into_values().for_each(Waker::wake);
    }
}

fn wait(handler: Arc<ToyHandler>, name: String) -> std::pin::Pin<Box<dyn Future<Output = Response>>> {
    handler.change(|state| state.parked += 1);
    let parked = Parked(Arc::clone(&handler));
    Box::pin(async move {
        let _parked = parked;
        poll_fn(|context| {
            let mut state = handler.state.lock().unwrap();
            if state.release_all || state.released.contains(&name) {
                return Poll::Ready(());
            }
            state.wakers.insert(name.clone(), context.waker().clone());
            Poll::Pending
        })
        .await;
        framed(name.as_bytes()).into()
    })
}

fn framed(body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(4 + body.len());
    bytes.put_u32(body.len() as u32);
    bytes.put_slice(body);
    bytes
}

/// A frame around `body`.
pub fn frame(body: &[u8]) -> Vec<u8> {
    framed(body).to_vec()
}

/// A request in words.
pub fn request(words: &str) -> Vec<u8> {
    frame(words.as_bytes())
}

/// The next answer.
pub fn read_frame(stream: &mut impl Read) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).unwrap();
    body
}

/// Whether the peer closes the connection without another byte. A read timeout fails the test instead of hanging it.
pub fn is_closed(client: &mut TcpStream) -> bool {
    match client.read(&mut [0]) {
        Ok(0) => true,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
        other => panic!("not closed: {other:?}"),
    }
}

/// A running network with a toy handler; stops when dropped.
pub struct Server {
    pub handler: Arc<ToyHandler>,
    address: SocketAddr,
    network: Option<Network<Toy>>,
}

impl Server {
    pub fn start() -> Server {
        Server::start_with(NetworkConfig::default())
    }

    pub fn start_with(config: NetworkConfig) -> Server {
        Server::start_secured(config, ListenerSecurity::Plaintext)
    }

    pub fn start_secured(config: NetworkConfig, security: ListenerSecurity) -> Server {
        let listener = ListenerConfig { name: Arc::from("TOY"), host: "127.0.0.1".to_owned(), port: 0, security };
        let bound = BoundNetwork::bind(config, vec![listener]).unwrap();
        let address = bound.local_addresses()[0].1;
        let handler = Arc::new(ToyHandler::new());
        let network = bound.start(Arc::new(Toy(Arc::clone(&handler)))).unwrap();
        Server { handler, address, network: Some(network) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub fn metrics(&self) -> Arc<NetworkMetrics> {
        self.network.as_ref().unwrap().metrics()
    }

    /// Waits until so many connections are open.
    pub fn connections(&self, count: u64) {
        let metrics = self.metrics();
        let start = Instant::now();
        while metrics.listeners[0].connections.load(Ordering::Relaxed) != count {
            assert!(start.elapsed() < PATIENCE, "there are not {count} connections");
            std::thread::yield_now();
        }
    }

    /// Waits until so many bytes have been received.
    pub fn received(&self, bytes: u64) {
        let metrics = self.metrics();
        let start = Instant::now();
        while metrics.total(|thread| &thread.bytes_in) < bytes {
            assert!(start.elapsed() < PATIENCE, "{bytes} bytes have not been received");
            std::thread::yield_now();
        }
    }

    /// Stops the network and says how long it took.
    pub fn stop(&mut self) -> Duration {
        let start = Instant::now();
        self.network.take().unwrap().shutdown();
        start.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(network) = self.network.take() {
            network.shutdown();
        }
    }
}

/// Resident memory of this process.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
