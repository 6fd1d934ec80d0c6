//! The store on a Postgres schema that several processes share. Every write is one statement, or one transaction where
//! requests are counted, which changes nothing when it is repeated, so that it is repeated when its connection breaks.

mod adding;
mod marks;
mod peers;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use harombe_sql::pg::{PgArguments, PgConnection, PgRow};
use harombe_sql::{Error, Migrator, Postgres, PostgresConfig};
use harombe_types::{ApprovalId, CallId, Clock, RunId, Subject, Tenant, Timestamp};
use sqlx::Connection as _;
use sqlx::query::Query;
use tokio::sync::Semaphore;

use super::statements::{
    self, BY_CALL, BY_ID, OF_SUBJECT, OPEN, OVERDUE, REDEMPTION, UNRECORDED, UNRECORDED_REDEMPTIONS, WAITING,
};
use super::{CallName, Mark, Page, Store, call_texts, lands_before, rows};
use crate::domain::{Added, Approval, Decided, Kept, PendingLimits, Redemption};

use adding::Adding;
use marks::Marks;
pub(crate) use peers::PostgresPeers;

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/postgres");
const SCHEMA: &str = "harombe_hitl";

/// Waits until nobody else changes the request.
const HOLD: &str = "SELECT FROM approvals WHERE approval_id = $1 FOR UPDATE";
const DECIDE: &str = "UPDATE approvals SET decision = $3, decided_by = $4, own = $5, unattended = $6, comment = $7, \
                      decided_at = $8, decision_event = $9 \
                      WHERE approval_id = $1 AND tenant = $2 AND decision IS NULL AND deadline > $10 RETURNING *";
const REDEEM: &str = "INSERT INTO redemptions (tenant, run, call, subject, agent, session, tool, digest, grant_id, \
                      redeemer, policy_version, redeemed_at, event) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
/// What another process removes at the same time is passed over.
const REMOVE_DECIDED: &str = "WITH old AS MATERIALIZED (SELECT approval_id FROM approvals WHERE decided_at < $1 \
                              AND request_recorded AND decision_recorded ORDER BY decided_at LIMIT $2 \
                              FOR UPDATE SKIP LOCKED) \
                              DELETE FROM approvals USING old WHERE approvals.approval_id = old.approval_id";
const ERASE: &str = "DELETE FROM approvals WHERE approval_id = ANY ($1) AND tenant = $2 AND subject = $3";
const MARK_REQUESTS: &str = "UPDATE approvals SET request_recorded = TRUE WHERE approval_id = ANY ($1)";
const MARK_DECISIONS: &str = "UPDATE approvals SET decision_recorded = TRUE WHERE approval_id = ANY ($1)";
const MARK_REDEMPTIONS: &str = "UPDATE redemptions SET recorded = TRUE \
                                FROM unnest($1::text[], $2::text[], $3::text[]) AS done (tenant, run, call) \
                                WHERE redemptions.tenant = done.tenant AND redemptions.run = done.run \
                                AND redemptions.call = done.call";

type Statement<'q> = Query<'q, sqlx::Postgres, PgArguments>;

/// Postgres adapter.
pub(crate) struct PostgresStore {
    postgres: Postgres,
    /// Places for those who wait for their turn, and hold a connection meanwhile: others need some as well.
    takers: Semaphore,
}

impl PostgresStore {
    /// Opens the schema, making it when absent.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub(crate) async fn open(config: &PostgresConfig) -> Result<Self, Error> {
        let postgres = Postgres::open(config, SCHEMA, &MIGRATIONS).await?;
        let takers = usize::try_from(config.connections / 2).unwrap_or(1).max(1);
        Ok(Self {
            postgres,
            takers: Semaphore::new(takers),
        })
    }

    pub(super) fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    async fn one<T: Send>(
        &self,
        statement: impl Fn() -> Statement<'static> + Send + Sync,
        read: fn(&PgRow) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let row = self
            .postgres
            .idempotent(|connection| first(connection, statement()));
        row.await?.as_ref().map(read).transpose()
    }

    async fn many<T: Send>(
        &self,
        statement: impl Fn() -> Statement<'static> + Send + Sync,
        read: fn(&PgRow) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.postgres.idempotent(|connection| {
            let statement = statement();
            Box::pin(async move { Ok(statement.fetch_all(connection).await?) })
        });
        rows.await?.iter().map(read).collect()
    }

    async fn execute(&self, statement: impl Fn() -> Statement<'static> + Send + Sync) -> Result<(), Error> {
        let done = self.postgres.idempotent(|connection| {
            let statement = statement();
            Box::pin(async move {
                statement.execute(connection).await?;
                Ok(())
            })
        });
        done.await
    }
}

