//! Conversations that go on elsewhere, later, or over another connection.

use std::os::unix::fs::PermissionsExt as _;

use harombe_types::ServiceName;
use rustix::process::Signal;

use super::{MODEL, PROMPT, QUESTION};
use crate::cluster::Cluster;
use crate::harness::{Home, Live, word_after};

#[test]
fn a_session_is_taken_up_again_while_its_run_goes_on() {
    let home = Home::new();
    let model = format!("scripted:{}", home.file("model.toml", MODEL));
    let _server = home.up(["--model", &model]);
    let mut first = Live::start(home.harombe(["chat"]));
    first.type_in("count them\n");
    let approval = word_after(&first.wait_for("approvals approve "), "approvals approve ");
    let mut list = Live::start(home.harombe(["chat"]));
    list.type_in("/sessions\n");
    list.wait_for("default");
    list.wait_for("\n");
    assert!(list.end().success(), "{}", list.seen);
    let id = list
        .seen
        .lines()
        .find(|line| line.contains("default"))
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    let mut second = Live::start(home.harombe(["chat", "--session", &id]));
    second.wait_for("a run goes on in it:");
    second.wait_for("approvals approve ");
    home.run(["approvals", "deny", &approval]).good();
    second.wait_for("denied by");
    first.wait_for("denied by");
    assert!(first.end().success(), "{}", first.seen);
    assert!(second.end().success(), "{}", second.seen);
}

#[test]
fn a_server_that_is_started_again_is_found_again_and_nothing_is_shown_twice() {
    let home = Home::new();
    let model = format!("scripted:{}", home.file("model.toml", MODEL));
    let mut server = home.up(["--model", &model]);
    let mut chat = Live::start(home.harombe(["chat"]));
    chat.type_in("count them\n");
    let approval = word_after(&chat.wait_for("approvals approve "), "approvals approve ");
    server.signal(Signal::KILL);
    server.end();
    chat.wait_for("the connection broke off");
    let _server = home.up(["--model", &model]);
    chat.wait_for("connected again; going on after event");
    home.run(["approvals", "approve", &approval]).good();
    chat.wait_for("It is counted-23");
    chat.type_in("hello\n");
    chat.wait_for("• *one*");
    assert!(chat.end().success(), "{}", chat.seen);
    for once in [
        "I will **count** them.",
        "▸ code_execute",
        "needs an approval",
        "It is counted-23",
    ] {
        assert_eq!(chat.seen.matches(once).count(), 1, "{once:?}: {}", chat.seen);
    }
}

#[test]
fn an_answer_that_does_not_get_through_is_asked_for_again() {
    let home = Home::new();
    let model = home.file("model.toml", MODEL);
    let sections = format!("[runtime.agents.default]\nmodel = \"scripted:{model}\"\n");
    let cluster = Cluster::of(home, "[network]\npki = \"pki\"\n", &sections);
    let mut services = ServiceName::SERVICES.map(|service| (service, cluster.serve(service)));
    let make = [
        "keys",
        "create",
        "ann",
        "--role",
        "user",
        "--role",
        "approver",
        "--allow-self",
    ];
    let key = cluster.client(&cluster.admin_key(), &make).good().out;
    let key = cluster.home.file("ann.key", key);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let program = env!("CARGO_BIN_EXE_harombe");
    let there = format!("--server {} --key-file {key}", cluster.url);
    let line = format!("stty cols 80 rows 24; exec {program} {there} chat --no-history");
    let mut command = cluster.home.tool("script");
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    command
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .env("NO_COLOR", "1");
    let mut chat = Live::start(command);
    chat.wait_for(PROMPT);
    chat.type_in("note it\r");
    chat.wait_for(QUESTION);
    let of_hitl = services.iter_mut().find(|(name, _)| *name == ServiceName::Hitl);
    let (_, hitl) = of_hitl.unwrap();
    hitl.signal(Signal::KILL);
    hitl.end();
    chat.type_in("y\r");
    chat.wait_for("nobody knows whether the answer came through");
    *hitl = cluster.serve(ServiceName::Hitl);
    chat.wait_for(QUESTION);
    chat.type_in("n\r");
    chat.wait_for("denied by");
    chat.wait_for(QUESTION);
    chat.type_in("n\r");
    chat.wait_for("Noted.");
    chat.wait_for(PROMPT);
    chat.type_in("/quit\r");
    assert!(chat.end().success(), "{}", chat.seen);
}
