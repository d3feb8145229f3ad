//! TLS listeners over real sockets, with a toy handler.

mod net_support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use net_support::{Server, frame, is_closed, read_frame, request};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use weir_broker::net::{ClientAuth, ListenerSecurity, NetworkConfig, TlsServerConfig};

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// An authority, with a server's and a client's certificate.
struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    server: (String, String),
    client: (CertificateDer<'static>, Vec<u8>),
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = |name: &str| {
            let key = KeyPair::generate().unwrap();
            (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap(), key)
        };
        let ((server, server_key), (client, client_key)) = (leaf("localhost"), leaf("client"));
        Authority {
            pem: issuer.pem(),
            der: issuer.der().clone(),
            server: (server.pem(), server_key.serialize_pem()),
            client: (client.der().clone(), client_key.serialize_der()),
        }
    }

    fn tls(&self, client_auth: ClientAuth) -> Arc<TlsServerConfig> {
        let (chain, key) = &self.server;
        let authorities = Some(self.pem.as_bytes());
        Arc::new(TlsServerConfig::from_pem(chain.as_bytes(), key.as_bytes(), authorities, client_auth).unwrap())
    }

    fn serve(&self, client_auth: ClientAuth) -> Server {
        Server::start_secured(NetworkConfig::default(), ListenerSecurity::Tls(self.tls(client_auth)))
    }

    fn connect(&self, server: &Server, version: &'static SupportedProtocolVersion, certified: bool) -> TlsStream {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = if certified {
            let key = PrivateKeyDer::try_from(self.client.1.clone()).unwrap();
            builder.with_client_auth_cert(vec![self.client.0.clone()], key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), server.connect())
    }
}

#[test]
fn requests_and_records_are_the_same_over_tls() {
    let authority = Authority::new();
    let server = authority.serve(ClientAuth::None);
    for version in [&TLS13, &TLS12] {
        let mut client = authority.connect(&server, version, false);
        for size in [1, 100, 16_384, 65_536, 300_000, 5_000_000] {
            let body: Vec<u8> = (0..size).map(|n| (n * 13 + size) as u8).collect();
            client.write_all(&frame(&[b"echo ", &body[..]].concat())).unwrap();
            assert!(read_frame(&mut client) == body, "{size} bytes");
        }
        for (at, length) in [(0, 1), (4097, 65_536), (5, 3_000_000)] {
            client.write_all(&request(&format!("file {at} {length}"))).unwrap();
            assert!(read_frame(&mut client) == server.handler.file_content(at, length), "{length} bytes at {at}");
        }
        client.write_all(&request("mixed 20 150000")).unwrap();
        assert!(read_frame(&mut client) == server.handler.mixed_content(20, 150_000));
    }
}

#[test]
fn pipelined_requests_over_tls_are_answered_in_order() {
    let authority = Authority::new();
    let server = authority.serve(ClientAuth::None);
    let mut client = authority.connect(&server, &TLS13, false);
    let requests: Vec<u8> = (0..5000).flat_map(|n| request(&format!("echo {n}"))).collect();
    client.write_all(&[request("wait first"), requests].concat()).unwrap();
    client.flush().unwrap();
    server.handler.arrived(100);
    server.handler.release("first");
    assert_eq!(read_frame(&mut client), b"first");
    for n in 0..5000 {
        assert_eq!(read_frame(&mut client), n.to_string().as_bytes());
    }
}

#[test]
fn a_key_update_of_the_client_is_followed() {
    let authority = Authority::new();
    let server = authority.serve(ClientAuth::None);
    let mut client = authority.connect(&server, &TLS13, false);
    for n in 0..5 {
        client.write_all(&frame(&[&b"echo "[..], &[n; 100_000]].concat())).unwrap();
        assert_eq!(read_frame(&mut client), [n; 100_000]);
        client.conn.refresh_traffic_keys().unwrap();
    }
}

