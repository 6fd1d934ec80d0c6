-- Steps that the audit log refuses for good are set aside, so that they do not hold up others; each start tries them again.
ALTER TABLE steps ADD COLUMN set_aside BOOLEAN NOT NULL DEFAULT FALSE;

DROP INDEX steps_by_tenant;
CREATE INDEX steps_waiting ON steps (tenant, id) WHERE NOT set_aside;
CREATE INDEX steps_set_aside ON steps (id) WHERE set_aside;
