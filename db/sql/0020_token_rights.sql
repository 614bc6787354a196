-- SPDX-License-Identifier: Apache-2.0
-- What a token may do, until when, and when it was used last.
--
-- scopes: JSON, the lists stations, pools and recipes of what it may name; NULL: everything.
-- old_sha256: the secret before the last rotation, which works until old_until.
-- used_at, used_from: the last use, and its address, stored now and then.

ALTER TABLE tokens ADD COLUMN expires_at INTEGER;
ALTER TABLE tokens ADD COLUMN scopes TEXT;
ALTER TABLE tokens ADD COLUMN rotated_at INTEGER;
ALTER TABLE tokens ADD COLUMN old_sha256 TEXT;
ALTER TABLE tokens ADD COLUMN old_until INTEGER;
ALTER TABLE tokens ADD COLUMN used_at INTEGER;
ALTER TABLE tokens ADD COLUMN used_from TEXT;

-- A secret changes by a rotation alone, which keeps the one before.
DROP TRIGGER tokens_stay;
CREATE TRIGGER tokens_stay BEFORE UPDATE ON tokens
	WHEN OLD.revoked_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.name <> OLD.name
		OR NEW.role <> OLD.role OR NEW.created_at <> OLD.created_at
		OR NEW.expires_at IS NOT OLD.expires_at OR NEW.scopes IS NOT OLD.scopes
		OR (NEW.secret_sha256 <> OLD.secret_sha256
			AND (NEW.rotated_at IS OLD.rotated_at OR NEW.old_sha256 IS NOT OLD.secret_sha256))
BEGIN
	SELECT RAISE (ABORT, 'a token can only be rotated, or revoked, once');
END;
