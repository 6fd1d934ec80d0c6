//! `harombe memory`: what is remembered of the person who asks, and their last word over it.

mod json;
mod transfer;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use harombe_proto::memory::v1::{
    EraseMemoryRequest, ForgetMemoryRequest, GetMemoryStatsRequest, GetMemoryStatsResponse,
    ListMemoriesRequest, Memory, MemoryHit, RecallMeans, RestoreMemoryRequest, SearchMemoriesRequest,
};

use self::json::MemoryJson;
use super::Error;
use super::moments::{by_means, kind, of_memories, since, until};
use crate::attach::{Client, Place};
use crate::terminal::{Surface, View, rows};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Find what is remembered about something
    Search {
        /// What it is about
        query: String,
        /// How many at most
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// Say what each score is made of
        #[arg(long)]
        explain: bool,
        /// A memory as JSON on each line
        #[arg(long, conflicts_with = "explain")]
        json: bool,
    },
    /// Show the newest memories
    List {
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Also those that are hidden
        #[arg(long)]
        all: bool,
        /// A memory as JSON on each line
        #[arg(long)]
        json: bool,
    },
    /// Write everything to standard output, a memory as JSON on each line
    Export,
    /// Take over memories from a file of such lines
    Import {
        /// The file; - reads standard input
        file: PathBuf,
    },
    /// Show how much is remembered
    Stats,
    /// Hide a memory at once, and have it erased later
    Forget {
        /// The memory's id
        id: String,
    },
    /// Bring back a memory that is hidden
    Restore {
        /// The memory's id
        id: String,
    },
    /// Erase a memory now, for good
    Erase {
        /// The memory's id
        id: String,
    },
}

