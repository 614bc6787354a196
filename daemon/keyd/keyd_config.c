/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/keyd_config.h"

#include <string.h>

#include "base/util.h"

#define TOKEN_URI "pkcs11:"

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

bool key_place_is_token(const struct key_place *k)
{
	return k->key && !strncmp(k->key, TOKEN_URI, strlen(TOKEN_URI));
}

struct pin_form {
	char *file, *credential;
};

static const struct form_row pin_rows[] = {
	{"file", FORM_PATH, .doc = "A file that provd-keyd alone reads.",
		FORM_AT(struct pin_form, file)},
	{"credential", FORM_TEXT, .low = 1, .high = 64,
		.doc = "Name of a credential of provd-keyd.service.",
		FORM_AT(struct pin_form, credential)},
	{0},
};

static void read_pin(struct key_place *k, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct pin_form f = {0};

	if (json_is_object(v))
		form_read(pin_rows, v, pointer, "key", &f, m);
	if (!f.file == !f.credential || (f.credential && strchr(f.credential, '/')))
		mistakes_add(m, pointer, "'pin' is {file: /ABSOLUTE/PATH} or {credential: NAME}");
	k->pin_file = steal_ptr(&f.file);
	k->pin_credential = steal_ptr(&f.credential);
	form_done(pin_rows, &f);
}

static void issuer_pin(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_pin(&((struct issuer_config *)to)->place, v, pointer, m);
}

static void named_pin(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_pin(&((struct named_key *)to)->place, v, pointer, m);
}

const char *const issuer_kinds[] = {
	[ISSUER_LOCAL] = "local", [ISSUER_EST] = "est", [ISSUER_CMP] = "cmp", NULL};

static void issuer_profiles(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct issuer_config *c = to;
	size_t n = 0;
	size_t i;
	json_t *name;

	if (json_array_size(v) == 0)
		mistakes_add(m, pointer, "'profiles' must be a list of names, such as [idevid]");
	c->profiles = xcalloc(json_array_size(v) + 1, sizeof *c->profiles);
	json_array_foreach((json_t *)v, i, name) {
		const char *s = json_string_value(name);

		if (s && *s && *s != '.' && !strchr(s, '/') && strlen(s) <= 64)
			c->profiles[n++] = xstrdup(s);
		else
			mistakes_add(m, pointer,
				"a profile is the name of a file in the folder 'profiles', without .yaml");
	}
}

#define KEY_DOC                                                                                      \
	"An absolute path of a PEM file (encrypted, with pin), or a PKCS#11 URI (RFC 7512) such as " \
	"pkcs11:token=NAME;object=NAME. A module that p11-kit does not know is named by ?module-path=PATH."
#define PIN_DOC                                                                                     \
	"{file: PATH} or {credential: NAME}: the PIN of the token, or the passphrase of the file, " \
	"in its first line."

const struct form_row issuer_rows[] = {
	{"kind", FORM_CHOICE, .def = "local", .choices = issuer_kinds,
		.doc = "local: provd-keyd signs. est (RFC 7030) and cmp (RFC 4210): an authority of the plant, which is a service.",
		FORM_AT(struct issuer_config, kind)},
	{"certificate", FORM_PATH, .required = true,
		.doc = "PEM. local: the issuer's certificate, then those above it; given to units as their chain. est, cmp: what its certificates must lead to.",
		FORM_AT(struct issuer_config, certificate)},
	{"key", FORM_TEXT, .low = 2, .high = 1024, .doc = "local. " KEY_DOC,
		FORM_AT(struct issuer_config, place.key)},
	{"pin", FORM_OWN, .read = issuer_pin, .rows = pin_rows, .doc = "local. " PIN_DOC},
	{"profiles", FORM_OWN, .read = issuer_profiles,
		.schema = "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\"}}",
		.doc = "local. What it issues: names of files in the folder 'profiles'."},
	{"service", FORM_TEXT, .low = 1, .high = 64,
		.doc = "est, cmp. Its name in 'services', which says how provd proves who it is.",
		FORM_AT(struct issuer_config, service)},
	{"path", FORM_TEXT, .low = 1, .high = 256,
		.doc = "est: the label of the authority (RFC 7030, 3.2.2), where it has one. cmp: below the service's address, /.well-known/cmp by default; / is the address itself.",
		FORM_AT(struct issuer_config, path)},
	{"reference", FORM_TEXT, .low = 1, .high = 128,
		.doc = "cmp. Which secret it is, for the authority.",
		FORM_AT(struct issuer_config, reference)},
	{"secret", FORM_TEXT, .low = 1, .high = 64,
		.doc = "cmp. The name in 'secrets' of what protects the messages.",
		FORM_AT(struct issuer_config, secret)},
	{"client_certificate", FORM_PATH,
		.doc = "cmp, instead of reference and secret. PEM: this host's certificate for the authority, then those above it. Messages are signed by client_key, and those of the authority lead to certificate.",
		FORM_AT(struct issuer_config, client_certificate)},
	{"client_key", FORM_PATH,
		.doc = "cmp. PEM: this host's key for the authority, which provd alone may read. It signs messages and issues nothing.",
		FORM_AT(struct issuer_config, client_key)},
	{0},
};

