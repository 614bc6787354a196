-- SPDX-License-Identifier: Apache-2.0
-- A database of schema 5 (tests/unit/db/schemas/make-schema).
BEGIN TRANSACTION;
CREATE TABLE artifacts (
	sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
	name TEXT NOT NULL,
	size INTEGER NOT NULL CHECK (size >= 0),
	format TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT NOT NULL
, image TEXT) STRICT, WITHOUT ROWID;
INSERT INTO "artifacts" VALUES('5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e','app.bin',4096,'bin',1700000000000,'anna',NULL);
CREATE TABLE audit (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	principal TEXT NOT NULL,
	action TEXT NOT NULL,
	target TEXT NOT NULL,
	detail TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,1700000000000,'anna','recipe.approve','line','{}');
CREATE TABLE clock (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	floor_ms INTEGER NOT NULL,
	after_seq INTEGER NOT NULL
) STRICT;
INSERT INTO "clock" VALUES(1,0,0);
CREATE TABLE epochs (
	generation INTEGER PRIMARY KEY CHECK (generation > 0),
	epoch TEXT NOT NULL UNIQUE CHECK (length(epoch) = 16),
	begun_at INTEGER NOT NULL,
	begun_by TEXT NOT NULL,
	reason TEXT NOT NULL,
	from_seq INTEGER NOT NULL,
	after_seq INTEGER NOT NULL,
	marked INTEGER NOT NULL DEFAULT 0 CHECK (marked IN (0, 1))
) STRICT;
CREATE TABLE events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	type TEXT NOT NULL,
	station TEXT,
	job_id TEXT,
	run_id TEXT,
	serial TEXT,
	data TEXT NOT NULL
) STRICT;
INSERT INTO "events" VALUES(1,1700000002000,'run-finished','A1',NULL,'r1',NULL,'{}');
CREATE TABLE idempotency (
	principal TEXT NOT NULL,
	key TEXT NOT NULL,
	method_path TEXT NOT NULL,
	body_sha256 TEXT NOT NULL,
	status INTEGER NOT NULL,
	headers TEXT NOT NULL,
	response TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (principal, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE jobs (
	id TEXT PRIMARY KEY,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	recipe_sha256 TEXT NOT NULL,
	quantity INTEGER NOT NULL CHECK (quantity > 0),
	priority INTEGER NOT NULL DEFAULT 0,
	state TEXT NOT NULL CHECK (state IN
		('queued', 'running', 'paused', 'stopping', 'done', 'aborted', 'cancelled')),
	affinity TEXT NOT NULL,
	params TEXT NOT NULL,
	serial_source TEXT NOT NULL,
	external_ref TEXT,
	deadline INTEGER,
	passed INTEGER NOT NULL DEFAULT 0,
	failed INTEGER NOT NULL DEFAULT 0,
	errors INTEGER NOT NULL DEFAULT 0,
	aborted INTEGER NOT NULL DEFAULT 0,
	interrupted INTEGER NOT NULL DEFAULT 0,
	created_by TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	finished_at INTEGER,
	revision INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;
INSERT INTO "jobs" VALUES('j1','line',1,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e',2,0,'done','[]','{}','{}',NULL,NULL,0,0,0,0,0,'anna',1700000000000,1700000004000,NULL,1);
CREATE TABLE measurements (
	run_id TEXT NOT NULL REFERENCES runs (id),
	step_n INTEGER NOT NULL,
	k INTEGER NOT NULL,
	name TEXT NOT NULL,
	value REAL,
	text TEXT,
	unit TEXT,
	low REAL,
	high REAL,
	verdict TEXT NOT NULL CHECK (verdict IN ('pass', 'fail', 'marginal')),
	PRIMARY KEY (run_id, step_n, k)
) STRICT, WITHOUT ROWID;
INSERT INTO "measurements" VALUES('r1',0,0,'vdd',3.3,NULL,'V',3.1,3.5,'pass');
CREATE TABLE pools (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL CHECK (kind IN ('serial', 'mac', 'license')),
	pattern TEXT,
	first INTEGER NOT NULL CHECK (first >= 0),
	last INTEGER NOT NULL CHECK (last >= first - 1),
	next INTEGER NOT NULL CHECK (next BETWEEN first AND last + 1),
	checked TEXT NOT NULL CHECK (checked IN ('none', 'luhn', 'mod36')),
	model TEXT,
	low_water INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL,
	revision INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;
INSERT INTO "pools" VALUES('sn','serial','SN{seq:06}',1,9,3,'none',NULL,0,1700000000000,1);
CREATE TABLE prompts (
	id TEXT PRIMARY KEY,
	run_id TEXT NOT NULL REFERENCES runs (id),
	station TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('confirm', 'choice', 'text', 'scan')),
	text TEXT NOT NULL,
	choices TEXT,
	pattern TEXT,
	state TEXT NOT NULL CHECK (state IN ('open', 'answered', 'cancelled')),
	answer TEXT,
	answered_by TEXT,
	created_at INTEGER NOT NULL,
	settled_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE recipes (
	name TEXT NOT NULL,
	version INTEGER NOT NULL CHECK (version > 0),
	sha256 TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('draft', 'approved', 'retired')),
	json TEXT NOT NULL,
	source TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	approved_at INTEGER,
	approved_by TEXT,
	PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
INSERT INTO "recipes" VALUES('line',1,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e','approved','{}','',1700000000000,'anna',1700000000001,'ben');
CREATE TABLE run_log (
	run_id TEXT NOT NULL REFERENCES runs (id),
	k INTEGER NOT NULL,
	at INTEGER NOT NULL,
	dir TEXT NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (run_id, k)
) STRICT, WITHOUT ROWID;
INSERT INTO "run_log" VALUES('r1',0,1700000001000,'<','vdd 3.3');
CREATE TABLE runs (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	kind TEXT NOT NULL DEFAULT 'production'
		CHECK (kind IN ('production', 'golden', 'debug')),
	job_id TEXT REFERENCES jobs (id),
	station TEXT NOT NULL,
	recipe TEXT,
	version INTEGER,
	recipe_sha256 TEXT,
	model TEXT,
	unit_id TEXT REFERENCES units (id),
	serial TEXT,
	state TEXT NOT NULL CHECK (state IN ('open', 'finished')),
	exposed INTEGER NOT NULL DEFAULT 0,
	outcome TEXT CHECK (outcome IN ('passed', 'failed', 'error', 'aborted', 'interrupted')),
	code TEXT,
	step TEXT,
	message TEXT,
	hint TEXT,
	params TEXT NOT NULL DEFAULT '{}',
	firmware TEXT NOT NULL DEFAULT '{}',
	attached_at INTEGER NOT NULL,
	started_at INTEGER,
	ended_at INTEGER,
	chain INTEGER UNIQUE,
	prev_hash TEXT,
	hash TEXT,
	CHECK ((state = 'finished') = (outcome IS NOT NULL AND ended_at IS NOT NULL))
) STRICT;
INSERT INTO "runs" VALUES(1,'r1','production','j1','A1','line',1,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e',NULL,'u1','SN000001','finished',0,'passed',NULL,NULL,NULL,NULL,'{}','{}',1700000001000,1700000001000,1700000002000,1,'','5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e');
INSERT INTO "runs" VALUES(2,'r2','production','j1','A1','line',1,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e',NULL,'u2','SN000002','finished',0,'failed','limit-low',NULL,NULL,NULL,'{}','{}',1700000003000,1700000003000,1700000004000,2,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e','e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5');
CREATE TABLE serials (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	value TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('serial', 'mac', 'license')),
	slot TEXT NOT NULL DEFAULT '',
	pool_id TEXT REFERENCES pools (id),
	job_id TEXT REFERENCES jobs (id),
	ordinal INTEGER NOT NULL DEFAULT 0,
	state TEXT NOT NULL CHECK (state IN ('free', 'reserved', 'committed', 'void')),
	run_id TEXT REFERENCES runs (id),
	unit_id TEXT REFERENCES units (id),
	exposed INTEGER NOT NULL DEFAULT 0,
	reason TEXT,
	reserved_at INTEGER,
	settled_at INTEGER,
	UNIQUE (kind, value),
	CHECK (state <> 'reserved' OR run_id IS NOT NULL),
	CHECK (state <> 'committed' OR unit_id IS NOT NULL),
	CHECK (state <> 'void' OR reason IS NOT NULL)
) STRICT;
INSERT INTO "serials" VALUES(1,'SN000001','serial','','sn',NULL,0,'committed','r1','u1',1,NULL,1700000001000,NULL);
CREATE TABLE stations (
	id TEXT PRIMARY KEY,
	plugged TEXT NOT NULL,
	held TEXT NOT NULL CHECK (held IN ('', 'disabled', 'quarantined')),
	code TEXT NOT NULL,
	message TEXT NOT NULL,
	fail_step TEXT NOT NULL,
	fail_count INTEGER NOT NULL CHECK (fail_count >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE steps (
	run_id TEXT NOT NULL REFERENCES runs (id),
	n INTEGER NOT NULL,
	id TEXT NOT NULL,
	action TEXT NOT NULL,
	phase TEXT NOT NULL CHECK (phase IN ('setup', 'steps', 'teardown')),
	attempt INTEGER NOT NULL DEFAULT 1,
	irreversible INTEGER NOT NULL DEFAULT 0,
	state TEXT NOT NULL CHECK (state IN ('open', 'done')),
	outcome TEXT CHECK (outcome IN
		('passed', 'failed', 'error', 'aborted', 'skipped', 'interrupted')),
	code TEXT,
	message TEXT,
	evidence TEXT,
	outputs TEXT,
	started_at INTEGER NOT NULL,
	ended_at INTEGER,
	duration_us INTEGER,
	PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;
INSERT INTO "steps" VALUES('r1',0,'vdd','console.measure','steps',1,0,'done','passed',NULL,NULL,NULL,NULL,1700000001000,1700000001500,500000);
CREATE TABLE tokens (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	role TEXT NOT NULL
		CHECK (role IN ('viewer', 'operator', 'supervisor', 'engineer', 'mes', 'admin')),
	secret_sha256 TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	revoked_at INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "tokens" VALUES('t1','anna','admin','5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e',1700000000000,NULL);
CREATE TABLE units (
	id TEXT PRIMARY KEY,
	serial TEXT UNIQUE,
	model TEXT,
	chip_id TEXT,
	state TEXT NOT NULL CHECK (state IN ('new', 'passed', 'failed', 'suspect', 'scrapped')),
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "units" VALUES('u1','SN000001','m1','c1','passed',1700000001000,1700000002000);
INSERT INTO "units" VALUES('u2','SN000002','m1',NULL,'failed',1700000003000,1700000004000);
CREATE INDEX artifacts_by_name ON artifacts (name, created_at);
CREATE INDEX artifacts_by_time ON artifacts (created_at, sha256);
CREATE INDEX recipes_by_state ON recipes (state, name, version);
CREATE TRIGGER recipes_approved_stay BEFORE UPDATE ON recipes
WHEN OLD.state <> 'draft' AND (NEW.name <> OLD.name OR NEW.version <> OLD.version
	OR NEW.sha256 <> OLD.sha256 OR NEW.json <> OLD.json OR NEW.source <> OLD.source
	OR NEW.state = 'draft' OR (OLD.state = 'retired' AND NEW.state <> 'retired')
	OR NEW.approved_at IS NOT OLD.approved_at OR NEW.approved_by IS NOT OLD.approved_by)
BEGIN
	SELECT RAISE (ABORT, 'an approved recipe is immutable');
END;
CREATE TRIGGER recipes_approved_remain BEFORE DELETE ON recipes WHEN OLD.state <> 'draft'
BEGIN
	SELECT RAISE (ABORT, 'an approved recipe is immutable');
END;
CREATE TRIGGER pools_never_go_back BEFORE UPDATE OF next ON pools WHEN NEW.next < OLD.next
BEGIN
	SELECT RAISE (ABORT, 'the sequence of a pool never goes back');
END;
CREATE INDEX units_by_chip ON units (chip_id, created_at) WHERE chip_id IS NOT NULL;
CREATE INDEX units_by_state ON units (state, created_at, id);
CREATE INDEX units_by_time ON units (created_at, id);
CREATE INDEX jobs_by_state ON jobs (state, priority DESC, created_at, id);
CREATE INDEX jobs_by_state_time ON jobs (state, created_at, id);
CREATE INDEX jobs_by_time ON jobs (created_at, id);
CREATE INDEX jobs_by_ref ON jobs (external_ref, created_at, id) WHERE external_ref IS NOT NULL;
CREATE INDEX runs_open ON runs (job_id) WHERE state = 'open';
CREATE INDEX runs_open_serial ON runs (serial) WHERE state = 'open';
CREATE INDEX runs_by_station ON runs (station, seq);
CREATE INDEX runs_by_recipe ON runs (recipe, seq);
CREATE INDEX runs_by_job ON runs (job_id, seq);
CREATE INDEX runs_by_serial ON runs (serial, seq) WHERE serial IS NOT NULL;
CREATE INDEX runs_by_unit ON runs (unit_id, seq) WHERE unit_id IS NOT NULL;
CREATE INDEX runs_by_outcome ON runs (outcome, seq);
CREATE INDEX runs_by_time ON runs (attached_at, seq);
CREATE INDEX runs_by_end ON runs (ended_at, station, outcome) WHERE state = 'finished';
CREATE INDEX measurements_by_name ON measurements (name, run_id);
CREATE TRIGGER runs_finished_stay BEFORE UPDATE ON runs WHEN OLD.hash IS NOT NULL
BEGIN
	SELECT RAISE (ABORT, 'a finished run is immutable');
END;
CREATE TRIGGER runs_remain BEFORE DELETE ON runs
BEGIN
	SELECT RAISE (ABORT, 'a run is never deleted');
END;
CREATE TRIGGER steps_late BEFORE INSERT ON steps
WHEN (SELECT state FROM runs WHERE id = NEW.run_id) = 'finished'
BEGIN
	SELECT RAISE (ABORT, 'a finished run is immutable');
END;
CREATE TRIGGER steps_finished_stay BEFORE UPDATE ON steps
WHEN OLD.state = 'done' OR (SELECT state FROM runs WHERE id = OLD.run_id) = 'finished'
BEGIN
	SELECT RAISE (ABORT, 'a finished step is immutable');
END;
CREATE TRIGGER steps_remain BEFORE DELETE ON steps
BEGIN
	SELECT RAISE (ABORT, 'a step is never deleted');
END;
CREATE TRIGGER measurements_late BEFORE INSERT ON measurements
WHEN (SELECT state FROM runs WHERE id = NEW.run_id) = 'finished'
BEGIN
	SELECT RAISE (ABORT, 'a finished run is immutable');
END;
CREATE TRIGGER measurements_stay BEFORE UPDATE ON measurements
BEGIN
	SELECT RAISE (ABORT, 'a measurement is immutable');
END;
CREATE TRIGGER measurements_remain BEFORE DELETE ON measurements
BEGIN
	SELECT RAISE (ABORT, 'a measurement is never deleted');
END;
CREATE INDEX serials_by_run ON serials (run_id, kind, slot) WHERE run_id IS NOT NULL;
CREATE INDEX serials_by_unit ON serials (unit_id, kind, slot) WHERE unit_id IS NOT NULL;
CREATE INDEX serials_free_of_job ON serials (job_id, kind, ordinal) WHERE state = 'free';
CREATE INDEX serials_free_of_pool ON serials (pool_id, ordinal) WHERE state = 'free';
CREATE INDEX serials_by_pool ON serials (pool_id, seq) WHERE pool_id IS NOT NULL;
CREATE INDEX serials_by_job ON serials (job_id, seq) WHERE job_id IS NOT NULL;
CREATE TRIGGER serials_used_once BEFORE UPDATE ON serials
WHEN NEW.value <> OLD.value OR NEW.kind <> OLD.kind
	OR (OLD.state = 'void') OR (OLD.exposed = 1 AND NEW.exposed = 0)
	OR (OLD.state = 'committed' AND (NEW.state <> 'committed' OR NEW.unit_id <> OLD.unit_id))
	OR (OLD.exposed = 1 AND NEW.state IN ('free', 'void'))
BEGIN
	SELECT RAISE (ABORT, 'a value of the ledger is used once');
END;
CREATE TRIGGER serials_remain BEFORE DELETE ON serials
BEGIN
	SELECT RAISE (ABORT, 'a value of the ledger is never deleted');
END;
CREATE INDEX prompts_open ON prompts (station, created_at) WHERE state = 'open';
CREATE INDEX prompts_by_run ON prompts (run_id);
CREATE INDEX prompts_by_time ON prompts (created_at, id);
CREATE INDEX events_by_run ON events (run_id, seq) WHERE run_id IS NOT NULL;
CREATE INDEX idempotency_by_time ON idempotency (created_at);
CREATE INDEX audit_by_principal ON audit (principal, seq);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN
	SELECT RAISE (ABORT, 'the audit trail is immutable');
END;
CREATE TRIGGER epochs_stay BEFORE UPDATE ON epochs
WHEN NEW.generation <> OLD.generation OR NEW.epoch <> OLD.epoch OR NEW.begun_at <> OLD.begun_at
	OR NEW.begun_by <> OLD.begun_by OR NEW.reason <> OLD.reason OR NEW.from_seq <> OLD.from_seq OR NEW.after_seq <> OLD.after_seq
	OR NEW.marked < OLD.marked
BEGIN
	SELECT RAISE (ABORT, 'an epoch is immutable');
END;
CREATE TRIGGER epochs_remain BEFORE DELETE ON epochs
BEGIN
	SELECT RAISE (ABORT, 'an epoch is never deleted');
END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',2);
INSERT INTO "sqlite_sequence" VALUES('serials',1);
INSERT INTO "sqlite_sequence" VALUES('events',1);
INSERT INTO "sqlite_sequence" VALUES('audit',1);
COMMIT;
