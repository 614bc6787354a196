-- SPDX-License-Identifier: Apache-2.0
-- A database of schema 19 (tests/unit/db/schemas/make-schema).
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
, token TEXT NOT NULL DEFAULT '', address TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "audit" VALUES(1,1700000000000,'anna','recipe.approve','line','{}','','');
CREATE TABLE certificates (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
	serial TEXT,
	run_id TEXT NOT NULL REFERENCES runs (id),
	step_n INTEGER NOT NULL,
	station TEXT NOT NULL,
	issuer TEXT NOT NULL,
	profile TEXT NOT NULL,
	profile_digest TEXT NOT NULL CHECK (length(profile_digest) = 64 OR profile_digest = ''),
	key TEXT NOT NULL CHECK (length(key) = 64),
	state TEXT NOT NULL CHECK (state IN ('ordered', 'issued', 'delivered', 'void')),
	subject TEXT,
	not_before INTEGER,
	not_after INTEGER,
	sha256 TEXT UNIQUE,
	pem TEXT,
	chain TEXT,
	reason TEXT,
	ordered_at INTEGER NOT NULL,
	issued_at INTEGER,
	settled_at INTEGER, asked TEXT NOT NULL DEFAULT '' CHECK (length(asked) = 64 OR asked = ''),
	UNIQUE (issuer, serial),
	CHECK ((state IN ('issued', 'delivered')) = (pem IS NOT NULL AND sha256 IS NOT NULL AND serial IS NOT NULL
		AND subject IS NOT NULL AND not_before IS NOT NULL AND not_after IS NOT NULL AND issued_at IS NOT NULL)),
	CHECK ((state = 'void') = (reason IS NOT NULL))
) STRICT;
CREATE TABLE checkpoints (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	size INTEGER NOT NULL CHECK (size > 0),
	at INTEGER NOT NULL,
	note TEXT NOT NULL,
	public TEXT NOT NULL
) STRICT;
CREATE TABLE clock (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	floor_ms INTEGER NOT NULL,
	after_seq INTEGER NOT NULL
) STRICT;
INSERT INTO "clock" VALUES(1,0,0);
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
CREATE TABLE fixtures (
	id TEXT PRIMARY KEY,
	contacts INTEGER NOT NULL DEFAULT 0 CHECK (contacts >= 0),
	since_service INTEGER NOT NULL DEFAULT 0 CHECK (since_service >= 0),
	serviced_at INTEGER,
	serviced_by TEXT,
	serviced_reason TEXT,
	calibrated_until INTEGER,
	calibrated_at INTEGER,
	calibrated_by TEXT,
	calibrated_reason TEXT,
	golden_at INTEGER,
	golden_run TEXT,
	golden_outcome TEXT,
	revision INTEGER NOT NULL DEFAULT 1,
	CHECK ((serviced_at IS NULL) = (serviced_by IS NULL)),
	CHECK ((calibrated_at IS NULL) = (calibrated_until IS NULL)),
	CHECK ((golden_at IS NULL) = (golden_run IS NULL))
) STRICT, WITHOUT ROWID;
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
CREATE TABLE interlock_releases (
	station TEXT NOT NULL,
	interlock TEXT NOT NULL CHECK (interlock IN ('golden', 'contacts', 'calibration', 'yield')),
	until INTEGER NOT NULL,
	at INTEGER NOT NULL,
	by TEXT NOT NULL,
	reason TEXT NOT NULL,
	after_run INTEGER NOT NULL,
	PRIMARY KEY (station, interlock)
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
, kind TEXT NOT NULL DEFAULT 'production' CHECK (kind IN ('production', 'golden'))) STRICT, WITHOUT ROWID;
INSERT INTO "jobs" VALUES('j1','line',1,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e',2,0,'done','[]','{}','{}',NULL,NULL,0,0,0,0,0,'anna',1700000000000,1700000004000,NULL,1,'production');
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
, block TEXT, local INTEGER NOT NULL DEFAULT 0 CHECK (local IN (0, 1)), span INTEGER NOT NULL DEFAULT 1 CHECK (span BETWEEN 1 AND 256)) STRICT, WITHOUT ROWID;
INSERT INTO "pools" VALUES('sn','serial','SN{seq:06}',1,9,3,'none',NULL,0,1700000000000,1,NULL,0,1);
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
, approval INTEGER NOT NULL DEFAULT 0 CHECK (approval IN (0, 1))) STRICT, WITHOUT ROWID;
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
CREATE TABLE record_nodes (
	pos INTEGER PRIMARY KEY CHECK (pos >= 0),
	hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;
CREATE TABLE rollup_causes (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	step TEXT NOT NULL,
	code TEXT NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (span, at, station, recipe, version, outcome, step, code)
) STRICT, WITHOUT ROWID;
INSERT INTO "rollup_causes" VALUES(3600,1699999200000,'A1','line',1,'failed','','limit-low',1);
INSERT INTO "rollup_causes" VALUES(86400,1699920000000,'A1','line',1,'failed','','limit-low',1);
INSERT INTO "rollup_causes" VALUES(2764800,1697587200000,'A1','line',1,'failed','','limit-low',1);
CREATE TABLE rollups (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	passed INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	error INTEGER NOT NULL,
	aborted INTEGER NOT NULL,
	interrupted INTEGER NOT NULL,
	busy_ms INTEGER NOT NULL,
	units INTEGER NOT NULL,
	first_passed INTEGER NOT NULL,
	last_passed INTEGER NOT NULL,
	retested INTEGER NOT NULL,
	process_units INTEGER NOT NULL,
	process_first_passed INTEGER NOT NULL,
	process_last_passed INTEGER NOT NULL,
	process_retested INTEGER NOT NULL,
	PRIMARY KEY (span, at, station, recipe, version)
) STRICT, WITHOUT ROWID;
INSERT INTO "rollups" VALUES(3600,1699999200000,'A1','line',1,1,1,0,0,0,2000,2,1,1,0,2,1,1,0);
INSERT INTO "rollups" VALUES(86400,1699920000000,'A1','line',1,1,1,0,0,0,2000,2,1,1,0,2,1,1,0);
INSERT INTO "rollups" VALUES(2764800,1697587200000,'A1','line',1,1,1,0,0,0,2000,2,1,1,0,2,1,1,0);
CREATE TABLE run_log (
	run_id TEXT NOT NULL REFERENCES runs (id),
	k INTEGER NOT NULL,
	at INTEGER NOT NULL,
	dir TEXT NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (run_id, k)
) STRICT, WITHOUT ROWID;
INSERT INTO "run_log" VALUES('r1',0,1700000001000,'<','vdd 3.3');
CREATE TABLE run_records (
	n INTEGER PRIMARY KEY CHECK (n > 0),
	record TEXT NOT NULL
) STRICT;
CREATE TABLE run_traits (
	trait INTEGER NOT NULL REFERENCES traits (id),
	run_seq INTEGER NOT NULL REFERENCES runs (seq),
	PRIMARY KEY (trait, run_seq)
) STRICT, WITHOUT ROWID;
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
	hash TEXT, duration_ms INTEGER CHECK (duration_ms >= -1), deferred INTEGER NOT NULL DEFAULT 0, completes TEXT REFERENCES runs (id), exposed_step INTEGER,
	CHECK ((state = 'finished') = (outcome IS NOT NULL AND ended_at IS NOT NULL))
) STRICT;
INSERT INTO "runs" VALUES(1,'r1','production','j1','A1','line',1,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e',NULL,'u1','SN000001','finished',0,'passed',NULL,NULL,NULL,NULL,'{}','{}',1700000001000,1700000001000,1700000002000,1,'','5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e',NULL,0,NULL,NULL);
INSERT INTO "runs" VALUES(2,'r2','production','j1','A1','line',1,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e',NULL,'u2','SN000002','finished',0,'failed','limit-low',NULL,NULL,NULL,'{}','{}',1700000003000,1700000003000,1700000004000,2,'5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e','e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5',NULL,0,NULL,NULL);
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
	settled_at INTEGER, lease TEXT,
	UNIQUE (kind, value),
	CHECK (state <> 'reserved' OR run_id IS NOT NULL),
	CHECK (state <> 'committed' OR unit_id IS NOT NULL),
	CHECK (state <> 'void' OR reason IS NOT NULL)
) STRICT;
INSERT INTO "serials" VALUES(1,'SN000001','serial','','sn',NULL,0,'committed','r1','u1',1,NULL,1700000001000,NULL,NULL);
CREATE TABLE sessions (
	hash TEXT PRIMARY KEY CHECK (length(hash) = 64),
	token TEXT NOT NULL REFERENCES tokens (id),
	created_at INTEGER NOT NULL,
	used_at INTEGER NOT NULL,
	ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE spool (
	dir TEXT PRIMARY KEY,
	seen INTEGER NOT NULL,
	message TEXT,
	failing_since INTEGER
) STRICT, WITHOUT ROWID;
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
	duration_us INTEGER, deferred INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;
INSERT INTO "steps" VALUES('r1',0,'vdd','console.measure','steps',1,0,'done','passed',NULL,NULL,NULL,NULL,1700000001000,1700000001500,500000,0);
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
CREATE TABLE traits (
	id INTEGER PRIMARY KEY,
	kind TEXT NOT NULL CHECK (kind IN ('artifact', 'tool', 'operator', 'issuer')),
	value TEXT NOT NULL,
	runs INTEGER NOT NULL,
	UNIQUE (kind, value)
) STRICT;
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
INSERT INTO "units" VALUES('u1','SN000001','m1','c1','passed',1700000001000,1700000002000);
INSERT INTO "units" VALUES('u2','SN000002','m1',NULL,'failed',1700000003000,1700000004000);
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
CREATE TRIGGER audit_kept BEFORE DELETE ON audit
BEGIN
	SELECT RAISE (ABORT, 'the audit trail is immutable');
END;
CREATE TRIGGER audit_grows BEFORE INSERT ON audit
	WHEN NEW.seq > 0 AND NEW.seq <= coalesce((SELECT max(seq) FROM audit), 0)
BEGIN
	SELECT RAISE (ABORT, 'the audit trail is immutable');
END;
CREATE TRIGGER tokens_named_once BEFORE INSERT ON tokens
	WHEN EXISTS (SELECT 1 FROM tokens WHERE id = NEW.id OR name = NEW.name COLLATE NOCASE)
BEGIN
	SELECT RAISE (ABORT, 'the name of a token is used once');
END;
CREATE TRIGGER tokens_kept BEFORE DELETE ON tokens
BEGIN
	SELECT RAISE (ABORT, 'a token is revoked, not deleted');
END;
CREATE TRIGGER tokens_stay BEFORE UPDATE ON tokens
	WHEN OLD.revoked_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.name <> OLD.name
		OR NEW.role <> OLD.role OR NEW.secret_sha256 <> OLD.secret_sha256
		OR NEW.created_at <> OLD.created_at
BEGIN
	SELECT RAISE (ABORT, 'a token can only be revoked, once');
END;
CREATE INDEX sessions_by_token ON sessions (token);
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
CREATE TRIGGER serials_lease_stays BEFORE UPDATE ON serials
WHEN OLD.lease IS NOT NULL AND NEW.lease IS NOT OLD.lease AND NEW.state <> 'free'
BEGIN
	SELECT RAISE (ABORT, 'a value of the ledger has one lease');
END;
CREATE INDEX serials_by_number ON serials (pool_id, ordinal, seq) WHERE pool_id IS NOT NULL;
CREATE INDEX pool_skips_by_number ON pool_skips (pool_id, first);
CREATE TRIGGER pool_skips_stay BEFORE UPDATE ON pool_skips
BEGIN
	SELECT RAISE (ABORT, 'what a pool passed over is immutable');
END;
CREATE TRIGGER pool_skips_remain BEFORE DELETE ON pool_skips
BEGIN
	SELECT RAISE (ABORT, 'what a pool passed over is never deleted');
END;
CREATE INDEX certificates_by_run ON certificates (run_id, seq);
CREATE INDEX certificates_by_key ON certificates (key, seq);
CREATE INDEX certificates_open ON certificates (seq) WHERE state = 'ordered';
CREATE TRIGGER certificates_begin BEFORE INSERT ON certificates
	WHEN NEW.state <> 'ordered'
		OR EXISTS (SELECT 1 FROM certificates WHERE id = NEW.id
			OR issuer = NEW.issuer AND serial = NEW.serial)
		OR NEW.seq > 0 AND NEW.seq <= coalesce((SELECT max(seq) FROM certificates), 0)
BEGIN
	SELECT RAISE (ABORT, 'a certificate is ordered once');
END;
CREATE TRIGGER certificates_stay BEFORE UPDATE ON certificates
	WHEN OLD.state IN ('delivered', 'void') OR NEW.state = 'ordered'
		OR OLD.state = 'issued' AND (NEW.state <> 'delivered' OR NEW.pem <> OLD.pem OR NEW.serial <> OLD.serial
			OR NEW.chain IS NOT OLD.chain OR NEW.sha256 <> OLD.sha256 OR NEW.subject <> OLD.subject
			OR NEW.not_before <> OLD.not_before OR NEW.not_after <> OLD.not_after
			OR NEW.issued_at <> OLD.issued_at)
		OR NEW.seq <> OLD.seq OR NEW.id <> OLD.id OR OLD.serial IS NOT NULL AND NEW.serial <> OLD.serial OR NEW.run_id <> OLD.run_id
		OR NEW.step_n <> OLD.step_n OR NEW.station <> OLD.station OR NEW.issuer <> OLD.issuer
		OR NEW.profile <> OLD.profile OR NEW.profile_digest <> OLD.profile_digest
		OR NEW.key <> OLD.key OR NEW.ordered_at <> OLD.ordered_at
BEGIN
	SELECT RAISE (ABORT, 'an issued certificate is immutable');
END;
CREATE TRIGGER certificates_remain BEFORE DELETE ON certificates
BEGIN
	SELECT RAISE (ABORT, 'a certificate is never deleted');
END;
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
CREATE UNIQUE INDEX runs_by_completed ON runs (completes) WHERE completes IS NOT NULL;
CREATE INDEX units_by_chip ON units (chip_id, created_at) WHERE chip_id IS NOT NULL;
CREATE INDEX units_by_state ON units (state, created_at, id);
CREATE INDEX units_by_time ON units (created_at, id);
CREATE TRIGGER certificates_asked_stays BEFORE UPDATE ON certificates
	WHEN NEW.asked <> OLD.asked
BEGIN
	SELECT RAISE (ABORT, 'an issued certificate is immutable');
END;
CREATE TRIGGER prompts_approved_stay BEFORE UPDATE ON prompts
	WHEN OLD.approval <> NEW.approval OR OLD.approval = 1 AND OLD.state <> 'open'
BEGIN
	SELECT RAISE (ABORT, 'an approval that was given is immutable');
END;
CREATE INDEX checkpoints_by_size ON checkpoints (size, seq);
CREATE TRIGGER run_records_grow BEFORE INSERT ON run_records
WHEN NEW.n <> coalesce((SELECT max(n) FROM run_records), 0) + 1
BEGIN
	SELECT RAISE (ABORT, 'records are added at the end');
END;
CREATE TRIGGER run_records_stay BEFORE UPDATE ON run_records
BEGIN
	SELECT RAISE (ABORT, 'a record is immutable');
END;
CREATE TRIGGER run_records_remain BEFORE DELETE ON run_records
BEGIN
	SELECT RAISE (ABORT, 'a record is never deleted');
END;
CREATE TRIGGER record_nodes_grow BEFORE INSERT ON record_nodes
WHEN NEW.pos <> coalesce((SELECT max(pos) FROM record_nodes), -1) + 1
BEGIN
	SELECT RAISE (ABORT, 'nodes of the tree are added at the end');
END;
CREATE TRIGGER record_nodes_stay BEFORE UPDATE ON record_nodes
BEGIN
	SELECT RAISE (ABORT, 'a node of the tree is immutable');
END;
CREATE TRIGGER record_nodes_remain BEFORE DELETE ON record_nodes
BEGIN
	SELECT RAISE (ABORT, 'a node of the tree is never deleted');
END;
CREATE TRIGGER checkpoints_grow BEFORE INSERT ON checkpoints
WHEN NEW.size < coalesce((SELECT max(size) FROM checkpoints), 0)
	OR NEW.size > coalesce((SELECT max(n) FROM run_records), 0)
BEGIN
	SELECT RAISE (ABORT, 'a checkpoint is of the records as they are');
END;
CREATE TRIGGER checkpoints_stay BEFORE UPDATE ON checkpoints
BEGIN
	SELECT RAISE (ABORT, 'a checkpoint is immutable');
END;
CREATE TRIGGER checkpoints_remain BEFORE DELETE ON checkpoints
BEGIN
	SELECT RAISE (ABORT, 'a checkpoint is never deleted');
END;
CREATE INDEX deliveries_by_state ON deliveries (webhook, state, n);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook, n);
CREATE INDEX deliveries_by_run ON deliveries (webhook, run_id, n) WHERE state = 'waiting' AND run_id IS NOT NULL;
CREATE INDEX deliveries_by_unit ON deliveries (webhook, unit, n) WHERE state = 'waiting' AND unit IS NOT NULL;
CREATE INDEX deliveries_waiting ON deliveries (event) WHERE state = 'waiting';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',2);
INSERT INTO "sqlite_sequence" VALUES('serials',1);
INSERT INTO "sqlite_sequence" VALUES('events',1);
INSERT INTO "sqlite_sequence" VALUES('audit',1);
INSERT INTO "sqlite_sequence" VALUES('pool_skips',0);
COMMIT;
