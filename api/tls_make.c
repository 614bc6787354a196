/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tls_make.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/util.h"

#define DAY_S 86400

static int add_host(gnutls_x509_crt_t crt, const char *host)
{
	uint8_t address[16];
	size_t n = inet_pton(AF_INET, host, address) == 1    ? 4
		   : inet_pton(AF_INET6, host, address) == 1 ? 16
							     : 0;

	return n ? gnutls_x509_crt_set_subject_alt_name(
			   crt, GNUTLS_SAN_IPADDRESS, address, (unsigned)n, GNUTLS_FSAN_APPEND)
		 : gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
			   (unsigned)strlen(host), GNUTLS_FSAN_APPEND);
}

static int add_hosts(gnutls_x509_crt_t crt, const char *const *hosts, size_t n)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = add_host(crt, hosts[i]);
	return r;
}

/* A name that an attacker could write into another's certificate has no place in one. */
static int check_hosts(const char *const *hosts, size_t n, struct err *e)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:*";

	for (size_t i = 0; i < n; i++)
		if (!*hosts[i] || strlen(hosts[i]) > 253 || hosts[i][strspn(hosts[i], set)])
			return err_set(e, ERR_INVALID,
				"'%.80s' is not a host: a name such as line3.example or an address expected",
				hosts[i]);
	return 0;
}

static int fill(
	gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *const *hosts, size_t n)
{
	const time_t now = time(NULL);
	uint8_t serial[16];
	int r;

	random_bytes(serial, sizeof serial);
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 1); /* positive, and not short */
	r = gnutls_x509_crt_set_version(crt, 3);
	if (r >= 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
	if (r >= 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, hosts[0],
			(unsigned)MIN(strlen(hosts[0]), (size_t)64));
	if (r >= 0)
		r = gnutls_x509_crt_set_key(crt, key);
	if (r >= 0)
		r = gnutls_x509_crt_set_activation_time(crt, now - DAY_S);
	if (r >= 0)
		r = gnutls_x509_crt_set_expiration_time(crt, now + (time_t)TLS_MAKE_DAYS * DAY_S);
	if (r >= 0)
		r = add_hosts(crt, hosts, n);
	if (r >= 0)
		r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (r >= 0)
		r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r >= 0)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	return r < 0 ? r : gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

/* Both as PEM, owned by the caller (gnutls_free). */
static int make(const char *const *hosts, size_t n, gnutls_datum_t *ret_crt,
	gnutls_datum_t *ret_key, struct err *e)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	int r;

	if (gnutls_x509_privkey_init(&key) < 0 || gnutls_x509_crt_init(&crt) < 0)
		abort();
	r = gnutls_x509_privkey_generate(
		key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (r >= 0)
		r = fill(crt, key, hosts, n);
	if (r >= 0)
		r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, ret_crt);
	if (r >= 0)
		r = gnutls_x509_privkey_export2_pkcs8(
			key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, ret_key);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return r < 0 ? err_set(e, ERR_INTERNAL, "make a certificate: %s", gnutls_strerror(r)) : 0;
}

/* Whole on disk, or not there. */
static int put(const char *path, mode_t mode, const gnutls_datum_t *text, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int r = 0;

	if (fd < 0 && errno == EEXIST)
		return err_set(e, ERR_CONFLICT,
			"%s is there: what clients trust already is not overwritten; name another folder, or remove it",
			path);
	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	if (write(fd, text->data, text->size) != (ssize_t)text->size || fsync(fd) < 0) {
		r = err_errno(e, ERR_IO, errno, "%s", path);
		unlink(path);
	}
	return r;
}

static int put_both(
	const char *dir, const gnutls_datum_t *crt, const gnutls_datum_t *key, struct err *e)
{
	_cleanup_(freep) char *crt_path = xasprintf("%s/provd.crt", dir);
	_cleanup_(freep) char *key_path = xasprintf("%s/provd.key", dir);
	int r;

	if (access(crt_path, F_OK) == 0)
		return err_set(e, ERR_CONFLICT,
			"%s is there: what clients trust already is not overwritten; name another folder, or remove it",
			crt_path);
	r = put(key_path, 0600, key, e);
	if (r < 0)
		return r;
	r = put(crt_path, 0644, crt, e);
	if (r < 0)
		unlink(key_path);
	return r;
}

int tls_make(const char *dir, const char *const *hosts, size_t n, struct err *e)
{
	char own[256] = "localhost";
	const char *const default_hosts[] = {own, "localhost", "127.0.0.1", "::1"};
	gnutls_datum_t crt = {0};
	gnutls_datum_t key = {0};
	int r;

	if (n == 0) {
		gethostname(own, sizeof own - 1);
		hosts = default_hosts;
		n = ARRAY_LEN(default_hosts);
	}
	r = check_hosts(hosts, n, e);
	if (r == 0)
		r = make(hosts, n, &crt, &key, e);
	if (r == 0)
		r = put_both(dir, &crt, &key, e);
	if (key.data)
		secret_wipe(key.data, key.size);
	gnutls_free(crt.data);
	gnutls_free(key.data);
	return r;
}
