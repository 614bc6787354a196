/* SPDX-License-Identifier: Apache-2.0
 *
 * /tokens, /session and /audit: what each token may do, and what it did.
 */
#include "api/account.h"
#include "api/problem.h"
#include "api/route.h"
#include "base/secret.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "db/tokens.h"

static int read_tokens(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return tokens_list(d, ret, e);
}

/* What is stored of the last use is a few minutes old. */
static void add_last_use(struct auth *a, json_t *o)
{
	struct token_use use;
	char at[RFC3339_SIZE];

	if (!auth_last_use(a, json_string_value(json_object_get(o, "id")), &use))
		return;
	json_object_set_new(o, "last_used_at", json_string(rfc3339(use.used_ms, at)));
	json_object_set_new(o, "last_used_from", json_string(use.used_from));
}

static int get_tokens(struct call *c, struct err *e)
{
	json_t *items = NULL;
	json_t *o;
	size_t i;
	int r = api_read(c, read_tokens, &items, e);

	if (r < 0)
		return r;
	json_array_foreach(items, i, o)
		add_last_use(c->api->auth, o);
	api_items(c, items);
	return 0;
}

struct new_token {
	struct api *api;
	struct token t;
	char text[TOKEN_TEXT_SIZE];
};

/* What may be said of it at any time: all but the secret. */
static json_t *described(const struct token *t)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "id", t->id, "name", t->name, "role", t->role);
	char at[RFC3339_SIZE];

	if (t->expires_ms)
		json_object_set_new(o, "expires_at", json_string(rfc3339(t->expires_ms, at)));
	if (t->scopes)
		json_object_set(o, "scopes", t->scopes);
	return o;
}

static int apply_new(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct new_token *n = data;
	int r = tokens_create(tx, &n->t, e);

	/* The secret is shown once, here; an answer stored for a repetition does not hold it. */
	if (r == 0)
		*ret = described(&n->t);
	return r;
}

struct token_form {
	char *name;
	enum role role;
	int64_t expires_ms;
	const json_t *scopes;
};

static void read_scopes(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	config_check_scopes(v, pointer, m);
	((struct token_form *)to)->scopes = v;
}

static const struct form_row token_rows[] = {
	{"name", FORM_TEXT, .required = true,
		.doc = "Who has it: 1 to 63 printable characters, without spaces at its ends or two in a row. It is never given again.",
		FORM_AT(struct token_form, name)},
	{"role", FORM_CHOICE, .required = true, .choices = role_names, .doc = "What it may do.",
		FORM_AT(struct token_form, role)},
	{"expires_at", FORM_TIME, .doc = "From then on it is refused; by default never.",
		FORM_AT(struct token_form, expires_ms)},
	{"scopes", FORM_OWN, .read = read_scopes, .rows = scope_rows,
		.doc = "What it may name. A list limits what it is of; what cannot be narrowed is refused. By default everything."},
	{0},
};

static int check_token(struct call *c, const struct token_form *f, struct err *e)
{
	int r = api_judged(c, "/name", auth_check_name(f->name, e), e);

	if (r == 0 && auth_is_client(c->api->auth, f->name)) {
		r = err_set(e, ERR_CONFLICT,
			"'%s' is the name of a principal of provd.yaml: a name is of one alone",
			f->name);
		return api_judged(c, "/name", r, e);
	}
	if (r < 0 || !api_given(c, "expires_at") || f->expires_ms > wall_ms())
		return r;
	r = err_set(e, ERR_UNPROCESSABLE,
		"'expires_at' is not in the future: a token that ends later expected");
	return api_judged(c, "/expires_at", r, e);
}

