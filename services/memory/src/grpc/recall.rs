//! `MemoryService`: memory as a run uses it.

use harombe_proto::memory::v1 as pb;
use harombe_proto::memory::v1::memory_service_server::MemoryService;
use harombe_rpc::CallerExt as _;
use harombe_types::RunPrincipal;
use tonic::{Request, Response, Status, async_trait};

use super::convert::{id, invalid};
use super::memories;
use crate::domain::consolidation::Summaries;
use crate::domain::recall::{Ask, Recaller};
use crate::domain::{Contexts, Label, Memories, Owner, Wanted};

pub(crate) struct RecallGrpc {
    pub(crate) memories: Memories,
    pub(crate) recaller: Recaller,
    pub(crate) contexts: Contexts,
    pub(crate) summaries: Summaries,
}

#[async_trait]
impl MemoryService for RecallGrpc {
    async fn remember(
        &self,
        request: Request<pb::RememberRequest>,
    ) -> Result<Response<pb::RememberResponse>, Status> {
        let run = request.run()?;
        let request = request.into_inner();
        let label = match request.label() {
            pb::TrustLabel::Model => Label::Model,
            pb::TrustLabel::Tool => Label::Tool,
            _ => {
                return Err(invalid(
                    "label must be MODEL, or TOOL when the run has seen a tool's output",
                ));
            }
        };
        let fact = memories::fact_of_run(request, label)?;
        let memory = self.memories.remember(&run, fact).await?;
        Ok(Response::new(pb::RememberResponse {
            memory: Some(memory.into()),
        }))
    }

    async fn recall(
        &self,
        request: Request<pb::RecallRequest>,
    ) -> Result<Response<pb::RecallResponse>, Status> {
        let owner = owner(&request.run()?);
        let request = request.into_inner();
        let ask = Ask {
            query: request.query,
            limit: request.limit,
            filter: memories::filter(request.filter.unwrap_or_default())?,
            explain: request.explain,
        };
        let recalled = self.recaller.recall(&owner, ask).await?;
        Ok(Response::new(pb::RecallResponse {
            hits: recalled.hits.into_iter().map(Into::into).collect(),
            means: pb::RecallMeans::from(recalled.means).into(),
        }))
    }

    async fn forget(
        &self,
        request: Request<pb::ForgetRequest>,
    ) -> Result<Response<pb::ForgetResponse>, Status> {
        let run = request.run()?;
        self.memories
            .forget_for_run(&run, id(&request.get_ref().memory_id)?)
            .await?;
        Ok(Response::new(pb::ForgetResponse {}))
    }

    async fn build_context(
        &self,
        request: Request<pb::BuildContextRequest>,
    ) -> Result<Response<pb::BuildContextResponse>, Status> {
        let run = request.run()?;
        let pb::BuildContextRequest {
            query,
            max_turn_bytes,
            recall_limit,
        } = request.into_inner();
        let wanted = Wanted {
            query,
            max_turn_bytes,
            recall_limit,
        };
        let context = self.contexts.build(&run, wanted).await?;
        Ok(Response::new(context.into()))
    }

    async fn take_summary_work(
        &self,
        request: Request<pb::TakeSummaryWorkRequest>,
    ) -> Result<Response<pb::TakeSummaryWorkResponse>, Status> {
        let run = request.run()?;
        let work = self.summaries.take(&run, request.get_ref().max_bytes).await?;
        Ok(Response::new(pb::TakeSummaryWorkResponse {
            work: work.map(Into::into),
        }))
    }

    async fn put_summary(
        &self,
        request: Request<pb::PutSummaryRequest>,
    ) -> Result<Response<pb::PutSummaryResponse>, Status> {
        let run = request.run()?;
        let pb::PutSummaryRequest { memory_id, text } = request.into_inner();
        let memory = self.summaries.put(run, id(&memory_id)?, &text).await?;
        Ok(Response::new(pb::PutSummaryResponse {
            memory: memory.map(Into::into),
        }))
    }
}

fn owner(run: &RunPrincipal) -> Owner {
    Owner {
        tenant: run.tenant.clone(),
        subject: run.subject.clone(),
    }
}
