/* SPDX-License-Identifier: Apache-2.0
 *
 * key.generate, key.csr, key.deliver, key.verify: a key that the unit makes and keeps, by its console.
 *
 *	KEY_GEN p256              OK pub=<hex SubjectPublicKeyInfo>
 *	KEY_CSR CN=name,O=maker   BEGIN, lines of base64, END
 *	KEY_SIGN <hex challenge>  SIG <hex signature>
 *	CERT_WRITE <bytes>, then lines of base64    OK sha256=<hex, of the DER>
 *	CERT_READ                 BEGIN, lines of base64, END
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

static int generate_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
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

static const struct action_arg generate_args[] = {
	ARG_ROW_PORT,
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

static const struct action_output generate_outputs[] = {OUTPUT_ROWS_KEY, {0}};

const struct action action_key_generate = {
	.name = "key.generate",
	.doc = "Has the unit make a key that never leaves it. That it holds it is for key.verify to prove.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = generate_args,
	.outputs = generate_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = dialogue_check,
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

static int csr_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *send = fill_in(
		args_str(a, "send"), (struct filling[]){{"subject", args_str(a, "subject")}, {0}});
	_cleanup_(freep) char *pem = NULL;
	_cleanup_(x509_csr_done) struct x509_csr csr = {0};
	_dialogue_ d = {0};
	_reply_ got = {0};
	struct err why = {0};
	int r = dialogue_open(s, a, &d, e);

	if (r == 0)
		r = dialogue_ask(&d, s, send, args_str(a, "expect"), &got, e);
	if (r < 0)
		return r;
	pem = pem_of_lines(got.before, "CERTIFICATE REQUEST", e);
	if (!pem)
		return -ERR_UNEXPECTED_REPLY;
	if (judge_csr(a, pem, &csr, &why) < 0)
		return result_fail(out, ERR_CSR_MISMATCH, "%s", why.msg);
	output_key(out, &csr.key);
	result_output(out, "csr", json_string(pem));
	result_evidence(out, "subject", json_string(csr.subject));
	result_evidence(out, "proof", json_string("signed by its key"));
	return 0;
}

static const struct action_arg csr_args[] = {
	ARG_ROW_PORT,
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
	.doc = "Takes a certificate request (PKCS#10) from the unit: it must be signed by its own key, and be for the name and key that are expected.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = csr_args,
	.outputs = csr_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = dialogue_check,
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
