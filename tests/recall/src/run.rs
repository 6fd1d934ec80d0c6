//! From a folder to the line of figures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harombe_embedding::{Embedder as _, Local, LocalConfig};
use serde_json::{Value, json};

use crate::figures::Tally;
use crate::{ablation, folder, model};

/// A fault in words for the person who started the program.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures all conversations of the folder.
pub(crate) async fn run(dir: &Path, model: Option<PathBuf>, ablation: bool) -> Result<Value> {
    let began = Instant::now();
    let conversations = folder::read(dir)?;
    let folder = model::folder(model)?;
    let embedder = Arc::new(Local::open(&folder, &LocalConfig::default())?);
    let mut indexed = Vec::new();
    for conversation in &conversations {
        indexed.push(ablation::Indexed::new(conversation, &*embedder).await?);
    }
    let mut all = Tally::default();
    let mut by_conversation = serde_json::Map::new();
    for (conversation, indexed) in conversations.iter().zip(&indexed) {
        let tally = indexed.ask(&ablation::ROWS[ablation::ROWS.len() - 1]);
        by_conversation.insert(conversation.name.clone(), tally.overall());
        all.absorb(tally);
    }
    let mut line = all.to_json();
    line["by_conversation"] = Value::Object(by_conversation);
    line["conversations"] = json!(conversations.len());
    line["embedding_model"] = json!(embedder.model().name);
    if ablation {
        line["ablation"] = ablation::table(&indexed);
    }
    line["seconds"] = json!(round(began.elapsed()));
    Ok(line)
}

fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}
