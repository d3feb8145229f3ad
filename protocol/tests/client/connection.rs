//! One connection: order, versions, limits, and everything that closes it.

use crate::fake_broker::FakeBroker;
use bytes::{BufMut, BytesMut};
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir_protocol::client::{Address, ClientConfig, ClientError, Connection};
use weir_protocol::messages::{ApiKey, HeartbeatRequest, MetadataRequest};

/// A listener that does `script` with the first connection and then closes it.
async fn peer<F>(script: impl FnOnce(TcpStream) -> F + Send + 'static) -> Address
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        script(socket).await;
    });
    address
}

fn config(address: &Address) -> ClientConfig {
    ClientConfig::new(vec![address.clone()])
}

/// Key, version and correlation id of the next request.
async fn read_request(socket: &mut TcpStream) -> (i16, i16, i32) {
    let length = socket.read_i32().await.unwrap();
    let mut frame = vec![0; length as usize];
    socket.read_exact(&mut frame).await.unwrap();
    let two = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
    (two(0), two(2), i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]))
}

/// A Heartbeat v0 answer: correlation id, error code.
async fn answer_heartbeat(socket: &mut TcpStream, correlation_id: i32, code: i16) {
    let mut frame = BytesMut::new();
    frame.put_i32(6);
    frame.put_i32(correlation_id);
    frame.put_i16(code);
    socket.write_all(&frame).await.unwrap();
}

async fn connect(address: &Address, config: &ClientConfig) -> Connection {
    Connection::connect_with(address.clone(), config).await.unwrap()
}

#[tokio::test]
async fn pipelined_requests_get_their_own_answers() {
    let address = peer(|mut socket| async move {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(read_request(&mut socket).await.2);
        }
        for (index, id) in ids.into_iter().enumerate() {
            answer_heartbeat(&mut socket, id, index as i16 + 1).await;
        }
    })
    .await;
    let connection = connect(&address, &config(&address)).await;
    let request = HeartbeatRequest::default();
    let call = || connection.call(&request, 0);
    let (first, second, third) = tokio::join!(call(), call(), call());
    let codes = [first, second, third].map(|answer| answer.unwrap().error_code);
    assert_eq!(codes, [1, 2, 3]);
}

