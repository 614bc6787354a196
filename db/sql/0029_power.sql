-- SPDX-License-Identifier: Apache-2.0
-- How the power of a station's unit is to be left, from before it is switched in a run until that is done (db/power.h): a row that a
-- new start finds is of a provd that was killed in between.

CREATE TABLE power_owed (
	station TEXT PRIMARY KEY,
	run TEXT NOT NULL,
	want TEXT NOT NULL CHECK (want IN ('on', 'off')),
	at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
