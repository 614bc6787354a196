-- SPDX-License-Identifier: Apache-2.0
-- The latest moment that was recorded, among the events up to after_seq or of a person's word.

CREATE TABLE clock (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	floor_ms INTEGER NOT NULL,
	after_seq INTEGER NOT NULL
) STRICT;
INSERT INTO clock (one, floor_ms, after_seq) VALUES (1, 0, 0);
