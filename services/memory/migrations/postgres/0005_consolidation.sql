-- What keeps memories in order has looked at, and what it goes by. All of it can be made again from the memories.

-- Up to which revision all changes were looked at, and when they last were.
ALTER TABLE owners ADD COLUMN looked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE owners ADD COLUMN looked_ms BIGINT NOT NULL DEFAULT 0;
CREATE INDEX owners_behind ON owners (tenant, looked_ms, id) WHERE looked < rev;

-- What facts that may say the same, or speak of the same, have in common.
CREATE TABLE fact_keys (
    owner  BIGINT NOT NULL,
    key    BIGINT NOT NULL,
    memory BIGINT NOT NULL REFERENCES memories (seq) ON DELETE CASCADE,
    PRIMARY KEY (owner, key, memory)
);

CREATE INDEX fact_keys_by_memory ON fact_keys (memory);

-- Memories whose place another takes as soon as the audit log has the event.
CREATE TABLE links (
    memory BIGINT PRIMARY KEY REFERENCES memories (seq) ON DELETE CASCADE,
    taker  BIGINT NOT NULL REFERENCES memories (seq) ON DELETE CASCADE,
    event  BYTEA  NOT NULL
);

CREATE INDEX links_by_taker ON links (taker);
CREATE INDEX links_by_event ON links (event);

-- What the summaries that were made here cover: turns of a session, by ordinals.
CREATE TABLE summaries (
    memory  BIGINT PRIMARY KEY REFERENCES memories (seq) ON DELETE CASCADE,
    owner   BIGINT NOT NULL,
    session TEXT   COLLATE "C" NOT NULL,
    first   BIGINT NOT NULL,
    last    BIGINT NOT NULL
);

CREATE INDEX summaries_by_session ON summaries (owner, session, first, last);

-- Which process keeps memories in order, and until when it is believed to.
CREATE TABLE consolidating (
    one      BIGINT PRIMARY KEY CHECK (one = 1),
    holder   TEXT   NOT NULL,
    until_ms BIGINT NOT NULL
);
