-- SPDX-License-Identifier: Apache-2.0
-- A host of a plant (db/plant.h): its session, how far the plant has its events, and the numbers that it leased.
-- named: provd.yaml names a plant; without one nothing is kept for it.
--
-- state: unproven   the plant has not answered yet since this database was opened
--        good       the numbers of `fence` may be given out
--        stopped    the plant takes this host for a copy, or for an older one: code and why
-- nonce is that of the question that is under way, and asked_place where it was asked; claim_request names the question for
-- a part of an order that is under way.

CREATE TABLE plant (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	state TEXT NOT NULL CHECK (state IN ('unproven', 'good', 'stopped')),
	fence INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
	place TEXT NOT NULL DEFAULT '',
	nonce TEXT NOT NULL DEFAULT '',
	asked_place TEXT NOT NULL DEFAULT '',
	code TEXT,
	why TEXT,
	seen INTEGER NOT NULL DEFAULT 0,
	claim_request TEXT NOT NULL DEFAULT '',
	named INTEGER NOT NULL DEFAULT 1 CHECK (named IN (0, 1)),
	heard_at INTEGER,
	message TEXT,
	failing_since INTEGER
) STRICT;
CREATE TRIGGER plant_grows BEFORE UPDATE ON plant WHEN NEW.fence < OLD.fence OR NEW.seen < OLD.seen
BEGIN
	SELECT RAISE (ABORT, 'how far a plant is never goes back');
END;

-- Pools whose numbers are the plant's: those of a lease alone are given out. request is the name of the question
-- for another one that is under way.
CREATE TABLE plant_pools (
	pool_id TEXT PRIMARY KEY REFERENCES pools (id),
	lease_values INTEGER NOT NULL CHECK (lease_values > 0),
	request TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

--	waiting ──> begun ──> over        used up, or of a session that has ended
--	   └──────────┴────> back ──> over    nothing from next on is given out any more; the plant is told
CREATE TABLE plant_leases (
	id INTEGER PRIMARY KEY,
	pool_id TEXT NOT NULL REFERENCES plant_pools (pool_id),
	fence INTEGER NOT NULL,
	first INTEGER NOT NULL CHECK (first >= 0),
	last INTEGER NOT NULL CHECK (last >= first),
	granted_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('waiting', 'begun', 'back', 'over')),
	next INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX plant_leases_by_pool ON plant_leases (pool_id, first);
CREATE TRIGGER plant_leases_end BEFORE UPDATE ON plant_leases
WHEN NEW.first <> OLD.first OR NEW.last <> OLD.last OR NEW.fence <> OLD.fence OR NEW.pool_id <> OLD.pool_id
	OR (OLD.state = 'over' AND NEW.state <> 'over') OR (OLD.state = 'back' AND NEW.state NOT IN ('back', 'over'))
BEGIN
	SELECT RAISE (ABORT, 'a lease that has ended is not used again');
END;

-- A part of an order of the plant, and the order that was made of it here; why: it could not be made. The plant is told of its
-- end once it has all that was recorded before.
CREATE TABLE plant_claims (
	id INTEGER PRIMARY KEY,
	order_id TEXT NOT NULL,
	job_id TEXT REFERENCES jobs (id),
	why TEXT,
	told INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
	CHECK ((job_id IS NULL) = (why IS NOT NULL))
) STRICT;
CREATE INDEX plant_claims_open ON plant_claims (id) WHERE told = 0;
CREATE TRIGGER plant_claims_end BEFORE UPDATE ON plant_claims
WHEN NEW.told < OLD.told OR NEW.job_id IS NOT OLD.job_id OR NEW.order_id <> OLD.order_id
BEGIN
	SELECT RAISE (ABORT, 'a part of an order stays as it is');
END;
