//! ApprovalService: where people see what waits, and decide.

use std::sync::Arc;

use harombe_error::to_status;
use harombe_proto::hitl::v1 as proto;
use harombe_proto::hitl::v1::approval_service_server::ApprovalService;
use harombe_proto::hitl::v1::{
    DecideRequest, DecideResponse, ListRequest, ListResponse, WatchRequest, WatchResponse,
};
use harombe_rpc::{CallerExt as _, TaskSet};
use harombe_types::Tenant;
use prost::Message as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::convert;
use crate::Error;
use crate::domain::{Authority, Change, Listed, Order, Position, Wanted};
use crate::store::Which;

/// Requests that a slow reader may leave unread before its stream waits. Each may be of the longest.
const UNREAD: usize = 2;
/// Bytes of one list as it is sent. It fits into one message, and the longest request that there can be fits into it.
const MAX_LIST_BYTES: usize = harombe_rpc::MAX_MESSAGE - (64 << 10);
/// Most bytes with which a list frames one request: a tag and a length.
const FRAME: usize = 6;
/// Pending requests that are read at once for a watcher.
const PENDING: u32 = 100;
/// Watchers that are read for at the same time: a change may be one for hundreds, and whoever spends a grant needs a
/// connection to the store as well.
const READS: usize = 2;

/// The handler.
pub(crate) struct Approvals {
    authority: Authority,
    tasks: TaskSet,
    reads: Arc<Semaphore>,
}

impl Approvals {
    pub(crate) fn new(authority: Authority, tasks: TaskSet) -> Self {
        Self {
            authority,
            tasks,
            reads: Arc::new(Semaphore::new(READS)),
        }
    }
}

#[tonic::async_trait]
impl ApprovalService for Approvals {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let person = request.person()?;
        let ListRequest {
            include_decided,
            limit,
            page_token,
        } = request.into_inner();
        let which = if include_decided {
            Which::All
        } else {
            Which::Pending
        };
        let after = convert::position(&page_token).map_err(|error| to_status(&error))?;
        let wanted = Wanted {
            which,
            order: Order::NewestFirst,
            after,
            limit,
        };
        let listed = self.authority.list(&person.tenant, wanted).await;
        let listed = listed.map_err(|error| to_status(&error))?;
        Ok(Response::new(page(&listed)))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let tenant = request.person()?.tenant;
        // Before the list is read, so that no change falls between the two.
        let changes = self.authority.changes();
        let (updates, stream) = mpsc::channel(UNREAD);
        let watch = Watch {
            authority: self.authority.clone(),
            tenant,
            updates,
            stop: self.tasks.token(),
            reads: Arc::clone(&self.reads),
        };
        self.tasks.spawn(watch.run(changes));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        let person = request.person()?;
        let request = request.into_inner();
        let id = request
            .approval_id
            .parse()
            .map_err(|error| to_status(&Error::Id(error)))?;
        let choice = convert::choice(request).map_err(|error| to_status(&error))?;
        let approval = self.authority.decide(&person, id, choice).await;
        let approval = approval.map_err(|error| to_status(&error))?;
        Ok(Response::new(DecideResponse {
            approval: Some(convert::approval(&approval)),
        }))
    }
}

/// What of the list fits into one message, and where the next one goes on.
fn page(listed: &Listed) -> ListResponse {
    let approvals = fitting(listed.approvals.iter().map(convert::approval));
    let next = if approvals.len() < listed.approvals.len() {
        let last = approvals.len().checked_sub(1);
        last.and_then(|last| listed.approvals.get(last)).map(Position::of)
    } else {
        listed.next
    };
    ListResponse {
        approvals,
        next_page_token: next.map(|next| next.to_string()).unwrap_or_default(),
    }
}

/// As many as fit into one message, comments and reasons and all.
fn fitting(approvals: impl Iterator<Item = proto::Approval>) -> Vec<proto::Approval> {
    let mut bytes = 0;
    let fits = |approval: &proto::Approval| {
        bytes += approval.encoded_len() + FRAME;
        bytes <= MAX_LIST_BYTES
    };
    approvals.take_while(fits).collect()
}

/// One open Watch.
struct Watch {
    authority: Authority,
    tenant: Tenant,
    updates: mpsc::Sender<Result<WatchResponse, Status>>,
    stop: CancellationToken,
    reads: Arc<Semaphore>,
}

impl Watch {
    async fn run(self, mut changes: broadcast::Receiver<Change>) {
        let mut open = self.send_pending().await;
        while open {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = self.updates.closed() => return,
                () = self.stop.cancelled() => return super::say_goodbye(&self.updates),
            };
            open = match change {
                Ok(change) if change.tenant != self.tenant => true,
                Ok(change) => self.send_changed(&change).await,
                // Too far behind: what is pending now says more than what was missed.
                Err(RecvError::Lagged(_)) => self.send_pending().await,
                Err(RecvError::Closed) => false,
            };
        }
    }

    /// Tells of everything that waits, oldest first; whether the watcher is still there.
    async fn send_pending(&self) -> bool {
        let mut wanted = Wanted {
            which: Which::Pending,
            order: Order::OldestFirst,
            after: None,
            limit: PENDING,
        };
        loop {
            let listed = match self.read(self.authority.list(&self.tenant, wanted)).await {
                Ok(listed) => listed,
                Err(error) => return self.fail(&error).await,
            };
            for approval in &listed.approvals {
                if !self.send(convert::approval(approval)).await {
                    return false;
                }
            }
            wanted.after = listed.next;
            if wanted.after.is_none() {
                return true;
            }
        }
    }

    /// Tells of one that has changed, as it is now: its next change may be in it already.
    async fn send_changed(&self, change: &Change) -> bool {
        let found = self.read(self.authority.known(&self.tenant, change.id)).await;
        match (found, change.decision) {
            (Ok(Some(approval)), _) => self.send(convert::approval(&approval)).await,
            // erased since: whoever has seen it wait learns that it does not
            (Ok(None), Some(decision)) => self.send(convert::gone(change.id, decision)).await,
            (Ok(None), None) => true,
            (Err(error), _) => self.fail(&error).await,
        }
    }

    /// What a read answers, when its turn has come; sending it holds up no other watcher.
    async fn read<T>(&self, work: impl Future<Output = T>) -> T {
        let _turn = self.reads.acquire().await;
        work.await
    }

    /// Ends the stream with what went wrong.
    async fn fail(&self, error: &Error) -> bool {
        let _ = self.updates.send(Err(to_status(error))).await;
        false
    }

    async fn send(&self, approval: proto::Approval) -> bool {
        let update = WatchResponse {
            approval: Some(approval),
        };
        self.updates.send(Ok(update)).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(arguments: usize, comment: usize) -> proto::Approval {
        proto::Approval {
            arguments: "x".repeat(arguments),
            comment: "x".repeat(comment),
            ..proto::Approval::default()
        }
    }

    #[test]
    fn a_list_fits_into_one_message_whatever_fills_it() {
        for (arguments, comment) in [(3 << 10, 4 << 10), (0, 8 << 10), (8 << 10, 0)] {
            let approvals = fitting((0..1000).map(|_| approval(arguments, comment)));
            assert!(approvals.len() > 400);
            let list = ListResponse {
                approvals,
                next_page_token: "x".repeat(64),
            };
            assert!(
                list.encoded_len() <= harombe_rpc::MAX_MESSAGE,
                "{}",
                list.encoded_len()
            );
        }
    }

    #[test]
    fn the_longest_request_is_in_a_list() {
        assert_eq!(fitting([approval(3 << 20, 1 << 10)].into_iter()).len(), 1);
    }
}
