//! Memories on SQLite.

use async_trait::async_trait;
use harombe_sql::{Connection, UnitError, UnitFuture};
use harombe_types::{MemoryId, Timestamp};
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Sqlite};
use uuid::Uuid;

use super::{Lane, SqliteStore, Unit};
use crate::domain::{
    Change, Changed, Choice, Erasure, Listing, Memory, Owner, Part, Remembering, Revision, Saved, Saving,
    SessionTurn, Stats, Step, Stored, Unremembered, Unshown, Work,
};
use crate::error::Error;
use crate::store::memories::MemoryStore;

/// Whether a column is in a list that is given as JSON; bytes as hexadecimal digits.
macro_rules! among {
    (bytes $list:literal) => {
        concat!("IN (SELECT unhex(value) FROM json_each(", $list, "))")
    };
    (text $list:literal) => {
        concat!("IN (SELECT value FROM json_each(", $list, "))")
    };
    (number $list:literal) => {
        concat!("IN (SELECT value FROM json_each(", $list, "))")
    };
}

/// A list that is given as JSON as a table of values and their places in it.
macro_rules! in_order {
    (bytes $list:literal) => {
        concat!(
            "(SELECT key AS nth, unhex(value) AS value FROM json_each(",
            $list,
            "))"
        )
    };
}

/// There is one writer: what it has read is locked.
macro_rules! locked {
    () => {
        ""
    };
}

#[path = "../memories/statements.rs"]
pub(super) mod statements;

pub(super) use statements::erase_session;

/// Nobody else writes at the same time.
async fn take_turn(_tx: &mut Connection, _owner: &Owner) -> Unit<()> {
    Ok(())
}

/// As [`take_turn`].
async fn no_new_generation(_tx: &mut Connection) -> Unit<()> {
    Ok(())
}

impl SqliteStore {
    async fn reader(&self) -> Result<PoolConnection<Sqlite>, Error> {
        let reader = self.database.readers().acquire().await;
        reader.map_err(|error| self.read_failed(error))
    }

    /// Runs statements that only read.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, T, Error>,
    {
        let mut reader = self.reader().await?;
        read(&mut reader).await.map_err(|error| self.not_read(error))
    }

    /// As [`Self::read`], all as of one moment: what a later statement names by the number of a row could be another's by then.
    pub(super) async fn read_at_once<T, F>(&self, read: F) -> Result<T, Error>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, T, Error>,
    {
        let mut reader = self.reader().await?;
        let mut moment = reader.begin().await.map_err(|error| self.read_failed(error))?;
        let answer = read(&mut moment).await.map_err(|error| self.not_read(error))?;
        moment.commit().await.map_err(|error| self.read_failed(error))?;
        Ok(answer)
    }

    fn not_read(&self, error: UnitError<Error>) -> Error {
        match error {
            UnitError::Refused(refusal) => refusal,
            UnitError::Store(error) => Error::Store(error.located(self.database.path())),
        }
    }
}

