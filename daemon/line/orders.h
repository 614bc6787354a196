/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders, seen from the line: what a new one must satisfy, and which recipe a station gets with its
 * next run. The queue itself is the database's (db/jobs.h): a claim is part of the transaction that
 * opens the run. Any thread.
 */
#pragma once

#include <jansson.h>

#include "base/form.h"
#include "base/timefmt.h"
#include "daemon/line/config.h"
#include "base/mistake.h"
#include "daemon/recipe/recipe.h"
#include "db/jobs.h"

struct db;
struct orders;

/* What a run needs to know of its job; owned by its holder. */
struct job_claim {
	char job_id[UUID_SIZE];
	bool golden;	       /* of golden units: it counts nowhere */
	struct recipe *recipe; /* NULL: no claim */
	json_t *params;
	char external_ref[JOB_REF_SIZE];
};
void job_claim_done(struct job_claim *c);

/* Recipes that were parsed once, by digest. */
struct orders *orders_new(void);
struct orders *orders_free(struct orders *orders);

/* In the writer's transaction: the next job for the station, with its recipe; only_golden: of those for
 * golden units alone. -ERR_NOT_FOUND if
 * there is none, -ERR_PORT_UNBOUND if the station cannot run it. */
int orders_take(struct orders *orders, struct db *tx, const struct station_config *station,
	bool only_golden, struct job_claim *ret, struct err *e);
/* A stored version, parsed; version 0: the newest approved. *ret_state (may be NULL): draft,
 * approved, retired. */
int orders_recipe(struct orders *orders, struct db *d, const char *name, int64_t version,
	struct recipe **ret, char ret_state[16], struct err *e);
/* Whether the station has every port of the recipe: 0, or -ERR_PORT_UNBOUND with the port. */
int station_fits(const struct station_config *s, const struct recipe *r, struct err *e);

#define ORDER_QUANTITY_MAX 1000000
#define ORDER_PRIORITY_MIN (-1000)
#define ORDER_PRIORITY_MAX 1000

/* POST /jobs: what its body may hold (base/form.h). */
extern const struct form_row order_rows[];
/* body: an object. Every mistake goes to m (then -ERR_INVALID). */
struct job_order;
struct trace_context;
int job_order_new(struct orders *orders, struct db *reader, const struct config *config,
	const json_t *body, const char *by, struct mistakes *m, struct job_order **ret,
	struct err *e);
/* The trace that its request belongs to; copied. */
void job_order_trace(struct job_order *o, const struct trace_context *t);
/* In the writer's transaction; *ret: the job as JSON, a new reference. Serials that are not free
 * go to *ret_offending (an array of {value, reason}) with -ERR_CONFLICT. */
int job_order_apply(
	struct db *tx, struct job_order *o, json_t **ret, json_t **ret_offending, struct err *e);
/* Borrowed. */
const struct recipe *job_order_recipe(const struct job_order *o);
struct job_order *job_order_free(struct job_order *o);
