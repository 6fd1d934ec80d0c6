-- The log itself. `idx` is the position in the Merkle tree; `body` holds the leaf bytes exactly as hashed.
-- The event id is the only index: every further one costs appends (see README).
CREATE TABLE entries (
    idx      INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL CHECK (length(event_id) = 16),
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    body     BLOB NOT NULL,
    details  BLOB
) STRICT;
CREATE UNIQUE INDEX entries_by_event ON entries (event_id);

-- The last sequence number given to each tenant.
CREATE TABLE tenants (
    tenant TEXT PRIMARY KEY,
    seq    INTEGER NOT NULL
) STRICT;

-- Full tiles of the tree, 256 hashes each (C2SP tlog-tiles). What is right of them follows from `entries`.
CREATE TABLE tiles (
    level  INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
    PRIMARY KEY (level, idx)
) STRICT;

-- One signed checkpoint for each commit, over all entries up to it.
CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;
