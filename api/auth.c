/* SPDX-License-Identifier: Apache-2.0 */
#include "api/auth.h"

#include <strings.h>

#include "base/iotime.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "db/tokens.h"

/* How old the use of a session or token on disk may be. */
#define USE_STORED_EVERY_MS (10ll * 60 * 1000)

const char *const role_names[ROLES + 1] = {
	"viewer", "operator", "supervisor", "engineer", "mes", "admin"};

struct known {
	char id[TOKEN_ID_SIZE];
	char name[64];
	enum role role;
	uint8_t hash[SHA256_BYTES];
	bool revoked;
	int64_t expires_ms; /* 0: never */
	unsigned rotations; /* since the start */
	uint8_t old_hash[SHA256_BYTES];
	int64_t old_until_ms; /* 0: there is no old one */
	json_t *scopes;	      /* owned */
	int64_t used_ms, stored_ms;
	char used_from[ADDRESS_SIZE];
	double bucket; /* requests that may come now */
	uint64_t filled_us;
	/* One without a secret, known by its certificate, or by an account: */
	bool client, account;
	enum tls_name by;
	char *value; /* owned */
};

struct session {
	struct session_row row;
	size_t token;
	int64_t stored_ms; /* its use on disk */
};

struct auth {
	struct mutex lock;
	struct known *known;
	size_t count;
	struct session *session;
	size_t sessions;
	struct guard *guard;
	unsigned clients; /* rises with each change of those that are known by certificates */
	json_t *former;	  /* scopes that requests under way may still look at */
};

const char *role_str(enum role r)
{
	return role_names[r];
}

int role_from_str(const char *s)
{
	for (int i = 0; i < ROLES; i++)
		if (!strcmp(role_names[i], s))
			return i;
	return -1;
}

void auth_make_secret(const char *id, char text[TOKEN_TEXT_SIZE], char hash[SHA256_HEX])
{
	uint8_t raw[24];
	char secret[2 * sizeof raw + 1];

	random_bytes(raw, sizeof raw);
	hex_of(raw, sizeof raw, secret);
	snprintf(text, TOKEN_TEXT_SIZE, "pvd_%s_%s", id, secret);
	sha256_hex_of(secret, strlen(secret), hash);
	secret_wipe(raw, sizeof raw);
	secret_wipe(secret, sizeof secret);
}

void auth_make_token(char text[TOKEN_TEXT_SIZE], char id[TOKEN_ID_SIZE], char hash[SHA256_HEX])
{
	uint8_t raw[8];

	random_bytes(raw, sizeof raw);
	hex_of(raw, sizeof raw, id);
	auth_make_secret(id, text, hash);
}

static void add_locked(struct auth *a, const struct token *row, enum role role) REQUIRES(a->lock)
{
	struct known *grown = reallocarray(a->known, a->count + 1, sizeof *grown);
	struct known *k;

	if (!grown)
		abort();
	a->known = grown;
	k = &grown[a->count++];
	*k = (struct known){.role = role,
		.expires_ms = row->expires_ms,
		.scopes = json_deep_copy(row->scopes),
		.used_ms = row->used_ms,
		.stored_ms = row->used_ms,
		.revoked = row->revoked};
	snprintf(k->id, sizeof k->id, "%s", row->id);
	snprintf(k->name, sizeof k->name, "%s", row->name);
	snprintf(k->used_from, sizeof k->used_from, "%s", row->used_from);
	if (!hex_parse(row->secret_sha256, k->hash, sizeof k->hash))
		k->revoked = true;
	if (hex_parse(row->old_sha256, k->old_hash, sizeof k->old_hash))
		k->old_until_ms = row->old_until_ms;
}

void auth_add(struct auth *a, const struct token *row)
{
	int role = role_from_str(row->role);

	if (role < 0)
		return;
	mutex_lock(&a->lock);
	add_locked(a, row, (enum role)role);
	mutex_unlock(&a->lock);
}

