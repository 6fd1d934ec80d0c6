//! egress-proxy as its proto has it: one host is allowed and, like every upstream, answers every request with the same page.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use harombe_canonical::CanonicalCall;
use harombe_error::Failure;
use harombe_proto::egress::v1 as wire;
use harombe_proto::egress::v1::egress_service_server::{EgressService, EgressServiceServer};
use harombe_proto::egress::v1::tunnel_request::Frame;
use harombe_proto::egress::v1::tunnel_response::Frame as Answer;
use harombe_rpc::{GrpcChannel, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, ServiceName};
use parking_lot::Mutex;
use tonic::{Request, Response, Status, Streaming};

use crate::hitl::Hitl;
use crate::world::server;

#[derive(Clone)]
pub(crate) struct Egress {
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    pub(crate) page: Arc<Mutex<String>>,
    pub(crate) content_type: Arc<Mutex<String>>,
    /// With which upstreams are refused.
    pub(crate) refusal: Arc<Mutex<Option<Failure>>>,
    hitl: Hitl,
    server: Option<Server>,
}

impl Egress {
    pub(crate) fn new(pki: &TestPki, clock: Arc<dyn Clock>, hitl: Hitl) -> Self {
        let mut egress = Self {
            requests: Arc::default(),
            page: Arc::default(),
            content_type: Arc::new(Mutex::new("text/plain".to_owned())),
            refusal: Arc::default(),
            hitl,
            server: None,
        };
        let handlers = egress.clone();
        egress.server = Some(server(ServiceName::EgressProxy, pki, clock, |builder| {
            builder.service(EgressServiceServer::new(handlers))
        }));
        egress
    }

    pub(crate) fn channel(&self) -> GrpcChannel {
        GrpcChannel::local(self.server.as_ref().unwrap(), ServiceName::Runtime)
    }
}

#[tonic::async_trait]
impl EgressService for Egress {
    type TunnelStream = Pin<Box<dyn Stream<Item = Result<wire::TunnelResponse, Status>> + Send>>;
    type OwnTunnelStream = Pin<Box<dyn Stream<Item = Result<wire::OwnTunnelResponse, Status>> + Send>>;

    async fn tunnel(
        &self,
        request: Request<Streaming<wire::TunnelRequest>>,
    ) -> Result<Response<Self::TunnelStream>, Status> {
        let mut frames = request.into_inner();
        let Some(Frame::Open(open)) = frames.message().await?.unwrap().frame else {
            panic!("no opening")
        };
        if open.upstream.is_empty() {
            self.hitl.redeem(&open.grant, &open.call);
        } else if let Some(refusal) = self.refusal.lock().as_ref() {
            return Err(refusal.to_status());
        }
        let egress = self.clone();
        let answer = async move {
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                let Some(Frame::Data(data)) = frames.message().await?.unwrap().frame else {
                    panic!("no data")
                };
                head.extend_from_slice(&data);
            }
            egress.requests.lock().push(String::from_utf8(head).unwrap());
            let page = egress.page.lock().clone();
            let content_type = egress.content_type.lock().clone();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            );
            Ok(wire::TunnelResponse {
                frame: Some(Answer::Data(Bytes::from(answer))),
            })
        };
        let opened = Answer::Opened(wire::TunnelOpened::default());
        let answers = futures_util::StreamExt::chain(
            futures_util::stream::iter([Ok(wire::TunnelResponse { frame: Some(opened) })]),
            futures_util::stream::once(answer),
        );
        Ok(Response::new(Box::pin(answers)))
    }

    async fn own_tunnel(
        &self,
        _: Request<Streaming<wire::OwnTunnelRequest>>,
    ) -> Result<Response<Self::OwnTunnelStream>, Status> {
        panic!("runtime asks in a run's name")
    }

    async fn check(
        &self,
        request: Request<wire::CheckRequest>,
    ) -> Result<Response<wire::CheckResponse>, Status> {
        let call = CanonicalCall::parse(&request.into_inner().call).unwrap();
        let allowed = call.tool() == "web_search"
            || call.args()["url"]
                .as_str()
                .unwrap()
                .starts_with("https://allowed.test/");
        Ok(Response::new(wire::CheckResponse {
            allowed,
            stage: "host".into(),
            reason: "no rule allows it".into(),
            ..wire::CheckResponse::default()
        }))
    }
}
