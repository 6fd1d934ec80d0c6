-- An owner's memories whose time has come, and the summaries of a session, without looking at all that the owner has.
CREATE INDEX memories_due ON memories (owner, erase_ms) WHERE erase_ms IS NOT NULL;
CREATE INDEX memories_summaries ON memories (owner, session, kind) WHERE kind = 3;
