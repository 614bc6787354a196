-- SPDX-License-Identifier: Apache-2.0
-- A question to a second person: whether something may be done that nothing takes back. Who may answer yes is
-- db/prompts.c.
ALTER TABLE prompts ADD COLUMN approval INTEGER NOT NULL DEFAULT 0 CHECK (approval IN (0, 1));

-- What was approved stays so.
CREATE TRIGGER prompts_approved_stay BEFORE UPDATE ON prompts
	WHEN OLD.approval <> NEW.approval OR OLD.approval = 1 AND OLD.state <> 'open'
BEGIN
	SELECT RAISE (ABORT, 'an approval that was given is immutable');
END;

-- The last step with which a value of the run left, or was seen on the unit: where it passed, what the unit holds is
-- known (db/settle.c).
ALTER TABLE runs ADD COLUMN exposed_step INTEGER;
