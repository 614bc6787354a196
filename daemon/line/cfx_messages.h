/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of IPC-CFX (IPC-2591), made of what is on record: a table says which of them an event has, and what each
 * holds. Pure: the same event gives the same messages, so that a message that is sent again is the same.
 *
 *	run-attached   UnitsArrived
 *	run-started    FaultCleared, StationStateChanged, WorkStarted
 *	step-started   WorkStageStarted
 *	step-finished  WorkStageCompleted
 *	run-finished   UnitsPersonalized, UnitsTested, WorkCompleted, FaultOccurred, StationStateChanged, UnitsDeparted
 *	station-held   FaultCleared (of a quarantine before), FaultOccurred (quarantined), StationStateChanged
 *	station-freed  FaultCleared, StationStateChanged
 *
 * A run is a transaction of CFX and has its id; its steps are stages. EndpointConnected, Heartbeat and
 * EndpointShuttingDown are not on record: cfx.h sends them.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/timefmt.h"

#define CFX_VERSION "1.7"

/* Vendor.Model.Serial, with {station} where the station's id goes. */
bool cfx_is_handle(const char *text);
/* The name of a message that provd sends, or the beginning of one with a '*'. */
bool cfx_is_type(const char *text);
/* Whether a message is wanted: only is an array of names or beginnings, empty: all. */
bool cfx_wanted(const json_t *only, const char *name);

/* The types of the events that have a message which is wanted: a new array. */
json_t *cfx_events(const json_t *only);
/* Whether the messages of that type of events are made of the run as well. */
bool cfx_needs_run(const char *type);
/* ... or of its station. */
bool cfx_needs_station(const char *type);
/* The messages of an event (events_message()), in their order: an array of {name, k, body}, where k is the place of the message in
 * the table whatever is wanted. told: told_run() of its run, told_station() of its station, NULL
 * where there is none. A new reference. */
json_t *cfx_messages(const json_t *event, const json_t *told, const json_t *only);

/* The handle of a station, owned by the caller. */
char *cfx_handle(const char *handle, const char *station);
/* The UniqueID of the message k of a delivery: the same at each attempt (a UUID of version 8, RFC 9562, 5.8). */
char *cfx_unique_id(const char *delivery, int64_t k, char buf[UUID_SIZE]);
/* {MessageName, Version, TimeStamp, UniqueID, Source, Target, RequestID, MessageBody}; at: RFC 3339, takes body. */
json_t *cfx_envelope(
	const char *name, const char *at, const char *id, const char *source, json_t *body);

/* The bodies of what is not on record. */
json_t *cfx_endpoint_connected(const char *handle);
json_t *cfx_heartbeat(const char *handle, uint64_t every_us);
json_t *cfx_endpoint_shutting_down(const char *handle);
/* "00:01:25.250", as a TimeSpan of .NET is written ("c"). */
char *cfx_duration(int64_t ms, char buf[40]);
