/* SPDX-License-Identifier: Apache-2.0
 *
 * A recipe: versioned, immutable, shared between all stations by reference count. It is made from
 * JSON (read from YAML or from the database) by recipe_check(), which finds every mistake at once;
 * only a recipe without mistakes exists.
 */
#pragma once

#include "base/digest.h"
#include "daemon/recipe/action.h"
#include "daemon/recipe/frame.h"
#include "base/mistake.h"

/* Names in a recipe, each with its end: recipe_check() lets 64 characters through. */
#define RECIPE_NAME_BYTES 65
#define STEP_ID_BYTES	  65
#define ACTION_NAME_BYTES 40
/* The last step of a teardown, where the recipe says `power_after`. */
#define POWER_AFTER_STEP "power-after"

enum step_phase { PHASE_SETUP, PHASE_STEPS, PHASE_TEARDOWN };

enum serial_source { SERIAL_NONE, SERIAL_POOL, SERIAL_JOB, SERIAL_SCAN };

struct recipe_step {
	char *id;
	const struct action *action;
	/* What the run replaces the references of: borrowed from the recipe's JSON, or `own`; may be NULL. */
	const json_t *with;
	/* The same with all that is known before the run: what a check or a report looks at. */
	const json_t *known;
	const struct frame *frame; /* NULL: of the recipe itself */
	/* The part whose teardown it is of: neither its condition nor those further out are asked. NULL: all are. */
	const struct frame *unasked;
	json_t *own, *own_known;
	uint64_t timeout_us;
	unsigned attempts; /* 1: no retry */
	uint64_t retry_delay_us;
	bool retry_on[ERR_CODE_COUNT]; /* all false with attempts > 1: any cause but person and
					  wrong unit */
	bool continue_on_fail;
	bool attach; /* what it saves is attached to the run */
	bool later;  /* where its service is away: by the outbox, when the run is over */
	char *when;  /* condition or NULL */
	char **slot; /* of the ledger's values that it refers to; "" is the serial number */
	size_t slots;
};

struct recipe_port {
	char *role;
	char *kind; /* tty, tcp, usb, probe, any */
	uint32_t baud;
	enum link_parity parity;
	bool rtscts;
	bool optional;
	int dtr, rts; /* -1: as the driver does */
};

/* `power_after`: how a teardown leaves the power of the unit, whatever happened. */
enum power_after { POWER_AFTER_NOTHING, POWER_AFTER_ON, POWER_AFTER_OFF, POWER_AFTER_AS_FOUND };

struct recipe {
	int refs; /* atomic */
	json_t *json;
	char sha256[SHA256_HEX]; /* of the canonical JSON */
	char *name;
	unsigned version;
	char *title;
	char *model;
	enum serial_source serial_source;
	char *serial_pool;
	char *serial_pattern; /* scan, job: what a value must match; may be NULL */
	/* The step and its output by which the unit says its firmware's version; NULL: none does.
	 */
	char *firmware_step, *firmware_output;
	uint64_t timeout_us; /* of the whole run without teardown; NO_DEADLINE: none */
	struct recipe_port *port;
	size_t ports;
	char **secret; /* the names that its steps refer to, each once */
	size_t secrets;
	enum power_after power_after; /* its teardown ends with a step of its own then */
	json_t *leave;		      /* the arguments of that step; owned, NULL without it */
	struct recipe_step *step[3];  /* by phase */
	size_t steps[3];
	struct frame *frames; /* of its steps; owned */
	/* It has a loop over a list that an order gives: recipe_bind() makes its steps. */
	bool open;
	bool bench; /* it was checked for one */
};

/* Looks at everything; adds to m what is wrong. 0 and *ret only without any mistake, else
 * -ERR_RECIPE_INVALID. root is not changed; the recipe keeps a reference. */
int recipe_check(json_t *root, struct mistakes *m, struct recipe **ret, struct err *e);
/* The same for a bench, where a person may name any path of the machine. */
int recipe_check_bench(json_t *root, struct mistakes *m, struct recipe **ret, struct err *e);
/* From YAML text; mistakes are printed into `report` as file:line:column lines (may be NULL). */
int recipe_load(const char *name, const char *text, size_t len, struct strbuf *report,
	struct recipe **ret, struct err *e);
struct recipe *recipe_ref(struct recipe *r);
struct recipe *recipe_unref(struct recipe *r);

/* Sorted keys, no insignificant space, UTF-8: what the digest is taken of. Owned by the caller. */
char *recipe_canonical(const json_t *root);

/* The declared artifact of that name: what the recipe says of it (a file name, a sha256), or NULL.
 */
const char *recipe_artifact(const struct recipe *r, const char *name);
/* NULL if there is none of that role. */
const struct recipe_port *recipe_port(const struct recipe *r, const char *role);
/* The recipe with the steps that these parameters (complete, from recipe_params()) make of its loops. A new reference to r
 * itself where no loop depends on them. -ERR_INVALID: the list makes no good steps. Any thread. */
int recipe_bind(const struct recipe *r, const json_t *params, struct recipe **ret, struct err *e);
/* Steps of all phases. */
size_t recipe_step_count(const struct recipe *r);
/* The parameters given over the declared defaults, typed and checked; a new reference. given may be
 * NULL. -ERR_INVALID for a parameter that is not declared, of the wrong type, or missing. */
int recipe_params(const struct recipe *r, const json_t *given, json_t **ret, struct err *e);

/* One parameter by what is declared of it, typed, into `out`. */
int recipe_param(
	const char *name, const json_t *decl, const json_t *given, json_t *out, struct err *e);
/* The same, with every mistake at its pointer below `pointer`. partial: what is missing is not one, and stays out. */
int recipe_params_read(const struct recipe *r, const json_t *given, bool partial,
	const char *pointer, struct mistakes *m, json_t **ret);

const char *step_phase_str(enum step_phase p);
