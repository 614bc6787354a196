-- SPDX-License-Identifier: Apache-2.0
-- Receivers that asked for events, and what became of each event that is theirs. The table of events is
-- what waits for them: `seen` is how far it was looked at for a webhook, and a few rows of what follows
-- are taken out of it at a time, in its order. So a million events that wait cost nothing more than they
-- do anyway, and those that an enabled webhook has not got are kept (db/events.h).
--
-- secret, old_secret: names in `secrets` of provd.yaml, so that no secret is in the database.
--
--	waiting ──> done
--	   │ ^       │     again: a person says so
--	   v └───────┤
--	  dead ──────┘     it was tried for give_up, while others got through
--
-- id: that of the message, the same at each attempt. run_id, unit: rows that share one of them go out one
-- after another. waited_ms: how long it was tried, without a clock that may jump.

CREATE TABLE webhooks (
	id TEXT PRIMARY KEY,
	url TEXT NOT NULL,
	types TEXT NOT NULL,
	station TEXT,
	job TEXT,
	secret TEXT NOT NULL,
	old_secret TEXT,
	old_until INTEGER,
	enabled INTEGER NOT NULL,
	reason TEXT,
	seen INTEGER NOT NULL,
	lost INTEGER NOT NULL DEFAULT 0,
	done INTEGER NOT NULL DEFAULT 0,
	failures INTEGER NOT NULL DEFAULT 0,
	failing_ms INTEGER NOT NULL DEFAULT 0,
	revision INTEGER NOT NULL DEFAULT 1,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
	n INTEGER PRIMARY KEY AUTOINCREMENT,
	webhook TEXT NOT NULL REFERENCES webhooks (id),
	id TEXT NOT NULL UNIQUE,
	event INTEGER NOT NULL,
	run_id TEXT,
	unit TEXT,
	state TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'dead')),
	attempts INTEGER NOT NULL DEFAULT 0,
	waited_ms INTEGER NOT NULL DEFAULT 0,
	done_before INTEGER,
	status INTEGER,
	message TEXT,
	answer TEXT,
	created_at INTEGER NOT NULL,
	tried_at INTEGER,
	settled_at INTEGER,
	CHECK ((state = 'waiting') = (settled_at IS NULL))
) STRICT;
CREATE INDEX deliveries_by_state ON deliveries (webhook, state, n);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook, n);
CREATE INDEX deliveries_by_run ON deliveries (webhook, run_id, n) WHERE state = 'waiting' AND run_id IS NOT NULL;
CREATE INDEX deliveries_by_unit ON deliveries (webhook, unit, n) WHERE state = 'waiting' AND unit IS NOT NULL;
CREATE INDEX deliveries_waiting ON deliveries (event) WHERE state = 'waiting';

-- The folder that events are written to as files: how far, and what keeps it from going on. One row, of the
-- folder that provd.yaml names now.
CREATE TABLE spool (
	dir TEXT PRIMARY KEY,
	seen INTEGER NOT NULL,
	message TEXT,
	failing_since INTEGER
) STRICT, WITHOUT ROWID;
