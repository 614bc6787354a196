/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to db/: prepared statements, bound parameters, rows into JSON, keyset pages. The SQL of a
 * table family is `static const char[]` next to its reader; values only ever travel as parameters.
 *
 * Parameters are typed by what they are in C (db/bind.h), rows are read by the names of their columns
 * (db/rows.h).
 */
#pragma once

#include "base/strbuf.h"
#include "db/bind.h"
#include "db/canonical.h"
#include "db/db.h"
#include "db/rows.h"

struct engine_stmt;

struct query {
	struct db *db;
	struct engine_stmt *st;
	bool own; /* not from the cache: finalized at the end */
	const struct column *columns;
	uint8_t place[COLUMNS_MAX]; /* of each of the columns in the row */
};

/* select_begin(q, d, e, select, parameters...) */
#define select_begin(q, d, e, s, ...) select_begin_with(q, d, e, s, BINDS(__VA_ARGS__))
int select_begin_with(struct query *q, struct db *d, struct err *e, const struct select *s,
	const struct bind *parameters);
/* 1 with a row, which is read into `to` (NULL: not at all), 0 at the end, or an error. */
int select_next(struct query *q, void *to, struct err *e);
/* The first row alone: 1 with it, 0 without one, or an error. Nothing of it is borrowed:
 * select_one(d, e, select, to, parameters...) */
#define select_one(d, e, s, to, ...) select_one_with(d, e, s, to, BINDS(__VA_ARGS__))
int select_one_with(struct db *d, struct err *e, const struct select *s, void *to,
	const struct bind *parameters);
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

/* The only column of the first row: 1 with it, 0 without a row, or an error. NULL is 0 or "".
 * db_int(d, e, ret, sql, parameters...), db_text(d, e, buf, size, sql, parameters...) */
#define db_int(d, e, ret, sql, ...) db_int_with(d, e, ret, sql, BINDS(__VA_ARGS__))
int db_int_with(
	struct db *d, struct err *e, int64_t *ret, const char *sql, const struct bind *parameters);
#define db_text(d, e, buf, size, sql, ...) db_text_with(d, e, buf, size, sql, BINDS(__VA_ARGS__))
int db_text_with(struct db *d, struct err *e, char *buf, size_t size, const char *sql,
	const struct bind *parameters);
/* 1 where it has a row, 0, or an error: db_has(d, e, sql, parameters...) */
#define db_has(d, e, sql, ...) db_has_with(d, e, sql, BINDS(__VA_ARGS__))
int db_has_with(struct db *d, struct err *e, const char *sql, const struct bind *parameters);

/* The row as an object of its columns; a new reference. */
json_t *row_json(const struct query *q);
/* The single row of a query as JSON, -ERR_NOT_FOUND with `what` if there is none. */
int db_one_json(struct db *d, struct err *e, const char *what, const struct select *s, json_t **ret,
	const char *key);
/* All rows of a query: db_all_json(d, e, select, ret, parameters...) */
#define db_all_json(d, e, s, ret, ...) db_all_json_with(d, e, s, ret, BINDS(__VA_ARGS__))
int db_all_json_with(struct db *d, struct err *e, const struct select *s, json_t **ret,
	const struct bind *parameters);

/* A SELECT put together from constant pieces: only the filters that are set, so that each finds its
 * index. Parameters are positional.
 *
 *	sel_init ─> sel_found, of which the first is found by its index ─> sel_looked ─> sel_page
 *
 * What is not found by that index is looked at row by row. A page then looks at SEL_ROWS rows and ends there: it may have fewer items
 * than its limit, or none, and a next one. So no list holds up others, however large it is.
 */
#define SEL_ROWS 4000

struct sel {
	struct strbuf sql;
	const struct column *columns;
	bool where;
	int n;
	struct bind param[20]; /* with its end */
	size_t head;	       /* bytes of the SELECT ... FROM */
	bool found;	       /* there is a condition that an index finds */
	bool looked;	       /* there are others */
	size_t found_end;      /* bytes before those, and parameters */
	int found_n;
};

/* Its text is "SELECT ... FROM ...". */
void sel_init(struct sel *s, const struct select *head);
/* A condition without parameters. */
bool sel_and(struct sel *s, const char *cond);
/* `cond` holds one ?; nothing happens for NULL or "". */
void sel_str(struct sel *s, const char *cond, const char *v);
void sel_int(struct sel *s, const char *cond, int64_t v);

/* As sel_str(), with an index for it; the order of the calls is that of how few rows they find. */
void sel_found(struct sel *s, const char *cond, const char *v);
/* Without an index. */
void sel_looked(struct sel *s, const char *cond, const char *v);
void sel_looked_int(struct sel *s, const char *cond, int64_t v);
/* What comes from here on is looked at: for conditions of another kind. */
void sel_look(struct sel *s);

/* Keyset order of a list: by one integer column, or by an integer and a text column. */
struct keyset {
	const char *major; /* integer column, which the query has as well */
	const char *minor; /* text column, the same; NULL: the major is unique */
	bool ascending;	   /* else the newest first */
	/* Of a list with conditions that are looked at: the table whose row number the major is, as the query names it. */
	const char *table;
	int rows; /* instead of SEL_ROWS, where each costs more; 0 */
};

/* Runs the selection as one page of objects. Ends the selection. */
int sel_page(struct sel *s, struct db *d, const struct keyset *k, const struct db_page *page,
	struct db_list *ret, struct err *e);