#[async_trait]
impl MemoryStore for SqliteStore {
    async fn save(&self, saving: Saving) -> Result<Saved, Error> {
        let tenant = saving.owner.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(async move { statements::save_asked(tx, &saving).await })
        })
        .await
    }

    async fn recorded(&self, step: &Step, index: u64) -> Result<(), Error> {
        let (step, kept) = (step.clone(), self.outbox);
        let tenant = step.owner.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(async move { statements::recorded(tx, &step, index, kept).await })
        })
        .await
    }

    async fn set_aside(&self, step: &Step) -> Result<bool, Error> {
        let event = step.event;
        self.write(&step.owner.tenant, move |tx| {
            Box::pin(statements::set_aside(tx, event))
        })
        .await
    }

    async fn take_up_again(&self) -> Result<u64, Error> {
        self.write_in(&Lane::Steps, |tx| Box::pin(statements::take_up_again(tx)))
            .await
    }

    async fn unrecorded(&self, before: Timestamp, after: Timestamp, limit: u32) -> Result<Vec<Step>, Error> {
        self.read(|reader| Box::pin(statements::unrecorded(reader, before, after, limit)))
            .await
    }

    async fn revision(&self, owner: &Owner) -> Result<Revision, Error> {
        let owner = owner.clone();
        self.read(|reader| Box::pin(async move { statements::revision(reader, &owner).await }))
            .await
    }

    async fn changed_since(&self, owner: &Owner, rev: u64, limit: u32) -> Result<Vec<Memory>, Error> {
        let owner = owner.clone();
        self.read(|reader| {
            Box::pin(async move { statements::changed_since(reader, &owner, rev, limit).await })
        })
        .await
    }

    async fn at_points(&self, owner: &Owner, points: &[Uuid]) -> Result<Vec<Memory>, Error> {
        let (owner, points) = (owner.clone(), points.to_vec());
        self.read(|reader| Box::pin(async move { statements::at_points(reader, &owner, &points).await }))
            .await
    }

    async fn best_of(&self, owner: &Owner, choice: &Choice) -> Result<Vec<Memory>, Error> {
        let (owner, choice) = (owner.clone(), choice.clone());
        self.read(|reader| Box::pin(async move { statements::best_of(reader, &owner, &choice).await }))
            .await
    }

    async fn memory(&self, owner: &Owner, id: MemoryId) -> Result<Memory, Error> {
        let owner = owner.clone();
        self.read(|reader| Box::pin(async move { statements::memory(reader, &owner, id).await }))
            .await
    }

    async fn list(&self, owner: &Owner, listing: &Listing) -> Result<Vec<Memory>, Error> {
        let (owner, listing) = (owner.clone(), listing.clone());
        self.read(|reader| Box::pin(async move { statements::list(reader, &owner, &listing).await }))
            .await
    }

    async fn summaries_of_unshown(&self, owner: &Owner, unshown: &Unshown) -> Result<Vec<Memory>, Error> {
        let (owner, unshown) = (owner.clone(), unshown.clone());
        self.read(|reader| {
            Box::pin(async move { statements::summaries_of_unshown(reader, &owner, &unshown).await })
        })
        .await
    }

    async fn all_after(&self, owner: &Owner, seq: u64, limit: u32) -> Result<Vec<Memory>, Error> {
        let owner = owner.clone();
        self.read(|reader| Box::pin(async move { statements::all_after(reader, &owner, seq, limit).await }))
            .await
    }

    async fn stats(&self, owner: &Owner) -> Result<Stats, Error> {
        let owner = owner.clone();
        self.read(|reader| Box::pin(async move { statements::stats(reader, &owner).await }))
            .await
    }

    async fn change(&self, change: Change) -> Result<Changed, Error> {
        let tenant = change.owner.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(async move { statements::change(tx, &change).await })
        })
        .await
    }

    async fn erase(&self, erasure: Erasure) -> Result<Vec<Step>, Error> {
        let (tenant, kept) = (erasure.owner.tenant.clone(), self.outbox);
        let log = self.log.clone();
        let steps = self.write(&tenant, move |tx| {
            log.mark_full();
            Box::pin(async move { statements::erase(tx, &erasure, kept).await })
        });
        let steps = steps.await?;
        self.log.empty().await;
        Ok(steps)
    }

    async fn erase_person(&self, owner: &Owner, limit: u32) -> Result<Part, Error> {
        let (owner, kept) = (owner.clone(), self.outbox);
        let (tenant, log) = (owner.tenant.clone(), self.log.clone());
        let erased = self.write(&tenant, move |tx| {
            log.mark_full();
            Box::pin(async move { statements::erase_person(tx, &owner, limit, kept).await })
        });
        let part = erased.await?;
        self.log.empty().await;
        Ok(part)
    }

    async fn steps_of(&self, owner: &Owner, limit: u32) -> Result<Vec<Step>, Error> {
        let owner = owner.clone();
        self.read(|reader| Box::pin(async move { statements::steps_of(reader, &owner, limit).await }))
            .await
    }

    async fn sweep(&self) -> Result<(), Error> {
        self.log.empty_what_was_left().await;
        Ok(())
    }

    async fn due_erasures(&self, now: Timestamp, limit: u32) -> Result<Vec<Owner>, Error> {
        self.read(|reader| Box::pin(statements::due_erasures(reader, now, limit)))
            .await
    }

    async fn unremembered(&self, limit: u32) -> Result<Vec<Unremembered>, Error> {
        self.read(|reader| Box::pin(statements::unremembered(reader, limit)))
            .await
    }

    async fn said_in(&self, run: &Unremembered) -> Result<Option<SessionTurn>, Error> {
        let run = run.clone();
        self.read_at_once(|reader| Box::pin(async move { statements::said_in(reader, &run).await }))
            .await
    }

    async fn remember(&self, turns: Remembering) -> Result<Saved, Error> {
        let tenant = turns.owner.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(async move { statements::remember(tx, &turns).await })
        })
        .await
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<Work>, Error> {
        self.read(|reader| Box::pin(statements::works(reader, limit)))
            .await
    }

    async fn finished(&self, works: &[u64]) -> Result<(), Error> {
        let works = works.to_vec();
        self.write_in(&Lane::Vectors, move |tx| {
            Box::pin(async move { statements::finished(tx, &works).await })
        })
        .await
    }

    async fn stored(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Stored>, Error> {
        self.read(|reader| Box::pin(statements::stored(reader, after, limit)))
            .await
    }
}
