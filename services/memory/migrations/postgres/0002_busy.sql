-- How many runs of a subject and of a tenant are under way is counted with each that begins, from this alone.
CREATE INDEX sessions_busy ON sessions (tenant, subject) WHERE active_run IS NOT NULL;
