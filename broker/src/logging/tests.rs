use std::io::Write;

use parking_lot::Mutex;

use super::line_limit::BURST_LINES;
use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `work` logs.
fn logged(format: LogFormat, work: impl FnOnce()) -> Vec<String> {
    let sink = Sink::default();
    let writer = sink.clone();
    let dispatch = dispatch(format, EnvFilter::new("debug"), false, move || writer.clone());
    tracing::dispatcher::with_default(&dispatch, work);
    let text = String::from_utf8(sink.0.lock().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn refuse_often(times: usize) {
    for attempt in 0..times {
        tracing::warn!(attempt, "a request was refused");
    }
}

#[test]
fn a_client_that_is_refused_a_hundred_thousand_times_fills_no_disk() {
    let before = lines_left_out();
    let lines = logged(LogFormat::Text, || refuse_often(100_000));
    assert_eq!(lines.len(), BURST_LINES as usize + 1);
    assert!(lines[0].contains("a request was refused") && lines[0].contains("attempt=0"), "{}", lines[0]);
    let last = lines.last().unwrap();
    assert!(last.contains("WARN weir_broker::logging::tests: of lines like the one before"), "{last}");
    assert!(lines_left_out() - before >= 100_000 - u64::from(BURST_LINES));
}

#[test]
fn one_place_does_not_use_up_anothers_lines() {
    let lines = logged(LogFormat::Text, || {
        refuse_often(1_000);
        tracing::error!("log directory goes offline");
    });
    assert!(lines.last().unwrap().contains("log directory goes offline"));
}

#[test]
fn debug_lines_are_never_left_out() {
    let lines = logged(LogFormat::Text, || (0..1_000).for_each(|_| tracing::debug!("closed")));
    assert_eq!(lines.len(), 1_000);
}

#[test]
fn every_line_in_json_is_json() {
    let lines = logged(LogFormat::Json, || {
        refuse_often(1_000);
        tracing::warn!(name = "x".repeat(MAX_LINE_BYTES), "long");
    });
    for line in &lines {
        let object: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(object["message"].is_string(), "{line}");
    }
    assert_eq!(lines.len(), BURST_LINES as usize + 2);
}

#[test]
fn a_line_is_cut_where_it_is_too_long() {
    let lines = logged(LogFormat::Text, || tracing::warn!(name = "é".repeat(30_000), "a topic could not be created"));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].len() < MAX_LINE_BYTES + 30, "{}", lines[0].len());
    assert!(lines[0].ends_with(" bytes)"), "{}", lines[0]);
}
