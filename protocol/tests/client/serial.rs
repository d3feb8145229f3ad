//! A connection for one request at a time: answers in pieces, of every size, and with something behind them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use weir_protocol::client::{Address, ClientConfig, ClientError, SerialConnection};
use weir_protocol::messages::{MetadataRequest, MetadataResponse};

use crate::fake_broker::FakeBroker;

const WITHIN: Duration = Duration::from_secs(10);
const VERSION: i16 = 12;

/// A way to `broker` on which answers arrive so many bytes at a time, each followed by `behind`.
async fn relay(broker: FakeBroker, piece: usize, behind: &'static [u8]) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (near, far) = tokio::io::duplex(1 << 20);
        tokio::spawn(broker.serve(far));
        let (mut from_broker, mut to_broker) = tokio::io::split(near);
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_broker).await });
        let mut bytes = vec![0; 1 << 20];
        while let Ok(count @ 1..) = from_broker.read(&mut bytes).await {
            let answer = [&bytes[..count], behind].concat();
            for part in answer.chunks(piece) {
                if to_client.write_all(part).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    address
}

async fn metadata(connection: &mut SerialConnection) -> Result<MetadataResponse, ClientError> {
    connection.call(&MetadataRequest::default().with_topics(None), VERSION, WITHIN).await
}

#[tokio::test]
async fn answers_arrive_whole_however_they_are_cut_and_however_large_the_last_one_was() {
    for piece in [1, 3, 5, 4_096, usize::MAX] {
        let broker = FakeBroker::start().await;
        let address = relay(broker.clone(), piece, b"").await;
        let mut connection =
            SerialConnection::connect(address.clone(), &ClientConfig::new(vec![address])).await.unwrap();
        broker.create("first", 1);
        assert_eq!(metadata(&mut connection).await.unwrap().topics.len(), 1);
        for topic in 0..2_000 {
            broker.create(&format!("topic-{topic}"), 1);
        }
        let held = metadata(&mut connection).await.unwrap();
        broker.state().topics.retain(|name, _| name == "first");
        for _ in 0..20 {
            assert_eq!(metadata(&mut connection).await.unwrap().topics.len(), 1);
        }
        assert_eq!(held.topics.len(), 2_001, "what is still held is not written over");
        assert!(held.topics.iter().all(|topic| topic.name.as_ref().is_some_and(|name| name.len() >= 5)));
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_end_the_connection() {
    let broker = FakeBroker::start().await;
    let address = relay(broker, usize::MAX, b"\0\0\0\x01").await;
    let refused = SerialConnection::connect(address.clone(), &ClientConfig::new(vec![address])).await;
    let Err(ClientError::Disconnected { reason, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(&*reason.to_string(), "4 bytes that nobody asked for follow a response");
}
