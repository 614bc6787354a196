/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <sys/stat.h>
#include <time.h>

#include "base/secret.h"
#include "base/thread.h"
#include "base/util.h"

#define CHAIN_MAX      8
#define KEY_FILE_BYTES 65536

/* What a handshake needs. */
struct pair {
	gnutls_x509_crt_t *crt;
	unsigned crts;
	gnutls_x509_privkey_t key;
};

/* By what a file is known to be another. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

#define FILES 4

struct tls {
	struct mutex lock;
	struct pair pair;
	struct tls_trust *trust; /* NULL: clients are not asked */
	unsigned generation;
	struct tls_state state;
	/* Main alone: */
	char *path[FILES]; /* certificate, key, client_ca, client_crl */
	struct stamp taken[FILES], seen[FILES];
};

/* --- files --- */

static void stamp_files(char *const path[FILES], struct stamp ret[FILES])
{
	memset(ret, 0, FILES * sizeof *ret);
	for (size_t i = 0; i < FILES; i++) {
		struct stat st;

		if (!path[i] || stat(path[i], &st) < 0)
			continue;
		ret[i].dev = st.st_dev;
		ret[i].ino = st.st_ino;
		ret[i].size = st.st_size;
		ret[i].changed = st.st_ctim;
	}
}

static bool same_stamps(const struct stamp a[FILES], const struct stamp b[FILES])
{
	return !memcmp(a, b, FILES * sizeof *a);
}

/* The bytes of a key, which the caller wipes. */
static int read_key(const char *path, char *buf, size_t *ret, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, errno, "tls.key: %s", path);
	if (st.st_mode & (S_IRWXO | S_IWGRP))
		return err_set(e, ERR_INVALID,
			"tls.key: %s has mode %04o: a key that others cannot read expected: chmod 0600",
			path, (unsigned)st.st_mode & 07777);
	n = read(fd, buf, KEY_FILE_BYTES);
	if (n < 0)
		return err_errno(e, ERR_IO, errno, "tls.key: %s", path);
	*ret = (size_t)n;
	return 0;
}

