/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/unit_keys.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/iotime.h"
#include "base/secret.h"
#include "base/thread.h"
#include "daemon/keyd/certificate.h"
#include "daemon/keyd/token.h"

#define MEMORY	     "memory"
#define KEPT_MAX     256
#define KEPT_US	     (3600 * US_PER_S)
#define NUMBER_BYTES 16
#define LABEL_MAX    64

struct kept_key {
	char name[UNIT_KEY_NAME_BYTES];
	uint64_t made_us;
	struct signer *signer; /* NULL: the place is free */
};

struct store {
	struct mutex lock;
	struct token_key *token; /* NULL: not open */
};

struct unit_keys {
	const struct keyd_config *config;
	struct store *store;
	struct mutex lock;
	struct kept_key kept[KEPT_MAX]; /* under lock */
};

struct unit_keys *unit_keys_new(const struct keyd_config *c)
{
	struct unit_keys *u = xcalloc(1, sizeof *u);

	u->config = c;
	u->store = xcalloc(c->stores + 1, sizeof *u->store);
	for (size_t i = 0; i < c->stores; i++)
		mutex_init(&u->store[i].lock);
	mutex_init(&u->lock);
	return u;
}

struct unit_keys *unit_keys_free(struct unit_keys *u)
{
	if (!u)
		return NULL;
	for (size_t i = 0; i < u->config->stores; i++) {
		token_key_free(u->store[i].token);
		mutex_done(&u->store[i].lock);
	}
	for (size_t i = 0; i < KEPT_MAX; i++)
		signer_free(u->kept[i].signer);
	mutex_done(&u->lock);
	free(u->store);
	free(u);
	return NULL;
}

/* --- in memory --- */

static void forget(struct kept_key *k)
{
	k->signer = signer_free(k->signer);
	*k = (struct kept_key){0};
}

/* A free place, or that of the oldest. */
static struct kept_key *place_for(struct unit_keys *u) REQUIRES(u->lock)
{
	struct kept_key *oldest = &u->kept[0];

	for (size_t i = 0; i < KEPT_MAX; i++) {
		struct kept_key *k = &u->kept[i];

		if (k->signer && now_us() - k->made_us > KEPT_US)
			forget(k);
		if (!k->signer)
			return k;
		if (k->made_us < oldest->made_us)
			oldest = k;
	}
	forget(oldest);
	return oldest;
}

void unit_keys_sweep(struct unit_keys *u)
{
	mutex_lock(&u->lock);
	for (size_t i = 0; i < KEPT_MAX; i++)
		if (u->kept[i].signer && now_us() - u->kept[i].made_us > KEPT_US)
			forget(&u->kept[i]);
	mutex_unlock(&u->lock);
}

static struct kept_key *find_kept(struct unit_keys *u, const char *name, struct err *e)
	REQUIRES(u->lock)
{
	for (size_t i = 0; i < KEPT_MAX; i++) {
		struct kept_key *k = &u->kept[i];

		if (k->signer && !strcmp(k->name, name) && now_us() - k->made_us <= KEPT_US)
			return k;
	}
	err_set(e, ERR_NOT_FOUND,
		"there is no key '%.60s': it was handed out before, is older than an hour, or provd-keyd was started again since; make another one (key.generate)",
		name);
	return NULL;
}

static int make_in_memory(struct unit_keys *u, enum x509_alg alg,
	char ret_name[UNIT_KEY_NAME_BYTES], char **ret_public, struct err *e)
{
	uint8_t number[NUMBER_BYTES];
	char hex[2 * NUMBER_BYTES + 1];
	struct signer *s;
	struct kept_key *k;
	int r = signer_make(alg, &s, e);

	if (r < 0)
		return r;
	random_bytes(number, sizeof number);
	*ret_public = x509_pem("PUBLIC KEY", signer_key(s)->der, signer_key(s)->der_bytes);
	mutex_lock(&u->lock);
	k = place_for(u);
	k->signer = s;
	k->made_us = now_us();
	snprintf(k->name, sizeof k->name, MEMORY "/%s", hex_of(number, sizeof number, hex));
	snprintf(ret_name, UNIT_KEY_NAME_BYTES, "%s", k->name);
	mutex_unlock(&u->lock);
	return 0;
}

