-- The embedding models whose vectors there are. Vectors are derived: what is in them is made again from the memories.

CREATE TABLE generations (
    name      TEXT    COLLATE "C" PRIMARY KEY,
    dimension BIGINT  NOT NULL,
    -- JSON: where the model is had
    source    TEXT    NOT NULL,
    -- all memories are in it: it may serve
    complete  BOOLEAN NOT NULL
);

-- Which process writes vectors, and until when it is believed to.
CREATE TABLE indexing (
    one      BIGINT PRIMARY KEY CHECK (one = 1),
    holder   TEXT   NOT NULL,
    until_ms BIGINT NOT NULL
);
