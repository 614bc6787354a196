/* SPDX-License-Identifier: Apache-2.0
 *
 * /tokens, /session and /audit: who may do what, and who did.
 */
#include "api/problem.h"
#include "api/router.h"
#include "base/secret.h"
#include "base/util.h"
#include "db/audit.h"
#include "db/tokens.h"

static int get_tokens(struct call *c, struct err *e)
{
	struct db *d = api_reader(c->api, e);
	json_t *items = NULL;
	int r = d ? tokens_list(d, &items, e) : -(int)e->code;

	api_reader_back(c->api, d);
	if (r == 0)
		response_json(c->rs, 200, json_pack("{s:o, s:n}", "items", items, "next_cursor"));
	return r;
}

struct new_token {
	struct api *api;
	struct token t;
	enum role role;
	char text[TOKEN_TEXT_SIZE];
};

static int apply_new(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct new_token *n = data;
	int r = tokens_create(tx, &n->t, e);

	/* The secret is told once, here; an answer stored for a repetition does not hold it. */
	if (r == 0)
		*ret = json_pack(
			"{s:s, s:s, s:s}", "id", n->t.id, "name", n->t.name, "role", n->t.role);
	return r;
}

static int post_token(struct call *c, struct err *e)
{
	struct new_token n = {.api = c->api};
	struct change ch = {.apply = apply_new,
		.data = &n,
		.status = 201,
		.location = "/api/v1/tokens/%s",
		.audit = "token.create",
		.target = n.t.id};
	const char *name;
	const char *role;
	char id[TOKEN_ID_SIZE];
	json_t *o;
	int r = api_need_object(c, e);

	if (r < 0)
		return r;
	name = json_string_value(json_object_get(c->body, "name"));
	role = json_string_value(json_object_get(c->body, "role"));
	if (!name || !*name || strlen(name) >= sizeof n.t.name)
		return err_set(e, ERR_INVALID, "'name' is missing or too long");
	if (!role || role_from_str(role) < 0)
		return err_set(e, ERR_INVALID,
			"'role' must be viewer, operator, supervisor, engineer, mes or admin");
	if (request_header(c->rq, "Idempotency-Key"))
		return err_set(e, ERR_INVALID,
			"a token's secret is told once: POST /tokens takes no Idempotency-Key");
	n.role = (enum role)role_from_str(role);
	auth_make_token(n.text, id, n.t.secret_sha256);
	snprintf(n.t.id, sizeof n.t.id, "%s", id);
	snprintf(n.t.name, sizeof n.t.name, "%s", name);
	snprintf(n.t.role, sizeof n.t.role, "%s", role);
	r = api_change(c, &ch, e);
	if (r < 0)
		return r;
	auth_add(c->api->auth, n.t.id, n.t.name, n.role, n.t.secret_sha256);
	o = json_pack("{s:s, s:s, s:s, s:s}", "id", n.t.id, "name", n.t.name, "role", n.t.role,
		"token", n.text);
	response_json(c->rs, 201, o);
	secret_wipe(n.text, sizeof n.text);
	return 0;
}

static int apply_revoke(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const char *id = data;
	int r = tokens_revoke(tx, id, e);

	if (r == 0)
		*ret = json_pack("{s:s, s:b}", "id", id, "revoked", 1);
	return r;
}

static int delete_token(struct call *c, struct err *e)
{
	const char *id = request_param(c->rq, "id");
	struct change ch = {.apply = apply_revoke,
		.data = (void *)id,
		.status = 200,
		.audit = "token.revoke",
		.target = id};
	int r = api_change(c, &ch, e);

	if (r == 0)
		auth_revoke(c->api->auth, id);
	return r;
}

static int post_session(struct call *c, struct err *e)
{
	const char *token;
	char cookie[65];
	struct principal who;
	int r = api_need_object(c, e);

	if (r < 0)
		return r;
	token = json_string_value(json_object_get(c->body, "token"));
	if (!token)
		return err_set(e, ERR_INVALID, "'token' is missing");
	r = auth_login(c->api->auth, token, cookie, &who, e);
	if (r < 0)
		return r;
	response_header(c->rs, "Set-Cookie", "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%u",
		SESSION_COOKIE, cookie, (unsigned)(SESSION_LIFE_US / 1000000));
	response_json(c->rs, 201,
		json_pack("{s:s, s:s, s:s}", "id", who.id, "name", who.name, "role",
			role_str(who.role)));
	return 0;
}

static int get_session(struct call *c, struct err *e)
{
	response_json(c->rs, 200,
		json_pack("{s:s, s:s, s:s}", "id", c->who->id, "name", c->who->name, "role",
			role_str(c->who->role)));
	return 0;
}

static int delete_session(struct call *c, struct err *e)
{
	const char *cookie = request_cookie(c->rq, SESSION_COOKIE);

	if (cookie)
		auth_logout(c->api->auth, cookie);
	response_header(c->rs, "Set-Cookie", "%s=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0",
		SESSION_COOKIE);
	response_json(c->rs, 200, json_object());
	return 0;
}

static int get_audit(struct call *c, struct err *e)
{
	struct db_list list = {0};
	struct db_page page;
	struct db *d;
	int r = api_page(c, &page, e);

	if (r < 0)
		return r;
	d = api_reader(c->api, e);
	r = d ? audit_list(d, request_query(c->rq, "principal"), &page, &list, e) : -(int)e->code;
	api_reader_back(c->api, d);
	return r < 0 ? r : api_answer_list(c, &list, e);
}

static const struct query_param query_audit[] = {{"principal", NULL}, QUERY_PAGE, {0}};
static const char *const token_fields[] = {"name", "role", NULL};
static const char *const session_fields[] = {"token", NULL};

const struct route routes_tokens[] = {
	{HTTP_GET, "/api/v1/tokens", MAY_ADMIN, ROUTE_NO_BODY, 0, get_tokens},
	{HTTP_POST, "/api/v1/tokens", MAY_ADMIN, 0, 0, post_token, NULL, token_fields},
	{HTTP_DELETE, "/api/v1/tokens/{id}", MAY_ADMIN, 0, 0, delete_token, NULL, fields_none},
	{HTTP_GET, "/api/v1/session", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_session},
	{HTTP_POST, "/api/v1/session", 0, ROUTE_PUBLIC, 4096, post_session, NULL, session_fields},
	{HTTP_DELETE, "/api/v1/session", MAY_READ, 0, 0, delete_session, NULL, fields_none},
	{HTTP_GET, "/api/v1/audit", MAY_ADMIN, ROUTE_NO_BODY, 0, get_audit, query_audit},
	{0},
};