#[test]
fn clients_without_a_certificate_are_refused_where_one_is_required() {
    let authority = Authority::new();
    let server = authority.serve(ClientAuth::Required);
    let mut certified = authority.connect(&server, &TLS13, true);
    certified.write_all(&request("certificates")).unwrap();
    assert_eq!(read_frame(&mut certified), b"1");
    for version in [&TLS13, &TLS12] {
        let mut nameless = authority.connect(&server, version, false);
        let answer = nameless.write_all(&request("echo let me in")).and_then(|()| nameless.read(&mut [0]));
        // The alert says why.
        assert!(answer.unwrap_err().to_string().contains("CertificateRequired") || *version == TLS12);
    }
    assert!(server.metrics().listeners[0].handshake_failures.load(Ordering::Relaxed) >= 1);
}

#[test]
fn where_a_certificate_is_only_requested_both_kinds_of_clients_are_served() {
    let authority = Authority::new();
    let server = authority.serve(ClientAuth::Requested);
    for (certified, count) in [(true, b"1"), (false, b"0")] {
        let mut client = authority.connect(&server, &TLS13, certified);
        client.write_all(&request("certificates")).unwrap();
        assert_eq!(read_frame(&mut client), count);
    }
}

#[test]
fn a_client_of_another_authority_is_refused() {
    let authority = Authority::new();
    let server = authority.serve(ClientAuth::Required);
    let stranger = Authority { der: authority.der.clone(), ..Authority::new() };
    let mut client = stranger.connect(&server, &TLS13, true);
    assert!(client.write_all(&request("echo x")).and_then(|()| client.read(&mut [0])).is_err());
}

#[test]
fn a_replaced_certificate_serves_new_handshakes_while_old_connections_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let tls = old.tls(ClientAuth::None);
    let server = Server::start_secured(NetworkConfig::default(), ListenerSecurity::Tls(Arc::clone(&tls)));
    let mut before = old.connect(&server, &TLS13, false);
    before.write_all(&request("echo before")).unwrap();
    assert_eq!(read_frame(&mut before), b"before");
    tls.replace(&new.tls(ClientAuth::None));
    let mut after = new.connect(&server, &TLS13, false);
    for client in [&mut before, &mut after] {
        client.write_all(&request("echo after")).unwrap();
        assert_eq!(read_frame(client), b"after");
    }
}

#[test]
fn plaintext_on_a_tls_listener_is_closed_and_others_are_served() {
    let authority = Authority::new();
    let server = authority.serve(ClientAuth::None);
    let mut plaintext = server.connect();
    plaintext.write_all(&request("echo in the clear")).unwrap();
    let mut alert = Vec::new();
    let _ = plaintext.read_to_end(&mut alert);
    assert_eq!(server.metrics().listeners[0].handshake_failures.load(Ordering::Relaxed), 1);
    let mut client = authority.connect(&server, &TLS13, false);
    client.write_all(&request("echo ciphered")).unwrap();
    assert_eq!(read_frame(&mut client), b"ciphered");
}

#[test]
fn a_handshake_that_never_ends_is_ended() {
    let authority = Authority::new();
    let tls_handshake_timeout = Duration::from_millis(50);
    let config = NetworkConfig { tls_handshake_timeout, ..NetworkConfig::default() };
    let server = Server::start_secured(config, ListenerSecurity::Tls(authority.tls(ClientAuth::None)));
    assert!(is_closed(&mut server.connect()));
}

#[test]
fn a_tls_connection_stops_as_a_plaintext_one_does() {
    let authority = Authority::new();
    let mut server = authority.serve(ClientAuth::None);
    let mut client = authority.connect(&server, &TLS13, false);
    client.write_all(&request("wait a")).unwrap();
    client.flush().unwrap();
    server.handler.arrived(1);
    let silent = server.connect();
    server.stop();
    assert_eq!(read_frame(&mut client), b"a");
    // A close_notify, so that the client knows that nothing was cut off.
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(silent);
}
