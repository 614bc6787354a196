-- SPDX-License-Identifier: Apache-2.0
-- Records come by COPY, some hundred at a time. That each belongs to a host, and each measurement to a run, is looked at once
-- for all rows of a statement: a foreign key asks for each row, which took half of the time. Hosts and runs are never
-- deleted (hosts_remain, runs_stay), so that nothing else could break it.

ALTER TABLE records DROP CONSTRAINT records_host_fkey;
ALTER TABLE runs DROP CONSTRAINT runs_host_fkey;
ALTER TABLE measurements DROP CONSTRAINT measurements_run_fkey;

CREATE FUNCTION must_have_host() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT 1 FROM (SELECT DISTINCT host FROM added) a WHERE NOT EXISTS (SELECT 1 FROM hosts WHERE id = a.host)) THEN
		RAISE EXCEPTION 'a row of a host that there is not' USING ERRCODE = 'foreign_key_violation';
	END IF;
	RETURN NULL;
END $$;
CREATE FUNCTION must_have_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT 1 FROM (SELECT DISTINCT run FROM added) a WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = a.run)) THEN
		RAISE EXCEPTION 'a measurement of a run that there is not' USING ERRCODE = 'foreign_key_violation';
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER records_have_host AFTER INSERT ON records REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION must_have_host();
CREATE TRIGGER runs_have_host AFTER INSERT ON runs REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION must_have_host();
CREATE TRIGGER measurements_have_run AFTER INSERT ON measurements REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION must_have_run();
