-- API keys. The key itself is nowhere: only the SHA-256 of its secret part.
CREATE TABLE keys (
    key_id              TEXT    NOT NULL PRIMARY KEY,
    digest              BYTEA   NOT NULL,
    tenant              TEXT    NOT NULL,
    name                TEXT    NOT NULL,
    subject             TEXT    NOT NULL,
    -- Words with a comma between them.
    roles               TEXT    NOT NULL,
    agents              TEXT    NOT NULL,
    allow_self          BOOLEAN NOT NULL,
    -- 0: what the configuration says.
    requests_per_second BIGINT  NOT NULL,
    burst               BIGINT  NOT NULL,
    streams             BIGINT  NOT NULL,
    messages_per_day    BIGINT  NOT NULL,
    created_at          BIGINT  NOT NULL,
    created_by          TEXT    NOT NULL,
    expires_at          BIGINT,
    -- Set when the audit log has its key.created: before that the key opens nothing.
    active              BOOLEAN NOT NULL DEFAULT FALSE,
    revoked_at          BIGINT,
    revoked_by          TEXT,
    revocation_event    TEXT,
    revocation_recorded BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE INDEX keys_newest ON keys (tenant, created_at, key_id);
CREATE INDEX keys_inactive ON keys (created_at) WHERE NOT active;
CREATE INDEX keys_unrecorded ON keys (revoked_at) WHERE revoked_at IS NOT NULL AND NOT revocation_recorded;

-- Messages of a key on its last day of use, for keys with a quota.
CREATE TABLE usage (
    key_id   TEXT   NOT NULL PRIMARY KEY,
    -- Days since 1970-01-01 UTC.
    day      BIGINT NOT NULL,
    messages BIGINT NOT NULL
);
