/* SPDX-License-Identifier: Apache-2.0
 *
 * Receivers that asked for events (db/sql/0019_webhooks.sql draws the life of a delivery). The table of events is what
 * waits: webhooks_take() makes rows of the next few that are a webhook's, and those are what a sender
 * carries out, in the order of each unit.
 */
#pragma once

#include "base/trace_context.h"
#include "db/db.h"

#define WEBHOOKS_MAX	   64 /* receivers that somebody asked for */
#define WEBHOOKS_OWN_MAX   16 /* addresses of provd.yaml (cfx) */
#define WEBHOOKS_ALL_MAX   (WEBHOOKS_MAX + WEBHOOKS_OWN_MAX)
#define WEBHOOK_OPEN_MAX   256	/* rows of one webhook that wait; all others are events */
#define WEBHOOK_SCAN	   2000 /* events that one call looks at */
#define WEBHOOK_DONE_KEPT  1000 /* rows that are done, of one webhook */
#define WEBHOOK_URL_BYTES  513
#define WEBHOOK_ID_BYTES   64
#define WEBHOOK_ANSWER_MAX 200 /* bytes of an answer that are kept */

/* What is made of an event. */
enum webhook_format {
	WEBHOOK_EVENT, /* the event itself (events_message()) */
	WEBHOOK_WSJF,  /* the report of the run that ended (daemon/line/wats_report.h) */
	WEBHOOK_CFX, /* messages of IPC-CFX (daemon/line/cfx_messages.h): an address of provd.yaml */
};
extern const char *const webhook_formats[]; /* NULL-terminated */

/* What a person says of one; each text may be NULL. */
struct webhook_said {
	const char *url, *secret;
	const char *format,
		*auth;	     /* of a new one: NULL is "event"; the name of a secret, NULL none */
	const json_t *types; /* array of types, or of their beginnings with a '*'; empty: all */
	const char *station, *job;
	const bool *enabled;
	bool no_station, no_job; /* taken away again */
};

/* From the next event on. -ERR_CONFLICT where there are WEBHOOKS_MAX. */
int webhooks_add(struct db *tx, const char *id, const struct webhook_said *w, struct err *e);
/* What is not said stays. One that is enabled again goes on where it was. revision 0: any, else
 * -ERR_PRECONDITION where it is another. */
int webhooks_change(struct db *tx, const char *id, const struct webhook_said *w, int64_t revision,
	struct err *e);
/* The secret of before is used as well until then (ms UTC). */
int webhooks_rotate(
	struct db *tx, const char *id, const char *secret, int64_t old_until_ms, struct err *e);
int webhooks_remove(struct db *tx, const char *id, struct err *e);
int webhooks_get(struct db *d, const char *id, json_t **ret, struct err *e);
/* All of them. */
int webhooks_list(struct db *d, json_t **ret, struct err *e);

/* The newest first; state may be NULL. */
int webhooks_deliveries(struct db *d, const char *id, const char *state, const struct db_page *page,
	struct db_list *ret, struct err *e);
int webhooks_delivery(struct db *d, const char *id, int64_t n, json_t **ret, struct err *e);
/* A person's word: once more, under the same id. -ERR_CONFLICT for one that waits, -ERR_GONE where
 * its event is no longer kept. */
int webhooks_redeliver(struct db *tx, const char *id, int64_t n, struct err *e);
/* An event of its own, for this webhook whatever it asked for. -ERR_CONFLICT where it is disabled. */
int webhooks_test(struct db *tx, const char *id, const char *by, int64_t *ret_n, struct err *e);

/* --- for the sender --- */

/* An address of provd.yaml, which the API shows and does not change but for `enabled`. */
struct webhook_own {
	char id[DB_ID_SIZE];
	const char *url;
	const json_t *types, *stations; /* arrays; of stations NULL: all */
};
/* Those are the addresses of provd.yaml: a new one begins with the next event, one that is not there any more is
 * forgotten with what waits for it. At most WEBHOOKS_OWN_MAX. */
