/* SPDX-License-Identifier: Apache-2.0
 *
 * The secure element of a virtual board: a key that never leaves it, requests and signatures by it,
 * and the certificate that it is given.
 *
 *	CERT_WRITE n ──> lines of base64, until n bytes of DER are there ──> OK sha256=
 *	KEY_WRITE n  ──> the same, of a private key (PKCS #8) that was made elsewhere ──> OK
 *	                 an empty line gives up
 */
#include <string.h>

#include "base/digest.h"
#include "sim/guide/board_impl.h"
#include "sim/guide/keys.h"

#define BASE64_LINE 64 /* RFC 7468 */
#define CERT_MAX    8192
#define CHALLENGE   1024

static void der_freep(struct der *d)
{
	free(d->p);
}

static char *hex_text(const void *p, size_t n)
{
	char *hex = xcalloc(1, 2 * n + 1);

	return hex_of(p, n, hex);
}

/* The bytes of hex digits, or false. */
static bool bytes_of(const char *hex, struct der *ret)
{
	size_t n = strlen(hex) / 2;
	_cleanup_(freep) uint8_t *p = xcalloc(1, n + 1);

	if (!n || !hex_parse(hex, p, n))
		return false;
	*ret = (struct der){steal_ptr(&p), n};
	return true;
}

static bool kept(const struct board *b, const char *kind, const char *name, struct der *ret)
{
	const char *hex =
		json_string_value(json_object_get(json_object_get(b->unit->values, kind), name));

	return hex && bytes_of(hex, ret);
}

static void keep(struct board *b, const char *kind, const char *name, const void *p, size_t n)
{
	_cleanup_(freep) char *hex = hex_text(p, n);

	json_object_set_new(b->unit->values, kind, json_pack("{s:s}", name, hex));
	board_keep(b);
}

static void answer_hex(struct board *b, uint64_t t_us, const char *before, const struct der *d)
{
	_cleanup_(freep) char *hex = hex_text(d->p, d->n);
	_cleanup_(freep) char *text = xasprintf("%s%s", before, hex);

	board_answer(b, t_us, text);
}

/* Base64 between BEGIN and END. */
static void answer_lines(struct board *b, uint64_t t_us, const struct der *d)
{
	_cleanup_(freep) char *text = der_base64(d);
	size_t n = strlen(text);

	board_say(b, t_us, "BEGIN");
	for (size_t at = 0; at < n; at += BASE64_LINE) {
		char line[BASE64_LINE + 1];

		snprintf(line, sizeof line, "%s", text + at);
		board_say(b, t_us, line);
	}
	board_answer(b, t_us, "END");
}

/* -- the key -- */

void cmd_key_gen(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(der_freep) struct der key = {0}, public = {0};

	if (!key_generate(args, &key) || !key_public(&key, &public)) {
		board_answer(b, t_us, "ERROR: usage: KEY_GEN p256|p384|ed25519");
		return;
	}
	keep(b, "key", "private", key.p, key.n);
	unit_count(b->unit, "keys", 1);
	answer_hex(b, t_us, "OK pub=", &public);
}

static bool the_key(struct board *b, uint64_t t_us, struct der *ret)
{
	if (kept(b, "key", "private", ret))
		return true;
	board_answer(b, t_us, "ERROR: no key");
	return false;
}

void cmd_key_csr(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(der_freep) struct der key = {0}, csr = {0};
	const char *subject = args;

	if (!the_key(b, t_us, &key))
		return;
	if (fault_hit(b->faults, FAULT_CSR_OTHER, FAULT_PHASE_CONSOLE, NULL))
		subject = "CN=another unit";
	if (key_request(&key, subject, &csr))
		answer_lines(b, t_us, &csr);
	else
		board_answer(b, t_us, "ERROR: usage: KEY_CSR CN=name,O=maker");
}

void cmd_key_sign(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(der_freep) struct der key = {0}, other = {0}, said = {0}, sig = {0};

	if (!the_key(b, t_us, &key))
		return;
	if (strlen(args) > 2 * CHALLENGE || !bytes_of(args, &said)) {
		board_answer(b, t_us, "ERROR: usage: KEY_SIGN hex");
		return;
	}

	bool lies = fault_hit(b->faults, FAULT_KEY_OTHER, FAULT_PHASE_CONSOLE, NULL) &&
		    key_generate("p256", &other);

	if (key_sign(lies ? &other : &key, said.p, said.n, &sig))
		answer_hex(b, t_us, "SIG ", &sig);
	else
		board_answer(b, t_us, "ERROR: cannot sign");
}

void cmd_key_pub(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(der_freep) struct der key = {0}, public = {0};

	if (kept(b, "key", "private", &key) && key_public(&key, &public))
		answer_hex(b, t_us, "PUB ", &public);
	else
		board_answer(b, t_us, "NONE");
}

/* -- the certificate, and a key that is given -- */

void cmd_cert_write(struct board *b, const char *args, uint64_t t_us)
{
	unsigned long long n;

	if (!parse_size(args, &n) || n == 0 || n > CERT_MAX) {
		board_answer(b, t_us, "ERROR: usage: CERT_WRITE bytes, then base64");
		return;
	}
	sb_clear(&b->cert);
	b->cert_bytes = (size_t)n;
	b->cert_is_key = false;
}

void cmd_key_write(struct board *b, const char *args, uint64_t t_us)
{
	cmd_cert_write(b, args, t_us);
	b->cert_is_key = true;
}

static void key_whole(struct board *b, uint64_t t_us)
{
	const struct der key = {(uint8_t *)b->cert.s, b->cert.len};
	_cleanup_(der_freep) struct der public = {0}, other = {0};

	if (!key_public(&key, &public)) {
		board_answer(b, t_us, "ERROR: not a private key");
		return;
	}

	bool lies = fault_hit(b->faults, FAULT_KEY_OTHER, FAULT_PHASE_CONSOLE, NULL) &&
		    key_generate("p256", &other);

	keep(b, "key", "private", lies ? other.p : key.p, lies ? other.n : key.n);
	unit_count(b->unit, "keys", 1);
	board_answer(b, t_us, "OK");
}

static void cert_whole(struct board *b, uint64_t t_us)
{
	bool cut = fault_hit(b->faults, FAULT_CERT_CUT, FAULT_PHASE_CONSOLE, NULL);
	char hex[SHA256_HEX];

	sha256_hex_of(b->cert.s, b->cert.len, hex);
	keep(b, "cert", "der", b->cert.s, b->cert.len - cut);

	_cleanup_(freep) char *text = xasprintf("OK sha256=%s", hex);

	board_answer(b, t_us, text);
}

void board_cert_line(struct board *b, const char *line, uint64_t t_us)
{
	uint8_t part[BOARD_LINE_MAX];
	size_t n = 0;

	if (!der_base64_line(line, part, MIN(sizeof part, b->cert_bytes - b->cert.len), &n)) {
		board_answer(b, t_us,
			*line ? "ERROR: not base64, or more than was said"
			      : "ERROR: certificate short");
		b->cert_bytes = 0;
		return;
	}
	sb_add_n(&b->cert, part, n);
	if (b->cert.len < b->cert_bytes)
		return;
	b->cert_bytes = 0;
	if (b->cert_is_key)
		key_whole(b, t_us);
	else
		cert_whole(b, t_us);
}

void cmd_cert_read(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(der_freep) struct der cert = {0};

	if (kept(b, "cert", "der", &cert))
		answer_lines(b, t_us, &cert);
	else
		board_answer(b, t_us, "NONE");
}
