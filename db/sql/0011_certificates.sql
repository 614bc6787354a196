-- SPDX-License-Identifier: Apache-2.0
-- Every certificate that was ordered for a unit: a row before it is signed, so that none exists that
-- the records do not know.
--
-- id: of the order. serial: of the certificate, hex: of an own issuer known before it is signed and the
-- same as the id; of another's known with the certificate. profile, profile_digest: the document that says
-- what is in it, '' where the issuer decides. key: the SHA-256 of the unit's public key. reason: why it is
-- void.
--
--	ordered ──> issued ──> delivered   the unit holds it: read back
--	   └──> void                       not signed, or nobody saw what came of it: never given out
--
-- A certificate whose order is void and that exists nevertheless (a crash between signature and record, an
-- answer that was lost) never left provd: who meets it knows that it was not given to any unit.

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
	settled_at INTEGER,
	UNIQUE (issuer, serial),
	CHECK ((state IN ('issued', 'delivered')) = (pem IS NOT NULL AND sha256 IS NOT NULL AND serial IS NOT NULL
		AND subject IS NOT NULL AND not_before IS NOT NULL AND not_after IS NOT NULL AND issued_at IS NOT NULL)),
	CHECK ((state = 'void') = (reason IS NOT NULL))
) STRICT;
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
