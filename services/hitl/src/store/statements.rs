//! The statements that both databases read by. Parameters are numbered, and a flag is a condition by itself, on either.

use super::Which;
use crate::domain::Order;

pub(super) const BY_ID: &str = "SELECT * FROM approvals WHERE approval_id = $1 AND tenant = $2";
pub(super) const BY_CALL: &str = "SELECT * FROM approvals WHERE tenant = $1 AND run = $2 AND call = $3";
pub(super) const REDEMPTION: &str = "SELECT * FROM redemptions WHERE tenant = $1 AND run = $2 AND call = $3";
pub(super) const OPEN: &str = "SELECT tenant, approval_id FROM approvals \
                               WHERE request_recorded AND (decision IS NULL OR NOT decision_recorded) \
                               ORDER BY requested_at DESC LIMIT $1";
pub(super) const WAITING: &str = "SELECT count(*) AS waiting, min(requested_at) AS oldest FROM approvals \
                                  WHERE decision IS NULL AND request_recorded";
pub(super) const OVERDUE: &str = "SELECT tenant, approval_id FROM approvals \
                                  WHERE decision IS NULL AND deadline <= $1 AND approval_id > $2 \
                                  ORDER BY approval_id LIMIT $3";
pub(super) const UNRECORDED: &str = "SELECT tenant, approval_id FROM approvals \
                                     WHERE (NOT request_recorded OR (decision IS NOT NULL AND NOT decision_recorded)) \
                                     AND approval_id > $1 ORDER BY approval_id LIMIT $2";
pub(super) const OF_SUBJECT: &str = "SELECT approval_id, (request_recorded AND decision IS NOT NULL AND decision_recorded) AS ended \
                                     FROM approvals WHERE tenant = $1 AND subject = $2 AND approval_id > $3 \
                                     ORDER BY approval_id LIMIT $4";
pub(super) const UNRECORDED_REDEMPTIONS: &str = "SELECT tenant, run, call FROM redemptions \
                                                 WHERE NOT recorded AND redeemed_at < $1 \
                                                 AND (tenant, run, call) > ($2, $3, $4) \
                                                 ORDER BY tenant, run, call LIMIT $5";

/// How many requests of tenant `$1` wait for a decision, and how many of these are subject `$2`'s; without those whose
/// deadline is not after `$3`.
macro_rules! pending {
    ($hint:literal) => {
        concat!(
            "SELECT count(*) AS of_tenant, count(*) FILTER (WHERE subject = $2) AS of_subject FROM approvals ",
            $hint,
            "WHERE tenant = $1 AND deadline > $3 AND decision IS NULL"
        )
    };
}

pub(super) const PENDING: &str = pending!("");
/// For SQLite, which does not know how few wait of all that there are.
pub(super) const PENDING_BY_INDEX: &str = pending!("INDEXED BY approvals_undecided ");

/// A page of the requests of tenant `$1` beyond time `$2` and id `$3`: at most `$4`, and none after those whose calls have
/// `$5` bytes together. What is counted is read from the rows' heads; only what is in the page is read whole.
macro_rules! page {
    ($which:literal, $beyond:literal, $order:literal) => {
        concat!(
            "WITH near AS (SELECT approval_id, requested_at, length(document) AS size FROM approvals WHERE tenant = $1",
            $which,
            " AND (requested_at, approval_id) ",
            $beyond,
            " ($2, $3) ORDER BY requested_at ",
            $order,
            ", approval_id ",
            $order,
            " LIMIT $4), page AS (SELECT approval_id AS id, sum(size) OVER (ORDER BY requested_at ",
            $order,
            ", approval_id ",
            $order,
            ") - size AS ahead FROM near) SELECT approvals.* FROM page JOIN approvals ON approval_id = id \
             WHERE ahead < $5 ORDER BY requested_at ",
            $order,
            ", approval_id ",
            $order
        )
    };
}

/// The statement for a page, as `page!` says.
pub(super) const fn page(which: Which, order: Order) -> &'static str {
    match (which, order) {
        (Which::Pending, Order::NewestFirst) => {
            page!(" AND (decision IS NULL OR NOT decision_recorded)", "<", "DESC")
        }
        (Which::Pending, Order::OldestFirst) => {
            page!(" AND (decision IS NULL OR NOT decision_recorded)", ">", "ASC")
        }
        (Which::All, Order::NewestFirst) => page!("", "<", "DESC"),
        (Which::All, Order::OldestFirst) => page!("", ">", "ASC"),
    }
}
