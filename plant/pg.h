/* SPDX-License-Identifier: Apache-2.0
 *
 * The only door to libpq: one connection to PostgreSQL, always in pipeline mode (libpq, 34.5), so that statements that
 * do not need each other's answer cost one round trip.
 *
 *	pg_begin ─> pg_run(statements) ─> pg_run(...) ─> pg_commit     one transaction
 *	pg_run(statements)                                             a transaction of their own
 *
 * Each statement is one, with parameters as text: nothing is ever put into SQL. One thread at a time. Everything waits
 * within a `struct iotime`; a connection whose wait was cut off is broken, and is only freed.
 *
 * Codes: -ERR_SERVICE_DOWN where the database is away, is starting or stopping, or takes no writes (SQLSTATE classes
 * 08 and 57P, 25006): nothing is known of a commit that was under way, the same again is right; -ERR_BUSY where others
 * were first (40001, 40P01, 55P03): the transaction again; -ERR_DISK_FULL (53100, 53200 of shared memory is not);
 * -ERR_CONFLICT of a constraint (class 23); -ERR_DATABASE for all else, with PostgreSQL's text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"

#define PG_PARAMETERS 16

struct pg;
struct pg_rows; /* what one statement gave */

struct pg_query {
	const char *sql;
	int n;
	const char *arg[PG_PARAMETERS]; /* NULL is a SQL NULL */
};
/* PG(sql, texts...): a statement with its parameters, which live until it has run. */
#define PG(text, ...)                                                                          \
	((struct pg_query){.sql = (text),                                                      \
		.n = sizeof((const char *[]){NULL, ##__VA_ARGS__}) / sizeof(const char *) - 1, \
		.arg = {__VA_ARGS__}})
/* A number as such a text, within the block. */
struct pg_number {
	char s[24];
};
const char *pg_number_text(struct pg_number *room, int64_t v);
#define PG_INT(v) pg_number_text(&(struct pg_number){{0}}, (v))

/* dsn: as libpq has it (34.1.1); a password is never in a message. The session is made durable (synchronous_commit on,
 * where the server has less), and no statement of it waits longer than a request. -ERR_INVALID for a dsn that cannot
 * be read, -ERR_UNSUPPORTED for a server that is too old or has fsync off. */
int pg_open(const char *dsn, const struct iotime *it, struct pg **ret, struct err *e);
struct pg *pg_free(struct pg *p); /* takes NULL, returns NULL */
/* Idle, with no transaction, and nothing that failed of its connection. */
bool pg_sound(const struct pg *p);

/* BEGIN goes with the next pg_run(). */
void pg_begin(struct pg *p);
int pg_commit(struct pg *p, const struct iotime *it, struct err *e);
/* Gives up what was begun; a connection that cannot is broken. */
void pg_rollback(struct pg *p, const struct iotime *it);

/* Runs n statements in one round trip. 0 with the rows of the last one (ret may be NULL); else the error of the first
 * that failed, and none after it ran. */
int pg_run(struct pg *p, const struct pg_query *q, size_t n, struct pg_rows **ret,
	const struct iotime *it, struct err *e);
/* COPY ... FROM STDIN of rows in its text format (plant/copy.h). Within pg_begin(), after a pg_run() of it; two round trips. */
int pg_copy(struct pg *p, const char *sql, const char *rows, size_t bytes, const struct iotime *it,
	struct err *e);
/* One statement, whose text may hold several, without parameters: a migration. Within pg_begin(). */
int pg_script(struct pg *p, const char *sql, const struct iotime *it, struct err *e);

int pg_count(const struct pg_rows *r);
/* How many rows the statement changed. */
int64_t pg_changed(const struct pg_rows *r);
const char *pg_text(const struct pg_rows *r, int row, int column); /* NULL for NULL */
int64_t pg_int(const struct pg_rows *r, int row, int column);	   /* 0 for NULL */
bool pg_true(const struct pg_rows *r, int row, int column);
struct pg_rows *pg_rows_free(struct pg_rows *r); /* takes NULL, returns NULL */

/* What an SQLSTATE is to us. */
enum err_code pg_code(const char *sqlstate);
