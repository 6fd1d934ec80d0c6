-- The keys that open details, one for each person, each wrapped with a key that is not in this database. Erasing a row
-- erases what the log knows about them in detail, as far as backups and the write-ahead log do not keep it.
CREATE TABLE data_keys (
    id      BYTEA PRIMARY KEY CHECK (length(id) = 16),
    tenant  TEXT NOT NULL,
    subject TEXT NOT NULL,
    wrapped BYTEA NOT NULL,
    UNIQUE (tenant, subject)
);

-- Which key wraps them, so that an instance with another one finds out before it seals anything.
CREATE TABLE wrapping (
    one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    id  BYTEA NOT NULL CHECK (length(id) = 16)
);
