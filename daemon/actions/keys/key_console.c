/* SPDX-License-Identifier: Apache-2.0
 *
 * key.generate, key.csr, key.install, key.deliver, key.verify: a key that the unit makes and keeps, by its
 * console; or, of a unit that cannot, one that the key process makes.
 *
 *	KEY_GEN p256              OK pub=<hex SubjectPublicKeyInfo>
 *	KEY_CSR CN=name,O=maker   BEGIN, lines of base64, END
 *	KEY_SIGN <hex challenge>  SIG <hex signature>
 *	CERT_WRITE <bytes>, then lines of base64    OK sha256=<hex, of the DER>
 *	CERT_READ                 BEGIN, lines of base64, END
 *	KEY_WRITE <bytes>, then lines of base64     OK
 *	KEY_PUB                   PUB <hex SubjectPublicKeyInfo>, or NONE
 *
 * are the commands of the virtual board; a recipe names others. What a unit sends is believed only
 * after it was taken apart (base/x509.h): a request is signed by its own key, a signature is over a
 * challenge that was made for this step alone, a certificate that is read back is the one that was
 * written.
 */
#include "base/strbuf.h"
#include "daemon/actions/common.h"

#define _dialogue_ _cleanup_(dialogue_done) struct dialogue_env
#define _reply_	   _cleanup_(console_reply_done) struct console_reply
#define _key_	   _cleanup_(x509_key_done) struct x509_key

#define BASE64_LINE   64 /* RFC 7468, 2 */
#define CHALLENGE_MAX 64
#define SIGNATURE_MAX 1024

/* A line of base64 may begin with letters that are a word: it is refused where a blank, a colon or
 * nothing follows them. */
#define LINES_ERROR_DEFAULT                                                    \
	"(?i)^\\W*(ERR|ERROR|FAIL|FAILED|FAILURE|NAK|NACK|NOT|UNKNOWN|DENIED|" \
	"REFUSED|REJECTED|ABORTED|CANNOT|UNABLE)(?=[ :]|$)|\\bunknown command\\b"
#define LINES_END_DEFAULT "^(?:END|-----END [A-Z0-9 ]+-----)$"

#define ARG_ROW_LINES_ERROR                                                     \
	{                                                                       \
		.name = "error", .type = ARG_REGEX, .def = LINES_ERROR_DEFAULT, \
		.doc = "a reply that refuses; it wins over every other"         \
	}

/* --- what a unit prints --- */

static bool is_base64(const char *line, size_t n)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

	for (size_t i = 0; i < n; i++)
		if (!strchr(letters, line[i]))
			return false;
	return n > 0;
}

/* The base64 after the last BEGIN of some lines, as PEM of that label; owned by the caller. NULL, with
 * an error, where there is none. */
static char *pem_of_lines(const char *lines, const char *label, struct err *e)
{
	struct strbuf b = {0};
	bool begun = false;

	for (const char *at = lines ? lines : ""; *at;) {
		size_t n = strcspn(at, "\n");

		if (!strncmp(at, "BEGIN", 5) || !strncmp(at, "-----BEGIN", 10)) {
			begun = true;
			sb_clear(&b);
		} else if (begun && is_base64(at, n)) {
			sb_add_n(&b, at, n);
			sb_add(&b, "\n");
		}
		at += n + (at[n] != '\0');
	}
	if (!b.len) {
		sb_done(&b);
		err_set(e, ERR_UNEXPECTED_REPLY,
			"the unit's reply has no lines of base64 after a line that begins with BEGIN");
		return NULL;
	}
	char *pem = xasprintf("-----BEGIN %s-----\n%s-----END %s-----\n", label, b.s, label);

	sb_done(&b);
	return pem;
}

static int parse_hex(const char *text, uint8_t *ret, size_t size, size_t *ret_n, struct err *e)
{
	size_t n = strlen(text) / 2;

	if (n < 1 || n > size || !hex_parse(text, ret, n))
		return err_set(e, ERR_UNEXPECTED_REPLY,
			"the unit answered '%.40s': an even number of hex digits, at most %zu, expected",
			text, 2 * size);
	*ret_n = n;
	return 0;
}

/* The first group of the pattern, or the line. */
static const char *said(const struct console_reply *r)
{
	return r->groups > 1 && r->group[1] ? r->group[1] : r->line;
}

