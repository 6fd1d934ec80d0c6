//! The store on SQLite: reads through a pool, writes through the group-commit writer.

mod claimed;
mod consolidation;
mod entries;
mod generations;
mod leases;
mod memories;
mod runs;
mod sessions;
mod turns;

use std::path::Path;

use async_trait::async_trait;
use harombe_sql::{Connection, Database, Limits, UnitFuture, Units, WriteAheadLog};
use harombe_types::{AgentName, RunId, RunPrincipal, SessionId, Tenant, Timestamp, WorkspaceId};

use crate::domain::{
    ActiveRuns, Begin, Begun, Belongings, Claimed, Entry, ErasedSession, Expired, ExpiredPage, Finish,
    Header, Held, Lease, Mark, NewEntry, Owner, Progress, Renewal, Room, Run, RunState, Selection, Session,
    StoredPage,
};
use crate::error::Error;
use crate::store::memories::Outbox;
use crate::store::newest::newest;
use crate::store::rows::{SessionRow, active_runs, expired_page};
use crate::store::{Store, Unit, refuse};

static MIGRATIONS: harombe_sql::Migrator = harombe_sql::migrate!("./migrations/sqlite");

pub(crate) struct SqliteStore {
    database: Database,
    units: Units<Lane>,
    outbox: Outbox,
    log: WriteAheadLog,
}

/// Whose turn it is to write: no tenant's writes wait for all of another's, nor do the leases that nodes hold or what the
/// vectors were told.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Lane {
    Of(Tenant),
    Leases,
    /// What the vectors were told.
    Vectors,
    /// What came of looking at changes again.
    Consolidation,
    /// Steps of all tenants that the audit log has refused.
    Steps,
}

impl SqliteStore {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub(crate) async fn open(path: &Path, outbox: Outbox) -> Result<Self, harombe_sql::Error> {
        let (database, writer) = Database::open(path, &MIGRATIONS).await?;
        Ok(Self {
            database,
            units: Units::start(writer, Limits::default()),
            outbox,
            log: WriteAheadLog::of(path),
        })
    }

    /// Runs a unit in the tenant's lane.
    async fn write<T, F>(&self, tenant: &Tenant, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, T, Error> + Send + 'static,
    {
        self.write_in(&Lane::Of(tenant.clone()), unit).await
    }

    async fn write_in<T, F>(&self, lane: &Lane, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, T, Error> + Send + 'static,
    {
        self.units
            .run(lane, unit)
            .await
            .map_err(|error| match Error::from(error) {
                Error::Store(error) => Error::Store(error.located(self.database.path())),
                error => error,
            })
    }

    async fn session_row(&self, owner: &Owner, id: SessionId) -> Result<SessionRow, Error> {
        let row = sessions::find(self.database.readers(), owner, id).await;
        row.map_err(|error| self.read_failed(error))?
            .ok_or(Error::NotFound("session"))
    }

    fn read_failed(&self, error: sqlx::Error) -> Error {
        Error::Store(self.database.error(error))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_session(
        &self,
        owner: &Owner,
        id: SessionId,
        agent: &AgentName,
        now: Timestamp,
    ) -> Result<Session, Error> {
        let (owner, agent) = (owner.clone(), agent.clone());
        let tenant = owner.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(sessions::create(tx, owner, id, agent, now))
        })
        .await
    }

    async fn session(&self, owner: &Owner, id: SessionId) -> Result<Session, Error> {
        self.session_row(owner, id).await?.try_into()
    }

    async fn sessions(
        &self,
        owner: &Owner,
        limit: u32,
        after: Option<SessionId>,
    ) -> Result<Vec<Session>, Error> {
        let start = match after {
            Some(after) => Some(self.session_row(owner, after).await?),
            None => None,
        };
        let rows = sessions::page(self.database.readers(), owner, limit, start.as_ref()).await;
        rows.map_err(|error| self.read_failed(error))?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    async fn delete_session(&self, owner: &Owner, id: SessionId) -> Result<Option<String>, Error> {
        let session = self.erase_session(owner, id).await?;
        self.log.empty().await;
        Ok(session.workspace)
    }

    async fn belongings(&self, owner: &Owner, sessions: u32, runs: u32) -> Result<Belongings, Error> {
        let owner = owner.clone();
        self.read(|reader| {
            Box::pin(async move { memories::statements::belongings(reader, &owner, sessions, runs).await })
        })
        .await
    }

    async fn erase_session(&self, owner: &Owner, id: SessionId) -> Result<ErasedSession, Error> {
        let (owner, outbox) = (owner.clone(), self.outbox);
        let (tenant, log) = (owner.tenant.clone(), self.log.clone());
        self.write(&tenant, move |tx| {
            log.mark_full();
            Box::pin(sessions::delete(tx, owner, id, outbox))
        })
        .await
    }

    async fn attach_workspace(
        &self,
        owner: &Owner,
        id: SessionId,
        workspace: WorkspaceId,
    ) -> Result<String, Error> {
        let owner = owner.clone();
        let tenant = owner.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(sessions::attach(tx, owner, id, workspace))
        })
        .await
    }

