/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_keys.h"

#include "base/util.h"
#include "daemon/keyd/client.h"

#define WHO "a bench" /* in the log of provd-keyd */

static int socket_of(const char **ret, struct err *e)
{
	*ret = getenv("PROVD_KEYD_SOCKET");
	if (!*ret || !**ret)
		return err_set(e, ERR_UNSUPPORTED,
			"a bench has no keys of its own: set PROVD_KEYD_SOCKET to the socket of a provd-keyd that was started by this user");
	return 0;
}

/* --- certificates --- */

static int certify_at(const char *socket, const struct certificate_ask *ask,
	const struct iotime *it, struct certificate *ret, struct err *e)
{
	_cleanup_(freep) char *values = json_dumps(ask->values, JSON_COMPACT | JSON_SORT_KEYS);
	_cleanup_(x509_cert_done) struct x509_cert c = {0};
	struct keyd_order o;
	int r;

	keyd_order_begin(&o);
	o.socket = socket;
	o.issuer = ask->issuer;
	o.profile = ask->profile;
	o.csr = ask->csr;
	o.values = values;
	o.who = WHO;
	r = keyd_certify(&o, it, &c, &ret->chain, e);
	keyd_order_done(&o);
	if (r < 0)
		return r;
	ret->off_record = true;
	ret->pem = x509_pem("CERTIFICATE", c.der, c.der_bytes);
	snprintf(ret->serial, sizeof ret->serial, "%s", c.serial);
	return 0;
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

/* --- keys --- */

int bench_derive(void *env, const struct derive_ask *ask, const struct iotime *it, uint8_t *ret,
	struct err *e)
{
	const char *socket;
	int r = socket_of(&socket, e);

	return r < 0 ? r
		     : keyd_derive(socket, ask->master, ask->label, ask->context, WHO, it, ret,
			       ask->bytes, e);
}

int bench_make_key(void *env, struct key_ask *ask, const struct iotime *it, struct x509_key *ret,
	struct err *e)
{
	const char *socket;
	int r = socket_of(&socket, e);

	return r < 0 ? r
		     : keyd_make_key(socket, ask->store ? ask->store : "", ask->alg,
			       ask->label ? ask->label : "", WHO, it, ask->name, ret, &ask->before,
			       e);
}

int bench_key_request(void *env, const char *name, const char *subject, const struct iotime *it,
	struct x509_csr *ret, struct err *e)
{
	const char *socket;
	int r = socket_of(&socket, e);

	return r < 0 ? r : keyd_request(socket, name, subject, WHO, it, ret, e);
}

int bench_take_key(void *env, const char *name, const struct iotime *it, uint8_t **ret,
	size_t *ret_n, struct err *e)
{
	const char *socket;
	int r = socket_of(&socket, e);

	return r < 0 ? r : keyd_take_key(socket, name, WHO, it, ret, ret_n, e);
}