pub(super) async fn run(place: Place, command: Command) -> Result<ExitCode, Error> {
    let attached = place.attach(None).await?;
    let done = carry_out(attached.client.clone(), command).await;
    attached.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn carry_out(mut client: Client, command: Command) -> Result<(), Error> {
    let mut view = View::new(std::io::stdout(), Surface::of_stdout());
    match command {
        Command::Search {
            query,
            limit,
            explain,
            json,
        } => {
            let request = SearchMemoriesRequest {
                query,
                limit,
                explain,
                ..SearchMemoriesRequest::default()
            };
            search(&mut client, &mut view, request, json).await
        }
        Command::List { limit, all, json } => {
            let request = ListMemoriesRequest {
                limit,
                include_hidden: all,
                ..ListMemoriesRequest::default()
            };
            let memories = listed(&mut client, request).await?;
            if json {
                as_json(memories)
            } else {
                show(&mut view, &memories)
            }
        }
        Command::Export => transfer::export(&mut client).await,
        Command::Import { file } => transfer::import(&mut client, &file).await,
        Command::Stats => {
            let stats = client
                .memories
                .get_memory_stats(GetMemoryStatsRequest {})
                .await
                .map_err(of_memories)?;
            show_stats(&mut view, &stats.into_inner())
        }
        Command::Forget { id: memory_id } => {
            let request = ForgetMemoryRequest { memory_id };
            let answer = client.memories.forget_memory(request).await;
            let memory = answer
                .map_err(of_memories)?
                .into_inner()
                .memory
                .unwrap_or_default();
            let when = until(memory.erased_at.as_ref().map(|time| time.seconds));
            Ok(view.note(&format!(
                "forgotten; it is erased {when}, and `memory restore` brings it back until then"
            ))?)
        }
        Command::Restore { id: memory_id } => {
            let request = RestoreMemoryRequest { memory_id };
            let answer = client.memories.restore_memory(request).await;
            answer.map_err(of_memories)?;
            Ok(view.note("restored")?)
        }
        Command::Erase { id: memory_id } => {
            let request = EraseMemoryRequest { memory_id };
            let answer = client.memories.erase_memory(request).await;
            answer.map_err(of_memories)?;
            Ok(view.note("erased")?)
        }
    }
}

async fn search<W: Write>(
    client: &mut Client,
    view: &mut View<W>,
    request: SearchMemoriesRequest,
    json: bool,
) -> Result<(), Error> {
    let found = client.memories.search_memories(request).await;
    let found = found.map_err(of_memories)?.into_inner();
    if json {
        return as_json(found.hits.into_iter().filter_map(|hit| hit.memory));
    }
    if let Some(told) = by_means(RecallMeans::try_from(found.means).unwrap_or_default()) {
        view.aside(told)?;
    }
    show_hits(view, &found.hits)
}

/// The newest, over as many pages as they take.
async fn listed(client: &mut Client, mut request: ListMemoriesRequest) -> Result<Vec<Memory>, Error> {
    let wanted = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut memories = Vec::new();
    loop {
        let page = client
            .memories
            .list_memories(request.clone())
            .await
            .map_err(of_memories)?
            .into_inner();
        memories.extend(page.memories);
        if memories.len() >= wanted || page.next_page_token.is_empty() {
            memories.truncate(wanted);
            return Ok(memories);
        }
        request.page_token = page.next_page_token;
    }
}

fn as_json(memories: impl IntoIterator<Item = Memory>) -> Result<(), Error> {
    let json = MemoryJson::new()?;
    let mut out = std::io::stdout().lock();
    for memory in memories {
        writeln!(out, "{}", json.write(&memory)?)?;
    }
    Ok(())
}

fn show<W: Write>(view: &mut View<W>, memories: &[Memory]) -> Result<(), Error> {
    if memories.is_empty() {
        return Ok(view.note("nothing is remembered")?);
    }
    let lines: Vec<_> = memories.iter().map(cells).collect();
    let lines = rows(["id", "kind", "when", "text"], &lines, view.room(), view.style());
    Ok(view.lines(lines)?)
}

fn show_hits<W: Write>(view: &mut View<W>, hits: &[MemoryHit]) -> Result<(), Error> {
    let memories: Vec<_> = hits.iter().filter_map(|hit| hit.memory.clone()).collect();
    if hits.iter().all(|hit| hit.explanation.is_empty()) {
        return show(view, &memories);
    }
    for (hit, memory) in hits.iter().zip(&memories) {
        view.title(&format!("{:.3} · {}", hit.score, cells(memory).join(" · ")))?;
        for part in &hit.explanation {
            view.aside(&format!(
                "{:+.3}  {} {:.3}",
                part.contribution, part.feature, part.value
            ))?;
        }
    }
    Ok(())
}

fn cells(memory: &Memory) -> [String; 4] {
    let said_by = match memory.speaker.as_str() {
        "" => memory.text.clone(),
        speaker => format!("{speaker}: {}", memory.text),
    };
    let hidden = if memory.hidden_at.is_some() {
        " (hidden)"
    } else {
        ""
    };
    [
        memory.memory_id.clone(),
        format!("{}{hidden}", kind(memory)),
        since(memory.time.as_ref().map(|time| time.seconds)),
        said_by,
    ]
}

fn show_stats<W: Write>(view: &mut View<W>, stats: &GetMemoryStatsResponse) -> Result<(), Error> {
    let model = match stats.embedding_model.as_str() {
        "" => "none: memories are found by their words alone",
        model => model,
    };
    let oldest = since(stats.oldest.as_ref().map(|time| time.seconds));
    let newest = since(stats.newest.as_ref().map(|time| time.seconds));
    let lines = [
        ["turns".to_owned(), stats.turns.to_string()],
        ["facts".to_owned(), stats.facts.to_string()],
        ["summaries".to_owned(), stats.summaries.to_string()],
        ["hidden".to_owned(), stats.hidden.to_string()],
        ["superseded".to_owned(), stats.superseded.to_string()],
        ["bytes".to_owned(), stats.bytes.to_string()],
        ["oldest".to_owned(), oldest],
        ["newest".to_owned(), newest],
        ["embedding model".to_owned(), model.to_owned()],
        [
            "waiting for it".to_owned(),
            stats.waiting_for_embedding.to_string(),
        ],
    ];
    let lines = rows(["what", ""], &lines, view.room(), view.style());
    Ok(view.lines(lines)?)
}
