/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of events, in the order in which they became true. db_event() (db/db.h) appends; these
 * read by cursor (SSE, webhooks) and prune.
 */
#pragma once

#include "db/db.h"

struct event_filter {
	const char *type; /* each may be NULL; this one as events_check_types() */
	const char *station;
	const char *job;
	const char *run;
	const char *serial;
};

/* first is the oldest kept (last + 1 if none is), last the newest ever given out (0: none). */
int events_bounds(struct db *d, int64_t *ret_first, int64_t *ret_last, struct err *e);
/* Oldest first. page->after is the last seq seen ("0" or NULL: from the beginning, whatever was
 * pruned); -ERR_GONE where events after it were pruned. Items: seq at type station job run serial
 * data. */
/* -ERR_GONE where a reader that has seen the events up to `after` has seen some that these records
 * do not know: they were published before a backup was restored (db/lineage.h). */
int events_check_cursor(struct db *d, int64_t after, struct err *e);
int events_list(struct db *d, const struct event_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e);
/* A condition on the table e of events: its type is in an array of types, or of their beginnings with a '*'; all
 * are in an empty one. */
#define EVENTS_OF_TYPES(types)                                                    \
	"(" types " = '[]' OR EXISTS (SELECT 1 FROM json_each(" types ") t WHERE" \
	" e.type = t.value OR (t.value LIKE '%*' AND"                             \
	" substr(e.type, 1, length(t.value) - 1) = rtrim(t.value, '*'))))"
/* Whether it may be in such an array. -ERR_INVALID. */
int events_check_type(const char *type, struct err *e);
/* A list of them with commas between, as a query has it; NULL and "" are all types. -ERR_INVALID. */
int events_check_types(const char *types, struct err *e);
/* Whether such a list has that type. */
bool events_type_among(const char *types, const char *type);
/* An event for those who get it pushed: {type, timestamp, seq, station, job, run, serial, data} as canonical
 * JSON, the same bytes each time; owned by the caller. NULL: it is no longer kept. */
int events_message(struct db *d, int64_t seq, char **ret, struct err *e);
/* The same of a row that was read: data is what db_event() wrote, canonical JSON; each text may be NULL but the type. */
struct event_row {
	int64_t seq, at;
	const char *type, *station, *job, *run, *serial, *data;
};
char *events_text(const struct event_row *row);
/* Deletes at most `max` events older than before_ms and before the event `keep`; gives how many. */
int events_prune(
	struct db *tx, int64_t before_ms, int64_t keep, int64_t max, int64_t *ret, struct err *e);
