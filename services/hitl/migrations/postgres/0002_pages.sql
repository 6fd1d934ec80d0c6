-- Lists are read in pages by time and id, those that wait without a look at those that are decided.
DROP INDEX approvals_newest;
CREATE INDEX approvals_listed ON approvals (tenant, requested_at, approval_id);
CREATE INDEX approvals_waiting ON approvals (tenant, requested_at, approval_id)
    WHERE decision IS NULL OR NOT decision_recorded;
