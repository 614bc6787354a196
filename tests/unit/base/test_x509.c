/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests, certificates and signatures that the commands of openssl made.
 */
#include "base/x509.h"

#include <string.h>

#include "tests/unit/unit.h"

static const char request[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
			      "MIHkMIGLAgEAMCkxFjAUBgNVBAoMDUV4YW1wbGUsIEluYy4xDzANBgNVBAMMBkEt\n"
			      "MDAwMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDOmiZc2EfTTZhZGGNe6rTFy\n"
			      "PdqrZNqL1Xk7KJBja+zJ/O2BvLftKWm5EfSJGLDpon8u3x7x/ExXHBmao7k8Giug\n"
			      "ADAKBggqhkjOPQQDAgNIADBFAiBybMoZbIrJlA/I6qne7xyk9hitL3Z4pXRKpno5\n"
			      "PEgctAIhANmjehQNTqbG2GYrNZduFqxAbMbxL0VhnyJAplA8QgT/\n"
			      "-----END CERTIFICATE REQUEST-----\n";
static const char certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBOjCB4QICUaowCgYIKoZIzj0EAwIwKTEWMBQGA1UECgwNRXhhbXBsZSwgSW5j\n"
	"LjEPMA0GA1UEAwwGQS0wMDAxMB4XDTI2MTEyOTIzNDgwMloXDTI3MDMwOTIzNDgw\n"
	"MlowKTEWMBQGA1UECgwNRXhhbXBsZSwgSW5jLjEPMA0GA1UEAwwGQS0wMDAxMFkw\n"
	"EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEM6aJlzYR9NNmFkYY17qtMXI92qtk2ovV\n"
	"eTsokGNr7Mn87YG8t+0pabkR9IkYsOmify7fHvH8TFccGZqjuTwaKzAKBggqhkjO\n"
	"PQQDAgNIADBFAiEA++w58KzF7zaZ/pvotqKbnd33UL/LJp3+dlmwniC74HECIDCj\n"
	"GtdVkZ+noRCHa3T2kXDOxmr1kijruXNkb6lFni1/\n"
	"-----END CERTIFICATE-----\n";
static const char public_key[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEM6aJlzYR9NNmFkYY17qtMXI92qtk\n"
	"2ovVeTsokGNr7Mn87YG8t+0pabkR9IkYsOmify7fHvH8TFccGZqjuTwaKw==\n"
	"-----END PUBLIC KEY-----\n";
static const char key_hex[] =
	"3059301306072a8648ce3d020106082a8648ce3d0301070342000433a689973611f4d366164618d7baad31723ddaab64da8bd5793b2890636becc9fced81bcb7ed2969b911f48918b0e9a27f2edf1ef1fc4c571c199aa3b93c1a2b";
/* Of "hello". */
static const char signature_hex[] =
	"304402202d458b2c2d2a3cd95ef148ff044be691a593a9bff8c5642c0dea24aa3b50aaa40220780305518f57cdea639c1ab5584c44eb8fdb1da8e423fa4cbb2e8766d7ff0f2d";

static struct err e;

START_TEST(a_request_is_taken_apart)
{
	_cleanup_(freep) char *tool =
		xasprintf("Using configuration\n0 warnings\n%sdone\n", request);
	const char *const texts[] = {request, tool};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		_cleanup_(x509_csr_done) struct x509_csr c, again;

		ck_assert_int_eq(x509_csr_read(texts[i], strlen(texts[i]), &c, &e), 0);
		ck_assert_int_eq(c.key.alg, X509_P256);
		ck_assert_str_eq(c.subject, "CN=A-0001,O=Example\\, Inc.");
		ck_assert_int_eq(x509_csr_read(c.der, c.der_bytes, &again, &e), 0);
		ck_assert_mem_eq(again.der, c.der, c.der_bytes);
	}
}
END_TEST

static const struct {
	const char *wanted; /* hex of CsrAttrs */
	int code;
	const char *part;
} wants[] = {
	{"3000", 0, ""},
	{"30050603550403", 0, ""}, /* CN */
	{"30050603550405", -ERR_CSR_ATTRIBUTES, "'serialNumber'"},
	{"300a06082a8648ce3d040302", 0, ""}, /* ecdsa-with-SHA256 */
	{"300a06082a8648ce3d040303", -ERR_CSR_ATTRIBUTES, "another signature"},
	{"300b0609608648016503040201", 0, ""},			       /* SHA-256 */
	{"3017301506072a8648ce3d0201310a06082a8648ce3d030107", 0, ""}, /* EC, P-256 */
	{"3014301206072a8648ce3d0201310706052b81040022", -ERR_CSR_ATTRIBUTES, "another curve"},
	{"300b06092a864886f70d010101", -ERR_CSR_ATTRIBUTES, "another kind"}, /* RSA */
	{"300b06092a864886f70d010907", -ERR_CSR_ATTRIBUTES, "'challengePassword'"},
	{"3014301206092a864886f70d01090e31050603551d11", -ERR_CSR_ATTRIBUTES,
		"no such extension"},			       /* subjectAltName */
	{"300a06082b06010401fd5801", 0, ""},		       /* nobody knows it */
	{"30030101ff", -ERR_SERVICE_ANSWER, "csrattrs"},       /* BOOLEAN */
	{"300506035504", -ERR_SERVICE_ANSWER, "csrattrs"},     /* cut */
	{"3005060355040300", -ERR_SERVICE_ANSWER, "csrattrs"}, /* a byte too many */
	{"", -ERR_SERVICE_ANSWER, "csrattrs"},
};

START_TEST(what_an_authority_wants_is_in_the_request_or_is_named)
{
	_cleanup_(x509_csr_done) struct x509_csr c;
	size_t n = strlen(wants[_i].wanted) / 2;
	_cleanup_(freep) uint8_t *der = xcalloc(1, n + 1);

	e.msg[0] = '\0';
	ck_assert(n == 0 || hex_parse(wants[_i].wanted, der, n));
	ck_assert_int_eq(x509_csr_read(request, strlen(request), &c, &e), 0);
	ck_assert_int_eq(x509_csr_has(&c, der, n, &e), wants[_i].code);
	ck_assert_msg(strstr(e.msg, wants[_i].part) != NULL, "%s", e.msg);
}
END_TEST

/* Whatever bit is turned, it is not a request any more, or it is one that nobody signed. */
START_TEST(a_request_that_was_changed_is_refused)
{
	_cleanup_(x509_csr_done) struct x509_csr c;
	_cleanup_(freep) uint8_t *der = NULL;

	ck_assert_int_eq(x509_csr_read(request, strlen(request), &c, &e), 0);
	der = xcalloc(1, c.der_bytes);
	for (size_t i = 0; i < 8 * c.der_bytes; i++) {
		struct x509_csr other;
		int r;

		memcpy(der, c.der, c.der_bytes);
		der[i / 8] ^= (uint8_t)(1 << i % 8);
		r = x509_csr_read(der, c.der_bytes, &other, &e);
		ck_assert_msg(r == -ERR_INVALID || r == -ERR_CSR_MISMATCH, "bit %zu: %d", i, r);
		ck_assert_ptr_null(other.der);
	}
	for (size_t n = 0; n < c.der_bytes; n++) {
		struct x509_csr cut;

		ck_assert_int_eq(x509_csr_read(c.der, n, &cut, &e), -ERR_INVALID);
	}
}
END_TEST

START_TEST(a_certificate_is_taken_apart)
{
	_cleanup_(x509_cert_done) struct x509_cert c;
	_cleanup_(freep) char *pem = NULL;

	ck_assert_int_eq(x509_cert_read(certificate, strlen(certificate), &c, &e), 0);
	ck_assert_str_eq(c.serial, "51aa");
	ck_assert_str_eq(c.subject, "CN=A-0001,O=Example\\, Inc.");
	ck_assert_str_eq(c.issuer, c.subject);
	ck_assert_str_eq(
		c.sha256, "d48413a45f534aca149f2f347b0c007eb8d22c1d9b49fdb44001ba5bae872a87");
	ck_assert_int_eq(c.not_after_s - c.not_before_s, 100 * 86400);
	pem = x509_pem("CERTIFICATE", c.der, c.der_bytes);
	ck_assert_str_eq(pem, certificate);
}
END_TEST

START_TEST(a_key_is_the_same_in_each_form)
{
	const char *const forms[] = {public_key, key_hex, certificate};
	struct x509_key k[ARRAY_LEN(forms)];

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		ck_assert_int_eq(x509_key_read(forms[i], &k[i], &e), 0);
		ck_assert(x509_key_equal(&k[i], &k[0]));
		ck_assert_str_eq(k[i].sha256, k[0].sha256);
	}
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		x509_key_done(&k[i]);
}
END_TEST

