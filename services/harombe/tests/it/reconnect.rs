//! A connection that breaks off under a run: the command goes on where it was, over another one.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::{Home, Live, word_after};

const ASKS: &str = r#"
[[turn]]
[[turn.calls]]
tool = "code_execute"
arguments = { language = "shell", code = "echo 1" }
[[turn]]
text = "So be it."
"#;

/// Passes bytes on to a server, and can cut all its connections.
struct Line {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::clone(&open);
        thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(&server).unwrap());
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || copy(from, to));
                }
                connections.lock().unwrap().extend([near, far]);
            }
        });
        Self { address, open }
    }

    fn cut(&self) {
        for socket in self.open.lock().unwrap().drain(..) {
            // One whose other end is gone already is cut.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn a_run_is_followed_over_another_connection_when_one_breaks_off() {
    let home = Home::new();
    let model = home.file("model.toml", ASKS);
    let config = home.file("harombe.toml", "[gateway.public]\nlisten = \"127.0.0.1:0\"\n");
    let server = home.up(["--config", &config, "--model", &format!("scripted:{model}")]);
    let url = word_after(&server.seen, "http://");
    let line = Line::to(url);
    let key = home
        .run(["keys", "create", "ann", "--role", "user", "--role", "approver"])
        .good()
        .out;
    let key = home.file("ann.key", key);
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();

    let there = format!("http://{}", line.address);
    let mut command = home.bare();
    command.args(["--server", &there, "--key-file", &key, "run", "go"]);
    let mut run = Live::start(command);
    let approval = word_after(&run.wait_for("approvals approve "), "approvals approve ");
    line.cut();
    run.wait_for("the connection broke off; going on after event");
    home.run(["approvals", "deny", &approval]).good();
    assert!(run.end().success(), "{}", run.seen);
    assert!(run.seen.contains("So be it."), "{}", run.seen);
}
