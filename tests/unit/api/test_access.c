/* SPDX-License-Identifier: Apache-2.0
 *
 * Every route, for every role, for every state of what a client shows: let in, or refused with which
 * code, before a handler or a body. The roles are those of openapi.yaml, what a limited token reaches is
 * written here: the rows of the routes are compared with both. The table is printed.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "api/access_log.h"
#include "api/call.h"
#include "api/httpd_answer.h"
#include "api/metrics.h"
#include "api/openapi.h"
#include "api/router.h"
#include "base/metrics.h"
#include "base/tree.h"
#include "tests/unit/unit.h"

static char dir[64];
static struct api api;
static json_t *doc;
static struct err e;

/* What the client sends; the library is not asked. */
static struct {
	const char *authorization, *cookie, *origin, *site;
} sent;

const char *MHD_lookup_connection_value(
	struct MHD_Connection *c, enum MHD_ValueKind kind, const char *name)
{
	if (kind == MHD_COOKIE_KIND)
		return strcmp(name, SESSION_COOKIE) == 0 ? sent.cookie : NULL;
	if (kind != MHD_HEADER_KIND)
		return NULL;
	return strcmp(name, "Authorization") == 0    ? sent.authorization
	       : strcmp(name, "Sec-Fetch-Site") == 0 ? sent.site
	       : strcmp(name, "Origin") == 0	     ? sent.origin
	       : strcmp(name, "Host") == 0	     ? "line3.example:8620"
						     : NULL;
}

enum shown {
	NOTHING,
	WRONG, /* a wrong secret of a token that exists */
	ENDED, /* after expires_at */
	REVOKED,
	REPLACED, /* the secret before the last rotation */
	VALID,
	LIMITED, /* to a station, a pool and a recipe that the path does not name */
	COOKIE,	 /* a browser, from a page of provd's */
	FOREIGN, /* a browser, from another site's page */
	CERTIFICATE,
	CERTIFICATE_FOREIGN, /* the same, from a browser on another site's page */
	CERTIFICATE_BAD,     /* with a valid token, which does not make up for it */
	SHOWN
};
static const char *const shown_names[] = {"nothing", "wrong", "ended", "revoked", "replaced",
	"valid", "limited", "cookie", "foreign", "cert", "cert-fgn", "cert-bad"};

static char tokens[ROLES][SHOWN][TOKEN_TEXT_SIZE + 8];
static char cookies[ROLES][65];
static struct tls_client certificates[ROLES], bad = {.refused = "it was revoked"};

static void make_token(enum role role, enum shown s)
{
	static unsigned n;
	char text[TOKEN_TEXT_SIZE];
	struct token t = {.expires_ms = s == ENDED ? 1 : 0};

	auth_make_token(text, t.id, t.secret_sha256);
	snprintf(t.name, sizeof t.name, "token %u", n++);
	snprintf(t.role, sizeof t.role, "%s", role_str(role));
	if (s == LIMITED)
		t.scopes = json_pack(
			"{s:[s], s:[s], s:[s]}", "stations", "A9", "pools", "p9", "recipes", "r9");
	auth_add(api.auth, &t);
	if (s == REVOKED)
		auth_revoke(api.auth, t.id);
	if (s == REPLACED) {
		char other[TOKEN_TEXT_SIZE];
		char hash[SHA256_HEX];

		auth_make_secret(t.id, other, hash);
		auth_rotate(api.auth, t.id, hash, 1);
	}
	if (s == WRONG)
		text[strlen(text) - 1] ^= 1;
	snprintf(tokens[role][s], sizeof tokens[role][s], "Bearer %s", text);
	json_decref(t.scopes);
}

static void make_cookie(enum role role)
{
	const struct request rq = {.peer = "10.0.0.1", .network = "10.0.0.1"};
	struct session_row row;
	struct auth_refusal why;
	struct principal who;
	char ended[SHA256_HEX];

	ck_assert_int_eq(auth_login(api.auth, &rq, tokens[role][VALID] + 7, cookies[role], &row,
				 ended, &who, &why, &e),
		0);
	auth_session_add(api.auth, &row, ended);
}

