-- API keys. The key itself is nowhere: only the SHA-256 of its secret part.
CREATE TABLE keys (
    key_id              TEXT    NOT NULL PRIMARY KEY,
    digest              BLOB    NOT NULL,
    tenant              TEXT    NOT NULL,
    name                TEXT    NOT NULL,
    subject             TEXT    NOT NULL,
    -- Words with a comma between them.
    roles               TEXT    NOT NULL,
    agents              TEXT    NOT NULL,
    allow_self          INTEGER NOT NULL,
    -- 0: what the configuration says.
    requests_per_second INTEGER NOT NULL,
    burst               INTEGER NOT NULL,
    streams             INTEGER NOT NULL,
    messages_per_day    INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    created_by          TEXT    NOT NULL,
    expires_at          INTEGER,
    -- Set when the audit log has its key.created: before that the key opens nothing.
    active              INTEGER NOT NULL DEFAULT 0,
    revoked_at          INTEGER,
    revoked_by          TEXT,
    revocation_event    TEXT,
    revocation_recorded INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX keys_newest ON keys (tenant, created_at, key_id);
CREATE INDEX keys_inactive ON keys (created_at) WHERE active = 0;
CREATE INDEX keys_unrecorded ON keys (revoked_at) WHERE revoked_at IS NOT NULL AND revocation_recorded = 0;

-- Messages of a key on its last day of use, for keys with a quota.
CREATE TABLE usage (
    key_id   TEXT    NOT NULL PRIMARY KEY,
    -- Days since 1970-01-01 UTC.
    day      INTEGER NOT NULL,
    messages INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
