//! `memory.v1.PersonalMemoryService`, passed on in the name of the person who calls; to a key for some agents, only theirs.

use std::future::Future;

use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::memory::v1::personal_memory_service_server::PersonalMemoryService;
use harombe_proto::memory::v1::{
    EraseMemoryRequest, EraseMemoryResponse, ExportMemoriesRequest, ExportMemoriesResponse,
    ForgetMemoryRequest, ForgetMemoryResponse, GetMemoryRequest, GetMemoryResponse, GetMemoryStatsRequest,
    GetMemoryStatsResponse, ImportMemoriesRequest, ImportMemoriesResponse, ListMemoriesRequest,
    ListMemoriesResponse, Memory, MemoryFilter, RestoreMemoryRequest, RestoreMemoryResponse,
    SaveMemoryRequest, SaveMemoryResponse, SearchMemoriesRequest, SearchMemoriesResponse,
};
use harombe_rpc::GrpcChannel;
use harombe_types::ServiceName;
use tonic::{Request, Response, Status};

use super::visitor::held;
use super::{Answers, Visitor, forwarded};
use crate::Error;
use crate::peers::{MEMORY, Peers, nonsense, passed_on};

/// The agent of what is saved without naming one.
const DEFAULT_AGENT: &str = "default";

pub(crate) struct MemoryGrpc(pub(crate) Peers);

type Client = PersonalMemoryServiceClient<GrpcChannel>;

impl MemoryGrpc {
    fn passing<T>(&self, message: T, visitor: &Visitor) -> Result<Request<T>, Status> {
        Ok(self
            .0
            .tokens
            .person(message, &visitor.person, ServiceName::Memory)?)
    }

    /// Asks memory, and tells its failures as the client's.
    async fn pass<T, U, F>(
        &self,
        message: T,
        visitor: &Visitor,
        call: impl FnOnce(Client, Request<T>) -> F,
    ) -> Result<Response<U>, Status>
    where
        F: Future<Output = Result<Response<U>, Status>>,
    {
        let request = self.passing(message, visitor)?;
        call(self.0.memories.clone(), request)
            .await
            .map_err(|status| passed_on(MEMORY, &status))
    }

    /// A memory of the visitor's own, whose agent they may use.
    async fn memory(&self, visitor: &Visitor, memory_id: &str) -> Result<Memory, Status> {
        let message = GetMemoryRequest {
            memory_id: memory_id.to_owned(),
        };
        let answer = self
            .pass(message, visitor, async |mut memories, request| {
                memories.get_memory(request).await
            })
            .await?;
        let memory = answer.into_inner().memory;
        let memory = memory.ok_or_else(|| nonsense(MEMORY, &"no memory"))?;
        let agent = memory.provenance.as_ref().map_or("", |from| from.agent.as_str());
        visitor.check_agent(agent)?;
        Ok(memory)
    }

    /// Whether they may change that memory; a key for all agents need not ask.
    async fn check(&self, visitor: &Visitor, memory_id: &str) -> Result<(), Status> {
        if visitor.is_scoped() {
            self.memory(visitor, memory_id).await?;
        }
        Ok(())
    }
}

/// Whether they may see what the filter lets through.
fn check_filter(visitor: &Visitor, filter: Option<&MemoryFilter>) -> Result<(), Error> {
    match filter.map_or("", |filter| filter.agent.as_str()) {
        "" => check_all(visitor),
        agent => visitor.check_agent(agent),
    }
}

/// Whether they may use every agent.
fn check_all(visitor: &Visitor) -> Result<(), Error> {
    if visitor.is_scoped() {
        return Err(Error::AllAgents);
    }
    Ok(())
}

#[tonic::async_trait]
impl PersonalMemoryService for MemoryGrpc {
    type ExportMemoriesStream = Answers<ExportMemoriesResponse>;