int auth_check_name(const char *name, struct err *e)
{
	static const char *const own[] = {"provd", "nobody"};
	size_t n = strlen(name);

	if (n == 0 || n >= sizeof(((struct principal *)0)->name))
		return err_set(e, ERR_INVALID, "'name' is missing or too long (63 bytes)");
	if (name[0] == ' ' || name[n - 1] == ' ' || strstr(name, "  "))
		return err_set(
			e, ERR_INVALID, "'name' begins or ends with a space, or has two in a row");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return err_set(e, ERR_INVALID, "'name' holds a control character");
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (!strcasecmp(name, own[i]))
			return err_set(e, ERR_CONFLICT, "'%s' is a name of provd's own", own[i]);
	return 0;
}

static ssize_t index_of_locked(const struct auth *a, const char *id) REQUIRES(a->lock)
{
	for (size_t i = 0; i < a->count; i++)
		if (!strcmp(a->known[i].id, id))
			return (ssize_t)i;
	return -1;
}

static void add_session_locked(struct auth *a, const struct session_row *row) REQUIRES(a->lock)
{
	ssize_t token = index_of_locked(a, row->token);
	struct session *grown;

	if (token < 0 || a->known[token].revoked)
		return;
	grown = reallocarray(a->session, a->sessions + 1, sizeof *grown);
	if (!grown)
		abort();
	a->session = grown;
	grown[a->sessions++] =
		(struct session){.row = *row, .token = (size_t)token, .stored_ms = row->used_ms};
}

static void on_session(void *data, const struct session_row *row)
{
	struct auth *a = data;

	mutex_lock(&a->lock);
	add_session_locked(a, row);
	mutex_unlock(&a->lock);
}

static int load_tokens(struct auth *a, struct db *reader, struct err *e)
{
	json_t *list = NULL;
	json_t *o;
	size_t i;
	int r = tokens_list(reader, &list, e);

	json_array_foreach(list, i, o) {
		const char *id = json_string_value(json_object_get(o, "id"));
		struct token t;

		r = tokens_find(reader, id, &t, e);
		if (r < 0)
			break;
		auth_add(a, &t);
		token_done(&t);
	}
	json_decref(list);
	return r;
}

