//! The memories of the one who calls at the public door: given before messages are measured, and what of them was recalled.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harombe::attach::Client;
use harombe_proto::memory::v1::{
    GetMemoryStatsRequest, GetMemoryStatsResponse, ImportMemoriesRequest, RecallMeans, SearchMemoriesRequest,
};
use harombe_proto::types::v1::ContextBuilt;
use serde_json::{Value, json};

use super::{corpus, imports, per_second, until_embedded};
use crate::what::Result;

/// Memories that were given.
pub(in crate::what) struct Given {
    count: u32,
    imported: Duration,
    /// Until the last one was embedded; `None` where there is no model.
    embedded: Option<Duration>,
    means: RecallMeans,
}

/// Gives the caller so many memories, and waits until they can be found by all means that there are.
///
/// # Errors
/// A refusal, or a model that is to be there is not.
pub(in crate::what) async fn give(client: &mut Client, count: u32, has_model: bool) -> Result<Given> {
    let began = Instant::now();
    for memories in imports(0, count) {
        let request = ImportMemoriesRequest { memories };
        client.memories.import_memories(request).await?;
    }
    let imported = began.elapsed();
    let mut embedded = None;
    if has_model || !stats(client).await?.embedding_model.is_empty() {
        until_embedded(async || stats(client).await).await?;
        embedded = Some(began.elapsed());
    }
    let search = SearchMemoriesRequest {
        query: corpus::question(u32::MAX),
        ..SearchMemoriesRequest::default()
    };
    let means = client
        .memories
        .search_memories(search)
        .await?
        .into_inner()
        .means();
    if embedded.is_some() && means != RecallMeans::Hybrid {
        return Err(format!("memories are found by {} means", self::means(means)).into());
    }
    Ok(Given {
        count,
        imported,
        embedded,
        means,
    })
}

/// What is in the caller's memory.
pub(in crate::what) async fn stats(client: &mut Client) -> Result<GetMemoryStatsResponse> {
    let stats = client.memories.get_memory_stats(GetMemoryStatsRequest {});
    Ok(stats.await?.into_inner())
}

/// By its name on the wire, in short.
pub(super) fn means(means: RecallMeans) -> &'static str {
    let name = means.as_str_name();
    name.strip_prefix("RECALL_MEANS_").unwrap_or(name)
}

/// A question, whose answer may be among what was given; each number is another one.
pub(in crate::what) fn question(nth: u32) -> String {
    corpus::question(nth)
}

/// What was recalled for messages, those of the warm-up included.
#[derive(Default)]
pub(in crate::what) struct Recalled {
    messages: AtomicU64,
    memories: AtomicU64,
    /// Messages for which nothing was recalled.
    without: AtomicU64,
    /// Messages for which recalling lacked something.
    faults: AtomicU64,
    first_fault: OnceLock<String>,
}

impl Recalled {
    pub(in crate::what) fn count(&self, built: &ContextBuilt) {
        let memories = built.recalled.len() as u64;
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.memories.fetch_add(memories, Ordering::Relaxed);
        self.without
            .fetch_add(u64::from(memories == 0), Ordering::Relaxed);
        if !built.recall_fault.is_empty() {
            self.faults.fetch_add(1, Ordering::Relaxed);
            // the first one tells enough
            let _ = self.first_fault.set(built.recall_fault.clone());
        }
    }

    /// Of messages that found `given` there, and `after` when they had ended: their turns are remembered too.
    pub(in crate::what) fn said(&self, given: &Given, after: &GetMemoryStatsResponse) -> Value {
        let messages = self.messages.load(Ordering::Relaxed);
        let memories = self.memories.load(Ordering::Relaxed);
        let each = memories as f64 / messages.max(1) as f64;
        json!({
            "means": means(given.means),
            "messages": messages,
            "memories_each": (each * 100.0).round() / 100.0,
            "messages_without": self.without.load(Ordering::Relaxed),
            "messages_with_fault": self.faults.load(Ordering::Relaxed),
            "first_fault": self.first_fault.get(),
            "memories_given": given.count,
            "memories_after": after.turns + after.facts + after.summaries,
            "imported_per_s": per_second(given.count, given.imported),
            "embedded_per_s": given.embedded.map(|took| per_second(given.count, took)),
        })
    }
}
