//! The store on a Postgres schema that several processes share. Nearly every method is one statement, so that it is one
//! way to the server and one fsync; each can be repeated, so that it is repeated when its connection breaks.

mod consolidation;
mod generations;
mod leases;
mod memories;
mod peers;
mod runs;
mod sessions;
mod statements;
mod turns;

use std::sync::Arc;

use async_trait::async_trait;
use harombe_sql::pg::PgConnection;
use harombe_sql::{Migrator, Postgres, PostgresConfig, UnitError, UnitFuture};
use harombe_types::{AgentName, RunId, RunPrincipal, SessionId, Timestamp, WorkspaceId};
use tokio::sync::Semaphore;

use super::memories::Outbox;
use super::newest::newest;
use super::rows::{active_runs, expired_page};
use super::{Store, Unit, refuse};
use crate::domain::{
    ActiveRuns, Begin, Begun, Belongings, Claimed, Entry, ErasedSession, Expired, ExpiredPage, Finish,
    Header, Held, Lease, Mark, NewEntry, Owner, Progress, Renewal, Room, Run, RunState, Selection, Session,
    StoredPage,
};
use crate::error::Error;

pub(crate) use peers::PostgresPeers;

static MIGRATIONS: Migrator = harombe_sql::migrate!("./migrations/postgres");
const SCHEMA: &str = "harombe_memory";

pub(crate) struct PostgresStore {
    postgres: Postgres,
    outbox: Outbox,
    /// Places for those who wait for their turn, and hold a connection meanwhile: others need some as well.
    takers: Semaphore,
}

impl PostgresStore {
    /// Opens the schema, making it when absent.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub(crate) async fn open(config: &PostgresConfig, outbox: Outbox) -> Result<Self, harombe_sql::Error> {
        let postgres = Postgres::open(config, SCHEMA, &MIGRATIONS).await?;
        let takers = usize::try_from(config.connections / 2).unwrap_or(1).max(1);
        Ok(Self {
            postgres,
            outbox,
            takers: Semaphore::new(takers),
        })
    }

    async fn at_once<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> UnitFuture<'c, T, Error> + Send + Sync,
    {
        at_once(&self.postgres, work).await
    }
}

