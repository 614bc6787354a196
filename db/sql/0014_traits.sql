-- SPDX-License-Identifier: Apache-2.0
-- What a run had a part in, so that it can be found by it: artifacts (SHA-256), tools with their versions,
-- people who answered a prompt, issuers of certificates. Station, recipe and job are columns of the run.
-- Written in the transaction of the run's end. runs: how many have it.

CREATE TABLE traits (
	id INTEGER PRIMARY KEY,
	kind TEXT NOT NULL CHECK (kind IN ('artifact', 'tool', 'operator', 'issuer')),
	value TEXT NOT NULL,
	runs INTEGER NOT NULL,
	UNIQUE (kind, value)
) STRICT;

CREATE TABLE run_traits (
	trait INTEGER NOT NULL REFERENCES traits (id),
	run_seq INTEGER NOT NULL REFERENCES runs (seq),
	PRIMARY KEY (trait, run_seq)
) STRICT, WITHOUT ROWID;

-- The runs that are there.
CREATE TABLE found AS
	SELECT 'artifact' AS kind, a.value AS value, r.seq AS run
		FROM runs r, json_each(r.firmware, '$.artifacts') a WHERE r.state = 'finished'
	UNION SELECT 'tool', json_extract(s.evidence, '$.program')
			|| coalesce(' ' || json_extract(s.evidence, '$.version'), ''), r.seq
		FROM steps s JOIN runs r ON r.id = s.run_id
		WHERE r.state = 'finished' AND s.evidence LIKE '%"program":"%'
	UNION SELECT 'operator', p.answered_by, r.seq FROM prompts p JOIN runs r ON r.id = p.run_id
		WHERE r.state = 'finished' AND p.state = 'answered' AND p.answered_by IS NOT NULL
	UNION SELECT 'issuer', c.issuer, r.seq FROM certificates c JOIN runs r ON r.id = c.run_id
		WHERE r.state = 'finished' AND c.state IN ('issued', 'delivered');
INSERT INTO traits (kind, value, runs) SELECT kind, value, count(*) FROM found
	WHERE value IS NOT NULL GROUP BY kind, value;
INSERT INTO run_traits (trait, run_seq) SELECT t.id, f.run FROM found f
	JOIN traits t ON t.kind = f.kind AND t.value = f.value;
DROP TABLE found;
