-- SPDX-License-Identifier: Apache-2.0
-- The verifiable record (docs/records.md): what others can check without this database.
--
-- run_records: n is the run's number in the chain; record is canonical JSON (RFC 8785), written in the
-- transaction of the run's end, with the SHA-256 of the record before it.
-- record_nodes: the complete nodes of the Merkle tree over all records (base/merkle.h), in hex, numbered
-- in the order of their completion.
-- checkpoints: size and root of the tree at some time, as a note (base/checkpoint.h). public: the key that
-- signed it, as PEM; '' where it is not signed.

CREATE TABLE run_records (
	n INTEGER PRIMARY KEY CHECK (n > 0),
	record TEXT NOT NULL
) STRICT;
CREATE TABLE record_nodes (
	pos INTEGER PRIMARY KEY CHECK (pos >= 0),
	hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;
CREATE TABLE checkpoints (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	size INTEGER NOT NULL CHECK (size > 0),
	at INTEGER NOT NULL,
	note TEXT NOT NULL,
	public TEXT NOT NULL
) STRICT;
CREATE INDEX checkpoints_by_size ON checkpoints (size, seq);

CREATE TRIGGER run_records_grow BEFORE INSERT ON run_records
WHEN NEW.n <> coalesce((SELECT max(n) FROM run_records), 0) + 1
BEGIN
	SELECT RAISE (ABORT, 'records are added at the end');
END;
CREATE TRIGGER run_records_stay BEFORE UPDATE ON run_records
BEGIN
	SELECT RAISE (ABORT, 'a record is immutable');
END;
CREATE TRIGGER run_records_remain BEFORE DELETE ON run_records
BEGIN
	SELECT RAISE (ABORT, 'a record is never deleted');
END;
CREATE TRIGGER record_nodes_grow BEFORE INSERT ON record_nodes
WHEN NEW.pos <> coalesce((SELECT max(pos) FROM record_nodes), -1) + 1
BEGIN
	SELECT RAISE (ABORT, 'nodes of the tree are added at the end');
END;
CREATE TRIGGER record_nodes_stay BEFORE UPDATE ON record_nodes
BEGIN
	SELECT RAISE (ABORT, 'a node of the tree is immutable');
END;
CREATE TRIGGER record_nodes_remain BEFORE DELETE ON record_nodes
BEGIN
	SELECT RAISE (ABORT, 'a node of the tree is never deleted');
END;
CREATE TRIGGER checkpoints_grow BEFORE INSERT ON checkpoints
WHEN NEW.size < coalesce((SELECT max(size) FROM checkpoints), 0)
	OR NEW.size > coalesce((SELECT max(n) FROM run_records), 0)
BEGIN
	SELECT RAISE (ABORT, 'a checkpoint is of the records as they are');
END;
CREATE TRIGGER checkpoints_stay BEFORE UPDATE ON checkpoints
BEGIN
	SELECT RAISE (ABORT, 'a checkpoint is immutable');
END;
CREATE TRIGGER checkpoints_remain BEFORE DELETE ON checkpoints
BEGIN
	SELECT RAISE (ABORT, 'a checkpoint is never deleted');
END;