static void make_clients(void)
{
	struct auth_client list[ROLES];
	char name[ROLES][32];

	for (int role = 0; role < ROLES; role++) {
		struct tls_client *c = &certificates[role];

		snprintf(name[role], sizeof name[role], "client %s", role_str((enum role)role));
		snprintf(c->subject, sizeof c->subject, "CN=%s", role_str((enum role)role));
		c->ends_s = INT32_MAX;
		list[role] = (struct auth_client){
			TLS_SUBJECT, c->subject, name[role], (enum role)role, NULL};
	}
	ck_assert_msg(auth_set_clients(api.auth, list, ROLES, &e) == 0, "%s", e.msg);
}

static void setup(void)
{
	_cleanup_(freep) char *path = NULL;
	struct strbuf report = {0};
	struct config *c = NULL;
	struct db *d;
	FILE *f;

	strcpy(dir, "/tmp/provd-access-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = xasprintf("%s/provd.yaml", dir);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "state_dir: %s/state\nhotplug: ['stream:%s/events']\nstations: []\n", dir, dir);
	fclose(f);
	ck_assert_msg(config_load(path, &report, &c, &e) == 0, "%s", report.s);
	ck_assert_msg(fleet_new(c, &api.fleet, &e) == 0, "%s", e.msg);
	ck_assert_msg(fleet_start(api.fleet, &e) == 0, "%s", e.msg);
	config_unref(c);
	api.readers = fleet_readers(api.fleet);
	api.metrics = api_metrics_new();
	ck_assert_int_eq(access_log_new(ACCESS_LOG_OFF, NULL, &api.access_log, &e), 0);
	d = readers_take(api.readers, &e);
	ck_assert_int_eq(auth_new(d, &api.auth, &e), 0);
	readers_give(api.readers, d);
	for (int role = 0; role < ROLES; role++) {
		for (int s = WRONG; s <= LIMITED; s++)
			make_token((enum role)role, (enum shown)s);
		make_cookie((enum role)role);
	}
	make_clients();
	ck_assert_msg(openapi_document(&doc, &e) == 0, "%s", e.msg);
}

static void teardown(void)
{
	json_decref(doc);
	access_log_free(api.access_log);
	metrics_free(api.metrics);
	auth_free(api.auth);
	fleet_free(api.fleet);
	tree_clear(dir);
	rmdir(dir);
}

/* --- as designed --- */

/* What a limited token reaches before its rows are looked at: lists that are narrowed, orders and
 * things that a row says more of, and what names nothing. The names in the paths below are others. */
static bool open_to_limited(const struct route *r)
{
	static const char *const open[] = {"GET /api/v1/stations", "GET /api/v1/ports",
		"GET /api/v1/pools", "POST /api/v1/pools", "GET /api/v1/recipes",
		"POST /api/v1/recipes", "POST /api/v1/recipes/check", "GET /api/v1/prompts",
		"GET /api/v1/prompts/{id}", "POST /api/v1/prompts/{id}/answer", "GET /api/v1/jobs",
		"POST /api/v1/jobs", "GET /api/v1/jobs/{id}", "GET /api/v1/jobs/{id}/units",
		"GET /api/v1/jobs/{id}/units/{serial}", "PATCH /api/v1/jobs/{id}",
		"POST /api/v1/jobs/{id}/actions/{action}", "GET /api/v1/runs",
		"GET /api/v1/runs/{id}", "GET /api/v1/runs/{id}/steps",
		"GET /api/v1/runs/{id}/measurements", "GET /api/v1/runs/{id}/log",
		"GET /api/v1/runs/{id}/report", "GET /api/v1/runs/{id}/files",
		"GET /api/v1/runs/{id}/files/{name}", "GET /api/v1/runs/{id}/attachments",
		"GET /api/v1/runs/{id}/attachments/{name}", "GET /api/v1/runs/{id}/record",
		"GET /api/v1/prompts/{id}/picture", "GET /api/v1/session", "DELETE /api/v1/session",
		"GET /api/v1/summary", "GET /api/v1/actions", "GET /metrics", "GET /api/v1/metrics",
		"PUT /api/v1/artifacts/{sha256}"};
	_cleanup_(freep) char *name = xasprintf("%s %s", http_method_str(r->method), r->pattern);

	for (size_t i = 0; i < ARRAY_LEN(open); i++)
		if (!strcmp(open[i], name))
			return true;
	return false;
}

/* NULL for a page of the dashboard, which is not described. */
static const json_t *roles_of(const struct route *r, bool *ret_described)
{
	const json_t *item = json_object_get(json_object_get(doc, "paths"), r->pattern);
	char method[8] = {0};
	const json_t *op;

	for (size_t i = 0; http_method_str(r->method)[i]; i++)
		method[i] = (char)(http_method_str(r->method)[i] | 0x20);
	op = json_object_get(item, method);
	*ret_described = op != NULL;
	return json_object_get(op, "x-roles");
}

static bool described_for(const struct route *r, enum role role)
{
	bool described;
	const json_t *roles = roles_of(r, &described);

	for (size_t i = 0; i < json_array_size(roles); i++)
		if (!strcmp(json_string_value(json_array_get(roles, i)), role_str(role)))
			return true;
	return false;
}

static const char *designed(const struct route *r, enum role role, enum shown s)
{
	bool described;
	bool public = !roles_of(r, &described);

	if (s == CERTIFICATE_BAD)
		return "certificate-refused";
	/* To be logged in by another site's page. */
	if (public)
		return (s == FOREIGN || s == CERTIFICATE_FOREIGN) && r->method != HTTP_GET
			       ? "forbidden"
			       : "ok";
	if (s == NOTHING || s == WRONG || s == REVOKED)
		return "unauthorized";
	if (s == ENDED || s == REPLACED)
		return "token-expired";
	if (!described_for(r, role))
		return "forbidden";
	if (s == LIMITED)
		return open_to_limited(r) ? "ok" : "out-of-scope";
	if ((s == FOREIGN || s == CERTIFICATE_FOREIGN) && r->method != HTTP_GET)
		return "forbidden";
	return "ok";
}

/* --- as it is --- */

static void show(enum role role, enum shown s, struct request *rq)
{
	bool browser = s == COOKIE || s == FOREIGN;
	bool certificate = s == CERTIFICATE || s == CERTIFICATE_FOREIGN;

	memset(&sent, 0, sizeof sent);
	if (browser)
		sent.cookie = cookies[role];
	else if (s == CERTIFICATE_BAD)
		sent.authorization = tokens[role][VALID];
	else if (s != NOTHING && !certificate)
		sent.authorization = tokens[role][s];
	if (browser || s == CERTIFICATE_FOREIGN)
		sent.site = s == COOKIE ? "same-origin" : "cross-site";
	if (browser || s == CERTIFICATE_FOREIGN)
		sent.origin = s == COOKIE ? "https://line3.example:8620" : "https://evil.example";
	rq->secure = true;
	if (certificate)
		rq->client = &certificates[role];
	if (s == CERTIFICATE_BAD)
		rq->client = &bad;
}

/* From an address of its own: the guard of guesses has tests of its own. */
static void from_elsewhere(struct request *rq)
{
	static char address[20];
	static unsigned n;

	n++;
	snprintf(address, sizeof address, "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	rq->peer = rq->network = address;
}

/* A path of the pattern, whose names are in nobody's scope. */
static void fill_path(const struct route *r, struct request *rq)
{
	char *to = rq->path;

	for (const char *p = r->pattern; *p;) {
		if (*p != '{') {
			*to++ = *p++;
			continue;
		}
		to += sprintf(to, "x1");
		p = strchr(p, '}') + 1;
	}
	*to = 0;
}

/* The code of the refusal; "ok". */
static void asked(const struct route *r, enum role role, enum shown s, char ret[32])
{
	struct request rq = {.method = r->method};
	struct response rs = {.fd = -1};
	struct intake intake;
	json_t *problem;

	fill_path(r, &rq);
	from_elsewhere(&rq);
	show(role, s, &rq);
	snprintf(ret, 32, "ok");
	if (router_ops.begin(&api, &rq, &rs, &intake) != 0) {
		problem = json_loads(rs.body, 0, NULL);
		snprintf(ret, 32, "%s", json_string_value(json_object_get(problem, "code")));
		json_decref(problem);
	}
	if (rq.route && rq.route != r)
		snprintf(ret, 32, "another route");
	router_ops.done(&api, &rq);
	answer_drop(&rs);
}

START_TEST(every_route_lets_in_whom_it_should_and_nobody_else)
{
	unsigned cells = 0;
	unsigned wrong = 0;

	printf("%-62s", "");
	for (int s = 0; s < SHOWN; s++)
		printf(" %-8s", shown_names[s]);
	puts("");
	for (size_t t = 0; t < route_table_count; t++) {
		for (const struct route *r = route_tables[t]; r->pattern; r++) {
			bool described;

			roles_of(r, &described);
			if (!described && r->flags & ROUTE_PUBLIC)
				continue; /* a page of the dashboard */
			ck_assert_msg(described, "%s", r->pattern);
			printf("%-6s %-55s", http_method_str(r->method), r->pattern);
			for (int s = 0; s < SHOWN; s++) {
				char cell[ROLES + 1] = {0};

				for (int role = 0; role < ROLES; role++) {
					const char *want =
						designed(r, (enum role)role, (enum shown)s);
					char got[32];

					asked(r, (enum role)role, (enum shown)s, got);
					cells++;
					cell[role] = !strcmp(got, "ok") ? "vosema"[role] : '-';
					if (!strcmp(got, want))
						continue;
					wrong++;
					printf("\n%s %s as %s with %s: %s, %s expected\n",
						http_method_str(r->method), r->pattern,
						role_str((enum role)role), shown_names[s], got,
						want);
				}
				printf(" %-8s", cell);
			}
			puts("");
		}
	}
	ck_assert_uint_gt(cells, 80 * ROLES * SHOWN);
	ck_assert_msg(wrong == 0, "%u of %u cells are not as designed: see above", wrong, cells);
}
END_TEST

/* Where a certificate is needed, none is a refusal before any route, over TLS. */
START_TEST(without_a_certificate_nobody_comes_in_where_one_is_needed)
{
	static const char *const paths[] = {"/livez", "/api/v1/session", "/nowhere"};

	for (int required = 0; required < 2; required++) {
		for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
			for (int secure = 0; secure < 2; secure++) {
				struct request rq = {.method = HTTP_GET, .secure = secure};
				struct response rs = {.fd = -1};
				struct intake intake;
				bool refused;

				snprintf(rq.path, sizeof rq.path, "%s", paths[i]);
				from_elsewhere(&rq);
				memset(&sent, 0, sizeof sent);
				sent.authorization = tokens[ROLE_ADMIN][VALID];
				api.client_required = required;
				router_ops.begin(&api, &rq, &rs, &intake);
				refused = rs.body && strstr(rs.body, "certificate-refused");
				ck_assert_msg(refused == (required && secure), "%s %d %d", paths[i],
					required, secure);
				router_ops.done(&api, &rq);
				answer_drop(&rs);
			}
		}
	}
	api.client_required = false;
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("access");
	TCase *t = tcase_create("access");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_route_lets_in_whom_it_should_and_nobody_else);
	tcase_add_test(t, without_a_certificate_nobody_comes_in_where_one_is_needed);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
