//! The same client over TLS, with certificates made for the test.

use crate::fake_broker::FakeBroker;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use weir_protocol::client::{Address, Client, ClientError, TlsConfig, TlsConfigError};

/// A TLS front of `broker` under the name `localhost`, and its certificate in PEM.
async fn tls_front(broker: FakeBroker) -> (Address, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from(listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, broker) = (acceptor.clone(), broker.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(socket).await {
                    broker.serve(stream).await;
                }
            });
        }
    });
    (address, pem)
}

async fn connect(address: &Address, broker: &FakeBroker, tls: TlsConfig) -> Result<Client, ClientError> {
    let mut config = broker.config();
    config.bootstrap = vec![address.clone()];
    config.tls = Some(tls);
    Client::connect(config).await
}

#[tokio::test]
async fn a_broker_is_believed_by_its_ca_or_without_any_check_but_not_by_another_ca() {
    let broker = FakeBroker::start().await;
    let (address, pem) = tls_front(broker.clone()).await;
    connect(&address, &broker, TlsConfig::with_ca_pem(pem.as_bytes()).unwrap()).await.unwrap();
    connect(&address, &broker, TlsConfig::insecure().unwrap()).await.unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let error = connect(&address, &broker, TlsConfig::with_ca_pem(other.as_bytes()).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("TLS handshake with"), "{error}");
}

#[tokio::test]
async fn tls_to_a_plaintext_listener_fails_with_a_hint() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from(listener.local_addr().unwrap());
    tokio::spawn(async move { drop(listener.accept().await) });
    let broker = FakeBroker::start().await;
    let error = connect(&address, &broker, TlsConfig::insecure().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("is it a TLS listener"), "{error}");
}

#[test]
fn a_file_without_a_certificate_is_refused() {
    assert!(matches!(TlsConfig::with_ca_pem(b"hello"), Err(TlsConfigError::NoCertificate { what: "CA file" })));
}
