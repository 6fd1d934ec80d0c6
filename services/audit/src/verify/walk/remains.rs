//! What must hold once all entries were seen: nothing is missing at the end, and nothing is there that no entry explains.

use std::collections::HashMap;

use harombe_sql::Connection;
use sqlx::Row as _;

use super::super::{Damage, Kind};
use super::Walk;

impl Walk {
    /// The damage behind a gap in the indexes: something removed, unless nothing signed reaches beyond it.
    pub(super) async fn missing(
        &mut self,
        db: &mut Connection,
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

    pub(super) async fn check_end(&mut self, db: &mut Connection) -> Result<(), Damage> {
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
        if let Some(published) = self
            .published
            .as_ref()
            .filter(|published| published.size() > size)
        {
            return Err(cut(published.size(), "the published checkpoint"));
        }
        self.check_tables(db).await
    }

    async fn check_tables(&self, db: &mut Connection) -> Result<(), Damage> {
        let unreadable = |error: sqlx::Error| Damage::new(Kind::Unreadable, None, error.to_string());
        let tiles: i64 = sqlx::query_scalar("SELECT count(*) FROM tiles")
            .fetch_one(&mut *db)
            .await
            .map_err(unreadable)?;
        if tiles.unsigned_abs() != self.tiles {
            let detail = format!("{tiles} tiles are stored, the entries fill {}", self.tiles);
            return Err(Damage::new(Kind::TreeChanged, None, detail));
        }
        let mut tenants = HashMap::new();
        for row in sqlx::query("SELECT tenant, seq FROM tenants")
            .fetch_all(&mut *db)
            .await
            .map_err(unreadable)?
        {
            let tenant: String = row.try_get(0).map_err(unreadable)?;
            let seq: i64 = row.try_get(1).map_err(unreadable)?;
            tenants.insert(tenant, seq.unsigned_abs());
        }
        if tenants != *self.sequences.tenants() {
            return Err(Damage::new(
                Kind::Inconsistent,
                None,
                "the tenants' last numbers are not those of the entries",
            ));
        }
        let negative: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM entries WHERE idx < 0) + (SELECT count(*) FROM checkpoints WHERE size < 0)",
        )
        .fetch_one(db)
        .await
        .map_err(unreadable)?;
        if negative > 0 {
            return Err(Damage::new(Kind::Inserted, None, "rows before the first entry"));
        }
        Ok(())
    }
}