const struct form_row master_rows[] = {
	{"key", FORM_TEXT, .required = true, .low = 2, .high = 1024,
		.doc = "A PKCS#11 URI of an AES key, which never leaves its token; or an absolute path of a file with 64 hex digits.",
		FORM_AT(struct named_key, place.key)},
	{"pin", FORM_OWN, .read = named_pin, .rows = pin_rows, .doc = PIN_DOC},
	{0},
};

const char *const signs_names[] = {
	[SIGNS_DOCUMENTS] = "documents", [SIGNS_CHECKPOINTS] = "checkpoints", NULL};

const struct form_row signer_rows[] = {
	{"signs", FORM_CHOICE, .def = "documents", .choices = signs_names,
		.doc = "documents: birth packs and exported records. checkpoints: checkpoints of the records and nothing else, by a key of the kind ed25519; a file that is not there is made.",
		FORM_AT(struct named_key, signs)},
	{"key", FORM_TEXT, .required = true, .low = 2, .high = 1024, .doc = KEY_DOC,
		FORM_AT(struct named_key, place.key)},
	{"pin", FORM_OWN, .read = named_pin, .rows = pin_rows, .doc = PIN_DOC},
	{"public", FORM_PATH,
		.doc = "PEM of its public key or certificate: needed of a key in a token.",
		FORM_AT(struct named_key, public)},
	{0},
};

const struct form_row store_rows[] = {
	{"key", FORM_TEXT, .required = true, .low = 2, .high = 1024,
		.doc = "A PKCS#11 URI of the token alone, such as pkcs11:token=NAME. A module that p11-kit does not know is named by ?module-path=PATH.",
		FORM_AT(struct named_key, place.key)},
	{"pin", FORM_OWN, .read = named_pin, .rows = pin_rows, .doc = PIN_DOC},
	{0},
};

static bool is_key_name(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= 64 && *s != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}

static void check_place(const struct key_place *k, const char *pointer, struct mistakes *m)
{
	if (k->key && *k->key != '/' && !key_place_is_token(k))
		mistakes_add(m, pointer,
			"'key' is '%.80s': an absolute path or a URI that begins with pkcs11: expected",
			k->key);
	if (k->key && key_place_is_token(k) && strstr(k->key, "pin-value="))
		mistakes_add(m, pointer,
			"the PIN is in the URI, where everyone reads it: give it by 'pin'");
	if (key_place_is_token(k) && !k->pin_file && !k->pin_credential)
		mistakes_add(m, pointer, "a key in a token needs 'pin'");
}

static bool check_named(
	const char *what, const char *name, const json_t *o, const char *p, struct mistakes *m)
{
	if (!is_key_name(name))
		mistakes_add(m, p, "the name of %s has letters, digits, - _ and .", what);
	if (!json_is_object(o))
		mistakes_add(m, p, "%s is a mapping such as {key: /PATH}", what);
	return json_is_object(o);
}

/* By a secret that both know, or by a signature. */
static void check_protection(const struct issuer_config *i, const char *p, struct mistakes *m)
{
	const bool secret = i->reference && i->secret;
	const bool key = i->client_certificate && i->client_key;

	if (secret == key || (key && (i->reference || i->secret)) ||
		(secret && (i->client_certificate || i->client_key)))
		mistakes_add(m, p,
			"issuer '%.64s' of kind cmp needs 'reference' and 'secret', or 'client_certificate' and 'client_key'",
			i->name);
}

