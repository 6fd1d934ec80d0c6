-- Sessions, the runs that their turns are, what was said, and each run's journal.

CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY,
    tenant       TEXT    NOT NULL,
    session_id   TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    agent        TEXT    NOT NULL,
    created_ms   INTEGER NOT NULL,
    updated_ms   INTEGER NOT NULL,
    workspace_id TEXT,
    turns        INTEGER NOT NULL DEFAULT 0,
    -- the run that holds the session; at most one is active
    active_run   INTEGER,
    UNIQUE (tenant, session_id)
) STRICT;

CREATE INDEX sessions_by_update ON sessions (tenant, subject, updated_ms DESC, id DESC);

CREATE TABLE runs (
    id                INTEGER PRIMARY KEY,
    session           INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    tenant            TEXT    NOT NULL,
    run_id            TEXT    NOT NULL,
    client_message_id TEXT    NOT NULL,
    -- 1 active, 2 finished, 3 failed, 4 cancelled
    state             INTEGER NOT NULL CHECK (state BETWEEN 1 AND 4),
    -- the run's token, kept only while the run is active
    token             TEXT,
    epoch             INTEGER NOT NULL,
    lease_expires_ms  INTEGER NOT NULL,
    cursor            INTEGER NOT NULL,
    -- the cursor with which the turn began: until it moves, beginning again is harmless
    first_cursor      INTEGER NOT NULL,
    cancel_reason     TEXT,
    started_ms        INTEGER NOT NULL,
    finished_ms       INTEGER,
    -- estimated tokens and bytes of the turn's messages
    tokens            INTEGER NOT NULL,
    bytes             INTEGER NOT NULL,
    UNIQUE (tenant, run_id),
    UNIQUE (session, client_message_id)
) STRICT;

-- rows of one session in the order of their ids
CREATE INDEX runs_by_session ON runs (session);

CREATE INDEX runs_active ON runs (lease_expires_ms) WHERE state = 1;

CREATE TABLE messages (
    run     INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    -- harombe.memory.v1.Message
    body    BLOB    NOT NULL,
    PRIMARY KEY (run, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    run        INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    cursor     INTEGER NOT NULL,
    written_ms INTEGER NOT NULL,
    -- harombe.types.v1.RunEvent without run id and cursor; NULL when clients see nothing of the entry
    event      BLOB,
    -- the runtime's own encoding
    state      BLOB    NOT NULL,
    PRIMARY KEY (run, cursor)
) STRICT, WITHOUT ROWID;
