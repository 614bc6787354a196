/* SPDX-License-Identifier: Apache-2.0
 *
 * The dashboard: one page for every path that its own router knows, and its assets. Public, since
 * it holds no data: that comes from the API, with the session's cookie. The assets are stored
 * gzipped and sent as they are; every browser that can run the dashboard takes them so. HTTP pool.
 */
#include "api/route.h"
#include "api/web_assets.h"
#include "base/util.h"

/* Nothing but our own files, no inline script or style, no frame around it; strings never become
 * markup. */
static const char policy[] =
	"default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
	"frame-ancestors 'none'; require-trusted-types-for 'script'";

static const struct web_asset *find_asset(const char *path)
{
	for (size_t i = 0; i < web_asset_count; i++)
		if (!strcmp(web_assets[i].path, path))
			return &web_assets[i];
	return NULL;
}

/* RFC 9110, 13.1.2: a list of tags, or "*". Ours hold no comma or quote, so that a search is
 * enough. */
static bool has_it(const struct request *rq, const char *etag)
{
	const char *match = request_header(rq, "If-None-Match");

	return match && (strstr(match, etag) || !strcmp(match, "*"));
}

static int answer_asset(struct call *c, const struct web_asset *a)
{
	struct response *rs = c->rs;

	response_header(rs, "ETag", "%s", a->etag);
	response_header(rs, "Cache-Control", "%s",
		a->immutable ? "public, max-age=31536000, immutable" : "no-cache");
	api_page_guards(c, policy);
	snprintf(rs->content_type, sizeof rs->content_type, "%s", a->content_type);
	if (has_it(c->rq, a->etag)) {
		rs->status = 304;
		rs->static_body = "";
		return 0;
	}
	response_header(rs, "Content-Encoding", "gzip");
	rs->status = 200;
	rs->static_body = a->data;
	rs->body_len = a->len;
	return 0;
}

static int get_page(struct call *c, struct err *e)
{
	const struct web_asset *a = find_asset("/index.html");

	if (!a)
		return err_set(e, ERR_NOT_FOUND,
			"this provd was built without the dashboard (meson option web)");
	return answer_asset(c, a);
}

static int get_asset(struct call *c, struct err *e)
{
	const struct web_asset *a = find_asset(c->rq->path);

	if (!a)
		return err_set(e, ERR_NOT_FOUND, "there is no such asset: reload the page");
	return answer_asset(c, a);
}

#define PAGE(pattern)                                                                           \
	{                                                                                       \
		HTTP_GET, pattern, 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_page, \
			query_any                                                               \
	}
#define ASSET(pattern)                                                                           \
	{                                                                                        \
		HTTP_GET, pattern, 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_asset, \
			query_any                                                                \
	}

/* The pages are those of web/src/pages/table.js. */
const struct route routes_web[] = {
	PAGE("/"),
	PAGE("/login"),
	PAGE("/stations/{id}"),
	PAGE("/jobs"),
	PAGE("/jobs/{id}"),
	PAGE("/runs"),
	PAGE("/runs/{id}"),
	PAGE("/runs/{id}/report"),
	PAGE("/units"),
	PAGE("/units/{serial}"),
	PAGE("/units/{serial}/genealogy"),
	PAGE("/archives"),
	PAGE("/pools"),
	PAGE("/pools/{id}"),
	PAGE("/webhooks"),
	PAGE("/webhooks/{id}"),
	PAGE("/recipes"),
	PAGE("/recipes/{name}/{version}"),
	PAGE("/shift"),
	PAGE("/quality"),
	PAGE("/quality/measurement"),
	PAGE("/recall"),
	PAGE("/ports"),
	PAGE("/events"),
	ASSET("/assets/{build}/{file}"),
	ASSET("/assets/{build}/{folder}/{file}"),
	{0},
};
