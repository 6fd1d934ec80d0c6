//! A service that does what a test tells it, behind methods of the real protos: one of each shape and kind of principal.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harombe_error::Failure;
use harombe_proto::egress::v1 as egress;
use harombe_proto::hitl::v1 as hitl;
use harombe_proto::runtime::v1 as runtime;
use harombe_rpc::{Caller, CallerExt as _, RequestExt as _, TraceContext};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

/// What the next unary call does; without one it answers.
pub(crate) enum Act {
    Fail(Failure),
    Panic,
    /// Waits until the test opens the gate.
    Wait,
    /// Answers with this many bytes.
    Size(usize),
}

/// What the calls did, for tests to look at.
pub(crate) struct Seen {
    pub(crate) begun: watch::Sender<usize>,
    pub(crate) finished: watch::Sender<usize>,
    pub(crate) dropped_streams: watch::Sender<usize>,
    pub(crate) received: AtomicUsize,
    pub(crate) callers: Mutex<Vec<Caller>>,
    pub(crate) tokens: Mutex<Vec<Option<String>>>,
    pub(crate) traces: Mutex<Vec<Option<TraceContext>>>,
}

#[derive(Clone)]
pub(crate) struct Toy {
    pub(crate) acts: Arc<Mutex<VecDeque<Act>>>,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) seen: Arc<Seen>,
}

impl Toy {
    pub(crate) fn new() -> Self {
        let seen = Seen {
            begun: watch::Sender::new(0),
            finished: watch::Sender::new(0),
            dropped_streams: watch::Sender::new(0),
            received: AtomicUsize::new(0),
            callers: Mutex::default(),
            tokens: Mutex::default(),
            traces: Mutex::default(),
        };
        Self {
            acts: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            seen: Arc::new(seen),
        }
    }

    pub(crate) fn then(&self, act: Act) -> &Self {
        self.acts.lock().push_back(act);
        self
    }

    pub(crate) fn begun(&self) -> usize {
        *self.seen.begun.borrow()
    }

    async fn act<T>(&self, request: &Request<T>) -> Result<String, Status> {
        self.seen.callers.lock().push(request.caller()?);
        self.seen.tokens.lock().push(request.token().map(str::to_owned));
        self.seen.traces.lock().push(TraceContext::current());
        self.seen.begun.send_modify(|count| *count += 1);
        let act = self.acts.lock().pop_front();
        let answer = match act {
            None => Ok("done".to_owned()),
            Some(Act::Fail(failure)) => Err(failure.to_status()),
            Some(Act::Panic) => panic!("the toy was told to"),
            Some(Act::Wait) => {
                self.gate.acquire().await.unwrap().forget();
                Ok("waited".to_owned())
            }
            Some(Act::Size(size)) => Ok("x".repeat(size)),
        };
        self.seen.finished.send_modify(|count| *count += 1);
        answer
    }
}

/// Waits until a counter has come to `at_least`.
pub(crate) async fn reached(counter: &watch::Sender<usize>, at_least: usize) {
    let waiting = async {
        counter
            .subscribe()
            .wait_for(|count| *count >= at_least)
            .await
            .unwrap();
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting)
        .await
        .expect("it never happened");
}

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Counts when a stream is dropped.
struct Dropped(Arc<Seen>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped_streams.send_modify(|count| *count += 1);
    }
}

#[tonic::async_trait]
impl hitl::approval_service_server::ApprovalService for Toy {
    type WatchStream = Frames<hitl::WatchResponse>;

    async fn list(
        &self,
        request: Request<hitl::ListRequest>,
    ) -> Result<Response<hitl::ListResponse>, Status> {
        let comment = self.act(&request).await?;
        let approval = hitl::Approval {
            comment,
            ..Default::default()
        };
        Ok(Response::new(hitl::ListResponse {
            approvals: vec![approval],
            ..Default::default()
        }))
    }

    /// Sends frames numbered from 0; the acts say how it goes on after the first three.
    async fn watch(
        &self,
        request: Request<hitl::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.seen.callers.lock().push(request.caller()?);
        self.seen.begun.send_modify(|count| *count += 1);
        let act = self.acts.lock().pop_front();
        let guard = Dropped(Arc::clone(&self.seen));
        let first = tokio_stream::iter(0..3).map(|number: i32| {
            let approval = hitl::Approval {
                comment: number.to_string(),
                ..Default::default()
            };
            Ok(hitl::WatchResponse {
                approval: Some(approval),
            })
        });
        let rest: Frames<hitl::WatchResponse> = match act {
            None => Box::pin(tokio_stream::empty()),
            Some(Act::Fail(failure)) => Box::pin(tokio_stream::once(Err(failure.to_status()))),
            // Later: what is ready at once is sent as one, and a panic would take it along.
            Some(Act::Panic) => Box::pin(futures_util::stream::once(async {
                tokio::task::yield_now().await;
                panic!("the toy was told to")
            })),
            Some(Act::Wait) => Box::pin(tokio_stream::pending()),
            Some(Act::Size(size)) => Box::pin(tokio_stream::once(Ok(big(size)))),
        };
        let seen = Arc::clone(&self.seen);
        let frames = first.chain(rest).map(move |frame| {
            let _alive = &guard;
            seen.traces.lock().push(TraceContext::current());
            frame
        });
        Ok(Response::new(Box::pin(frames)))
    }

