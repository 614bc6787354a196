-- SPDX-License-Identifier: Apache-2.0
-- Months of runs that were moved to files (docs/decisions/0016-archive.md). A row says that the records from_n to
-- to_n are in such a file, which was read back: from then on, and in no other way, their steps, measurements and
-- texts may be deleted here. Archives follow one another without a gap, and their rows stay for ever.
--
-- The rows of the runs stay, with units, ledger, counts, traits, nodes of the tree, checkpoints and certificates.
--
-- last: SHA-256 of the text of the record to_n, which the record after it names. cleared: up to which record
-- the rows are gone; to_n once all of them are.

CREATE TABLE archives (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	from_n INTEGER NOT NULL CHECK (from_n > 0),
	to_n INTEGER NOT NULL CHECK (to_n >= from_n),
	month TEXT NOT NULL,
	file TEXT NOT NULL,
	bytes INTEGER NOT NULL,
	sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
	last TEXT NOT NULL CHECK (length(last) = 64),
	at INTEGER NOT NULL,
	cleared INTEGER NOT NULL CHECK (cleared BETWEEN from_n - 1 AND to_n)
) STRICT;
CREATE INDEX archives_by_end ON archives (to_n);

CREATE TRIGGER archives_follow BEFORE INSERT ON archives
WHEN NEW.from_n <> coalesce((SELECT max(to_n) FROM archives), 0) + 1
	OR NEW.to_n > coalesce((SELECT max(n) FROM run_records), 0) OR NEW.cleared <> NEW.from_n - 1
BEGIN
	SELECT RAISE (ABORT, 'an archive follows the one before it');
END;
CREATE TRIGGER archives_stay BEFORE UPDATE ON archives
WHEN NEW.seq <> OLD.seq OR NEW.from_n <> OLD.from_n OR NEW.to_n <> OLD.to_n OR NEW.month <> OLD.month OR NEW.file <> OLD.file
	OR NEW.bytes <> OLD.bytes OR NEW.sha256 <> OLD.sha256 OR NEW.last <> OLD.last OR NEW.at <> OLD.at OR NEW.cleared < OLD.cleared
BEGIN
	SELECT RAISE (ABORT, 'an archive is immutable');
END;
CREATE TRIGGER archives_remain BEFORE DELETE ON archives
BEGIN
	SELECT RAISE (ABORT, 'an archive is never deleted');
END;

DROP TRIGGER steps_remain;
CREATE TRIGGER steps_remain BEFORE DELETE ON steps
WHEN NOT EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id AND chain <= (SELECT max(to_n) FROM archives))
BEGIN
	SELECT RAISE (ABORT, 'a step is never deleted, but of a run that is in an archive');
END;
DROP TRIGGER measurements_remain;
CREATE TRIGGER measurements_remain BEFORE DELETE ON measurements
WHEN NOT EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id AND chain <= (SELECT max(to_n) FROM archives))
BEGIN
	SELECT RAISE (ABORT, 'a measurement is never deleted, but of a run that is in an archive');
END;
CREATE TRIGGER run_log_remains BEFORE DELETE ON run_log
WHEN NOT EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id AND chain <= (SELECT max(to_n) FROM archives))
BEGIN
	SELECT RAISE (ABORT, 'a line of a log is never deleted, but of a run that is in an archive');
END;
DROP TRIGGER run_records_remain;
CREATE TRIGGER run_records_remain BEFORE DELETE ON run_records
WHEN OLD.n > coalesce((SELECT max(to_n) FROM archives), 0)
BEGIN
	SELECT RAISE (ABORT, 'a record is never deleted, but where it is in an archive');
END;

-- What is archived counts where the end is.
DROP TRIGGER run_records_grow;
CREATE TRIGGER run_records_grow BEFORE INSERT ON run_records
WHEN NEW.n <> max(coalesce((SELECT max(n) FROM run_records), 0), coalesce((SELECT max(to_n) FROM archives), 0)) + 1
BEGIN
	SELECT RAISE (ABORT, 'records are added at the end');
END;
DROP TRIGGER checkpoints_grow;
CREATE TRIGGER checkpoints_grow BEFORE INSERT ON checkpoints
WHEN NEW.size < coalesce((SELECT max(size) FROM checkpoints), 0)
	OR NEW.size > max(coalesce((SELECT max(n) FROM run_records), 0), coalesce((SELECT max(to_n) FROM archives), 0))
BEGIN
	SELECT RAISE (ABORT, 'a checkpoint is of the records as they are');
END;
