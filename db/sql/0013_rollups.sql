-- SPDX-License-Identifier: Apache-2.0
-- What people steer by, counted in the transaction of each run's end: a report adds up hours, days and
-- blocks of 32 days, and reads runs for the parts of an hour at its two ends alone. Production runs
-- alone; at: of their end, in steps of `span` seconds, UTC. recipe '' and version 0: none.
--
-- busy_ms: of runs whose duration is known. units: those whose first counted (passed or failed) run it
-- was; first_passed, last_passed, retested: of these units, by their first run, their last one so far,
-- and more than one. process_*: the same where only runs of this recipe count.

CREATE TABLE rollups (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	passed INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	error INTEGER NOT NULL,
	aborted INTEGER NOT NULL,
	interrupted INTEGER NOT NULL,
	busy_ms INTEGER NOT NULL,
	units INTEGER NOT NULL,
	first_passed INTEGER NOT NULL,
	last_passed INTEGER NOT NULL,
	retested INTEGER NOT NULL,
	process_units INTEGER NOT NULL,
	process_first_passed INTEGER NOT NULL,
	process_last_passed INTEGER NOT NULL,
	process_retested INTEGER NOT NULL,
	PRIMARY KEY (span, at, station, recipe, version)
) STRICT, WITHOUT ROWID;

-- What ended runs that did not pass: step and code, '' where there is none.
CREATE TABLE rollup_causes (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	step TEXT NOT NULL,
	code TEXT NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (span, at, station, recipe, version, outcome, step, code)
) STRICT, WITHOUT ROWID;

-- The runs that are there.
INSERT INTO rollups
	SELECT 3600, ended_at - ended_at % 3600000, station, recipe, version, sum(outcome = 'passed'),
		sum(outcome = 'failed'), sum(outcome = 'error'), sum(outcome = 'aborted'),
		sum(outcome = 'interrupted'), sum(busy_ms), sum(counts AND n = 1),
		sum(counts AND n = 1 AND outcome = 'passed'), sum(counts AND n = 1 AND last = 'passed'),
		sum(counts AND n = 1 AND total > 1), sum(counts AND pn = 1),
		sum(counts AND pn = 1 AND outcome = 'passed'), sum(counts AND pn = 1 AND plast = 'passed'),
		sum(counts AND pn = 1 AND ptotal > 1)
	FROM (
		SELECT ended_at, station, recipe, version, outcome, busy_ms, counts,
			row_number() OVER u AS n, count(*) OVER whole_u AS total,
			last_value(outcome) OVER whole_u AS last, row_number() OVER p AS pn,
			count(*) OVER whole_p AS ptotal, last_value(outcome) OVER whole_p AS plast
		FROM (
			SELECT coalesce(unit_id, id) AS unit, chain, ended_at, station,
				coalesce(recipe, '') AS recipe, coalesce(version, 0) AS version, outcome,
				outcome IN ('passed', 'failed') AS counts,
				max(0, coalesce(duration_ms, ended_at - coalesce(started_at, attached_at))) AS busy_ms
			FROM runs WHERE state = 'finished' AND kind = 'production'
		)
		WINDOW u AS (PARTITION BY counts, unit ORDER BY chain),
			whole_u AS (u ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING),
			p AS (PARTITION BY counts, unit, recipe ORDER BY chain),
			whole_p AS (p ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
	)
	GROUP BY 2, 3, 4, 5;
INSERT INTO rollup_causes
	SELECT 3600, ended_at - ended_at % 3600000, station, coalesce(recipe, ''), coalesce(version, 0),
		outcome, coalesce(step, ''), coalesce(code, ''), count(*)
	FROM runs WHERE state = 'finished' AND kind = 'production' AND outcome <> 'passed'
	GROUP BY 2, 3, 4, 5, 6, 7, 8;
INSERT INTO rollups
	SELECT s.column1, r.at - r.at % (s.column1 * 1000), station, recipe, version, sum(passed),
		sum(failed), sum(error), sum(aborted), sum(interrupted), sum(busy_ms), sum(units),
		sum(first_passed), sum(last_passed), sum(retested), sum(process_units),
		sum(process_first_passed), sum(process_last_passed), sum(process_retested)
	FROM (VALUES (86400), (2764800)) s, rollups r WHERE r.span = 3600 GROUP BY 1, 2, 3, 4, 5;
INSERT INTO rollup_causes
	SELECT s.column1, r.at - r.at % (s.column1 * 1000), station, recipe, version, outcome, step, code,
		sum(n)
	FROM (VALUES (86400), (2764800)) s, rollup_causes r WHERE r.span = 3600
	GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
