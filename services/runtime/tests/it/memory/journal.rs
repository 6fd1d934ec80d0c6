//! Runs, their leases and their journals.

use std::pin::Pin;

use futures_util::Stream;
use harombe_proto::memory::v1 as wire;
use harombe_proto::memory::v1::read_response::Item;
use harombe_proto::memory::v1::run_journal_service_server::RunJournalService;
use harombe_proto::memory::v1::{Renewal, RunState};
use harombe_rpc::CallerExt as _;
use tonic::{Request, Response, Status};

use super::{Memory, PERIOD, lease, not_used, put, ttl};

#[tonic::async_trait]
impl RunJournalService for Memory {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<wire::ReadResponse, Status>> + Send>>;
    type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::WatchResponse, Status>> + Send>>;

    async fn acquire_lease(
        &self,
        _: Request<wire::AcquireLeaseRequest>,
    ) -> Result<Response<wire::AcquireLeaseResponse>, Status> {
        not_used()
    }

    async fn renew_leases(
        &self,
        request: Request<wire::RenewLeasesRequest>,
    ) -> Result<Response<wire::RenewLeasesResponse>, Status> {
        let leases = request.into_inner().leases;
        let deaf = {
            let mut state = self.state.lock();
            state.renewals.push(leases.len());
            state.deaf
        };
        if deaf {
            return std::future::pending().await;
        }
        let mut state = self.state.lock();
        let expires = self.clock.now().plus(PERIOD);
        let renewed = leases.into_iter().map(|held| {
            let run = state.runs.get_mut(&held.run_id);
            let Some(run) = run.filter(|run| run.state == RunState::Active) else {
                return (Renewal::Ended, false);
            };
            if run.epoch != held.epoch {
                return (Renewal::Lost, false);
            }
            run.expires = expires;
            (Renewal::Held, run.cancel)
        });
        let leases = renewed.map(|(renewal, cancel_requested)| wire::RenewedLease {
            renewal: renewal.into(),
            cancel_requested,
        });
        let leases = leases.collect();
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        Ok(Response::new(wire::RenewLeasesResponse { leases, ttl: ttl() }))
    }

    async fn release_lease(
        &self,
        request: Request<wire::ReleaseLeaseRequest>,
    ) -> Result<Response<wire::ReleaseLeaseResponse>, Status> {
        let run_id = request.run()?.run.to_string();
        let now = self.clock.now();
        self.held(&run_id, request.into_inner().epoch, |run| {
            run.epoch += 1;
            run.expires = now;
            Ok(())
        })?;
        Ok(Response::new(wire::ReleaseLeaseResponse {}))
    }

    async fn claim_expired(
        &self,
        _: Request<wire::ClaimExpiredRequest>,
    ) -> Result<Response<wire::ClaimExpiredResponse>, Status> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let expired = state
            .runs
            .iter_mut()
            .filter(|(_, run)| run.state == RunState::Active && run.expires <= now);
        let runs = expired.map(|(id, run)| {
            run.epoch += 1;
            run.expires = now.plus(PERIOD);
            wire::ClaimedRun {
                run_id: id.clone(),
                run_token: run.token.clone(),
                lease: lease(run),
                cursor: run.entries.len() as u64,
                cancel_requested: run.cancel,
            }
        });
        let runs = runs.collect();
        let time = Some(now.into());
        Ok(Response::new(wire::ClaimExpiredResponse { runs, time }))
    }

    async fn append(
        &self,
        request: Request<wire::AppendRequest>,
    ) -> Result<Response<wire::AppendResponse>, Status> {
        let run_id = request.run()?.run.to_string();
        let wire::AppendRequest {
            epoch,
            entries,
            expected_cursor,
        } = request.into_inner();
        let (cursor, cancel_requested) = self.held(&run_id, epoch, |run| {
            assert_eq!(run.entries.len() as u64, expected_cursor);
            Ok((put(run, entries), run.cancel))
        })?;
        self.state.lock().appends += 1;
        Ok(Response::new(wire::AppendResponse {
            cursor,
            cancel_requested,
        }))
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let run = self.state.lock().runs[&request.run()?.run.to_string()].clone();
        let header = wire::ReadHeader {
            text: run.text,
            client_message_id: run.client_message_id,
            state: run.state.into(),
            client_instructions: run.client_instructions,
        };
        let entries = run.entries.into_iter().map(Item::Entry);
        let items: Vec<_> = std::iter::once(Item::Header(header))
            .chain(entries)
            .map(|item| Ok(wire::ReadResponse { item: Some(item) }))
            .collect();
        Ok(Response::new(Box::pin(futures_util::stream::iter(items))))
    }

    async fn watch(&self, _: Request<wire::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        not_used()
    }

    async fn get_run(
        &self,
        _: Request<wire::GetRunRequest>,
    ) -> Result<Response<wire::GetRunResponse>, Status> {
        not_used()
    }

    async fn request_cancel(
        &self,
        request: Request<wire::RequestCancelRequest>,
    ) -> Result<Response<wire::RequestCancelResponse>, Status> {
        let mut state = self.state.lock();
        let run = state.runs.get_mut(&request.run()?.run.to_string());
        let run = run.ok_or_else(|| Status::not_found("no such run"))?;
        run.cancel = true;
        Ok(Response::new(wire::RequestCancelResponse {
            state: run.state.into(),
        }))
    }
}
