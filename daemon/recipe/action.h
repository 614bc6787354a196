/* SPDX-License-Identifier: Apache-2.0
 *
 * An action is a verb that a recipe may use. One const row describes it completely: the recipe
 * check, `provctl actions`, /api/v1/actions, the reference manual and the runner are all made from
 * the row.
 *
 * An action is thin: typed arguments in, transport calls, a result out. It runs on the worker's
 * thread, waits only within step->it, and never knows what calls it: a station, `provctl exec` or a
 * test.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/secret.h"
#include "base/teller.h"
#include "daemon/recipe/env.h"

enum action_flags {
	ACTION_IRREVERSIBLE = 1 << 0, /* observe, intent, act, commit: step_intend() */
	ACTION_WRITES_FLASH = 1 << 1,
	ACTION_NEEDS_EVIDENCE = 1 << 2, /* the runner refuses `passed` without evidence */
	ACTION_REENUMERATES = 1 << 3,	/* the device may leave and come back during it */
	ACTION_SAFE_TO_RETRY = 1 << 4,
	ACTION_NEEDS_PERSON = 1 << 5,
	/* Its outputs are values of the ledger, by their slots ("serial": the serial number): the
	 * first step that refers to one exposes it. */
	ACTION_GIVES_VALUES = 1 << 6,
	/* It tells a service what the unit itself does not need: with `offline: later` it may be carried
	 * out when its run is over, by step_env_ops.service alone (daemon/recipe/later.h). */
	ACTION_MAY_WAIT = 1 << 7
};

enum arg_type {
	ARG_STRING,
	ARG_REGEX, /* Perl-compatible regular expression (base/regex.h) */
	ARG_BOOL,
	ARG_INT,      /* decimal or 0x..., with low and high */
	ARG_NUMBER,   /* double */
	ARG_SIZE,     /* "64K", 0x1000, 4096: uint64 */
	ARG_DURATION, /* "500ms": microseconds */
	ARG_PORT,     /* the name of a role in the recipe's `ports` */
	ARG_IMAGE,    /* a firmware file: '${artifacts.NAME}' or, on a bench, a path */
	ARG_OUTPUT,   /* where bytes go: a file of the run's own; on a bench, a path */
	ARG_CHOICE,   /* one of `choices` */
	ARG_LIST,     /* list of strings */
	ARG_MAP,      /* string -> string, number or bool */
	ARG_OBJECT,   /* a nested mapping with its own rows in `fields` */
	ARG_OBJECTS   /* a mapping of names to such mappings; args_json() has it */
};

/* What a port of a station, or an address of a bench, may be: the kinds of `ports` in a recipe. */
enum port_kinds {
	PORT_KIND_TTY = 1 << 0,
	PORT_KIND_TCP = 1 << 1,
	PORT_KIND_UDP = 1 << 2,
	PORT_KIND_USB = 1 << 3,
	PORT_KIND_PROBE = 1 << 4,
	PORT_KIND_ANY =
		PORT_KIND_TTY | PORT_KIND_TCP | PORT_KIND_UDP | PORT_KIND_USB | PORT_KIND_PROBE
};

/* The kind by its name ("any" is all of them), 0 where there is none. */
unsigned port_kind(const char *name);
/* "usb, tcp or udp". */
#define PORT_KINDS_BYTES 64
void port_kinds_text(unsigned kinds, char ret[PORT_KINDS_BYTES]);
/* The names, NULL-terminated, "any" last. */
extern const char *const port_kind_names[];

struct action_arg {
	const char *name; /* NULL ends the list */
	enum arg_type type;
	bool required;
	const char *def;  /* default as text, as it would be written in YAML; NULL: none */
	const char *unit; /* for the reference: "bytes", "degC", NULL */
	const char *doc;  /* one line */
	const char *const *choices;	 /* ARG_CHOICE, NULL-terminated */
	double low, high;		 /* ARG_INT, ARG_NUMBER where high > low */
	const struct action_arg *fields; /* ARG_OBJECT */
	unsigned ports;			 /* ARG_PORT: enum port_kinds that it takes */
	/* It goes to the unit or to a program's environment, and to nothing that others see: it may
	 * hold a secret. Every other argument is refused where it holds one, by the check and by
	 * the runner. */
	bool secret;
	/* ARG_STRING that holds digits: a number is refused, for YAML reads 0x10 as 16 and 010 as 10. */
	bool quoted;
	bool keeps; /* ARG_LIST: names of files that the step saves, as ARG_OUTPUT is one */
	bool bench; /* a station does not take it: a path of this machine, or to go without proof */
	bool program; /* names a program that has to be installed; of a list the first item does */
	bool service; /* names a service of provd.yaml: it has to be there before the first step */
	bool printer; /* the same of a printer */
	bool instrument; /* the same of an instrument */
	bool label; /* a label template: it is read, with the names in `values`, before the first step */
};

