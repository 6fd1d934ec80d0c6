//! `PersonalMemoryService`: memory as its person sees it.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _, iter, try_unfold};
use harombe_proto::memory::v1 as pb;
use harombe_proto::memory::v1::personal_memory_service_server::PersonalMemoryService;
use harombe_rpc::CallerExt as _;
use harombe_types::Clock;
use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};

use super::convert::{id, invalid};
use super::memories::{fact_of_person, filter, imported};
use crate::domain::recall::{Ask, Meanings, Recaller};
use crate::domain::{Listing, Memories, Memory, Owner};

const LIST_DEFAULT: u32 = 100;
const LIST_MAX: u32 = 1000;
/// Memories of one answer, in bytes: it must fit a message of 4 MiB.
const PAGE_BYTES: usize = 3_500_000;
/// Memories that are read at once: at most 2 MiB.
const BATCH: u32 = 128;
const IMPORT_MAX: usize = 256;

pub(crate) struct PersonalGrpc {
    pub(crate) memories: Memories,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recaller: Recaller,
    /// Knows the embedding model, when there is one.
    pub(crate) meanings: Meanings,
}

#[async_trait]
impl PersonalMemoryService for PersonalGrpc {
    async fn search_memories(
        &self,
        request: Request<pb::SearchMemoriesRequest>,
    ) -> Result<Response<pb::SearchMemoriesResponse>, Status> {
        let owner: Owner = request.person()?.into();
        let request = request.into_inner();
        let ask = Ask {
            query: request.query,
            limit: request.limit,
            filter: filter(request.filter.unwrap_or_default())?,
            explain: request.explain,
        };
        let recalled = self.recaller.recall(&owner, ask).await?;
        Ok(Response::new(pb::SearchMemoriesResponse {
            hits: recalled.hits.into_iter().map(Into::into).collect(),
            means: pb::RecallMeans::from(recalled.means).into(),
        }))
    }

    async fn list_memories(
        &self,
        request: Request<pb::ListMemoriesRequest>,
    ) -> Result<Response<pb::ListMemoriesResponse>, Status> {
        let owner = request.person()?.into();
        let request = request.into_inner();
        let limit = match request.limit {
            0 => LIST_DEFAULT,
            limit if limit <= LIST_MAX => limit,
            limit => return Err(invalid(format!("limit is {limit}; the most is {LIST_MAX}"))),
        };
        let listing = Listing {
            filter: filter(request.filter.unwrap_or_default())?,
            hidden: request.include_hidden,
            before: before(&request.page_token)?,
            limit,
        };
        let page = self.page(&owner, listing).await?;
        Ok(Response::new(page))
    }

    async fn get_memory(
        &self,
        request: Request<pb::GetMemoryRequest>,
    ) -> Result<Response<pb::GetMemoryResponse>, Status> {
        let owner: Owner = request.person()?.into();
        let memory = self
            .memories
            .get(&owner, id(&request.get_ref().memory_id)?)
            .await?;
        Ok(Response::new(pb::GetMemoryResponse {
            memory: Some(memory.into()),
        }))
    }

    async fn save_memory(
        &self,
        request: Request<pb::SaveMemoryRequest>,
    ) -> Result<Response<pb::SaveMemoryResponse>, Status> {
        let owner = request.person()?.into();
        let (agent, fact) = fact_of_person(request.into_inner())?;
        let memory = self.memories.save(owner, &agent, fact).await?;
        Ok(Response::new(pb::SaveMemoryResponse {
            memory: Some(memory.into()),
        }))
    }

    async fn forget_memory(
        &self,
        request: Request<pb::ForgetMemoryRequest>,
    ) -> Result<Response<pb::ForgetMemoryResponse>, Status> {
        let owner = request.person()?.into();
        let memory = self
            .memories
            .forget(owner, id(&request.get_ref().memory_id)?)
            .await?;
        Ok(Response::new(pb::ForgetMemoryResponse {
            memory: Some(memory.into()),
        }))
    }

    async fn restore_memory(
        &self,
        request: Request<pb::RestoreMemoryRequest>,
    ) -> Result<Response<pb::RestoreMemoryResponse>, Status> {
        let owner = request.person()?.into();
        let memory = self
            .memories
            .restore(owner, id(&request.get_ref().memory_id)?)
            .await?;
        Ok(Response::new(pb::RestoreMemoryResponse {
            memory: Some(memory.into()),
        }))
    }

