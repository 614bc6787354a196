/* SPDX-License-Identifier: Apache-2.0
 *
 * /runs/{id}/attachments: files that a run keeps for good. The bytes of one are compared with their digest before the
 * first of them is sent.
 */
#include <ctype.h>

#include "api/route.h"
#include "base/media.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "db/attachments.h"

static int read_list(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	int r = api_check_run(d, c, e);

	return r < 0 ? r : attachments_of_run(d, request_param(c->rq, "id"), ret, e);
}

static int get_list(struct call *c, struct err *e)
{
	return api_answer_all(c, read_list, e);
}

/* Of the newest step that has one of that name, or of step n of the run. */
static int read_one(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *n = request_query(c->rq, "n");
	unsigned long long step = 0;
	int r = api_check_run(d, c, e);

	if (r == 0 && n && (!parse_size(n, &step) || step < 1 || step > UINT32_MAX))
		r = err_set(e, ERR_INVALID, "'n' is '%.20s': the number of a step expected", n);
	return r < 0 ? r
		     : attachments_get(d, request_param(c->rq, "id"), (int64_t)step,
			       request_param(c->rq, "name"), ret, e);
}

static void add_safe(struct strbuf *b, const char *name, bool percent)
{
	for (const char *p = name; *p; p++) {
		const unsigned char ch = (unsigned char)*p;
		const bool plain = ch < 0x80 && (isalnum(ch) || strchr("-_.", ch));

		if (plain || (!percent && ch == ' '))
			sb_add_n(b, p, 1);
		else if (percent)
			sb_addf(b, "%%%02X", ch);
		else
			sb_add(b, "_");
	}
}

/* RFC 6266, 4.1 and appendix D: a name that every client understands, and the whole one (RFC 8187). A browser saves
 * it and never shows it as a page of ours. */
static void add_disposition(struct response *rs, const char *name)
{
	_cleanup_(sb_done) struct strbuf b = {0};

	sb_add(&b, "attachment; filename=\"");
	add_safe(&b, name, false);
	sb_add(&b, "\"; filename*=UTF-8''");
	add_safe(&b, name, true);
	response_header(rs, "Content-Disposition", "%s", b.s);
}

static void add_headers(struct call *c, const char *sha256, const char *name)
{
	response_header(c->rs, "ETag", "\"%s\"", sha256);
	response_header(c->rs, "Cache-Control", "private, no-cache");
	response_header(c->rs, "Content-Security-Policy", "default-src 'none'; sandbox");
	add_disposition(c->rs, name);
}

static bool has_it(const struct call *c, const char *sha256)
{
	const char *match = request_header(c->rq, "If-None-Match");

	return match && (strstr(match, sha256) || !strcmp(match, "*"));
}

static int answer_bytes(struct call *c, const json_t *a, struct err *e)
{
	const char *name = json_string_value(json_object_get(a, "name"));
	const char *sha256 = json_string_value(json_object_get(a, "sha256"));
	const char *media = media_listed(json_string_value(json_object_get(a, "media")));
	const int64_t bytes = json_integer_value(json_object_get(a, "size"));
	_cleanup_(freep) char *target = xasprintf("%s/%s", request_param(c->rq, "id"), name);
	int r;

	if (has_it(c, sha256)) {
		add_headers(c, sha256, name);
		response_text(c->rs, 304, media, xstrdup(""), 0);
		return 0;
	}
	r = attachment_check(
		store_attachments(fleet_store(c->api->fleet)), sha256, bytes, &c->rs->fd, e);
	/* As a file of a run: each download is on record. */
	if (r == 0)
		r = api_audit(c, "run.attachment.get", target, e);
	if (r < 0)
		return err_prefix(e, "'%.128s'", name);
	add_headers(c, sha256, name);
	c->rs->status = 200;
	c->rs->body_len = (size_t)bytes;
	snprintf(c->rs->content_type, sizeof c->rs->content_type, "%s%s", media,
		!strncmp(media, "text/", 5) ? "; charset=utf-8" : "");
	return 0;
}

static int get_one(struct call *c, struct err *e)
{
	json_t *a = NULL;
	int r = api_read(c, read_one, &a, e);

	if (r == 0)
		r = answer_bytes(c, a, e);
	json_decref(a);
	return r;
}

static const struct query_param query_one[] = {{"n", NULL}, {0}};

const struct route routes_attachments[] = {
	{HTTP_GET, "/api/v1/runs/{id}/attachments", MAY_READ, ROUTE_NO_BODY, 0, get_list,
		.scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/runs/{id}/attachments/{name}", MAY_READ, ROUTE_NO_BODY, 0, get_one,
		query_one, .scope = SCOPE_RUN},
	{0},
};
