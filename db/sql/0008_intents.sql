-- SPDX-License-Identifier: Apache-2.0
-- The journal of what cannot be undone: one row for each act, on disk before its first byte.
--
-- unit: what the device says of itself (a chip id, a serial number), '' where it says nothing. what:
-- which thing of the unit, so that two acts on it are known for that. digest: SHA-256 of what was to
-- be brought there, never the value. who: who ordered the run. settled_by: the run whose step found
-- out, or the person. observed: how.
--
--	intent ──> committed   it happened: seen on the device
--	   │  └──> void        it did not happen: seen on the device, or a person says so
--	   └─────> suspect ──> committed | void
--
-- intent and suspect are open: a step that finds one looks at the device before it acts.

CREATE TABLE intents (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	run_id TEXT NOT NULL REFERENCES runs (id),
	step_n INTEGER NOT NULL,
	station TEXT NOT NULL,
	action TEXT NOT NULL,
	unit TEXT NOT NULL,
	what TEXT NOT NULL,
	digest TEXT NOT NULL CHECK (length(digest) = 64),
	who TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('intent', 'committed', 'void', 'suspect')),
	observed TEXT,
	settled_by TEXT,
	intended_at INTEGER NOT NULL,
	settled_at INTEGER,
	UNIQUE (run_id, step_n),
	CHECK ((state = 'intent') = (observed IS NULL)),
	CHECK ((observed IS NULL) = (settled_by IS NULL AND settled_at IS NULL))
) STRICT;
CREATE INDEX intents_open ON intents (action, what) WHERE state IN ('intent', 'suspect');
CREATE INDEX intents_by_unit ON intents (unit, seq) WHERE unit <> '';

CREATE TRIGGER intents_begin BEFORE INSERT ON intents
	WHEN NEW.state <> 'intent'
		OR EXISTS (SELECT 1 FROM intents WHERE run_id = NEW.run_id AND step_n = NEW.step_n)
		OR NEW.seq > 0 AND NEW.seq <= coalesce((SELECT max(seq) FROM intents), 0)
BEGIN
	SELECT RAISE (ABORT, 'an act is intended once');
END;
CREATE TRIGGER intents_settled_stay BEFORE UPDATE ON intents
	WHEN OLD.state IN ('committed', 'void') OR NEW.state = 'intent'
		OR NEW.seq <> OLD.seq OR NEW.run_id <> OLD.run_id OR NEW.step_n <> OLD.step_n
		OR NEW.station <> OLD.station OR NEW.action <> OLD.action OR NEW.unit <> OLD.unit
		OR NEW.what <> OLD.what OR NEW.digest <> OLD.digest OR NEW.who <> OLD.who
		OR NEW.intended_at <> OLD.intended_at
BEGIN
	SELECT RAISE (ABORT, 'a settled act is immutable');
END;
CREATE TRIGGER intents_remain BEFORE DELETE ON intents
BEGIN
	SELECT RAISE (ABORT, 'an act is never deleted');
END;
