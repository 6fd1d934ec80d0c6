//! One process beside a Postgres and a Vault: its state is in the one, its credentials are in the other, and this machine
//! has neither.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;

use harombe_testkit::openbao::OpenBao;
use harombe_testkit::postgres::Database;

use crate::harness::{Home, word_after};

pub(crate) const KEY: &str = "sk-a-key-that-nobody-may-see-0123456789";

const ANSWER: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Good day.\"},\"finish_reason\":\"stop\"}]}\n\n\
                      data: [DONE]\n\n";

/// A model's server that gives everybody one answer; its port, and the heads of the requests that it got.
pub(crate) fn model() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The test has ended when nobody wants to hear of it.
            if tell.send(answer(stream.unwrap())).is_err() {
                return;
            }
        }
    });
    (port, told)
}

fn answer(stream: TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        head.push_str(&line.to_lowercase());
        line.clear();
    }
    let length = word_after(&head, "content-length:").parse().unwrap();
    reader.read_exact(&mut vec![0; length]).unwrap();
    let length = ANSWER.len();
    let fields = format!("Content-Type: text/event-stream\r\nContent-Length: {length}\r\nConnection: close");
    write!(reader.get_mut(), "HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{ANSWER}").unwrap();
    head
}

/// The default agent's model is at that port, and wants the credential `model-key`.
pub(crate) fn far_model(port: u16) -> String {
    format!(
        "[egress-proxy.upstreams.far]\nurl = \"http://127.0.0.1:{port}/v1\"\ncredential = \"model-key\"\nservices = [\"runtime\"]\n\
         [runtime.models.m]\nprovider = \"openai\"\nmodel = \"x\"\nupstream = \"far\"\nattempts = 1\n\
         [runtime.agents.default]\nmodel = \"m\"\n"
    )
}

fn config(database: &Database, bao: &OpenBao, port: u16) -> String {
    let url = database.url();
    let role = bao.role("egress", "harombe", 3600, 3600);
    let mut text = far_model(port);
    for service in ["gateway", "memory", "hitl", "audit"] {
        text.push_str(&format!("[{service}.store.postgres]\nurl = \"{url}\"\n"));
    }
    text.push_str(&format!(
        "[secrets.vault]\naddress = \"{}\"\n[secrets.vault.approle]\nrole_id = \"{}\"\nsecret_id_file = \"{}\"\n",
        bao.address(),
        role.role_id,
        role.secret_id_file.display()
    ));
    text
}

/// Files below `dir` that hold rows or credentials.
fn kept(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(kept(&path));
        } else if path.extension().is_some_and(|end| end == "db" || end == "age") {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn one_process_works_beside_a_postgres_and_a_vault() {
    let database = Database::create().await;
    let bao = OpenBao::start();
    let (port, asked) = model();
    let home = Home::new();
    let config = home.file("harombe.toml", config(&database, &bao, port));
    let run = |args: &[&str]| home.run([&["--config", config.as_str()], args].concat());

    let set = ["--config", &config, "secrets", "set", "model-key"];
    home.run_with_input(set, KEY.as_bytes()).good();
    assert_eq!(run(&["secrets", "list"]).good().out, "model-key\n");

    // Two processes, one after the other: what the second one knows is not from this machine.
    let first = run(&["run", "hi"]).good();
    assert!(first.out.contains("Good day."), "{first:#?}");
    let session = word_after(&first.out, "▸ session");
    run(&["run", "and now", "--session", &session]).good();
    for _ in 0..2 {
        let head = asked.recv().unwrap();
        assert!(
            head.contains(&format!("authorization: bearer {KEY}\r\n")),
            "{head}"
        );
    }
    assert_eq!(kept(&home.data()), Vec::<String>::new());
    let verified = run(&["audit", "verify"]).good();
    assert!(verified.out.starts_with("verified"), "{verified:#?}");

    // No credential, no request.
    bao.seal();
    let refused = run(&["run", "hi"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        [refused.out, refused.err]
            .concat()
            .contains("CREDENTIAL_UNAVAILABLE"),
        "it is said why"
    );
    assert!(asked.try_recv().is_err(), "the model was asked all the same");
}
