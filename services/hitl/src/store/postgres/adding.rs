//! Keeping a request, where others of the same tenant are added at the same time by this process and others.

use harombe_sql::Error;
use harombe_sql::pg::PgConnection;
use sqlx::Connection as _;

use super::{SCHEMA, Statement};
use crate::domain::{Added, Approval, PendingLimits};
use crate::store::rows;
use crate::store::statements::{BY_CALL, PENDING};

/// Those who add requests of one tenant do so one after the other: a count is otherwise of what was there a moment ago.
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
                .bind(approval.run.subject.to_string()),
            add: add(approval, reasons),
            find: sqlx::query(BY_CALL)
                .bind(tenant.to_string())
                .bind(approval.run_id().to_string())
                .bind(approval.call.call().to_owned()),
        }
    }

    /// Counts in a statement of its own after the turn has come, so that it sees what was added before. Decisions take no
    /// turn: they only make room.
    pub(super) async fn perform(
        self,
        connection: &mut PgConnection,
        most: PendingLimits,
    ) -> Result<Added, Error> {
        let mut tx = connection.begin().await?;
        self.take_turn.execute(&mut *tx).await?;
        let (of_subject, of_tenant) = rows::pending(&self.count.fetch_one(&mut *tx).await?)?;
        let full = most.reached(of_subject, of_tenant);
        let mut kept = None;
        if full.is_none() {
            kept = self.add.fetch_optional(&mut *tx).await?;
        }
        if kept.is_none() {
            kept = self.find.fetch_optional(&mut *tx).await?;
        }
        tx.commit().await?;
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
