-- How many requests of a subject and of a tenant wait is counted with each new one, from this alone.
CREATE INDEX approvals_undecided ON approvals (tenant, deadline, subject, decision) WHERE decision IS NULL;
