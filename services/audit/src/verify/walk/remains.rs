//! What must hold once all entries were seen: nothing is missing at the end, and nothing is there that no entry explains.

use super::super::{Damage, Kind};
use super::Walk;
use crate::store::Snapshot;

impl Walk {
    /// The damage behind a gap in the indexes: something removed, unless nothing signed reaches beyond it.
    pub(super) async fn missing(
        &mut self,
        db: &mut dyn Snapshot,
        next: u64,
        found: u64,
    ) -> Result<Damage, Damage> {
        let signed_beyond = self.checkpoints.next_size(db).await?.is_some();
        let kind = if signed_beyond {
            Kind::Removed
        } else {
            Kind::Inserted
        };
        let entry = if signed_beyond { next } else { found };
        Ok(Damage::new(
            kind,
            Some(entry),
            format!("after entry {} comes entry {found}", next.saturating_sub(1)),
        ))
    }

    pub(super) async fn check_end(&mut self, db: &mut dyn Snapshot) -> Result<(), Damage> {
        let size = self.tree.size();
        let cut = |promised: u64, by: &str| {
            Damage::new(
                Kind::CutTail,
                Some(size),
                format!("{by} is over {promised} entries, {size} are there"),
            )
        };
        if let Some(promised) = self.checkpoints.next_size(db).await? {
            return Err(cut(promised, "a signed checkpoint"));
        }
        if !self.unsigned.is_empty() {
            let first = self.signed.size();
            return Err(Damage::new(
                Kind::Inserted,
                Some(first),
                "no checkpoint was signed over it",
            ));
        }
        let beyond = self.kept.iter().filter(|kept| kept.checkpoint.size() > size);
        if let Some(kept) = beyond.max_by_key(|kept| kept.checkpoint.size()) {
            return Err(cut(kept.checkpoint.size(), kept.name));
        }
        self.check_tables(db).await
    }

    async fn check_tables(&self, db: &mut dyn Snapshot) -> Result<(), Damage> {
        let unreadable = |error: sqlx::Error| Damage::new(Kind::Unreadable, None, error.to_string());
        let tiles = db.tile_count().await.map_err(unreadable)?;
        if tiles != self.tiles {
            let detail = format!("{tiles} tiles are stored, the entries fill {}", self.tiles);
            return Err(Damage::new(Kind::TreeChanged, None, detail));
        }
        let tenants = db.tenants().await.map_err(unreadable)?;
        if tenants != *self.sequences.tenants() {
            return Err(Damage::new(
                Kind::Inconsistent,
                None,
                "the tenants' last numbers are not those of the entries",
            ));
        }
        if db.strays().await.map_err(unreadable)? > 0 {
            return Err(Damage::new(Kind::Inserted, None, "rows before the first entry"));
        }
        Ok(())
    }
}
