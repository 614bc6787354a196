-- SPDX-License-Identifier: Apache-2.0
-- The names that a file was uploaded under: one content may have several, and a name goes to the content that was
-- uploaded under it last, also to one that was there before (db/artifacts.h). n counts for each name, whatever the clock does.

CREATE TABLE artifact_names (
	name TEXT NOT NULL,
	n INTEGER NOT NULL,
	sha256 TEXT NOT NULL REFERENCES artifacts (sha256) ON DELETE CASCADE,
	PRIMARY KEY (name, n)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX artifact_names_by_content ON artifact_names (sha256, name);
INSERT INTO artifact_names (name, n, sha256)
	SELECT name, row_number() OVER (PARTITION BY name ORDER BY created_at, sha256), sha256 FROM artifacts;
DROP INDEX artifacts_by_name;
