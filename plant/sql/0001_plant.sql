-- SPDX-License-Identifier: Apache-2.0
-- Everything a plant remembers (PostgreSQL 13 or newer). Times are integer milliseconds since 1970 UTC; JSON is text as
-- the host wrote it; digests are lower-case hex.

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- A host, and how far the plant has its records. fence rises with each session: who shows another one is a copy.
-- nonce is that of the request that made the session, so that the same request again gets the same answer.
CREATE TABLE hosts (
	id text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
	created_at bigint NOT NULL,
	epoch text NOT NULL DEFAULT '',
	generation bigint NOT NULL DEFAULT 0,
	fence bigint NOT NULL DEFAULT 0,
	nonce text NOT NULL DEFAULT '',
	home text NOT NULL DEFAULT '',
	place text NOT NULL DEFAULT '',
	seen bigint NOT NULL DEFAULT 0,
	readmit boolean NOT NULL DEFAULT false,
	refused_at bigint,
	refused_code text,
	refused_why text,
	last_at bigint
);
CREATE TRIGGER hosts_grow BEFORE UPDATE ON hosts FOR EACH ROW
WHEN (NEW.seen < OLD.seen OR NEW.fence < OLD.fence OR NEW.generation < OLD.generation OR NEW.id <> OLD.id)
EXECUTE FUNCTION refuse('how far a host is never goes back');
CREATE TRIGGER hosts_remain BEFORE DELETE ON hosts FOR EACH ROW EXECUTE FUNCTION refuse('a host is never deleted');

-- Who may ask. Of a secret there is the digest alone.
CREATE TABLE tokens (
	secret_sha256 text PRIMARY KEY CHECK (length(secret_sha256) = 64),
	name text NOT NULL,
	role text NOT NULL CHECK (role IN ('viewer', 'admin', 'host')),
	host text REFERENCES hosts (id),
	created_at bigint NOT NULL,
	revoked_at bigint,
	CHECK ((role = 'host') = (host IS NOT NULL))
);

-- What the hosts recorded, each record once.
CREATE TABLE records (
	host text NOT NULL REFERENCES hosts (id),
	seq bigint NOT NULL CHECK (seq > 0),
	at bigint NOT NULL,
	type text NOT NULL,
	station text,
	job text,
	run text,
	serial text,
	text text NOT NULL,
	digest text NOT NULL,
	taken_at bigint NOT NULL,
	PRIMARY KEY (host, seq)
);
CREATE TRIGGER records_stay BEFORE UPDATE OR DELETE ON records FOR EACH ROW
EXECUTE FUNCTION refuse('a record is immutable');

CREATE TABLE runs (
	id text PRIMARY KEY,
	host text NOT NULL REFERENCES hosts (id),
	seq bigint NOT NULL,
	station text NOT NULL,
	kind text NOT NULL,
	job text,
	reference text,
	recipe text,
	version bigint,
	model text,
	unit text,
	serial text,
	outcome text NOT NULL,
	code text,
	step text,
	ended_at bigint NOT NULL,
	report text NOT NULL
);
CREATE INDEX runs_by_end ON runs (ended_at, host);
CREATE INDEX runs_by_serial ON runs (serial) WHERE serial IS NOT NULL;
CREATE INDEX runs_by_unit ON runs (unit, ended_at) WHERE unit IS NOT NULL;
CREATE TRIGGER runs_stay BEFORE UPDATE OR DELETE ON runs FOR EACH ROW EXECUTE FUNCTION refuse('a run is immutable');

CREATE TABLE measurements (
	run text NOT NULL REFERENCES runs (id),
	n bigint NOT NULL,
	step bigint NOT NULL,
	name text NOT NULL,
	value double precision,
	text text,
	unit text,
	low double precision,
	high double precision,
	verdict text NOT NULL,
	PRIMARY KEY (run, n)
);
CREATE INDEX measurements_by_name ON measurements (name, run);
CREATE TRIGGER measurements_stay BEFORE UPDATE OR DELETE ON measurements FOR EACH ROW
EXECUTE FUNCTION refuse('a measurement is immutable');

-- The ledger over all hosts: a value belongs to one unit. What a second unit claims is a conflict, which is on record
-- and keeps nothing from being taken.
CREATE TABLE ledger (
	kind text NOT NULL,
	value text NOT NULL,
	host text NOT NULL REFERENCES hosts (id),
	unit text,
	run text NOT NULL,
	slot text NOT NULL,
	at bigint NOT NULL,
	PRIMARY KEY (kind, value)
);
CREATE TRIGGER ledger_stays BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW
EXECUTE FUNCTION refuse('a value of the ledger is used once');
CREATE TABLE conflicts (
	n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind text NOT NULL,
	value text NOT NULL,
	host text NOT NULL REFERENCES hosts (id),
	unit text,
	run text NOT NULL,
	has_host text NOT NULL,
	has_unit text,
	has_run text NOT NULL,
	at bigint NOT NULL,
	UNIQUE (kind, value, run)
);

-- Numbers for all hosts. next is the first that was never leased.
CREATE TABLE pools (
	id text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
	kind text NOT NULL CHECK (kind IN ('serial', 'mac', 'license')),
	pattern text NOT NULL,
	checked text NOT NULL CHECK (checked IN ('none', 'luhn', 'mod36')),
	model text,
	block text,
	local boolean NOT NULL,
	span bigint NOT NULL CHECK (span BETWEEN 1 AND 256),
	first bigint NOT NULL CHECK (first >= 0),
	last bigint NOT NULL CHECK (last >= first),
	next bigint NOT NULL CHECK (next BETWEEN first AND last + 1),
	lease_values bigint NOT NULL CHECK (lease_values BETWEEN 1 AND 10000000),
	lease_ms bigint NOT NULL CHECK (lease_ms >= 60000),
	created_at bigint NOT NULL
);
CREATE TRIGGER pools_never_go_back BEFORE UPDATE ON pools FOR EACH ROW
WHEN (NEW.next < OLD.next OR NEW.last < OLD.last OR NEW.pattern <> OLD.pattern OR NEW.first <> OLD.first
	OR NEW.span <> OLD.span OR NEW.checked <> OLD.checked)
