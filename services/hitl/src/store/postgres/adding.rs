//! Keeping a request, where others of the same tenant are added at the same time by this process and others.

use harombe_sql::Error;
use harombe_sql::pg::PgConnection;
use sqlx::Connection as _;

use super::{SCHEMA, Statement};
use crate::domain::{Added, Approval, PendingLimits, Whose};
use crate::store::statements::{BY_CALL, PENDING};
use crate::store::{counts_after, rows};

/// So far below a limit nobody takes turns. A count does not see what is added at the same time, of which there is as much as
/// there are connections; nearer to it, those who add requests of one tenant do so one after the other.
const NEAR: u64 = 64;
const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
const ADD: &str = "INSERT INTO approvals (approval_id, tenant, subject, agent, session, run, call, document, risk, \
                   reasons, policy_version, requested_at, deadline, request_event) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                   ON CONFLICT DO NOTHING RETURNING *";

/// The statements that keep a request where others ask at the same time.
pub(super) struct Adding {
    take_turn: Statement<'static>,
    count: Statement<'static>,
    add: Statement<'static>,
    find: Statement<'static>,
}

impl Adding {
    pub(super) fn of(approval: &Approval, reasons: &str) -> Self {
        let tenant = approval.tenant();
        Self {
            take_turn: sqlx::query(TAKE_TURN).bind(format!("{SCHEMA} {tenant}")),
            count: sqlx::query(PENDING)
                .bind(tenant.to_string())
                .bind(approval.run.subject.to_string())
                .bind(counts_after(approval)),
            add: add(approval, reasons),
            find: sqlx::query(BY_CALL)
                .bind(tenant.to_string())
                .bind(approval.run_id().to_string())
                .bind(approval.call.call().to_owned()),
        }
    }

    /// Keeps the request without waiting for anybody, or finds that it cannot be kept. Nothing is done when a limit is too
    /// near for that: then [`Adding::in_turn`] does it.
    pub(super) async fn at_once(
        self,
        connection: &mut PgConnection,
        most: PendingLimits,
    ) -> Result<Option<Added>, Error> {
        let (of_subject, of_tenant) = rows::pending(&self.count.fetch_one(&mut *connection).await?)?;
        let full = most.reached(of_subject, of_tenant);
        if full.is_none() && most.reached(of_subject + NEAR, of_tenant + NEAR).is_some() {
            return Ok(None);
        }
        Self::add(self.add, self.find, connection, full).await.map(Some)
    }

    /// Keeps the request, if there is room, when nobody else of the tenant is about to. Counts in a statement of its own after
    /// the turn has come, so that it sees what was added before. Decisions take no turn: they only make room.
    pub(super) async fn in_turn(
        self,
        connection: &mut PgConnection,
        most: PendingLimits,
    ) -> Result<Added, Error> {
        let mut tx = connection.begin().await?;
        self.take_turn.execute(&mut *tx).await?;
        let (of_subject, of_tenant) = rows::pending(&self.count.fetch_one(&mut *tx).await?)?;
        let full = most.reached(of_subject, of_tenant);
        let added = Self::add(self.add, self.find, &mut tx, full).await?;
        tx.commit().await?;
        Ok(added)
    }

    /// Adds it, if there is room; what is there of the call is kept in any case.
    async fn add(
        add: Statement<'static>,
        find: Statement<'static>,
        connection: &mut PgConnection,
        full: Option<Whose>,
    ) -> Result<Added, Error> {
        let mut kept = None;
        if full.is_none() {
            kept = add.fetch_optional(&mut *connection).await?;
        }
        if kept.is_none() {
            kept = find.fetch_optional(connection).await?;
        }
        match (kept, full) {
            (Some(kept), _) => Ok(Added::Kept(Box::new(rows::approval(&kept)?))),
            (None, Some(whose)) => Ok(Added::Full(whose)),
            // the id, made anew for each request, is another call's
            (None, None) => Err(sqlx::Error::RowNotFound.into()),
        }
    }
}

fn add(approval: &Approval, reasons: &str) -> Statement<'static> {
    sqlx::query(ADD)
        .bind(approval.id.to_string())
        .bind(approval.tenant().to_string())
        .bind(approval.run.subject.to_string())
        .bind(approval.agent().to_string())
        .bind(approval.session().to_string())
        .bind(approval.run_id().to_string())
        .bind(approval.call.call().to_owned())
        .bind(approval.call.bytes().to_vec())
        .bind(approval.risk.as_str())
        .bind(reasons.to_owned())
        .bind(approval.policy_version.clone())
        .bind(approval.requested_at.as_millis())
        .bind(approval.deadline.as_millis())
        .bind(approval.event.to_string())
}
