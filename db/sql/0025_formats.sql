-- SPDX-License-Identifier: Apache-2.0
-- What is made of the events of a webhook: the event itself, the report of a run that ended (wsjf, of WATS), or
-- messages of IPC-CFX. Those of the format cfx are the addresses that provd.yaml names, not what somebody asked
-- for over the API: a place in the table of events and deliveries, as any other.
--
-- stations: a JSON array, NULL all of them. auth: a name in `secrets`, whose text is the header
-- Authorization of each request; NULL none. code: why an attempt was not taken, of those that a status does
-- not say.
ALTER TABLE webhooks ADD COLUMN format TEXT NOT NULL DEFAULT 'event'
	CHECK (format IN ('event', 'wsjf', 'cfx'));
ALTER TABLE webhooks ADD COLUMN stations TEXT;
ALTER TABLE webhooks ADD COLUMN auth TEXT;
ALTER TABLE deliveries ADD COLUMN code TEXT;
