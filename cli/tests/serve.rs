//! What `weir serve` does while it runs: obeys changes of its configuration at once, and keeps its log small.

mod broker;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use broker::Broker;
use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::protocol::StrBytes;
use weir_protocol::client::{Connection, TlsConfig};

/// Kafka's number of brokers as configured things.
const BROKER: i8 = 4;
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sets a key of a broker, or of every broker where it has no name; the error code and message.
async fn set(connection: &Connection, broker: &str, key: &str, value: &str) -> (i16, Option<String>) {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let config = AlterableConfig::default().with_name(text(key)).with_value(Some(text(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text(broker))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let response = &connection.ask(&request).await.unwrap().responses[0];
    (response.error_code, response.error_message.as_ref().map(ToString::to_string))
}

async fn connect(address: &str, tls: Option<TlsConfig>) -> Result<Connection, String> {
    let connection = Connection::connect(address.parse().unwrap(), tls).await.map_err(|error| error.to_string())?;
    connection.negotiate().await.map_err(|error| error.to_string())?;
    Ok(connection)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Waits until the broker has closed the connection.
#[track_caller]
fn until_closed(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = stream.read(&mut [0]);
    // A reset says the same as an end.
    let is_closed = end.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |&read| read == 0);
    assert!(is_closed, "{end:?}");
}

#[test]
fn a_client_that_is_refused_a_thousand_times_does_not_fill_the_log() {
    const TIMES: usize = 1_000;
    let broker = Broker::start();
    for _ in 0..TIMES {
        let mut stream = TcpStream::connect(broker.address()).unwrap();
        // An API that does not exist, at a version that does not.
        stream.write_all(&[0, 0, 0, 10, 0x7f, 0x7f, 0x7f, 0x7f, 0, 0, 0, 1, 0xff, 0xff]).unwrap();
        until_closed(&mut stream);
    }
    let log = broker.kill();
    assert!(log.len() < TIMES / 4, "{} lines", log.len());
    assert!(log.iter().any(|line| line.contains("of lines like the one before")), "{:?}", log.last());
}

#[test]
fn a_limit_of_connections_holds_as_soon_as_it_is_set() {
    run(async {
        let broker = Broker::start();
        let admin = connect(broker.address(), None).await.unwrap();
        assert_eq!(set(&admin, "", "max.connections.per.ip", "1").await, (0, None));
        let refused = connect(broker.address(), None).await;
        assert!(refused.is_err(), "the address has its one connection");
        assert_eq!(set(&admin, "", "max.connections.per.ip", "2").await, (0, None));
        connect(broker.address(), None).await.unwrap();
    });
}

/// Writes a key and a certificate for 127.0.0.1 into one file, and gives the certificate.
fn write_store(path: &Path) -> String {
    let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(path, pair.signing_key.serialize_pem() + &pair.cert.pem()).unwrap();
    pair.cert.pem()
}

#[test]
fn a_listener_takes_its_new_certificate_without_a_restart() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store.pem");
        let old = write_store(&store);
        let broker = Broker::start_with(&[
            "listeners=PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0".to_owned(),
            format!("ssl.keystore.location={}", store.display()),
        ]);
        let admin = connect(broker.address(), None).await.unwrap();
        let key = "listener.name.ssl.ssl.keystore.location";
        let believe = |certificate: &str| Some(TlsConfig::with_ca_pem(certificate.as_bytes()).unwrap());
        connect(broker.listener("SSL"), believe(&old)).await.unwrap();

        let (code, message) = set(&admin, "1", key, "/nowhere.pem").await;
        assert_eq!(code, 42, "{message:?}");
        assert!(message.unwrap().contains("cannot read ssl.keystore.location=/nowhere.pem"));
        connect(broker.listener("SSL"), believe(&old)).await.unwrap();

        // The same name each time: the file under it is what changes.
        for _ in 0..2 {
            let new = write_store(&store);
            assert_eq!(set(&admin, "1", key, &store.display().to_string()).await, (0, None));
            let deadline = Instant::now() + PATIENCE;
            while let Err(error) = connect(broker.listener("SSL"), believe(&new)).await {
                assert!(Instant::now() < deadline, "{error}");
            }
            connect(broker.listener("SSL"), believe(&old)).await.unwrap_err();
        }
    });
}
