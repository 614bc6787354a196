/* SPDX-License-Identifier: Apache-2.0
 *
 * A foreign program as a witness: run under supervision (base/proc.h) in a directory of its own,
 * and judged by what it says. Its exit status alone proves nothing: J-Link Commander ends with 0
 * whatever happened, STM32_Programmer_CLI says "verified" after an error. It has passed when
 *
 *	the exit status is the wanted one, AND every success marker came as often as it has to,
 *	AND no line matched a failure rule, AND nothing of its output was left unread
 *
 * Lines: CR and LF both end one, colours, cursor movements (ECMA-48) and what a backspace takes
 * back are taken out before any pattern sees it, blank lines are dropped; what is kept or passed on
 * has control bytes and invalid UTF-8 escaped and secrets masked. On the worker's thread; all state
 * is in the objects.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/proc.h"
#include "base/secret.h"
#include "base/teller.h"
#include "base/util.h"

#define TOOL_MARKERS_MAX 64
#define TOOL_RULES_MAX	 64
#define TOOL_OUTPUT_MAX	 (8ull * 1024 * 1024) /* per stream; no programmer says so much */
#define TOOL_MAY	 UINT_MAX	      /* of a marker: it may come, and is counted */

/* --- the directory that it works in --- */

struct tool_dir {
	char path[FILE_PATH_BYTES]; /* "": none */
};

/* Made with mkdtemp(3) under parent, 0700. Its name holds [A-Za-z0-9-] alone, so that it is safe in
 * the scripts of programs as far as parent is. */
int tool_dir_new(const char *parent, struct tool_dir *ret, struct err *e);
/* Removes it with all that is in it; takes a zeroed one. */
void tool_dir_done(struct tool_dir *d);
/* A new file in it; name holds no '/'. ret_path: its whole path, may be NULL. */
int tool_dir_write(const struct tool_dir *d, const char *name, const void *bytes, size_t n,
	char ret_path[600], struct err *e);
/* A copy of a file; ret_sha256 is of what was copied, may be NULL. */
int tool_dir_copy(const struct tool_dir *d, const char *name, const char *file,
	char ret_sha256[SHA256_HEX], const struct iotime *it, struct err *e);

/* --- what is run, and what its lines mean --- */

/* Which code a cause has, in every table:
 *
 *	no probe                              port-unbound
 *	another probe or chip than was named  wrong-device
 *	several probes, none named            recipe-invalid
 *	no rights to open it; held by another access-denied; busy
 *	no power, no target, no halt          timeout
 *	locked, protected, write or erase fails   device-refused
 *	outside of the flash                  image-range
 *	verify                                verify-mismatch
 *	the file cannot be read               image-invalid
 *
 * Most specific first: of several that match lines of one run, the earliest row is the cause. */
struct tool_rule {
	const char *pattern; /* NULL ends the table */
	enum err_code code;
	const char *sentence; /* what is the matter and what to do: "no J-Link answers (is it
				 plugged?)"; NULL: the line itself is said */
};

struct tool_marker {
	const char *pattern; /* NULL ends the table */
	unsigned count;	     /* as often at least; 0: once; TOOL_MAY: never needed */
};

/* A line that begins a phase of the work. */
struct tool_phase {
	const char *pattern; /* NULL ends the table */
	const char *phase;
};

struct tool_outcome;

struct tool_spec {
	const char *name;	 /* for people: "J-Link Commander"; NULL: argv[0] */
	const char *const *argv; /* NULL-terminated; never a shell */
	const char *const *env;	 /* NAME=VALUE added to PATH, LANG=C.UTF-8, LC_ALL=C.UTF-8,
				    HOME and TMPDIR; may be NULL */
	const char *dir;	 /* a tool_dir's path: HOME, TMPDIR and where it runs */
	const char *cwd;	 /* NULL: dir */
	bool terminal;		 /* as proc_opts.terminal */
	const struct tool_marker *success;
	/* The patterns of success are a person's: one that matches a part of a line does not count
	 * where the rest says NOT, FAILED or the like (base/words.h). */
	bool partial;
	const struct tool_rule *rules;	 /* may be NULL */
	const struct tool_phase *phases; /* may be NULL */
	int exit_status;		 /* of success */
	/* Group 1 is a percentage, or groups 1 and 2 are done and total. Such lines are not
	 * logged. May be NULL. */
	const char *progress;
	const char *progress_phase; /* NULL: "work" */
	const char *evidence;	    /* a line that has to come; its first group is kept; NULL */
	const char *version;	    /* group 1 of a line that may come: its version; NULL */
	uint64_t output_max_bytes;  /* per stream; 0: TOOL_OUTPUT_MAX */
	uint64_t kill_grace_us;	    /* 0: 2 s */
	const struct secret_set *secrets; /* masked in all that leaves; may be NULL */
	/* Of the lines that match, the last one is the error where it ended badly and no rule knew
	 * why; NULL: its last line is. */
	const char *complaint;
	/* '<': said by it, '#': about it. A flood is cut: the first lines as they come, the last
	 * ones at the end, and how many lie between. */
	struct teller tell;
	/* Each line of a success marker, as it is kept, and what was seen up to it; may be NULL. */
	void (*marked)(void *owner, size_t marker, const char *line, const struct tool_outcome *o);
	void *owner;
};

