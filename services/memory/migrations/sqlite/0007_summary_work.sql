-- Summaries that models write.

-- 1 of the turns' own sentences, 2 by a model.
ALTER TABLE summaries ADD COLUMN written_by INTEGER NOT NULL DEFAULT 1 CHECK (written_by BETWEEN 1 AND 2);

-- Who sums a session up at the moment has what it says here, and until when nobody else is given any of it.
CREATE TABLE summary_work (
    owner     INTEGER NOT NULL,
    session   TEXT    NOT NULL,
    -- of the summary that is to be written
    memory_id BLOB    NOT NULL,
    -- the segment's first ordinal, and the last one that was given
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    -- JSON: rows of memories that all must still be there
    sources   TEXT    NOT NULL,
    until_ms  INTEGER NOT NULL,
    PRIMARY KEY (owner, session)
) STRICT, WITHOUT ROWID;
