/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl apply: a folder, under version control as a rule, is what the line has. The plan is the difference, row by row; it
 * is whole, and every file was checked, before the first row is carried out. A row is one change, so that an apply that
 * broke off goes on where it ended when it is given again.
 *
 *	DIR/artifacts/FILE	an artifact of that name
 *	DIR/recipes/NAME.yaml	a version of a recipe
 *	DIR/provd.yaml, DIR/stations.d/NAME.yaml	the configuration of this machine, with --config alone
 */
#pragma once

#include "cli/provctl.h"

enum apply_verdict {
	APPLY_SAME,
	APPLY_ADD,
	APPLY_CHANGE,
	APPLY_REMOVE,
	APPLY_DRIFT,  /* on the line alone, and left as it is */
	APPLY_REFUSED /* cannot be: nothing is carried out */
};

struct apply_plan;
struct apply_row;
typedef int apply_act_fn(struct apply_plan *p, const struct apply_row *row, struct err *e);

struct apply_row {
	enum apply_verdict verdict;
	char *what;		  /* "recipe bulb@2" */
	char *why;		  /* NULL: nothing to say */
	char *file;		  /* its content from now on; NULL: none */
	char *to;		  /* a path of the API, or of this machine */
	bool host;		  /* to is of this machine */
	char *before;		  /* its text until now, for the diff; NULL: not shown */
	char *after;		  /* with host: its text from now on, as it was checked */
	char sha256[SHA256_HEX];  /* of the content that was checked; "": none */
	apply_act_fn *act;	  /* of APPLY_ADD, _CHANGE and _REMOVE */
	const char *const *roles; /* one of them is needed, NULL at the end; NULL: none */
};

struct apply_plan {
	struct ctl *c;
	const char *dir;
	const char *config; /* NULL: this machine is not looked at */
	bool approve, prune;
	bool dry;
	bool host_changes; /* some row changes the configuration of this machine */
	int etc;	   /* its directory, locked against another apply; -1: not */
	struct apply_row *row;
	size_t rows;
};

/* All texts of the row are taken over. */
void apply_plan_add(struct apply_plan *p, struct apply_row row);
/* The regular files of DIR/NAME that end so ("" all), sorted, as paths; those that begin with a dot are left out, and a
 * folder is refused. Without that directory none. *ret and each path are owned by the caller. */
int apply_files(const struct apply_plan *p, const char *name, const char *const *ends, char ***ret,
	size_t *ret_n, struct err *e);
void apply_files_free(char **files, size_t n);
/* What the daemon has and should have. here: an object, to which each artifact of the folder is added, name -> SHA-256. */
int apply_look_artifacts(struct apply_plan *p, json_t *here, struct err *e);
/* artifacts: as it was filled above. */
int apply_look_recipes(struct apply_plan *p, const json_t *artifacts, struct err *e);
/* The configuration of this machine, checked as it would be by `provd --check`. */
int apply_look_host(struct apply_plan *p, struct err *e);
/* The daemon reads its configuration again. Until that went well the next apply has it to do, also one that changes no file. */
int apply_reload(const struct apply_plan *p, struct err *e);
