//! What stops a start: each in one sentence that names the thing and says what to do, with an exit code that is not zero, and nothing touched.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use weir_tests::weir::{Weir, WeirOptions};

fn options(dir: &TempDir) -> WeirOptions {
    WeirOptions::new(dir.path()).expect("free ports")
}

/// Starts, and gives the one sentence with which the broker ends.
fn refusal(options: &WeirOptions) -> String {
    let (status, said) = options.start_refused().expect("the broker ends");
    assert_eq!(status.code(), Some(1), "{said}");
    let mut sentences = said.lines().filter_map(|line| line.strip_prefix("weir: "));
    let sentence = sentences.next().unwrap_or_else(|| panic!("it does not say why:\n{said}"));
    assert_eq!(sentences.next(), None, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(said.ends_with(&format!("weir: {sentence}\n")), "the reason comes last:\n{said}");
    sentence.to_owned()
}

/// Starts a broker on the directory and stops it, so that the directory is a broker's.
fn used_directory(dir: &TempDir) -> WeirOptions {
    Weir::start(options(dir)).expect("the broker starts").stop().expect("the broker stops")
}

fn change(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).expect("a file");
    fs::write(path, change(text)).expect("written");
}

#[test]
fn a_port_in_use_is_named_with_its_holder() {
    let dir = TempDir::new().expect("a directory");
    let options = options(&dir);
    let _holder = TcpListener::bind(("127.0.0.1", options.port)).expect("a free port");
    let expected = format!(
        "listener PLAINTEXT cannot listen on 127.0.0.1:{}: the port is in use by process {} (",
        options.port,
        std::process::id()
    );
    let sentence = refusal(&options);
    assert!(sentence.starts_with(&expected), "{sentence}");
    assert!(!options.data_dir().exists(), "nothing is touched before the listeners are bound");
}

#[test]
fn an_http_port_in_use_is_named_with_its_key() {
    let dir = TempDir::new().expect("a directory");
    let options = options(&dir);
    let _holder = TcpListener::bind(("127.0.0.1", options.http_port)).expect("a free port");
    let sentence = refusal(&options);
    assert!(sentence.contains(&format!("http.listener=127.0.0.1:{}", options.http_port)), "{sentence}");
}

#[test]
fn a_directory_of_another_cluster_is_refused() {
    let [one, other] = [(); 2].map(|()| TempDir::new().expect("a directory"));
    let (ours, theirs) = (used_directory(&one), used_directory(&other));
    let both = format!("log.dirs={},{}", ours.data_dir().display(), theirs.data_dir().display());
    let sentence = refusal(&ours.clone().with_setting(&both));
    let (ours, theirs) = (ours.data_dir(), theirs.data_dir());
    let expected =
        format!("the log directories {} and {} belong to different clusters (", ours.display(), theirs.display());
    assert!(sentence.starts_with(&expected), "{sentence}");
    assert!(sentence.ends_with("; remove one of them from log.dirs"), "{sentence}");
}

#[test]
fn the_metadata_log_lies_where_the_file_says_and_is_never_left_behind() {
    let [data, metadata] = [(); 2].map(|()| TempDir::new().expect("a directory"));
    let at = |folder: &str| metadata.path().join(folder);
    let setting = |folder: &str| format!("metadata.log.dir={}", at(folder).display());
    let mut apart = options(&data).with_setting(&setting("one"));
    for _ in 0..2 {
        apart = Weir::start(apart).expect("the broker starts").stop().expect("the broker stops");
        assert!(at("one/__cluster_metadata-0").is_dir());
        assert!(!apart.data_dir().join("__cluster_metadata-0").exists());
    }
    let sentence = refusal(&apart.with_setting(&setting("other")));
    assert!(sentence.contains("metadata.log.dir") && sentence.contains("when cluster"), "{sentence}");

    let together = TempDir::new().expect("a directory");
    let used = used_directory(&together).with_setting(&setting("other"));
    let sentence = refusal(&used);
    assert!(
        sentence.contains("metadata.log.dir") && sentence.contains(&used.data_dir().display().to_string()),
        "{sentence}"
    );
    assert!(!at("other").exists(), "nothing is touched");
}

#[test]
fn a_lone_node_whose_metadata_log_is_gone_does_not_begin_anew() {
    let dir = TempDir::new().expect("a directory");
    let used = used_directory(&dir);
    let log = used.data_dir().join("__cluster_metadata-0");
    fs::remove_dir_all(&log).expect("removed");
    for _ in 0..2 {
        let sentence = refusal(&used);
        assert!(sentence.starts_with(&format!("the metadata log {} is gone", log.display())), "{sentence}");
    }
}

