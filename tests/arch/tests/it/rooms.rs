//! Which room of a service may use what, and how every file looks.

use crate::tree;

/// Faults of every product file that `applies` and holds one of the `words` outside comments and tests.
fn uses(applies: impl Fn(&str) -> bool, words: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree::product().iter().filter(|file| applies(&file.path)) {
        for (number, line) in file.code() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{number}: {word}", file.path));
            }
        }
    }
    faults
}

fn in_room(path: &str, room: &str) -> bool {
    path.starts_with("services/")
        && (path.ends_with(&format!("/src/{room}.rs")) || path.contains(&format!("/src/{room}/")))
}

#[test]
fn the_domain_does_no_io() {
    let words = [
        "tonic::",
        "sqlx::",
        "harombe_sql",
        "harombe_rpc",
        "tokio::net",
        "std::net::Tcp",
        "SystemTime",
        "std::env::",
        "std::fs",
        "crate::grpc",
        "crate::store::sqlite",
        "crate::store::postgres",
    ];
    tree::none(
        "domain code that does I/O",
        &uses(|path| in_room(path, "domain"), &words),
    );
}

#[test]
fn storage_knows_no_transport() {
    tree::none(
        "storage that knows transport",
        &uses(
            |path| in_room(path, "store"),
            &["tonic::", "crate::grpc", "harombe_proto::"],
        ),
    );
}

#[test]
fn only_shared_error_makes_a_status() {
    let outside = |path: &str| !path.starts_with("shared/error/");
    let words = [
        "Status::new(",
        "Status::internal(",
        "Status::unavailable(",
        "Status::not_found(",
        "Status::invalid_argument(",
        "Status::permission_denied(",
        "Status::unauthenticated(",
        "Status::failed_precondition(",
        "Status::aborted(",
        "Status::cancelled(",
        "Status::unknown(",
        "Status::resource_exhausted(",
        "Status::deadline_exceeded(",
    ];
    tree::none("a status made outside of shared/error", &uses(outside, &words));
}

#[test]
fn only_egress_proxy_and_rpc_open_connections() {
    let outside =
        |path: &str| !path.starts_with("services/egress-proxy/") && !path.starts_with("shared/rpc/");
    let words = [
        "TcpStream::connect",
        "TcpSocket::",
        "UdpSocket::",
        "ToSocketAddrs",
        "lookup_host",
    ];
    // The guest's probe tries to connect in order to prove that it cannot.
    let outside = |path: &str| outside(path) && !path.starts_with("services/sandbox-broker/");
    tree::none("a connection opened elsewhere", &uses(outside, &words));
}

#[test]
fn programs_are_started_by_the_broker_only() {
    // tests start and kill servers
    let outside =
        |path: &str| !path.starts_with("services/sandbox-broker/") && !path.starts_with("shared/testkit/");
    tree::none(
        "a program started elsewhere",
        &uses(outside, &["process::Command", "Command::new("]),
    );
}

#[test]
fn every_file_says_why_it_exists() {
    let mut faults = Vec::new();
    for file in tree::rust() {
        let is_test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
        if !is_test && !file.text.starts_with("//! ") {
            faults.push(file.path.clone());
        }
        if file.path.ends_with("/mod.rs") {
            faults.push(format!("{}: name it after its folder", file.path));
        }
    }
    tree::none("files without an opening //! line", &faults);
}

#[test]
fn files_stay_short_enough_to_hold_one_thing() {
    let mut faults = Vec::new();
    for file in tree::product() {
        let lines = file.code().count();
        if lines > 500 {
            faults.push(format!("{}: {lines} lines", file.path));
        }
        if file.path.ends_with("/main.rs") && !file.path.contains("/guest/") && lines > 40 {
            faults.push(format!("{}: {lines} lines in a main.rs", file.path));
        }
    }
    tree::none("files past 500 lines", &faults);
}

#[test]
fn names_say_what_a_thing_is() {
    let mut faults = Vec::new();
    for file in tree::rust() {
        for part in file.path.trim_end_matches(".rs").split('/') {
            if ["utils", "util", "common", "core", "helpers", "misc", "manager"].contains(&part) {
                faults.push(file.path.clone());
            }
        }
    }
    tree::none("names that say nothing", &faults);
}
