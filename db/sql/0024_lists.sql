-- SPDX-License-Identifier: Apache-2.0
-- Units of a model, the newest first, however many there are of others.

CREATE INDEX units_by_model ON units (model, created_at, id);
