/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to db/: prepared statements, bound parameters, rows into JSON, keyset pages. The SQL of a
 * table family is `static const char[]` next to its reader; values only ever travel as parameters.
 *
 * Parameters are typed by what they are in C (db/bind.h). Column types of row_json: s text, i
 * integer, d real, b boolean, t time as RFC 3339, j JSON text; '-' is left out. A SQL NULL is a
 * JSON null.
 */
#pragma once

#include "base/strbuf.h"
#include "db/bind.h"
#include "db/canonical.h"
#include "db/db.h"

struct engine_stmt;

struct query {
	struct db *db;
	struct engine_stmt *st;
	bool own; /* not from the cache: finalized at the end */
};

/* query_begin(q, d, e, sql, parameters...) */
#define query_begin(q, d, e, sql, ...) query_begin_with(q, d, e, sql, BINDS(__VA_ARGS__))
int query_begin_with(struct query *q, struct db *d, struct err *e, const char *sql,
	const struct bind *parameters);
/* 1 with a row, 0 at the end, or an error. */
int query_next(struct query *q, struct err *e);
/* Takes a query that was zeroed, or ended already. */
void query_done(struct query *q);

/* Runs a statement to its end and gives the number of rows it changed, or an error:
 * db_run(d, e, sql, parameters...) */
#define db_run(d, e, sql, ...) db_run_with(d, e, sql, BINDS(__VA_ARGS__))
int db_run_with(struct db *d, struct err *e, const char *sql, const struct bind *parameters);
/* As db_run, but 0 however many rows changed. */
#define db_do(d, e, sql, ...) db_do_with(d, e, sql, BINDS(__VA_ARGS__))
int db_do_with(struct db *d, struct err *e, const char *sql, const struct bind *parameters);
/* As db_run; -ERR_NOT_FOUND "what" unless exactly one row changed: db_run_one(d, e, what, sql,
 * parameters...) */
#define db_run_one(d, e, what, sql, ...) db_run_one_with(d, e, what, sql, BINDS(__VA_ARGS__))
int db_run_one_with(struct db *d, struct err *e, const char *what, const char *sql,
	const struct bind *parameters);
/* Several statements without parameters or rows. */
int db_script(struct db *d, const char *sql, struct err *e);
bool db_in_transaction(struct db *d);

int64_t col_int(const struct query *q, int i);
double col_real(const struct query *q, int i);
bool col_null(const struct query *q, int i);
/* "" for NULL; valid until the next step. */
const char *col_str(const struct query *q, int i);
/* A copy, NULL for NULL. */
char *col_dup(const struct query *q, int i);
void col_copy(const struct query *q, int i, char *buf, size_t size);
json_t *row_json(const struct query *q, const char *kinds);
/* The single row of a query as JSON, -ERR_NOT_FOUND with `what` if there is none. */
int db_one_json(struct db *d, struct err *e, const char *what, const char *kinds, json_t **ret,
	const char *sql, const char *key);
/* All rows of a query with at most one text parameter (NULL: none). */
int db_all_json(struct db *d, struct err *e, const char *kinds, json_t **ret, const char *sql,
	const char *key);

/* A SELECT put together from constant pieces: only the filters that are set, so that each finds its
 * index. Parameters are positional. */
struct sel {
	struct strbuf sql;
	bool where;
	int n;
	struct bind param[17]; /* with its end */
};

/* `head` is "SELECT ... FROM ...". */
void sel_init(struct sel *s, const char *head);
/* A condition without parameters. */
bool sel_and(struct sel *s, const char *cond);
/* `cond` holds one ?; nothing happens for NULL or "". */
void sel_str(struct sel *s, const char *cond, const char *v);
void sel_int(struct sel *s, const char *cond, int64_t v);

/* Keyset order of a list: by one integer column, or by an integer and a text column. */
struct keyset {
	const char *major; /* integer column */
	const char *minor; /* text column, NULL: the major is unique */
	bool ascending;	   /* else the newest first */
};

/* Runs the selection as one page. The query's columns must begin with major (and minor), which
 * `kinds` may leave out with '-'. Ends the selection. */
int sel_page(struct sel *s, struct db *d, const struct keyset *k, const struct db_page *page,
	const char *kinds, struct db_list *ret, struct err *e);
