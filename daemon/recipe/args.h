/* SPDX-License-Identifier: Apache-2.0
 *
 * From the `with` mapping of a step to the typed arguments of an action: by the action's rows.
 */
#pragma once

#include "daemon/recipe/action.h"
#include "daemon/recipe/expr.h"
#include "base/mistake.h"

/* Substitutes and converts. -ERR_INVALID names the argument, also of one that would hold a secret
 * of the scope without being marked for it; `with` may be NULL. */
int args_new(const struct action_arg *rows, const json_t *with, const struct scope *scope,
	struct args **ret, struct err *e);
/* As args_new(), and what has no value yet (-ERR_NOT_FOUND of the scope), or no default, is absent. */
int args_known(const struct action_arg *rows, const json_t *with, const struct scope *scope,
	struct args **ret, struct err *e);
/* What of `with` is literal and good by itself; the rest is absent, and only args_given() knows of it. */
struct args *args_literal(const struct action_arg *rows, const json_t *with);
/* Overwrites every text of a value that nobody else refers to. NULL is fine. */
void json_wipe(json_t *j);
struct args *args_free(struct args *a);

/* The check of `with` against the rows, without values: unknown and missing names, literals of the
 * wrong type or out of range, malformed patterns. References are handed to ref() with their row. */
void args_check(const struct action_arg *rows, const json_t *with, const char *pointer,
	struct mistakes *m,
	void (*ref)(
		void *data, const char *pointer, const char *text, const struct action_arg *row),
	void *data);

const char *arg_type_str(enum arg_type t);
