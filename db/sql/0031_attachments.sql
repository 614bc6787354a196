-- SPDX-License-Identifier: Apache-2.0
-- What steps attached to their run (db/attachments.h): a row says that a file of that content is in the store of
-- attachments, and the file was on disk before the row. The record of the run has the rows (db/run_record.h).
--
-- attachment_room: how many files the rows name and their bytes, each content once, for the quota.
--
-- A prompt may name a picture that is shown with it: the digest of an artifact, and what is read where the picture
-- cannot be seen.

CREATE TABLE attachments (
	run_id TEXT NOT NULL,
	step_n INTEGER NOT NULL,
	name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
	sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
	bytes INTEGER NOT NULL CHECK (bytes >= 0),
	media TEXT NOT NULL,
	PRIMARY KEY (run_id, step_n, name),
	FOREIGN KEY (run_id, step_n) REFERENCES steps (run_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachments_by_digest ON attachments (sha256);

CREATE TABLE attachment_room (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	files INTEGER NOT NULL CHECK (files >= 0),
	bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT;
INSERT INTO attachment_room (one, files, bytes) VALUES (1, 0, 0);

CREATE TRIGGER attachments_late BEFORE INSERT ON attachments
WHEN (SELECT state FROM steps WHERE run_id = NEW.run_id AND n = NEW.step_n) = 'done'
	OR (SELECT state FROM runs WHERE id = NEW.run_id) = 'finished'
BEGIN
	SELECT RAISE (ABORT, 'a finished step is immutable');
END;
CREATE TRIGGER attachments_agree BEFORE INSERT ON attachments
WHEN EXISTS (SELECT 1 FROM attachments WHERE sha256 = NEW.sha256 AND bytes <> NEW.bytes)
BEGIN
	SELECT RAISE (ABORT, 'one content has one size');
END;
CREATE TRIGGER attachments_stay BEFORE UPDATE ON attachments
BEGIN
	SELECT RAISE (ABORT, 'an attachment is immutable');
END;
CREATE TRIGGER attachments_remain BEFORE DELETE ON attachments
WHEN NOT EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id AND chain <= (SELECT max(to_n) FROM archives))
BEGIN
	SELECT RAISE (ABORT, 'an attachment is never deleted, but of a run that is in an archive');
END;
CREATE TRIGGER attachments_take_room AFTER INSERT ON attachments
WHEN (SELECT count(*) FROM attachments WHERE sha256 = NEW.sha256) = 1
BEGIN
	UPDATE attachment_room SET files = files + 1, bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER attachments_give_room AFTER DELETE ON attachments
WHEN NOT EXISTS (SELECT 1 FROM attachments WHERE sha256 = OLD.sha256)
BEGIN
	UPDATE attachment_room SET files = files - 1, bytes = bytes - OLD.bytes;
END;

ALTER TABLE prompts ADD COLUMN picture TEXT CHECK (picture IS NULL OR length(picture) = 64);
ALTER TABLE prompts ADD COLUMN picture_text TEXT;
