//! From a folder to the line of figures.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harombe_embedding::{DEFAULT_MODEL, Local, LocalConfig, known};
use serde_json::{Map, Value, json};

use crate::conversation::Conversation;
use crate::figures::Tally;
use crate::served::Served;
use crate::{ablation, folder, model};

/// A fault in words for the person who started the program.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures all conversations of the folder.
///
/// # Errors
/// There are no conversations or no model, or the service fails.
pub(crate) async fn run(dir: &Path, model: Option<PathBuf>, ablation: bool) -> Result<Value> {
    let began = Instant::now();
    let conversations = folder::read(dir)?;
    let model = model::folder(model)?;
    // The service would go on with words alone.
    harombe_embedding::check(&model, known(DEFAULT_MODEL)?)?;
    let mut served = Served::start(&model).await?;
    let measured = measure(&mut served, &conversations).await;
    let name = served.model.clone();
    served.stop().await;
    let mut line = measured?;
    line["embedding_model"] = json!(name);
    if ablation {
        line["ablation"] = table(&model, &conversations).await?;
    }
    line["seconds"] = json!(seconds(began.elapsed()));
    Ok(line)
}

/// Through the service.
async fn measure(served: &mut Served, conversations: &[Conversation]) -> Result<Value> {
    let began = Instant::now();
    for conversation in conversations {
        served.store(conversation).await?;
    }
    for conversation in conversations {
        served.embedded(conversation, began).await?;
    }
    let stored = began.elapsed();
    let mut all = Tally::default();
    let mut by_conversation = Map::new();
    for conversation in conversations {
        let tally = served.ask(conversation).await?;
        by_conversation.insert(conversation.name.clone(), tally.overall());
        all.absorb(tally);
    }
    let mut line = all.to_json();
    let memories: usize = conversations
        .iter()
        .map(|conversation| conversation.turns.len())
        .sum();
    line["by_conversation"] = Value::Object(by_conversation);
    line["conversations"] = json!(conversations.len());
    line["memories"] = json!(memories);
    line["store_and_embed_seconds"] = json!(seconds(stored));
    Ok(line)
}

/// What each part is worth, past the service.
async fn table(model: &Path, conversations: &[Conversation]) -> Result<Value> {
    let embedder = Local::open(model, &LocalConfig::default())?;
    let mut indexed = Vec::new();
    for conversation in conversations {
        indexed.push(ablation::Indexed::new(conversation, &embedder).await?);
    }
    Ok(ablation::table(&indexed))
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}
