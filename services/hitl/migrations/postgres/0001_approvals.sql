-- A call that waits for a person, or did. One per call: asking again finds the same row.
-- Texts are compared and sorted byte by byte ("C"), whatever the database's language. What people write is BYTEA,
-- because TEXT cannot hold every text.
CREATE TABLE approvals (
    approval_id        TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    tenant             TEXT    COLLATE "C" NOT NULL,
    subject            TEXT    COLLATE "C" NOT NULL,
    agent              TEXT    COLLATE "C" NOT NULL,
    session            TEXT    COLLATE "C" NOT NULL,
    run                TEXT    COLLATE "C" NOT NULL,
    call               TEXT    COLLATE "C" NOT NULL,
    -- The canonical call, exactly as it will be performed.
    document           BYTEA   NOT NULL,
    risk               TEXT    NOT NULL,
    reasons            TEXT    NOT NULL,
    policy_version     TEXT    NOT NULL,
    requested_at       BIGINT  NOT NULL,
    deadline           BIGINT  NOT NULL,
    request_event      TEXT    NOT NULL,
    request_recorded   BOOLEAN NOT NULL DEFAULT FALSE,
    -- Null while nobody has decided.
    decision           TEXT,
    decided_by         TEXT,
    own                BOOLEAN NOT NULL DEFAULT FALSE,
    unattended         BOOLEAN NOT NULL DEFAULT FALSE,
    comment            BYTEA   NOT NULL DEFAULT '',
    decided_at         BIGINT,
    decision_event     TEXT,
    decision_recorded  BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE (tenant, run, call)
);

CREATE INDEX approvals_newest ON approvals (tenant, requested_at);
CREATE INDEX approvals_pending ON approvals (deadline) WHERE decision IS NULL;
CREATE INDEX approvals_open ON approvals (requested_at) WHERE decision IS NULL OR NOT decision_recorded;
CREATE INDEX approvals_unrecorded ON approvals (approval_id)
    WHERE NOT request_recorded OR (decision IS NOT NULL AND NOT decision_recorded);

-- A grant that was spent. The key is what makes it once.
CREATE TABLE redemptions (
    tenant         TEXT    COLLATE "C" NOT NULL,
    run            TEXT    COLLATE "C" NOT NULL,
    call           TEXT    COLLATE "C" NOT NULL,
    subject        TEXT    NOT NULL,
    agent          TEXT    NOT NULL,
    session        TEXT    NOT NULL,
    tool           TEXT    NOT NULL,
    digest         BYTEA   NOT NULL,
    grant_id       TEXT    NOT NULL,
    redeemer       TEXT    NOT NULL,
    policy_version TEXT    NOT NULL,
    redeemed_at    BIGINT  NOT NULL,
    event          TEXT    NOT NULL,
    recorded       BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (tenant, run, call)
);

CREATE INDEX redemptions_unrecorded ON redemptions (redeemed_at) WHERE NOT recorded;
