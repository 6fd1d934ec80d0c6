//! A provider's server on loopback that answers by the byte, behind the real egress-proxy.

use std::collections::VecDeque;
use std::sync::Arc;

use harombe_egress_proxy::config::{Injection, Upstream};
use harombe_egress_proxy::{Deps, Edges, Service, build};
use harombe_rpc::{GrpcChannel, Metrics, TaskSet};
use harombe_runtime::{Config, ModelConfig, Provider};
use harombe_secrets::{SealedFile, Secret, Secrets as _};
use harombe_types::ServiceName;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Node, World};

pub(crate) const KEY: &str = "sk-a-key-that-nobody-may-see-0123456789";

/// What is answered to one request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A stream of events, in pieces of so many bytes.
    Stream(String, usize),
    /// The beginning of a stream, then the end of the connection.
    Broken(String),
    /// The beginning of a stream, then nothing.
    Silent(String),
    /// A status line without its protocol, header fields and a body.
    Status(&'static str, &'static str, &'static str),
    /// No answer at all.
    Nothing,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
}

pub(crate) struct Model {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Model {
    /// Answers each request with the next reply; one more than there are replies gets nothing.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let replies: Arc<Mutex<VecDeque<Reply>>> = Arc::new(Mutex::new(replies.into_iter().collect()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&replies), Arc::clone(&heard)));
            }
        });
        Self { port, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
) -> std::io::Result<()> {
    while let Some(request) = read(&mut stream).await? {
        asked.lock().push(request);
        let reply = replies.lock().pop_front();
        match reply {
            Some(Reply::Stream(events, size)) => {
                stream.write_all(STREAMING).await?;
                for piece in events.as_bytes().chunks(size) {
                    write_chunk(&mut stream, piece).await?;
                }
                write_chunk(&mut stream, b"").await?;
            }
            Some(Reply::Broken(events)) => {
                stream.write_all(STREAMING).await?;
                write_chunk(&mut stream, events.as_bytes()).await?;
                return Ok(());
            }
            Some(Reply::Silent(events)) => {
                stream.write_all(STREAMING).await?;
                write_chunk(&mut stream, events.as_bytes()).await?;
                std::future::pending::<()>().await;
            }
            Some(Reply::Status(status, fields, body)) => {
                let length = body.len();
                let answer = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await?;
            }
            Some(Reply::Nothing) | None => std::future::pending::<()>().await,
        }
    }
    Ok(())
}

const STREAMING: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn write_chunk(stream: &mut TcpStream, data: &[u8]) -> std::io::Result<()> {
    stream
        .write_all(format!("{:x}\r\n", data.len()).as_bytes())
        .await?;
    stream.write_all(data).await?;
    stream.write_all(b"\r\n").await?;
    stream.flush().await
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Asked>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Asked {
        head,
        body: serde_json::from_slice(&bytes[end..]).unwrap_or_default(),
    }))
}

/// A node whose agent has a model at that server, and the proxy between the two.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) node: Node,
    pub(crate) proxy: Service,
    _files: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn new(
        provider: Provider,
        model: &Model,
        edit: impl FnOnce(&mut Config, &mut Upstream),
    ) -> Self {
        let world = World::new();
        let files = tempfile::tempdir().unwrap();
        let secrets = SealedFile::new(files.path());
        let secret = Secret::new(KEY.to_owned().into()).unwrap();
        secrets.set(&"model-key".parse().unwrap(), secret).await.unwrap();
        let mut config = Config::default();
        let mut upstream = Upstream {
            services: vec![ServiceName::Runtime],
            credential: Some("model-key".to_owned()),
            inject: Injection::Bearer,
            ..Upstream::new(format!("http://127.0.0.1:{}/base", model.port))
        };
        config
            .models
            .insert("m".to_owned(), ModelConfig::new(provider, "test-model", "far"));
        config.agents.get_mut("default").unwrap().model = "m".to_owned();
        edit(&mut config, &mut upstream);
        let mut egress = harombe_egress_proxy::Config::default();
        egress.upstreams.insert("far".to_owned(), upstream);
        let deps = Deps {
            metrics: Metrics::new(),
            clock: world.clock.clone(),
            identity: world.pki.identity(ServiceName::EgressProxy),
            trail: world
                .audit
                .trail(ServiceName::EgressProxy, world.clock.clone(), &TaskSet::new()),
            hitl: world.hitl.channel(ServiceName::EgressProxy),
            edges: Edges::system(),
            secrets: Arc::new(secrets),
        };
        let proxy = build(egress, deps).await.unwrap();
        let channel = GrpcChannel::local(proxy.server(), ServiceName::Runtime);
        let node = world.node_at(config, channel).await;
        Self {
            world,
            node,
            proxy,
            _files: files,
        }
    }
}
