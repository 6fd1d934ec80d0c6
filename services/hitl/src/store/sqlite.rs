//! The store on one SQLite file, with the shared group-commit writer.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use harombe_sql::{Connection, Database, Error, Limits, Migrator, UnitError, Units};
use harombe_types::{ApprovalId, CallId, Clock, RunId, Tenant, Timestamp};
use sqlx::sqlite::SqliteRow;

use super::statements::{
    self, BY_CALL, BY_ID, OPEN, OVERDUE, PENDING_BY_INDEX, REDEMPTION, UNRECORDED, UNRECORDED_REDEMPTIONS,
    WAITING,
};
use super::{CallName, Mark, Page, Store, call_texts, counts_after, lands_before, rows};
use crate::domain::{Added, Approval, Decided, PendingLimits, Redemption};

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/sqlite");

const REMOVE_DECIDED: &str = "DELETE FROM approvals WHERE approval_id IN (SELECT approval_id FROM approvals \
                              WHERE decided_at < ? AND request_recorded AND decision_recorded \
                              ORDER BY decided_at LIMIT ?)";

/// SQLite adapter. Writers take turns by tenant.
pub(crate) struct SqliteStore {
    database: Database,
    units: Units<Option<Tenant>>,
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
            Box::pin(async move { Ok(insert_approval(tx, approval, most).await?) })
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
            Box::pin(async move { Ok(insert_decision(tx, &owner, id, &decided, &*clock).await?) })
        })
        .await
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Redemption, Error> {
        let tenant = redemption.run.tenant.clone();
        self.write(Some(&tenant), |tx| {
            Box::pin(async move { Ok(insert_redemption(tx, &redemption).await?) })
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
                    set_recorded(tx, mark).await?;
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

    async fn close(&self) {
        // The writer last: SQLite folds its write-ahead log into the file when the last connection closes.
        self.database.close().await;
        self.units.shutdown().await;
    }
}

async fn insert_approval(
    tx: &mut Connection,
    approval: Approval,
    most: PendingLimits,
) -> Result<Added, Error> {
    let (run, call) = (approval.run_id().to_string(), approval.call.call());
    let earlier = sqlx::query(BY_CALL)
        .bind(approval.tenant().as_str())
        .bind(&run)
        .bind(call)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(earlier) = earlier {
        return Ok(Added::Kept(Box::new(rows::approval(&earlier)?)));
    }
    let waiting = sqlx::query(PENDING_BY_INDEX)
        .bind(approval.tenant().as_str())
        .bind(approval.run.subject.as_str())
        .bind(counts_after(&approval))
        .fetch_one(&mut *tx)
        .await?;
    let (of_subject, of_tenant) = rows::pending(&waiting)?;
    if let Some(whose) = most.reached(of_subject, of_tenant) {
        return Ok(Added::Full(whose));
    }
    sqlx::query(
        "INSERT INTO approvals (approval_id, tenant, subject, agent, session, run, call, document, risk, reasons, \
         policy_version, requested_at, deadline, request_event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(approval.id.to_string())
    .bind(approval.tenant().as_str())
    .bind(approval.run.subject.as_str())
    .bind(approval.agent().as_str())
    .bind(approval.session().to_string())
    .bind(&run)
    .bind(call)
    .bind(approval.call.bytes())
    .bind(approval.risk.as_str())
    .bind(serde_json::to_string(&approval.reasons).map_err(Error::handler)?)
    .bind(&approval.policy_version)
    .bind(approval.requested_at.as_millis())
    .bind(approval.deadline.as_millis())
    .bind(approval.event.to_string())
    .execute(tx)
    .await?;
    Ok(Added::Kept(Box::new(approval)))
}

async fn insert_decision(
    tx: &mut Connection,
    tenant: &Tenant,
    id: ApprovalId,
    decided: &Decided,
    clock: &dyn Clock,
) -> Result<Option<Approval>, Error> {
    sqlx::query(
        "UPDATE approvals SET decision = ?, decided_by = ?, own = ?, unattended = ?, comment = ?, decided_at = ?, \
         decision_event = ? WHERE approval_id = ? AND tenant = ? AND decision IS NULL AND deadline > ?",
    )
    .bind(decided.decision.as_str())
    .bind(decided.by.as_ref().map(|by| by.as_str().to_owned()))
    .bind(decided.own)
    .bind(decided.unattended)
    .bind(&decided.comment)
    .bind(decided.at.as_millis())
    .bind(decided.event.to_string())
    .bind(id.to_string())
    .bind(tenant.as_str())
    .bind(lands_before(decided, clock))
    .execute(&mut *tx)
    .await?;
    let kept = sqlx::query(BY_ID)
        .bind(id.to_string())
        .bind(tenant.as_str())
        .fetch_optional(tx)
        .await?;
    kept.as_ref().map(rows::approval).transpose()
}

async fn insert_redemption(tx: &mut Connection, redemption: &Redemption) -> Result<Redemption, Error> {
    let (run, call) = (redemption.run.run.to_string(), redemption.call.to_string());
    let inserted = sqlx::query(
        "INSERT INTO redemptions (tenant, run, call, subject, agent, session, tool, digest, grant_id, redeemer, \
         policy_version, redeemed_at, event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (tenant, run, call) DO NOTHING",
    )
    .bind(redemption.run.tenant.as_str())
    .bind(&run)
    .bind(&call)
    .bind(redemption.run.subject.as_str())
    .bind(redemption.run.agent.as_str())
    .bind(redemption.run.session.to_string())
    .bind(&redemption.tool)
    .bind(redemption.digest.as_slice())
    .bind(redemption.grant.to_string())
    .bind(redemption.redeemer.as_str())
    .bind(&redemption.policy_version)
    .bind(redemption.at.as_millis())
    .bind(redemption.event.to_string())
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(redemption.clone());
    }
    let tenant = redemption.run.tenant.as_str();
    let kept = sqlx::query(REDEMPTION)
        .bind(tenant)
        .bind(&run)
        .bind(&call)
        .fetch_one(tx)
        .await?;
    rows::redemption(&kept)
}

async fn set_recorded(tx: &mut Connection, mark: &Mark) -> Result<(), Error> {
    let query = match mark {
        Mark::Request(id) => sqlx::query("UPDATE approvals SET request_recorded = 1 WHERE approval_id = ?")
            .bind(id.to_string()),
        Mark::Decision(id) => sqlx::query("UPDATE approvals SET decision_recorded = 1 WHERE approval_id = ?")
            .bind(id.to_string()),
        Mark::Redemption(tenant, run, call) => {
            sqlx::query("UPDATE redemptions SET recorded = 1 WHERE tenant = ? AND run = ? AND call = ?")
                .bind(tenant.as_str().to_owned())
                .bind(run.to_string())
                .bind(call.to_string())
        }
    };
    query.execute(tx).await?;
    Ok(())
}
