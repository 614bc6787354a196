-- SPDX-License-Identifier: Apache-2.0
-- Measurements that are more than one number, or none: JSON of what was measured and by what it was judged, of
-- the kind "sweep" (axis, values, limits, outside) or "text" (equals, matches or one_of). NULL: one number.

ALTER TABLE measurements ADD COLUMN detail TEXT;
