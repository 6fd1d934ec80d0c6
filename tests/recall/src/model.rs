//! Where the embedding model is.

use std::path::PathBuf;

use harombe_embedding::DEFAULT_MODEL;

use crate::run::Result;

/// The folder that was named, else the one of `harombe models pull`, else the one of the set-up.
///
/// # Errors
/// There is none: without a model only words would be measured.
pub(crate) fn folder(named: Option<PathBuf>) -> Result<PathBuf> {
    let candidates = match named {
        Some(folder) => vec![folder],
        None => usual(),
    };
    let found = candidates
        .iter()
        .find(|folder| folder.join("model.safetensors").is_file());
    found.cloned().ok_or_else(|| {
        let tried: Vec<_> = candidates
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        format!(
            "no embedding model in {}: pull it with `harombe models pull`, or name its folder with --model",
            tried.join(" or ")
        )
        .into()
    })
}

fn usual() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let base = |variable: &str, below_home: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(home.as_ref()?.join(below_home)))
    };
    let data = base("XDG_DATA_HOME", ".local/share").map(|data| data.join("harombe/models"));
    let cache = base("XDG_CACHE_HOME", ".cache").map(|cache| cache.join("harombe/tools/models"));
    let folders = data.into_iter().chain(cache);
    folders.map(|folder| folder.join(DEFAULT_MODEL)).collect()
}

#[cfg(test)]
mod tests {
    use super::folder;

    #[test]
    fn a_folder_without_a_model_is_refused_and_named() {
        let empty = tempfile::tempdir().unwrap();
        let error = folder(Some(empty.path().to_owned())).unwrap_err().to_string();
        assert!(error.contains(&empty.path().display().to_string()), "{error}");
        std::fs::write(empty.path().join("model.safetensors"), "x").unwrap();
        assert_eq!(folder(Some(empty.path().to_owned())).unwrap(), empty.path());
    }
}
