//! What is done for a caller, from its first frame to the last byte: believed only after every check, recorded before it
//! touches the world.

mod admission;
mod exchange;
mod http;
mod passage;
mod pump;
mod record;
mod search;
mod slot;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use harombe_proto::egress::v1::{
    TunnelOpen, TunnelOpened, TunnelRequest, TunnelResponse, tunnel_request, tunnel_response,
};
use harombe_types::{RunPrincipal, ServiceName, Tenant};
use tokio::io::DuplexStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tonic::Status;

use crate::Error;
use crate::domain::authority::Authority;
use crate::fetch::Fetcher;

pub(crate) use admission::{Act, Admission, Opinion, Permitted, SearchAct};
pub(crate) use record::Record;

/// How long a caller may take to say what it wants.
const OPENING: Duration = Duration::from_secs(10);

/// How long a caller may take to hear how it ended.
const CLOSING: Duration = Duration::from_secs(10);

/// The memory between the frames of the stream and the HTTP stack, each way, in bytes.
const BUFFER: usize = 64 * 1024;

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);

/// Bounds of a request's head.
const HEAD_BYTES: usize = 32 * 1024;
const HEAD_FIELDS: usize = 64;

/// Answers to a caller, bounded: a caller that does not read stops the peer.
pub(crate) type Replies = mpsc::Sender<Result<TunnelResponse, Status>>;

/// What a caller sends.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Result<TunnelRequest, Status>> + Send>>;

/// Who opens a tunnel, and in whose name.
#[derive(Debug)]
pub(crate) struct By {
    pub(crate) whom: Whom,
    pub(crate) service: ServiceName,
}

/// In whose name something goes out.
#[derive(Clone, Debug)]
pub(crate) enum Whom {
    Run(RunPrincipal),
    /// A service's own.
    Service {
        /// In whose log it is recorded.
        operator: Tenant,
        /// Which; the log names it.
        service: ServiceName,
    },
}

impl From<&RunPrincipal> for Whom {
    fn from(run: &RunPrincipal) -> Self {
        Self::Run(run.clone())
    }
}

/// Everything a tunnel needs from its service.
#[derive(Debug)]
pub(crate) struct Tunnels {
    pub(crate) admission: Admission,
    pub(crate) fetcher: Fetcher,
    /// Longest time from a grant's redemption to the last byte.
    pub(crate) open_for: Duration,
    /// What a tunnel to an upstream may take beyond the upstream's own time: the caller's reading and writing.
    pub(crate) allowance: Duration,
}

impl Tunnels {
    /// Serves one tunnel to its end; the caller is told of every failure in the stream's status.
    pub(crate) async fn serve(
        self: Arc<Self>,
        by: By,
        mut frames: Frames,
        replies: Replies,
        permit: OwnedSemaphorePermit,
    ) {
        let _open = self.admission.numbers.open();
        if let Err(error) = self.run(&by, &mut frames, &replies).await {
            // A caller that has gone, or does not read, needs no answer.
            let _ = timeout(CLOSING, replies.send(Err(harombe_error::to_status(&error)))).await;
        }
        drop(permit);
    }

    async fn run(&self, by: &By, frames: &mut Frames, replies: &Replies) -> Result<(), Error> {
        let open = timeout(OPENING, pump::next(frames))
            .await
            .map_err(|_| Error::TimeLimit)??;
        let Some(tunnel_request::Frame::Open(open)) = open else {
            return Err(Error::Frame("the first frame of a tunnel opens it"));
        };
        let TunnelOpen {
            grant,
            call,
            upstream,
        } = open;
        if !upstream.is_empty() {
            if !grant.is_empty() || !call.is_empty() {
                return Err(Error::Frame(
                    "a tunnel is opened by a grant or to an upstream, not both",
                ));
            }
            return self.pass(by, &upstream, frames, replies).await;
        }
        let Whom::Run(run) = &by.whom else {
            return Err(Error::Frame("a service's own tunnel leads to an upstream"));
        };
        match self.admission.admit(run, &grant, &call).await? {
            Permitted::Fetch(act) => self.fetch(run, *act, frames, replies).await,
            Permitted::Search(act) => self.search(*act, frames, replies).await,
        }
    }

    async fn fetch(
        &self,
        run: &RunPrincipal,
        act: Act,
        frames: &mut Frames,
        replies: &Replies,
    ) -> Result<(), Error> {
        let mut record = self.admission.closing(run, &act);
        let address = act.allowed.pinned.first();
        let address = address.map(|address| address.get().to_string());
        let opened = opened(act.allowed.target.authority(), address.unwrap_or_default());
        let tally = record.tally();
        let exchange = |io| exchange::serve(io, Arc::new(act), &self.fetcher, tally);
        let outcome = timeout(self.open_for, carry(opened, frames, replies, exchange)).await;
        let outcome = outcome.unwrap_or(Err(Error::TimeLimit));
        record.close(outcome.as_ref().err());
        outcome
    }

    async fn search(&self, act: SearchAct, frames: &mut Frames, replies: &Replies) -> Result<(), Error> {
        let opened = opened(act.upstream.target.authority(), String::new());
        let SearchAct { mut record, .. } = act;
        let search = search::Searching {
            call: act.call,
            upstream: act.upstream,
            kind: act.kind,
            shown: act.shown,
            max_bytes: act.max_bytes,
            tally: record.tally(),
        };
        let exchange = |io| search::serve(io, search);
        let outcome = timeout(self.open_for, carry(opened, frames, replies, exchange)).await;
        let outcome = outcome.unwrap_or(Err(Error::TimeLimit));
        record.close(outcome.as_ref().err());
        outcome
    }

    async fn pass(&self, by: &By, name: &str, frames: &mut Frames, replies: &Replies) -> Result<(), Error> {
        let upstream = self.admission.permit(&by.whom, by.service, name).await?;
        let opened = opened(upstream.target.authority(), String::new());
        let open_for = upstream.time + self.allowance;
        let passage = |io| passage::serve(io, &by.whom, upstream, &self.admission);
        let outcome = timeout(open_for, carry(opened, frames, replies, passage)).await;
        outcome.unwrap_or(Err(Error::TimeLimit))
    }
}

fn opened(authority: &Authority, address: String) -> tunnel_response::Frame {
    tunnel_response::Frame::Opened(TunnelOpened {
        host: authority.host.to_string(),
        port: authority.port.into(),
        address,
    })
}

/// Says that the tunnel is open, then carries bytes between the caller and what serves them.
async fn carry<F: Future<Output = Result<(), Error>>>(
    opened: tunnel_response::Frame,
    frames: &mut Frames,
    replies: &Replies,
    serve: impl FnOnce(DuplexStream) -> F,
) -> Result<(), Error> {
    pump::reply(replies, opened).await?;
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (from_proxy, to_proxy) = tokio::io::split(theirs);
    let exchange = async { Ok::<_, Error>(serve(ours).await) };
    let work = async { tokio::try_join!(exchange, pump::replies(from_proxy, replies)) };
    tokio::select! {
        done = work => done?.0,
        fault = pump::frames(frames, to_proxy) => Err(fault),
        () = replies.closed() => Err(pump::GONE),
    }
}
