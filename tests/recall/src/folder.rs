//! The conversations of a folder.

use std::path::Path;

use crate::conversation::Conversation;
use crate::run::Result;

/// Every JSON file of the folder, by name.
///
/// # Errors
/// The folder or a file cannot be read, has another form, or there is nothing to ask.
pub(crate) fn read(dir: &Path) -> Result<Vec<Conversation>> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut conversations = Vec::new();
    for path in paths {
        let named = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read(&path).map_err(|error| named(error.to_string()))?;
        let file = serde_json::from_slice(&text).map_err(|error| named(error.to_string()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        conversations.push(
            Conversation::read(&name, conversations.len(), &file)
                .map_err(|error| named(error.to_string()))?,
        );
    }
    if conversations
        .iter()
        .all(|conversation| conversation.questions.is_empty())
    {
        return Err(format!("{}: no conversation with questions", dir.display()).into());
    }
    Ok(conversations)
}
