//! What the network costs against bare loops: CPU-seconds per GB received and sent, and the CPU of small requests.
//!
//! `cargo run --release -p weir-broker --example net_loop` prints a table. The load comes from a second process, so the
//! figures are the server's alone. The machine's speed wanders: each pair is measured alternately and the best is taken.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use weir_broker::net::{
    BoundNetwork, Chunk, ClientAuth, ConnectionContext, Dispatch, FileSlice, Frame, Handler, ListenerConfig,
    ListenerSecurity, NetworkConfig, TlsServerConfig,
};

/// Size of an acknowledgement, its length bytes included.
const ACK: [u8; 48] = {
    let mut ack = [0; 48];
    ack[3] = 44;
    ack
};
/// The file that is written round and round, and sent from.
const FILE_BYTES: u64 = 256 << 20;
/// What a fetch answers.
const FETCH_BYTES: u32 = 1 << 20;
/// Frames in flight.
const WINDOW: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, address, size, count, certificate] = &arguments[..] {
        let (size, count) = (size.parse().unwrap(), count.parse().unwrap());
        return load(role, address.parse().unwrap(), size, count, certificate);
    }
    let only = arguments.get(1).map_or("", String::as_str);
    let bench = Bench::new();
    for (size, gigabytes) in [(65_600, 3), (16_450, 2)] {
        bench.compare(
            only,
            &format!("receive + write, {size} bytes"),
            "produce",
            size,
            (gigabytes << 30) / size as u64,
        );
    }
    bench.compare(only, "sendfile, 1 MiB", "fetch", 100, 4 << 10);
    bench.compare(only, "1,000 small requests a second", "ping", 200, 3000);
}

/// Both servers, over one file.
struct Bench {
    file: Arc<File>,
    position: AtomicU64,
    certificate: String,
    key: String,
}

impl Bench {
    fn new() -> Arc<Bench> {
        let path = std::env::temp_dir().join(format!("weir-net-loop-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let block = vec![7; 1 << 20];
        (0..FILE_BYTES >> 20).for_each(|n| file.write_all_at(&block, n << 20).unwrap());
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
        Arc::new(Bench { file: Arc::new(file), position: AtomicU64::new(0), certificate, key })
    }

    fn write(&self, bytes: &[u8]) {
        let position = self.position.fetch_add(bytes.len() as u64, Ordering::Relaxed) % (FILE_BYTES - (1 << 20));
        self.file.write_all_at(bytes, position).unwrap();
    }

    fn compare(self: &Arc<Bench>, only: &str, title: &str, role: &str, size: usize, count: u64) {
        if !only.is_empty() && only != role {
            return;
        }
        let mut best = [f64::MAX; 3];
        for _ in 0..3 {
            best[0] = best[0].min(self.bare(role, size, count));
            best[1] = best[1].min(self.weir(role, size, count, false));
            best[2] = best[2].min(self.weir(role, size, count, true));
        }
        let bytes = match role {
            "fetch" => f64::from(FETCH_BYTES) * count as f64,
            _ => size as f64 * count as f64,
        };
        let unit = |cpu: f64| match role {
            "ping" => format!("{:5.2} % of a core", 100.0 * cpu / (count as f64 / 1000.0)),
            _ => format!("{:5.3} CPU-s/GB", cpu / bytes * 1e9),
        };
        println!(
            "{title:32} loop {}   weir {} ({:.2} x)   TLS {} ({:.2} x of plaintext)",
            unit(best[0]),
            unit(best[1]),
            best[1] / best[0],
            unit(best[2]),
            best[2] / best[1],
        );
    }

    fn bare(self: &Arc<Bench>, role: &str, size: usize, count: u64) -> f64 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&listener).set_recv_buffer_size(102_400).unwrap();
        socket2::SockRef::from(&listener).set_send_buffer_size(102_400).unwrap();
        let mut child = self.load(role, listener.local_addr().unwrap(), size, count, false);
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let before = cpu_seconds();
        let mut buffer = vec![0; size + 4];
        while stream.read_exact(&mut buffer).is_ok() {
            match role {
                "produce" => self.write(&buffer[4..]),
                "fetch" => {
                    stream.write_all(&FETCH_BYTES.to_be_bytes()).unwrap();
                    let mut position = 0;
                    while position < u64::from(FETCH_BYTES) {
                        let missing = u64::from(FETCH_BYTES) - position;
                        rustix::fs::sendfile(&stream, &self.file, Some(&mut position), missing as usize).unwrap();
                    }
                    continue;
                }
                _ => {}
            }
            stream.write_all(&ACK).unwrap();
        }
        let used = cpu_seconds() - before;
        assert!(child.wait().unwrap().success());
        used
    }