static void check_issuer(const struct issuer_config *i, const char *p, struct mistakes *m)
{
	bool local = i->kind == ISSUER_LOCAL;

	if (local && (!i->place.key || !i->profiles))
		mistakes_add(m, p, "issuer '%.64s' needs 'key' and 'profiles'", i->name);
	if (local && (i->service || i->path || i->reference || i->secret))
		mistakes_add(m, p,
			"issuer '%.64s' signs here: 'service', 'path', 'reference' and 'secret' are for kind est or cmp",
			i->name);
	if (!local && !i->service)
		mistakes_add(m, p, "issuer '%.64s' of kind %s needs 'service'", i->name,
			issuer_kinds[i->kind]);
	if (!local && (i->place.key || i->profiles || i->place.pin_file || i->place.pin_credential))
		mistakes_add(m, p,
			"issuer '%.64s' of kind %s decides itself, with its own key: 'key', 'pin' and 'profiles' are not for it",
			i->name, issuer_kinds[i->kind]);
	if (i->kind == ISSUER_CMP)
		check_protection(i, p, m);
	if (i->kind != ISSUER_CMP && (i->client_certificate || i->client_key))
		mistakes_add(m, p,
			"issuer '%.64s': 'client_certificate' and 'client_key' are for kind cmp; an EST service has 'cert' and 'key'",
			i->name);
	if (i->kind == ISSUER_EST && (i->reference || i->secret))
		mistakes_add(m, p,
			"issuer '%.64s' of kind est has no 'reference' and 'secret': its service proves who provd is",
			i->name);
	check_place(&i->place, p, m);
}

void keyd_read_issuers(
	struct keyd_config *c, const json_t *v, const char *pointer, struct mistakes *m)
{
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'issuers' must be a mapping of names");
	c->issuer = xcalloc(json_object_size(v) + 1, sizeof *c->issuer);
	json_object_foreach((json_t *)v, name, o) {
		struct issuer_config *i = &c->issuer[c->issuers++];
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		i->name = xstrdup(name);
		if (check_named("an issuer", name, o, p, m))
			form_read(issuer_rows, o, p, "key", i, m);
		if (json_is_object(o))
			check_issuer(i, p, m);
	}
}

static void read_named(const char *what, const struct form_row *rows, const json_t *v,
	const char *pointer, struct named_key **ret, size_t *ret_n, struct mistakes *m)
{
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "%s must be a mapping of names", pointer + 1);
	*ret = xcalloc(json_object_size(v) + 1, sizeof **ret);
	json_object_foreach((json_t *)v, name, o) {
		struct named_key *k = &(*ret)[(*ret_n)++];
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		k->name = xstrdup(name);
		if (check_named(what, name, o, p, m))
			form_read(rows, o, p, "key", k, m);
		check_place(&k->place, p, m);
	}
}

void keyd_read_masters(
	struct keyd_config *c, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_named("a master", master_rows, v, pointer, &c->master, &c->masters, m);
}

static bool same_key(const struct key_place *a, const struct key_place *b)
{
	return a->key && b->key && !strcmp(a->key, b->key);
}

/* A key of two purposes would sign for the one what only the other may. */
static void check_purpose(const struct keyd_config *c, size_t i, const char *p, struct mistakes *m)
{
	const struct named_key *s = &c->signer[i];

	for (size_t k = 0; k < i; k++)
		if (c->signer[k].signs != s->signs && same_key(&c->signer[k].place, &s->place))
			mistakes_add(m, p,
				"signer '%.64s' has the same key, and signs something else: a key for each expected",
				c->signer[k].name);
	for (size_t k = 0; k < c->issuers; k++)
		if (same_key(&c->issuer[k].place, &s->place))
			mistakes_add(m, p,
				"issuer '%.64s' has the same key: an issuer's key signs certificates alone",
				c->issuer[k].name);
}

