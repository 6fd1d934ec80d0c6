-- What keeps memories in order has looked at, and what it goes by. All of it can be made again from the memories.

-- Up to which revision all changes were looked at, and when they last were.
ALTER TABLE owners ADD COLUMN looked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE owners ADD COLUMN looked_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX owners_behind ON owners (tenant, looked_ms, id) WHERE looked < rev;

-- What facts that may say the same, or speak of the same, have in common.
CREATE TABLE fact_keys (
    owner  INTEGER NOT NULL,
    key    INTEGER NOT NULL,
    memory INTEGER NOT NULL REFERENCES memories (seq) ON DELETE CASCADE,
    PRIMARY KEY (owner, key, memory)
) STRICT, WITHOUT ROWID;

CREATE INDEX fact_keys_by_memory ON fact_keys (memory);

-- Memories whose place another takes as soon as the audit log has the event.
CREATE TABLE links (
    memory INTEGER PRIMARY KEY REFERENCES memories (seq) ON DELETE CASCADE,
    taker  INTEGER NOT NULL REFERENCES memories (seq) ON DELETE CASCADE,
    event  BLOB    NOT NULL
) STRICT;

CREATE INDEX links_by_taker ON links (taker);
CREATE INDEX links_by_event ON links (event);

-- What the summaries that were made here cover: turns of a session, by ordinals.
CREATE TABLE summaries (
    memory  INTEGER PRIMARY KEY REFERENCES memories (seq) ON DELETE CASCADE,
    owner   INTEGER NOT NULL,
    session TEXT    NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL
) STRICT;

CREATE INDEX summaries_by_session ON summaries (owner, session, first, last);
