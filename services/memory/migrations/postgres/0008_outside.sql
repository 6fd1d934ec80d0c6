-- Whether a run was shown what may be anybody's words: the runtime says so when the turn ends. NULL while it runs, of a turn that
-- memory ended itself, and of those from before, which are judged by their messages.
ALTER TABLE runs ADD COLUMN saw_outside BOOLEAN;

-- Whether any turn of the session was. A message begins with its author (field 1), and 3 is a tool: a turn from before that has
-- one counts, whichever tool it was.
ALTER TABLE sessions ADD COLUMN saw_outside BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE sessions SET saw_outside = TRUE WHERE EXISTS (
    SELECT FROM runs r JOIN messages m ON m.run = r.id
    WHERE r.session = sessions.id AND m.ordinal > 0 AND substring(m.body FROM 1 FOR 2) = '\x0803'::bytea);
