-- SPDX-License-Identifier: Apache-2.0
--
-- Who traces an order says so in its request (W3C Trace Context): kept with the job, and told on in all that is done
-- for it.
CREATE TABLE traces (
	job_id TEXT PRIMARY KEY REFERENCES jobs (id),
	trace_id TEXT NOT NULL CHECK (length(trace_id) = 32),
	parent_id TEXT NOT NULL CHECK (length(parent_id) = 16),
	flags INTEGER NOT NULL CHECK (flags BETWEEN 0 AND 255),
	tracestate TEXT NOT NULL CHECK (length(tracestate) <= 512)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER traces_stay BEFORE UPDATE ON traces BEGIN
	SELECT RAISE (ABORT, 'the trace of an order never changes');
END;
