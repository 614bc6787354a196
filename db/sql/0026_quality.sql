-- SPDX-License-Identifier: Apache-2.0
-- What a line is judged by, more closely: the fixture of each run, the yield of each step, where the time of
-- each unit goes, and by what units failed first. Kept as 0013 keeps its counts (db/rollup_steps.h).
--
-- runs.fixture: the one that the station had then; NULL: a run of before, of which nobody knows.
--
-- rollup_steps: runs by the last attempt at the step: passed, failed, error (neither); skipped steps count
-- nowhere. retried: more than one attempt. units, first_passed: of the first runs of units in this recipe;
-- the step passed at its first attempt.
--
-- rollup_times: what of the time of a run, in ms, as a histogram: n runs at or above the bar `bar` and below
-- the next one of time_bars, whose times add up to ms. part:
--
--	setup, work, teardown   first attempts at a step, by its phase
--	again                   further attempts at it
--	person                  a step waited for an answer
--	rest                    of a run, outside of its steps
--	change, idle            from the run before on this station to this one: up to 10 minutes, and more
--	cycle                   whole runs that passed
--
-- rollup_firsts: first runs of units in their recipe, by the order and the step that failed ('': none did).

ALTER TABLE runs ADD COLUMN fixture TEXT;

CREATE TABLE rollups_by_fixture (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	fixture TEXT NOT NULL,
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
	PRIMARY KEY (span, at, station, fixture, recipe, version)
) STRICT, WITHOUT ROWID;
INSERT INTO rollups_by_fixture
	SELECT span, at, station, '', recipe, version, passed, failed, error, aborted, interrupted, busy_ms,
		units, first_passed, last_passed, retested, process_units, process_first_passed,
		process_last_passed, process_retested
	FROM rollups;
DROP TABLE rollups;
ALTER TABLE rollups_by_fixture RENAME TO rollups;

CREATE TABLE causes_by_fixture (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	fixture TEXT NOT NULL,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	step TEXT NOT NULL,
	code TEXT NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (span, at, station, fixture, recipe, version, outcome, step, code)
) STRICT, WITHOUT ROWID;
INSERT INTO causes_by_fixture
	SELECT span, at, station, '', recipe, version, outcome, step, code, n FROM rollup_causes;
DROP TABLE rollup_causes;
ALTER TABLE causes_by_fixture RENAME TO rollup_causes;

