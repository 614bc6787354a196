/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists as lines, CSV or NDJSON: a page is read when the one before has gone out, so that an export of any
 * length takes the memory of one page.
 */
#include "api/route.h"
#include "base/csv.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/util.h"

#define PAGE	   200
#define COLUMNS_OF 40

const char *const query_formats[] = {"json", "csv", "ndjson", NULL};

struct export
{
	struct principal who;
	struct call call; /* what read() looks at */
	read_page_fn *read;
	const char *const *members;
	bool csv;
	char after[sizeof((struct db_list *)NULL)->next]; /* "" from the beginning */
	bool over;					  /* there is nothing after it */
	struct strbuf out;
	size_t sent; /* of out */
};

static void add_lines(struct strbuf *out, bool csv, const char *const *members, const json_t *items)
{
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)items, i, row) {
		char *text;

		if (csv) {
			csv_write_row(out, row, members);
			continue;
		}
		text = json_dumps(row, JSON_COMPACT);
		sb_addf(out, "%s\n", text);
		free(text);
	}
}

/* The columns, and the place of each line. */
static const char **with_cursor(const char *const *members)
{
	const char **all = xcalloc(COLUMNS_OF, sizeof *all);
	size_t n = 0;

	for (; members[n] && n < COLUMNS_OF - 2; n++)
		all[n] = members[n];
	all[n] = "cursor";
	return all;
}

static int read_lines(struct export *x, unsigned limit, struct db_list *ret, struct err *e)
{
	const struct db_page page = {.limit = limit, .after = x->after, .cursors = true};
	struct db *d = readers_take(x->call.api->readers, e);
	int r = d ? x->read(d, &x->call, &page, ret, e) : -(int)e->code;

	readers_give(x->call.api->readers, d);
	if (r < 0)
		return r;
	api_narrow(&x->call, ret->items);
	add_lines(&x->out, x->csv, x->members, ret->items);
	json_decref(ret->items);
	snprintf(x->after, sizeof x->after, "%s", ret->next);
	x->over = !ret->next[0];
	return 0;
}

static void free_export(void *data)
{
	struct export *x = data;

	free((void *)(uintptr_t)x->members);
	sb_done(&x->out);
	free(x);
}

static long read_export(void *data, char *buf, size_t size)
{
	struct export *x = data;
	struct db_list list;
	struct err e;
	size_t n;

	if (!auth_still(x->call.api->auth, &x->who))
		return -2;
	if (x->sent == x->out.len) {
		sb_clear(&x->out);
		x->sent = 0;
		if (!x->over && read_lines(x, PAGE, &list, &e) < 0) {
			log_warning("an export breaks off: %s", e.msg);
			return -2;
		}
	}
	n = MIN(size, x->out.len - x->sent);
	if (n == 0)
		return -1;
	memcpy(buf, x->out.s + x->sent, n);
	x->sent += n;
	return (long)n;
}

static const struct stream_ops export_ops = {read_export, free_export};

static struct export *new_export(
	struct call *c, read_page_fn *read, const char *const *members, const char *after)
{
	struct export *x = xcalloc(1, sizeof *x);

	x->who = *c->who;
	x->call = (struct call){.api = c->api, .rq = c->rq, .who = &x->who};
	x->read = read;
	x->members = with_cursor(members);
	x->csv = !strcmp(request_query(c->rq, "format"), "csv");
	snprintf(x->after, sizeof x->after, "%s", after ? after : "");
	/* What goes on has had its names. */
	if (x->csv && !request_query(c->rq, "cursor"))
		csv_write_names(&x->out, x->members);
	return x;
}

static void name_content(struct call *c, bool csv)
{
	const char *slash = strrchr(c->rq->path, '/');

	snprintf(c->rs->content_type, sizeof c->rs->content_type, "%s",
		csv ? "text/csv; charset=utf-8" : "application/x-ndjson");
	response_header(c->rs, "Content-Disposition", "attachment; filename=\"%.40s.%s\"",
		slash ? slash + 1 : "list", csv ? "csv" : "ndjson");
}

/* One page, as it is asked for. */
static int answer_lines(struct call *c, struct export *x, unsigned limit, struct err *e)
{
	struct db_list list;
	int r = read_lines(x, limit, &list, e);
	size_t n = x->out.len;

	if (r == 0) {
		api_link_next(c, &list);
		response_text(c->rs, 200, "", sb_take(&x->out), n);
		name_content(c, x->csv);
	}
	free_export(x);
	return r;
}

int api_export(struct call *c, read_page_fn *read, const char *const *members, const char *after,
	struct err *e)
{
	struct export *x = new_export(c, read, members, after);
	struct db_page page = {0};
	struct db_list list;
	int r = api_page(c, &page, e);

	if (r == 0 && request_query(c->rq, "limit"))
		return answer_lines(c, x, page.limit, e);
	/* What is wrong with the query is found while there is no answer yet. */
	if (r == 0)
		r = read_lines(x, PAGE, &list, e);
	if (r == 0) {
		c->rs->stream =
			stream_new(c->api->httpd, STREAM_EXPORT, &export_ops, x, c->who->id);
		if (!c->rs->stream)
			r = err_set(e, ERR_OVERLOADED,
				"as many exports run as this principal, or all together, may have: wait for one of them");
	}
	if (r < 0) {
		free_export(x);
		return r;
	}
	c->rs->status = 200;
	name_content(c, x->csv);
	return 0;
}

int api_answer_list(struct call *c, read_page_fn *read, const char *const *members, struct err *e)
{
	const char *format = request_query(c->rq, "format");

	if (!format || !strcmp(format, "json"))
		return api_answer_page(c, read, e);
	return api_export(c, read, members, request_query(c->rq, "cursor"), e);
}