    fn weir(self: &Arc<Bench>, role: &str, size: usize, count: u64, tls: bool) -> f64 {
        let security = match tls {
            false => ListenerSecurity::Plaintext,
            true => {
                let (certificate, key) = (self.certificate.as_bytes(), self.key.as_bytes());
                let config = TlsServerConfig::from_pem(certificate, key, None, ClientAuth::None).unwrap();
                ListenerSecurity::Tls(Arc::new(config))
            }
        };
        let listener = ListenerConfig { name: Arc::from("BENCH"), host: "127.0.0.1".to_owned(), port: 0, security };
        let bound = BoundNetwork::bind(NetworkConfig::default(), vec![listener]).unwrap();
        let address = bound.local_addresses()[0].1;
        let network = bound.start(Arc::new(Server(Arc::clone(self)))).unwrap();
        let before = cpu_seconds();
        let mut child = self.load(role, address, size, count, tls);
        assert!(child.wait().unwrap().success());
        let used = cpu_seconds() - before;
        network.shutdown();
        used
    }

    fn load(&self, role: &str, address: SocketAddr, size: usize, count: u64, tls: bool) -> Child {
        let certificate = if tls { self.certificate.as_str() } else { "" };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([role, &address.to_string(), &size.to_string(), &count.to_string(), certificate]);
        command.spawn().unwrap()
    }
}

/// The handler: writes, or answers from the file, or acknowledges.
struct Server(Arc<Bench>);

impl Handler for Server {
    fn dispatch(&self, _connection: &Rc<ConnectionContext>, mut frame: Frame) -> Dispatch {
        if frame.len() > 1000 {
            // As the produce path does: shared for the codec, then alone again.
            drop(frame.share().slice(100..));
            self.0.write(frame.unshare().unwrap());
        } else if frame.len() == 100 {
            let slice = FileSlice { file: Arc::clone(&self.0.file), position: 0, length: FETCH_BYTES };
            let header = Bytes::copy_from_slice(&FETCH_BYTES.to_be_bytes());
            return Dispatch::Ready([Chunk::Bytes(header), Chunk::Records(slice)].into_iter().collect());
        }
        Dispatch::Ready(Bytes::from_static(&ACK).into())
    }
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The second process.
fn load(role: &str, address: SocketAddr, size: usize, count: u64, certificate: &str) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    if certificate.is_empty() {
        return drive(stream, role, size, count);
    }
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    drive(StreamOwned::new(session, stream), role, size, count);
}

fn drive(mut stream: impl Read + Write, role: &str, size: usize, count: u64) {
    let mut frame = (size as u32).to_be_bytes().to_vec();
    frame.resize(size + 4, 3);
    let mut answer = vec![0; if role == "fetch" { FETCH_BYTES as usize + 4 } else { ACK.len() }];
    let window = if role == "ping" { 1 } else { WINDOW as u64 };
    let mut answered = 0;
    for sent in 1..=count {
        let start = Instant::now();
        stream.write_all(&frame).unwrap();
        if sent - answered >= window {
            stream.read_exact(&mut answer).unwrap();
            answered += 1;
        }
        if role == "ping" {
            std::thread::sleep(Duration::from_millis(1).saturating_sub(start.elapsed()));
        }
    }
    for _ in answered..count {
        stream.read_exact(&mut answer).unwrap();
    }
}