struct action_output {
	const char *name; /* NULL ends the list; read as ${steps.<id>.<name>} */
	const char *doc;
	/* It is a secret of the run from then on: masked in all that leaves, and taken by arguments
	 * that may hold one, and by no other. A text of 4 characters or more. */
	bool secret;
};

struct step;

/* The typed arguments of one step, substituted and checked. Missing optional arguments without a
 * default are absent: has() is false, the getters give 0 or NULL. Strings live as long as the step.
 */
struct args;
bool args_has(const struct args *a, const char *name);
/* As args_has(), and in a check() before the run also of what a reference will give. */
bool args_given(const struct args *a, const char *name);
const char *args_str(const struct args *a, const char *name);
bool args_bool(const struct args *a, const char *name);
int64_t args_int(const struct args *a, const char *name);
double args_number(const struct args *a, const char *name);
uint64_t args_size(const struct args *a, const char *name);
uint64_t args_duration_us(const struct args *a, const char *name);
const json_t *args_json(const struct args *a, const char *name); /* list, map */
const struct args *args_object(const struct args *a, const char *name);

enum step_verdict { STEP_PASSED, STEP_FAILED, STEP_SKIPPED };

struct step_result {
	enum step_verdict verdict;    /* with return 0 */
	enum err_code code;	      /* of a FAILED verdict: limit-low, ... */
	char message[ERR_TEXT_BYTES]; /* of a FAILED verdict, for the operator */
	json_t *evidence;	      /* object: what proves it; owned by the runner after run() */
	json_t *outputs;	      /* object; owned by the runner after run() */
	bool once; /* what it did may have happened: `retry` of the recipe does not count */
};

