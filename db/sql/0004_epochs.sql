-- SPDX-License-Identifier: Apache-2.0
-- The lives of this database. A new one begins when a person accepts a restored backup: event
-- numbers and serial numbers go on after the highest that the line has given out, not after the
-- highest that the backup knows.
--
-- The events from_seq + 1 to after_seq were published before the restore and are lost: a reader whose
-- cursor is among them has seen what these records do not know.
--
-- marked: the high-water marks outside the database are known to be on disk under this epoch. While
-- it is 0 nothing was given out yet, so that marks which are missing or older lose nothing.

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
