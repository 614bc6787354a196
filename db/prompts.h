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
	bool approval;	       /* a second person's: of kind confirm */
	/* The digest of an artifact that is shown with it, and what is read in its place; NULL: none. */
	const char *picture, *picture_text;
};

int prompts_ask(struct db *tx, const struct prompt_new *p, struct err *e);
struct prompt_answer {
	const char *id, *answer;
	const char *by;	 /* the name of who answers */
	bool supervises; /* whose role may approve */
};

/* -ERR_CONFLICT if it is no longer open. The rule of two persons is here: yes to an approval is said by one who
 * supervises, and who neither made the order of the run nor wrote or approved its recipe or a part of that, else
 * -ERR_FORBIDDEN. No is said by anybody. */
int prompts_answer(struct db *tx, const struct prompt_answer *a, struct err *e);
/* -ERR_NOT_FOUND if it is not open. */
int prompts_cancel(struct db *tx, const char *id, struct err *e);
/* All open ones of a run, as its end does. */
int prompts_cancel_run(struct db *tx, const char *run, struct err *e);
int prompts_get(struct db *d, const char *id, json_t **ret, struct err *e);
/* Newest first; filters may be NULL. */
int prompts_list(struct db *d, const char *station, const char *state, const struct db_page *page,
	struct db_list *ret, struct err *e);
