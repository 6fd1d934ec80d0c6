-- Sessions, the runs that their turns are, what was said, and each run's journal. Texts are compared and sorted byte by
-- byte ("C"), whatever the database's language. What people write is BYTEA, because TEXT cannot hold every text.

CREATE TABLE sessions (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       TEXT   COLLATE "C" NOT NULL,
    session_id   TEXT   COLLATE "C" NOT NULL,
    subject      TEXT   COLLATE "C" NOT NULL,
    agent        TEXT   COLLATE "C" NOT NULL,
    created_ms   BIGINT NOT NULL,
    updated_ms   BIGINT NOT NULL,
    workspace_id TEXT,
    turns        BIGINT NOT NULL DEFAULT 0,
    -- the run that holds the session; at most one is active
    active_run   BIGINT,
    UNIQUE (tenant, session_id)
);

CREATE INDEX sessions_by_update ON sessions (tenant, subject, updated_ms DESC, id DESC);

-- Rows of it change with every step of a run: room for the new version on the same page.
CREATE TABLE runs (
    id                  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session             BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    tenant              TEXT   COLLATE "C" NOT NULL,
    run_id              TEXT   COLLATE "C" NOT NULL,
    client_message_id   TEXT   COLLATE "C" NOT NULL,
    client_instructions BYTEA  NOT NULL,
    -- 1 active, 2 finished, 3 failed, 4 cancelled
    state               BIGINT NOT NULL CHECK (state BETWEEN 1 AND 4),
    -- the run's token, kept only while the run is active
    token               TEXT,
    epoch               BIGINT NOT NULL,
    lease_expires_ms    BIGINT NOT NULL,
    cursor              BIGINT NOT NULL,
    -- the cursor with which the turn began: until it moves, beginning again is harmless
    first_cursor        BIGINT NOT NULL,
    cancel_reason       BYTEA,
    started_ms          BIGINT NOT NULL,
    finished_ms         BIGINT,
    -- estimated tokens and bytes of the turn's messages
    tokens              BIGINT NOT NULL,
    bytes               BIGINT NOT NULL,
    UNIQUE (tenant, run_id),
    UNIQUE (session, client_message_id)
) WITH (fillfactor = 70);

-- rows of one session in the order of their ids
CREATE INDEX runs_by_session ON runs (session, id);

CREATE INDEX runs_active ON runs (lease_expires_ms) WHERE state = 1;

CREATE TABLE messages (
    run     BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    ordinal BIGINT NOT NULL,
    -- harombe.memory.v1.Message
    body    BYTEA  NOT NULL,
    PRIMARY KEY (run, ordinal)
);

CREATE TABLE journal (
    run        BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    cursor     BIGINT NOT NULL,
    written_ms BIGINT NOT NULL,
    -- harombe.types.v1.RunEvent without run id and cursor; NULL when clients see nothing of the entry
    event      BYTEA,
    -- the runtime's own encoding
    state      BYTEA  NOT NULL,
    PRIMARY KEY (run, cursor)
);

-- What clients bring along: earlier conversations.
CREATE TABLE claimed_turns (
    session BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    ordinal BIGINT NOT NULL,
    -- estimated tokens and bytes of the turn's messages
    tokens  BIGINT NOT NULL,
    bytes   BIGINT NOT NULL,
    -- harombe.memory.v1.Turn without a run id
    body    BYTEA  NOT NULL,
    PRIMARY KEY (session, ordinal)
);