#[tokio::test]
async fn requests_over_the_in_flight_limit_wait() {
    let address = peer(|mut socket| async move {
        for _ in 0..2 {
            let (_, _, id) = read_request(&mut socket).await;
            // The next request cannot be there yet: only one may be on its way.
            let mut byte = [0];
            assert!(socket.try_read(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
            answer_heartbeat(&mut socket, id, 0).await;
        }
    })
    .await;
    let mut config = config(&address);
    config.max_in_flight = 1;
    let connection = connect(&address, &config).await;
    let request = HeartbeatRequest::default();
    let (first, second) = tokio::join!(connection.call(&request, 0), connection.call(&request, 0));
    assert!(first.is_ok() && second.is_ok());
}

#[tokio::test]
async fn a_timeout_closes_the_connection() {
    let address = peer(|mut socket| async move {
        read_request(&mut socket).await;
        let _ = socket.read_u8().await;
    })
    .await;
    let connection = connect(&address, &config(&address)).await;
    let request = HeartbeatRequest::default();
    let late = connection.call_within(&request, 0, Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(late, ClientError::Timeout { api: ApiKey::Heartbeat, .. }) && late.is_outcome_unknown());
    assert!(connection.is_closed());
    let after = connection.call(&request, 0).await.unwrap_err();
    assert!(matches!(after, ClientError::Disconnected { .. }) && after.is_retriable());
}

async fn error_after(answer: &'static [u8]) -> String {
    let address = peer(move |mut socket| async move {
        read_request(&mut socket).await;
        socket.write_all(answer).await.unwrap();
        let _ = socket.read_u8().await;
    })
    .await;
    let mut config = config(&address);
    config.max_response_bytes = 1 << 20;
    let connection = connect(&address, &config).await;
    let error = connection.call(&HeartbeatRequest::default(), 0).await.unwrap_err();
    assert!(connection.is_closed() || matches!(error, ClientError::Decode { .. }));
    error.to_string()
}

#[tokio::test]
async fn what_breaks_the_order_closes_the_connection_and_says_why() {
    let cases: [(&[u8], &str); 6] = [
        (&[0, 0, 0, 6, 0, 0, 0, 9, 0, 0], "an answer to request 9 instead of 0"),
        (&[0, 0, 0, 2, 0, 0], "too short for a response header"),
        (&[0xff; 4], "negative"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP"),
        (&[0x15, 3, 3, 0, 2, 2, 80], "it speaks TLS"),
        (&[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0], "bytes that do not decode"),
    ];
    for (answer, words) in cases {
        let error = error_after(answer).await;
        assert!(error.contains(words), "{error}");
        assert!(error.contains("Heartbeat") && error.contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn a_huge_count_in_an_answer_is_refused_before_it_is_allocated() {
    let address = peer(|mut socket| async move {
        let (_, _, id) = read_request(&mut socket).await;
        // No tagged fields, no throttle, 4,294,967,294 brokers.
        write(&mut socket, id, &[0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]).await;
        let _ = socket.read_u8().await;
    })
    .await;
    let connection = connect(&address, &config(&address)).await;
    let refused = connection.call(&MetadataRequest::default(), 12).await.unwrap_err();
    assert!(matches!(refused, ClientError::Decode { .. }), "{refused}");
}

#[tokio::test]
async fn a_request_without_an_answer_is_on_its_way_when_send_returns() {
    let (arrived, arrives) = tokio::sync::oneshot::channel();
    let address = peer(move |mut socket| async move {
        arrived.send(read_request(&mut socket).await).unwrap();
    })
    .await;
    let connection = connect(&address, &config(&address)).await;
    connection.send(&HeartbeatRequest::default(), 0).await.unwrap();
    // Closing at once takes nothing back.
    drop(connection);
    assert_eq!(arrives.await.unwrap().0, ApiKey::Heartbeat as i16);
}

#[tokio::test]
async fn a_closed_socket_fails_everything_that_waits() {
    let address = peer(|mut socket| async move {
        read_request(&mut socket).await;
        read_request(&mut socket).await;
    })
    .await;
    let connection = connect(&address, &config(&address)).await;
    let request = HeartbeatRequest::default();
    let (first, second) = tokio::join!(connection.call(&request, 0), connection.call(&request, 0));
    assert!(matches!(first, Err(ClientError::Disconnected { .. })));
    assert!(matches!(second, Err(ClientError::Disconnected { .. })));
}

#[tokio::test]
async fn nobody_listening_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from(listener.local_addr().unwrap());
    drop(listener);
    let error = Connection::connect(address.clone(), None).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()) && error.is_retriable(), "{error}");
}

#[tokio::test]
async fn an_old_broker_refuses_the_newest_api_versions_and_is_asked_again() {
    let address = peer(|mut socket| async move {
        let (key, version, id) = read_request(&mut socket).await;
        assert_eq!((key, version), (18, 4));
        // Version 0: error 35, one API: ApiVersions 0 to 2.
        let refusal = [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 2];
        write(&mut socket, id, &refusal).await;
        let (key, version, id) = read_request(&mut socket).await;
        assert_eq!((key, version), (18, 2));
        // Version 2: no error, Metadata 0 to 8 and ApiVersions 0 to 2, no throttle.
        let answer = [0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 8, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0];
        write(&mut socket, id, &answer).await;
        let _ = socket.read_u8().await;
    })
    .await;
    let connection = connect(&address, &config(&address)).await;
    connection.negotiate().await.unwrap();
    assert_eq!(connection.versions().unwrap().range(ApiKey::Metadata), Some((0, 8)));
    assert_eq!(connection.version_up_to::<MetadataRequest>(i16::MAX).unwrap(), 8);
    let unknown = connection.version_up_to::<HeartbeatRequest>(i16::MAX).unwrap_err();
    assert!(matches!(unknown, ClientError::UnsupportedVersion { theirs: None, .. }));
}

async fn write(socket: &mut TcpStream, correlation_id: i32, body: &[u8]) {
    let mut frame = BytesMut::new();
    frame.put_i32(4 + body.len() as i32);
    frame.put_i32(correlation_id);
    frame.put_slice(body);
    socket.write_all(&frame).await.unwrap();
}

#[tokio::test]
async fn a_response_larger_than_one_read_arrives_whole() {
    let broker = FakeBroker::start().await;
    for index in 0..2000 {
        broker.create(&format!("a-topic-with-a-long-name-{index}"), 3);
    }
    let connection = connect(&broker.address, &broker.config()).await;
    connection.negotiate().await.unwrap();
    let answer = connection.ask(&MetadataRequest::default().with_topics(None)).await.unwrap();
    assert_eq!(answer.topics.len(), 2000);
}
