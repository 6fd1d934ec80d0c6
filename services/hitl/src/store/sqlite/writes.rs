//! What is written into the file, each inside a transaction of the writer.

use harombe_sql::{Connection, Error};
use harombe_types::{ApprovalId, Clock, Subject, Tenant};

use crate::domain::{Added, Approval, Decided, PendingLimits, Redemption};
use crate::store::statements::{BY_CALL, BY_ID, PENDING_BY_INDEX, REDEMPTION};
use crate::store::{Mark, counts_after, lands_before, rows};

/// Keeps the request, unless its call has one or there is no room.
pub(super) async fn insert_approval(
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

/// Keeps the decision, unless there is one or it comes too late; answers the request as it is then.
pub(super) async fn insert_decision(
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

/// Keeps the redemption, unless its call has one; answers the one that is kept.
pub(super) async fn insert_redemption(
    tx: &mut Connection,
    redemption: &Redemption,
) -> Result<Redemption, Error> {
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

/// Remembers that an event is in the audit log.
pub(super) async fn set_recorded(tx: &mut Connection, mark: &Mark) -> Result<(), Error> {
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

/// Erases these of the subject's requests; how many there were. The connection overwrites what they leave.
pub(super) async fn erase(
    tx: &mut Connection,
    tenant: &Tenant,
    subject: &Subject,
    requests: &[ApprovalId],
) -> Result<u64, Error> {
    let mut erased = 0;
    for id in requests {
        let erase = sqlx::query("DELETE FROM approvals WHERE approval_id = ? AND tenant = ? AND subject = ?")
            .bind(id.to_string())
            .bind(tenant.as_str())
            .bind(subject.as_str());
        erased += erase.execute(&mut *tx).await?.rows_affected();
    }
    Ok(erased)
}