int auth_new(struct db *reader, struct auth **ret, struct err *e)
{
	struct auth *a = xcalloc(1, sizeof *a);
	int r;

	mutex_init(&a->lock);
	a->guard = guard_new();
	a->former = json_array();
	r = load_tokens(a, reader, e);
	if (r == 0)
		r = sessions_each(reader, on_session, a, e);
	if (r < 0) {
		auth_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct auth *auth_free(struct auth *a)
{
	if (a) {
		mutex_done(&a->lock);
		guard_free(a->guard);
		for (size_t i = 0; i < a->count; i++) {
			json_decref(a->known[i].scopes);
			free(a->known[i].value);
		}
		json_decref(a->former);
		free(a->known);
		free(a->session);
		free(a);
	}
	return NULL;
}

static void drop_session_locked(struct auth *a, size_t i) REQUIRES(a->lock)
{
	a->session[i] = a->session[--a->sessions];
}

static void drop_sessions_locked(struct auth *a, const char *token) REQUIRES(a->lock)
{
	for (size_t i = a->sessions; i-- > 0;)
		if (!strcmp(a->session[i].row.token, token))
			drop_session_locked(a, i);
}

void auth_revoke(struct auth *a, const char *id)
{
	ssize_t i;

	mutex_lock(&a->lock);
	i = index_of_locked(a, id);
	if (i >= 0)
		a->known[i].revoked = true;
	drop_sessions_locked(a, id);
	mutex_unlock(&a->lock);
}

void auth_rotate(struct auth *a, const char *id, const char *hash, int64_t old_until_ms)
{
	ssize_t i;

	mutex_lock(&a->lock);
	i = index_of_locked(a, id);
	if (i >= 0) {
		struct known *k = &a->known[i];

		memcpy(k->old_hash, k->hash, sizeof k->old_hash);
		k->old_until_ms = old_until_ms;
		k->rotations++;
		if (!hex_parse(hash, k->hash, sizeof k->hash))
			k->revoked = true;
	}
	drop_sessions_locked(a, id);
	mutex_unlock(&a->lock);
}

static bool ran_out(const struct known *k)
{
	return k->expires_ms && k->expires_ms <= wall_ms();
}

bool auth_has_admin(struct auth *a)
{
	bool has = false;

	mutex_lock(&a->lock);
	for (size_t i = 0; i < a->count; i++)
		has |= a->known[i].role == ROLE_ADMIN && !a->known[i].revoked &&
		       !a->known[i].client && !a->known[i].scopes && !ran_out(&a->known[i]);
	mutex_unlock(&a->lock);
	return has;
}

/* "pvd_<16 hex>_<48 hex>": the id into id, and where the secret begins; NULL for another text. */
static const char *split_token(const char *text, char id[TOKEN_ID_SIZE])
{
	const char *secret;

	*id = 0;
	if (strncmp(text, "pvd_", 4) != 0 || strlen(text) >= TOKEN_TEXT_SIZE)
		return NULL;
	text += 4;
	secret = strchr(text, '_');
	if (!secret || secret - text != TOKEN_ID_SIZE - 1)
		return NULL;
	memcpy(id, text, TOKEN_ID_SIZE - 1);
	id[TOKEN_ID_SIZE - 1] = 0;
	return secret + 1;
}

/* Whether it is one of the token's secrets, the one before the last rotation too; *ret_number says
 * which. */
static bool is_secret_of(
	const struct known *k, const uint8_t hash[SHA256_BYTES], unsigned *ret_number)
{
	bool now = secret_equal(hash, k->hash, SHA256_BYTES);
	bool before = k->old_until_ms && secret_equal(hash, k->old_hash, SHA256_BYTES);

	*ret_number = now ? k->rotations : k->rotations - 1;
	return now || before;
}

/* Whether that secret still counts. */
static bool secret_works(const struct known *k, unsigned number)
{
	return number == k->rotations ||
	       (number + 1 == k->rotations && wall_ms() < k->old_until_ms);
}

/* The token of a text and which of its secrets came, or -1 and why. */
static ssize_t find_token_locked(struct auth *a, const char *address, const char *text,
	unsigned *ret_number, struct auth_refusal *why) REQUIRES(a->lock)
{
	const char *secret = split_token(text, why->token);
	ssize_t i = secret ? index_of_locked(a, why->token) : -1;
	const struct known *k = i >= 0 && !a->known[i].client ? &a->known[i] : NULL;
	uint64_t now = now_us();
	uint8_t hash[SHA256_BYTES];
	bool right;

	why->retry_after_s = guard_wait_s(a->guard, address, why->token, k != NULL, now);
	if (why->retry_after_s)
		return -1;
	sha256_of(secret ? secret : "", secret ? strlen(secret) : 0, hash);
	right = k && is_secret_of(k, hash, ret_number);
	if (right && !k->revoked && !ran_out(k) && secret_works(k, *ret_number))
		return i;
	if (right && !k->revoked)
		why->cause = ran_out(k) ? AUTH_RAN_OUT : AUTH_REPLACED;
	why->note = guard_failed(a->guard, address, why->token, !right, now, &why->guard);
	return -1;
}

static void note_use(struct known *k, const char *peer)
{
	k->used_ms = wall_ms();
	snprintf(k->used_from, sizeof k->used_from, "%s", peer ? peer : "");
}

static ssize_t find_session_locked(struct auth *a, const char *hash) REQUIRES(a->lock)
{
	int64_t now = wall_ms();

	for (size_t i = 0; i < a->sessions; i++) {
		struct session *s = &a->session[i];

		if (!secret_equal(s->row.hash, hash, SHA256_HEX - 1))
			continue;
		if (s->row.ends_ms <= now || s->row.used_ms + SESSION_IDLE_MS < now ||
			a->known[s->token].revoked || ran_out(&a->known[s->token]))
			return -1;
		s->row.used_ms = now;
		return (ssize_t)i;
	}
	return -1;
}

/* A token bucket of two seconds' worth. */
static bool take_from(struct known *k, unsigned rate)
{
	uint64_t now = now_us();
	double cap = 2.0 * rate;

	if (rate == 0)
		return true;
	k->bucket += (double)(now - k->filled_us) / 1e6 * rate;
	k->filled_us = now;
	if (k->bucket > cap)
		k->bucket = cap;
	if (k->bucket < 1)
		return false;
	k->bucket -= 1;
	return true;
}

static bool is_by_certificate(const struct known *k)
{
	return k->client && !k->account;
}

static void principal_of(
	const struct known *k, unsigned secret, const char *session, struct principal *ret)
{
	memcpy(ret->id, k->id, sizeof ret->id);
	memcpy(ret->name, k->name, sizeof ret->name);
	ret->role = k->role;
	ret->by_cookie = *session != 0;
	ret->by_certificate = is_by_certificate(k);
	ret->secret = secret;
	ret->scopes = k->scopes;
	snprintf(ret->session, sizeof ret->session, "%s", session);
}

/* What a refused token is answered. */
static int refused(const struct auth_refusal *why, bool came, struct err *e)
{
	if (why->retry_after_s)
		return err_set(e, ERR_OVERLOADED,
			"too many wrong tokens came from this address or for this token: wait %u s",
			why->retry_after_s);
	if (why->cause == AUTH_RAN_OUT)
		return err_set(e, ERR_TOKEN_EXPIRED,
			"the token %s has come to its end: an admin makes another", why->token);
	if (why->cause == AUTH_REPLACED)
		return err_set(e, ERR_TOKEN_EXPIRED,
			"the token %s has a new secret, and the time of this one is over",
			why->token);
	return err_set(e, ERR_UNAUTHORIZED,
		came ? "the token is unknown or revoked" : "a bearer token is needed");
}

static ssize_t find_certificate_locked(const struct auth *a, const struct tls_client *c)
	REQUIRES(a->lock)
{
	if (!c || c->refused[0])
		return -1;
	for (size_t i = 0; i < a->count; i++)
		if (is_by_certificate(&a->known[i]) && !a->known[i].revoked &&
			tls_client_has(c, a->known[i].by, a->known[i].value))
			return (ssize_t)i;
	return -1;
}

/* Whose request it is, by its header, else its cookie, else its certificate; -1 and why. */
static ssize_t find_client_locked(struct auth *a, const struct request *rq, const char *header,
	const char *session, unsigned *ret_secret, struct auth_refusal *why) REQUIRES(a->lock)
{
	ssize_t s;

	if (header)
		return strncmp(header, "Bearer ", 7) != 0
			       ? -1
			       : find_token_locked(a, rq->network, header + 7, ret_secret, why);
	s = *session ? find_session_locked(a, session) : -1;
	return s < 0 ? find_certificate_locked(a, rq->client) : (ssize_t)a->session[s].token;
}

static int no_client(
	const struct request *rq, const struct auth_refusal *why, bool came, struct err *e)
{
	if (came || !rq->client)
		return refused(why, came, e);
	return err_set(e, ERR_UNAUTHORIZED,
		"the client certificate '%.120s' is of no principal of provd.yaml, and no token came with it",
		rq->client->subject);
}

int auth_check(struct auth *a, const struct request *rq, unsigned rate, struct principal *ret,
	struct auth_refusal *why, struct err *e)
{
	const char *header = request_header(rq, "Authorization");
	const char *cookie = request_cookie(rq, SESSION_COOKIE);
	char hash[SHA256_HEX] = "";
	unsigned secret = 0;
	ssize_t i;
	bool ok = true;

	*ret = (struct principal){0};
	*why = (struct auth_refusal){0};
	if (!header && cookie)
		sha256_hex_of(cookie, strlen(cookie), hash);
	mutex_lock(&a->lock);
	i = find_client_locked(a, rq, header, hash, &secret, why);
	if (i >= 0) {
		principal_of(
			&a->known[i], secret, is_by_certificate(&a->known[i]) ? "" : hash, ret);
		if (ret->by_certificate) {
			ret->clients = a->clients;
			ret->certificate_ends_s = rq->client->ends_s;
		}
		note_use(&a->known[i], rq->peer);
		ok = take_from(&a->known[i], rate);
	}
	mutex_unlock(&a->lock);
	if (i < 0)
		return no_client(rq, why, header || cookie, e);
	if (ok)
		return 0;
	why->retry_after_s = 1;
	return err_set(e, ERR_OVERLOADED, "more than %u requests a second", rate);
}

static bool certificate_still_locked(const struct auth *a, const struct principal *who)
	REQUIRES(a->lock)
{
	return who->clients == a->clients && wall_ms() / 1000 <= who->certificate_ends_s;
}

/* One that may name other things now is opened again. */
static bool session_still_locked(struct auth *a, const struct principal *who) REQUIRES(a->lock)
{
	ssize_t i = find_session_locked(a, who->session);

	return i >= 0 && a->known[a->session[i].token].scopes == who->scopes;
}

bool auth_still(struct auth *a, const struct principal *who)
{
	bool still;

	mutex_lock(&a->lock);
	if (who->by_certificate) {
		still = certificate_still_locked(a, who);
	} else if (who->session[0]) {
		still = session_still_locked(a, who);
	} else {
		ssize_t i = index_of_locked(a, who->id);
		const struct known *k = i >= 0 ? &a->known[i] : NULL;

		still = k && !k->revoked && !ran_out(k) && secret_works(k, who->secret);
	}
	mutex_unlock(&a->lock);
	return still;
}

/* The session of that token which was not used for longest, where it has as many as it may. */
static void find_ended_locked(const struct auth *a, const char *token, char ret[SHA256_HEX])
	REQUIRES(a->lock)
{
	const struct session *oldest = NULL;
	size_t n = 0;

	*ret = 0;
	for (size_t i = 0; i < a->sessions; i++) {
		const struct session *s = &a->session[i];

		if (strcmp(s->row.token, token) != 0)
			continue;
		n++;
		if (!oldest || s->row.used_ms < oldest->row.used_ms)
			oldest = s;
	}
	if (n >= SESSIONS_OF_TOKEN)
		memcpy(ret, oldest->row.hash, SHA256_HEX);
}

/* What is made for a principal that has shown who it is. */
struct opened {
	char *cookie;
	struct session_row *row;
	char *ended;
	struct principal *who;
};

static void open_session_locked(struct auth *a, struct known *k, unsigned secret, const char *peer,
	const struct opened *ret) REQUIRES(a->lock)
{
	const int64_t now = wall_ms();
	uint8_t raw[32];

	random_bytes(raw, sizeof raw);
	hex_of(raw, sizeof raw, ret->cookie);
	*ret->row = (struct session_row){
		.created_ms = now, .used_ms = now, .ends_ms = now + SESSION_LIFE_MS};
	sha256_hex_of(ret->cookie, strlen(ret->cookie), ret->row->hash);
	snprintf(ret->row->token, sizeof ret->row->token, "%s", k->id);
	find_ended_locked(a, k->id, ret->ended);
	note_use(k, peer);
	principal_of(k, secret, ret->row->hash, ret->who);
}

int auth_login(struct auth *a, const struct request *rq, const char *token, char ret_cookie[65],
	struct session_row *ret_row, char ret_ended[SHA256_HEX], struct principal *ret,
	struct auth_refusal *why, struct err *e)
{
	unsigned secret = 0;
	ssize_t i;

	*why = (struct auth_refusal){0};
	mutex_lock(&a->lock);
	i = find_token_locked(a, rq->network, token, &secret, why);
	if (i >= 0)
		open_session_locked(a, &a->known[i], secret, rq->peer,
			&(struct opened){ret_cookie, ret_row, ret_ended, ret});
	mutex_unlock(&a->lock);
	return i < 0 ? refused(why, true, e) : 0;
}

/* --- accounts --- */

static ssize_t find_account_locked(const struct auth *a, const char *account) REQUIRES(a->lock)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->known[i].account && !a->known[i].revoked &&
			!strcmp(a->known[i].value, account))
			return (ssize_t)i;
	return -1;
}

