/* SPDX-License-Identifier: Apache-2.0 */
#include "api/auth.h"

#include "base/iotime.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/util.h"
#include "db/tokens.h"

#define SESSIONS_MAX 256

static const char *const role_name[ROLES] = {
	"viewer", "operator", "supervisor", "engineer", "mes", "admin"};

struct known {
	char id[TOKEN_ID_SIZE];
	char name[64];
	enum role role;
	uint8_t hash[SHA256_BYTES];
	bool revoked;
	double bucket; /* requests that may come now */
	uint64_t filled_us;
};

struct session {
	uint8_t hash[SHA256_BYTES]; /* of the cookie */
	size_t token;
	uint64_t until_us; /* 0: free */
};

struct auth {
	struct mutex lock;
	struct known *known;
	size_t count;
	struct session session[SESSIONS_MAX];
};

const char *role_str(enum role r)
{
	return role_name[r];
}

int role_from_str(const char *s)
{
	for (int i = 0; i < ROLES; i++)
		if (!strcmp(role_name[i], s))
			return i;
	return -1;
}

void auth_make_token(char text[TOKEN_TEXT_SIZE], char id[TOKEN_ID_SIZE], char hash[SHA256_HEX])
{
	uint8_t raw[24];
	char secret[2 * sizeof raw + 1];

	random_bytes(raw, 8);
	hex_of(raw, 8, id);
	random_bytes(raw, sizeof raw);
	hex_of(raw, sizeof raw, secret);
	snprintf(text, TOKEN_TEXT_SIZE, "pvd_%s_%s", id, secret);
	sha256_hex_of(secret, strlen(secret), hash);
	secret_wipe(raw, sizeof raw);
	secret_wipe(secret, sizeof secret);
}

static void add_locked(
	struct auth *a, const char *id, const char *name, enum role role, const char *hash)
{
	struct known *grown = reallocarray(a->known, a->count + 1, sizeof *grown);
	struct known *k;

	if (!grown)
		abort();
	a->known = grown;
	k = &grown[a->count++];
	*k = (struct known){.role = role};
	snprintf(k->id, sizeof k->id, "%s", id);
	snprintf(k->name, sizeof k->name, "%s", name);
	if (!hex_parse(hash, k->hash, sizeof k->hash))
		k->revoked = true;
}

void auth_add(struct auth *a, const char *id, const char *name, enum role role, const char *hash)
{
	mutex_lock(&a->lock);
	add_locked(a, id, name, role, hash);
	mutex_unlock(&a->lock);
}

int auth_new(struct db *reader, struct auth **ret, struct err *e)
{
	struct auth *a = xcalloc(1, sizeof *a);
	json_t *list = NULL;
	json_t *o;
	size_t i;
	int r;

	mutex_init(&a->lock);
	r = tokens_list(reader, &list, e);
	json_array_foreach(list, i, o) {
		const char *id = json_string_value(json_object_get(o, "id"));
		struct token t;
		int role;

		r = tokens_find(reader, id, &t, e);
		if (r < 0)
			break;
		role = role_from_str(t.role);
		if (!t.revoked && role >= 0)
			add_locked(a, t.id, t.name, (enum role)role, t.secret_sha256);
	}
	json_decref(list);
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
		free(a->known);
		free(a);
	}
	return NULL;
}

void auth_revoke(struct auth *a, const char *id)
{
	mutex_lock(&a->lock);
	for (size_t i = 0; i < a->count; i++)
		if (!strcmp(a->known[i].id, id))
			a->known[i].revoked = true;
	mutex_unlock(&a->lock);
}

bool auth_has_admin(struct auth *a)
{
	bool has = false;

	mutex_lock(&a->lock);
	for (size_t i = 0; i < a->count; i++)
		has |= a->known[i].role == ROLE_ADMIN && !a->known[i].revoked;
	mutex_unlock(&a->lock);
	return has;
}

