-- SPDX-License-Identifier: Apache-2.0
-- What was plugged at a station when its last run ended, as an enumeration that no other plugging
-- repeats. A unit that is still there when provd starts again has had its run. No row: a run is
-- open, was interrupted, or what was plugged is not known.

CREATE TABLE stations (
	id TEXT PRIMARY KEY,
	plugged TEXT NOT NULL
) STRICT, WITHOUT ROWID;