static int post_token(struct call *c, struct err *e)
{
	const struct token_form *f = api_form(c, e);
	struct new_token n = {.api = c->api};
	struct change ch = {.apply = apply_new,
		.data = &n,
		.status = 201,
		.location = "/api/v1/tokens/%s",
		.audit = "token.create",
		.target = n.t.id};
	char id[TOKEN_ID_SIZE];
	json_t *o;
	int r = f ? check_token(c, f, e) : -(int)e->code;

	if (r < 0)
		return r;
	if (request_header(c->rq, "Idempotency-Key"))
		return err_set(e, ERR_INVALID,
			"a token's secret is shown once: POST /tokens takes no Idempotency-Key");
	n.t.expires_ms = f->expires_ms;
	n.t.scopes = (json_t *)f->scopes;
	auth_make_token(n.text, id, n.t.secret_sha256);
	snprintf(n.t.id, sizeof n.t.id, "%s", id);
	snprintf(n.t.name, sizeof n.t.name, "%s", f->name);
	snprintf(n.t.role, sizeof n.t.role, "%s", role_str(f->role));
	r = api_change(c, &ch, e);
	if (r < 0)
		return r;
	auth_add(c->api->auth, &n.t);
	o = described(&n.t);
	json_object_set_new(o, "token", json_string(n.text));
	response_json(c->rs, 201, o);
	secret_wipe(n.text, sizeof n.text);
	return 0;
}

struct rotate_form {
	int64_t overlap_s;
};

#define OVERLAP_MAX_S (30 * 24 * 3600)

static const struct form_row rotate_rows[] = {
	{"overlap", FORM_INT, .low = 0, .high = OVERLAP_MAX_S, .def = "0",
		.doc = "Seconds in which the old secret works as well; 0: it ends at once.",
		FORM_AT(struct rotate_form, overlap_s)},
	{0},
};

struct rotation {
	const char *id;
	char secret[SHA256_HEX];
	int64_t old_until_ms;
	struct token t; /* as it was */
};

/* A browser that logged in with the old secret logs in again. */
static int apply_rotate(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct rotation *n = data;
	int r = tokens_find(tx, n->id, &n->t, e);

	if (r == 0 && !n->t.revoked && n->t.expires_ms && n->t.expires_ms <= wall_ms())
		return err_set(e, ERR_CONFLICT,
			"token '%s' has come to its end, which a new secret does not change: make another token",
			n->id);
	if (r == 0)
		r = tokens_rotate(tx, n->id, n->secret, n->old_until_ms, e);
	if (r == 0)
		r = sessions_remove_of(tx, n->id, e);
	if (r == 0)
		*ret = described(&n->t);
	return r;
}

static int post_rotate(struct call *c, struct err *e)
{
	const struct rotate_form *f = api_form(c, e);
	struct rotation n = {.id = request_param(c->rq, "id")};
	struct change ch = {.apply = apply_rotate,
		.data = &n,
		.status = 200,
		.audit = "token.rotate",
		.target = n.id};
	char text[TOKEN_TEXT_SIZE];
	json_t *o;
	int r;

	if (!f)
		return -(int)e->code;
	if (request_header(c->rq, "Idempotency-Key"))
		return err_set(e, ERR_INVALID,
			"a token's secret is shown once: its rotation takes no Idempotency-Key");
	n.old_until_ms = wall_ms() + f->overlap_s * 1000;
	if (strlen(n.id) != TOKEN_ID_SIZE - 1)
		return err_set(e, ERR_NOT_FOUND, "there is no token '%s'", n.id);
	auth_make_secret(n.id, text, n.secret);
	r = api_change(c, &ch, e);
	if (r == 0) {
		auth_rotate(c->api->auth, n.id, n.secret, n.old_until_ms);
		o = described(&n.t);
		json_object_set_new(o, "token", json_string(text));
		response_json(c->rs, 200, o);
	}
	token_done(&n.t);
	secret_wipe(text, sizeof text);
	return r;
}

