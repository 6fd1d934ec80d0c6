-- What clients bring along: earlier conversations, and instructions of their own.

CREATE TABLE claimed_turns (
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    -- estimated tokens and bytes of the turn's messages
    tokens  INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    -- harombe.memory.v1.Turn without a run id
    body    BLOB    NOT NULL,
    PRIMARY KEY (session, ordinal)
) STRICT, WITHOUT ROWID;

ALTER TABLE runs ADD COLUMN client_instructions TEXT NOT NULL DEFAULT '';