CREATE TABLE rollup_steps (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	fixture TEXT NOT NULL,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	step TEXT NOT NULL,
	passed INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	error INTEGER NOT NULL,
	retried INTEGER NOT NULL,
	units INTEGER NOT NULL,
	first_passed INTEGER NOT NULL,
	PRIMARY KEY (span, at, station, fixture, recipe, version, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_times (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	fixture TEXT NOT NULL,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	part TEXT NOT NULL CHECK (part IN
		('setup', 'work', 'teardown', 'again', 'person', 'rest', 'change', 'idle', 'cycle')),
	step TEXT NOT NULL,
	bar INTEGER NOT NULL,
	n INTEGER NOT NULL,
	ms INTEGER NOT NULL,
	PRIMARY KEY (span, at, station, fixture, recipe, version, part, step, bar)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_firsts (
	span INTEGER NOT NULL CHECK (span IN (3600, 86400, 2764800)),
	at INTEGER NOT NULL,
	station TEXT NOT NULL,
	fixture TEXT NOT NULL,
	recipe TEXT NOT NULL,
	version INTEGER NOT NULL,
	job TEXT NOT NULL,
	step TEXT NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (span, at, station, fixture, recipe, version, job, step)
) STRICT, WITHOUT ROWID;

-- Where bars begin, in ms: 5 to 10 % apart from 10 ms on; the last is of 11 days and more.
CREATE TABLE time_bars (low INTEGER PRIMARY KEY) STRICT;
INSERT INTO time_bars
	WITH RECURSIVE bars (low, unit) AS (
		VALUES (0, 1)
		UNION ALL
		SELECT low + unit * CASE WHEN low < 20 * unit THEN 1 WHEN low < 50 * unit THEN 2 ELSE 5 END,
			iif(low >= 95 * unit, 10 * unit, unit)
		FROM bars WHERE low < 1000000000
	)
	SELECT low FROM bars;

-- The runs that are there, and the steps that are in no archive.
CREATE TABLE ended AS
	SELECT row_number() OVER () AS n, id, ended_at - ended_at % 3600000 AS at, station, recipe, version, job, outcome, step, busy_ms, gap,
		counts AND row_number() OVER (PARTITION BY counts, unit, recipe ORDER BY chain) = 1 AS first
	FROM (
		SELECT id, coalesce(unit_id, id) AS unit, chain, ended_at, station, coalesce(recipe, '') AS recipe,
			coalesce(version, 0) AS version, coalesce(job_id, '') AS job, outcome,
			coalesce(step, '') AS step, kind, state, outcome IN ('passed', 'failed') AS counts,
			max(0, coalesce(duration_ms, ended_at - coalesce(started_at, attached_at))) AS busy_ms,
			attached_at - lag(ended_at) OVER (PARTITION BY station ORDER BY seq) AS gap
		FROM runs WHERE completes IS NULL
	)
	WHERE state = 'finished' AND kind = 'production';

INSERT INTO rollup_firsts
	SELECT 3600, at, station, '', recipe, version, job, iif(outcome = 'failed', step, ''), count(*)
	FROM ended WHERE first GROUP BY 2, 3, 5, 6, 7, 8;

INSERT INTO rollup_steps
	SELECT 3600, at, station, '', recipe, version, step, sum(outcome = 'passed'), sum(outcome = 'failed'),
		sum(outcome NOT IN ('passed', 'failed')), sum(attempts > 1),
		sum(first AND outcome IN ('passed', 'failed')), sum(first AND outcome = 'passed' AND attempts = 1)
	FROM (
		SELECT r.at, r.station, r.recipe, r.version, r.first, s.id AS step, max(s.n), s.outcome,
			count(*) AS attempts
		FROM ended r CROSS JOIN steps s ON s.run_id = r.id WHERE s.outcome <> 'skipped' GROUP BY r.n, s.id
	)
	GROUP BY 2, 3, 5, 6, 7;

CREATE TABLE waited AS
	SELECT s.run_id AS run, s.n AS n, sum(max(0, coalesce(p.settled_at, p.created_at) - p.created_at)) AS ms
	FROM prompts p JOIN steps s ON s.run_id = p.run_id AND p.created_at >= s.started_at
		AND p.created_at < s.ended_at
	GROUP BY 1, 2;
CREATE UNIQUE INDEX waited_by_step ON waited (run, n);

CREATE TABLE took AS
	SELECT r.n AS n, r.at AS at, r.station AS station, r.recipe AS recipe, r.version AS version,
		s.id AS step, iif(s.attempt > 1, 'again', iif(s.phase = 'steps', 'work', s.phase)) AS part,
		sum(max(0, coalesce(s.duration_us / 1000, s.ended_at - s.started_at))) AS ms,
		sum(min(coalesce(w.ms, 0), max(0, coalesce(s.duration_us / 1000, s.ended_at - s.started_at)))) AS waited
	FROM ended r CROSS JOIN steps s ON s.run_id = r.id LEFT JOIN waited w ON w.run = s.run_id AND w.n = s.n
	WHERE r.outcome <> 'interrupted' GROUP BY r.n, s.id, part;
CREATE TABLE whole AS SELECT n, sum(ms) AS ms FROM took GROUP BY n;
CREATE UNIQUE INDEX whole_by_n ON whole (n);

INSERT INTO rollup_times
	SELECT 3600, at, station, '', recipe, version, part, step, (SELECT max(low) FROM time_bars WHERE low <= ms) AS bar,
		count(*), sum(ms)
	FROM (
		SELECT at, station, recipe, version, part, step, ms - waited AS ms FROM took
		UNION ALL
		SELECT at, station, recipe, version, 'person', step, sum(waited) FROM took WHERE waited > 0 GROUP BY n, step
		UNION ALL
		SELECT r.at, r.station, r.recipe, r.version, 'rest', '', max(0, r.busy_ms - coalesce(w.ms, 0))
		FROM ended r LEFT JOIN whole w ON w.n = r.n WHERE r.outcome <> 'interrupted'
		UNION ALL
		SELECT at, station, recipe, version, iif(gap <= 600000, 'change', 'idle'), '', gap
		FROM ended WHERE gap >= 0 AND outcome <> 'interrupted'
		UNION ALL
		SELECT at, station, recipe, version, 'cycle', '', busy_ms FROM ended WHERE outcome = 'passed'
	)
	GROUP BY 2, 3, 5, 6, 7, 8, bar;
DROP TABLE whole;
DROP TABLE took;
DROP TABLE waited;
DROP TABLE ended;

INSERT INTO rollup_firsts
	SELECT s.column1, r.at - r.at % (s.column1 * 1000), station, fixture, recipe, version, job, step, sum(n)
	FROM (VALUES (86400), (2764800)) s, rollup_firsts r WHERE r.span = 3600 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
INSERT INTO rollup_steps
	SELECT s.column1, r.at - r.at % (s.column1 * 1000), station, fixture, recipe, version, step, sum(passed),
		sum(failed), sum(error), sum(retried), sum(units), sum(first_passed)
	FROM (VALUES (86400), (2764800)) s, rollup_steps r WHERE r.span = 3600 GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO rollup_times
	SELECT s.column1, r.at - r.at % (s.column1 * 1000), station, fixture, recipe, version, part, step, bar, sum(n),
		sum(ms)
	FROM (VALUES (86400), (2764800)) s, rollup_times r WHERE r.span = 3600 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
