-- SPDX-License-Identifier: Apache-2.0
-- When a station was held, by whom or what, and when it was free again (db/stations.h): they are events, and this finds the last one
-- before another event of the station.

CREATE INDEX events_of_holds ON events (station, seq) WHERE type IN ('station-held', 'station-freed');
