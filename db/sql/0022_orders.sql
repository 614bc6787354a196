-- SPDX-License-Identifier: Apache-2.0
-- Orders as a MES thinks of them (db/jobs.h): its own number, an end by itself, what a station must be able to do, holds, and lists
-- of units.
--
-- number: of the MES, once for ever; content_sha256: of the request that made it, so that the same one again is known. expires: when
-- it ends by itself. requires: JSON, capabilities. hold: JSON {reason, by, at}, beside its state. ending: JSON {how, by, reason}, why
-- it is not worked on any more (how: complete, stopped, short, expired, aborted, cancelled). rework: its units were made before, and keep what they are. assign: how a unit finds its row of the
-- list; NULL: there is none. route_check: JSON {service, on_no_answer, timeout_ms}, who is asked before a unit begins.

ALTER TABLE jobs ADD COLUMN number TEXT;
ALTER TABLE jobs ADD COLUMN content_sha256 TEXT;
ALTER TABLE jobs ADD COLUMN expires INTEGER;
ALTER TABLE jobs ADD COLUMN requires TEXT NOT NULL DEFAULT '[]';
ALTER TABLE jobs ADD COLUMN hold TEXT;
ALTER TABLE jobs ADD COLUMN ending TEXT;
ALTER TABLE jobs ADD COLUMN rework INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN assign TEXT CHECK (assign IN ('in-order', 'recognised'));
ALTER TABLE jobs ADD COLUMN route_check TEXT;
CREATE UNIQUE INDEX jobs_by_number ON jobs (number) WHERE number IS NOT NULL;
CREATE INDEX jobs_by_expiry ON jobs (expires) WHERE expires IS NOT NULL AND finished_at IS NULL;

CREATE TRIGGER jobs_number_stays BEFORE UPDATE OF number, content_sha256 ON jobs
WHEN OLD.number IS NOT NULL AND (NEW.number IS NOT OLD.number OR NEW.content_sha256 IS NOT OLD.content_sha256)
BEGIN
	SELECT RAISE (ABORT, 'the number of an order stays');
END;

-- A unit of an order's list (db/job_units.h). n: its place, from 1. rank: who comes next; one that was held back goes to the end.
-- run_id: the newest run; serial, chip_id: what the unit is known by. state:
--
--	waiting -> assigned (a run has it) -> running (its first step follows) -> passed
--	   ^          |                         |-> failed (the number is the unit's: it may come again)
--	   +----------+-------------------------+   (the number never left)
--	waiting, failed -> cancelled (the order ended, or the MES refused it), scrapped
CREATE TABLE job_units (
	job_id TEXT NOT NULL REFERENCES jobs (id),
	n INTEGER NOT NULL CHECK (n > 0),
	serial TEXT NOT NULL,
	chip_id TEXT,
	params TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN
		('waiting', 'assigned', 'running', 'passed', 'failed', 'scrapped', 'cancelled')),
	rank INTEGER NOT NULL,
	run_id TEXT REFERENCES runs (id),
	runs INTEGER NOT NULL DEFAULT 0,
	reason TEXT,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (job_id, n)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX job_units_by_serial ON job_units (job_id, serial);
CREATE INDEX job_units_of_serial ON job_units (serial, state);
CREATE INDEX job_units_by_chip ON job_units (chip_id, state) WHERE chip_id IS NOT NULL;
CREATE INDEX job_units_next ON job_units (job_id, state, rank);
CREATE INDEX job_units_by_run ON job_units (run_id) WHERE run_id IS NOT NULL;

CREATE TRIGGER job_units_stay BEFORE UPDATE ON job_units
WHEN NEW.job_id <> OLD.job_id OR NEW.n <> OLD.n OR NEW.serial <> OLD.serial OR NEW.params <> OLD.params
	OR (OLD.state IN ('passed', 'scrapped', 'cancelled') AND NEW.state <> OLD.state)
BEGIN
	SELECT RAISE (ABORT, 'a unit of a list stays what it is');
END;
CREATE TRIGGER job_units_remain BEFORE DELETE ON job_units
BEGIN
	SELECT RAISE (ABORT, 'a unit of a list is never deleted');
END;
