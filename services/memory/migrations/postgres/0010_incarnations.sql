-- Which of the name an owner is: after a person was erased, the next of that name is another one. Any number that no other of
-- the name has had; it tells nothing of the person.
ALTER TABLE owners ADD COLUMN incarnation BIGINT NOT NULL DEFAULT 0;
UPDATE owners SET incarnation = id;
