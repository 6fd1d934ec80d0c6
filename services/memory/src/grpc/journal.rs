//! `RunJournalService`.

use std::pin::Pin;

use futures_util::stream::{iter, once, try_unfold};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use harombe_proto::memory::v1 as pb;
use harombe_proto::memory::v1::run_journal_service_server::RunJournalService;
use harombe_rpc::CallerExt as _;
use tonic::{Request, Response, Status, async_trait};

use super::convert::{claimed, duration, id, lease};
use crate::domain::{Journal, decode_message};

pub(crate) struct JournalGrpc(pub(crate) Journal);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[async_trait]
impl RunJournalService for JournalGrpc {
    type ReadStream = Answers<pb::ReadResponse>;
    type WatchStream = Answers<pb::WatchResponse>;

    async fn acquire_lease(
        &self,
        request: Request<pb::AcquireLeaseRequest>,
    ) -> Result<Response<pb::AcquireLeaseResponse>, Status> {
        let (acquired, cursor) = self.0.acquire(&request.run()?).await?;
        Ok(Response::new(pb::AcquireLeaseResponse {
            lease: Some(lease(acquired, self.0.ttl())),
            cursor,
        }))
    }

    async fn renew_leases(
        &self,
        request: Request<pb::RenewLeasesRequest>,
    ) -> Result<Response<pb::RenewLeasesResponse>, Status> {
        let leases = request.into_inner().leases.into_iter().map(TryInto::try_into);
        let renewed = self.0.renew(leases.collect::<Result<_, _>>()?).await?;
        Ok(Response::new(pb::RenewLeasesResponse {
            leases: renewed.into_iter().map(Into::into).collect(),
            ttl: Some(duration(self.0.ttl())),
        }))
    }

    async fn release_lease(
        &self,
        request: Request<pb::ReleaseLeaseRequest>,
    ) -> Result<Response<pb::ReleaseLeaseResponse>, Status> {
        let run = request.run()?;
        self.0.release(&run, request.get_ref().epoch).await?;
        Ok(Response::new(pb::ReleaseLeaseResponse {}))
    }

    async fn claim_expired(
        &self,
        request: Request<pb::ClaimExpiredRequest>,
    ) -> Result<Response<pb::ClaimExpiredResponse>, Status> {
        let runs = self.0.claim(request.get_ref().limit).await?;
        let ttl = self.0.ttl();
        Ok(Response::new(pb::ClaimExpiredResponse {
            runs: runs.into_iter().map(|run| claimed(run, ttl)).collect(),
            time: Some(self.0.now().into()),
        }))
    }

    async fn append(
        &self,
        request: Request<pb::AppendRequest>,
    ) -> Result<Response<pb::AppendResponse>, Status> {
        let run = request.run()?;
        let pb::AppendRequest {
            epoch,
            entries,
            expected_cursor,
        } = request.into_inner();
        let progress = self.0.append(&run, epoch, expected_cursor, entries).await?;
        Ok(Response::new(pb::AppendResponse {
            cursor: progress.cursor,
            cancel_requested: progress.cancel_requested,
        }))
    }

    async fn read(&self, request: Request<pb::ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let run = request.run()?;
        let header = self.0.header(&run).await?;
        let message = decode_message(&header.message)?;
        let header = pb::read_response::Item::Header(pb::ReadHeader {
            text: message.text,
            client_message_id: header.client_message_id,
            state: pb::RunState::from(header.state).into(),
            client_instructions: header.client_instructions,
        });
        let entries = self
            .0
            .read(&run, request.get_ref().after_cursor)
            .map_err(Status::from);
        let entries = entries
            .map_ok(|page| iter(page.into_iter().map(Ok::<_, Status>)))
            .try_flatten();
        let items = once(async { Ok(header) }).chain(entries.map_ok(pb::read_response::Item::Entry));
        let answers = items.map_ok(|item| pb::ReadResponse { item: Some(item) });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let owner = request.person()?.into();
        let request = request.into_inner();
        let followed = self
            .0
            .watch(owner, id(&request.run_id)?, request.after_cursor)
            .await?;
        let pages = try_unfold(followed, |mut followed| async move {
            let events = followed.next().await?;
            Ok::<_, Status>(events.map(|events| (iter(events.into_iter().map(Ok::<_, Status>)), followed)))
        });
        let answers = pages
            .try_flatten()
            .map_ok(|event| pb::WatchResponse { event: Some(event) });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_run(
        &self,
        request: Request<pb::GetRunRequest>,
    ) -> Result<Response<pb::GetRunResponse>, Status> {
        let owner = request.person()?.into();
        let run = self.0.get(&owner, id(&request.get_ref().run_id)?).await?;
        Ok(Response::new(pb::GetRunResponse {
            run: Some(run.into()),
        }))
    }

    async fn request_cancel(
        &self,
        request: Request<pb::RequestCancelRequest>,
    ) -> Result<Response<pb::RequestCancelResponse>, Status> {
        let run = request.run()?;
        let state = self.0.request_cancel(&run, &request.get_ref().reason).await?;
        Ok(Response::new(pb::RequestCancelResponse {
            state: pb::RunState::from(state).into(),
        }))
    }
}
