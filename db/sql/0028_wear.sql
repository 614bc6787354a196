-- SPDX-License-Identifier: Apache-2.0
-- How often the flash of each unit was erased, by region: an address as 0x08010000, or the name of a partition
-- (db/wear.h). Counted from this migration on. A station may be released from that interlock, too.

CREATE TABLE unit_wear (
	unit_id TEXT NOT NULL REFERENCES units (id),
	region TEXT NOT NULL,
	erases INTEGER NOT NULL CHECK (erases > 0),
	PRIMARY KEY (unit_id, region)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER unit_wear_grows BEFORE UPDATE ON unit_wear WHEN NEW.erases < OLD.erases
BEGIN
	SELECT RAISE (ABORT, 'flash does not heal');
END;
CREATE TRIGGER unit_wear_remains BEFORE DELETE ON unit_wear
BEGIN
	SELECT RAISE (ABORT, 'flash does not heal');
END;

CREATE TABLE releases (
	station TEXT NOT NULL,
	interlock TEXT NOT NULL CHECK (interlock IN ('golden', 'contacts', 'calibration', 'yield', 'wear')),
	until INTEGER NOT NULL,
	at INTEGER NOT NULL,
	by TEXT NOT NULL,
	reason TEXT NOT NULL,
	after_run INTEGER NOT NULL,
	PRIMARY KEY (station, interlock)
) STRICT, WITHOUT ROWID;
INSERT INTO releases SELECT station, interlock, until, at, by, reason, after_run FROM interlock_releases;
DROP TABLE interlock_releases;
ALTER TABLE releases RENAME TO interlock_releases;