int webhooks_own(struct db *tx, const struct webhook_own *own, size_t n, struct err *e);
/* 1 where there is any, 0, or an error. */
int webhooks_has_own(struct db *d, struct err *e);

struct webhook {
	char id[DB_ID_SIZE], url[WEBHOOK_URL_BYTES], secret[DB_ID_SIZE], old_secret[DB_ID_SIZE],
		auth[DB_ID_SIZE]; /* "" none */
	char format[8];
	int64_t old_until_ms, seen, failures;
};
/* Those that are enabled: the addresses of provd.yaml, or all others. */
int webhooks_enabled(
	struct db *d, bool own, struct webhook ret[WEBHOOKS_MAX], size_t *ret_n, struct err *e);
/* The number of the newest event that there is. */
int webhooks_newest(struct db *d, int64_t *ret, struct err *e);
/* Rows for the next events, as many as there is room for. ret_more: there are further events; ret_waiting: its rows that wait now. */
int webhooks_take(
	struct db *tx, const char *id, bool *ret_more, int64_t *ret_waiting, struct err *e);

struct delivery {
	int64_t n, attempts, event;
	char id[WEBHOOK_ID_BYTES];
	char *body;		    /* owned by the caller; NULL: its event is gone */
	struct trace_context trace; /* of its order */
};
/* A row that waits, without its message. The keys are hashes of its run and unit, 0 none: rows that share one go out one after
 * another. */
struct waiting_row {
	int64_t n, attempts, event;
	char id[WEBHOOK_ID_BYTES];
	uint64_t run, unit;
	bool held; /* it was in `held` */
};
/* The oldest rows that wait, at most max, in their order, but those in `taken`; both are arrays of n. */
int webhooks_waiting(struct db *d, const char *id, const json_t *held, const json_t *taken,
	size_t max, struct waiting_row *ret, size_t *ret_n, struct err *e);
/* The message and the trace of a row that waits. */
int webhooks_message(
	struct db *d, const struct waiting_row *row, struct delivery *ret, struct err *e);
/* The oldest rows, at most max, that may go out: no earlier one of their run or unit waits, and they are not in `not_these`
 * (an array of n). */
int webhooks_due(struct db *d, const char *id, const json_t *not_these, size_t max,
	struct delivery *ret, size_t *ret_n, struct err *e);

struct delivery_end {
	const char *webhook;
	int64_t n;
	int status;		      /* of the answer, 0: none came */
	const char *code;	      /* why not, of what has no status; NULL */
	const char *message, *answer; /* why not; the start of what came; NULL */
	const char *key;	      /* of provd.yaml that has give_up: "webhooks" */
	bool done, gone;	      /* it has it; it wants nothing any more */
	/* Since the attempt before this one: of this row, and of any of this webhook's. */
	int64_t waited_ms, failing_ms;
	int64_t give_up_ms;
};
/* What came of attempts, in the order in which they ended. A row that nobody takes is dead after give_up, while others got
 * through; a webhook that takes nothing for so long, or is gone, is disabled. A row that does not wait any more
 * stays as it is. */
int webhooks_end(struct db *tx, const struct delivery_end *const *end, size_t n, struct err *e);

/* How much waits for each that is enabled: an upper bound where events were not looked at. */
struct webhook_behind {
	char id[DB_ID_SIZE], url[WEBHOOK_URL_BYTES];
	bool own;		    /* of provd.yaml */
	int64_t waiting, oldest_ms; /* 0: nothing does */
};
int webhooks_behind(
	struct db *d, struct webhook_behind ret[WEBHOOKS_ALL_MAX], size_t *ret_n, struct err *e);
/* Of the events, those from here on are still to be sent; INT64_MAX: none. */
int webhooks_need(struct db *d, int64_t *ret, struct err *e);
/* The same of those who get what is made of the run as well (formats other than event). */
int webhooks_need_runs(struct db *d, int64_t *ret, struct err *e);
/* Rows whose event was removed. */
int webhooks_prune(struct db *tx, struct err *e);
