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
    // The test server answers as Qdrant does, not as we do.
    let outside = |path: &str| {
        !path.starts_with("shared/error/") && !path.starts_with("services/memory/vectors/src/testserver/")
    };
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
fn connections_are_opened_in_few_places() {
    let places = [
        // To where the policy and the resolver allow, and to where the operator's configuration says.
        "services/egress-proxy/src/net/dialer.rs",
        "services/egress-proxy/src/net/upstream.rs",
        // To the other services.
        "shared/rpc/src/channel/dial.rs",
        "shared/rpc/src/channel/balance/resolve.rs",
        // The guest's probe tries to connect in order to prove that it cannot.
        "services/sandbox-broker/guest/src/probe.rs",
    ];
    let words = [
        "TcpStream::connect",
        "TcpSocket::",
        "UdpSocket::",
        "ToSocketAddrs",
        "lookup_host",
    ];
    none_but("a connection opened elsewhere", &places, &words);
}

#[test]
fn programs_are_started_in_few_places() {
    let places = [
        // runsc, asked for its version and started with a sandbox.
        "services/sandbox-broker/src/gvisor/discover.rs",
        "services/sandbox-broker/src/gvisor/launch.rs",
        // Inside the sandbox: the interpreter.
        "services/sandbox-broker/guest/src/run.rs",
        // pip, for a person who has a model fetched by it.
        "services/harombe/src/cli/models/fetch.rs",
        // For tests: servers that are started and killed, and a disk that fills up.
        "shared/testkit/src/disk.rs",
        "shared/testkit/src/openbao.rs",
        "shared/testkit/src/postgres/server.rs",
    ];
    none_but(
        "a program started elsewhere",
        &places,
        &["process::Command", "Command::new("],
    );
}

/// Nobody but these files uses one of the words, and each of them does: a place that needs it no more is taken off the list.
#[track_caller]
fn none_but(rule: &str, places: &[&str], words: &[&str]) {
    tree::none(rule, &uses(|path| !places.contains(&path), words));
    let idle = places
        .iter()
        .filter(|place| uses(|path| path == **place, words).is_empty());
    tree::none(
        "listed without need",
        &idle.map(ToString::to_string).collect::<Vec<_>>(),
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
