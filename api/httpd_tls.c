/* SPDX-License-Identifier: Apache-2.0 */
#include "api/httpd_tls.h"

#include "base/iotime.h"
#include "base/util.h"

/* The time of a certificate and of a list of revoked ones runs out while a connection lives. */
#define AGAIN_US (60 * US_PER_S)

struct httpd_tls_door {
	struct tls *tls;
	struct tls_client *client; /* NULL: nothing was verified yet, or nothing came */
	unsigned generation;	   /* of what it was verified with */
	uint64_t verified_us;
};

static gnutls_session_t session_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	return info ? info->tls_session : NULL;
}

struct httpd_tls_door *httpd_tls_open(struct tls *t, struct MHD_Connection *c)
{
	gnutls_session_t session = t ? session_of(c) : NULL;
	struct httpd_tls_door *d;

	if (!session)
		return NULL;
	d = xcalloc(1, sizeof *d);
	d->tls = t;
	if (tls_asks(t)) {
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
		/* Without the names of the authorities: they may be others at the next handshake. */
		gnutls_certificate_send_x509_rdn_sequence(session, 1);
	}
	return d;
}

struct httpd_tls_door *httpd_tls_close(struct httpd_tls_door *d)
{
	if (d) {
		free(d->client);
		free(d);
	}
	return NULL;
}

const struct tls_client *httpd_tls_client(struct httpd_tls_door *d, struct MHD_Connection *c)
{
	gnutls_session_t session = d ? session_of(c) : NULL;
	unsigned n = 0;
	const gnutls_datum_t *chain = session ? gnutls_certificate_get_peers(session, &n) : NULL;
	unsigned generation;
	uint64_t now = now_us();

	if (!chain || n == 0)
		return NULL;
	generation = tls_generation(d->tls);
	if (d->client && d->generation == generation && now - d->verified_us < AGAIN_US)
		return d->client;
	if (!d->client)
		d->client = xcalloc(1, sizeof *d->client);
	tls_verify(d->tls, chain, n, d->client);
	d->generation = generation;
	d->verified_us = now;
	return d->client;
}

int httpd_tls_give(struct httpd_tls_door *d, gnutls_pcert_st **ret_certs, unsigned *ret_n,
	gnutls_ocsp_data_st **ret_ocsp, unsigned *ret_ocsp_n, gnutls_privkey_t *ret_key,
	unsigned *ret_flags)
{
	*ret_ocsp = NULL;
	*ret_ocsp_n = 0;
	*ret_flags = GNUTLS_CERT_RETR_DEINIT_ALL;
	return d ? tls_give(d->tls, ret_certs, ret_n, ret_key) : -1;
}
