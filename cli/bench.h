/* SPDX-License-Identifier: Apache-2.0
 *
 * A recipe or a single action on a bench: no daemon, no records, one unit, this terminal.
 */
#pragma once

#include "cli/provctl.h"
#include "daemon/recipe/parts.h"
#include "daemon/recipe/recipe.h"

/* The recipe of a file, NULL with its mistakes printed. */
struct recipe *recipe_of_file(const struct ctl *c, const char *file);
/* The same by the rules of a line: artifacts are names, never paths. Its parts are from there. */
struct recipe *recipe_of_line(
	const struct ctl *c, const char *file, const struct part_source *parts);

struct bench {
	const struct ctl *ctl;
	json_t *ports;	     /* role -> address */
	json_t *params;	     /* complete; may be NULL */
	json_t *artifacts;   /* name -> path; may be NULL */
	const char *serial;  /* the unit's serial number, NULL: none */
	json_t **ret_result; /* what --json prints, a new reference; NULL: not wanted */
};

/* Carries it out with a progress bar on a terminal, or one JSON object at the end. SIGINT aborts:
 * the teardown still runs. Returns the exit status. */
int bench_run(const struct bench *b, const struct recipe *r);

/* --- recipes made of the command line --- */

/* A recipe without ports and steps; a new reference. */
json_t *bench_empty_recipe(void);
/* Nothing of argv is a template: a literal stays one. Owned by the caller. */
char *bench_literal(const char *s);
/* 0, or EXIT_USAGE and printed: a word that is not UTF-8 has no place in a recipe, and its step would be left out. */
int bench_check_words(int argc, char **argv);
/* Checks the recipe and runs it; its mistakes are printed. The exit status. */
int bench_run_json(const struct bench *b, json_t *root);
/* sim:NAME becomes the link of that virtual board ($PROVSIM_CONTROL names its simulator's socket);
 * others stay. Owned by the caller. */
int bench_address(const char *text, char **ret, struct err *e);