EXECUTE FUNCTION refuse('the sequence of a pool never goes back');
CREATE TRIGGER pools_remain BEFORE DELETE ON pools FOR EACH ROW EXECUTE FUNCTION refuse('a pool is never deleted');

-- A lease: the numbers from first to before end_at are the host's. No two leases share a number, whatever their state,
-- because only what a host gave back durably (back_from) is cut off. `request` is the host's name of its question.
--
--	out ──> returned   the host gave the rest back: it is a row of free_ranges
--	 └────> ended      of a session that is over: the rest is given to nobody
CREATE TABLE leases (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	pool text NOT NULL REFERENCES pools (id),
	host text NOT NULL REFERENCES hosts (id),
	fence bigint NOT NULL,
	request text NOT NULL,
	first bigint NOT NULL,
	end_at bigint NOT NULL,
	granted_end bigint NOT NULL,
	granted_at bigint NOT NULL,
	expires_at bigint NOT NULL,
	state text NOT NULL CHECK (state IN ('out', 'returned', 'ended')),
	why text NOT NULL DEFAULT '',
	CHECK (first <= end_at AND end_at <= granted_end),
	UNIQUE (host, request),
	CONSTRAINT leases_never_share_a_number EXCLUDE USING gist (pool WITH =, int8range(first, end_at) WITH &&)
);
CREATE INDEX leases_of_host ON leases (host, pool, id);
CREATE TRIGGER leases_shrink BEFORE UPDATE ON leases FOR EACH ROW
WHEN (NEW.first <> OLD.first OR NEW.end_at > OLD.end_at OR NEW.pool <> OLD.pool OR NEW.host <> OLD.host
	OR NEW.fence <> OLD.fence OR (OLD.state <> 'out' AND (NEW.state <> OLD.state OR NEW.end_at <> OLD.end_at)))
EXECUTE FUNCTION refuse('a lease can only be given back');
CREATE TRIGGER leases_remain BEFORE DELETE ON leases FOR EACH ROW EXECUTE FUNCTION refuse('a lease is never deleted');

-- What was given back, to be leased before new numbers are.
CREATE TABLE free_ranges (
	pool text NOT NULL REFERENCES pools (id),
	first bigint NOT NULL,
	end_at bigint NOT NULL,
	PRIMARY KEY (pool, first),
	CHECK (first < end_at),
	EXCLUDE USING gist (pool WITH =, int8range(first, end_at) WITH &&)
);

-- What people did.
CREATE TABLE audit (
	n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at bigint NOT NULL,
	who text NOT NULL,
	action text NOT NULL,
	target text NOT NULL,
	detail text NOT NULL
);
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW
EXECUTE FUNCTION refuse('the audit trail is immutable');

-- What is to be made, by whichever host has the recipe. body: what an order of a host has besides recipe and quantity.
CREATE TABLE orders (
	id text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
	recipe text NOT NULL,
	quantity bigint NOT NULL CHECK (quantity > 0),
	priority bigint NOT NULL,
	body text NOT NULL,
	claim_ms bigint NOT NULL CHECK (claim_ms >= 1000),
	state text NOT NULL CHECK (state IN ('open', 'held', 'done', 'cancelled')),
	why text NOT NULL DEFAULT '',
	created_at bigint NOT NULL,
	finished_at bigint
);
CREATE INDEX orders_open ON orders (priority DESC, created_at, id) WHERE state = 'open';
CREATE TRIGGER orders_stay BEFORE UPDATE ON orders FOR EACH ROW
WHEN (NEW.id <> OLD.id OR NEW.recipe <> OLD.recipe OR NEW.quantity <> OLD.quantity OR NEW.body <> OLD.body
	OR (OLD.state IN ('done', 'cancelled') AND NEW.state <> OLD.state))
EXECUTE FUNCTION refuse('an order that has ended stays so');

-- A part of an order that is a host's: an order of its own there. It counts whole while it is out, and with what passed
-- once it has ended. lapsed: it ended because its time was over, and its host was not heard.
CREATE TABLE claims (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	order_id text NOT NULL REFERENCES orders (id),
	host text NOT NULL REFERENCES hosts (id),
	fence bigint NOT NULL,
	request text NOT NULL,
	quantity bigint NOT NULL CHECK (quantity > 0),
	granted_at bigint NOT NULL,
	expires_at bigint NOT NULL,
	state text NOT NULL CHECK (state IN ('out', 'ended')),
	lapsed boolean NOT NULL DEFAULT false,
	passed bigint NOT NULL DEFAULT 0,
	UNIQUE (host, request)
);
CREATE INDEX claims_of_order ON claims (order_id, state);
CREATE INDEX claims_out ON claims (expires_at) WHERE state = 'out';
CREATE INDEX runs_by_reference ON runs (reference) WHERE reference IS NOT NULL;
CREATE TRIGGER claims_end BEFORE UPDATE ON claims FOR EACH ROW
WHEN (NEW.quantity <> OLD.quantity OR NEW.order_id <> OLD.order_id OR NEW.host <> OLD.host OR NEW.passed < OLD.passed
	OR (OLD.state = 'ended' AND NEW.state <> 'ended'))
EXECUTE FUNCTION refuse('a claim that has ended stays so');
