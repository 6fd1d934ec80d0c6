-- What is kept of one person is found without a look at what is kept of others.
CREATE INDEX approvals_of_subject ON approvals (tenant, subject, approval_id);
