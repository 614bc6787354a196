/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl: what its commands share. One verb, one function, one row of a table.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/strbuf.h"

/* Exit statuses, as in the manual. */
enum { EXIT_PASSED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_ERROR = 3, EXIT_ABORTED = 4 };

struct http;

/* The daemon, and who asks it; NULL: by the environment, or not at all. */
struct ctl_daemon {
	const char *url; /* unix:/PATH is a socket of this machine */
	const char *token_file;
	const char *cacert;	/* who signs its certificate, in the place of the system's */
	const char *cert, *key; /* the client's own */
};

struct ctl {
	bool json;  /* programs read the output */
	bool color; /* the output is a terminal that shows colours */
	struct ctl_daemon daemon;
	bool anonymous;	   /* without a token it asks as nobody */
	struct http *http; /* opened on first use */
};

struct command {
	const char *name; /* "job submit" */
	const char *args; /* "RECIPE --quantity N ..." */
	const char *doc;
	int (*run)(struct ctl *c, int argc, char **argv); /* argv[0]: the name */
};

/* A table ends with a row without a name. */
extern const struct command commands_line[], commands_records[], commands_run_log[],
	commands_run_files[], commands_run_report[], commands_recipe[], commands_recipe_new[],
	commands_pools[], commands_stores[], commands_bench[], commands_fixtures[],
	commands_image[], commands_meta[], commands_recovery[], commands_keys[], commands_recall[],
	commands_record[], commands_rehearse[], commands_backup[], commands_reports[],
	commands_export[], commands_webhooks[], commands_job_units[], commands_support[],
	commands_guide[], commands_scan[], commands_apply[], commands_adopt[];
/* All of them, in the order of the help; NULL-terminated. */
extern const struct command *const command_tables[];

/* Prints "provctl: ..." and returns EXIT_USAGE or EXIT_ERROR by the code. */
int ctl_fail(const struct err *e);
int ctl_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Options of a command: --name VALUE or --name; what is left are words. Unknown options end it. */
struct option_row {
	const char *name;   /* without the dashes */
	const char **value; /* takes a value */
	bool *flag;	    /* or is a flag */
};
/* Number of words, put into words[]; -1 after a message. rows NULL: none. */
int ctl_options(int argc, char **argv, const struct option_row *rows, char **words, int max);

/* The options that have a value as "&name=value...", "" without any; but for those that `except` names
 * (NULL-terminated). --job is job_id there. Owned by the caller. */
char *ctl_query(const struct option_row *rows, const char *const *except);

/* The units of an order out of a file of CSV: the columns serial and chip_id, and parameters of the recipe. A new reference. */
int job_units_file(const char *path, json_t **ret, struct err *e);

/* DIR/provision_SERIAL_TIME.json, of a report's "serial_number" and "timestamp" (RFC 3339), as the guide names it; more is put
 * after the time, "" nothing. Owned by the caller. */
char *report_path(const char *dir, const json_t *report, const char *more);

/* The API. Answers are JSON; an error of the API becomes the err, with its detail and list of
 * errors printed. */
int api_get(struct ctl *c, const char *path, json_t **ret, struct err *e);
int api_post(struct ctl *c, const char *path, const json_t *body, json_t **ret, struct err *e);
/* With If-Match: an ETag in its quotes, or *. */
int api_post_match(struct ctl *c, const char *path, const json_t *body, const char *match,
	json_t **ret, struct err *e);
/* Without an Idempotency-Key: for what answers with a secret, which is not kept. */
int api_post_once(struct ctl *c, const char *path, const json_t *body, json_t **ret, struct err *e);
/* A whole command: posts a body, whose reference it takes, and prints what came of it, or `done`. */
int api_say(struct ctl *c, const char *path, json_t *body, const char *done);
int api_delete(struct ctl *c, const char *path, json_t **ret, struct err *e);
/* The bytes of the answer into a file, which is there only when it is whole and
 * has that digest ("": any). */
int api_download(
	struct ctl *c, const char *path, const char *file, const char *sha256, struct err *e);
/* The bytes of the answer to `to`, as they come. */
int api_stream(struct ctl *c, const char *path, FILE *to, struct err *e);
/* The same, also of an answer that is a refusal: /readyz says in it why. */
int api_stream_any(struct ctl *c, const char *path, FILE *to, struct err *e);
/* A file as the body. */
int api_send_file(struct ctl *c, const char *method, const char *path, const char *content_type,
	const char *file, json_t **ret, struct err *e);
/* A file as the body of a PUT that goes on where it was cut (docs/integrator.md), a few times by itself. */
int api_send_in_pieces(
	struct ctl *c, const char *path, const char *file, json_t **ret, struct err *e);
/* All pages of a list, one by one; query: "" or "&name=value...". An exit status. */
int ctl_each_page(struct ctl *c, const char *path, const char *query,
	void (*fn)(void *data, const json_t *items), void *data);
/* Server-sent events until fn() returns non-zero, which is returned. */
int api_follow(struct ctl *c, const char *path,
	int (*fn)(void *data, const char *event, const json_t *data_json), void *data,
	struct err *e);
void api_close(struct ctl *c);
/* Percent-encodes one segment; owned by the caller. */
char *url_segment(const char *s);

/* The state directory that the configuration names, as provd finds it; owned by the caller, NULL with an err. */
char *config_state_dir(const char *config, struct err *e);
/* Another program of the house: next to provctl, in an installation or in that folder of a build tree, else its name alone,
 * for PATH. Owned by the caller. */
char *ctl_program(const char *name, const char *folder);
/* A file becomes an artifact of that name. sha256: that the file has to have, else -ERR_VERIFY_MISMATCH; NULL: any. A new
 * reference to what the daemon says of it. */
int artifact_send(struct ctl *c, const char *file, const char *name, const char *sha256,
	json_t **ret, struct err *e);
/* Into a file, which is there only when it is whole; NULL: to the output. */
int ctl_write_text(const char *path, const char *text, struct err *e);
/* Rows of text in columns as wide as they need; the first is the head. cells are copied. */
struct table {
	size_t columns;
	size_t rows;
	char **cell;
};
void table_init(struct table *t, size_t columns);
/* The same, with the words of its first line. */
void table_begin(struct table *t, const char *const *heads, size_t columns);
void table_add(struct table *t, const char *cell); /* NULL: "-" */
void table_print(const struct table *t, bool color);
void table_done(struct table *t);
/* The list's items as a table of the named members ("recipe", "run.step.id"), heads in capitals:
 * of the last name, or of what is before a colon ("unit:run.serial"). */
void print_items(struct ctl *c, const json_t *answer, const char *const *members);
void print_json(const json_t *o);
void print_json_line(const json_t *o); /* on one line */
/* A member by a dotted path as one line of text that is harmless (cli/printable.h); "" if absent.
 * Owned by the caller. */
char *json_text(const json_t *o, const char *path);
/* A whole decimal number, the whole text of it, that an integer of JSON holds. */
bool whole_number(const char *s, json_int_t *ret);
/* The last word of a command's name. */
const char *verb_of(const char *name);
