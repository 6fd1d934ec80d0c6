-- A call that waits for a person, or did. One per call: asking again finds the same row.
CREATE TABLE approvals (
    approval_id        TEXT    NOT NULL PRIMARY KEY,
    tenant             TEXT    NOT NULL,
    subject            TEXT    NOT NULL,
    agent              TEXT    NOT NULL,
    session            TEXT    NOT NULL,
    run                TEXT    NOT NULL,
    call               TEXT    NOT NULL,
    -- The canonical call, exactly as it will be performed.
    document           BLOB    NOT NULL,
    risk               TEXT    NOT NULL,
    reasons            TEXT    NOT NULL,
    policy_version     TEXT    NOT NULL,
    requested_at       INTEGER NOT NULL,
    deadline           INTEGER NOT NULL,
    request_event      TEXT    NOT NULL,
    request_recorded   INTEGER NOT NULL DEFAULT 0,
    -- Null while nobody has decided.
    decision           TEXT,
    decided_by         TEXT,
    own                INTEGER NOT NULL DEFAULT 0,
    unattended         INTEGER NOT NULL DEFAULT 0,
    comment            TEXT    NOT NULL DEFAULT '',
    decided_at         INTEGER,
    decision_event     TEXT,
    decision_recorded  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, run, call)
) STRICT;

CREATE INDEX approvals_newest ON approvals (tenant, requested_at);
CREATE INDEX approvals_pending ON approvals (deadline) WHERE decision IS NULL;
CREATE INDEX approvals_unrecorded ON approvals (approval_id)
    WHERE request_recorded = 0 OR (decision IS NOT NULL AND decision_recorded = 0);

-- A grant that was spent. The key is what makes it once.
CREATE TABLE redemptions (
    tenant         TEXT    NOT NULL,
    run            TEXT    NOT NULL,
    call           TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    agent          TEXT    NOT NULL,
    session        TEXT    NOT NULL,
    tool           TEXT    NOT NULL,
    digest         BLOB    NOT NULL,
    grant_id       TEXT    NOT NULL,
    redeemer       TEXT    NOT NULL,
    policy_version TEXT    NOT NULL,
    redeemed_at    INTEGER NOT NULL,
    event          TEXT    NOT NULL,
    recorded       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, run, call)
) STRICT, WITHOUT ROWID;

CREATE INDEX redemptions_unrecorded ON redemptions (redeemed_at) WHERE recorded = 0;