    async fn erase_memory(
        &self,
        request: Request<pb::EraseMemoryRequest>,
    ) -> Result<Response<pb::EraseMemoryResponse>, Status> {
        let owner = request.person()?.into();
        self.memories
            .erase(owner, id(&request.get_ref().memory_id)?)
            .await?;
        Ok(Response::new(pb::EraseMemoryResponse {}))
    }

    type ExportMemoriesStream = BoxStream<'static, Result<pb::ExportMemoriesResponse, Status>>;

    async fn export_memories(
        &self,
        request: Request<pb::ExportMemoriesRequest>,
    ) -> Result<Response<Self::ExportMemoriesStream>, Status> {
        let owner: Owner = request.person()?.into();
        let memories = self.memories.clone();
        let batches = try_unfold((memories, owner, 0), |(memories, owner, after)| async move {
            let batch = memories.all_after(&owner, after, BATCH).await?;
            let last = batch.last().map(|memory| memory.seq);
            Ok::<_, Status>(last.map(|last| (batch, (memories, owner, last))))
        });
        let exported = |memory: Memory| pb::ExportMemoriesResponse {
            memory: Some(memory.into()),
        };
        let each = batches
            .map_ok(move |batch| iter(batch.into_iter().map(move |memory| Ok(exported(memory)))))
            .try_flatten();
        Ok(Response::new(each.boxed()))
    }

    async fn import_memories(
        &self,
        request: Request<pb::ImportMemoriesRequest>,
    ) -> Result<Response<pb::ImportMemoriesResponse>, Status> {
        let owner = request.person()?.into();
        let memories = request.into_inner().memories;
        if !(1..=IMPORT_MAX).contains(&memories.len()) {
            return Err(invalid(format!("memories must be from 1 to {IMPORT_MAX}")));
        }
        let new = memories
            .into_iter()
            .map(|memory| imported(memory, &*self.clock))
            .collect::<Result<Vec<_>, _>>()?;
        let ids: HashSet<_> = new.iter().map(|memory| memory.id).collect();
        if ids.len() < new.len() {
            return Err(invalid("memories must have different ids"));
        }
        let (imported, known) = self.memories.import(owner, new).await?;
        Ok(Response::new(pb::ImportMemoriesResponse { imported, known }))
    }

    async fn get_memory_stats(
        &self,
        request: Request<pb::GetMemoryStatsRequest>,
    ) -> Result<Response<pb::GetMemoryStatsResponse>, Status> {
        let owner: Owner = request.person()?.into();
        let stats = self.memories.stats(&owner).await?;
        let waiting = self.meanings.waiting(&owner, &stats).await;
        Ok(Response::new(pb::GetMemoryStatsResponse {
            turns: stats.turns,
            facts: stats.facts,
            summaries: stats.summaries,
            hidden: stats.hidden,
            superseded: stats.superseded,
            bytes: stats.bytes,
            waiting_for_embedding: waiting,
            embedding_model: self.meanings.model().unwrap_or_default(),
            oldest: stats.oldest.map(Into::into),
            newest: stats.newest.map(Into::into),
        }))
    }
}

impl PersonalGrpc {
    /// As many as were asked for and fit.
    async fn page(&self, owner: &Owner, listing: Listing) -> Result<pb::ListMemoriesResponse, Status> {
        let mut page = pb::ListMemoriesResponse::default();
        let wanted = usize::try_from(listing.limit).unwrap_or(usize::MAX);
        let (mut before, mut bytes) = (listing.before, 0);
        while page.memories.len() < wanted {
            let room = wanted.saturating_sub(page.memories.len());
            let limit = u32::try_from(room).unwrap_or(BATCH).min(BATCH);
            let next = Listing {
                before,
                limit,
                ..listing.clone()
            };
            let batch = self.memories.list(owner, &next).await?;
            let was_last = batch.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            for memory in batch {
                let seq = memory.seq;
                let memory = pb::Memory::from(memory);
                bytes += memory.encoded_len();
                if bytes > PAGE_BYTES {
                    page.next_page_token = token(before);
                    return Ok(page);
                }
                before = Some(seq);
                page.memories.push(memory);
            }
            if was_last {
                return Ok(page);
            }
        }
        page.next_page_token = token(before);
        Ok(page)
    }
}

/// Names the page behind a memory.
fn token(before: Option<u64>) -> String {
    before.map(|seq| format!("{seq:x}")).unwrap_or_default()
}

fn before(token: &str) -> Result<Option<u64>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    match u64::from_str_radix(token, 16) {
        Ok(seq) if token == format!("{seq:x}") => Ok(Some(seq)),
        _ => Err(invalid("page_token is none that was given")),
    }
}