    async fn decide(
        &self,
        request: Request<hitl::DecideRequest>,
    ) -> Result<Response<hitl::DecideResponse>, Status> {
        self.act(&request).await?;
        Ok(Response::new(hitl::DecideResponse::default()))
    }
}

fn big(size: usize) -> hitl::WatchResponse {
    let approval = hitl::Approval {
        comment: "x".repeat(size),
        ..Default::default()
    };
    hitl::WatchResponse {
        approval: Some(approval),
    }
}

#[tonic::async_trait]
impl egress::egress_service_server::EgressService for Toy {
    type TunnelStream = Frames<egress::TunnelResponse>;
    type OwnTunnelStream = Frames<egress::OwnTunnelResponse>;

    /// Sends back what it receives.
    async fn tunnel(
        &self,
        request: Request<Streaming<egress::TunnelRequest>>,
    ) -> Result<Response<Self::TunnelStream>, Status> {
        let echo = request.into_inner().map(|frame| {
            let Some(egress::tunnel_request::Frame::Data(data)) = frame?.frame else {
                return Err(Status::invalid_argument("data only"));
            };
            Ok(egress::TunnelResponse {
                frame: Some(egress::tunnel_response::Frame::Data(data)),
            })
        });
        Ok(Response::new(Box::pin(echo)))
    }

    async fn own_tunnel(
        &self,
        _: Request<Streaming<egress::OwnTunnelRequest>>,
    ) -> Result<Response<Self::OwnTunnelStream>, Status> {
        absent()
    }

    async fn check(
        &self,
        request: Request<egress::CheckRequest>,
    ) -> Result<Response<egress::CheckResponse>, Status> {
        self.seen
            .received
            .store(request.get_ref().call.len(), Ordering::SeqCst);
        let reason = self.act(&request).await?;
        Ok(Response::new(egress::CheckResponse {
            allowed: true,
            reason,
            ..Default::default()
        }))
    }
}

fn absent<T>() -> Result<T, Status> {
    Err(Status::unimplemented("the toy has no use for it"))
}

#[tonic::async_trait]
impl runtime::runtime_service_server::RuntimeService for Toy {
    type RunStream = Frames<runtime::RunResponse>;
    type CallToolStream = Frames<runtime::CallToolResponse>;
    type DownloadFileStream = Frames<runtime::DownloadFileResponse>;

    /// Counts the bytes that it is sent.
    async fn upload_file(
        &self,
        request: Request<Streaming<runtime::UploadFileRequest>>,
    ) -> Result<Response<runtime::UploadFileResponse>, Status> {
        let path = request.run()?.run.to_string();
        let _alive = Dropped(Arc::clone(&self.seen));
        let mut frames = request.into_inner();
        let mut size = 0;
        while let Some(frame) = frames.message().await? {
            if let Some(runtime::upload_file_request::Frame::Data(data)) = frame.frame {
                size += data.len() as u64;
            }
            self.seen.begun.send_modify(|count| *count += 1);
        }
        Ok(Response::new(runtime::UploadFileResponse { path, size }))
    }

    async fn list_tools(
        &self,
        request: Request<runtime::ListToolsRequest>,
    ) -> Result<Response<runtime::ListToolsResponse>, Status> {
        self.act(&request).await?;
        Ok(Response::new(runtime::ListToolsResponse::default()))
    }

    async fn run(&self, _: Request<runtime::RunRequest>) -> Result<Response<Self::RunStream>, Status> {
        absent()
    }

    async fn cancel(
        &self,
        _: Request<runtime::CancelRequest>,
    ) -> Result<Response<runtime::CancelResponse>, Status> {
        absent()
    }

    async fn list_agents(
        &self,
        _: Request<runtime::ListAgentsRequest>,
    ) -> Result<Response<runtime::ListAgentsResponse>, Status> {
        absent()
    }

    async fn call_tool(
        &self,
        _: Request<runtime::CallToolRequest>,
    ) -> Result<Response<Self::CallToolStream>, Status> {
        absent()
    }

    async fn download_file(
        &self,
        _: Request<runtime::DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        absent()
    }

    async fn delete_workspace(
        &self,
        _: Request<runtime::DeleteWorkspaceRequest>,
    ) -> Result<Response<runtime::DeleteWorkspaceResponse>, Status> {
        absent()
    }
}
