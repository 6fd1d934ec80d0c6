//! Memories on Postgres. Whatever changes some of an owner's is one transaction that holds the owner.

use std::sync::Arc;

use async_trait::async_trait;
use harombe_sql::UnitFuture;
use harombe_sql::pg::PgConnection as Connection;
use harombe_types::{MemoryId, Timestamp};
use uuid::Uuid;

use super::{PostgresStore, SCHEMA, Unit};
use crate::domain::{
    Change, Changed, Choice, Erasure, Listing, Memory, Owner, Part, Remembering, Revision, Saved, Saving,
    SessionTurn, Stats, Step, Stored, Unremembered, Unshown, Work,
};
use crate::error::Error;
use crate::store::memories::MemoryStore;

/// Whether a column is in a list that is given as JSON; bytes as hexadecimal digits.
macro_rules! among {
    (bytes $list:literal) => {
        concat!(
            "IN (SELECT decode(value, 'hex') FROM json_array_elements_text(CAST(",
            $list,
            " AS json)) AS listed (value))"
        )
    };
    (text $list:literal) => {
        concat!(
            "IN (SELECT value FROM json_array_elements_text(CAST(",
            $list,
            " AS json)) AS listed (value))"
        )
    };
    (number $list:literal) => {
        concat!(
            "IN (SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(",
            $list,
            " AS json)) AS listed (value))"
        )
    };
}

/// A list that is given as JSON as a table of values and their places in it.
macro_rules! in_order {
    (bytes $list:literal) => {
        concat!(
            "(SELECT nth, decode(value, 'hex') AS value FROM json_array_elements_text(CAST(",
            $list,
            " AS json)) WITH ORDINALITY AS listed (value, nth))"
        )
    };
}

macro_rules! locked {
    () => {
        " FOR UPDATE"
    };
}

#[expect(
    clippy::duplicate_mod,
    reason = "the same statements, compiled for each database (ADR 24)"
)]
#[path = "../memories/statements.rs"]
pub(super) mod statements;

pub(super) use statements::erase_session;

/// Waits until nobody else near the tenant's limit saves; the turn is over when the transaction ends.
async fn take_turn(tx: &mut Connection, owner: &Owner) -> Unit<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))")
        .bind(format!("{SCHEMA} {}", owner.tenant))
        .execute(tx)
        .await?;
    Ok(())
}

/// Waits for who has begun to add one; nobody else does until the transaction ends.
async fn no_new_generation(tx: &mut Connection) -> Unit<()> {
    sqlx::query("LOCK TABLE generations IN SHARE MODE")
        .execute(tx)
        .await?;
    Ok(())
}

impl PostgresStore {
    /// Does work that may be repeated as long as it was not committed. Whoever waits for an owner holds a connection: half of
    /// them stay for others.
    pub(super) async fn whole<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Connection) -> UnitFuture<'c, T, Error> + Send + Sync,
    {
        let _place = self.takers.acquire().await;
        Ok(self.postgres.transaction(work).await?)
    }
}

/// A future of `work` with its own copies of what it needs.
macro_rules! with {
    ($($name:ident),+; |$connection:ident| $work:expr) => {
        |$connection| {
            $(let $name = $name.clone();)+
            Box::pin(async move { $work.await })
        }
    };
}

#[async_trait]
impl MemoryStore for PostgresStore {
    async fn save(&self, saving: Saving) -> Result<Saved, Error> {
        let saving = Arc::new(saving);
        self.whole(with!(saving; |tx| statements::save_asked(tx, &saving)))
            .await
    }

    async fn recorded(&self, step: &Step, index: u64) -> Result<(), Error> {
        let kept = self.outbox;
        self.whole(with!(step; |tx| statements::recorded(tx, &step, index, kept)))
            .await
    }

    async fn set_aside(&self, step: &Step) -> Result<bool, Error> {
        let event = step.event;
        self.whole(move |tx| Box::pin(statements::set_aside(tx, event)))
            .await
    }

    async fn take_up_again(&self) -> Result<u64, Error> {
        self.whole(|tx| Box::pin(statements::take_up_again(tx))).await
    }

    async fn unrecorded(&self, before: Timestamp, after: Timestamp, limit: u32) -> Result<Vec<Step>, Error> {
        self.at_once(|connection| Box::pin(statements::unrecorded(connection, before, after, limit)))
            .await
    }

