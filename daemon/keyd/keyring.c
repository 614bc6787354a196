/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/keyring.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/checkpoint.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/seal.h"
#include "base/thread.h"
#include "base/timefmt.h"

#define CHAIN_MAX 32768
#define OPEN_US	  (60 * US_PER_S) /* a module that hangs ends the process before */
#define LIST_US	  (2 * US_PER_S)  /* of a list, within what provd waits for it */

struct held_issuer {
	const struct issuer_config *config;
	struct mutex lock; /* of the next two; once it is open the signer stays */
	struct cond opened;
	bool opening; /* a thread is at it, without the lock: who lists the issuers does not wait for a module */
	struct issuer issuer;
	struct profile **profile; /* NULL-terminated */
};

struct held_master {
	struct mutex lock;     /* of opening it, as that below */
	struct master *master; /* NULL: not open */
};

struct held_signer {
	struct mutex lock;
	struct signer *signer; /* NULL: not open */
};

/* A lock for each, held while a token is asked: one that hangs holds up nothing else. */
struct keyring {
	const struct keyd_config *config;
	struct held_issuer *issuer;
	struct held_master *master;
	struct held_signer *signer;
	struct unit_keys *unit_keys;
};

/* --- the start --- */

static char *read_text(const char *path, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char *text = f ? xcalloc(1, CHAIN_MAX + 1) : NULL;
	size_t n = f ? fread(text, 1, CHAIN_MAX + 1, f) : 0;

	if (f && n > 0 && n <= CHAIN_MAX)
		return text;
	if (!f)
		err_errno(e, ERR_IO, errno, "%s", path);
	else
		err_set(e, ERR_INVALID, "%s has %zu bytes, 1 to %d expected", path, n, CHAIN_MAX);
	free(text);
	return NULL;
}

static int load_issuer(
	struct keyring *k, struct held_issuer *h, struct strbuf *report, struct err *e)
{
	_cleanup_(freep) char *file = read_text(h->config->certificate, e);
	char *first = NULL;
	size_t n = 0;
	int r;

	if (!file)
		return -(int)e->code;
	/* The certificates alone: a key that is in the same file goes nowhere. */
	r = x509_bundle_read(file, strlen(file), NULL, &first, &h->issuer.chain, e);
	free(first);
	if (r == 0)
		r = issuer_read(&h->issuer, e);
	if (r < 0)
		return err_prefix(e, "%s", h->config->certificate);
	while (h->config->profiles[n])
		n++;
	h->profile = xcalloc(n + 1, sizeof *h->profile);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = profile_load(
			k->config->profiles, h->config->profiles[i], report, &h->profile[i], e);
	return r;
}

/* The key of checkpoints is made on its first use, and not by whoever only looks. */
static bool is_to_be_made(const struct named_key *c)
{
	return c->signs == SIGNS_CHECKPOINTS && !key_place_is_token(&c->place) &&
	       access(c->place.key, F_OK) < 0 && errno == ENOENT;
}

static int make_record_key(const struct named_key *c, struct err *e)
{
	_cleanup_(seal_freep) struct seal *made = NULL;
	int r;

	if (!is_to_be_made(c))
		return 0;
	r = seal_open(c->place.key, &made, e);
	if (r == 0)
		log_notice(
			"signer %s: its key %s was made; whoever verifies the records needs its public part",
			c->name, c->place.key);
	return r;
}

static int open_signer(struct keyring *k, size_t i, struct err *e)
{
	const struct named_key *c = &k->config->signer[i];
	struct held_signer *h = &k->signer[i];
	_cleanup_(freep) char *text = c->public ? read_text(c->public, e) : NULL;
	struct x509_key expected = {0};
	int r = 0;

	if (c->public)
		r = text ? x509_key_read(text, &expected, e) : -(int)e->code;
	mutex_lock(&h->lock);
	if (r == 0 && !h->signer)
		r = make_record_key(c, e);
	if (r == 0 && !h->signer)
		r = signer_open(&c->place, c->public ? &expected : NULL, &h->signer, e);
	mutex_unlock(&h->lock);
	x509_key_done(&expected);
	return r;
}

