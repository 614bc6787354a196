/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/profile.h"

#include <openssl/objects.h>

#include "base/mistake.h"
#include "base/yaml.h"

#define VALUE_MAX 64 /* of most attributes (RFC 5280, appendix A, upper bounds) */

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

static const char *const csr_rules[] = {[CSR_SAME] = "same", [CSR_IGNORE] = "ignore", NULL};

/* The names of OpenSSL's key usages, which are those of RFC 5280 (4.2.1.3). */
static const char *const usages[] = {"digitalSignature", "nonRepudiation", "keyEncipherment",
	"dataEncipherment", "keyAgreement", NULL};
static const char *const extended_usages[] = {
	"clientAuth", "serverAuth", "codeSigning", "emailProtection", NULL};

static void read_keys(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct profile *p = to;
	size_t i;
	json_t *name;

	if (json_array_size(v) == 0)
		mistakes_add(m, pointer, "'keys' must be a list of kinds, such as [p256]");
	json_array_foreach((json_t *)v, i, name) {
		const char *s = json_string_value(name);
		enum x509_alg a = s ? x509_alg_of(s) : X509_ALG_NONE;

		if (a == X509_ALG_NONE)
			mistakes_add(m, pointer,
				"a kind of key is p256, p384, ed25519, rsa2048, rsa3072 or rsa4096");
		else
			p->keys |= 1u << a;
	}
}

const struct form_row profile_rows[] = {
	{"profile", FORM_TEXT, .required = true, .low = 1, .high = 64,
		.doc = "Its name: that of its file.", FORM_AT(struct profile, name)},
	{"version", FORM_INT, .required = true, .low = 1, .high = 1000000,
		.doc = "Counts up with each change.", FORM_AT(struct profile, version)},
	{"keys", FORM_OWN, .required = true, .read = read_keys,
		.schema =
			"{\"type\":\"array\",\"minItems\":1,\"items\":{\"enum\":[\"p256\",\"p384\",\"ed25519\",\"rsa2048\",\"rsa3072\",\"rsa4096\"]}}",
		.doc = "The kinds of keys that get a certificate."},
	{"subject", FORM_MAPPING, .required = true, .schema = "{\"type\":\"string\"}",
		.doc = "Attributes of the name, in order: short names such as CN, O, serialNumber, or dotted numbers. ${NAME} is a value that the recipe gives.",
		FORM_AT(struct profile, subject)},
	{"days", FORM_INT, .low = 0, .high = 36500,
		.doc = "How long it is valid; 0: without an end, as IEEE 802.1AR has it.",
		FORM_AT(struct profile, days)},
	{"key_usage", FORM_TEXTS, .low = 1, .schema = "{\"type\":\"string\"}",
		.doc = "digitalSignature, nonRepudiation, keyEncipherment, dataEncipherment, keyAgreement.",
		FORM_AT(struct profile, key_usage)},
	{"extended_key_usage", FORM_TEXTS, .low = 1, .schema = "{\"type\":\"string\"}",
		.doc = "clientAuth, serverAuth, codeSigning, emailProtection.",
		FORM_AT(struct profile, extended_key_usage)},
	{"san", FORM_LIST, .low = 1, .schema = "{\"type\":\"object\"}",
		.doc = "Further names: {dns: TEXT}, {uri: TEXT}, {hardware_module: {type: OID, serial: TEXT}} (RFC 4108).",
		FORM_AT(struct profile, san)},
	{"same_in_issuer", FORM_TEXTS, .low = 1, .schema = "{\"type\":\"string\"}",
		.doc = "Attributes of the subject that must be alike in the issuer's name: the vendor of Matter, 1.3.6.1.4.1.37244.2.1.",
		FORM_AT(struct profile, same_in_issuer)},
	{"csr_subject", FORM_CHOICE, .def = "same", .choices = csr_rules,
		.doc = "same: a request whose name is neither empty nor the certificate's is refused.",
		FORM_AT(struct profile, csr_subject)},
	{"csr_extensions", FORM_CHOICE, .def = "same", .choices = csr_rules,
		.doc = "same: a request that asks for extensions is refused. What it asks for is never taken over.",
		FORM_AT(struct profile, csr_extensions)},
	{0},
};

static bool is_attribute(const char *name)
{
	ASN1_OBJECT *o = OBJ_txt2obj(name, 0);

	ASN1_OBJECT_free(o);
	return o != NULL;
}

static void check_names(
	const json_t *list, const char *pointer, const char *const *names, struct mistakes *m)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)list, i, v) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);
		size_t k = 0;

		while (names[k] && strcmp(names[k], json_string_value(v)) != 0)
			k++;
		if (!names[k])
			mistakes_add_unknown(m, p, "usage", json_string_value(v), names);
	}
}

/* With each ${ closed. */
static bool is_text(const json_t *v)
{
	const char *at = json_string_value(v);

	if (!at || !*at)
		return false;
	for (at = strstr(at, "${"); at; at = strstr(at, "${")) {
		at = strchr(at, '}');
		if (!at)
			return false;
	}
	return true;
}

