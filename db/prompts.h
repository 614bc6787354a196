/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions of a run to the people at its station, and their answers.
 */
#pragma once

#include "db/db.h"

struct prompt_new {
	const char *id;
	const char *run;
	const char *station;
	const char *kind; /* confirm choice text scan */
	const char *text;
	const json_t *choices; /* NULL: none */
	const char *pattern;   /* NULL: any */
};

int prompts_ask(struct db *tx, const struct prompt_new *p, struct err *e);
/* -ERR_CONFLICT if it is no longer open. */
int prompts_answer(
	struct db *tx, const char *id, const char *answer, const char *by, struct err *e);
/* -ERR_NOT_FOUND if it is not open. */
int prompts_cancel(struct db *tx, const char *id, struct err *e);
/* All open ones of a run, as its end does. */
int prompts_cancel_run(struct db *tx, const char *run, struct err *e);
int prompts_get(struct db *d, const char *id, json_t **ret, struct err *e);
/* Newest first; filters may be NULL. */
int prompts_list(struct db *d, const char *station, const char *state, const struct db_page *page,
	struct db_list *ret, struct err *e);