static int open_master(struct keyring *k, size_t i, struct err *e)
{
	struct held_master *h = &k->master[i];
	int r = 0;

	mutex_lock(&h->lock);
	if (!h->master)
		r = master_open(&k->config->master[i].place, &h->master, e);
	mutex_unlock(&h->lock);
	return r;
}

static int open_alone(struct held_issuer *h, struct err *e) REQUIRES(h->lock)
{
	struct signer *s = NULL;
	int r;

	h->opening = true;
	mutex_unlock(&h->lock);
	r = signer_open(&h->config->place, &h->issuer.cert.key, &s, e);
	mutex_lock(&h->lock);
	h->opening = false;
	h->issuer.signer = s;
	cond_broadcast(&h->opened);
	return r;
}

/* Where another thread opens it, that is waited for, until deadline_us. */
static int open_issuer(struct held_issuer *h, uint64_t deadline_us, struct err *e)
{
	bool late = false;
	int r = 0;

	mutex_lock(&h->lock);
	while (h->opening && !late)
		late = !cond_wait_until(&h->opened, &h->lock, deadline_us);
	if (h->opening)
		r = err_set(e, ERR_TOKEN_GONE,
			"the key '%.160s' is being opened, and its token does not answer so far",
			h->config->place.key);
	else if (!h->issuer.signer)
		r = open_alone(h, e);
	mutex_unlock(&h->lock);
	return r;
}

unsigned keyring_try(struct keyring *k)
{
	unsigned closed = 0;
	struct err e;

	for (size_t i = 0; i < k->config->issuers; i++)
		if (open_issuer(&k->issuer[i], now_us() + OPEN_US, &e) < 0) {
			log_warning("issuer %s: %s", k->config->issuer[i].name, e.msg);
			closed++;
		}
	for (size_t i = 0; i < k->config->masters; i++)
		if (open_master(k, i, &e) < 0) {
			log_warning("master %s: %s", k->config->master[i].name, e.msg);
			closed++;
		}
	for (size_t i = 0; i < k->config->signers; i++)
		if (!is_to_be_made(&k->config->signer[i]) && open_signer(k, i, &e) < 0) {
			log_warning("signer %s: %s", k->config->signer[i].name, e.msg);
			closed++;
		}
	for (size_t i = 0; i < k->config->stores; i++)
		if (unit_keys_open_store(k->unit_keys, i, &e) < 0) {
			log_warning("store %s: %s", k->config->store[i].name, e.msg);
			closed++;
		}
	return closed;
}

static void make_places(struct keyring *k)
{
	k->issuer = xcalloc(k->config->issuers + 1, sizeof *k->issuer);
	k->master = xcalloc(k->config->masters + 1, sizeof *k->master);
	k->signer = xcalloc(k->config->signers + 1, sizeof *k->signer);
	for (size_t i = 0; i < k->config->issuers; i++) {
		k->issuer[i].config = &k->config->issuer[i];
		mutex_init(&k->issuer[i].lock);
		cond_init(&k->issuer[i].opened);
	}
	for (size_t i = 0; i < k->config->masters; i++)
		mutex_init(&k->master[i].lock);
	for (size_t i = 0; i < k->config->signers; i++)
		mutex_init(&k->signer[i].lock);
}