struct tool_outcome {
	struct proc_result proc;
	uint64_t elapsed_us;
	uint64_t lines;			/* not blank */
	char *program;			/* the file that was run */
	char *version;			/* NULL: not said */
	char *value;			/* of `evidence` */
	char *marker[TOOL_MARKERS_MAX]; /* of each success marker the first line; NULL: none came */
	unsigned count[TOOL_MARKERS_MAX];
	uint64_t sum[TOOL_MARKERS_MAX]; /* of the whole numbers that its first group matched */
	const struct tool_rule *rule;	/* the cause, NULL: no failure line came */
	char *rule_line;		/* that line */
	char *complaint;		/* the last one */
	char *last;			/* the last line */
	bool cut;			/* it said more than was looked at */
};

/* 0 where it has passed. Else the code of the rule; -ERR_TOOL_MISSING; -ERR_TIMEOUT (also where it
 * hung after no failure line) or the cancel's reason; -ERR_NO_EVIDENCE for a good status without
 * its markers; -ERR_TOOL_FAILED for every other end. *ret is always filled as far as it came:
 * tool_outcome_done(). */
int tool_run(const struct tool_spec *spec, struct tool_outcome *ret, const struct iotime *it,
	struct err *e);
void tool_outcome_done(struct tool_outcome *o);

/* The first group of the first line of `argv` that matches, "" where none does. Its status does not
 * matter. -ERR_TOOL_MISSING where it cannot be started. Within 10 s. */
int tool_version(const char *const *argv, const char *pattern, char ret[64],
	const struct iotime *it, struct err *e);

/* --- a program that lives on (a server): a watch for each command --- */

struct tool_watch;

/* Compiles the patterns of spec, which it refers to until it is freed: -ERR_INVALID, naming the
 * pattern. */
int tool_watch_new(const struct tool_spec *spec, struct tool_watch **ret, struct err *e);
struct tool_watch *tool_watch_free(struct tool_watch *w); /* takes NULL, returns NULL */
/* As proc_opts.line, with the watch as data; and as proc_opts.slow. */
void tool_watch_line(void *watch, enum proc_stream stream, const char *bytes, size_t n);
void tool_watch_slow(void *watch, uint64_t elapsed_us, uint64_t budget_us);
/* What was seen up to now; owned by the watch. */
const struct tool_outcome *tool_watch_seen(const struct tool_watch *w);
/* The same for good: the caller's, for tool_outcome_done(). */
struct tool_outcome tool_watch_take(struct tool_watch *w);
/* The verdict, as tool_run() gives it, on a command that itself ended with `ran` (its sentence in
 * e): the cause that was said, else `ran`, else what is missing. The lines of the log that were
 * held back go out. */
int tool_watch_judge(struct tool_watch *w, int ran, struct err *e);
/* PATH, LANG, HOME and so on as tool_run() gives them, with spec->env: NULL-terminated; free each
 * and the list with tool_env_free(). */
char **tool_env_new(const struct tool_spec *spec);
void tool_env_free(char **env);

/* --- words of typed arguments that go into scripts --- */

/* [A-Za-z0-9._-]+, at most 64: serial numbers, device names. -ERR_INVALID naming `what`. */
int tool_check_word(const char *what, const char *word, struct err *e);
/* [A-Za-z0-9._/-]+ , no "..": paths in the scripts of programs with a syntax of their own. */
int tool_check_path(const char *what, const char *path, struct err *e);
