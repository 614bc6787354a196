/* SPDX-License-Identifier: Apache-2.0
 *
 * A station: a place that handles one unit at a time, with a worker thread of its own.
 *
 *              plugged                  settled              a job waits
 *   EMPTY ------------> SETTLING ------------> READY ------------------> RUNNING
 *     ^  <------------    |  ^                   |                          |
 *     |     bounced away  +--+ bounced           | unplugged                | run ended
 *     +------------------------------------------+                          v
 *     +------------------------------------------------------------------ DONE
 *                           unplugged
 *
 *   FAULT        a wrong device is on a port, or the record failed: left by unplugging or `clear`;
 *                DONE once the end of a run that could not be recorded is on record
 *   QUARANTINED  one step failed on several units in a row: left by `clear`
 *   DISABLED     switched off by a person: left by `enable`
 *
 * The main thread says what is plugged, any thread may read the view or post a command; everything
 * else is done by the worker. The view is a copy under a lock that is held for a few instructions.
 */
#pragma once

#include <jansson.h>

#include "daemon/line/config.h"
#include "daemon/recipe/runner.h"

enum station_state {
	STATION_EMPTY,
	STATION_SETTLING,
	STATION_READY,
	STATION_RUNNING,
	STATION_DONE,
	STATION_FAULT,
	STATION_QUARANTINED,
	STATION_DISABLED,
	STATION_STATE_COUNT
};

enum station_command {
	STATION_CMD_START, /* run the unit that is there (again) */
	STATION_CMD_ABORT,
	STATION_CMD_ENABLE,
	STATION_CMD_DISABLE, /* after the run that is going on */
	STATION_CMD_CLEAR    /* leave fault or quarantine */
};

/* Who gave a command, with its end. */
#define WHO_BYTES 64

struct station;
struct line_services;

const char *station_state_str(enum station_state s);
/* -1 if there is none of that name. */
const char *station_command_str(enum station_command c);
int station_command_from_str(const char *s);

/* The worker starts with it. cfg is part of `config`, which stays referenced; the services outlive
 * the station. */
int station_new(const struct line_services *line, struct config *config,
	const struct station_config *cfg, struct station **ret, struct err *e);
/* Asks the worker to end: at the next step boundary, or at once where `now`. */
void station_stop(struct station *s, bool now);
/* Joins the worker; after station_stop. */
struct station *station_free(struct station *s);

const char *station_id(const struct station *s);
/* Whether that run is the station's open one. Any thread. */
bool station_runs(struct station *s, const char *run);
const struct station_config *station_configured(const struct station *s);
/* Whether the worker has ended. */
bool station_ended(struct station *s);
/* Main thread: what is plugged. */
void station_present(struct station *s, size_t port, const struct device_facts *f, bool wrong);
void station_absent(struct station *s, size_t port);
/* Any thread. -ERR_CONFLICT where the state does not allow it, -ERR_OVERLOADED if the box is full.
 * by: the name of the principal, for the record. */
int station_command(struct station *s, enum station_command c, const char *by, struct err *e);
/* Any thread: an answer to the prompt that is open here. -ERR_NOT_FOUND or -ERR_CONFLICT if it is
 * not. */
int station_answer(struct station *s, const char *prompt_id, const char *answer, const char *by,
	struct err *e);
/* Any thread: jobs have changed, look again. */
/* What its interlocks look at has changed. Any thread. */
void station_interlocks_stale(struct station *s);
void station_wake(struct station *s);
/* Any thread: aborts the run if it belongs to that job. */
void station_abort_job(struct station *s, const char *job_id);
/* Any thread: the view as JSON, a new reference. */
json_t *station_json(struct station *s);
enum station_state station_state(struct station *s);
/* When the worker shows life again at the latest (monotonic): the end of its nap while it has
 * nothing to do, the deadline of its step within a run. Long past: it hangs. */
uint64_t station_tick_us(struct station *s);
/* A station that is idle may be reconfigured. */
bool station_idle(struct station *s);