int keyring_open(
	const struct keyd_config *c, struct strbuf *report, struct keyring **ret, struct err *e)
{
	_cleanup_(keyring_freep) struct keyring *k = xcalloc(1, sizeof *k);
	int r = 0;

	k->config = c;
	k->unit_keys = unit_keys_new(c);
	make_places(k);
	for (size_t i = 0; r == 0 && i < c->issuers; i++) {
		r = load_issuer(k, &k->issuer[i], report, e);
		if (r < 0)
			err_prefix(e, "issuer %s", c->issuer[i].name);
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(&k);
	return 0;
}

struct keyring *keyring_free(struct keyring *k)
{
	if (!k)
		return NULL;
	for (size_t i = 0; i < k->config->issuers; i++) {
		struct held_issuer *h = &k->issuer[i];

		issuer_done(&h->issuer);
		for (struct profile **p = h->profile; p && *p; p++)
			profile_free(*p);
		free(h->profile);
		cond_done(&h->opened);
		mutex_done(&h->lock);
	}
	for (size_t i = 0; i < k->config->masters; i++) {
		master_free(k->master[i].master);
		mutex_done(&k->master[i].lock);
	}
	for (size_t i = 0; i < k->config->signers; i++) {
		signer_free(k->signer[i].signer);
		mutex_done(&k->signer[i].lock);
	}
	unit_keys_free(k->unit_keys);
	free(k->issuer);
	free(k->master);
	free(k->signer);
	free(k);
	return NULL;
}

struct unit_keys *keyring_unit_keys(struct keyring *k)
{
	return k->unit_keys;
}

/* --- what there is --- */

static json_t *profile_json(const struct profile *p)
{
	json_t *keys = json_array();

	for (int a = X509_ALG_NONE + 1; a < X509_ALG_COUNT; a++)
		if (p->keys & 1u << a)
			json_array_append_new(keys, json_string(x509_alg_name((enum x509_alg)a)));
	return json_pack("{s:s, s:i, s:s, s:o, s:i}", "name", p->name, "version", p->version,
		"digest", p->digest, "keys", keys, "days", p->days);
}

static json_t *issuer_json(struct keyring *k, struct held_issuer *h)
{
	const struct x509_cert *c = &h->issuer.cert;
	json_t *profiles = json_array();
	char from[RFC3339_SIZE], to[RFC3339_SIZE];
	struct err e = {0};
	int r;

	for (struct profile **p = h->profile; *p; p++)
		json_array_append_new(profiles, profile_json(*p));
	r = open_issuer(h, now_us() + LIST_US, &e);
	if (r == 0)
		r = signer_ready(h->issuer.signer, &e);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s?, s:o}", "name",
		h->config->name, "kind", issuer_kinds[ISSUER_LOCAL], "subject", c->subject, "key",
		x509_alg_name(c->key.alg), "sha256", c->sha256, "not_before",
		rfc3339(c->not_before_s * 1000, from), "not_after",
		rfc3339(c->not_after_s * 1000, to), "ready", r == 0, "problem",
		r == 0 ? NULL : e.msg, "profiles", profiles);
}

json_t *keyring_issuers(struct keyring *k)
{
	json_t *a = json_array();

	for (size_t i = 0; i < k->config->issuers; i++)
		json_array_append_new(a, issuer_json(k, &k->issuer[i]));
	return a;
}

/* --- certificates --- */

static struct held_issuer *find_issuer(struct keyring *k, const char *name, struct err *e)
{
	for (size_t i = 0; i < k->config->issuers; i++)
		if (!strcmp(k->issuer[i].config->name, name))
			return &k->issuer[i];
	err_set(e, ERR_NOT_FOUND, "provd.yaml names no issuer '%.64s'", name);
	return NULL;
}