/* RSA with the exponent 1, and points of Ed25519 whose signatures need no private key: the identity, one
 * of order 8 with and without its sign, and a zero that is not reduced. */
static const char *const weak_keys[] = {
	"30820120300d06092a864886f70d01010105000382010d00308201080282010100cc035c83a07a13"
	"87ea6866aba0f041242e2d16ab11da5ea8f77f4a1d7e3bb3debd280408be779eb26b0945e09adaff"
	"5ec331034d73f66299dd73ece2257758e79fd5365a69e9e9c6bdc8f222ee5efb1a12f18f780dcd6e"
	"2549d3ef7e5e368ba2530be1c15405973e8175b48ac1a3fa35463490194ac5f68157c097d6ce8412"
	"6bfc9e190bac04adefc1dd3531bae467bfb55a67b51f5b4886c9bc5164c66bee836ef9ab3f20dffd"
	"73e1922fa3ff0a12b6e69625892e874ce9a8272872004c9abd986de32e5bfb6d008085d3d82aa96f"
	"04039cc305555c9cf51e8d0cae9ef826f613752c28314d2112b26b321d498d2a6eec36b39d498f33"
	"e5c5d9419d2d0e4f4f020101",
	"302a300506032b65700321000100000000000000000000000000000000000000000000000000000000000000",
	"302a300506032b6570032100c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"302a300506032b6570032100c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"302a300506032b6570032100edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

START_TEST(a_key_that_everybody_can_sign_for_is_refused)
{
	struct x509_key k;

	ck_assert_int_eq(x509_key_read(weak_keys[_i], &k, &e), -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "is weak"));
	ck_assert_ptr_null(k.der);
}
END_TEST

