-- SPDX-License-Identifier: Apache-2.0
-- What a station knows again when provd starts again.
--
-- plugged: what was there when its last run ended, as an enumeration that no other plugging repeats:
-- a unit that is still there has had its run. '' while a run is open, after an interrupted one, and
-- where what was plugged is not known.
-- held: it takes no unit until a person lets it.

CREATE TABLE stations (
	id TEXT PRIMARY KEY,
	plugged TEXT NOT NULL,
	held TEXT NOT NULL CHECK (held IN ('', 'disabled', 'quarantined')),
	code TEXT NOT NULL,
	message TEXT NOT NULL,
	fail_step TEXT NOT NULL,
	fail_count INTEGER NOT NULL CHECK (fail_count >= 0)
) STRICT, WITHOUT ROWID;
