//! What memory has for a run's context, and what its tools do with memories.

use harombe_error::Failure;
use harombe_proto::memory::v1 as wire;
use harombe_proto::memory::v1::RecallMeans;
use harombe_types::MemoryId;

use super::{Memory, at, given};
use crate::peers::with_token;

/// What was said before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Past {
    /// The session's newest turns, oldest first.
    pub turns: Vec<wire::Turn>,
    /// Older ones that memory left out.
    pub turns_left_out: u64,
    /// Of those, the newest stretch first.
    pub summaries: Vec<wire::Memory>,
    /// Of other conversations, best first.
    pub recalled: Vec<wire::Memory>,
    /// Something that is configured for recalling was out of reach.
    pub degraded: bool,
    /// The session's workspace, if it has one.
    pub workspace: Option<String>,
    /// The newest run that had ended.
    pub last_run: Option<String>,
    /// A turn, shown or not, is claimed, or its run was shown what may be anybody's words.
    pub saw_outside: bool,
    /// Bytes of turns that were asked for, at most.
    pub max_bytes: u32,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Found {
    /// Best first.
    pub memories: Vec<wire::Memory>,
    /// Something that is configured for searching was out of reach.
    pub degraded: bool,
}

impl Memory {
    /// What a run's context may be made of.
    pub(crate) async fn past(&self, token: &str, wanted: wire::BuildContextRequest) -> Result<Past, Failure> {
        let max_bytes = wanted.max_turn_bytes;
        let sent = self
            .memories
            .clone()
            .build_context(with_token(wanted, token))
            .await;
        let response = sent.map_err(|status| at(&status))?.into_inner();
        let degraded = response.means() == RecallMeans::Degraded;
        Ok(Past {
            turns: response.turns,
            turns_left_out: response.turns_left_out,
            summaries: response
                .summary
                .into_iter()
                .chain(response.earlier_summaries)
                .filter_map(|hit| hit.memory)
                .collect(),
            recalled: response
                .recalled
                .into_iter()
                .filter_map(|hit| hit.memory)
                .collect(),
            degraded,
            workspace: given(response.workspace_id),
            last_run: given(response.last_run_id),
            saw_outside: response.saw_outside,
            max_bytes,
        })
    }

    /// Searches the subject's memories.
    pub(crate) async fn recall(&self, token: &str, query: String, limit: u32) -> Result<Found, Failure> {
        let request = wire::RecallRequest {
            query,
            limit,
            ..wire::RecallRequest::default()
        };
        let response = self
            .memories
            .clone()
            .recall(with_token(request, token))
            .await
            .map_err(|status| at(&status))?
            .into_inner();
        let degraded = response.means() == RecallMeans::Degraded;
        Ok(Found {
            memories: response.hits.into_iter().filter_map(|hit| hit.memory).collect(),
            degraded,
        })
    }

    /// Saves a fact; the same id again changes nothing.
    pub(crate) async fn remember(&self, token: &str, request: wire::RememberRequest) -> Result<(), Failure> {
        let sent = self.memories.clone().remember(with_token(request, token)).await;
        sent.map(drop).map_err(|status| at(&status))
    }

    /// Hides a memory.
    pub(crate) async fn forget(&self, token: &str, memory: MemoryId) -> Result<(), Failure> {
        let request = wire::ForgetRequest {
            memory_id: memory.to_string(),
        };
        let sent = self.memories.clone().forget(with_token(request, token)).await;
        sent.map(drop).map_err(|status| at(&status))
    }

    /// What of the run's session a model is to sum up, if anything is.
    pub(crate) async fn summary_work(
        &self,
        token: &str,
        max_bytes: u32,
    ) -> Result<Option<wire::SummaryWork>, Failure> {
        let request = with_token(wire::TakeSummaryWorkRequest { max_bytes }, token);
        let sent = self.memories.clone().take_summary_work(request).await;
        Ok(sent.map_err(|status| at(&status))?.into_inner().work)
    }

    /// Saves what the model wrote; whether it was still wanted.
    pub(crate) async fn put_summary(
        &self,
        token: &str,
        request: wire::PutSummaryRequest,
    ) -> Result<bool, Failure> {
        let sent = self
            .memories
            .clone()
            .put_summary(with_token(request, token))
            .await;
        Ok(sent.map_err(|status| at(&status))?.into_inner().memory.is_some())
    }
}
