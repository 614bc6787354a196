-- SPDX-License-Identifier: Apache-2.0
-- What others are to be told, and could not be so far. A row is written with what it is about: that of
-- a step in the transaction of the step's end. Nothing secret is in it: who is asked and with which
-- token is read from the configuration when it goes out.
--
-- kind: who carries it out ('step': an action of a recipe). order_key: rows of one key go out one
-- after another, and one that stopped stops those after it; of a step its unit. target: the service.
-- id: the key by which the other side knows a repetition. key: what nobody asks for twice.
--
--	held ──> waiting ──> done
--	  │         │  ^└──> refused ──> waiting   a person says: once more
--	  │         │  └ not now: again at next_at
--	  └─────> void <─────┘   the run did not pass; a later run did it; a person says so
--
-- attempts: begun ones, counted on disk before the first byte: more than 0 may have had its effect.

CREATE TABLE outbox (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	kind TEXT NOT NULL,
	key TEXT NOT NULL,
	order_key TEXT NOT NULL,
	target TEXT NOT NULL,
	payload TEXT NOT NULL,
	run_id TEXT REFERENCES runs (id),
	step_n INTEGER,
	state TEXT NOT NULL CHECK (state IN ('held', 'waiting', 'done', 'refused', 'void')),
	attempts INTEGER NOT NULL DEFAULT 0,
	code TEXT,
	message TEXT,
	result TEXT,
	created_at INTEGER NOT NULL,
	tried_at INTEGER,
	next_at INTEGER,
	settled_at INTEGER,
	UNIQUE (kind, key),
	CHECK ((state IN ('done', 'void')) = (settled_at IS NOT NULL)),
	CHECK (state <> 'done' OR result IS NOT NULL)
) STRICT;
CREATE INDEX outbox_by_order ON outbox (order_key, seq);
CREATE INDEX outbox_waiting ON outbox (seq) WHERE state = 'waiting';
CREATE INDEX outbox_by_state ON outbox (state, seq);
CREATE INDEX outbox_by_run ON outbox (run_id, seq) WHERE run_id IS NOT NULL;

CREATE TRIGGER outbox_settled_stays BEFORE UPDATE ON outbox
WHEN OLD.state IN ('done', 'void') OR NEW.attempts < OLD.attempts OR NEW.seq <> OLD.seq
	OR NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.key <> OLD.key
	OR NEW.payload <> OLD.payload OR NEW.target <> OLD.target
	OR (NEW.order_key <> OLD.order_key AND OLD.state <> 'held')
	OR (NEW.state = 'held' AND OLD.state <> 'held')
BEGIN
	SELECT RAISE (ABORT, 'what has left the outbox is immutable');
END;
CREATE TRIGGER outbox_remains BEFORE DELETE ON outbox WHEN OLD.run_id IS NOT NULL
BEGIN
	SELECT RAISE (ABORT, 'what a run left in the outbox is never deleted');
END;

-- A deferred step counts as skipped, and a run with one as passed: `deferred` says how it is shown,
-- and so is in the chain. A run that `completes` another one is the record of what the outbox did for it
-- later; it counts nowhere.
ALTER TABLE steps ADD COLUMN deferred INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN deferred INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN completes TEXT REFERENCES runs (id);
CREATE UNIQUE INDEX runs_by_completed ON runs (completes) WHERE completes IS NOT NULL;

-- A unit may be provisioned: all of its steps passed, and the outbox has something of it.
PRAGMA defer_foreign_keys = ON;
CREATE TABLE units_before AS SELECT * FROM units;
DROP TABLE units;
CREATE TABLE units (
	id TEXT PRIMARY KEY,
	serial TEXT UNIQUE,
	model TEXT,
	chip_id TEXT,
	state TEXT NOT NULL CHECK (state IN
		('new', 'provisioned', 'passed', 'failed', 'suspect', 'scrapped')),
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO units (id, serial, model, chip_id, state, created_at, updated_at)
	SELECT id, serial, model, chip_id, state, created_at, updated_at FROM units_before;
DROP TABLE units_before;
CREATE INDEX units_by_chip ON units (chip_id, created_at) WHERE chip_id IS NOT NULL;
CREATE INDEX units_by_state ON units (state, created_at, id);
CREATE INDEX units_by_time ON units (created_at, id);
