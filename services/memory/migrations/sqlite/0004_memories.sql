-- What is remembered of whom. Everything else about meaning is derived from it.

-- One row a subject that has, or had, memories.
CREATE TABLE owners (
    id       INTEGER PRIMARY KEY,
    tenant   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    -- goes up with every change that a search could see; each changed memory has one of its own
    rev      INTEGER NOT NULL DEFAULT 0,
    -- goes up with every erasure: what was erased has no row that could tell of it
    epoch    INTEGER NOT NULL DEFAULT 0,
    memories INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, subject)
) STRICT;

-- How many memories a tenant has, in parts, so that its subjects need not wait for each other.
CREATE TABLE memory_counts (
    tenant   TEXT    NOT NULL,
    part     INTEGER NOT NULL,
    memories INTEGER NOT NULL,
    PRIMARY KEY (tenant, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE memories (
    -- never given twice, so that what is newer has the higher one
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner         INTEGER NOT NULL REFERENCES owners (id),
    memory_id     BLOB    NOT NULL,
    -- its name among vectors, which know no owners' ids
    point         BLOB    NOT NULL UNIQUE,
    -- 0 as long as the audit log does not have it: then nobody sees it
    rev           INTEGER NOT NULL DEFAULT 0,
    -- 1 turn, 2 fact, 3 summary
    kind          INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3),
    -- 1 person, 2 model, 3 tool, 4 imported
    label         INTEGER NOT NULL CHECK (label BETWEEN 1 AND 4),
    text          BLOB    NOT NULL,
    speaker       BLOB    NOT NULL,
    time_ms       INTEGER NOT NULL,
    -- set as soon as it holds no longer
    valid_to_ms   INTEGER,
    superseded_by BLOB,
    -- whose place it takes when it is on record
    supersedes    BLOB,
    agent         TEXT    NOT NULL,
    session       TEXT,
    run           TEXT,
    ordinal       INTEGER NOT NULL,
    importance    REAL    NOT NULL,
    saved_ms      INTEGER NOT NULL,
    -- the audit event that records it, and where that is
    event         BLOB    NOT NULL,
    audit_index   INTEGER,
    hidden_ms     INTEGER,
    -- 1 a model, 2 the person
    hidden_by     INTEGER,
    erase_ms      INTEGER,
    UNIQUE (owner, memory_id)
) STRICT;

CREATE INDEX memories_by_rev ON memories (owner, rev);
CREATE INDEX memories_by_age ON memories (owner, seq);
CREATE INDEX memories_by_session ON memories (owner, session, ordinal) WHERE session IS NOT NULL;
CREATE UNIQUE INDEX memories_superseding ON memories (owner, supersedes) WHERE supersedes IS NOT NULL;
CREATE INDEX memories_unrecorded ON memories (event) WHERE audit_index IS NULL;
CREATE INDEX memories_to_erase ON memories (erase_ms) WHERE erase_ms IS NOT NULL;

-- What has happened and is not in the audit log yet.
CREATE TABLE steps (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    event     BLOB    NOT NULL UNIQUE,
    tenant    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    -- the one memory that it is about, if it is about one
    memory_id BLOB,
    made_ms   INTEGER NOT NULL,
    -- JSON
    body      TEXT    NOT NULL
) STRICT;

CREATE INDEX steps_by_tenant ON steps (tenant, id);
CREATE INDEX steps_by_memory ON steps (tenant, subject, memory_id) WHERE memory_id IS NOT NULL;

-- What the vectors have not been told yet. A row says all that is needed to delete a vector, because the memory is gone then.
CREATE TABLE outbox (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    point   BLOB    NOT NULL,
    -- 1 put, 2 delete
    what    INTEGER NOT NULL CHECK (what BETWEEN 1 AND 2)
) STRICT;

CREATE INDEX outbox_by_tenant ON outbox (tenant, seq);

-- Whether a turn's memories were made.
ALTER TABLE runs ADD COLUMN remembered INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_unremembered ON runs (tenant, id) WHERE NOT remembered AND state IN (2, 4);
-- And those of what a client brought along.
ALTER TABLE sessions ADD COLUMN claimed_remembered INTEGER NOT NULL DEFAULT 0;