/* What wrong passwords of an account are counted by, whether it is anybody's or not. */
static void account_key(const char *account, char ret[TOKEN_ID_SIZE])
{
	_cleanup_(freep) char *text = xasprintf("account %s", account);
	char hash[SHA256_HEX];

	sha256_hex_of(text, strlen(text), hash);
	snprintf(ret, TOKEN_ID_SIZE, "%.16s", hash);
}

int auth_account_wait(struct auth *a, const struct request *rq, const char *account, bool *ret_ask,
	struct auth_refusal *why, struct err *e)
{
	bool known;

	*why = (struct auth_refusal){0};
	account_key(account, why->token);
	mutex_lock(&a->lock);
	known = find_account_locked(a, account) >= 0;
	/* An account that is nobody's waits as one does that is somebody's: the answers are the same. */
	why->retry_after_s = guard_wait_s(a->guard, rq->network, why->token, true, now_us());
	*ret_ask = known || !guard_wait_s(a->guard, rq->network, why->token, false, now_us());
	mutex_unlock(&a->lock);
	if (why->retry_after_s)
		return err_set(e, ERR_OVERLOADED,
			"too many wrong passwords came from this address or for this user: wait %u s",
			why->retry_after_s);
	return 0;
}

int auth_account_login(struct auth *a, const struct request *rq, const char *account, bool right,
	char ret_cookie[65], struct session_row *ret_row, char ret_ended[SHA256_HEX],
	struct principal *ret, struct auth_refusal *why, struct err *e)
{
	ssize_t i;

