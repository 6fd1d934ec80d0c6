//! The store on one SQLite file, with the shared group-commit writer.

mod writes;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use harombe_sql::{Connection, Database, Error, Limits, Migrator, UnitError, Units, WriteAheadLog};
use harombe_types::{ApprovalId, CallId, Clock, RunId, Subject, Tenant, Timestamp};
use sqlx::sqlite::SqliteRow;

use super::statements::{
    self, BY_CALL, BY_ID, OF_SUBJECT, OPEN, OVERDUE, REDEMPTION, UNRECORDED, UNRECORDED_REDEMPTIONS, WAITING,
};
use super::{CallName, Mark, Page, Store, call_texts, rows};
use crate::domain::{Added, Approval, Decided, Kept, PendingLimits, Redemption};

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/sqlite");

const REMOVE_DECIDED: &str = "DELETE FROM approvals WHERE approval_id IN (SELECT approval_id FROM approvals \
                              WHERE decided_at < ? AND request_recorded AND decision_recorded \
                              ORDER BY decided_at LIMIT ?)";

/// Requests that are erased in one write: each is as large as its call, and nobody's write shall wait for many.
const ERASED_AT_ONCE: usize = 4;

/// SQLite adapter. Writers take turns by tenant.
pub(crate) struct SqliteStore {
    database: Database,
    units: Units<Option<Tenant>>,
    log: WriteAheadLog,
}