static void output_key(struct step_result *out, const struct x509_key *k)
{
	_cleanup_(freep) char *pem = x509_pem("PUBLIC KEY", k->der, k->der_bytes);

	result_output(out, "public_key", json_string(pem));
	result_output(out, "key", json_string(k->sha256));
	result_evidence(out, "key", json_string(k->sha256));
	result_evidence(out, "alg", json_string(x509_alg_name(k->alg)));
}

#define OUTPUT_ROWS_KEY                                                               \
	{"public_key", "the public key, PEM"},                                        \
	{                                                                             \
		"key", "its name in the records: SHA-256 of the SubjectPublicKeyInfo" \
	}

/* --- key.generate --- */

static const char *const generate_places[] = {"unit", "memory", "token", NULL};

/* Where it is made; in a check a default is not there yet. */
static bool is_in(const struct args *a, const char *place)
{
	const char *in = args_str(a, "in");

	return !strcmp(in ? in : generate_places[0], place);
}

static int generate_check(const struct args *a, struct err *e)
{
	const bool token = is_in(a, "token");

	if (is_in(a, "unit") && !args_given(a, "port"))
		return err_set(
			e, ERR_RECIPE_INVALID, "'port' is needed where the unit makes the key");
	if (token && (!args_given(a, "store") || !args_given(a, "label")))
		return err_set(e, ERR_RECIPE_INVALID,
			"a key in a token needs 'store', a name of 'stores' in provd.yaml, and 'label', such as '${unit.serial}'");
	if (!token && (args_given(a, "store") || args_given(a, "label")))
		return err_set(e, ERR_RECIPE_INVALID, "'store' and 'label' are for 'in: token'");
	return dialogue_check(a, e);
}

/* By the key process. */
static int make_key(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	struct key_ask ask = {.store = args_str(a, "store"),
		.label = args_str(a, "label"),
		.alg = args_str(a, "alg")};
	_key_ k = {0};
	int r = s->ops->make_key ? s->ops->make_key(s->env, &ask, &s->it, &k, e)
				 : err_set(e, ERR_UNSUPPORTED,
					   "there is no key process here that makes keys");

	if (r < 0)
		return r;
	output_key(out, &k);
	result_output(out, "name", json_string(ask.name));
	result_evidence(out, "in", json_string(args_str(a, "in")));
	result_evidence(out, "name", json_string(ask.name));
	result_evidence(out, "made", json_string(ask.before ? "before" : "now"));
	result_evidence(out, "proof", json_string("acknowledged"));
	return 0;
}

static int ask_unit(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const char *alg = args_str(a, "alg");
	_cleanup_(freep) char *send =
		fill_in(args_str(a, "send"), (struct filling[]){{"alg", alg}, {0}});
	_dialogue_ d = {0};
	_reply_ got = {0};
	_key_ k = {0};
	struct err why = {0};
	int r = dialogue_open(s, a, &d, e);

	if (r == 0)
		r = dialogue_ask(&d, s, send, args_str(a, "expect"), &got, e);
	if (r == 0 && x509_key_read(said(&got), &k, &why) < 0)
		r = err_set(e, ERR_UNEXPECTED_REPLY,
			"the unit's answer to '%.40s' is not a public key to use: %s", send,
			why.msg);
	if (r < 0)
		return r;
	if (k.alg != x509_alg_of(alg))
		return result_fail(out, ERR_UNEXPECTED_REPLY,
			"the unit made a key of kind %s, and %s was asked for",
			x509_alg_name(k.alg), alg);
	output_key(out, &k);
	result_evidence(out, "proof", json_string("acknowledged"));
	return 0;
}

static int generate_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	int r = generate_check(a, e);

	if (r < 0)
		return r;
	return is_in(a, "unit") ? ask_unit(s, a, out, e) : make_key(s, a, out, e);
}

#define ARG_ROW_PORT_OR(text)                                                             \
	{                                                                                 \
		.name = "port", .type = ARG_PORT, .ports = PORT_KIND_TTY | PORT_KIND_TCP, \
		.doc = text                                                               \
	}