static bool is_san(const json_t *o)
{
	const json_t *module = json_object_get(o, "hardware_module");

	if (json_object_size(o) != 1)
		return false;
	if (module)
		return json_object_size(module) == 2 &&
		       is_text(json_object_get(module, "serial")) &&
		       is_text(json_object_get(module, "type")) &&
		       is_attribute(json_string_value(json_object_get(module, "type")));
	return is_text(json_object_get(o, "dns")) || is_text(json_object_get(o, "uri"));
}

static void check_subject(const struct profile *p, struct mistakes *m)
{
	const char *key;
	json_t *v;

	if (p->subject && json_object_size(p->subject) == 0)
		mistakes_add(m, "/subject", "the name is empty: {CN: '${serial}'} expected");
	json_object_foreach((json_t *)p->subject, key, v) {
		_cleanup_(freep) char *at = pointer_key("/subject", key);

		if (!is_attribute(key))
			mistakes_add(m, at,
				"'%.60s' is not an attribute of names: a short name such as CN, or a dotted number expected",
				key);
		if (!is_text(v))
			mistakes_add(m, at, "a text expected, with a } for each ${");
	}
}

static void check_profile(const struct profile *p, const char *name, struct mistakes *m)
{
	size_t i;
	json_t *v;

	if (p->name && strcmp(p->name, name) != 0)
		mistakes_add(m, "/profile", "the file is for profile '%.64s', and says '%.64s'",
			name, p->name);
	check_subject(p, m);
	if (p->key_usage)
		check_names(p->key_usage, "/key_usage", usages, m);
	if (p->extended_key_usage)
		check_names(p->extended_key_usage, "/extended_key_usage", extended_usages, m);
	json_array_foreach((json_t *)p->san, i, v) {
		_cleanup_(freep) char *at = pointer_index("/san", i);

		if (!is_san(v))
			mistakes_add(m, at,
				"{dns: TEXT}, {uri: TEXT} or {hardware_module: {type: OID, serial: TEXT}} expected");
	}
	json_array_foreach((json_t *)p->same_in_issuer, i, v) {
		if (!json_object_get(p->subject, json_string_value(v)))
			mistakes_add(m, "/same_in_issuer", "the subject has no attribute '%.60s'",
				json_string_value(v));
	}
}

static void read_profile(struct profile *p, const char *name, struct mistakes *m)
{
	_cleanup_(freep) char *text = json_dumps(p->doc, JSON_COMPACT | JSON_SORT_KEYS);

	if (!json_is_object(p->doc)) {
		mistakes_add(m, "", "a profile must be a mapping");
		return;
	}
	form_read(profile_rows, p->doc, "", "key", p, m);
	check_profile(p, name, m);
	sha256_hex_of(text, strlen(text), p->digest);
}

int profile_load(const char *dir, const char *name, struct strbuf *report, struct profile **ret,
	struct err *e)
{
	_cleanup_(profile_freep) struct profile *p = xcalloc(1, sizeof *p);
	_cleanup_(freep) char *path = xasprintf("%s/%s.yaml", dir, name);
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct mistakes m = {0};
	int r = yaml_load(path, &doc, e);

	if (r < 0)
		return err_prefix(e, "profile '%.64s'", name);
	p->doc = json_incref(doc->root);
	read_profile(p, name, &m);
	mistakes_print(&m, path, doc, report);
	if (m.count > 0)
		r = err_set(e, ERR_INVALID, "profile '%.64s': %.200s", name, m.item[0].text);
	mistakes_done(&m);
	if (r < 0)
		return r;
	*ret = steal_ptr(&p);
	return 0;
}

struct profile *profile_free(struct profile *p)
{
	if (!p)
		return NULL;
	form_done(profile_rows, p);
	json_decref(p->doc);
	free(p);
	return NULL;
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static int add_value(
	struct strbuf *b, const char *name, size_t n, const json_t *values, struct err *e)
{
	_cleanup_(freep) char *key = strndup(name, n);
	const char *v = json_string_value(json_object_get(values, key));

	if (!v || !*v || strlen(v) > VALUE_MAX || has_control(v))
		return err_set(e, ERR_PROFILE_REFUSED,
			"the profile needs the value '%.40s', a text of 1 to %d bytes without control characters; %s came",
			key, VALUE_MAX,
			!v			? "none"
			: !*v			? "an empty one"
			: strlen(v) > VALUE_MAX ? "a longer one"
						: "one with a control character");
	sb_add(b, v);
	return 0;
}

char *profile_text(const char *text, const json_t *values, struct err *e)
{
	struct strbuf b = {0};
	const char *at = text;
	const char *open;

	while ((open = strstr(at, "${"))) {
		const char *end = strchr(open, '}');

		if (!end) {
			err_set(e, ERR_PROFILE_REFUSED,
				"'%.60s' of the profile has '${' without '}'", text);
			sb_done(&b);
			return NULL;
		}
		sb_add_n(&b, at, (size_t)(open - at));
		if (add_value(&b, open + 2, (size_t)(end - open - 2), values, e) < 0) {
			sb_done(&b);
			return NULL;
		}
		at = end + 1;
	}
	sb_add(&b, at);
	return sb_take(&b);
}
