-- SPDX-License-Identifier: Apache-2.0
-- What a certificate was asked for, next to its key: SHA-256 of the values that its profile put in, or of the
-- request where the issuer decides. Who asks for the same key with something else gets another certificate,
-- never the one of before. '' of those from before this column: they are not given again.

ALTER TABLE certificates ADD COLUMN asked TEXT NOT NULL DEFAULT '' CHECK (length(asked) = 64 OR asked = '');

CREATE TRIGGER certificates_asked_stays BEFORE UPDATE ON certificates
	WHEN NEW.asked <> OLD.asked
BEGIN
	SELECT RAISE (ABORT, 'an issued certificate is immutable');
END;
