/* SPDX-License-Identifier: Apache-2.0 */
#define P11_KIT_FUTURE_UNSTABLE_API 1 /* p11-kit/iter.h, which is as it was since 0.18 */
#include "daemon/keyd/token.h"

#include <signal.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <p11-kit/iter.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "base/digest.h"
#include "base/iotime.h"
#include "base/thread.h"
#include "base/util.h"
#include "daemon/keyd/pin.h"
#include "daemon/keyd/remember.h"

#define SESSIONS_KEPT 16
#define CALLS_MAX     64

/* Where the key is now: all of it is found again when the token came back. */
struct token_key {
	struct key_place place; /* owned texts */
	P11KitUri *uri;
	CK_OBJECT_CLASS class;
	bool store;		  /* no object: keys are made there */
	struct mutex lock;	  /* of all that follows; held while the token is found again */
	CK_FUNCTION_LIST *module; /* NULL: not found yet, or lost */
	CK_SLOT_ID slot;
	CK_OBJECT_HANDLE object;
	CK_SESSION_HANDLE login; /* stays open: it keeps the login */
	CK_SESSION_HANDLE idle[SESSIONS_KEPT];
	size_t idles;
	unsigned generation; /* rises with each loss */
};

/* --- a module that hangs is seen by main, one that crashes by its signal --- */

static struct call {
	uint64_t since_us; /* atomic; 0: free */
	const char *key;   /* atomic; of a key that lives as long as the process, or of its place */
} calls[CALLS_MAX];
static __thread const char *in_call; /* NULL: this thread is in no module */

/* A thread has all signals blocked (base/thread.h), so that a crash would end the process without a word. */
static void let_crashes_in(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	static __thread bool done;
	sigset_t set;

	if (done)
		return;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&set, signals[i]);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	done = true;
}

/* One name for all keys of a store: a module that hangs is left alone for all of them. */
static const char *watched(const struct key_place *p)
{
	return p->watched ? p->watched : p->key;
}

/* With the lock of the key: who waits for a turn is not in a call. */
static struct call *call_begin(const struct key_place *p)
{
	const char *key = watched(p);

