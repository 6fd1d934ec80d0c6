-- Whether a run was shown what may be anybody's words: the runtime says so when the turn ends. NULL while it runs, of a turn that
-- memory ended itself, and of those from before, which are judged by their messages.
ALTER TABLE runs ADD COLUMN saw_outside INTEGER CHECK (saw_outside IN (0, 1));

-- Whether any turn of the session was. A message begins with its author (field 1), and 3 is a tool: a turn from before that has
-- one counts, whichever tool it was.
ALTER TABLE sessions ADD COLUMN saw_outside INTEGER NOT NULL DEFAULT 0 CHECK (saw_outside IN (0, 1));
UPDATE sessions SET saw_outside = 1 WHERE EXISTS (
    SELECT 1 FROM runs r JOIN messages m ON m.run = r.id
    WHERE r.session = sessions.id AND m.ordinal > 0 AND substr(m.body, 1, 2) = x'0803');