int unit_key_take(
	struct unit_keys *u, const char *name, uint8_t **ret, size_t *ret_n, struct err *e)
{
	struct kept_key *k;
	int r;

	if (strncmp(name, MEMORY "/", strlen(MEMORY) + 1) != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"the key '%.100s' is in a token, which does not give it out: only one that was made in memory is written into a unit",
			name);
	mutex_lock(&u->lock);
	k = find_kept(u, name, e);
	r = k ? signer_private(k->signer, ret, ret_n, e) : -ERR_NOT_FOUND;
	if (r == 0)
		forget(k);
	mutex_unlock(&u->lock);
	return r;
}

/* --- in a token --- */

static int store_index(const struct unit_keys *u, const char *name, size_t n, struct err *e)
{
	for (size_t i = 0; i < u->config->stores; i++)
		if (strlen(u->config->store[i].name) == n &&
			!strncmp(u->config->store[i].name, name, n))
			return (int)i;
	return err_set(
		e, ERR_NOT_FOUND, "provd.yaml names no store '%.*s'", (int)MIN(n, 64u), name);
}

int unit_keys_open_store(struct unit_keys *u, size_t i, struct err *e)
{
	struct store *s = &u->store[i];
	int r = 0;

	mutex_lock(&s->lock);
	if (!s->token)
		r = token_key_open(&u->config->store[i].place, TOKEN_STORE, &s->token, e);
	mutex_unlock(&s->lock);
	return r;
}

static int check_label(const char *label, struct err *e)
{
	size_t n = strlen(label);

	if (n < 1 || n > LABEL_MAX)
		return err_set(e, ERR_INVALID,
			"a key in a token has a label of 1 to %d characters, such as '${unit.serial}': %zu came",
			LABEL_MAX, n);
	for (const char *c = label; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(e, ERR_INVALID,
				"the label of a key in a token has a control character");
	return 0;
}

static int make_in_token(struct unit_keys *u, const char *store, enum x509_alg alg,
	const char *label, struct x509_key *ret, bool *ret_before, struct err *e)
{
	int i = store_index(u, store, strlen(store), e);
	int r = i < 0 ? i : check_label(label, e);

	if (r == 0)
		r = unit_keys_open_store(u, (size_t)i, e);
	if (r == 0)
		r = token_make_pair(u->store[i].token, alg, label, ret, ret_before, e);
	return r < 0 ? err_prefix(e, "store '%.64s'", store) : 0;
}

/* The key of "STORE/LABEL", opened for as long as the request takes. */
static int open_in_token(struct unit_keys *u, const char *name, struct signer **ret, struct err *e)
{
	const char *slash = strchr(name, '/');
	int i = slash ? store_index(u, name, (size_t)(slash - name), e)
		      : err_set(e, ERR_NOT_FOUND, "there is no key '%.100s'", name);
	struct x509_key public = {0};
	struct key_place place;
	int r = i < 0 ? i : unit_keys_open_store(u, (size_t)i, e);

	if (r < 0)
		return r;
	place = u->config->store[i].place;
	place.watched = u->config->store[i].place.key;
	place.key = token_uri_of(place.key, slash + 1);
	r = place.key ? token_public(u->store[i].token, slash + 1, &public, e)
		      : err_set(e, ERR_INVALID, "store '%.64s' is not a PKCS#11 URI",
				u->config->store[i].name);
	if (r == 0)
		r = signer_open(&place, &public, ret, e);
	x509_key_done(&public);
	free(place.key);
	return r;
}

/* --- both --- */

int unit_key_make(struct unit_keys *u, const char *store, const char *alg, const char *label,
	char ret_name[UNIT_KEY_NAME_BYTES], struct x509_key *ret, bool *ret_before, struct err *e)
{
	enum x509_alg kind = x509_alg_of(alg);
	_cleanup_(freep) char *public = NULL;
	int r;

	*ret_before = false;
	if (!kind)
		return err_set(e, ERR_INVALID, "'%.20s' is not a kind of key", alg);
	if (*store) {
		r = make_in_token(u, store, kind, label, ret, ret_before, e);
		snprintf(ret_name, UNIT_KEY_NAME_BYTES, "%.64s/%.64s", store, label);
		return r;
	}
	r = make_in_memory(u, kind, ret_name, &public, e);
	return r < 0 ? r : x509_key_read(public, ret, e);
}

/* Ends a part of a name at the next comma that has no backslash before it; what follows, or NULL. */
static char *cut_part(char *s)
{
	char *to = s;
	char *rest;

	for (; *s && *s != ','; s++) {
		if (*s == '\\' && s[1])
			s++;
		*to++ = *s;
	}
	rest = *s ? s + 1 : NULL;
	*to = '\0';
	return rest;
}

static int put_name(X509_NAME *name, const char *subject, struct err *e)
{
	_cleanup_(freep) char *copy = xstrdup(subject);
	char *part = *copy ? copy : NULL;

	while (part) {
		char *rest = cut_part(part);
		char *value = strchr(part, '=');

		if (value)
			*value++ = '\0';
		if (!value || X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
				      (const unsigned char *)value, -1, -1, 0) != 1)
			return err_set(e, ERR_INVALID,
				"the subject '%.120s' is not a name such as 'CN=SN-1,O=Example': see '%.60s'",
				subject, part);
		part = rest;
	}
	return 0;
}

