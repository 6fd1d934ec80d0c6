//! A model behind egress-proxy, which may be away, refuse texts or have enough of them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::Stream;
use harombe_embedding::{Embedder as _, Local, LocalConfig, Purpose};
use harombe_identity::TokenVerifier;
use harombe_memory::{Config, Deps, UpstreamConfig, build};
use harombe_proto::egress::v1 as wire;
use harombe_proto::egress::v1::egress_service_server::{EgressService, EgressServiceServer};
use harombe_proto::egress::v1::tunnel_request::Frame;
use harombe_proto::egress::v1::tunnel_response::Frame as Reply;
use harombe_rpc::{Door, GrpcChannel, LogRefusals, Metrics, Server, TaskSet};
use harombe_types::ServiceName;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::rig::{Rig, TestRun, model};

/// egress-proxy with a model behind it: the local one with its numbers in the opposite order, which is another model.
#[derive(Clone)]
pub(super) struct Elsewhere {
    model: Arc<Local>,
    pub(super) away: Arc<AtomicBool>,
    /// What is said to a request with a text that holds this.
    said: Arc<Mutex<Option<(String, u16)>>>,
}

impl Elsewhere {
    /// One that is away.
    pub(super) fn new() -> Self {
        Self {
            model: Arc::new(Local::open(&model(), &LocalConfig::default()).expect("model")),
            away: Arc::new(AtomicBool::new(true)),
            said: Arc::default(),
        }
    }

    pub(super) fn is_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// From now on answers requests with a text that holds the word by this status.
    pub(super) fn says(&self, status: u16, word: &str) {
        *self.said.lock() = Some((word.to_owned(), status));
    }

    pub(super) fn takes_all(&self) {
        *self.said.lock() = None;
    }

    /// What a service is told to have it as its model.
    pub(super) fn config(config: &Config) -> Config {
        let mut config = config.clone();
        config.embedding.folder = None;
        config.embedding.upstream = Some(UpstreamConfig {
            name: "embedder".to_owned(),
            model: "reversed".to_owned(),
            dimension: 384,
        });
        config
    }

    pub(super) fn server(&self, rig: &Rig) -> Server {
        let deps = harombe_rpc::Deps {
            door: Door::Internal(Arc::new(TokenVerifier::new(rig.identity.roots().clone()))),
            clock: rig.clock.clone(),
            refusals: Arc::new(LogRefusals),
            metrics: Metrics::new(),
        };
        Server::builder(ServiceName::EgressProxy, deps)
            .service(EgressServiceServer::new(self.clone()))
            .build()
            .expect("server")
    }

    async fn answer(&self, request: &[u8]) -> String {
        let request: Value = serde_json::from_slice(request).expect("json");
        assert_eq!(request["model"], "reversed");
        let input = request["input"].as_array().expect("input");
        let texts: Vec<_> = input
            .iter()
            .map(|text| text.as_str().expect("text").to_owned())
            .collect();
        let said = self.said.lock().clone();
        if let Some((_, status)) = said.filter(|(word, _)| texts.iter().any(|text| text.contains(word))) {
            let body = "no";
            return format!(
                "HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        let vectors = self.model.embed(texts, Purpose::Passage).await.expect("vectors");
        let data: Vec<_> = (0..)
            .zip(vectors)
            .map(|(index, mut vector)| {
                vector.reverse();
                json!({ "object": "embedding", "index": index, "embedding": vector })
            })
            .collect();
        let body = json!({ "object": "list", "model": "reversed", "data": data }).to_string();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// The body of a request, once it is whole.
async fn body(frames: &mut Streaming<wire::OwnTunnelRequest>) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            assert!(head.starts_with("post /embeddings http/1.1\r\n"), "{head}");
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.expect("length").parse().expect("number");
            if bytes.len() == end + 4 + length {
                return Ok(bytes.split_off(end + 4));
            }
        }
        let frame = frames.message().await?.and_then(|message| message.frame?.frame);
        let Some(Frame::Data(data)) = frame else {
            return Err(Status::invalid_argument("no data"));
        };
        bytes.extend_from_slice(&data);
    }
}

/// A service with a model elsewhere, which is away.
pub(super) async fn with_elsewhere() -> (Rig, TestRun, Elsewhere, GrpcChannel) {
    let rig = Rig::new().await;
    let elsewhere = Elsewhere::new();
    let way = GrpcChannel::local(&elsewhere.server(&rig), ServiceName::Memory);
    let config = Elsewhere::config(&rig.config);
    let rig = rig.restart_with(config, way.clone()).await;
    let run = rig.run_in(rig.new_session().await);
    (rig, run, elsewhere, way)
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[async_trait]
impl EgressService for Elsewhere {
    type TunnelStream = Answers<wire::TunnelResponse>;
    type OwnTunnelStream = Answers<wire::OwnTunnelResponse>;

    async fn tunnel(
        &self,
        _: Request<Streaming<wire::TunnelRequest>>,
    ) -> Result<Response<Self::TunnelStream>, Status> {
        Err(Status::unimplemented("memory speaks for itself"))
    }

    async fn own_tunnel(
        &self,
        request: Request<Streaming<wire::OwnTunnelRequest>>,
    ) -> Result<Response<Self::OwnTunnelStream>, Status> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        let mut frames = request.into_inner();
        let opening = frames.message().await?.and_then(|message| message.frame?.frame);
        let Some(Frame::Open(open)) = opening else {
            return Err(Status::invalid_argument("no opening"));
        };
        assert_eq!(open.upstream, "embedder");
        let reply = |frame| wire::OwnTunnelResponse {
            frame: Some(wire::TunnelResponse { frame: Some(frame) }),
        };
        let opened = reply(Reply::Opened(wire::TunnelOpened::default()));
        let elsewhere = self.clone();
        let answer = async move {
            let request = body(&mut frames).await?;
            Ok(reply(Reply::Data(elsewhere.answer(&request).await.into())))
        };
        let answers = futures_util::StreamExt::chain(
            futures_util::stream::iter([Ok(opened)]),
            futures_util::stream::once(answer),
        );
        Ok(Response::new(Box::pin(answers)))
    }

    async fn check(&self, _: Request<wire::CheckRequest>) -> Result<Response<wire::CheckResponse>, Status> {
        Err(Status::unimplemented("nothing is called"))
    }
}

impl Rig {
    /// Starts again with another configuration, and this way out.
    pub(super) async fn restart_with(self, config: Config, egress_proxy: GrpcChannel) -> Self {
        self.service.shutdown(std::time::Duration::from_secs(10)).await;
        let (trails, metrics) = (TaskSet::new(), Metrics::new());
        let deps = Deps {
            metrics: metrics.clone(),
            clock: self.clock.clone(),
            identity: self.identity.clone(),
            trail: self.sink.trail(ServiceName::Memory, self.clock.clone(), &trails),
            data: self.directory.path().to_owned(),
            models: self.directory.path().join("models"),
            egress_proxy,
        };
        let service = build(config.clone(), deps).await.expect("service");
        Self {
            service,
            metrics,
            trails,
            config,
            ..self
        }
    }

    pub(super) fn generations(&self) -> Option<String> {
        let shown = self.metrics.encode();
        let line = shown
            .lines()
            .find_map(|line| line.strip_prefix("harombe_memory_vector_generations "));
        line.map(ToOwned::to_owned)
    }
}