/* "pvd_<16 hex>_<48 hex>" -> the index of the token, or -1. */
static ssize_t find_token_locked(struct auth *a, const char *text)
{
	const char *secret;
	uint8_t hash[SHA256_BYTES];

	if (strncmp(text, "pvd_", 4) != 0 || strlen(text) >= TOKEN_TEXT_SIZE)
		return -1;
	text += 4;
	secret = strchr(text, '_');
	if (!secret || secret - text != TOKEN_ID_SIZE - 1)
		return -1;
	secret++;
	for (size_t i = 0; i < a->count; i++) {
		if (strncmp(a->known[i].id, text, TOKEN_ID_SIZE - 1) != 0)
			continue;
		sha256_of(secret, strlen(secret), hash);
		return !a->known[i].revoked && secret_equal(hash, a->known[i].hash, sizeof hash)
			       ? (ssize_t)i
			       : -1;
	}
	return -1;
}

static ssize_t find_session_locked(struct auth *a, const char *cookie)
{
	uint8_t hash[SHA256_BYTES];
	uint64_t now = now_us();

	sha256_of(cookie, strlen(cookie), hash);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (a->session[i].until_us > now &&
			secret_equal(hash, a->session[i].hash, sizeof hash))
			return (ssize_t)i;
	return -1;
}

/* A token bucket of two seconds' worth. */
static bool take_locked(struct known *k, unsigned rate)
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

static void principal_of(const struct known *k, bool by_cookie, struct principal *ret)
{
	memcpy(ret->id, k->id, sizeof ret->id);
	memcpy(ret->name, k->name, sizeof ret->name);
	ret->role = k->role;
	ret->by_cookie = by_cookie;
}

int auth_check(struct auth *a, const struct request *rq, unsigned rate, struct principal *ret,
	struct err *e)
{
	const char *header = request_header(rq, "Authorization");
	const char *cookie = request_cookie(rq, SESSION_COOKIE);
	ssize_t i = -1;
	bool ok = true;

	mutex_lock(&a->lock);
	if (header && !strncmp(header, "Bearer ", 7)) {
		i = find_token_locked(a, header + 7);
	} else if (!header && cookie) {
		ssize_t s = find_session_locked(a, cookie);

		if (s >= 0 && !a->known[a->session[s].token].revoked)
			i = (ssize_t)a->session[s].token;
	}
	if (i >= 0) {
		principal_of(&a->known[i], header == NULL, ret);
		ok = take_locked(&a->known[i], rate);
	}
	mutex_unlock(&a->lock);
	if (i < 0)
		return err_set(e, ERR_UNAUTHORIZED,
			header || cookie ? "the token is unknown or revoked"
					 : "a bearer token is needed");
	if (!ok)
		return err_set(e, ERR_OVERLOADED, "more than %u requests a second", rate);
	return 0;
}

int auth_login(struct auth *a, const char *token, char ret_cookie[65], struct principal *ret,
	struct err *e)
{
	uint8_t raw[32];
	uint64_t now = now_us();
	size_t slot = 0;
	ssize_t i;

	random_bytes(raw, sizeof raw);
	hex_of(raw, sizeof raw, ret_cookie);
	mutex_lock(&a->lock);
	i = find_token_locked(a, token);
	if (i >= 0) {
		/* A free place, else the one that ends first. */
		for (size_t k = 0; k < SESSIONS_MAX; k++)
			if (a->session[k].until_us < a->session[slot].until_us)
				slot = k;
		a->session[slot].token = (size_t)i;
		a->session[slot].until_us = now + SESSION_LIFE_US;
		sha256_of(ret_cookie, strlen(ret_cookie), a->session[slot].hash);
		principal_of(&a->known[i], true, ret);
	}
	mutex_unlock(&a->lock);
	return i < 0 ? err_set(e, ERR_UNAUTHORIZED, "the token is unknown or revoked") : 0;
}

void auth_logout(struct auth *a, const char *cookie)
{
	mutex_lock(&a->lock);

	ssize_t i = find_session_locked(a, cookie);

	if (i >= 0)
		a->session[i].until_us = 0;
	mutex_unlock(&a->lock);
}

void auth_tick(struct auth *a)
{
	uint64_t now = now_us();

	mutex_lock(&a->lock);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (a->session[i].until_us <= now)
			a->session[i].until_us = 0;
	mutex_unlock(&a->lock);
}