static int sign_request(
	struct signer *s, const char *subject, uint8_t **ret, size_t *ret_n, struct err *e)
{
	const unsigned char *der = signer_key(s)->der;
	X509_PUBKEY *public = d2i_X509_PUBKEY(NULL, &der, (long)signer_key(s)->der_bytes);
	X509_REQ *req = X509_REQ_new();
	unsigned char *tbs = NULL;
	int n = 0;
	int r = put_name(X509_REQ_get_subject_name(req), subject, e);

	if (r == 0 && (!public || X509_REQ_set_pubkey(req, X509_PUBKEY_get0(public)) != 1))
		r = err_set(e, ERR_INTERNAL, "OpenSSL does not take the public key");
	if (r == 0)
		n = i2d_re_X509_REQ_tbs(req, &tbs);
	if (r == 0)
		r = signed_der(s, tbs, n > 0 ? (size_t)n : 0, ret, ret_n, e);
	OPENSSL_free(tbs);
	X509_PUBKEY_free(public);
	X509_REQ_free(req);
	ERR_clear_error();
	return r;
}

static int request_in_token(struct unit_keys *u, const char *name, const char *subject,
	uint8_t **ret, size_t *ret_n, struct err *e)
{
	_cleanup_(signer_freep) struct signer *s = NULL;
	int r = open_in_token(u, name, &s, e);

	return r < 0 ? r : sign_request(s, subject, ret, ret_n, e);
}

int unit_key_request(struct unit_keys *u, const char *name, const char *subject, uint8_t **ret,
	size_t *ret_n, struct err *e)
{
	struct kept_key *k;
	int r;

	if (strncmp(name, MEMORY "/", strlen(MEMORY) + 1) != 0)
		return request_in_token(u, name, subject, ret, ret_n, e);
	mutex_lock(&u->lock);
	k = find_kept(u, name, e);
	r = k ? sign_request(k->signer, subject, ret, ret_n, e) : -ERR_NOT_FOUND;
	mutex_unlock(&u->lock);
	return r;
}
