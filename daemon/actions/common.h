/* SPDX-License-Identifier: Apache-2.0
 *
 * What the families of actions share: the rows of a console's arguments and the console made of
 * them. On the worker's thread, like all actions.
 */
#pragma once

#include "base/regex.h"
#include "base/util.h"
#include "daemon/recipe/action.h"
#include "transports/protocols/console.h"

DEFINE_CLEANUP(struct regex, regex_free)

extern const char *const eol_choices[];

#define ARG_ROW_PORT_OF(kinds, text)                                                              \
	{                                                                                         \
		.name = "port", .type = ARG_PORT, .required = true, .ports = (kinds), .doc = text \
	}
#define ARG_ROW_PORT ARG_ROW_PORT_OF(PORT_KIND_TTY | PORT_KIND_TCP, "role of the link")

#define ARG_ROWS_DIALOGUE                                                                      \
	{.name = "prompt",                                                                     \
		.type = ARG_REGEX,                                                             \
		.doc = "what the console shows when it waits; matched from the start of a "    \
		       "line"},                                                                \
		{.name = "eol",                                                                \
			.type = ARG_CHOICE,                                                    \
			.def = "crlf",                                                         \
			.choices = eol_choices,                                                \
			.doc = "sent after each line"},                                        \
		{.name = "sync",                                                               \
			.type = ARG_BOOL,                                                      \
			.def = "true",                                                         \
			.doc = "first wait for quiet, send an end of line and wait for the "   \
			       "prompt"},                                                      \
		{.name = "echo",                                                               \
			.type = ARG_BOOL,                                                      \
			.def = "false",                                                        \
			.doc = "the unit echoes each command: a line before the echo is not "  \
			       "the reply"},                                                   \
		{.name = "ping",                                                               \
			.type = ARG_STRING,                                                    \
			.doc = "a command with {nonce} in it that the unit answers with what " \
			       "was put there, such as 'echo {nonce}': after an answer that "  \
			       "did not come in time it proves whose turn it is"},             \
		{.name = "prove",                                                              \
			.type = ARG_BOOL,                                                      \
			.def = "false",                                                        \
			.doc = "each answer counts once the unit has answered the ping after " \
			       "it, or shown its prompt after an end of line: an answer that " \
			       "comes twice is never the next question's"},                    \
		{.name = "late",                                                               \
			.type = ARG_DURATION,                                                  \
			.doc = "the unit never answers later than this after a command: then " \
			       "an answer that did not come is lost, not late"},               \
		{.name = "char_delay",                                                         \
			.type = ARG_DURATION,                                                  \
			.doc = "pause between sent bytes, for slow receivers"},                \
	{                                                                                      \
		.name = "timeout", .type = ARG_DURATION, .def = "2s", .doc = "for each reply"  \
	}

#define ARG_ROW_ERROR                                                             \
	{                                                                         \
		.name = "error", .type = ARG_REGEX, .def = CONSOLE_ERROR_DEFAULT, \
		.doc = "a reply that refuses; it wins over every other"           \
	}

/* A dialogue as the arguments above describe it. */
struct dialogue_env {
	struct console *console;
	struct regex *prompt, *error;
	uint64_t timeout_us;
	struct heard *heard; /* what the unit says, where 'file' asks for it; NULL: it does not */
};

/* The row of a file with what the unit said, which dialogue_save() writes. */
#define ARG_ROW_HEARD                                                                       \
	{                                                                                   \
		.name = "file", .type = ARG_OUTPUT,                                         \
		.doc = "the lines that the unit said in this step go there, secrets masked" \
	}

/* Arguments that are good each by itself and not together, and a ping that proves nothing: for a
 * row's check(). */
int dialogue_check(const struct args *a, struct err *e);
/* Opens the role's link and synchronises, unless 'sync' is false. */
int dialogue_open(struct step *s, const struct args *a, struct dialogue_env *ret, struct err *e);
void dialogue_done(struct dialogue_env *d);
/* Saves what was heard where the recipe asks for it, also after an error: r is how the dialogue went, and comes back
 * where it is one. */
int dialogue_save(
	struct dialogue_env *d, struct step *s, const struct args *a, int r, struct err *e);
/* One command with a pattern in text; the budget is `timeout`. */
int dialogue_ask(struct dialogue_env *d, struct step *s, const char *send, const char *expect,
	struct console_reply *ret, struct err *e);

/* The pattern of an argument, or of def where it is absent; NULL for neither. */
int arg_regex(
	const struct args *a, const char *name, const char *def, struct regex **ret, struct err *e);
/* Text that matches itself; owned by the caller. */
char *regex_quote(const char *text);
/* Whether a text of lines holds the answer that x looks for, as on a console: not letters within a
 * word, and the rest of its line does not take it back (base/words.h). m, which may be NULL, is the
 * match that agrees. */
bool text_agrees(const struct regex *x, const char *line, size_t n, struct regex_match *m);
/* reply, match1..match9 as outputs. */
void output_reply(struct step_result *out, const struct console_reply *r);
/* The rows of output_reply(). */
#define OUTPUT_ROWS_REPLY                                                                          \
	{"reply", "the line that the unit answered"}, {"match1", "first group of the pattern"},    \
		{"match2", "second group"}, {"match3", "third group"}, {"match4", "fourth group"}, \
		{"match5", "fifth group"}, {"match6", "sixth group"}, {"match7", "seventh group"}, \
		{"match8", "eighth group"},                                                        \
	{                                                                                          \
		"match9", "ninth group"                                                            \
	}

/* The rows of a measurement's name and limits. */
#define ARG_ROWS_LIMITS                                                            \
	{.name = "name",                                                           \
		.type = ARG_STRING,                                                \
		.doc = "of the measurement; without it: the step's id"},           \
		{.name = "low", .type = ARG_NUMBER, .doc = "lowest good value"},   \
		{.name = "high", .type = ARG_NUMBER, .doc = "highest good value"}, \
	{                                                                          \
		.name = "marginal", .type = ARG_NUMBER,                            \
		.doc = "a good value nearer than this to a limit is marginal"      \
	}
/* Limits between which no value can be good are a mistake of the recipe. */
int measure_limits(const struct args *a, struct err *e);
/* By those rows and 'unit', without a value. */
struct measurement measurement_of(const struct step *s, const struct args *a);

/* The value in `unit` that a reply says: the whole line, or what the pattern picks out (NULL: none).
 * -ERR_NOT_A_NUMBER. */
int reply_value(
	const char *line, const char *pattern, const char *unit, double *ret, struct err *e);
/* The list of numbers that the pattern picks out of a reply, and the unit that comes right after it; the caller's.
 * -ERR_NOT_A_NUMBER where the reply has more of its first or last number, or says that there is no value. */
int reply_list(const char *line, const char *pattern, char **ret, struct err *e);

struct filling {
	const char *name, *text; /* {name}; NULL ends them */
};
/* The template with each {name} as its text, which is not looked at again. Owned by the caller. */
char *fill_in(const char *template, const struct filling *with);

json_t *facts_json(const struct device_facts *f);
/* Bytes of a device into an output, which gets its name when it is whole: a broken read leaves no
 * file that looks whole. */
int save_file(struct step *s, const char *name, const void *bytes, size_t n, struct err *e);