	let_crashes_in();
	in_call = key;
	for (;;)
		for (size_t i = 0; i < CALLS_MAX; i++) {
			uint64_t free_slot = 0;

			if (!__atomic_compare_exchange_n(&calls[i].since_us, &free_slot, now_us(),
				    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
				continue;
			__atomic_store_n(&calls[i].key, key, __ATOMIC_SEQ_CST);
			return &calls[i];
		}
}

static void call_end(struct call *c)
{
	in_call = NULL;
	__atomic_store_n(&c->key, NULL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->since_us, 0, __ATOMIC_SEQ_CST);
}

uint64_t token_busy_since_us(const char **ret_key)
{
	uint64_t first = 0;

	for (size_t i = 0; i < CALLS_MAX; i++) {
		uint64_t at = __atomic_load_n(&calls[i].since_us, __ATOMIC_SEQ_CST);
		const char *key = __atomic_load_n(&calls[i].key, __ATOMIC_SEQ_CST);

		if (at && key && (!first || at < first)) {
			first = at;
			*ret_key = key;
		}
	}
	return first;
}

const char *token_in_call(void)
{
	return in_call;
}

/* --- modules --- */

static struct mutex modules_lock = {PTHREAD_MUTEX_INITIALIZER};
static CK_FUNCTION_LIST **registered; /* under modules_lock */

/* All that p11-kit knows, once in a process; they stay. NULL-terminated. */
static CK_FUNCTION_LIST **registered_modules(void)
{
	CK_FUNCTION_LIST **ret;

	mutex_lock(&modules_lock);
	if (!registered)
		registered = p11_kit_modules_load_and_initialize(0);
	ret = registered;
	mutex_unlock(&modules_lock);
	return ret;
}

static struct named_module {
	struct named_module *next;
	char *path;
	CK_FUNCTION_LIST *list[2];
} * named_modules; /* under modules_lock */

/* The module of ?module-path=, as a list of one; NULL where it cannot be loaded. */
static CK_FUNCTION_LIST **named_module(const char *path)
{
	struct named_module *m;

	mutex_lock(&modules_lock);
	for (m = named_modules; m && strcmp(m->path, path) != 0; m = m->next)
		;
	if (!m) {
		CK_FUNCTION_LIST *f = p11_kit_module_load(path, 0);

		if (f && p11_kit_module_initialize(f) != CKR_OK)
			f = NULL;
		if (f) {
			m = xcalloc(1, sizeof *m);
			m->path = xstrdup(path);
			m->list[0] = f;
			m->next = named_modules;
			named_modules = m;
		}
	}
	mutex_unlock(&modules_lock);
	return m ? m->list : NULL;
}

/* --- finding --- */

static int gone(const struct token_key *k, const char *why, CK_RV rv, struct err *e)
{
	return err_set(e, ERR_TOKEN_GONE, "%s of '%.160s'%s%s", why, k->place.key,
		rv == CKR_OK ? "" : ": ", rv == CKR_OK ? "" : p11_kit_strerror(rv));
}

/* The token of the URI. */
static int find_token(struct token_key *k, struct err *e) REQUIRES(k->lock)
{
	const char *path = p11_kit_uri_get_module_path(k->uri);
	CK_FUNCTION_LIST **modules = path ? named_module(path) : registered_modules();
	P11KitIter *it =
		p11_kit_iter_new(k->uri, P11_KIT_ITER_WITH_TOKENS | P11_KIT_ITER_WITHOUT_OBJECTS);
	unsigned n = 0;

	if (modules)
		p11_kit_iter_begin(it, modules);
	while (modules && p11_kit_iter_next(it) == CKR_OK)
		if (n++ == 0) {
			k->module = p11_kit_iter_get_module(it);
			k->slot = p11_kit_iter_get_slot(it);
		}
	p11_kit_iter_free(it);
	if (n == 1)
		return 0;
	k->module = NULL;
	if (!modules)
		return gone(k, "p11-kit loads no module for the token", CKR_OK, e);
	return n == 0 ? gone(k, "there is no token", CKR_OK, e)
		      : err_set(e, ERR_INVALID,
				"%u tokens fit '%.160s': name one by its serial number", n,
				k->place.key);
}

/* --- the login: one at a time of a token, whatever the number of its keys --- */

static struct login {
	struct login *next;
	char token[TOKEN_ID_BYTES];
	struct mutex lock;
} * logins; /* under logins_lock; they stay */
static struct mutex logins_lock = {PTHREAD_MUTEX_INITIALIZER};

/* Who it is, by what it says of itself (PKCS#11 2.40, 3.2: the four are not NUL-terminated). */
static void token_id(const CK_TOKEN_INFO *info, char ret[TOKEN_ID_BYTES])
{
	char said[sizeof info->label + sizeof info->manufacturerID + sizeof info->model +
		  sizeof info->serialNumber];
	char hex[SHA256_HEX];
	char *at = said;

	at = mempcpy(at, info->label, sizeof info->label);
	at = mempcpy(at, info->manufacturerID, sizeof info->manufacturerID);
	at = mempcpy(at, info->model, sizeof info->model);
	memcpy(at, info->serialNumber, sizeof info->serialNumber);
	snprintf(ret, TOKEN_ID_BYTES, "%.32s", sha256_hex_of(said, sizeof said, hex));
}

static struct login *login_of(const char *token)
{
	struct login *l;

	mutex_lock(&logins_lock);
	for (l = logins; l && strcmp(l->token, token) != 0; l = l->next)
		;
	if (!l) {
		l = xcalloc(1, sizeof *l);
		snprintf(l->token, sizeof l->token, "%s", token);
		mutex_init(&l->lock);
		l->next = logins;
		logins = l;
	}
	mutex_unlock(&logins_lock);
	return l;
}

static int locked_pin(const struct token_key *k, struct err *e)
{
	return err_set(e, ERR_PIN_LOCKED,
		"the token of '%.160s' has locked its PIN, and it is not tried: its security officer unlocks it; then write the PIN into its file again",
		k->place.key);
}

/* Whether this PIN may cost a try. The last one is a person's. */
static int may_try(const struct token_key *k, CK_FLAGS flags, enum pin_past past, struct err *e)
{
	if (flags & CKF_USER_PIN_LOCKED || past == PIN_WAS_LOCKED)
		return locked_pin(k, e);
	if (past == PIN_WAS_REFUSED)
		return err_set(e, ERR_PIN_REFUSED,
			"the PIN for '%.160s' was refused before, and its file has not changed since: it is not tried again",
			k->place.key);
	if (flags & CKF_USER_PIN_FINAL_TRY)
		return err_set(e, ERR_PIN_REFUSED,
			"the token of '%.160s' has one try of its PIN left, which is not used up here: log in once by hand with the right PIN (pkcs11-tool --login), then try again",
			k->place.key);
	return 0;
}

/* Anything else may be the token's leaving. */
static bool is_pin_refusal(CK_RV rv)
{
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED || rv == CKR_PIN_LEN_RANGE ||
	       rv == CKR_PIN_INVALID || rv == CKR_PIN_EXPIRED;
}

static int try_pin(struct token_key *k, const char *pin, const char *token, const char *stamp,
	struct err *e) REQUIRES(k->lock)
{
	CK_RV rv = k->module->C_Login(
		k->login, CKU_USER, (CK_UTF8CHAR_PTR)(uintptr_t)pin, pin ? strlen(pin) : 0);

	if (rv == CKR_OK)
		remember_good_pin(token);
	if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
		return 0;
	if (!is_pin_refusal(rv))
		return gone(k, "no login at the token", rv, e);
	remember_refused_pin(token, stamp, rv == CKR_PIN_LOCKED);
	return rv == CKR_PIN_LOCKED
		       ? locked_pin(k, e)
		       : err_set(e, ERR_PIN_REFUSED,
				 "the token refused the PIN for '%.160s' (%s); it is not tried again until its file has changed",
				 k->place.key, p11_kit_strerror(rv));
}

static bool is_logged_in(struct token_key *k) REQUIRES(k->lock)
{
	CK_SESSION_INFO s;

	return k->module->C_GetSessionInfo(k->login, &s) == CKR_OK &&
	       (s.state == CKS_RO_USER_FUNCTIONS || s.state == CKS_RW_USER_FUNCTIONS);
}

static int log_in_alone(struct token_key *k, const char *token, struct err *e) REQUIRES(k->lock)
{
	char stamp[PIN_STAMP_BYTES];
	CK_TOKEN_INFO info;
	char *pin = NULL;
	CK_RV rv = k->module->C_GetTokenInfo(k->slot, &info);
	int r = rv == CKR_OK ? pin_read(&k->place, &pin, e)
			     : gone(k, "nothing is known of the token", rv, e);

	if (r < 0)
		return r;
	/* Without a PIN it is asked at the reader's own keys, or there is none. */
	if (!pin && !(info.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
		return info.flags & CKF_LOGIN_REQUIRED
			       ? err_set(e, ERR_TOKEN_PIN,
					 "the token of '%.160s' wants a PIN: 'pin' of the key in provd.yaml",
					 k->place.key)
			       : 0;
	pin_stamp(&k->place, token, pin, stamp);
	r = may_try(k, info.flags, remember_pin(token, stamp), e);
	if (r == 0)
		r = try_pin(k, pin, token, stamp, e);
	pin_free(pin);
	return r;
}

static int log_in(struct token_key *k, struct err *e) REQUIRES(k->lock)
{
	char token[TOKEN_ID_BYTES];
	CK_TOKEN_INFO info;
	struct login *l;
	CK_RV rv = k->module->C_GetTokenInfo(k->slot, &info);
	int r = 0;

	if (rv != CKR_OK)
		return gone(k, "nothing is known of the token", rv, e);
	token_id(&info, token);
	l = login_of(token);
	mutex_lock(&l->lock);
	if (!is_logged_in(k))
		r = log_in_alone(k, token, e);
	mutex_unlock(&l->lock);
	return r;
}

static int find_object(struct token_key *k, struct err *e) REQUIRES(k->lock)
{
	CK_ATTRIBUTE want[3] = {{CKA_CLASS, &k->class, sizeof k->class}};
	CK_ULONG wants = 1;
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 0;
	CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(k->uri, CKA_LABEL);
	CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(k->uri, CKA_ID);
	CK_RV rv;

	if (!label && !id)
		return err_set(e, ERR_INVALID,
			"'%.160s' names no key: object=NAME or id=... expected", k->place.key);
	/* All that the URI names has to fit (RFC 7512, 2.3). */
	if (id)
		want[wants++] = *id;
	if (label)
		want[wants++] = *label;
	rv = k->module->C_FindObjectsInit(k->login, want, wants);
	if (rv == CKR_OK) {
		rv = k->module->C_FindObjects(k->login, found, 2, &n);
		k->module->C_FindObjectsFinal(k->login);
	}
	if (rv != CKR_OK)
		return gone(k, "no search in the token", rv, e);
	k->object = found[0];
	if (n == 1)
		return 0;
	return err_set(e, ERR_NOT_FOUND, "the token has %s key as '%.160s' names it",
		n ? "more than one" : "no", k->place.key);
}

/* Closed without a look at what the module says: the token may be gone. */
static void lose(struct token_key *k) REQUIRES(k->lock)
{
	if (!k->module)
		return;
	while (k->idles > 0)
		k->module->C_CloseSession(k->idle[--k->idles]);
	if (k->login)
		k->module->C_CloseSession(k->login);
	k->login = 0;
	k->module = NULL;
	k->generation++;
}

static int find(struct token_key *k, struct err *e) REQUIRES(k->lock)
{
	const unsigned wait_s = failed_token_wait_s(watched(&k->place));
	CK_RV rv;
	int r;

	if (wait_s > 0)
		return err_set(e, ERR_TOKEN_GONE,
			"the module of '%.160s' ended provd-keyd: the token is left alone for another %u s (see the log of provd-keyd)",
			k->place.key, wait_s);
	r = find_token(k, e);
	if (r < 0)
		return r;
	rv = k->module->C_OpenSession(k->slot, CKF_SERIAL_SESSION, NULL, NULL, &k->login);
	if (rv != CKR_OK) {
		k->login = 0;
		r = gone(k, "no session with the token", rv, e);
	}
	if (r == 0)
		r = log_in(k, e);
	if (r == 0 && !k->store)
		r = find_object(k, e);
	if (r < 0)
		lose(k);
	return r;
}

int token_key_open(const struct key_place *place, enum token_class class, struct token_key **ret,
	struct err *e)
{
	struct token_key *k = xcalloc(1, sizeof *k);
	int r = 0;

	mutex_init(&k->lock);
	str_replace(&k->place.key, place->key);
	str_replace(&k->place.pin_file, place->pin_file);
	str_replace(&k->place.pin_credential, place->pin_credential);
	k->place.watched = place->watched;
	k->class = class == TOKEN_PRIVATE ? CKO_PRIVATE_KEY : CKO_SECRET_KEY;
	k->store = class == TOKEN_STORE;
	k->uri = p11_kit_uri_new();
	if (p11_kit_uri_parse(place->key, P11_KIT_URI_FOR_ANY, k->uri) != P11_KIT_URI_OK ||
		p11_kit_uri_any_unrecognized(k->uri))
		r = err_set(e, ERR_INVALID, "'%.160s' is not a PKCS#11 URI (RFC 7512)", place->key);
	if (r == 0) {
		struct call *call = call_begin(place);

		mutex_lock(&k->lock);
		r = find(k, e);
		mutex_unlock(&k->lock);
		call_end(call);
	}
	if (r < 0) {
		token_key_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

void token_key_free(struct token_key *k)
{
	if (!k)
		return;
	mutex_lock(&k->lock);
	lose(k);
	mutex_unlock(&k->lock);
	p11_kit_uri_free(k->uri);
	free(k->place.key);
	free(k->place.pin_file);
	free(k->place.pin_credential);
	mutex_done(&k->lock);
	free(k);
}

int token_key_ready(struct token_key *k, struct err *e)
{
	struct call *call;
	CK_TOKEN_INFO info;
	CK_RV rv = CKR_OK;
	int r = 0;

	mutex_lock(&k->lock);
	call = call_begin(&k->place);
	if (k->module)
		rv = k->module->C_GetTokenInfo(k->slot, &info);
	if (rv != CKR_OK)
		lose(k);
	if (!k->module)
		r = find(k, e);
	call_end(call);
	mutex_unlock(&k->lock);
	return r;
}

/* --- one operation --- */

struct operation {
	CK_MECHANISM_TYPE mechanism;
	const void *in;
	size_t in_bytes;
	uint8_t *out;
	CK_ULONG out_bytes;
};

/* What a session was taken from: a loss in between makes it void. */
struct taken {
	CK_FUNCTION_LIST *module;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE object;
	unsigned generation;
};

static int take(struct token_key *k, struct taken *ret, struct err *e)
{
	CK_RV rv = CKR_OK;
	int r = 0;

	mutex_lock(&k->lock);
	if (!k->module)
		r = find(k, e);
	if (r == 0) {
		*ret = (struct taken){
			.module = k->module, .object = k->object, .generation = k->generation};
		if (k->idles > 0)
			ret->session = k->idle[--k->idles];
		else
			rv = k->module->C_OpenSession(
				k->slot, CKF_SERIAL_SESSION, NULL, NULL, &ret->session);
	}
	if (rv != CKR_OK) {
		lose(k);
		r = gone(k, "no session with the token", rv, e);
	}
	mutex_unlock(&k->lock);
	return r;
}

static void give_back(struct token_key *k, const struct taken *t)
{
	mutex_lock(&k->lock);
	if (k->generation == t->generation && k->idles < SESSIONS_KEPT)
		k->idle[k->idles++] = t->session;
	else
		t->module->C_CloseSession(t->session);
	mutex_unlock(&k->lock);
}

static void give_up(struct token_key *k, const struct taken *t)
{
	mutex_lock(&k->lock);
	t->module->C_CloseSession(t->session);
	if (k->generation == t->generation)
		lose(k);
	mutex_unlock(&k->lock);
}

/* A key that may not do this stays as it is; all else may be the token's leaving. */
static bool is_refusal(CK_RV rv)
{
	return rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID ||
	       rv == CKR_KEY_TYPE_INCONSISTENT || rv == CKR_KEY_FUNCTION_NOT_PERMITTED ||
	       rv == CKR_DATA_LEN_RANGE || rv == CKR_DATA_INVALID;
}

static CK_RV operate(const struct taken *t, struct operation *o)
{
	CK_MECHANISM m = {.mechanism = o->mechanism};
	CK_RV rv = t->module->C_SignInit(t->session, &m, t->object);

	return rv != CKR_OK ? rv
			    : t->module->C_Sign(t->session, (CK_BYTE_PTR)(uintptr_t)o->in,
				      o->in_bytes, o->out, &o->out_bytes);
}

static int run_once(struct token_key *k, struct operation *o, bool *ret_lost, struct err *e)
{
	struct taken t;
	CK_RV rv;
	int r = take(k, &t, e);

	*ret_lost = false;
	if (r < 0)
		return r;
	rv = operate(&t, o);
	if (rv == CKR_OK) {
		give_back(k, &t);
		return 0;
	}
	give_up(k, &t);
	*ret_lost = !is_refusal(rv);
	return *ret_lost ? gone(k, "the token did not sign with the key", rv, e)
			 : err_set(e, ERR_INVALID, "the key '%.160s' cannot do this: %s",
				   k->place.key, p11_kit_strerror(rv));
}

/* A second time where the token may have left and come back. */
static int run(struct token_key *k, struct operation *o, struct err *e)
{
	const CK_ULONG room = o->out_bytes;
	struct call *call = call_begin(&k->place);
	bool lost;
	int r = run_once(k, o, &lost, e);

	o->out_bytes = r < 0 ? room : o->out_bytes;
	if (lost)
		r = run_once(k, o, &lost, e);
	call_end(call);
	return r;
}

/* --- signatures --- */

/* r and s as the token gives them, into the DER of ECDSA-Sig-Value (RFC 3279, 2.2.3). */
static int wrap_ecdsa(const uint8_t *raw, size_t n, uint8_t *ret, size_t *ret_n, struct err *e)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, (int)(n / 2), NULL);
	BIGNUM *s = BN_bin2bn(raw + n / 2, (int)(n / 2), NULL);
	unsigned char *at = ret;
	int size = 0;

	if (sig && r && s && n > 0 && n % 2 == 0 && ECDSA_SIG_set0(sig, r, s) == 1) {
		size = i2d_ECDSA_SIG(sig, &at);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	if (size <= 0)
		return err_set(e, ERR_INVALID, "the token gave a signature of %zu bytes", n);
	*ret_n = (size_t)size;
	return 0;
}

static int sign_ec(struct token_key *k, const EVP_MD *md, const void *message, size_t n,
	uint8_t *ret, size_t *ret_n, struct err *e)
{
	uint8_t digest[EVP_MAX_MD_SIZE], raw[132];
	unsigned size = 0;
	struct operation o = {
		.mechanism = CKM_ECDSA, .in = digest, .out = raw, .out_bytes = sizeof raw};
	int r;

	EVP_Digest(message, n, digest, &size, md, NULL);
	o.in_bytes = size;
	r = run(k, &o, e);
	return r < 0 ? r : wrap_ecdsa(raw, o.out_bytes, ret, ret_n, e);
}

static int sign_rsa(struct token_key *k, const void *message, size_t n, uint8_t *ret, size_t *ret_n,
	struct err *e)
{
	/* DigestInfo of SHA-256 (RFC 8017, 9.2, note 1). */
	uint8_t info[19 + SHA256_BYTES] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
		0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
	struct operation o = {.mechanism = CKM_RSA_PKCS,
		.in = info,
		.in_bytes = sizeof info,
		.out = ret,
		.out_bytes = SIGNATURE_MAX};
	int r;

	sha256_of(message, n, info + 19);
	r = run(k, &o, e);
	*ret_n = o.out_bytes;
	return r;
}

static int sign_ed25519(struct token_key *k, const void *message, size_t n, uint8_t *ret,
	size_t *ret_n, struct err *e)
{
	struct operation o = {.mechanism = CKM_EDDSA,
		.in = message,
		.in_bytes = n,
		.out = ret,
		.out_bytes = SIGNATURE_MAX};
	int r = run(k, &o, e);

	*ret_n = o.out_bytes;
	return r;
}

int token_sign(struct token_key *k, const struct x509_key *public, const void *message, size_t n,
	uint8_t *ret, size_t *ret_n, struct err *e)
{
	if (public->alg == X509_P256 || public->alg == X509_P384)
		return sign_ec(k, public->alg == X509_P384 ? EVP_sha384() : EVP_sha256(), message,
			n, ret, ret_n, e);
	return public->alg == X509_ED25519 ? sign_ed25519(k, message, n, ret, ret_n, e)
					   : sign_rsa(k, message, n, ret, ret_n, e);
}

int token_cmac(struct token_key *k, const void *message, size_t n, uint8_t ret[16], struct err *e)
{
	struct operation o = {.mechanism = CKM_AES_CMAC,
		.in = message,
		.in_bytes = n,
		.out = ret,
		.out_bytes = 16};
	int r = run(k, &o, e);

	return r == 0 && o.out_bytes != 16
		       ? err_set(e, ERR_INVALID, "the token gave a CMAC of %lu bytes, 16 expected",
				 o.out_bytes)
		       : r;
}

/* --- pairs of keys that are made in a token --- */

#define POINT_MAX 256

static const struct curve {
	enum x509_alg alg;
	size_t point_bytes;
	uint8_t params[10];
	size_t params_bytes;
	const char *spki; /* hex of what comes before the point (RFC 5480) */
} curves[] = {
	{X509_P256, 65, {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, 10,
		"3059301306072a8648ce3d020106082a8648ce3d030107034200"},
	{X509_P384, 97, {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}, 7,
		"3076301006072a8648ce3d020106052b81040022036200"},
};

static const struct curve *curve_of(enum x509_alg alg)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (curves[i].alg == alg)
			return &curves[i];
	return NULL;
}

char *token_uri_of(const char *store, const char *label)
{
	P11KitUri *uri = p11_kit_uri_new();
	CK_ATTRIBUTE a = {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)};
	char *text = NULL;
	char *ret = NULL;

	if (p11_kit_uri_parse(store, P11_KIT_URI_FOR_ANY, uri) == P11_KIT_URI_OK &&
		p11_kit_uri_set_attribute(uri, &a) == P11_KIT_URI_OK &&
		p11_kit_uri_format(uri, P11_KIT_URI_FOR_ANY, &text) == P11_KIT_URI_OK)
		ret = xstrdup(text);
	free(text);
	p11_kit_uri_free(uri);
	return ret;
}

/* CKA_EC_POINT is the DER of an OCTET STRING (PKCS#11 2.40, mechanisms 2.3.3); some give the point alone. */
static int read_point(const uint8_t *p, size_t n, struct x509_key *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		const struct curve *c = &curves[i];
		char hex[2 * POINT_MAX + 1];
		_cleanup_(freep) char *spki = NULL;

		if (n != c->point_bytes && n != c->point_bytes + 2)
			continue;
		hex_of(p + (n - c->point_bytes), c->point_bytes, hex);
		spki = xasprintf("%s%s", c->spki, hex);
		return x509_key_read(spki, ret, e);
	}
	return err_set(e, ERR_INVALID,
		"the token gave a public point of %zu bytes: a key of P-256 or P-384 expected", n);
}

static int read_public(struct token_key *k, const char *label, struct x509_key *ret, struct err *e)
	REQUIRES(k->lock)
{
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_ATTRIBUTE want[3] = {{CKA_CLASS, &class, sizeof class},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
	uint8_t point[POINT_MAX];
	CK_ATTRIBUTE got = {CKA_EC_POINT, point, sizeof point};
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 0;
	CK_RV rv = k->module->C_FindObjectsInit(k->login, want, 2);

	if (rv == CKR_OK) {
		rv = k->module->C_FindObjects(k->login, found, 2, &n);
		k->module->C_FindObjectsFinal(k->login);
	}
	if (rv == CKR_OK && n == 0)
		return err_set(e, ERR_NOT_FOUND, "the token of '%.160s' has no key '%.64s'",
			k->place.key, label);
	if (rv == CKR_OK && n > 1)
		return err_set(e, ERR_CONFLICT,
			"the token of '%.160s' has more than one key '%.64s': take out all but one",
			k->place.key, label);
	if (rv == CKR_OK)
		rv = k->module->C_GetAttributeValue(k->login, found[0], &got, 1);
	return rv == CKR_OK ? read_point(point, got.ulValueLen, ret, e)
			    : gone(k, "no look at the keys in the token", rv, e);
}

static CK_RV generate(struct token_key *k, const struct curve *c, const char *label)
	REQUIRES(k->lock)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	uint8_t id[SHA256_BYTES];
	CK_MECHANISM m = {.mechanism = CKM_EC_KEY_PAIR_GEN};
	CK_ATTRIBUTE public[] = {{CKA_TOKEN, &yes, sizeof yes}, {CKA_PRIVATE, &no, sizeof no},
		{CKA_VERIFY, &yes, sizeof yes},
		{CKA_EC_PARAMS, (void *)(uintptr_t)c->params, c->params_bytes},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}, {CKA_ID, id, 16}};
	CK_ATTRIBUTE private[] = {{CKA_TOKEN, &yes, sizeof yes}, {CKA_PRIVATE, &yes, sizeof yes},
		{CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
		{CKA_SIGN, &yes, sizeof yes}, {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
		{CKA_ID, id, 16}};
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE made[2];
	CK_RV rv = k->module->C_OpenSession(
		k->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s);

	if (rv != CKR_OK)
		return rv;
	sha256_of(label, strlen(label), id);
	rv = k->module->C_GenerateKeyPair(
		s, &m, public, ARRAY_LEN(public), private, ARRAY_LEN(private), &made[0], &made[1]);
	k->module->C_CloseSession(s);
	return rv;
}

static int make_pair(struct token_key *k, const struct curve *c, const char *label,
	struct x509_key *ret, struct err *e) REQUIRES(k->lock)
{
	CK_RV rv = generate(k, c, label);

	if (rv == CKR_OK)
		return read_public(k, label, ret, e);
	if (rv == CKR_DEVICE_MEMORY)
		return err_set(e, ERR_TOKEN_FULL,
			"the token of '%.160s' has no room for the key '%.64s': take keys out that no unit needs, or name another token in 'stores'",
			k->place.key, label);
	lose(k);
	return gone(k, "no key was made in the token", rv, e);
}

static int find_or_make(struct token_key *k, const struct curve *c, const char *label,
	struct x509_key *ret, bool *ret_before, struct err *e) REQUIRES(k->lock)
{
	int r = k->module ? 0 : find(k, e);

	if (r == 0)
		r = read_public(k, label, ret, e);
	*ret_before = r == 0;
	if (r == -ERR_NOT_FOUND)
		r = make_pair(k, c, label, ret, e);
	else if (r == -ERR_TOKEN_GONE)
		lose(k);
	if (r == 0 && ret->alg != c->alg) {
		x509_key_done(ret);
		r = err_set(e, ERR_CONFLICT,
			"the token of '%.160s' has a key '%.64s' of another kind than %s: take it out, or name another label",
			k->place.key, label, x509_alg_name(c->alg));
	}
	return r;
}

int token_make_pair(struct token_key *k, enum x509_alg alg, const char *label, struct x509_key *ret,
	bool *ret_before, struct err *e)
{
	const struct curve *c = curve_of(alg);
	struct call *call;
	int r;

	if (!c)
		return err_set(e, ERR_UNSUPPORTED,
			"a key of kind %s is not made in a token: p256 or p384 expected",
			x509_alg_name(alg));
	mutex_lock(&k->lock);
	call = call_begin(&k->place);
	r = find_or_make(k, c, label, ret, ret_before, e);
	call_end(call);
	mutex_unlock(&k->lock);
	return r;
}

int token_public(struct token_key *k, const char *label, struct x509_key *ret, struct err *e)
{
	struct call *call;
	int r;

	mutex_lock(&k->lock);
	call = call_begin(&k->place);
	r = k->module ? 0 : find(k, e);
	if (r == 0)
		r = read_public(k, label, ret, e);
	if (r == -ERR_TOKEN_GONE)
		lose(k);
	call_end(call);
	mutex_unlock(&k->lock);
	return r;
}
