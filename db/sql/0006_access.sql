-- SPDX-License-Identifier: Apache-2.0
-- What each token did, and what it may do: no program that speaks SQL changes or deletes either.
--
-- audit: token is the id of the token ('' of provd itself), since two older tokens may have
-- one name; address is where the request came from.
-- tokens: a name belongs to one token for ever, so that a name in the records is one person.
-- sessions: of browsers, by the hash of the cookie, so that they outlive a restart of provd.

ALTER TABLE audit ADD COLUMN token TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT '';
CREATE TRIGGER audit_kept BEFORE DELETE ON audit
BEGIN
	SELECT RAISE (ABORT, 'the audit trail is immutable');
END;
-- REPLACE deletes without the trigger above; and nothing is put in between.
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

CREATE TABLE sessions (
	hash TEXT PRIMARY KEY CHECK (length(hash) = 64),
	token TEXT NOT NULL REFERENCES tokens (id),
	created_at INTEGER NOT NULL,
	used_at INTEGER NOT NULL,
	ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_token ON sessions (token);
