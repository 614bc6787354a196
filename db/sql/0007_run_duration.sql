-- SPDX-License-Identifier: Apache-2.0
-- How long a run took, by a clock that does not jump. NULL: an older record, whose report says the
-- difference of its times; -1: not known (power was lost in between).

ALTER TABLE runs ADD COLUMN duration_ms INTEGER CHECK (duration_ms >= -1);