static const char *const no_keys[] = {"", "00", "0102", "hello", "-----BEGIN PUBLIC KEY-----\n",
	"3059301306072a8648ce3d020106082a8648ce3d030107034200", /* cut */
	/* a point that is not on the curve */
	"3059301306072a8648ce3d020106082a8648ce3d0301070342000433a689973611f4d366164618d7baad31723ddaab64da8bd5793b2890636becc9fced81bcb7ed2969b911f48918b0e9a27f2edf1ef1fc4c571c199aa3b93c1a2c",
	/* X25519, which signs nothing */
	"302a300506032b656e032100de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"};

/* The same key in another form would have another digest, and pass for another key. */
START_TEST(a_point_has_one_form)
{
	static const struct {
		const char *text, *says;
	} forms[] = {
		{"-----BEGIN PUBLIC KEY-----\n"
		 "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKZ4vMQKQR7ZspsJmgFcCEoAMAziF\n"
		 "4vAkKbAgbZf3AU39nFU3JsvGTShQ+DZ34UfxMzb2TPIpnssvblX2cC87Sg==\n"
		 "-----END PUBLIC KEY-----\n",
			NULL},
		{"-----BEGIN PUBLIC KEY-----\n"
		 "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACKZ4vMQKQR7ZspsJmgFcCEoAMAziF\n"
		 "4vAkKbAgbZf3AU0=\n-----END PUBLIC KEY-----\n",
			"uncompressed point"},
		{"-----BEGIN PUBLIC KEY-----\n"
		 "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAGKZ4vMQKQR7ZspsJmgFcCEoAMAziF\n"
		 "4vAkKbAgbZf3AU39nFU3JsvGTShQ+DZ34UfxMzb2TPIpnssvblX2cC87Sg==\n"
		 "-----END PUBLIC KEY-----\n",
			"hybrid form"},
	};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct x509_key k = {0};
		struct err why = {0};
		int r = x509_key_read(forms[i].text, &k, &why);

		ck_assert_int_eq(r < 0, forms[i].says != NULL);
		if (forms[i].says)
			ck_assert_msg(strstr(why.msg, forms[i].says) != NULL, "%s", why.msg);
		x509_key_done(&k);
	}
}
END_TEST

