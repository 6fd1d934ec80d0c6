-- The embedding models whose vectors there are. Vectors are derived: what is in them is made again from the memories.

CREATE TABLE generations (
    name      TEXT    PRIMARY KEY,
    dimension INTEGER NOT NULL,
    -- JSON: where the model is had
    source    TEXT    NOT NULL,
    -- all memories are in it: it may serve
    complete  INTEGER NOT NULL
) STRICT;
