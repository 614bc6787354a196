-- SPDX-License-Identifier: Apache-2.0
-- Nothing is here: the number belongs to another change.

SELECT 1;