void keyd_read_signers(
	struct keyd_config *c, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_named("a signer", signer_rows, v, pointer, &c->signer, &c->signers, m);
	for (size_t i = 0; i < c->signers; i++) {
		_cleanup_(freep) char *p = pointer_key(pointer, c->signer[i].name);

		if (key_place_is_token(&c->signer[i].place) && !c->signer[i].public)
			mistakes_add(m, p, "a signer in a token needs 'public'");
		check_purpose(c, i, p, m);
	}
}

/* A store that was called so would name the keys that are in no token. */
static void check_store(const struct named_key *k, const char *p, struct mistakes *m)
{
	if (!strcmp(k->name, "memory"))
		mistakes_add(m, p, "a store may not be called 'memory': name it otherwise");
	if (k->place.key && (!key_place_is_token(&k->place) || strstr(k->place.key, "object=") ||
				    strstr(k->place.key, ";id=")))
		mistakes_add(m, p,
			"store '%.64s' is a token, by a PKCS#11 URI without an object: pkcs11:token=NAME",
			k->name);
}

void keyd_read_stores(
	struct keyd_config *c, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_named("a store", store_rows, v, pointer, &c->store, &c->stores, m);
	for (size_t i = 0; i < c->stores; i++) {
		_cleanup_(freep) char *p = pointer_key(pointer, c->store[i].name);

		check_store(&c->store[i], p, m);
	}
}

bool keyd_config_any(const struct keyd_config *c)
{
	for (size_t i = 0; i < c->issuers; i++)
		if (c->issuer[i].kind == ISSUER_LOCAL)
			return true;
	return c->masters || c->signers || c->stores;
}

static void place_done(struct key_place *k)
{
	free(k->key);
	free(k->pin_file);
	free(k->pin_credential);
}

static void named_done(struct named_key *k, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(k[i].name);
		free(k[i].public);
		place_done(&k[i].place);
	}
	free(k);
}

static void issuer_done(struct issuer_config *i)
{
	free(i->name);
	free(i->certificate);
	place_done(&i->place);
	free(i->service);
	free(i->path);
	free(i->reference);
	free(i->secret);
	free(i->client_certificate);
	free(i->client_key);
	for (char **p = i->profiles; p && *p; p++)
		free(*p);
	free(i->profiles);
}

void keyd_config_done(struct keyd_config *c)
{
	for (size_t i = 0; i < c->issuers; i++)
		issuer_done(&c->issuer[i]);
	free(c->issuer);
	named_done(c->master, c->masters);
	named_done(c->signer, c->signers);
	named_done(c->store, c->stores);
	free(c->profiles);
	*c = (struct keyd_config){0};
}

/* Authorities of the plant are provd's to ask. */
static void keep_local(struct keyd_config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->issuers; i++) {
		if (c->issuer[i].kind == ISSUER_LOCAL)
			c->issuer[n++] = c->issuer[i];
		else
			issuer_done(&c->issuer[i]);
	}
	c->issuers = n;
}

static void read_parts(struct keyd_config *c, const json_t *root, struct mistakes *m)
{
	static const struct {
		const char *key;
		void (*read)(struct keyd_config *c, const json_t *v, const char *pointer,
			struct mistakes *m);
	} parts[] = {{"issuers", keyd_read_issuers}, {"masters", keyd_read_masters},
		{"signers", keyd_read_signers}, {"stores", keyd_read_stores}};
	const json_t *profiles = json_object_get(root, "profiles");

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const json_t *v = json_object_get(root, parts[i].key);
		_cleanup_(freep) char *p = pointer_key("", parts[i].key);

		if (v)
			parts[i].read(c, v, p, m);
	}
	keep_local(c);
	c->profiles = xstrdup(
		profiles && json_is_string(profiles) ? json_string_value(profiles) : KEYD_PROFILES);
}

int keyd_config_load(
	const char *path, struct strbuf *report, struct keyd_config *ret, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct mistakes m = {0};
	int r = yaml_load(path, &doc, e);

	*ret = (struct keyd_config){0};
	if (r < 0)
		return r;
	read_parts(ret, doc->root, &m);
	mistakes_print(&m, path, doc, report);
	if (m.count > 0)
		r = err_set(e, ERR_INVALID, "%s has mistakes", path);
	mistakes_done(&m);
	if (r < 0)
		keyd_config_done(ret);
	return r;
}
