-- Summaries that models write.

-- 1 of the turns' own sentences, 2 by a model.
ALTER TABLE summaries ADD COLUMN written_by BIGINT NOT NULL DEFAULT 1 CHECK (written_by BETWEEN 1 AND 2);

-- Who sums a session up at the moment has what it says here, and until when nobody else is given any of it.
CREATE TABLE summary_work (
    owner     BIGINT NOT NULL,
    session   TEXT   COLLATE "C" NOT NULL,
    -- of the summary that is to be written
    memory_id BYTEA  NOT NULL,
    -- the segment's first ordinal, and the last one that was given
    first     BIGINT NOT NULL,
    last      BIGINT NOT NULL,
    -- JSON: rows of memories that all must still be there
    sources   TEXT   NOT NULL,
    until_ms  BIGINT NOT NULL,
    PRIMARY KEY (owner, session)
);
