//! The signed checkpoints in order of size, read in pages beside the walk over the entries.

use std::collections::VecDeque;

use harombe_tlog::{Checkpoint, VerifyingKey};

use super::{Damage, Kind};
use crate::store::Snapshot;

const PAGE: u32 = 256;

/// The checkpoints that are still to come.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    page: VecDeque<(u64, String)>,
    after: i64,
    is_done: bool,
}

impl Checkpoints {
    pub(super) fn new() -> Self {
        Self {
            after: -1,
            ..Self::default()
        }
    }

    /// The size of the next checkpoint, as its row says.
    pub(super) async fn next_size(&mut self, db: &mut dyn Snapshot) -> Result<Option<u64>, Damage> {
        if self.page.is_empty() && !self.is_done {
            self.fill(db).await?;
        }
        Ok(self.page.front().map(|(size, _)| *size))
    }

    /// Takes the next checkpoint and checks that `key` signed it and that it is about the size that its row says.
    pub(super) fn open_next(&mut self, key: &VerifyingKey) -> Result<Option<Checkpoint>, Damage> {
        let Some((size, note)) = self.page.pop_front() else {
            return Ok(None);
        };
        let forged = |detail: String| Damage::new(Kind::ForgedCheckpoint, size.checked_sub(1), detail);
        let checkpoint = Checkpoint::open(note.as_bytes(), key).map_err(|error| forged(error.to_string()))?;
        if checkpoint.size() != size {
            return Err(forged(format!(
                "it is signed for {} entries and filed under {size}",
                checkpoint.size()
            )));
        }
        Ok(Some(checkpoint))
    }

    async fn fill(&mut self, db: &mut dyn Snapshot) -> Result<(), Damage> {
        let unreadable = |error: sqlx::Error| {
            let detail = format!("checkpoints: {error}");
            Damage::new(Kind::Unreadable, None, detail)
        };
        let rows = db.checkpoints(self.after, PAGE).await.map_err(unreadable)?;
        self.is_done = rows.is_empty();
        for (size, note) in rows {
            // An out of order key would make this loop for ever on a damaged file.
            if size <= self.after {
                return Err(Damage::new(
                    Kind::Unreadable,
                    None,
                    "checkpoints are not in order",
                ));
            }
            self.after = size;
            self.page.push_back((size.unsigned_abs(), note));
        }
        Ok(())
    }
}
