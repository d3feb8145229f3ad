//! What is refused of what is produced, each with its error code, and that nothing refused leaves a trace.

use std::io::ErrorKind;

use tempfile::TempDir;
use weir_protocol::error_code::ErrorCode;
use weir_tests::bad_batches::{self, COMPACTED, PLAIN};
use weir_tests::usage;
use weir_tests::weir::{Weir, WeirOptions};
use weir_tests::wire::{self, NewTopic, Wire};

/// What the worst of them may make the broker hold: the bomb once, in a buffer that doubles as it grows.
const MAX_GROWTH_BYTES: f64 = 96.0 * 1024.0 * 1024.0;

#[test]
fn each_bad_batch_is_refused_with_its_code_and_leaves_no_trace() {
    let dir = TempDir::new().expect("a directory");
    let mut weir = Weir::start(WeirOptions::new(dir.path()).expect("free ports")).expect("the broker starts");
    let mut wire = Wire::connect(&weir.bootstrap()).expect("connected");
    let topic = |name: &str, configs| NewTopic { name: name.to_owned(), partitions: 1, configs };
    let topics = [topic(PLAIN, &[]), topic(COMPACTED, &[("cleanup.policy", "compact")])];
    wire.create_topics(&topics).expect("created");
    let before = usage::resident_bytes(weir.process().pid()).expect("memory");
    let mut kept = [(PLAIN, 0), (COMPACTED, 0)];
    let mut wrong = Vec::new();
    for batch in bad_batches::all() {
        let request = wire::produce_request(batch.topic, 0, batch.records);
        let answer = match wire.call(&request, batch.version) {
            Ok(mut response) => response.responses.remove(0).partition_responses.remove(0),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => panic!("{}: closed", batch.name),
            Err(error) => panic!("{}: {error}", batch.name),
        };
        let code = ErrorCode::from_code(answer.error_code);
        if code != batch.code {
            wrong.push(format!("{}: {code:?} instead of {:?}", batch.name, batch.code));
        }
        let next = kept.iter_mut().find(|(topic, _)| *topic == batch.topic).expect("one of the topics");
        let expected = if code == ErrorCode::None { next.1 } else { -1 };
        assert_eq!(answer.base_offset, expected, "{}", batch.name);
        next.1 += i64::from(code == ErrorCode::None);
    }
    assert_eq!(wrong, Vec::<String>::new());
    let grown = usage::peak_resident_bytes(weir.process().pid()).expect("memory") - before;
    assert!(grown <= MAX_GROWTH_BYTES, "{grown} bytes");
}
