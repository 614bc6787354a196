-- SPDX-License-Identifier: Apache-2.0
-- What a station is made of, and what its interlocks look at (daemon/line/interlock.h).
--
-- contacts: runs that were opened on it, since it was first used and since its last service.
-- golden_*: the newest run of a golden unit on it.

ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'production' CHECK (kind IN ('production', 'golden'));

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

-- A person lets a station go on for some time. after_run: the newest run at that moment; a yield is
-- counted again from there on.
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