	*why = (struct auth_refusal){0};
	account_key(account, why->token);
	mutex_lock(&a->lock);
	i = right ? find_account_locked(a, account) : -1;
	if (i >= 0)
		open_session_locked(a, &a->known[i], 0, rq->peer,
			&(struct opened){ret_cookie, ret_row, ret_ended, ret});
	else
		why->note = guard_failed(
			a->guard, rq->network, why->token, true, now_us(), &why->guard);
	mutex_unlock(&a->lock);
	if (i >= 0)
		return 0;
	return err_set(e, ERR_UNAUTHORIZED, "the user or the password is wrong");
}

bool auth_is_account(struct auth *a, const char *account)
{
	bool is;

	mutex_lock(&a->lock);
	is = find_account_locked(a, account) >= 0;
	mutex_unlock(&a->lock);
	return is;
}

static void logout_locked(struct auth *a, const char *session) REQUIRES(a->lock)
{
	for (size_t i = a->sessions; i-- > 0;)
		if (!strcmp(a->session[i].row.hash, session))
			drop_session_locked(a, i);
}

void auth_session_add(struct auth *a, const struct session_row *row, const char *ended)
{
	mutex_lock(&a->lock);
	if (*ended)
		logout_locked(a, ended);
	add_session_locked(a, row);
	mutex_unlock(&a->lock);
}