    async fn search_memories(
        &self,
        request: Request<SearchMemoriesRequest>,
    ) -> Result<Response<SearchMemoriesResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        check_filter(&visitor, request.get_ref().filter.as_ref())?;
        self.pass(request.into_inner(), &visitor, async |mut memories, request| {
            memories.search_memories(request).await
        })
        .await
    }

    async fn list_memories(
        &self,
        request: Request<ListMemoriesRequest>,
    ) -> Result<Response<ListMemoriesResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        check_filter(&visitor, request.get_ref().filter.as_ref())?;
        self.pass(request.into_inner(), &visitor, async |mut memories, request| {
            memories.list_memories(request).await
        })
        .await
    }

    async fn get_memory(
        &self,
        request: Request<GetMemoryRequest>,
    ) -> Result<Response<GetMemoryResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        let memory = self.memory(&visitor, &request.get_ref().memory_id).await?;
        Ok(Response::new(GetMemoryResponse { memory: Some(memory) }))
    }

    async fn save_memory(
        &self,
        request: Request<SaveMemoryRequest>,
    ) -> Result<Response<SaveMemoryResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        let message = request.into_inner();
        visitor.check_agent(match message.agent.as_str() {
            "" => DEFAULT_AGENT,
            agent => agent,
        })?;
        if !message.supersedes.is_empty() {
            self.check(&visitor, &message.supersedes).await?;
        }
        let saved = self
            .pass(message, &visitor, async |mut memories, request| {
                memories.save_memory(request).await
            })
            .await?;
        // Whoever repeats an id is answered with what was saved under it, which may be another agent's.
        let memory = saved.get_ref().memory.as_ref();
        let provenance = memory.and_then(|memory| memory.provenance.as_ref());
        visitor.check_agent(provenance.map_or("", |from| from.agent.as_str()))?;
        Ok(saved)
    }

    async fn forget_memory(
        &self,
        request: Request<ForgetMemoryRequest>,
    ) -> Result<Response<ForgetMemoryResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        self.check(&visitor, &request.get_ref().memory_id).await?;
        self.pass(request.into_inner(), &visitor, async |mut memories, request| {
            memories.forget_memory(request).await
        })
        .await
    }

    async fn restore_memory(
        &self,
        request: Request<RestoreMemoryRequest>,
    ) -> Result<Response<RestoreMemoryResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        self.check(&visitor, &request.get_ref().memory_id).await?;
        self.pass(request.into_inner(), &visitor, async |mut memories, request| {
            memories.restore_memory(request).await
        })
        .await
    }

    async fn erase_memory(
        &self,
        request: Request<EraseMemoryRequest>,
    ) -> Result<Response<EraseMemoryResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        self.check(&visitor, &request.get_ref().memory_id).await?;
        self.pass(request.into_inner(), &visitor, async |mut memories, request| {
            memories.erase_memory(request).await
        })
        .await
    }

    async fn export_memories(
        &self,
        request: Request<ExportMemoriesRequest>,
    ) -> Result<Response<Self::ExportMemoriesStream>, Status> {
        let visitor = self.0.visitor(&request)?;
        check_all(&visitor)?;
        let slot = visitor.slot()?;
        let exported = self
            .pass(request.into_inner(), &visitor, async |mut memories, request| {
                memories.export_memories(request).await
            })
            .await?;
        Ok(held(
            slot,
            forwarded(MEMORY, exported.into_inner(), |memory| memory),
        ))
    }

    async fn import_memories(
        &self,
        request: Request<ImportMemoriesRequest>,
    ) -> Result<Response<ImportMemoriesResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        check_all(&visitor)?;
        self.pass(request.into_inner(), &visitor, async |mut memories, request| {
            memories.import_memories(request).await
        })
        .await
    }

    async fn get_memory_stats(
        &self,
        request: Request<GetMemoryStatsRequest>,
    ) -> Result<Response<GetMemoryStatsResponse>, Status> {
        let visitor = self.0.visitor(&request)?;
        check_all(&visitor)?;
        self.pass(request.into_inner(), &visitor, async |mut memories, request| {
            memories.get_memory_stats(request).await
        })
        .await
    }
}
