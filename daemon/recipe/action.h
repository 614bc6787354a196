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
#include "transports/links/link.h"
#include "transports/links/usb.h"

struct blob;
struct outfile;
struct image;
struct image_opts;

enum action_flags {
	ACTION_IRREVERSIBLE = 1 << 0, /* intent, act, observe, commit; never tried twice blindly */
	ACTION_WRITES_FLASH = 1 << 1,
	ACTION_NEEDS_EVIDENCE = 1 << 2, /* the runner refuses `passed` without evidence */
	ACTION_REENUMERATES = 1 << 3,	/* the device may leave and come back during it */
	ACTION_SAFE_TO_RETRY = 1 << 4,
	ACTION_NEEDS_PERSON = 1 << 5
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
	ARG_OBJECT    /* a nested mapping with its own rows in `fields` */
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
void port_kinds_text(unsigned kinds, char ret[64]);
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
	bool bench;   /* a path of this machine, which a station does not take */
	bool program; /* names a program that has to be installed; of a list the first item does */
};

struct action_output {
	const char *name; /* NULL ends the list; read as ${steps.<id>.<name>} */
	const char *doc;
};

struct step;

/* The typed arguments of one step, substituted and checked. Missing optional arguments without a
 * default are absent: has() is false, the getters give 0 or NULL. Strings live as long as the step.
 */
struct args;
bool args_has(const struct args *a, const char *name);
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
	enum step_verdict verdict; /* with return 0 */
	enum err_code code;	   /* of a FAILED verdict: limit-low, ... */
	char message[320];	   /* of a FAILED verdict, for the operator */
	json_t *evidence;	   /* object: what proves it; owned by the runner after run() */
	json_t *outputs;	   /* object; owned by the runner after run() */
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
};
/* Judges and records it. Outside the limits, or not a number: fills r as FAILED. Returns 0, or the
 * error of the record. */
int step_measure(struct step *s, const struct measurement *m, struct step_result *r, struct err *e);

/* What an action may ask of its surroundings. Implemented by the station's worker, by `provctl
 * exec` and by tests; each call runs on the worker's thread. */
struct device_facts {
	char node[128];	     /* link address or device node, "" if absent */
	char vid[8], pid[8]; /* lower-case hex, "" if not USB */
	char serial[128];
	char path[160]; /* physical port */
	char port[64];	/* the same as sysfs names it, 1-1.4, "" if not USB */
	uint64_t generation;
	uint64_t came_us;     /* when udev had prepared it, monotonic; 0: unknown */
	char enumeration[40]; /* this plugging and no other, also after a restart of provd; ""
				 unknown */
};

/* A device as ${ports.ROLE} tells it to foreign programs: of a serial line the path alone
 * (tty:PATH@BAUD), of a USB device its port, which outlives one enumeration. port may be "". */
void port_for_programs(const char *node, const char *port, char ret[128]);

struct prompt {
	const char *text;
	const char *kind;	    /* "confirm", "choice", "text", "scan" */
	const char *const *choices; /* for choice, NULL-terminated */
	const char *pattern;	    /* for text and scan: what an answer must match, or NULL */
};

/* An answer as it counts: scanners and terminals end it with CR, LF or Tab, which are cut. Another
 * control character is part of no code and no text: -ERR_INVALID names its place. */
int prompt_answer_clean(const char *answer, char ret[256], struct err *e);

/* What an action wants to find again at its next run: a program that is slow to start. */
struct kept {
	const void *kind; /* of which kind: the address of something that only its owner has */
	void (*free)(struct kept *k);
};

#define STEP_NAME_BYTES 512

