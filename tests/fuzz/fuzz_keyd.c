/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes to provd-keyd, and what it and units are read by: a request is answered or refused in a
 * whole message; a request for a certificate, a certificate or a key that is taken is taken again in
 * the form that it is written in.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/x509.h"
#include "daemon/keyd/serve.h"
#include "daemon/keyd/wire.h"

static void check_answer(uint8_t *answer, size_t n, uint8_t op)
{
	struct wire_value v[WIRE_FIELDS];
	const struct wire_field *fields =
		answer[4] ? wire_error_fields : wire_rows[op < KEYD_OP_END ? op : 0].answer;

	if (n < WIRE_HEAD_BYTES || wire_read(fields, answer + 5, n - 5, v, NULL) < 0)
		abort();
	if (answer[4] && err_code_from_str(v[0].p) <= 0)
		abort();
}

static void ask(const uint8_t *bytes, size_t n)
{
	static const struct keyd_config none;
	struct keyring *k = NULL;
	uint8_t *p = malloc(n + 1), *answer = malloc(WIRE_MAX_BYTES + 1);

	if (!p || !answer || keyring_open(&none, NULL, &k, NULL) < 0)
		abort();
	memcpy(p, bytes, n);
	check_answer(answer, server_answer(k, CALLER_LINE, p, n, answer), n ? bytes[0] : 0);
	keyring_free(k);
	free(p);
	free(answer);
}

static const char request[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
			      "MIHkMIGLAgEAMCkxFjAUBgNVBAoMDUV4YW1wbGUsIEluYy4xDzANBgNVBAMMBkEt\n"
			      "MDAwMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDOmiZc2EfTTZhZGGNe6rTFy\n"
			      "PdqrZNqL1Xk7KJBja+zJ/O2BvLftKWm5EfSJGLDpon8u3x7x/ExXHBmao7k8Giug\n"
			      "ADAKBggqhkjOPQQDAgNIADBFAiBybMoZbIrJlA/I6qne7xyk9hitL3Z4pXRKpno5\n"
			      "PEgctAIhANmjehQNTqbG2GYrNZduFqxAbMbxL0VhnyJAplA8QgT/\n"
			      "-----END CERTIFICATE REQUEST-----\n";

static void read_all(const uint8_t *bytes, size_t n)
{
	struct x509_csr csr, csr_again;
	struct x509_cert cert, cert_again;

	if (x509_csr_read(request, sizeof request - 1, &csr, NULL) < 0)
		abort();
	x509_csr_has(&csr, bytes, n, NULL);
	x509_csr_done(&csr);
	if (x509_csr_read(bytes, n, &csr, NULL) == 0) {
		if (x509_csr_read(csr.der, csr.der_bytes, &csr_again, NULL) < 0 ||
			strcmp(csr.subject, csr_again.subject) != 0 || csr.key.alg == X509_ALG_NONE)
			abort();
		x509_csr_done(&csr_again);
		x509_csr_done(&csr);
	}
	if (x509_cert_read(bytes, n, &cert, NULL) == 0) {
		if (x509_cert_read(cert.der, cert.der_bytes, &cert_again, NULL) < 0 ||
			strcmp(cert.sha256, cert_again.sha256) != 0)
			abort();
		x509_cert_done(&cert_again);
		x509_cert_done(&cert);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char *text = malloc(n + 1);
	struct x509_key key;
	struct err e;

	if (!text)
		abort();
	memcpy(text, bytes, n);
	text[n] = '\0';
	ask(bytes, n);
	read_all(bytes, n);
	if (x509_key_read(text, &key, &e) == 0)
		x509_key_done(&key);
	if (strchr(text, '\n')) {
		char *second = strchr(text, '\n');

		*second++ = '\0';
		x509_same_name(text, second, &e);
	}
	free(text);
	return 0;
}
