-- Requests that were decided long ago are found without a look at the others.
CREATE INDEX approvals_decided ON approvals (decided_at) WHERE decided_at IS NOT NULL;