void auth_logout(struct auth *a, const char *session)
{
	mutex_lock(&a->lock);
	logout_locked(a, session);
	mutex_unlock(&a->lock);
}

size_t auth_tick(struct auth *a, struct session_row *ret, size_t max)
{
	int64_t now = wall_ms();
	size_t n = 0;

	mutex_lock(&a->lock);
	for (size_t i = a->sessions; i-- > 0;) {
		struct session *s = &a->session[i];

		if (s->row.ends_ms <= now || s->row.used_ms + SESSION_IDLE_MS < now) {
			drop_session_locked(a, i);
		} else if (n < max && s->row.used_ms >= s->stored_ms + USE_STORED_EVERY_MS) {
			s->stored_ms = s->row.used_ms;
			ret[n++] = s->row;
		}
	}
	mutex_unlock(&a->lock);
	return n;
}

size_t auth_token_uses(struct auth *a, struct token_use *ret, size_t max)
{
	size_t n = 0;

	mutex_lock(&a->lock);
	for (size_t i = 0; i < a->count && n < max; i++) {
		struct known *k = &a->known[i];

		if (k->revoked || k->client || !k->used_ms ||
			k->used_ms < k->stored_ms + USE_STORED_EVERY_MS)
			continue;
		k->stored_ms = k->used_ms;
		ret[n] = (struct token_use){.used_ms = k->used_ms};
		memcpy(ret[n].id, k->id, sizeof ret[n].id);
		memcpy(ret[n++].used_from, k->used_from, sizeof k->used_from);
	}
	mutex_unlock(&a->lock);
	return n;
}