impl SqliteStore {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let (database, writer) = Database::open(path, &MIGRATIONS).await?;
        Ok(Self {
            database,
            units: Units::start(writer, Limits::default()),
            log: WriteAheadLog::of(path),
        })
    }

    async fn write<T, F>(&self, tenant: Option<&Tenant>, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> harombe_sql::UnitFuture<'c, T, Infallible> + Send + 'static,
    {
        self.units
            .run(&tenant.cloned(), unit)
            .await
            .map_err(|error| match error {
                UnitError::Store(error) => error,
                UnitError::Refused(never) => match never {},
            })
    }

    /// Pages are overwritten as the file was opened; what was written before is still in the log.
    async fn delete(
        &self,
        tenant: &Tenant,
        subject: &Subject,
        requests: &[ApprovalId],
    ) -> Result<u64, Error> {
        let mut deleted = 0;
        for part in requests.chunks(ERASED_AT_ONCE) {
            let (part, owner, subject) = (part.to_vec(), tenant.clone(), subject.clone());
            let log = self.log.clone();
            let done = self.write(Some(tenant), move |tx| {
                log.mark_full();
                Box::pin(async move { Ok(writes::erase(tx, &owner, &subject, &part).await?) })
            });
            deleted += done.await?;
        }
        Ok(deleted)
    }

    async fn one<T>(
        &self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        read: fn(&SqliteRow) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let row = query.fetch_optional(self.database.readers()).await;
        row.map_err(|error| self.database.error(error))?
            .as_ref()
            .map(read)
            .transpose()
    }

    async fn many<T>(
        &self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        read: fn(&SqliteRow) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let rows = query.fetch_all(self.database.readers()).await;
        rows.map_err(|error| self.database.error(error))?
            .iter()
            .map(read)
            .collect()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn add_approval(&self, approval: Approval, most: PendingLimits) -> Result<Added, Error> {
        let tenant = approval.tenant().clone();
        self.write(Some(&tenant), move |tx| {
            Box::pin(async move { Ok(writes::insert_approval(tx, approval, most).await?) })
        })
        .await
    }

    async fn approval(&self, tenant: &Tenant, id: ApprovalId) -> Result<Option<Approval>, Error> {
        self.one(
            sqlx::query(BY_ID).bind(id.to_string()).bind(tenant.as_str()),
            rows::approval,
        )
        .await
    }

    async fn approval_of(
        &self,
        tenant: &Tenant,
        run: RunId,
        call: CallId,
    ) -> Result<Option<Approval>, Error> {
        let query = sqlx::query(BY_CALL)
            .bind(tenant.as_str())
            .bind(run.to_string())
            .bind(call.to_string());
        self.one(query, rows::approval).await
    }

    async fn approvals(&self, tenant: &Tenant, page: Page) -> Result<Vec<Approval>, Error> {
        let (at, id) = page.beyond();
        let query = sqlx::query(statements::page(page.which, page.order))
            .bind(tenant.as_str())
            .bind(at)
            .bind(id)
            .bind(page.limit)
            .bind(page.most_bytes());
        self.many(query, rows::approval).await
    }

    async fn decide(
        &self,
        tenant: &Tenant,
        id: ApprovalId,
        decided: Decided,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Approval>, Error> {
        let (owner, clock) = (tenant.clone(), Arc::clone(clock));
        self.write(Some(tenant), move |tx| {
            Box::pin(async move { Ok(writes::insert_decision(tx, &owner, id, &decided, &*clock).await?) })
        })
        .await
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Redemption, Error> {
        let tenant = redemption.run.tenant.clone();
        self.write(Some(&tenant), |tx| {
            Box::pin(async move { Ok(writes::insert_redemption(tx, &redemption).await?) })
        })
        .await
    }

    async fn redemption(
        &self,
        tenant: &Tenant,
        run: RunId,
        call: CallId,
    ) -> Result<Option<Redemption>, Error> {
        let query = sqlx::query(REDEMPTION)
            .bind(tenant.as_str())
            .bind(run.to_string())
            .bind(call.to_string());
        self.one(query, rows::redemption).await
    }

    async fn mark(&self, recorded: Vec<Mark>) -> Result<(), Error> {
        self.write(None, |tx| {
            Box::pin(async move {
                for mark in &recorded {
                    writes::set_recorded(tx, mark).await?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn open_requests(&self, limit: u32) -> Result<Vec<(Tenant, ApprovalId)>, Error> {
        self.many(sqlx::query(OPEN).bind(limit), rows::name).await
    }

    async fn waiting(&self) -> Result<(u64, Option<Timestamp>), Error> {
        let counted = self.one(sqlx::query(WAITING), rows::waiting).await?;
        Ok(counted.unwrap_or_default())
    }

    async fn overdue(
        &self,
        now: Timestamp,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<(Tenant, ApprovalId)>, Error> {
        let query = sqlx::query(OVERDUE)
            .bind(now.as_millis())
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(limit);
        self.many(query, rows::name).await
    }

    async fn unrecorded_approvals(
        &self,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<(Tenant, ApprovalId)>, Error> {
        let query = sqlx::query(UNRECORDED)
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(limit);
        self.many(query, rows::name).await
    }

    async fn unrecorded_redemptions(
        &self,
        before: Timestamp,
        after: Option<CallName>,
        limit: u32,
    ) -> Result<Vec<CallName>, Error> {
        let [tenant, run, call] = call_texts(after);
        let query = sqlx::query(UNRECORDED_REDEMPTIONS)
            .bind(before.as_millis())
            .bind(tenant)
            .bind(run)
            .bind(call)
            .bind(limit);
        self.many(query, rows::call_name).await
    }

    async fn remove_decided(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.write(None, move |tx| {
            Box::pin(async move {
                let removed = sqlx::query(REMOVE_DECIDED)
                    .bind(before.as_millis())
                    .bind(limit)
                    .execute(tx)
                    .await?;
                Ok(removed.rows_affected())
            })
        })
        .await
    }

    async fn requests_of(
        &self,
        tenant: &Tenant,
        subject: &Subject,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<Kept>, Error> {
        let query = sqlx::query(OF_SUBJECT)
            .bind(tenant.as_str())
            .bind(subject.as_str())
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(limit);
        self.many(query, rows::kept).await
    }

    async fn erase_requests(
        &self,
        tenant: &Tenant,
        subject: &Subject,
        requests: &[ApprovalId],
    ) -> Result<u64, Error> {
        let erased = self.delete(tenant, subject, requests).await;
        self.log.empty().await;
        erased
    }

    async fn finish_erasing(&self) {
        self.log.empty_what_was_left().await;
    }

    async fn close(&self) {
        // The writer last: SQLite folds its write-ahead log into the file when the last connection closes.
        self.database.close().await;
        self.units.shutdown().await;
    }
}