#[test]
fn a_directory_of_another_node_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let options = used_directory(&dir).with_setting("node.id=77");
    let sentence = refusal(&options);
    let data = options.data_dir();
    assert!(sentence.starts_with(&format!("the log directory {} belongs to node.id ", data.display())), "{sentence}");
    assert!(sentence.contains("and this is node.id 77; set node.id="), "{sentence}");
}

#[test]
fn a_directory_that_another_process_has_is_refused_with_its_id() {
    let dir = TempDir::new().expect("a directory");
    let mut running = Weir::start(options(&dir)).expect("the broker starts");
    let second = options(&dir);
    let sentence = refusal(&second);
    let (data, pid) = (second.data_dir(), running.process().pid());
    assert!(
        sentence.starts_with(&format!("the log directory {} is in use by process {pid}; ", data.display())),
        "{sentence}"
    );
    running.stop().expect("the first broker is not disturbed");
}

#[test]
fn a_directory_that_cannot_be_read_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let options = used_directory(&dir);
    let data = options.data_dir();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o000)).expect("permissions");
    // Root reads everything, so for root nothing is wrong.
    let readable = fs::read_dir(&data).is_ok();
    if !readable {
        let sentence = refusal(&options);
        assert!(sentence.starts_with(&format!("cannot use the log directory {}: ", data.display())), "{sentence}");
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("permissions");
}

#[test]
fn a_directory_whose_files_do_not_read_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let options = used_directory(&dir);
    // What not even root can read as a file.
    let file = options.data_dir().join("meta.properties");
    fs::remove_file(&file).and_then(|()| fs::create_dir(&file)).expect("a directory in its place");
    let sentence = refusal(&options);
    let data = options.data_dir();
    assert!(sentence.starts_with(&format!("cannot use the log directory {}: ", data.display())), "{sentence}");
}

#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let sentence = refusal(&options(&dir).with_setting("log.dirs=/proc/no/such/place"));
    assert!(sentence.starts_with("cannot create the log directory /proc/no/such/place: "), "{sentence}");
}

#[test]
fn a_directory_that_is_a_file_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let options = options(&dir);
    fs::write(options.data_dir(), "no directory").expect("written");
    let sentence = refusal(&options);
    assert!(sentence.contains(&format!("{}", options.data_dir().display())), "{sentence}");
    assert!(sentence.contains("log.dirs"), "{sentence}");
}

#[test]
fn a_directory_of_somebody_elses_files_is_refused_untouched() {
    let dir = TempDir::new().expect("a directory");
    let options = options(&dir);
    fs::create_dir_all(options.data_dir()).expect("made");
    fs::write(options.data_dir().join("holiday.jpg"), "sea").expect("written");
    let sentence = refusal(&options);
    assert!(sentence.contains("holiday.jpg") && sentence.contains("choose an empty directory"), "{sentence}");
    assert_eq!(fs::read_dir(options.data_dir()).expect("a directory").count(), 1);
}

#[test]
fn a_meta_properties_that_makes_no_sense_is_named() {
    let dir = TempDir::new().expect("a directory");
    let options = used_directory(&dir);
    let file = options.data_dir().join("meta.properties");
    change(&file, |text| text.replace("version=", "version=seven"));
    let sentence = refusal(&options);
    assert!(sentence.contains(&format!("{}", file.display())), "{sentence}");
}

#[test]
fn a_wrong_value_names_the_key_the_value_and_what_is_allowed() {
    for (setting, parts) in [
        ("num.network.threads=0", ["num.network.threads", "0", "1"]),
        ("num.network.threads=many", ["num.network.threads", "many", "number"]),
        ("log.cleanup.policy=shred", ["log.cleanup.policy", "shred", "compact"]),
        ("listeners=PLAINTEXT://127.0.0.1:99999", ["listeners", "99999", "port"]),
    ] {
        let dir = TempDir::new().expect("a directory");
        let sentence = refusal(&options(&dir).with_setting(setting));
        assert!(parts.iter().all(|part| sentence.contains(part)), "{setting}: {sentence}");
    }
}

#[test]
fn an_unknown_key_warns_with_the_nearest_known_one_and_the_broker_starts() {
    let dir = TempDir::new().expect("a directory");
    let mut weir = Weir::start(options(&dir).with_setting("num.netwrok.threads=3")).expect("the broker starts");
    let said = weir.process().log_tail(20);
    let warning = said.lines().find(|line| line.contains("num.netwrok.threads")).expect("a warning");
    assert!(warning.contains("WARN") && warning.contains("num.network.threads"), "{warning}");
}
