-- The log itself. `idx` is the position in the Merkle tree; `body` holds the leaf bytes exactly as hashed.
-- The primary keys of entries and checkpoints are what two writers that met could not both satisfy: no fork can be stored.
CREATE TABLE entries (
    idx      BIGINT PRIMARY KEY,
    event_id BYTEA NOT NULL CHECK (length(event_id) = 16),
    hash     BYTEA NOT NULL CHECK (length(hash) = 32),
    body     BYTEA NOT NULL,
    details  BYTEA
);
CREATE UNIQUE INDEX entries_by_event ON entries (event_id);
-- Sealed bytes and hashes do not compress.
ALTER TABLE entries ALTER COLUMN details SET STORAGE EXTERNAL;

-- The last sequence number given to each tenant.
CREATE TABLE tenants (
    tenant TEXT PRIMARY KEY,
    seq    BIGINT NOT NULL
) WITH (fillfactor = 70);

-- Full tiles of the tree, 256 hashes each (C2SP tlog-tiles). What is right of them follows from `entries`.
CREATE TABLE tiles (
    level  BIGINT NOT NULL,
    idx    BIGINT NOT NULL,
    hashes BYTEA NOT NULL CHECK (length(hashes) = 8192),
    PRIMARY KEY (level, idx)
);
ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- One signed checkpoint for each commit, over all entries up to it.
CREATE TABLE checkpoints (
    size BIGINT PRIMARY KEY,
    note TEXT NOT NULL
);

-- The public half of the key that signs this log, written once by the instance that made it.
CREATE TABLE identity (
    one      BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    verifier TEXT NOT NULL
);

-- Against slips of the hand, not against the owner of the tables: that is what the signatures are for.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever appended to';
END
$$;
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON entries EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tiles_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON tiles EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoints_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints EXECUTE FUNCTION refuse_change();
CREATE TRIGGER identity_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON identity EXECUTE FUNCTION refuse_change();

-- Derived from the log and rebuilt when lost: which entries a query has to read. Empty texts mean "has none".
CREATE TABLE indexed (
    idx     BIGINT PRIMARY KEY,
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    service TEXT NOT NULL,
    run     TEXT NOT NULL,
    session TEXT NOT NULL,
    call    TEXT NOT NULL,
    time    BIGINT NOT NULL
);
CREATE INDEX indexed_by_kind ON indexed (tenant, kind, idx);
CREATE INDEX indexed_by_run ON indexed (tenant, run, idx) WHERE run <> '';
CREATE INDEX indexed_by_session ON indexed (tenant, session, idx) WHERE session <> '';
CREATE INDEX indexed_by_call ON indexed (tenant, call, idx) WHERE call <> '';

-- Entries below `next` are indexed; `hash` is the leaf hash of the last of them.
CREATE TABLE progress (
    one  BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    next BIGINT NOT NULL,
    hash BYTEA
);
INSERT INTO progress (next) VALUES (0);
