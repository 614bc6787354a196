-- SPDX-License-Identifier: Apache-2.0
-- What would else be looked for in all rows.

-- When a station was held, by whom or what, and when it was free again (db/stations.h): they are events, and this finds the last
-- one before another event of the station.
CREATE INDEX events_of_holds ON events (station, seq) WHERE type IN ('station-held', 'station-freed');

-- An act that is for good is looked for before each act (db/journal.c): a chip id in capitals is the one in small letters.
CREATE INDEX intents_committed ON intents (unit COLLATE NOCASE, action, what) WHERE state = 'committed' AND unit <> '';

-- Lists of prompts: the few that are open, and those of a station.
CREATE INDEX prompts_by_state ON prompts (state, created_at, id);
CREATE INDEX prompts_by_station ON prompts (station, created_at, id);
