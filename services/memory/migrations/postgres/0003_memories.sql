-- What is remembered of whom. Everything else about meaning is derived from it.

-- One row a subject that has, or had, memories. Whoever changes some of them holds it, so that revisions are in the order of
-- commits.
CREATE TABLE owners (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant   TEXT   COLLATE "C" NOT NULL,
    subject  TEXT   COLLATE "C" NOT NULL,
    -- goes up with every change that a search could see; each changed memory has one of its own
    rev      BIGINT NOT NULL DEFAULT 0,
    -- goes up with every erasure: what was erased has no row that could tell of it
    epoch    BIGINT NOT NULL DEFAULT 0,
    memories BIGINT NOT NULL DEFAULT 0,
    UNIQUE (tenant, subject)
) WITH (fillfactor = 70);

-- How many memories a tenant has, in parts, so that its subjects need not wait for each other.
CREATE TABLE memory_counts (
    tenant   TEXT   COLLATE "C" NOT NULL,
    part     BIGINT NOT NULL,
    memories BIGINT NOT NULL,
    PRIMARY KEY (tenant, part)
) WITH (fillfactor = 70);

CREATE TABLE memories (
    -- never given twice, and given under the owner's lock: what is newer of an owner has the higher one
    seq           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner         BIGINT NOT NULL REFERENCES owners (id),
    memory_id     BYTEA  NOT NULL,
    -- its name among vectors, which know no owners' ids
    point         BYTEA  NOT NULL UNIQUE,
    -- 0 as long as the audit log does not have it: then nobody sees it
    rev           BIGINT NOT NULL DEFAULT 0,
    -- 1 turn, 2 fact, 3 summary
    kind          BIGINT NOT NULL CHECK (kind BETWEEN 1 AND 3),
    -- 1 person, 2 model, 3 tool, 4 imported
    label         BIGINT NOT NULL CHECK (label BETWEEN 1 AND 4),
    text          BYTEA  NOT NULL,
    speaker       BYTEA  NOT NULL,
    time_ms       BIGINT NOT NULL,
    -- set as soon as it holds no longer
    valid_to_ms   BIGINT,
    superseded_by BYTEA,
    -- whose place it takes when it is on record
    supersedes    BYTEA,
    agent         TEXT   COLLATE "C" NOT NULL,
    session       TEXT   COLLATE "C",
    run           TEXT   COLLATE "C",
    ordinal       BIGINT NOT NULL,
    importance    DOUBLE PRECISION NOT NULL,
    saved_ms      BIGINT NOT NULL,
    -- the audit event that records it, and where that is
    event         BYTEA  NOT NULL,
    audit_index   BIGINT,
    hidden_ms     BIGINT,
    -- 1 a model, 2 the person
    hidden_by     BIGINT,
    erase_ms      BIGINT,
    UNIQUE (owner, memory_id)
);

CREATE INDEX memories_by_rev ON memories (owner, rev);
CREATE INDEX memories_by_age ON memories (owner, seq);
CREATE INDEX memories_by_session ON memories (owner, session, ordinal) WHERE session IS NOT NULL;
CREATE UNIQUE INDEX memories_superseding ON memories (owner, supersedes) WHERE supersedes IS NOT NULL;
CREATE INDEX memories_unrecorded ON memories (event) WHERE audit_index IS NULL;
CREATE INDEX memories_to_erase ON memories (erase_ms) WHERE erase_ms IS NOT NULL;

-- What has happened and is not in the audit log yet.
CREATE TABLE steps (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event     BYTEA  NOT NULL UNIQUE,
    tenant    TEXT   COLLATE "C" NOT NULL,
    subject   TEXT   COLLATE "C" NOT NULL,
    -- the one memory that it is about, if it is about one
    memory_id BYTEA,
    made_ms   BIGINT NOT NULL,
    -- JSON
    body      TEXT   NOT NULL
);

CREATE INDEX steps_by_tenant ON steps (tenant, id);
CREATE INDEX steps_by_memory ON steps (tenant, subject, memory_id) WHERE memory_id IS NOT NULL;

-- What the vectors have not been told yet. A row says all that is needed to delete a vector, because the memory is gone then.
CREATE TABLE outbox (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  TEXT   COLLATE "C" NOT NULL,
    subject TEXT   COLLATE "C" NOT NULL,
    point   BYTEA  NOT NULL,
    -- 1 put, 2 delete
    what    BIGINT NOT NULL CHECK (what BETWEEN 1 AND 2)
);

CREATE INDEX outbox_by_tenant ON outbox (tenant, seq);

-- Whether a turn's memories were made.
ALTER TABLE runs ADD COLUMN remembered BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX runs_unremembered ON runs (tenant, id) WHERE NOT remembered AND state IN (2, 4);
-- And those of what a client brought along.
ALTER TABLE sessions ADD COLUMN claimed_remembered BOOLEAN NOT NULL DEFAULT FALSE;
