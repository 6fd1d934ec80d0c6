-- Derived from the log and rebuilt when lost: which entries a query has to read. Empty texts mean "has none".
CREATE TABLE indexed (
    idx     INTEGER PRIMARY KEY,
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    service TEXT NOT NULL,
    run     TEXT NOT NULL,
    session TEXT NOT NULL,
    call    TEXT NOT NULL,
    time    INTEGER NOT NULL
) STRICT;
CREATE INDEX indexed_by_kind ON indexed (tenant, kind);
CREATE INDEX indexed_by_run ON indexed (tenant, run) WHERE run <> '';
CREATE INDEX indexed_by_session ON indexed (tenant, session) WHERE session <> '';
CREATE INDEX indexed_by_call ON indexed (tenant, call) WHERE call <> '';

-- Entries below `next` are indexed; `hash` is the leaf hash of the last of them.
CREATE TABLE progress (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    next INTEGER NOT NULL,
    hash BLOB
) STRICT;
INSERT INTO progress (one, next) VALUES (1, 0);