static const struct action_arg generate_args[] = {
	ARG_ROW_PORT_OR("role of the link, where the unit makes the key"),
	{.name = "in",
		.type = ARG_CHOICE,
		.def = "unit",
		.choices = generate_places,
		.doc = "who makes and has it: the unit; the memory of provd-keyd, for key.install; a token, which it never leaves"},
	{.name = "store", .type = ARG_STRING, .doc = "in: token. A name of 'stores' in provd.yaml"},
	{.name = "label",
		.type = ARG_STRING,
		.doc = "in: token. What the key is called there, such as '${unit.serial}': the same label is the same key"},
	{.name = "alg",
		.type = ARG_CHOICE,
		.def = "p256",
		.choices = x509_alg_names,
		.doc = "the kind of key"},
	{.name = "send",
		.type = ARG_STRING,
		.def = "KEY_GEN {alg}",
		.doc = "the command that makes it"},
	{.name = "expect",
		.type = ARG_REGEX,
		.def = "^OK pub=([0-9A-Fa-f]+)$",
		.doc = "the reply, its first group the public key: hex digits of a SubjectPublicKeyInfo"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

static const struct action_output generate_outputs[] = {OUTPUT_ROWS_KEY,
	{"name", "in: memory, in: token. By what key.csr and key.install ask for it"}, {0}};

const struct action action_key_generate = {
	.name = "key.generate",
	.doc = "Has the unit make a key that never leaves it; or has provd-keyd make one, in its memory for a unit that cannot, or in a token. That the unit holds it is for key.verify to prove.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = generate_args,
	.outputs = generate_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = generate_check,
	.run = generate_run,
};

/* --- key.csr --- */

/* Whether it is for the key of an earlier step. */
static int same_key(const struct args *a, const struct x509_key *got, struct err *e)
{
	const char *text = args_str(a, "public_key");
	_key_ expected = {0};
	int r = text ? x509_key_read(text, &expected, e) : 0;

	if (r == 0 && text && !x509_key_equal(got, &expected))
		r = err_set(e, ERR_CSR_MISMATCH, "the request is for key %.16s, %.16s expected",
			got->sha256, expected.sha256);
	return r;
}

static int judge_csr(const struct args *a, const char *pem, struct x509_csr *ret, struct err *e)
{
	const char *subject = args_str(a, "subject");
	int r = x509_csr_read(pem, strlen(pem), ret, e);

	if (r == -ERR_INVALID && e)
		e->code = ERR_CSR_MISMATCH;
	if (r == 0)
		r = same_key(a, &ret->key, e);
	if (r == 0 && *subject)
		r = x509_same_name(ret->subject, subject, e);
	return r < 0 ? -ERR_CSR_MISMATCH : 0;
}

static int csr_check(const struct args *a, struct err *e)
{
	if (args_given(a, "port") == args_given(a, "name"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'port' where the unit has the key, or 'name' where key.generate made it elsewhere: one of the two");
	return dialogue_check(a, e);
}

static int take_csr(const struct args *a, const char *pem, struct step_result *out)
{
	_cleanup_(x509_csr_done) struct x509_csr csr = {0};
	struct err why = {0};

	if (judge_csr(a, pem, &csr, &why) < 0)
		return result_fail(out, ERR_CSR_MISMATCH, "%s", why.msg);
	output_key(out, &csr.key);
	result_output(out, "csr", json_string(pem));
	result_evidence(out, "subject", json_string(csr.subject));
	result_evidence(out, "proof", json_string("signed by its key"));
	return 0;
}

/* Of a key that the key process has. */
static int make_csr(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(x509_csr_done) struct x509_csr csr = {0};
	_cleanup_(freep) char *pem = NULL;
	int r = s->ops->key_request
			? s->ops->key_request(s->env, args_str(a, "name"), args_str(a, "subject"),
				  &s->it, &csr, e)
			: err_set(e, ERR_UNSUPPORTED, "there is no key process here that has keys");

	if (r < 0)
		return r;
	pem = x509_pem("CERTIFICATE REQUEST", csr.der, csr.der_bytes);
	return take_csr(a, pem, out);
}

static int csr_of_unit(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *send = fill_in(
		args_str(a, "send"), (struct filling[]){{"subject", args_str(a, "subject")}, {0}});
	_cleanup_(freep) char *pem = NULL;
	_dialogue_ d = {0};
	_reply_ got = {0};
	int r = dialogue_open(s, a, &d, e);

	if (r == 0)
		r = dialogue_ask(&d, s, send, args_str(a, "expect"), &got, e);
	if (r < 0)
		return r;
	pem = pem_of_lines(got.before, "CERTIFICATE REQUEST", e);
	return pem ? take_csr(a, pem, out) : -ERR_UNEXPECTED_REPLY;
}

static int csr_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	int r = csr_check(a, e);

	if (r < 0)
		return r;
	return args_has(a, "name") ? make_csr(s, a, out, e) : csr_of_unit(s, a, out, e);
}

static const struct action_arg csr_args[] = {
	ARG_ROW_PORT_OR("role of the link, where the unit has the key"),
	{.name = "name",
		.type = ARG_STRING,
		.doc = "a key that is not the unit's own yet, ${steps.ID.name} of key.generate: provd-keyd signs"},
	{.name = "subject",
		.type = ARG_STRING,
		.def = "",
		.doc = "the name that the request must have, such as 'CN=${unit.serial},O=Example', put for {subject}; empty: any"},
	{.name = "public_key",
		.type = ARG_STRING,
		.doc = "the key that it must be for, such as ${steps.ID.public_key} of key.generate"},
	{.name = "send",
		.type = ARG_STRING,
		.def = "KEY_CSR {subject}",
		.doc = "the command that gives it"},
	{.name = "expect",
		.type = ARG_REGEX,
		.def = LINES_END_DEFAULT,
		.doc = "the line after its lines of base64, which begin after a line BEGIN"},
	ARG_ROW_LINES_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

static const struct action_output csr_outputs[] = {
	{"csr", "the request, PEM"}, OUTPUT_ROWS_KEY, {0}};

const struct action action_key_csr = {
	.name = "key.csr",
	.doc = "Takes a certificate request (PKCS#10) from the unit, or from provd-keyd for a key that was made there: it must be signed by its own key, and be for the name and key that are expected.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = csr_args,
	.outputs = csr_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = csr_check,
	.run = csr_run,
};

/* --- key.deliver --- */

/* The lines between the first and the last of a PEM. */
static char *base64_of_pem(const char *pem)
{
	struct strbuf b = {0};

	for (const char *at = pem; *at;) {
		size_t n = strcspn(at, "\n");

		if (is_base64(at, n))
			sb_add_n(&b, at, n);
		at += n + (at[n] != '\0');
	}
	return sb_take(&b);
}

/* Command and lines; the reply comes after the last one. */
static int write_lines(struct dialogue_env *d, struct step *s, const struct args *a,
	const char *send, const char *base64, struct console_reply *ret, struct err *e)
{
	size_t n = strlen(base64);
	char line[BASE64_LINE + 1];
	int r = console_send(d->console, send, &s->it, e);

	for (size_t at = 0; r == 0 && at < n; at += BASE64_LINE) {
		snprintf(line, sizeof line, "%s", base64 + at);
		if (at + BASE64_LINE < n)
			r = console_send(d->console, line, &s->it, e);
		else
			r = dialogue_ask(d, s, line, args_str(a, "expect"), ret, e);
		step_progress(s, "write", MIN(at + BASE64_LINE, n), n);
	}
	return r;
}

static int read_certificate(struct dialogue_env *d, struct step *s, const struct args *a,
	struct x509_cert *ret, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *pem = NULL;
	_reply_ got = {0};
	struct err why = {0};
	int r = dialogue_ask(d, s, args_str(a, "get"), args_str(a, "end"), &got, e);

	if (r < 0)
		return err_prefix(e, "read back");
	pem = pem_of_lines(got.before, "CERTIFICATE", &why);
	if (!pem || x509_cert_read(pem, strlen(pem), ret, &why) < 0)
		return result_fail(out, ERR_READ_BACK_MISMATCH, "read back: %s", why.msg);
	return 0;
}

static int deliver(struct dialogue_env *d, struct step *s, const struct args *a,
	const struct x509_cert *c, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *bytes = xasprintf("%zu", c->der_bytes);
	_cleanup_(freep) char *send =
		fill_in(args_str(a, "send"), (struct filling[]){{"bytes", bytes}, {0}});
	_cleanup_(freep) char *pem = x509_pem("CERTIFICATE", c->der, c->der_bytes);
	_cleanup_(freep) char *base64 = base64_of_pem(pem);
	_cleanup_(x509_cert_done) struct x509_cert held = {0};
	_reply_ got = {0};
	int r = write_lines(d, s, a, send, base64, &got, e);

	if (r == 0)
		result_evidence(out, "reply", json_string(got.line));
	if (r == 0)
		r = read_certificate(d, s, a, &held, out, e);
	if (r < 0 || out->verdict == STEP_FAILED)
		return r;
	if (held.der_bytes != c->der_bytes || memcmp(held.der, c->der, c->der_bytes) != 0)
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"the unit holds the certificate with SHA-256 %.16s, and %.16s was written",
			held.sha256, c->sha256);
	return 0;
}

static int deliver_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const char *pem = args_str(a, "certificate");
	_cleanup_(x509_cert_done) struct x509_cert c = {0};
	_dialogue_ d = {0};
	int r = x509_cert_read(pem, strlen(pem), &c, e);

	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	if (r == 0)
		r = deliver(&d, s, a, &c, out, e);
	if (r < 0 || out->verdict == STEP_FAILED)
		return r;
	result_evidence(out, "certificate", json_string(c.serial));
	result_evidence(out, "sha256", json_string(c.sha256));
	result_evidence(out, "proof", json_string("read-back"));
	return s->ops->delivered ? s->ops->delivered(s->env, c.sha256, e) : 0;
}

static const struct action_arg deliver_args[] = {
	ARG_ROW_PORT,
	{.name = "certificate",
		.type = ARG_STRING,
		.required = true,
		.doc = "PEM, such as ${steps.ID.certificate} of key.certificate"},
	{.name = "send",
		.type = ARG_STRING,
		.def = "CERT_WRITE {bytes}",
		.doc = "the command before its lines of base64; {bytes} is the length of the DER"},
	{.name = "expect",
		.type = ARG_REGEX,
		.def = "^OK sha256=[0-9a-f]{64}$",
		.doc = "the reply after the last line"},
	{.name = "get",
		.type = ARG_STRING,
		.def = "CERT_READ",
		.doc = "the command that reads it back, as lines of base64 after BEGIN"},
	{.name = "end",
		.type = ARG_REGEX,
		.def = LINES_END_DEFAULT,
		.doc = "the line after what is read back"},
	ARG_ROW_LINES_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_key_deliver = {
	.name = "key.deliver",
	.doc = "Writes the unit's certificate and reads it back; the records say then that the unit holds it.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = deliver_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = dialogue_check,
	.run = deliver_run,
};

/* --- key.install --- */

struct install {
	struct dialogue_env *d;
	struct x509_key key; /* that the unit is to have */
	struct step *s;
	const struct args *a;
};

/* The key that the unit has: ret->alg is X509_ALG_NONE where it has none. */
static int ask_public(const struct install *x, struct x509_key *ret, struct err *e)
{
	_reply_ got = {0};
	const char *hex;
	int r = dialogue_ask(x->d, x->s, args_str(x->a, "get"), args_str(x->a, "shown"), &got, e);

	if (r < 0)
		return err_prefix(e, "the unit's public key");
	hex = got.groups > 1 ? got.group[1] : NULL;
	return hex && *hex ? x509_key_read(hex, ret, e) : 0;
}

static int install_observe(
	struct step *s, const struct args *a, void *session, struct observation *ret, struct err *e)
{
	const struct install *x = session;
	_key_ has = {0};
	int r;

	if (!*args_str(a, "get")) {
		ret->state = OBSERVED_UNKNOWN;
		snprintf(ret->said, sizeof ret->said, "the unit does not show its public key");
		return 0;
	}
	r = ask_public(x, &has, e);
	if (r < 0)
		return r;
	ret->state = x509_key_equal(&has, &x->key) ? OBSERVED_DONE : OBSERVED_BLANK;
	if (has.alg)
		snprintf(ret->said, sizeof ret->said, "the unit has the key %.16s", has.sha256);
	else
		snprintf(ret->said, sizeof ret->said, "the unit has no key");
	return 0;
}

/* Whether a line has nothing but a part of the public key, which certificates show as well. */
static bool is_public(const struct x509_key *public, const char *line)
{
	size_t n = 0;
	uint8_t *bytes = base64_parse(line, &n);
	bool found = bytes && memmem(public->der, public->der_bytes, bytes, n);

	if (bytes)
		secret_wipe(bytes, n);
	free(bytes);
	return found;
}

/* The lines are secrets of the run from here on: no log, record or answer has them. */
static int hide_lines(const struct install *x, const char *base64, struct err *e)
{
	char line[BASE64_LINE + 1];
	int r = 0;

	for (size_t at = 0, n = strlen(base64); r == 0 && at < n; at += BASE64_LINE) {
		snprintf(line, sizeof line, "%s", base64 + at);
		if (!is_public(&x->key, line))
			r = step_secret(x->s, line, e);
	}
	secret_wipe(line, sizeof line);
	return r;
}

/* Handed out by the key process, written, wiped. */
static int write_key(struct install *x, struct step_result *out, struct err *e)
{
	char bytes[24];
	_cleanup_(freep) char *send = NULL;
	uint8_t *der = NULL;
	char *base64;
	size_t n = 0;
	_reply_ got = {0};
	int r = x->s->ops->take_key(x->s->env, args_str(x->a, "name"), &x->s->it, &der, &n, e);

	if (r < 0)
		return r;
	base64 = base64_of(der, n);
	secret_wipe(der, n);
	free(der);
	snprintf(bytes, sizeof bytes, "%zu", n);
	send = fill_in(args_str(x->a, "send"), (struct filling[]){{"bytes", bytes}, {0}});
	r = hide_lines(x, base64, e);
	if (r == 0)
		r = write_lines(x->d, x->s, x->a, send, base64, &got, e);
	secret_wipe(base64, strlen(base64));
	free(base64);
	if (r == 0)
		result_evidence(out, "reply", json_string(got.line));
	return r;
}

static int check_installed(struct install *x, struct step_result *out, struct err *e)
{
	_key_ has = {0};
	int r = *args_str(x->a, "get") ? ask_public(x, &has, e) : 0;

	if (r < 0)
		return r;
	if (*args_str(x->a, "get") && !x509_key_equal(&has, &x->key))
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"the unit shows the public key %.16s, and the key of %.16s was written",
			has.alg ? has.sha256 : "none", x->key.sha256);
	result_evidence(
		out, "proof", json_string(*args_str(x->a, "get") ? "read-back" : "acknowledged"));
	return 0;
}

static int install(struct install *x, struct step_result *out, struct err *e)
{
	struct intent i = {0};
	bool done = false;
	int r;

	snprintf(i.unit, sizeof i.unit, "%s", args_str(x->a, "unit"));
	snprintf(i.what, sizeof i.what, "private key");
	snprintf(i.digest, sizeof i.digest, "%s", x->key.sha256);
	r = step_intend(x->s, x->a, &i, x, &done, out, e);
	if (r == 0 && !done)
		r = write_key(x, out, e);
	if (r == 0)
		r = check_installed(x, out, e);
	if (r < 0)
		return r;
	result_evidence(out, "key", json_string(x->key.sha256));
	result_evidence(out, "written", json_string(done ? "before" : "now"));
	return 0;
}

static int install_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_dialogue_ d = {0};
	struct install x = {.d = &d, .s = s, .a = a};
	int r = x509_key_read(args_str(a, "public_key"), &x.key, e);

	if (r == 0 && !s->ops->take_key)
		r = err_set(e, ERR_UNSUPPORTED, "there is no key process here that has keys");
	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	if (r == 0)
		r = install(&x, out, e);
	x509_key_done(&x.key);
	return r;
}

static const struct action_arg install_args[] = {
	ARG_ROW_PORT,
	{.name = "name",
		.type = ARG_STRING,
		.required = true,
		.doc = "the key, ${steps.ID.name} of key.generate with 'in: memory'"},
	{.name = "public_key",
		.type = ARG_STRING,
		.required = true,
		.doc = "its public key, ${steps.ID.public_key}"},
	{.name = "unit",
		.type = ARG_STRING,
		.def = "",
		.doc = "what the unit says of itself, such as a chip id: by it the journal knows it again"},
	{.name = "send",
		.type = ARG_STRING,
		.def = "KEY_WRITE {bytes}",
		.doc = "the command before its lines of base64; {bytes} is the length of the PKCS #8 (DER)"},
	{.name = "expect",
		.type = ARG_REGEX,
		.def = "^OK$",
		.doc = "the reply after the last line"},
	{.name = "get",
		.type = ARG_STRING,
		.def = "KEY_PUB",
		.doc = "the command that shows the public key of the unit's key; empty: there is none, and key.verify alone proves it"},
	{.name = "shown",
		.type = ARG_REGEX,
		.def = "^(?:PUB ([0-9A-Fa-f]+)|NONE)$",
		.doc = "its reply, the first group the public key: hex digits of a SubjectPublicKeyInfo; without it there is none"},
	ARG_ROW_LINES_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_key_install = {
	.name = "key.install",
	.doc = "Writes a private key that provd-keyd made in its memory into the unit, once: provd-keyd has it no more then. For units that cannot make one; key.verify proves that it holds it.",
	.flags = ACTION_IRREVERSIBLE | ACTION_NEEDS_EVIDENCE,
	.args = install_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = dialogue_check,
	.run = install_run,
	.observe = install_observe,
};

/* --- key.verify --- */

static int verify_check(const struct args *a, struct err *e)
{
	const char *send = args_str(a, "send");

	if (send && !strstr(send, "{challenge}"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'send' is '%.60s': without {challenge} the unit signs nothing new", send);
	return dialogue_check(a, e);
}

static int verify_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	uint8_t challenge[CHALLENGE_MAX], signature[SIGNATURE_MAX];
	char hex[2 * CHALLENGE_MAX + 1];
	size_t n = (size_t)args_int(a, "bytes");
	size_t m = 0;
	_cleanup_(freep) char *send = NULL;
	struct err why = {0};
	_dialogue_ d = {0};
	_reply_ got = {0};
	_key_ k = {0};
	int r = x509_key_read(args_str(a, "key"), &k, e);

	if (r == 0)
		r = dialogue_open(s, a, &d, e);
	random_bytes(challenge, n);
	send = fill_in(args_str(a, "send"),
		(struct filling[]){{"challenge", hex_of(challenge, n, hex)}, {0}});
	if (r == 0)
		r = dialogue_ask(&d, s, send, args_str(a, "expect"), &got, e);
	if (r == 0)
		r = parse_hex(said(&got), signature, sizeof signature, &m, e);
	if (r < 0)
		return r;
	if (x509_key_verify(&k, challenge, n, signature, m, &why) < 0)
		return result_fail(out, ERR_KEY_NOT_PROVEN, "%s", why.msg);
	result_evidence(out, "key", json_string(k.sha256));
	result_evidence(out, "challenge", json_string(hex));
	result_evidence(out, "signature", json_string(said(&got)));
	result_evidence(out, "proof", json_string("challenge"));
	return 0;
}

static const struct action_arg verify_args[] = {
	ARG_ROW_PORT,
	{.name = "key",
		.type = ARG_STRING,
		.required = true,
		.doc = "the public key or the certificate that it must hold the key of: PEM, or hex digits"},
	{.name = "bytes",
		.type = ARG_INT,
		.def = "32",
		.low = 16,
		.high = CHALLENGE_MAX,
		.unit = "bytes",
		.doc = "of the challenge, which is made for this step alone"},
	{.name = "send",
		.type = ARG_STRING,
		.def = "KEY_SIGN {challenge}",
		.doc = "the command; {challenge} is put as hex digits"},
	{.name = "expect",
		.type = ARG_REGEX,
		.def = "^SIG ([0-9A-Fa-f]+)$",
		.doc = "the reply, its first group the signature in hex: ECDSA (DER) with SHA-256, or SHA-384 for P-384; Ed25519; RSA PKCS #1 v1.5"},
	ARG_ROW_ERROR,
	ARG_ROWS_DIALOGUE,
	{0},
};

const struct action action_key_verify = {
	.name = "key.verify",
	.doc = "The unit signs a fresh challenge: that is the proof that it holds the private key.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = verify_args,
	.default_timeout_us = 30 * US_PER_S,
	.check = verify_check,
	.run = verify_run,
};