struct step_env_ops {
	/* The open link of a role; opened on first use, owned by the environment. */
	int (*link)(void *env, const char *role, const struct iotime *it, struct link **ret,
		struct err *e);
	/* The open USB device of a role whose node is `usb:`; opened on first use, owned by the
	 * environment. */
	int (*usb)(void *env, const char *role, const struct iotime *it, struct usb **ret,
		struct err *e);
	/* Closes the link or USB device, so that the next link() or usb() opens again. */
	void (*link_close)(void *env, const char *role);
	/* From now on the device on this role may leave and come back: its absence is no
	 * device-gone. */
	int (*expect_replug)(void *env, const char *role, struct err *e);
	/* After expect_replug: it may come back under another USB serial number (a boot ROM has its
	 * own). Then the action proves the unit by what it says. */
	int (*expect_other_serial)(void *env, const char *role, struct err *e);
	/* Waits until the role's device is present (again, after expect_replug) and proves that it
	 * is the same unit: -ERR_WRONG_DEVICE otherwise. ret may be NULL. */
	int (*wait_device)(void *env, const char *role, const struct iotime *it,
		struct device_facts *ret, struct err *e);
	int (*facts)(void *env, const char *role, struct device_facts *ret, struct err *e);
	/* Remembers the unit's identity on this role (chip id or what a command answered): later
	 * proofs compare. A different value from before gives -ERR_WRONG_DEVICE. */
	int (*identity)(void *env, const char *role, const char *value, struct err *e);
	/* The run's serial number: reserves it on first use. kind is "pool", "job", "scan" or
	 * "device" (value is what the unit already carries, NULL otherwise). */
	int (*serial)(void *env, const char *kind, const char *value, char ret[64], struct err *e);
	/* Asks a person and waits for the answer. */
	int (*ask)(void *env, const struct prompt *p, const struct iotime *it, char ret[256],
		struct err *e);
	/* Path of a readable file for an image argument (an artifact's digest or a path). */
	int (*image)(void *env, const char *ref, char ret[512], struct err *e);
	/* The name that the file had where it came from: what it says has to agree with the content
	 * (images/gate.h). Of an artifact the one that it was uploaded under. */
	int (*name)(void *env, const char *ref, char ret[STEP_NAME_BYTES], struct err *e);
	/* That file, parsed: shared between all stations, by what it holds (images/cache.h). Unref
	 * it. */
	int (*load_image)(void *env, const char *ref, const struct image_opts *o,
		struct image **ret, struct err *e);
	/* The bytes of that file as they are, however large: shared in the same way. Unref it. */
	int (*load_blob)(void *env, const char *ref, struct blob **ret, struct err *e);
	/* A file of that name among those that the run keeps, for the step of that id. NULL as the
	 * op: the name is a path of this machine. */
	int (*output)(
		void *env, const char *step, const char *name, struct outfile *ret, struct err *e);
	/* A file of this installation's own that outlives runs (an ADB key): its path, under a
	 * directory that only provd reads. The directory exists, the file may not. */
	int (*keep)(void *env, const char *name, char ret[512], struct err *e);
	/* A directory for what does not outlive the step: make one of your own in it, and remove
	 * it. */
	int (*scratch)(void *env, char ret[512], struct err *e);
	/* The place for what is kept for a role from run to run; NULL where it is empty. Who fills
	 * it hands it over: it is freed with the station. NULL, also as the op: nothing is kept. */
	struct kept **(*kept)(void *env, const char *role);
	void (*progress)(void *env, const char *phase, uint64_t done, uint64_t total);
	/* A line of the run's log; already masked. dir: '>' sent, '<' received, '#' said by provd.
	 */
	void (*log)(void *env, char dir, const char *text);
};

struct step {
	const char *id;
	const char *action;
	bool teardown; /* it makes the fixture safe */
	struct iotime it;
	const struct secret_set *secrets;
	const struct step_env_ops *ops;
	void *env;
	json_t *saved; /* array of {name, bytes, sha256}: made by step_file_commit() */
	int (*measured)(
		void *data, const struct measurement *m, const char *verdict, struct err *e);
	void *measured_data;
};

/* An ARG_OUTPUT, to be written with outfile_add() and ended with outfile_end(). */
int step_file(struct step *s, const char *name, struct outfile *ret, struct err *e);
/* Gives it its name. The runner puts what was saved into the step's evidence ("saved"). */
int step_file_commit(struct step *s, struct outfile *f, struct err *e);
/* Whether a station can keep a file of that name: one name without a folder, letters of a file
 * system that everyone reads, no dot first. -ERR_INVALID. */
int output_name_check(const char *name, struct err *e);
#define OUTPUT_NAME_MAX 128

/* ops->identity and ops->serial for what a unit or a person said: records keep both as they are, so
 * that a value with a secret in it is refused. */
int step_identity(struct step *s, const char *role, const char *value, struct err *e);
int step_serial(struct step *s, const char *kind, const char *value, char ret[64], struct err *e);

static inline int step_link(struct step *s, const char *role, struct link **ret, struct err *e)
{
	return s->ops->link(s->env, role, &s->it, ret, e);
}

/* At most some 10 calls a second reach anyone; call it as often as is natural. */
void step_progress(struct step *s, const char *phase, uint64_t done, uint64_t total);
void step_log(struct step *s, char dir, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

struct action {
	const char *name; /* "serialboot.flash" */
	const char *doc;  /* one line */
	unsigned flags;
	const struct action_arg *args;
	const struct action_output *outputs; /* NULL: none */
	const char *program; /* that it always needs; NULL: none, or one of its arguments */
	uint64_t default_timeout_us;
	/* Arguments that are good each by itself and not together: -ERR_RECIPE_INVALID. Called by
	 * the recipe check where all of them are literals, and by run(); NULL: none. */
	int (*check)(const struct args *a, struct err *e);
	/* 0 with *out filled (verdict PASSED by default), or an error. */
	int (*run)(struct step *s, const struct args *a, struct step_result *out, struct err *e);
};

/* All actions, sorted by name, NULL-terminated: daemon/actions/action_table.c. */
extern const struct action *const action_table[];
const struct action *action_find(const char *name);
