-- SPDX-License-Identifier: Apache-2.0
-- Pools of MAC addresses: the block that the addresses come from (NULL: the numbers are the addresses),
-- whether they are locally administered on purpose, and how many addresses a value is the first of.

ALTER TABLE pools ADD COLUMN block TEXT;
ALTER TABLE pools ADD COLUMN local INTEGER NOT NULL DEFAULT 0 CHECK (local IN (0, 1));
ALTER TABLE pools ADD COLUMN span INTEGER NOT NULL DEFAULT 1 CHECK (span BETWEEN 1 AND 256);