    async fn revision(&self, owner: &Owner) -> Result<Revision, Error> {
        self.at_once(with!(owner; |connection| statements::revision(connection, &owner)))
            .await
    }

    async fn changed_since(&self, owner: &Owner, rev: u64, limit: u32) -> Result<Vec<Memory>, Error> {
        self.at_once(with!(owner; |connection| statements::changed_since(connection, &owner, rev, limit)))
            .await
    }

    async fn at_points(&self, owner: &Owner, points: &[Uuid]) -> Result<Vec<Memory>, Error> {
        let points: Arc<[Uuid]> = points.into();
        self.at_once(with!(owner, points; |connection| statements::at_points(connection, &owner, &points)))
            .await
    }

    async fn best_of(&self, owner: &Owner, choice: &Choice) -> Result<Vec<Memory>, Error> {
        let choice = Arc::new(choice.clone());
        self.at_once(with!(owner, choice; |connection| statements::best_of(connection, &owner, &choice)))
            .await
    }

    async fn memory(&self, owner: &Owner, id: MemoryId) -> Result<Memory, Error> {
        self.at_once(with!(owner; |connection| statements::memory(connection, &owner, id)))
            .await
    }

    async fn list(&self, owner: &Owner, listing: &Listing) -> Result<Vec<Memory>, Error> {
        self.at_once(with!(owner, listing; |connection| statements::list(connection, &owner, &listing)))
            .await
    }

    async fn summaries_of_unshown(&self, owner: &Owner, unshown: &Unshown) -> Result<Vec<Memory>, Error> {
        self.at_once(
            with!(owner, unshown; |connection| statements::summaries_of_unshown(connection, &owner, &unshown)),
        )
        .await
    }

    async fn all_after(&self, owner: &Owner, seq: u64, limit: u32) -> Result<Vec<Memory>, Error> {
        self.at_once(with!(owner; |connection| statements::all_after(connection, &owner, seq, limit)))
            .await
    }

    async fn stats(&self, owner: &Owner) -> Result<Stats, Error> {
        self.at_once(with!(owner; |connection| statements::stats(connection, &owner)))
            .await
    }

    async fn change(&self, change: Change) -> Result<Changed, Error> {
        let change = Arc::new(change);
        self.whole(with!(change; |tx| statements::change(tx, &change)))
            .await
    }

    async fn erase(&self, erasure: Erasure) -> Result<Vec<Step>, Error> {
        let (erasure, kept) = (Arc::new(erasure), self.outbox);
        self.whole(with!(erasure; |tx| statements::erase(tx, &erasure, kept)))
            .await
    }

    async fn erase_person(&self, owner: &Owner, limit: u32) -> Result<Part, Error> {
        let kept = self.outbox;
        self.whole(with!(owner; |tx| statements::erase_person(tx, &owner, limit, kept)))
            .await
    }

    async fn steps_of(&self, owner: &Owner, limit: u32) -> Result<Vec<Step>, Error> {
        self.at_once(with!(owner; |connection| statements::steps_of(connection, &owner, limit)))
            .await
    }

    async fn sweep(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn due_erasures(&self, now: Timestamp, limit: u32) -> Result<Vec<Owner>, Error> {
        self.at_once(|connection| Box::pin(statements::due_erasures(connection, now, limit)))
            .await
    }

    async fn unremembered(&self, limit: u32) -> Result<Vec<Unremembered>, Error> {
        self.at_once(|connection| Box::pin(statements::unremembered(connection, limit)))
            .await
    }

    async fn said_in(&self, run: &Unremembered) -> Result<Option<SessionTurn>, Error> {
        self.at_once(with!(run; |connection| statements::said_in(connection, &run)))
            .await
    }

    async fn remember(&self, turns: Remembering) -> Result<Saved, Error> {
        self.whole(with!(turns; |tx| statements::remember(tx, &turns)))
            .await
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<Work>, Error> {
        self.at_once(|connection| Box::pin(statements::works(connection, limit)))
            .await
    }

    async fn finished(&self, works: &[u64]) -> Result<(), Error> {
        let works: Arc<[u64]> = works.into();
        self.at_once(with!(works; |connection| statements::finished(connection, &works)))
            .await
    }

    async fn stored(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Stored>, Error> {
        self.at_once(|connection| Box::pin(statements::stored(connection, after, limit)))
            .await
    }
}
