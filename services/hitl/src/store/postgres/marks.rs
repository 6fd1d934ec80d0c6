//! Marks as the arrays that statements take.

use crate::store::Mark;

/// Marks by table, as arrays.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) requests: Vec<String>,
    pub(super) decisions: Vec<String>,
    /// Tenants, runs, calls.
    pub(super) redemptions: [Vec<String>; 3],
}

impl Marks {
    pub(super) fn of(recorded: Vec<Mark>) -> Self {
        let mut marks = Self::default();
        for mark in recorded {
            match mark {
                Mark::Request(id) => marks.requests.push(id.to_string()),
                Mark::Decision(id) => marks.decisions.push(id.to_string()),
                Mark::Redemption(tenant, run, call) => {
                    let [tenants, runs, calls] = &mut marks.redemptions;
                    tenants.push(tenant.to_string());
                    runs.push(run.to_string());
                    calls.push(call.to_string());
                }
            }
        }
        marks
    }
}