fn first<'c>(
    connection: &'c mut PgConnection,
    statement: Statement<'static>,
) -> BoxFuture<'c, Result<Option<PgRow>, Error>> {
    Box::pin(async move { Ok(statement.fetch_optional(connection).await?) })
}

fn by_id(tenant: &Tenant, id: ApprovalId) -> Statement<'static> {
    sqlx::query(BY_ID).bind(id.to_string()).bind(tenant.to_string())
}

/// `sql` with a call's name as its first three values.
fn by_call(sql: &'static str, tenant: &Tenant, run: RunId, call: CallId) -> Statement<'static> {
    sqlx::query(sql)
        .bind(tenant.to_string())
        .bind(run.to_string())
        .bind(call.to_string())
}

#[async_trait]
impl Store for PostgresStore {
    async fn add_approval(&self, approval: Approval, most: PendingLimits) -> Result<Added, Error> {
        let reasons = serde_json::to_string(&approval.reasons).map_err(Error::handler)?;
        let added = self.postgres.idempotent(|connection| {
            let adding = Adding::of(&approval, &reasons);
            Box::pin(adding.at_once(connection, most))
        });
        if let Some(added) = added.await? {
            return Ok(added);
        }
        let _place = self.takers.acquire().await;
        let added = self.postgres.idempotent(|connection| {
            let adding = Adding::of(&approval, &reasons);
            Box::pin(adding.in_turn(connection, most))
        });
        added.await
    }

    async fn approval(&self, tenant: &Tenant, id: ApprovalId) -> Result<Option<Approval>, Error> {
        self.one(|| by_id(tenant, id), rows::approval).await
    }

    async fn approval_of(
        &self,
        tenant: &Tenant,
        run: RunId,
        call: CallId,
    ) -> Result<Option<Approval>, Error> {
        self.one(|| by_call(BY_CALL, tenant, run, call), rows::approval)
            .await
    }

    async fn approvals(&self, tenant: &Tenant, page: Page) -> Result<Vec<Approval>, Error> {
        let (at, id) = page.beyond();
        let query = || {
            sqlx::query(statements::page(page.which, page.order))
                .bind(tenant.to_string())
                .bind(at)
                .bind(id.clone())
                .bind(i64::from(page.limit))
                .bind(page.most_bytes())
        };
        self.many(query, rows::approval).await
    }

    async fn decide(
        &self,
        tenant: &Tenant,
        id: ApprovalId,
        decided: Decided,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Approval>, Error> {
        let decided = self.postgres.idempotent(|connection| {
            let decide = sqlx::query(DECIDE)
                .bind(id.to_string())
                .bind(tenant.to_string())
                .bind(decided.decision.as_str())
                .bind(decided.by.as_ref().map(ToString::to_string))
                .bind(decided.own)
                .bind(decided.unattended)
                .bind(decided.comment.clone().into_bytes())
                .bind(decided.at.as_millis())
                .bind(decided.event.to_string());
            let (hold, find) = (sqlx::query(HOLD).bind(id.to_string()), by_id(tenant, id));
            let (decided, clock) = (decided.clone(), Arc::clone(clock));
            Box::pin(async move {
                let mut tx = connection.begin().await?;
                hold.execute(&mut *tx).await?;
                // now that the request is at hand
                let decide = decide.bind(lands_before(&decided, &*clock));
                let mut kept = decide.fetch_optional(&mut *tx).await?;
                if kept.is_none() {
                    kept = find.fetch_optional(&mut *tx).await?;
                }
                tx.commit().await?;
                Ok(kept)
            })
        });
        decided.await?.as_ref().map(rows::approval).transpose()
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Redemption, Error> {
        let asked = &redemption;
        let kept = self.postgres.idempotent(|connection| {
            let (redeem, find) = (
                redeem(asked),
                by_call(REDEMPTION, &asked.run.tenant, asked.run.run, asked.call),
            );
            Box::pin(async move {
                let inserted = redeem.execute(&mut *connection).await?.rows_affected();
                if inserted == 1 {
                    Ok(None)
                } else {
                    first(connection, find).await
                }
            })
        });
        match kept.await? {
            Some(row) => rows::redemption(&row),
            None => Ok(redemption),
        }
    }

    async fn redemption(
        &self,
        tenant: &Tenant,
        run: RunId,
        call: CallId,
    ) -> Result<Option<Redemption>, Error> {
        self.one(|| by_call(REDEMPTION, tenant, run, call), rows::redemption)
            .await
    }

    async fn mark(&self, recorded: Vec<Mark>) -> Result<(), Error> {
        let marks = Marks::of(recorded);
        if !marks.requests.is_empty() {
            self.execute(|| sqlx::query(MARK_REQUESTS).bind(marks.requests.clone()))
                .await?;
        }
        if !marks.decisions.is_empty() {
            self.execute(|| sqlx::query(MARK_DECISIONS).bind(marks.decisions.clone()))
                .await?;
        }
        let [tenants, runs, calls] = &marks.redemptions;
        if !tenants.is_empty() {
            let mark = || {
                sqlx::query(MARK_REDEMPTIONS)
                    .bind(tenants.clone())
                    .bind(runs.clone())
                    .bind(calls.clone())
            };
            self.execute(mark).await?;
        }
        Ok(())
    }

    async fn open_requests(&self, limit: u32) -> Result<Vec<(Tenant, ApprovalId)>, Error> {
        self.many(|| sqlx::query(OPEN).bind(i64::from(limit)), rows::name)
            .await
    }

    async fn waiting(&self) -> Result<(u64, Option<Timestamp>), Error> {
        let counted = self.one(|| sqlx::query(WAITING), rows::waiting).await?;
        Ok(counted.unwrap_or_default())
    }

    async fn overdue(
        &self,
        now: Timestamp,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<(Tenant, ApprovalId)>, Error> {
        let query = || {
            sqlx::query(OVERDUE)
                .bind(now.as_millis())
                .bind(after.map_or_else(String::new, |id| id.to_string()))
                .bind(i64::from(limit))
        };
        self.many(query, rows::name).await
    }

    async fn unrecorded_approvals(
        &self,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<(Tenant, ApprovalId)>, Error> {
        let query = || {
            sqlx::query(UNRECORDED)
                .bind(after.map_or_else(String::new, |id| id.to_string()))
                .bind(i64::from(limit))
        };
        self.many(query, rows::name).await
    }

    async fn unrecorded_redemptions(
        &self,
        before: Timestamp,
        after: Option<CallName>,
        limit: u32,
    ) -> Result<Vec<CallName>, Error> {
        let [tenant, run, call] = call_texts(after);
        let query = || {
            sqlx::query(UNRECORDED_REDEMPTIONS)
                .bind(before.as_millis())
                .bind(tenant.clone())
                .bind(run.clone())
                .bind(call.clone())
                .bind(i64::from(limit))
        };
        self.many(query, rows::call_name).await
    }

    async fn remove_decided(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let removed = self.postgres.idempotent(|connection| {
            let remove = sqlx::query(REMOVE_DECIDED)
                .bind(before.as_millis())
                .bind(i64::from(limit));
            Box::pin(async move { Ok(remove.execute(connection).await?.rows_affected()) })
        });
        removed.await
    }

    async fn requests_of(
        &self,
        tenant: &Tenant,
        subject: &Subject,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<Kept>, Error> {
        let query = || {
            sqlx::query(OF_SUBJECT)
                .bind(tenant.to_string())
                .bind(subject.to_string())
                .bind(after.map_or_else(String::new, |id| id.to_string()))
                .bind(i64::from(limit))
        };
        self.many(query, rows::kept).await
    }

    async fn erase_requests(
        &self,
        tenant: &Tenant,
        subject: &Subject,
        requests: &[ApprovalId],
    ) -> Result<u64, Error> {
        let ids: Vec<_> = requests.iter().map(ToString::to_string).collect();
        let erased = self.postgres.idempotent(|connection| {
            let erase = sqlx::query(ERASE)
                .bind(ids.clone())
                .bind(tenant.to_string())
                .bind(subject.to_string());
            Box::pin(async move { Ok(erase.execute(connection).await?.rows_affected()) })
        });
        erased.await
    }

    /// The server frees what rows have left by itself.
    async fn finish_erasing(&self) {}

    async fn close(&self) {
        self.postgres.close().await;
    }
}

fn redeem(redemption: &Redemption) -> Statement<'static> {
    by_call(
        REDEEM,
        &redemption.run.tenant,
        redemption.run.run,
        redemption.call,
    )
    .bind(redemption.run.subject.to_string())
    .bind(redemption.run.agent.to_string())
    .bind(redemption.run.session.to_string())
    .bind(redemption.tool.clone())
    .bind(redemption.digest.to_vec())
    .bind(redemption.grant.to_string())
    .bind(redemption.redeemer.as_str())
    .bind(redemption.policy_version.clone())
    .bind(redemption.at.as_millis())
    .bind(redemption.event.to_string())
}