static const struct profile *find_profile(
	const struct held_issuer *h, const char *name, struct err *e)
{
	for (struct profile **p = h->profile; *p; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	err_set(e, ERR_PROFILE_REFUSED,
		"issuer '%s' issues nothing by a profile '%.64s': see its 'profiles' in provd.yaml",
		h->config->name, name);
	return NULL;
}

struct draft {
	const struct held_issuer *issuer;
	const struct profile *profile;
	struct x509_st *x;
};

struct draft *draft_free(struct draft *d)
{
	if (d)
		certificate_draft_free(d->x);
	free(d);
	return NULL;
}

int keyring_draft(struct keyring *k, const struct certify_request *q, bool ready,
	struct draft **ret, const struct profile **ret_profile, struct err *e)
{
	struct held_issuer *h = find_issuer(k, q->issuer, e);
	const struct profile *p = h ? find_profile(h, q->profile, e) : NULL;
	json_t *values = json_loads(q->values, JSON_REJECT_DUPLICATES, NULL);
	const struct certificate_order o = {.profile = p,
		.csr = q->csr,
		.csr_bytes = q->csr_bytes,
		.serial = q->serial,
		.values = values,
		.now_s = wall_ms() / 1000};
	struct x509_st *x = NULL;
	int r = p ? 0 : -(int)e->code;

	if (r == 0 && !json_is_object(values))
		r = err_set(e, ERR_INVALID, "the values of the certificate are not a JSON object");
	if (r == 0)
		r = open_issuer(h, now_us() + OPEN_US, e);
	if (r == 0 && ready)
		r = signer_ready(h->issuer.signer, e);
	if (r == 0)
		r = certificate_draft(&h->issuer, &o, &x, e);
	json_decref(values);
	if (r < 0)
		return err_prefix(e, "issuer '%.64s'", q->issuer);
	*ret = xcalloc(1, sizeof **ret);
	**ret = (struct draft){h, p, x};
	*ret_profile = p;
	return 0;
}

int keyring_issue(struct draft *d, uint8_t **ret, size_t *ret_n, const char **ret_chain,
	const struct profile **ret_profile, struct err *e)
{
	int r = certificate_sign(&d->issuer->issuer, d->x, ret, ret_n, e);

	if (r < 0)
		return err_prefix(e, "issuer '%.64s'", d->issuer->config->name);
	*ret_chain = d->issuer->issuer.chain;
	*ret_profile = d->profile;
	return 0;
}

/* --- masters and signers --- */

static int index_of(
	const struct named_key *list, size_t n, const char *what, const char *name, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].name, name))
			return (int)i;
	return err_set(e, ERR_NOT_FOUND, "provd.yaml names no %s '%.64s'", what, name);
}

int keyring_derive(struct keyring *k, const char *master, const char *label, const void *context,
	size_t context_n, uint8_t *ret, size_t n, struct err *e)
{
	int i = index_of(k->config->master, k->config->masters, "master", master, e);
	int r = i;

	if (r >= 0)
		r = open_master(k, (size_t)i, e);
	return r < 0 ? r : master_derive(k->master[i].master, label, context, context_n, ret, n, e);
}

static int sign_by(struct keyring *k, enum signs what, const char *key, const void *text, size_t n,
	uint8_t ret[SIGNATURE_MAX], size_t *ret_n, char **ret_public, struct err *e)
{
	int i = index_of(k->config->signer, k->config->signers, "signer", key, e);
	int r = i;

	if (r >= 0 && k->config->signer[i].signs != (int)what)
		return err_set(e, ERR_FORBIDDEN,
			"signer '%.64s' signs %s and nothing else: name another one, or see its 'signs' in provd.yaml",
			key, signs_names[k->config->signer[i].signs]);
	if (r >= 0)
		r = open_signer(k, (size_t)i, e);
	if (r == 0)
		r = signer_sign(k->signer[i].signer, text, n, ret, ret_n, e);
	if (r == 0)
		*ret_public = x509_pem("PUBLIC KEY", signer_key(k->signer[i].signer)->der,
			signer_key(k->signer[i].signer)->der_bytes);
	return r;
}

int keyring_sign(struct keyring *k, const char *key, const void *record, size_t n,
	uint8_t ret[SIGNATURE_MAX], size_t *ret_n, char **ret_public, struct err *e)
{
	return sign_by(k, SIGNS_DOCUMENTS, key, record, n, ret, ret_n, ret_public, e);
}

int keyring_sign_checkpoint(struct keyring *k, const char *key, const void *text, size_t n,
	uint8_t ret[SIGNATURE_MAX], size_t *ret_n, char **ret_public, struct err *e)
{
	struct checkpoint c;
	int r = checkpoint_read(text, n, &c, e);

	if (r == 0)
		r = sign_by(k, SIGNS_CHECKPOINTS, key, text, n, ret, ret_n, ret_public, e);
	if (r == 0 && *ret_n != CHECKPOINT_SIGNATURE) {
		free(*ret_public);
		*ret_public = NULL;
		r = err_set(e, ERR_INVALID,
			"signer '%.64s' signs checkpoints, and its key is not of the kind ed25519",
			key);
	}
	return r;
}