/// Work that is whole in each of its statements.
async fn at_once<T, F>(postgres: &Postgres, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: for<'c> Fn(&'c mut PgConnection) -> UnitFuture<'c, T, Error> + Send + Sync,
{
    let done = postgres.idempotent(|connection| {
        let work = work(connection);
        Box::pin(async move {
            match work.await {
                Ok(done) => Ok(Ok(done)),
                Err(UnitError::Refused(refusal)) => Ok(Err(refusal)),
                Err(UnitError::Store(error)) => Err(error),
            }
        })
    });
    done.await?
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
impl Store for PostgresStore {
    async fn create_session(
        &self,
        owner: &Owner,
        id: SessionId,
        agent: &AgentName,
        now: Timestamp,
    ) -> Result<Session, Error> {
        self.at_once(with!(owner, agent; |connection| sessions::create(connection, &owner, id, &agent, now)))
            .await
    }

    async fn session(&self, owner: &Owner, id: SessionId) -> Result<Session, Error> {
        self.at_once(with!(owner; |connection| sessions::owned(connection, &owner, id)))
            .await?
            .try_into()
    }

    async fn sessions(
        &self,
        owner: &Owner,
        limit: u32,
        after: Option<SessionId>,
    ) -> Result<Vec<Session>, Error> {
        let rows = self.at_once(with!(owner; |connection| async {
            let start = match after {
                Some(after) => Some(sessions::owned(&mut *connection, &owner, after).await?),
                None => None,
            };
            Ok(sessions::page(connection, &owner, limit, start.as_ref()).await?)
        }));
        rows.await?.into_iter().map(TryInto::try_into).collect()
    }

    async fn delete_session(&self, owner: &Owner, id: SessionId) -> Result<Option<String>, Error> {
        Ok(self.erase_session(owner, id).await?.workspace)
    }

    async fn belongings(&self, owner: &Owner, sessions: u32, runs: u32) -> Result<Belongings, Error> {
        self.at_once(with!(owner; |connection| {
            memories::statements::belongings(connection, &owner, sessions, runs)
        }))
        .await
    }

    async fn erase_session(&self, owner: &Owner, id: SessionId) -> Result<ErasedSession, Error> {
        let outbox = self.outbox;
        let erased = self
            .postgres
            .transaction(with!(owner; |tx| sessions::delete(tx, &owner, id, outbox)));
        Ok(erased.await?)
    }

    async fn attach_workspace(
        &self,
        owner: &Owner,
        id: SessionId,
        workspace: WorkspaceId,
    ) -> Result<String, Error> {
        self.at_once(with!(owner, workspace; |connection| {
            sessions::attach(connection, &owner, id, &workspace)
        }))
        .await
    }

    async fn turns(&self, owner: &Owner, id: SessionId, selection: Selection) -> Result<StoredPage, Error> {
        self.at_once(with!(owner; |connection| async {
            let session = sessions::owned(&mut *connection, &owner, id).await?;
            let mut source = turns::Reader { connection, session: session.id };
            Ok(newest(&mut source, &session, selection).await?)
        }))
        .await
    }

    async fn begin_turn(&self, begin: Begin) -> Result<Begun, Error> {
        let begin = Arc::new(begin);
        let begun = self.at_once(with!(begin; |connection| turns::begin_at_once(connection, &begin)));
        if let Some(begun) = begun.await? {
            return Ok(begun);
        }
        let begun = self
            .postgres
            .transaction(with!(begin; |tx| turns::begin(tx, &begin)));
        if let Some(begun) = begun.await? {
            return Ok(begun);
        }
        let _place = self.takers.acquire().await;
        let begun = self
            .postgres
            .transaction(with!(begin; |tx| turns::begin_in_turn(tx, &begin)));
        Ok(begun.await?)
    }

    async fn finish_turn(&self, finish: Finish) -> Result<u64, Error> {
        let finish = Arc::new(finish);
        self.at_once(with!(finish; |connection| runs::finish(connection, &finish)))
            .await
    }

    async fn acquire_lease(
        &self,
        run: &RunPrincipal,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<(Lease, u64), Error> {
        self.at_once(with!(run; |connection| leases::acquire(connection, &run, now, expires)))
            .await
    }

    async fn renew_leases(&self, leases: Vec<Held>, expires: Timestamp) -> Result<Vec<Renewal>, Error> {
        let leases: Arc<[Held]> = leases.into();
        self.at_once(with!(leases; |connection| leases::renew(connection, &leases, expires)))
            .await
    }

    async fn release_lease(&self, run: &RunPrincipal, epoch: u64, now: Timestamp) -> Result<(), Error> {
        self.at_once(with!(run; |connection| leases::release(connection, &run, epoch, now)))
            .await
    }

    async fn expired(&self, now: Timestamp, after: Option<Mark>, limit: u32) -> Result<ExpiredPage, Error> {
        let rows = self.postgres.idempotent(|connection| {
            Box::pin(async move { Ok(leases::expired(connection, now, after, limit).await?) })
        });
        Ok(expired_page(rows.await?, limit))
    }

    async fn active(&self, now: Timestamp) -> Result<ActiveRuns, Error> {
        let counted = self
            .postgres
            .idempotent(|connection| Box::pin(async move { Ok(leases::active(connection, now).await?) }));
        Ok(active_runs(counted.await?))
    }

    async fn claim(
        &self,
        run: &Expired,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Option<Claimed>, Error> {
        self.at_once(with!(run; |connection| leases::claim(connection, &run, now, expires)))
            .await
    }

    async fn end(
        &self,
        run: &Expired,
        state: RunState,
        entries: Vec<NewEntry>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.at_once(with!(run, entries; |connection| leases::end(connection, &run, state, &entries, now)))
            .await
    }

    async fn append(
        &self,
        run: &RunPrincipal,
        epoch: u64,
        expected_cursor: u64,
        entries: Vec<NewEntry>,
        now: Timestamp,
    ) -> Result<Progress, Error> {
        let entries = Arc::new(entries);
        self.at_once(with!(run, entries; |connection| {
            runs::append(connection, &run, epoch, expected_cursor, &entries, now)
        }))
        .await
    }

    async fn request_cancel(&self, run: &RunPrincipal, reason: &str) -> Result<RunState, Error> {
        let reason: Arc<str> = reason.into();
        self.at_once(with!(run, reason; |connection| runs::request_cancel(connection, &run, &reason)))
            .await
    }

    async fn header(&self, run: &RunPrincipal) -> Result<Header, Error> {
        let row = self.at_once(with!(run; |connection| async {
            Ok(runs::header(connection, &run).await?)
        }));
        row.await?.ok_or(Error::NotFound("run"))?.try_into()
    }

    async fn run(&self, owner: &Owner, run: RunId) -> Result<Run, Error> {
        let row = self.at_once(with!(owner; |connection| async {
            Ok(runs::find(connection, &owner, run).await?)
        }));
        row.await?.ok_or(Error::NotFound("run"))?.try_into()
    }

    async fn entries(&self, owner: &Owner, run: RunId, after: u64, room: Room) -> Result<Vec<Entry>, Error> {
        let rows = self.at_once(with!(owner; |connection| async {
            Ok(runs::entries(connection, &owner, run, after, room).await?)
        }));
        Ok(rows.await?.into_iter().map(Into::into).collect())
    }

    async fn close(&self) {
        self.postgres.close().await;
    }
}
