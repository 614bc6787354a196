/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders, seen from the line: which recipe a station gets with its next run, and what may be changed of one that is open (a
 * new one: job_order.h). The queue itself is the database's (db/jobs.h): a claim is part of the transaction that
 * opens the run. Any thread.
 */
#pragma once

#include <jansson.h>

#include "base/iotime.h"
#include "base/mistake.h"
#include "base/timefmt.h"
#include "daemon/line/config.h"
#include "daemon/recipe/recipe.h"
#include "db/jobs.h"

struct db;
struct orders;
struct writer;

enum route_verdict { ROUTE_ALLOW, ROUTE_HOLD, ROUTE_REJECT };
extern const char *const route_verdicts[]; /* their words, NULL at the end */
const char *route_verdict_str(enum route_verdict v);
/* -1 for another word. */
int route_verdict_from(const char *s);

/* Who is asked before a unit begins (daemon/line/route_check.h). */
struct route_policy {
	char service[CONFIG_ID_MAX + 1]; /* of provd.yaml; "": nobody */
	enum route_verdict on_no_answer;
	uint64_t timeout_us;
};
#define ROUTE_TIMEOUT_MAX_US (30 * US_PER_S)

/* What a run needs to know of its job; owned by its holder. */
struct job_claim {
	char job_id[UUID_SIZE];
	bool golden;	       /* of golden units: it counts nowhere */
	struct recipe *recipe; /* NULL: no claim */
	json_t *params;	       /* with those of the unit, once it has its row of the order's list */
	char external_ref[JOB_REF_SIZE];
	char number[JOB_REF_SIZE];
	struct route_policy route;
	bool listed;			/* the order has a list of units */
	char serial[LEDGER_VALUE_SIZE]; /* of the unit's row; "" none (yet) */
};
void job_claim_done(struct job_claim *c);
/* The unit has this row: its serial number, and its parameters over those of the order. */
void job_claim_row(struct job_claim *c, const struct job_row *row);

/* Recipes that were parsed once, by digest. */
struct orders *orders_new(void);
struct orders *orders_free(struct orders *orders);

/* Every second, main: ends the orders whose time is over. Only by a clock that can be believed. The writer's thread must
 * have ended before the orders are freed. */
void orders_tick(struct orders *orders, struct writer *writer);
/* After an order came, or another time was given to one. */
void orders_times_changed(struct orders *orders);

/* In the writer's transaction: the next job for the station, with its recipe; only_golden: of those for
 * golden units alone; marks: what the unit says of itself (struct job_taker). -ERR_NOT_FOUND if
 * there is none, -ERR_PORT_UNBOUND if the station cannot run it. */
int orders_take(struct orders *orders, struct db *tx, const struct station_config *station,
	bool only_golden, const json_t *marks, struct job_claim *ret, struct err *e);
/* A stored version, parsed; version 0: the newest approved. *ret_state (may be NULL): draft,
 * approved, retired. */
int orders_recipe(struct orders *orders, struct db *d, const char *name, int64_t version,
	struct recipe **ret, char ret_state[16], struct err *e);
/* A change of an order that is open; NULL: it stays. */
struct order_patch {
	const json_t *stations; /* array of ids; empty: any */
	const json_t *requires; /* array of capabilities */
	const json_t *params;	/* object, RFC 7396: null takes what the recipe has by default */
};
/* Judges it as a new order is: whether the stations are there and have what the order needs then, and what its parameters may be.
 * job: as jobs_get() gives it. Mistakes go to m, each at its pointer. *ret_params: all of them, where some were given; owned
 * by the caller. */
int orders_check_patch(struct orders *orders, struct db *d, const struct config *config,
	const json_t *job, const struct order_patch *p, struct mistakes *m, json_t **ret_params,
	struct err *e);