static int apply_revoke(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const char *id = data;
	int r = tokens_revoke(tx, id, e);

	if (r == 0)
		r = sessions_remove_of(tx, id, e);
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

struct login {
	struct session_row row;
	char ended[SHA256_HEX];
	struct audit_who who;
	bool in_memory; /* the session of an account: its password is looked at again after a restart */
};

static int apply_login(struct db *tx, void *data, struct err *e)
{
	const struct login *l = data;
	int r = l->ended[0] ? sessions_remove(tx, l->ended, e) : 0;

	if (r == 0 && !l->in_memory)
		r = sessions_add(tx, &l->row, e);
	return r < 0 ? r : audit_add(tx, &l->who, "session.open", "", NULL, e);
}

struct session_form {
	char *token, *user, *password;
};

static const struct form_row session_rows[] = {
	{"token", FORM_TEXT, .low = 1, .doc = "The text of a token; or user and password.",
		FORM_AT(struct session_form, token)},
	{"user", FORM_TEXT, .low = 1, .high = 255,
		.doc = "The user name of an account, where 'pam' of provd.yaml lets people log in so.",
		FORM_AT(struct session_form, user)},
	{"password", FORM_TEXT, .low = 1, .high = 1024, .doc = "Its password.",
		FORM_AT(struct session_form, password)},
	{0},
};

static void wipe_text(char *s)
{
	if (s)
		secret_wipe(s, strlen(s));
}

static int check_session_form(struct call *c, const struct session_form *f, bool pam, struct err *e)
{
	struct mistakes m = {0};

	if (f->token && (f->user || f->password))
		mistakes_add(&m, "/token", "'token' or 'user' and 'password', not both");
	else if (!f->token && !f->user && !f->password)
		mistakes_add(&m, "", "'token' is missing: the text of a token%s",
			pam ? ", or 'user' and 'password'" : "");
	else if (!f->token && !f->user)
		mistakes_add(&m, "", "'user' is missing: the name of the account");
	else if (!f->token && !f->password)
		mistakes_add(&m, "", "'password' is missing: that of the account");
	else if (f->user && !pam)
		mistakes_add(&m, "/user",
			"this provd takes no passwords ('pam' of provd.yaml): log in by a token");
	return api_mistakes(c, &m, NULL, e);
}

/* service: of PAM. */
static int login_account(struct call *c, const char *service, const struct session_form *f,
	struct login *l, char cookie[65], struct principal *who, struct auth_refusal *why,
	struct err *e)
{
	const struct account_login p = {service, f->user, f->password, c->rq->peer};
	struct auth *a = c->api->auth;
	struct err judged = {0};
	int checked = -ERR_UNAUTHORIZED;
	bool ask;
	int r = auth_account_wait(a, c->rq, f->user, &ask, why, e);

	if (r < 0)
		return r;
	if (ask)
		checked = account_check(&p, &judged);
	if (checked < 0 && checked != -ERR_UNAUTHORIZED) {
		why->retry_after_s = checked == -ERR_OVERLOADED;
		*e = judged;
		return checked;
	}
	r = auth_account_login(
		a, c->rq, f->user, checked == 0, cookie, &l->row, l->ended, who, why, e);
	/* Of an account that is nobody's nothing is said. */
	if (ask && checked < 0 && auth_is_account(a, f->user))
		*e = judged;
	return r;
}

static int open_session(struct call *c, const struct session_form *f, struct login *l,
	char cookie[65], struct principal *who, struct auth_refusal *why, struct err *e)
{
	struct config *config = fleet_config(c->api->fleet);
	int r = check_session_form(c, f, config->pam != NULL, e);

	if (r == 0 && f->token)
		r = auth_login(
			c->api->auth, c->rq, f->token, cookie, &l->row, l->ended, who, why, e);
	else if (r == 0)
		r = login_account(c, config->pam, f, l, cookie, who, why, e);
	l->in_memory = f->user != NULL;
	config_unref(config);
	return r;
}

static int post_session(struct call *c, struct err *e)
{
	struct session_form *f = api_form(c, e);
	struct login l = {0};
	struct auth_refusal why = {0};
	struct principal who;
	char cookie[65];
	int r;

	if (!f)
		return -(int)e->code;
	r = open_session(c, f, &l, cookie, &who, &why, e);
	wipe_text(f->token);
	wipe_text(f->password);
	if (r < 0) {
		c->rs->retry_after_s = why.retry_after_s;
		if (why.note)
			api_note_failure(c->api, c->rq, &why);
		return r;
	}
	l.who = (struct audit_who){who.name, who.id, c->rq->peer};
	r = writer_do(fleet_writer(c->api->fleet), apply_login, &l, e);
	if (r < 0)
		return r;
	auth_session_add(c->api->auth, &l.row, l.ended);
	response_header(c->rs, "Set-Cookie",
		"%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%u%s", SESSION_COOKIE, cookie,
		(unsigned)(SESSION_LIFE_MS / 1000), c->rq->secure ? "; Secure" : "");
	response_json(c->rs, 201,
		json_pack("{s:s, s:s, s:s}", "id", who.id, "name", who.name, "role",
			role_str(who.role)));
	return 0;
}

static int get_session(struct call *c, struct err *e)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "id", c->who->id, "name", c->who->name, "role",
		role_str(c->who->role));

	if (c->who->scopes)
		json_object_set_new(o, "scopes", json_deep_copy(c->who->scopes));
	response_json(c->rs, 200, o);
	return 0;
}

