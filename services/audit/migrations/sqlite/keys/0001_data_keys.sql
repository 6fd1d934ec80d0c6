-- The keys that open details, one for each person. Erasing a row erases what the log knows about them in detail.
CREATE TABLE data_keys (
    id      BLOB PRIMARY KEY CHECK (length(id) = 16),
    tenant  TEXT NOT NULL,
    subject TEXT NOT NULL,
    key     BLOB NOT NULL CHECK (length(key) = 32),
    UNIQUE (tenant, subject)
) STRICT;