bool auth_last_use(struct auth *a, const char *id, struct token_use *ret)
{
	ssize_t i;
	bool used = false;

	mutex_lock(&a->lock);
	i = index_of_locked(a, id);
	if (i >= 0 && a->known[i].used_ms) {
		*ret = (struct token_use){.used_ms = a->known[i].used_ms};
		memcpy(ret->id, a->known[i].id, sizeof ret->id);
		memcpy(ret->used_from, a->known[i].used_from, sizeof ret->used_from);
		used = true;
	}
	mutex_unlock(&a->lock);
	return used;
}

/* --- who is known by a certificate --- */

static void client_id(const char *name, char ret[TOKEN_ID_SIZE])
{
	_cleanup_(freep) char *text = xasprintf("certificate of %s", name);
	char hash[SHA256_HEX];

	sha256_hex_of(text, strlen(text), hash);
	snprintf(ret, TOKEN_ID_SIZE, "%.16s", hash);
}

/* What is in the records under a name was done by one. */
static int check_client_locked(struct auth *a, const char *name, struct err *e) REQUIRES(a->lock)
{
	for (size_t i = 0; i < a->count; i++)
		if (!a->known[i].client && !strcasecmp(a->known[i].name, name))
			return err_set(e, ERR_CONFLICT,
				"principal '%s' of provd.yaml has the name of the token %s: a name is of one alone",
				name, a->known[i].id);
	return 0;
}

static bool same_scopes(const json_t *a, const json_t *b)
{
	return a && b ? json_equal(a, b) : !a && !b;
}

static void put_scopes_locked(struct auth *a, struct known *k, const json_t *scopes)
	REQUIRES(a->lock)
{
	if (same_scopes(k->scopes, scopes))
		return;
	if (k->scopes)
		json_array_append_new(a->former, k->scopes);
	k->scopes = json_deep_copy(scopes);
}

static void put_client_locked(struct auth *a, const struct auth_client *c) REQUIRES(a->lock)
{
	struct token row = {0};
	struct known *k;
	ssize_t i;

	client_id(c->name, row.id);
	snprintf(row.name, sizeof row.name, "%s", c->name);
	i = index_of_locked(a, row.id);
	if (i < 0) {
		add_locked(a, &row, c->role);
		i = (ssize_t)a->count - 1;
	}
	k = &a->known[i];
	put_scopes_locked(a, k, c->scopes);
	if (k->value && (k->account != c->account || strcmp(k->value, c->value) != 0))
		drop_sessions_locked(a, row.id); /* somebody else has the name */
	free(k->value);
	k->client = true;
	k->revoked = false;
	k->role = c->role;
	k->account = c->account;
	k->by = c->by;
	k->value = xstrdup(c->value);
}

int auth_set_clients(struct auth *a, const struct auth_client *list, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = auth_check_name(list[i].name, e);
	mutex_lock(&a->lock);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_client_locked(a, list[i].name, e);
	for (size_t i = 0; r == 0 && i < a->count; i++)
		a->known[i].revoked |= a->known[i].client;
	for (size_t i = 0; r == 0 && i < n; i++)
		put_client_locked(a, &list[i]);
	/* One who comes back logs in again. */
	for (size_t i = 0; r == 0 && i < a->count; i++)
		if (a->known[i].client && a->known[i].revoked)
			drop_sessions_locked(a, a->known[i].id);
	a->clients += r == 0;
	mutex_unlock(&a->lock);
	return r;
}

bool auth_is_client(struct auth *a, const char *name)
{
	bool is = false;

	mutex_lock(&a->lock);
	for (size_t i = 0; i < a->count; i++)
		is |= a->known[i].client && !strcasecmp(a->known[i].name, name);
	mutex_unlock(&a->lock);
	return is;
}

void auth_clients_changed(struct auth *a)
{
	mutex_lock(&a->lock);
	a->clients++;
	mutex_unlock(&a->lock);
}

void auth_certificate_refused(struct auth *a, const struct request *rq, struct auth_refusal *why)
{
	*why = (struct auth_refusal){0};
	mutex_lock(&a->lock);
	why->note =
		guard_failed(a->guard, rq->network, "certificate", false, now_us(), &why->guard);
	mutex_unlock(&a->lock);
}
