//! What is remembered, and what a context is made of.

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1 as wire;
use harombe_proto::memory::v1::memory_service_server::MemoryService;
use harombe_rpc::CallerExt as _;
use tonic::{Request, Response, Status};

use super::Memory;

impl Memory {
    fn if_there(&self) -> Result<(), Status> {
        if self.state.lock().memories_away {
            return Err(Status::unavailable("away"));
        }
        Ok(())
    }
}

fn hits(memories: &[wire::Memory]) -> Vec<wire::MemoryHit> {
    let hit = |memory: &wire::Memory| wire::MemoryHit {
        memory: Some(memory.clone()),
        score: 1.0,
        ..wire::MemoryHit::default()
    };
    memories.iter().map(hit).collect()
}

#[tonic::async_trait]
impl MemoryService for Memory {
    async fn remember(
        &self,
        request: Request<wire::RememberRequest>,
    ) -> Result<Response<wire::RememberResponse>, Status> {
        request.run()?;
        self.if_there()?;
        let request = request.into_inner();
        self.state.lock().remembered.push(request.clone());
        let memory = wire::Memory {
            memory_id: request.memory_id,
            text: request.text,
            ..wire::Memory::default()
        };
        Ok(Response::new(wire::RememberResponse { memory: Some(memory) }))
    }

    async fn recall(
        &self,
        request: Request<wire::RecallRequest>,
    ) -> Result<Response<wire::RecallResponse>, Status> {
        request.run()?;
        self.if_there()?;
        let request = request.into_inner();
        let state = self.state.lock();
        let most = state.memories.len().min(request.limit as usize);
        Ok(Response::new(wire::RecallResponse {
            hits: hits(&state.memories[..most]),
            means: wire::RecallMeans::Lexical.into(),
        }))
    }

    async fn forget(
        &self,
        request: Request<wire::ForgetRequest>,
    ) -> Result<Response<wire::ForgetResponse>, Status> {
        request.run()?;
        self.if_there()?;
        let id = request.into_inner().memory_id;
        let mut state = self.state.lock();
        if !state.memories.iter().any(|memory| memory.memory_id == id) {
            let unknown = Failure::new(Code::NotFound, Reason::NotFound, "there is no such memory");
            return Err(unknown.to_status());
        }
        state.forgotten.push(id);
        Ok(Response::new(wire::ForgetResponse {}))
    }

    async fn build_context(
        &self,
        request: Request<wire::BuildContextRequest>,
    ) -> Result<Response<wire::BuildContextResponse>, Status> {
        request.run()?;
        let request = request.into_inner();
        let mut state = self.state.lock();
        state.asked.push(request.clone());
        if state.lose_after_begin && !state.runs.is_empty() {
            state.lose_after_begin = false;
            return Err(Status::unavailable("away"));
        }
        if state.no_recall && request.recall_limit > 0 {
            let broken = Failure::new(Code::Internal, Reason::Internal, "the index is broken");
            return Err(broken.to_status());
        }
        let recalled = state.memories.len().min(request.recall_limit as usize);
        Ok(Response::new(wire::BuildContextResponse {
            turns: state.turns.clone(),
            turns_left_out: 0,
            summary: None,
            recalled: hits(&state.memories[..recalled]),
            means: wire::RecallMeans::Lexical.into(),
            workspace_id: state.workspace.clone(),
            last_run_id: state.last_run(),
            saw_outside: state.saw_outside.contains(&Some(true)),
            earlier_summaries: Vec::new(),
        }))
    }

    async fn take_summary_work(
        &self,
        request: Request<wire::TakeSummaryWorkRequest>,
    ) -> Result<Response<wire::TakeSummaryWorkResponse>, Status> {
        request.run()?;
        self.if_there()?;
        let mut state = self.state.lock();
        state.wanted_work.push(request.get_ref().max_bytes);
        let work = (!state.work.is_empty()).then(|| state.work.remove(0));
        drop(state);
        self.told();
        Ok(Response::new(wire::TakeSummaryWorkResponse { work }))
    }

    async fn put_summary(
        &self,
        request: Request<wire::PutSummaryRequest>,
    ) -> Result<Response<wire::PutSummaryResponse>, Status> {
        request.run()?;
        self.if_there()?;
        let request = request.into_inner();
        let memory = wire::Memory {
            memory_id: request.memory_id.clone(),
            text: request.text.clone(),
            ..wire::Memory::default()
        };
        let mut state = self.state.lock();
        state.summaries.push(request);
        let outdated = state.outdated;
        drop(state);
        self.told();
        Ok(Response::new(wire::PutSummaryResponse {
            memory: (!outdated).then_some(memory),
        }))
    }
}