START_TEST(what_is_not_a_key_is_refused)
{
	struct x509_key k;

	ck_assert_int_eq(x509_key_read(no_keys[_i], &k, &e), -ERR_INVALID);
	ck_assert_ptr_null(k.der);
}
END_TEST

START_TEST(a_signature_counts_for_its_message_and_key_alone)
{
	_cleanup_(x509_key_done) struct x509_key k;
	uint8_t sig[128];
	size_t n = strlen(signature_hex) / 2;

	ck_assert_int_eq(x509_key_read(public_key, &k, &e), 0);
	ck_assert(hex_parse(signature_hex, sig, n));
	ck_assert_int_eq(x509_key_verify(&k, "hello", 5, sig, n, &e), 0);
	ck_assert_int_eq(x509_key_verify(&k, "hellp", 5, sig, n, &e), -ERR_KEY_NOT_PROVEN);
	ck_assert_int_eq(x509_key_verify(&k, "hello", 4, sig, n, &e), -ERR_KEY_NOT_PROVEN);
	ck_assert_int_eq(x509_key_verify(&k, "hello", 5, sig, n - 1, &e), -ERR_KEY_NOT_PROVEN);
	ck_assert_int_eq(x509_key_verify(&k, "hello", 5, sig, 0, &e), -ERR_KEY_NOT_PROVEN);
	sig[20] ^= 1;
	ck_assert_int_eq(x509_key_verify(&k, "hello", 5, sig, n, &e), -ERR_KEY_NOT_PROVEN);
}
END_TEST

#define OF_10 "O=a,O=a,O=a,O=a,O=a,O=a,O=a,O=a,O=a,O=a"
#define OF_40 OF_10 "," OF_10 "," OF_10 "," OF_10

static const struct {
	const char *a, *b;
	bool same;
} names[] = {
	{"CN=a,O=b", "CN=a,O=b", true},
	{"CN=a,O=b", "O=b,CN=a", true},
	{"CN=a,O=b", "O=b, CN=a", true},
	{"CN=a", "CN=a,O=b", false},
	{"CN=a,O=b", "CN=a", false},
	{"CN=a", "CN=b", false},
	{"CN=a\\,b", "CN=a\\,b", true},
	{"CN=a\\,b", "CN=a,b", false},
	{"", "", true},
	{"", "CN=a", false},
	{"CN=a,CN=a", "CN=a", false},
	{OF_40 ",CN=a", OF_40 ",CN=b", false},
	{OF_40 ",CN=a", OF_40 ",CN=a", true},
};

START_TEST(names_are_the_same_in_any_order)
{
	ck_assert_int_eq(x509_same_name(names[_i].a, names[_i].b, &e),
		names[_i].same ? 0 : -ERR_CSR_MISMATCH);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("x509");
	TCase *t = tcase_create("x509");

	tcase_add_loop_test(
		t, what_an_authority_wants_is_in_the_request_or_is_named, 0, ARRAY_LEN(wants));
	tcase_add_test(t, a_request_is_taken_apart);
	tcase_add_test(t, a_request_that_was_changed_is_refused);
	tcase_add_test(t, a_certificate_is_taken_apart);
	tcase_add_test(t, a_key_is_the_same_in_each_form);
	tcase_add_loop_test(
		t, a_key_that_everybody_can_sign_for_is_refused, 0, ARRAY_LEN(weak_keys));
	tcase_add_loop_test(t, what_is_not_a_key_is_refused, 0, ARRAY_LEN(no_keys));
	tcase_add_test(t, a_signature_counts_for_its_message_and_key_alone);
	tcase_add_loop_test(t, names_are_the_same_in_any_order, 0, ARRAY_LEN(names));
	tcase_add_test(t, a_point_has_one_form);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