    async fn turns(&self, owner: &Owner, id: SessionId, selection: Selection) -> Result<StoredPage, Error> {
        let owner = owner.clone();
        self.read_at_once(|connection| {
            Box::pin(async move {
                let session = sessions::owned(&mut *connection, &owner, id).await?;
                let mut source = turns::Reader {
                    connection,
                    session: session.id,
                };
                Ok(newest(&mut source, &session, selection).await?)
            })
        })
        .await
    }

    async fn begin_turn(&self, begin: Begin) -> Result<Begun, Error> {
        let tenant = begin.run.tenant.clone();
        self.write(&tenant, move |tx| Box::pin(turns::begin(tx, begin)))
            .await
    }

    async fn finish_turn(&self, finish: Finish) -> Result<u64, Error> {
        let tenant = finish.run.tenant.clone();
        self.write(&tenant, move |tx| Box::pin(turns::finish(tx, finish)))
            .await
    }

    async fn acquire_lease(
        &self,
        run: &RunPrincipal,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<(Lease, u64), Error> {
        let run = run.clone();
        let tenant = run.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(leases::acquire(tx, run, now, expires))
        })
        .await
    }

    async fn renew_leases(&self, leases: Vec<Held>, expires: Timestamp) -> Result<Vec<Renewal>, Error> {
        self.write_in(&Lane::Leases, move |tx| {
            Box::pin(leases::renew(tx, leases, expires))
        })
        .await
    }

    async fn release_lease(&self, run: &RunPrincipal, epoch: u64, now: Timestamp) -> Result<(), Error> {
        let run = run.clone();
        let tenant = run.tenant.clone();
        self.write(&tenant, move |tx| Box::pin(leases::release(tx, run, epoch, now)))
            .await
    }

    async fn expired(&self, now: Timestamp, after: Option<Mark>, limit: u32) -> Result<ExpiredPage, Error> {
        let rows = leases::expired(self.database.readers(), now, after, limit).await;
        let rows = rows.map_err(|error| self.read_failed(error))?;
        Ok(expired_page(rows, limit))
    }

    async fn active(&self, now: Timestamp) -> Result<ActiveRuns, Error> {
        let counted = leases::active(self.database.readers(), now).await;
        Ok(active_runs(counted.map_err(|error| self.read_failed(error))?))
    }

    async fn claim(
        &self,
        run: &Expired,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Option<Claimed>, Error> {
        let expired = run.clone();
        self.write(&run.tenant, move |tx| {
            Box::pin(leases::claim(tx, expired, now, expires))
        })
        .await
    }

    async fn end(
        &self,
        run: &Expired,
        state: RunState,
        entries: Vec<NewEntry>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let expired = run.clone();
        self.write(&run.tenant, move |tx| {
            Box::pin(leases::end(tx, expired, state, entries, now))
        })
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
        let run = run.clone();
        let tenant = run.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(entries::append(tx, run, epoch, expected_cursor, entries, now))
        })
        .await
    }

    async fn request_cancel(&self, run: &RunPrincipal, reason: &str) -> Result<RunState, Error> {
        let (run, reason) = (run.clone(), reason.to_owned());
        let tenant = run.tenant.clone();
        self.write(&tenant, move |tx| Box::pin(runs::request_cancel(tx, run, reason)))
            .await
    }

    async fn header(&self, run: &RunPrincipal) -> Result<Header, Error> {
        let row = runs::header(self.database.readers(), run).await;
        row.map_err(|error| self.read_failed(error))?
            .ok_or(Error::NotFound("run"))?
            .try_into()
    }

    async fn run(&self, owner: &Owner, run: RunId) -> Result<Run, Error> {
        let row = runs::find(self.database.readers(), owner, run).await;
        row.map_err(|error| self.read_failed(error))?
            .ok_or(Error::NotFound("run"))?
            .try_into()
    }

    async fn entries(&self, owner: &Owner, run: RunId, after: u64, room: Room) -> Result<Vec<Entry>, Error> {
        let rows = entries::page(self.database.readers(), owner, run, after, room).await;
        Ok(rows
            .map_err(|error| self.read_failed(error))?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    async fn close(&self) {
        // The writer last: SQLite folds its write-ahead log into the file when the last connection closes.
        self.database.close().await;
        self.units.shutdown().await;
    }
}
