/* SPDX-License-Identifier: Apache-2.0
 *
 * A new order: what its body may hold, what it must satisfy, and how it comes on record. Any thread.
 */
#pragma once

#include <jansson.h>

#include "base/form.h"
#include "base/mistake.h"
#include "daemon/line/orders.h"

#define ORDER_EXPIRED "'expires' is over already: give a time that is to come"

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
/* What an order's number stands for: the digest of the whole request, whatever the order of its members. */
void job_order_digest(const json_t *body, char ret[SHA256_HEX]);
/* The order with that number: 1 with it in *ret where the same request made it, -ERR_CONFLICT where another did, 0 there is
 * none. */
int job_order_find(
	struct db *d, const char *number, const char *content_sha256, json_t **ret, struct err *e);
/* The trace that its request belongs to; copied. */
void job_order_trace(struct job_order *o, const struct trace_context *t);
/* The order as JSON, a new reference, once it is on record. */
int job_order_read(struct db *d, const struct job_order *o, json_t **ret, struct err *e);
/* In the writer's transaction. 1: its number was here before with the same content, and *ret is that order as JSON, a new
 * reference. Serials that are not free
 * go to *ret_offending (an array of {value, reason}) with -ERR_CONFLICT. */
int job_order_apply(
	struct db *tx, struct job_order *o, json_t **ret, json_t **ret_offending, struct err *e);
/* Borrowed, as the next one. */
const char *job_order_id(const struct job_order *o);
const struct recipe *job_order_recipe(const struct job_order *o);
struct job_order *job_order_free(struct job_order *o);
