//! One granted `web_fetch`, from the grant to the last byte: believed only after every check, recorded before
//! it touches the world.

mod admission;
mod exchange;
mod pump;
mod record;

use std::sync::Arc;
use std::time::Duration;

use harombe_proto::egress::v1::{
    TunnelOpened, TunnelRequest, TunnelResponse, tunnel_request, tunnel_response,
};
use harombe_types::RunPrincipal;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::Error;
use crate::fetch::Fetcher;

pub(crate) use admission::{Act, Admission, Opinion};
pub(crate) use record::Record;

/// How long a caller may take to say what it wants.
const OPENING: Duration = Duration::from_secs(10);

/// How long a caller may take to hear how it ended.
const CLOSING: Duration = Duration::from_secs(10);

/// The memory between the frames of the stream and the HTTP stack, each way, in bytes.
const BUFFER: usize = 64 * 1024;

/// Answers to a caller, bounded: a caller that does not read stops the peer.
pub(crate) type Replies = mpsc::Sender<Result<TunnelResponse, Status>>;

/// Everything a tunnel needs from its service.
#[derive(Debug)]
pub(crate) struct Tunnels {
    pub(crate) admission: Admission,
    pub(crate) fetcher: Fetcher,
    /// Longest time from the grant's redemption to the last byte.
    pub(crate) open_for: Duration,
}

impl Tunnels {
    /// Serves one tunnel to its end; the caller is told of every failure in the stream's status.
    pub(crate) async fn serve(
        self: Arc<Self>,
        run: RunPrincipal,
        mut frames: Streaming<TunnelRequest>,
        replies: Replies,
        permit: OwnedSemaphorePermit,
    ) {
        if let Err(error) = self.run(&run, &mut frames, &replies).await {
            // A caller that has gone, or does not read, needs no answer.
            let _ = timeout(CLOSING, replies.send(Err(harombe_error::to_status(&error)))).await;
        }
        drop(permit);
    }

    async fn run(
        &self,
        run: &RunPrincipal,
        frames: &mut Streaming<TunnelRequest>,
        replies: &Replies,
    ) -> Result<(), Error> {
        let open = timeout(OPENING, pump::next(frames))
            .await
            .map_err(|_| Error::TimeLimit)??;
        let Some(tunnel_request::Frame::Open(open)) = open else {
            return Err(Error::Frame("the first frame of a tunnel opens it"));
        };
        let act = Arc::new(self.admission.admit(run, &open.grant, &open.call).await?);
        let mut record = self.admission.closing(run, &act);
        let outcome = timeout(self.open_for, self.carry(&act, frames, replies, &mut record)).await;
        let outcome = outcome.unwrap_or(Err(Error::TimeLimit));
        record.close(outcome.as_ref().err());
        outcome
    }

    async fn carry(
        &self,
        act: &Arc<Act>,
        frames: &mut Streaming<TunnelRequest>,
        replies: &Replies,
        record: &mut Record,
    ) -> Result<(), Error> {
        let authority = act.allowed.target.authority();
        let address = act
            .allowed
            .pinned
            .first()
            .map(|address| address.get().to_string());
        let opened = tunnel_response::Frame::Opened(TunnelOpened {
            host: authority.host.to_string(),
            port: authority.port.into(),
            address: address.unwrap_or_default(),
        });
        pump::reply(replies, opened).await?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (from_proxy, to_proxy) = tokio::io::split(theirs);
        let exchange = async {
            let served = exchange::serve(ours, act.clone(), &self.fetcher, record.tally()).await;
            Ok::<_, Error>(served)
        };
        let work = async { tokio::try_join!(exchange, pump::replies(from_proxy, replies)) };
        tokio::select! {
            done = work => done?.0,
            fault = pump::frames(frames, to_proxy) => Err(fault),
            () = replies.closed() => Err(pump::GONE),
        }
    }
}
