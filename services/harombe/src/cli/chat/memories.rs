//! What is remembered: the newest, what is about something, and forgetting one.

use harombe_proto::memory::v1::{
    ForgetMemoryRequest, ListMemoriesRequest, Memory, RecallMeans, SearchMemoriesRequest,
};

use super::super::Error;
use super::super::moments::{by_means, kind, of_memories, since, until};
use super::Chat;
use crate::terminal::shortened;

/// Memories that are shown.
const SHOWN: u32 = 10;
/// Lines of each.
const LINES: usize = 3;

impl Chat {
    pub(super) async fn memory(&mut self, query: Option<String>) -> Result<(), Error> {
        let memories = match query {
            Some(query) => self.about(query).await?,
            None => {
                let request = ListMemoriesRequest {
                    limit: SHOWN,
                    ..ListMemoriesRequest::default()
                };
                self.client
                    .memories
                    .list_memories(request)
                    .await
                    .map_err(of_memories)?
                    .into_inner()
                    .memories
            }
        };
        if memories.is_empty() {
            return Ok(self.view.note("nothing is remembered that fits")?);
        }
        self.memories = memories.iter().map(|memory| memory.memory_id.clone()).collect();
        for memory in &memories {
            self.show_memory(memory)?;
        }
        Ok(())
    }

    async fn about(&mut self, query: String) -> Result<Vec<Memory>, Error> {
        let request = SearchMemoriesRequest {
            query,
            limit: SHOWN,
            ..SearchMemoriesRequest::default()
        };
        let found = self
            .client
            .memories
            .search_memories(request)
            .await
            .map_err(of_memories)?
            .into_inner();
        if let Some(told) = by_means(RecallMeans::try_from(found.means).unwrap_or_default()) {
            self.view.aside(told)?;
        }
        Ok(found.hits.into_iter().filter_map(|hit| hit.memory).collect())
    }

    fn show_memory(&mut self, memory: &Memory) -> Result<(), Error> {
        let mut parts = vec![
            kind(memory).to_owned(),
            since(memory.time.as_ref().map(|time| time.seconds)),
        ];
        if !memory.speaker.is_empty() {
            parts.push(memory.speaker.clone());
        }
        if memory.valid_to.is_some() {
            parts.push("no longer so".to_owned());
        }
        self.view.title(&parts.join(" · "))?;
        self.view.note(&shortened(&memory.text, LINES))?;
        Ok(self.view.aside(&memory.memory_id)?)
    }

    pub(super) async fn forget_memory(&mut self, beginning: &str) -> Result<(), Error> {
        let mut fitting = self.memories.iter().filter(|id| id.starts_with(beginning));
        let memory_id = match (fitting.next(), fitting.next()) {
            (Some(_), Some(_)) => {
                return Err(Error::Usage(format!(
                    "several memories begin with {beginning}; say more of the id"
                )));
            }
            (Some(id), None) => id.clone(),
            (None, _) => beginning.to_owned(),
        };
        let request = ForgetMemoryRequest {
            memory_id: memory_id.clone(),
        };
        let memory = self
            .client
            .memories
            .forget_memory(request)
            .await
            .map_err(of_memories)?
            .into_inner()
            .memory
            .unwrap_or_default();
        let erased = until(memory.erased_at.as_ref().map(|time| time.seconds));
        self.view.note(&format!(
            "forgotten: nothing finds it any more, and it is erased {erased}"
        ))?;
        let command = self.place.command(&format!("memory restore {memory_id}"));
        Ok(self.view.aside(&format!("until then {command} brings it back"))?)
    }
}