static int load_key(const char *path, gnutls_x509_privkey_t *ret, struct err *e)
{
	char *buf = xcalloc(1, KEY_FILE_BYTES);
	gnutls_datum_t text = {.data = (unsigned char *)buf};
	size_t n = 0;
	int r = read_key(path, buf, &n, e);

	text.size = (unsigned)n;
	if (r == 0) {
		if (gnutls_x509_privkey_init(ret) < 0)
			abort();
		r = gnutls_x509_privkey_import2(*ret, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
		if (r < 0) {
			gnutls_x509_privkey_deinit(*ret);
			*ret = NULL;
			r = err_set(e, ERR_INVALID,
				"tls.key: %s: %s: a private key in PEM without a passphrase expected",
				path, gnutls_strerror(r));
		}
	}
	secret_wipe(buf, n);
	free(buf);
	return r;
}

static int load_certificate(const char *path, struct pair *ret, struct err *e)
{
	gnutls_datum_t text;
	int r = gnutls_load_file(path, &text);

	if (r == 0) {
		r = gnutls_x509_crt_list_import2(
			&ret->crt, &ret->crts, &text, GNUTLS_X509_FMT_PEM, 0);
		gnutls_free(text.data);
	}
	if (r >= 0 && ret->crts > CHAIN_MAX)
		return err_set(e, ERR_INVALID,
			"tls.certificate: %s has %u certificates: at most %d expected, the API's own first",
			path, ret->crts, CHAIN_MAX);
	return r < 0 ? err_set(e, ERR_INVALID,
			       "tls.certificate: %s: %s: certificates in PEM expected, the API's own first",
			       path, gnutls_strerror(r))
		     : 0;
}

static void pair_done(struct pair *p)
{
	for (unsigned i = 0; i < p->crts; i++)
		gnutls_x509_crt_deinit(p->crt[i]);
	gnutls_free(p->crt);
	if (p->key)
		gnutls_x509_privkey_deinit(p->key);
	*p = (struct pair){0};
}

static int check_pair(const struct pair *p, char *const path[FILES], struct err *e)
{
	unsigned char of_crt[64];
	unsigned char of_key[64];
	size_t n = sizeof of_crt;
	size_t m = sizeof of_key;

	if (gnutls_x509_crt_get_key_id(p->crt[0], GNUTLS_KEYID_USE_SHA256, of_crt, &n) < 0 ||
		gnutls_x509_privkey_get_key_id(p->key, GNUTLS_KEYID_USE_SHA256, of_key, &m) < 0 ||
		n != m || memcmp(of_crt, of_key, n) != 0)
		return err_set(e, ERR_INVALID,
			"tls: the key %s is not that of the first certificate in %s: the two files of one pair expected",
			path[1], path[0]);
	return 0;
}

static int load_pair(char *const path[FILES], struct pair *ret, struct err *e)
{
	int r = load_certificate(path[0], ret, e);

	if (r == 0)
		r = load_key(path[1], &ret->key, e);
	if (r == 0)
		r = check_pair(ret, path, e);
	if (r < 0)
		pair_done(ret);
	return r;
}

/* --- what is shown --- */

static void describe(const struct pair *p, struct tls_state *ret)
{
	size_t n = sizeof ret->subject;

	*ret = (struct tls_state){.starts_s = gnutls_x509_crt_get_activation_time(p->crt[0]),
		.ends_s = gnutls_x509_crt_get_expiration_time(p->crt[0])};
	if (gnutls_x509_crt_get_dn(p->crt[0], ret->subject, &n) < 0)
		ret->subject[0] = 0;
}

/* All of it, or nothing and the reason. fresh: what is there is replaced, by what is valid now alone. */
static int take(struct tls *t, bool fresh, struct err *e)
{
	struct pair pair = {0};
	struct tls_trust *trust = NULL;
	time_t now = time(NULL);
	int r = load_pair(t->path, &pair, e);

	if (r == 0 && fresh &&
		(gnutls_x509_crt_get_expiration_time(pair.crt[0]) < now ||
			gnutls_x509_crt_get_activation_time(pair.crt[0]) > now))
		r = err_set(e, ERR_INVALID,
			"tls.certificate: %s is not valid now: one that is expected, or the clock is wrong",
			t->path[0]);
	if (r == 0 && t->path[2])
		r = tls_trust_new(t->path[2], t->path[3], &trust, e);
	mutex_lock(&t->lock);
	if (r < 0) {
		snprintf(t->state.problem, sizeof t->state.problem, "%s", e->msg);
	} else {
		struct pair old = t->pair;
		struct tls_trust *before = t->trust;

		t->pair = pair;
		t->trust = trust;
		t->generation++;
		describe(&t->pair, &t->state);
		t->state.lists_end_s = trust ? tls_trust_lists_end(trust) : 0;
		pair = old;
		trust = before;
	}
	mutex_unlock(&t->lock);
	pair_done(&pair);
	tls_trust_free(trust);
	return r;
}

static void set_paths(struct tls *t, const struct tls_files *f)
{
	const char *const given[FILES] = {f->certificate, f->key, f->client_ca, f->client_crl};

	for (size_t i = 0; i < FILES; i++) {
		free(t->path[i]);
		t->path[i] = given[i] ? xstrdup(given[i]) : NULL;
	}
}

int tls_new(const struct tls_files *f, struct tls **ret, struct err *e)
{
	struct tls *t = xcalloc(1, sizeof *t);
	int r;

	mutex_init(&t->lock);
	set_paths(t, f);
	stamp_files(t->path, t->taken);
	memcpy(t->seen, t->taken, sizeof t->seen);
	r = take(t, false, e);
	if (r < 0) {
		tls_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

struct tls *tls_free(struct tls *t)
{
	if (t) {
		pair_done(&t->pair);
		tls_trust_free(t->trust);
		for (size_t i = 0; i < FILES; i++)
			free(t->path[i]);
		mutex_done(&t->lock);
		free(t);
	}
	return NULL;
}

int tls_look(struct tls *t, struct err *e)
{
	struct stamp now[FILES];
	bool rests;

	stamp_files(t->path, now);
	/* The two files of a pair are written one after the other. */
	rests = same_stamps(now, t->seen);
	memcpy(t->seen, now, sizeof now);
	if (!rests || same_stamps(now, t->taken))
		return 0;
	memcpy(t->taken, now, sizeof now);
	return take(t, true, e) < 0 ? -(int)e->code : 1;
}

int tls_reload(struct tls *t, const struct tls_files *f, struct err *e)
{
	set_paths(t, f);
	stamp_files(t->path, t->taken);
	memcpy(t->seen, t->taken, sizeof t->seen);
	return take(t, true, e) < 0 ? -(int)e->code : 1;
}

void tls_state(struct tls *t, struct tls_state *ret)
{
	mutex_lock(&t->lock);
	*ret = t->state;
	mutex_unlock(&t->lock);
}

/* --- handshakes --- */

static int copy_certs_locked(struct tls *t, gnutls_pcert_st **ret) REQUIRES(t->lock)
{
	gnutls_pcert_st *certs = gnutls_calloc(t->pair.crts, sizeof *certs);

	for (unsigned i = 0; certs && i < t->pair.crts; i++) {
		if (gnutls_pcert_import_x509(&certs[i], t->pair.crt[i], 0) == 0)
			continue;
		while (i-- > 0)
			gnutls_pcert_deinit(&certs[i]);
		gnutls_free(certs);
		certs = NULL;
	}
	*ret = certs;
	return certs ? 0 : -1;
}

static int copy_key_locked(struct tls *t, gnutls_privkey_t *ret) REQUIRES(t->lock)
{
	if (gnutls_privkey_init(ret) < 0)
		return -1;
	if (gnutls_privkey_import_x509(*ret, t->pair.key, GNUTLS_PRIVKEY_IMPORT_COPY) == 0)
		return 0;
	gnutls_privkey_deinit(*ret);
	return -1;
}

int tls_give(struct tls *t, gnutls_pcert_st **ret_certs, unsigned *ret_n, gnutls_privkey_t *ret_key)
{
	int r;

	mutex_lock(&t->lock);
	r = copy_key_locked(t, ret_key);
	if (r == 0) {
		r = copy_certs_locked(t, ret_certs);
		*ret_n = t->pair.crts;
		if (r < 0)
			gnutls_privkey_deinit(*ret_key);
	}
	mutex_unlock(&t->lock);
	return r;
}

bool tls_asks(struct tls *t)
{
	bool asks;

	mutex_lock(&t->lock);
	asks = t->trust != NULL;
	mutex_unlock(&t->lock);
	return asks;
}

unsigned tls_generation(struct tls *t)
{
	unsigned n;

	mutex_lock(&t->lock);
	n = t->generation;
	mutex_unlock(&t->lock);
	return n;
}

void tls_verify(struct tls *t, const gnutls_datum_t *chain, unsigned n, struct tls_client *ret)
{
	mutex_lock(&t->lock);
	if (t->trust) {
		tls_trust_verify(t->trust, chain, n, ret);
	} else {
		memset(ret, 0, sizeof *ret);
		snprintf(ret->refused, sizeof ret->refused,
			"a client certificate came, and there is no client_ca any more");
	}
	mutex_unlock(&t->lock);
}
