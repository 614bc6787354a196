/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request may say: the names and values of its query, its body, and the members of that. A
 * filter that is misspelt would show everything, and a field that is not known would be lost in
 * silence: both are refused, with the names that there are.
 */
#pragma once

#include "api/route.h"

int request_check_query(const struct request *rq, const struct route *r, struct err *e);
/* The JSON of the body into c->body; a recipe may come as YAML, which its handler reads itself. */
int request_read_body(struct call *c, const struct route *r, struct err *e);
/* What the path names is what a limited principal may name: -ERR_OUT_OF_SCOPE. Never waits. */
int request_check_scope(
	const struct request *rq, const struct route *r, const json_t *scopes, struct err *e);
/* The same of a job, run or prompt, whose row says where it belongs. One that is not there is the
 * handler's to miss. */
int request_check_row(struct call *c, const struct route *r, struct err *e);
/* Where the route takes no fields: -ERR_UNPROCESSABLE with c->problem_errors for any. */
int request_check_empty(struct call *c, const struct route *r, struct err *e);
