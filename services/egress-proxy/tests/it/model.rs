//! An upstream on loopback: HTTP/1.1 by the byte, as its script says, with everything that it hears written down.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use harombe_egress_proxy::net::dialer::Stream;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;

/// What is answered to one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These bytes; the connection stays open.
    Bytes(Vec<u8>),
    /// Each piece as the test lets it go.
    Stepwise(Vec<&'static str>),
    /// These bytes, then the end of the connection.
    Cut(Vec<u8>),
    /// The request's own head, in a header field, and as the body in pieces of this many bytes.
    Echo(usize),
    /// Nothing, ever.
    Silence,
}

impl Reply {
    pub(crate) fn json(body: &str) -> Self {
        Self::Bytes(
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        )
    }
}

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    replies: Mutex<VecDeque<Reply>>,
    heard: Mutex<Vec<Heard>>,
    connections: Mutex<usize>,
    steps: Semaphore,
    gone: Notify,
    moved: Notify,
}

impl Model {
    /// Answers by the script; the last reply repeats.
    pub(crate) async fn start(
        tls: Option<Arc<ServerConfig>>,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            replies: Mutex::new(replies.into_iter().collect()),
            heard: Mutex::default(),
            connections: Mutex::default(),
            steps: Semaphore::new(0),
            gone: Notify::new(),
            moved: Notify::new(),
        });
        let serving = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = serving.clone();
                let tls = tls.clone();
                // A peer that gives up is part of what is tested.
                tokio::spawn(async move {
                    let served = state.serve(stream, tls).await;
                    state.gone.notify_one();
                    served
                });
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.state.heard.lock().expect("a lock").clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().expect("a lock")
    }

    /// Lets the next piece of a stepwise reply go.
    pub(crate) fn step(&self) {
        self.state.steps.add_permits(1);
    }

    /// Waits until so much of a body has arrived.
    pub(crate) async fn wait_for_body(&self, text: &str) {
        loop {
            let moved = self.state.moved.notified();
            if self.heard().last().is_some_and(|heard| heard.body.contains(text)) {
                return;
            }
            moved.await;
        }
    }

    /// Waits until a connection has ended.
    pub(crate) async fn wait_for_end(&self) {
        self.state.gone.notified().await;
    }
}

impl State {
    async fn serve(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
        let mut stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(config) => Box::new(TlsAcceptor::from(config).accept(stream).await?),
        };
        *self.connections.lock().expect("a lock") += 1;
        loop {
            let head = self.request(&mut stream).await?;
            if !self.answer(&mut stream, &head).await? {
                return stream.shutdown().await;
            }
        }
    }

    async fn request(&self, stream: &mut Box<dyn Stream>) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).expect("ascii");
        self.heard.lock().expect("a lock").push(Heard {
            head: head.clone(),
            body: String::new(),
        });
        let field = |name: &str| {
            let lower = head.to_lowercase();
            let line = lower
                .lines()
                .find_map(|line| line.strip_prefix(name).map(str::to_owned));
            line.map(|value| value.trim().to_owned())
        };
        let length: usize = field("content-length:").map_or(0, |text| text.parse().expect("a length"));
        let chunked = field("transfer-encoding:").is_some();
        let mut body = String::new();
        while body.len() < length || (chunked && !body.ends_with("0\r\n\r\n")) {
            let byte = char::from(stream.read_u8().await?);
            body.push(byte);
            if let Some(heard) = self.heard.lock().expect("a lock").last_mut() {
                heard.body.push(byte);
            }
            self.moved.notify_waiters();
        }
        Ok(head)
    }

    /// Says whether the connection goes on.
    async fn answer(&self, stream: &mut Box<dyn Stream>, head: &str) -> io::Result<bool> {
        let reply = {
            let mut replies = self.replies.lock().expect("a lock");
            let next = if replies.len() > 1 {
                replies.pop_front()
            } else {
                None
            };
            next.or_else(|| replies.front().cloned()).expect("a reply")
        };
        match reply {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await?,
            Reply::Cut(bytes) => {
                stream.write_all(&bytes).await?;
                return Ok(false);
            }
            Reply::Stepwise(pieces) => {
                for piece in pieces {
                    self.steps.acquire().await.expect("open").forget();
                    stream.write_all(piece.as_bytes()).await?;
                    stream.flush().await?;
                }
            }
            Reply::Echo(size) => {
                let shown = head.replace("\r\n", " ");
                let start = format!(
                    "HTTP/1.1 200 OK\r\nX-Seen: {shown}\r\nX-Other: kept\r\nContent-Length: {}\r\n\r\n",
                    head.len()
                );
                stream.write_all(start.as_bytes()).await?;
                for piece in head.as_bytes().chunks(size) {
                    stream.write_all(piece).await?;
                    stream.flush().await?;
                    tokio::task::yield_now().await;
                }
            }
            Reply::Silence => {
                // Ends when the peer does.
                let _ = stream.read_u8().await;
                return Ok(false);
            }
        }
        Ok(true)
    }
}