static int apply_logout(struct db *tx, void *data, struct err *e)
{
	return sessions_remove(tx, data, e);
}

static int delete_session(struct call *c, struct err *e)
{
	char hash[SHA256_HEX];
	int r;

	snprintf(hash, sizeof hash, "%s", c->who->session);
	if (*hash) {
		r = writer_do(fleet_writer(c->api->fleet), apply_logout, hash, e);
		if (r < 0)
			return r;
		auth_logout(c->api->auth, hash);
	}
	response_header(c->rs, "Set-Cookie", "%s=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0%s",
		SESSION_COOKIE, c->rq->secure ? "; Secure" : "");
	response_json(c->rs, 200, json_object());
	return 0;
}

static int read_audit(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return audit_list(d, request_query(c->rq, "principal"), page, ret, e);
}

static int get_audit(struct call *c, struct err *e)
{
	return api_answer_page(c, read_audit, e);
}

static const struct query_param query_audit[] = {{"principal", NULL}, QUERY_PAGE, {0}};

const struct route routes_tokens[] = {
	{HTTP_GET, "/api/v1/tokens", MAY_ADMIN, ROUTE_NO_BODY, 0, get_tokens},
	{HTTP_POST, "/api/v1/tokens", MAY_ADMIN, ROUTE_WHEN_HELD, 0, post_token, NULL,
		FORM(token_rows, struct token_form)},
	{HTTP_POST, "/api/v1/tokens/{id}/actions/rotate", MAY_ADMIN, ROUTE_WHEN_HELD, 0,
		post_rotate, NULL, FORM(rotate_rows, struct rotate_form)},
	{HTTP_DELETE, "/api/v1/tokens/{id}", MAY_ADMIN, ROUTE_WHEN_HELD, 0, delete_token, NULL,
		FORM_NONE},
	{HTTP_GET, "/api/v1/session", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_session,
		.scope = SCOPE_OPEN},
	{HTTP_POST, "/api/v1/session", 0, ROUTE_PUBLIC, 4096, post_session, NULL,
		FORM(session_rows, struct session_form)},
	{HTTP_DELETE, "/api/v1/session", MAY_READ, ROUTE_WHEN_HELD, 0, delete_session, NULL,
		FORM_NONE, .scope = SCOPE_OPEN},
	{HTTP_GET, "/api/v1/audit", MAY_ADMIN, ROUTE_NO_BODY, 0, get_audit, query_audit},
	{0},
};