/* Sets one member of the evidence or outputs, creating the object. value's reference is taken. */
void result_evidence(struct step_result *r, const char *key, json_t *value);
void result_output(struct step_result *r, const char *key, json_t *value);
/* A failed verdict with its sentence; returns 0 so that an action can `return result_fail(...)`. */
int result_fail(struct step_result *r, enum err_code c, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct measurement {
	const char *name;
	bool is_number; /* else text alone */
	double value;
	const char *text; /* what the device said, may be NULL */
	const char *why;  /* why that is not a number: a sentence, NULL or "" for none */
	const char *unit;
	bool has_low, has_high;
	double low, high; /* inclusive */
	double marginal;  /* within this of a limit: marginal; 0: never */
	const json_t
		*detail; /* of more than one number, or of none (db/sql/0026_details.sql); NULL */
};
/* Judges and records it. Outside the limits, or not a number: fills r as FAILED. Returns 0, or the
 * error of the record. */
int step_measure(struct step *s, const struct measurement *m, struct step_result *r, struct err *e);
/* Records what the action has judged itself: "pass", "fail" or "marginal". */
int step_record(struct step *s, const struct measurement *m, const char *verdict, struct err *e);

struct action;

/* What a service said last. */
struct service_said {
	long status;		 /* HTTP, 0: no answer */
	uint64_t retry_after_us; /* how long it asks to be left alone, 0: it does not say */
};

struct step {
	const char *id;
	const struct action *action;
	bool teardown; /* it makes the fixture safe */
	struct iotime it;
	struct secret_set *secrets; /* of the run; step_secret() adds to it */
	const struct step_env_ops *ops;
	void *env;
	struct teller tell; /* called by step_progress() and step_log(), which masks secrets */
	json_t *saved;	    /* array of {name, bytes, sha256}: made by step_file_commit() */
	bool attach;	    /* the recipe wants them attached to the run: step_attach() */
	bool intended;	    /* step_intend() let it act */
	struct service_said said;
	/* Of a step that is carried out later: by this key the service knows a repetition (NULL of any
	 * other step), and whether an earlier attempt may have had its effect. */
	const char *key;
	bool again;
	void *prepared; /* what prepare() made for run(), freed by the runner; NULL: nothing */
	void (*prepared_free)(void *prepared);
	int (*measured)(
		void *data, const struct measurement *m, const char *verdict, struct err *e);
	void *measured_data;
};

/* An ARG_OUTPUT, to be written with outfile_add() and ended with outfile_end(). */
int step_file(struct step *s, const char *name, struct outfile *ret, struct err *e);
/* Gives it its name. The runner puts what was saved into the step's evidence ("saved"). */
int step_file_commit(struct step *s, struct outfile *f, struct err *e);
/* The runner's: all that the step saved is attached to the run, where its recipe says so (`attach: true`), also by a step that did not
 * pass; each file's "attached" in `saved` says whether it is. passed: nothing else is wrong, so that a file that
 * cannot be attached, and none at all (-ERR_NO_EVIDENCE), is the step's error. */
int step_attach(struct step *s, bool passed, struct err *e);
/* Whether a station can keep a file of that name: one name without a folder, letters of a file
 * system that everyone reads, no dot first. -ERR_INVALID. */
int output_name_check(const char *name, struct err *e);
#define OUTPUT_NAME_MAX 128

/* ops->identity and ops->serial for what a unit or a person said: records keep both as they are, so
 * that a value with a secret in it is refused. */
int step_identity(struct step *s, const char *role, const char *value, struct err *e);
/* ops->unwatched and ops->said. */
bool step_unwatched(struct step *s, const char *role);
int step_said(
	struct step *s, const char *role, const char *protocol, const char *who, struct err *e);
int step_serial(struct step *s, const char *kind, const char *value, char ret[UNIT_SERIAL_BYTES],
	struct err *e);
/* ops->values, for a serial number that somebody scanned (NULL: none). */
int step_values(
	struct step *s, const char *serial, const json_t *wanted, json_t **ret, struct err *e);

/* From now on nobody sees it: a value that the step learned, before it goes anywhere. */
int step_secret(struct step *s, const char *value, struct err *e);
/* ops->service; its token is a secret of the run then. End it with http_service_done(). */
int step_service(struct step *s, const char *name, struct http_service *ret, struct err *e);
/* ops->printer. */
int step_printer(struct step *s, const char *name, struct printer *ret, struct err *e);
/* ops->instrument. */
int step_instrument(struct step *s, const char *name, struct instrument *ret, struct err *e);
/* ops->power. */
int step_power(struct step *s, struct power_way *ret, struct err *e);

static inline int step_link(struct step *s, const char *role, struct link **ret, struct err *e)
{
	return s->ops->link(s->env, role, &s->it, ret, e);
}

/* At most some 10 calls a second reach anyone; call it as often as is natural. */
void step_progress(struct step *s, const char *phase, uint64_t done, uint64_t total);
void step_log(struct step *s, char dir, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Both as a teller, for a protocol or a program. Lives as long as the step. */
struct teller step_teller(struct step *s);

/* Before the first byte that cannot be undone, at most once in a step. Asks the action's observe(),
 * and the journal of earlier runs (ops->intend):
 *
 *	done         *ret_done is true: do not act, the step has passed
 *	blank        act; an earlier intent is void
 *	half         do not act: the error of the observation; an earlier intent is suspect
 *	cannot tell  act, but not where an earlier intent of this unit is open: -ERR_UNIT_SUSPECT;
 *		     one that is for good and on record as done is done
 *	closed       the same, and do not act: the error of the observation
 *
 * Where i->approval asks for a second person, that person is asked where the device does not show that it is
 * done, and the device is looked at again after the answer. The name is evidence ("approved_by"). A bench has
 * nobody: -ERR_UNSUPPORTED.
 *
 * What was decided of an earlier intent goes into the evidence ("earlier_intent"). When the step has
 * passed the runner commits the intent; where it has not, it stays open, and the next run on the
 * unit looks at it. session is what observe() gets. */
int step_intend(struct step *s, const struct args *a, const struct intent *i, void *session,
	bool *ret_done, struct step_result *out, struct err *e);

struct action {
	const char *name; /* "serialboot.flash" */
	const char *doc;  /* one line */
	unsigned flags;
	const struct action_arg *args;
	const struct action_output *outputs; /* NULL: none */
	const char *names; /* its argument (a mapping) whose keys are outputs as well; NULL: none */
	const char *program; /* that it always needs; NULL: none, or one of its arguments */
	uint64_t default_timeout_us;
	/* Arguments that are good each by itself and not together: -ERR_RECIPE_INVALID. Called by
	 * the recipe check with what is written as a literal alone (args_literal(): no default is filled in, so that
	 * args_has() comes before args_str()), and by run(); NULL: none. */
	int (*check)(const struct args *a, struct err *e);
	/* OPTIONAL, of ACTION_MAY_WAIT: whether it may with these arguments as they are written (NULL:
	 * none). -ERR_INVALID with the sentence. */
	int (*may_wait)(const json_t *with, struct err *e);
	/* Before the first step of a run, for each of its steps whose condition is not known to be
	 * false: what is wrong with the arguments that are known by then (those with a reference to
	 * a step or the serial number are absent), without a look at the unit. It opens no port, and
	 * s has no log. NULL: nothing. */
	int (*preflight)(struct step *s, const struct args *a, struct err *e);
	/* Looks, with all arguments substituted, for what run() would refuse, before the values that
	 * they hold are exposed: none of them leaves. May keep what it made in s->prepared, for
	 * run(), which is not called where it fails. NULL: there is nothing to see by then. */
	int (*prepare)(struct step *s, const struct args *a, struct err *e);
	/* 0 with *out filled (verdict PASSED by default), or an error. */
	int (*run)(struct step *s, const struct args *a, struct step_result *out, struct err *e);
	/* REQUIRED of ACTION_IRREVERSIBLE, else NULL. Looks, over what run() has opened, whether what
	 * run() is about to do has happened already. Changes nothing. BLANK is said only of a device
	 * that shows nothing of it, or where what is there may be completed. */
	int (*observe)(struct step *s, const struct args *a, void *session, struct observation *ret,
		struct err *e);
};

/* All actions, sorted by name, NULL-terminated: made at build from the rows in daemon/actions. */
extern const struct action *const action_table[];
const struct action *action_find(const char *name);
