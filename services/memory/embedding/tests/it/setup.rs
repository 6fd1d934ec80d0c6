//! Where the real model is.

use std::path::{Path, PathBuf};

/// The folder that `deploy/setup/models.sh` fills.
pub(crate) fn model() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let folder = cache.join("harombe/tools/models/all-minilm-l6-v2");
    assert!(
        folder.is_dir(),
        "no model in {}; run deploy/setup/models.sh",
        folder.display()
    );
    folder
}

/// A folder with links (hard where possible) to the real files, to be altered by a test.
pub(crate) fn copy(to: &Path) {
    for file in ["model.safetensors", "tokenizer.json"] {
        let (from, to) = (model().join(file), to.join(file));
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}
