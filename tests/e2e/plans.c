/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into provd by test_plans.py: of each statement that it prepares, the tables that its program (EXPLAIN) walks from one end,
 * or along a whole index, go to the file $PROVD_PLANS, as "TABLE \x1f SQL \x1e".
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CURSORS_MAX 256

typedef int prepare_fn(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);

static prepare_fn *real(void)
{
	static prepare_fn *f;

	if (!f)
		*(void **)&f = dlsym(RTLD_NEXT, "sqlite3_prepare_v3");
	return f;
}

static void note(const char *line, const char *sql)
{
	int fd = open(getenv("PROVD_PLANS"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	char *text = sqlite3_mprintf("%s\x1f%s\x1e", line, sql);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort(); /* a test that sees nothing would pass */
	close(fd);
	sqlite3_free(text);
}

/* What is known of the cursors of one program. */
struct cursors {
	int root[CURSORS_MAX]; /* the page where its table or index begins; 0: it is on neither */
	bool from_end[CURSORS_MAX], goes_on[CURSORS_MAX];
};

static bool is(const char *opcode, const char *a, const char *b)
{
	return !strcmp(opcode, a) || !strcmp(opcode, b);
}

static void take_row(struct cursors *c, const char *opcode, int p1, int p2, int p3)
{
	if (p1 < 0 || p1 >= CURSORS_MAX)
		return;
	if (!strcmp(opcode, "OpenRead") && p3 == 0)
		c->root[p1] = p2;
	else if (is(opcode, "OpenEphemeral", "OpenAutoindex"))
		c->root[p1] = 0;
	else if (is(opcode, "Rewind", "Last"))
		c->from_end[p1] = true;
	else if (is(opcode, "Next", "Prev"))
		c->goes_on[p1] = true;
}

static void note_table(sqlite3 *d, int root, const char *sql)
{
	sqlite3_stmt *s = NULL;

	if (real()(d, "SELECT tbl_name FROM sqlite_schema WHERE rootpage = ?", -1, 0, &s, NULL) !=
		SQLITE_OK)
		return;
	sqlite3_bind_int(s, 1, root);
	if (sqlite3_step(s) == SQLITE_ROW)
		note((const char *)sqlite3_column_text(s, 0), sql);
	sqlite3_finalize(s);
}

/* min() and max() of an index walk from its end as well, one row far: the plan calls that a search. */
static bool scans(sqlite3 *d, const char *sql)
{
	char *text = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
	sqlite3_stmt *s = NULL;
	bool found = false;

	if (real()(d, text, -1, 0, &s, NULL) == SQLITE_OK)
		while (s && sqlite3_step(s) == SQLITE_ROW)
			found |= !strncmp((const char *)sqlite3_column_text(s, 3), "SCAN ", 5);
	sqlite3_finalize(s);
	sqlite3_free(text);
	return found;
}

static void explain(sqlite3 *d, const char *sql)
{
	char *text = sqlite3_mprintf("EXPLAIN %s", sql);
	struct cursors c = {0};
	sqlite3_stmt *s = NULL;

	if (real()(d, text, -1, 0, &s, NULL) == SQLITE_OK)
		while (s && sqlite3_step(s) == SQLITE_ROW)
			take_row(&c, (const char *)sqlite3_column_text(s, 1),
				sqlite3_column_int(s, 2), sqlite3_column_int(s, 3),
				sqlite3_column_int(s, 4));
	sqlite3_finalize(s);
	sqlite3_free(text);
	for (int i = 0; i < CURSORS_MAX; i++)
		if (c.root[i] && c.from_end[i] && c.goes_on[i])
			note_table(d, c.root[i], sql);
}

int sqlite3_prepare_v3(
	sqlite3 *d, const char *sql, int n, unsigned flags, sqlite3_stmt **ret, const char **rest)
{
	int r = real()(d, sql, n, flags, ret, rest);

	if (r == SQLITE_OK && getenv("PROVD_PLANS") && scans(d, sql))
		explain(d, sql);
	return r;
}
