/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_keys.h"

#include "base/digest.h"
#include "base/secret.h"
#include "base/util.h"
#include "daemon/keyd/client.h"

#define SERIAL_OCTETS 16
#define WHO	      "a bench" /* in the log of provd-keyd */

static int socket_of(const char **ret, struct err *e)
{
	*ret = getenv("PROVD_KEYD_SOCKET");
	if (!*ret || !**ret)
		return err_set(e, ERR_UNSUPPORTED,
			"a bench has no keys of its own: set PROVD_KEYD_SOCKET to the socket of a provd-keyd that was started by this user");
	return 0;
}

/* --- certificates --- */

/* What came is for the key, and has the serial number, that were asked for. */
static int check_cert(const struct x509_cert *c, const struct certificate_ask *ask,
	const char *serial, struct err *e)
{
	if (x509_key_equal(&c->key, &ask->csr->key) && !strcmp(c->serial, serial))
		return 0;
	return err_set(e, ERR_KEYS_DOWN,
		"the issuer '%s' gave a certificate with serial number %s for key %.16s, and %s for %.16s was ordered",
		ask->issuer, c->serial, c->key.sha256, serial, ask->csr->key.sha256);
}

static int give(const struct wire_value *got, const struct certificate_ask *ask, const char *serial,
	struct certificate *ret, struct err *e)
{
	_cleanup_(x509_cert_done) struct x509_cert c = {0};
	int r = x509_cert_read(got[0].p, got[0].n, &c, e);

	if (r < 0)
		return err_prefix(e, "what the issuer '%s' gave", ask->issuer);
	r = check_cert(&c, ask, serial, e);
	if (r < 0)
		return r;
	ret->off_record = true;
	ret->pem = x509_pem("CERTIFICATE", c.der, c.der_bytes);
	ret->chain = xstrdup(got[1].p);
	snprintf(ret->serial, sizeof ret->serial, "%s", c.serial);
	return 0;
}

static int certify_at(const char *socket, const struct certificate_ask *ask,
	const struct iotime *it, struct certificate *ret, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	_cleanup_(freep) char *values = json_dumps(ask->values, JSON_COMPACT | JSON_SORT_KEYS);
	uint8_t serial[SERIAL_OCTETS];
	char hex[2 * SERIAL_OCTETS + 1];
	struct wire_value got[WIRE_FIELDS];
	int r;

	random_bytes(serial, sizeof serial);
	serial[0] = (uint8_t)((serial[0] & 0x7f) |
			      0x40); /* positive, no zero first: RFC 5280, 4.1.2.2 */

	const struct wire_value v[] = {wire_text(ask->issuer), wire_text(ask->profile),
		{.p = ask->csr->der, .n = ask->csr->der_bytes}, {.p = serial, .n = sizeof serial},
		wire_text(values), wire_text(WHO)};

	r = keyd_ask(socket, KEYD_CERTIFY, v, it, buf, got, e);
	return r < 0 ? r : give(got, ask, hex_of(serial, sizeof serial, hex), ret, e);
}

int bench_certify(void *env, const struct certificate_ask *ask, const struct iotime *it,
	struct certificate *ret, struct err *e)
{
	const char *socket;
	int r = socket_of(&socket, e);

	if (r == 0 && !ask->profile)
		r = err_set(e, ERR_PROFILE_REFUSED,
			"issuer '%.64s' needs a profile: 'profile' of the step; a bench does not ask authorities of the plant",
			ask->issuer);
	return r < 0 ? r : certify_at(socket, ask, it, ret, e);
}

/* There is nothing that would be changed by it. */
int bench_delivered(void *env, const char *sha256, struct err *e)
{
	return 0;
}

/* --- derived keys --- */

int bench_derive(void *env, const struct derive_ask *ask, const struct iotime *it, uint8_t *ret,
	struct err *e)
{
	const struct wire_value v[] = {wire_text(ask->master), wire_text(ask->label),
		wire_text(ask->context), {.number = ask->bytes}, wire_text(WHO)};
	struct wire_value got[WIRE_FIELDS];
	uint8_t *buf;
	const char *socket;
	int r = socket_of(&socket, e);

	if (r < 0)
		return r;
	buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	r = keyd_ask(socket, KEYD_DERIVE, v, it, buf, got, e);
	if (r == 0 && got[0].n != ask->bytes)
		r = err_set(e, ERR_KEYS_DOWN, "provd-keyd gave %zu bytes, %zu were asked for",
			got[0].n, ask->bytes);
	if (r == 0)
		memcpy(ret, got[0].p, ask->bytes);
	secret_wipe(buf, WIRE_MAX_BYTES + 1);
	free(buf);
	return r;
}
