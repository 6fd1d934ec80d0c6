-- Lists are read in pages by time and id, those that wait without a look at those that are decided.
DROP INDEX approvals_newest;
CREATE INDEX approvals_listed ON approvals (tenant, requested_at, approval_id);
CREATE INDEX approvals_waiting ON approvals (tenant, requested_at, approval_id)
    WHERE decision IS NULL OR NOT decision_recorded;

-- As the statements say it, so that they are answered from it.
DROP INDEX approvals_unrecorded;
CREATE INDEX approvals_unrecorded ON approvals (approval_id)
    WHERE NOT request_recorded OR (decision IS NOT NULL AND NOT decision_recorded);
DROP INDEX redemptions_unrecorded;
CREATE INDEX redemptions_unrecorded ON redemptions (redeemed_at) WHERE NOT recorded;
