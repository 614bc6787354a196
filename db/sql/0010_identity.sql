-- SPDX-License-Identifier: Apache-2.0
-- What a unit gets is one set: all values of it have the same lease. It stays with a value until the
-- value is free again.
--
-- pool_skips: numbers that a pool passed over without giving them out, and why. A person's name is in `by`;
-- '' where the value was in the ledger already.

ALTER TABLE serials ADD COLUMN lease TEXT;
CREATE TRIGGER serials_lease_stays BEFORE UPDATE ON serials
WHEN OLD.lease IS NOT NULL AND NEW.lease IS NOT OLD.lease AND NEW.state <> 'free'
BEGIN
	SELECT RAISE (ABORT, 'a value of the ledger has one lease');
END;
CREATE INDEX serials_by_number ON serials (pool_id, ordinal, seq) WHERE pool_id IS NOT NULL;

CREATE TABLE pool_skips (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	pool_id TEXT NOT NULL REFERENCES pools (id),
	first INTEGER NOT NULL,
	last INTEGER NOT NULL CHECK (last >= first),
	value TEXT,
	at INTEGER NOT NULL,
	by TEXT NOT NULL,
	reason TEXT NOT NULL
) STRICT;
CREATE INDEX pool_skips_by_number ON pool_skips (pool_id, first);
CREATE TRIGGER pool_skips_stay BEFORE UPDATE ON pool_skips
BEGIN
	SELECT RAISE (ABORT, 'what a pool passed over is immutable');
END;
CREATE TRIGGER pool_skips_remain BEFORE DELETE ON pool_skips
BEGIN
	SELECT RAISE (ABORT, 'what a pool passed over is never deleted');
END;

-- What the events still know.
INSERT INTO pool_skips (pool_id, first, last, value, at, by, reason)
SELECT data ->> 'pool', data ->> 'from', (data ->> 'to') - 1, NULL, at, data ->> 'by', data ->> 'reason'
	FROM events WHERE type = 'pool-advanced' AND data ->> 'to' > data ->> 'from'
	AND data ->> 'pool' IN (SELECT id FROM pools) ORDER BY seq;
