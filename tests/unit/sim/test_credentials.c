/* SPDX-License-Identifier: Apache-2.0
 *
 * The board's key, request, signature and certificate, as OpenSSL reads them.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/digest.h"
#include "tests/unit/sim/bench.h"

static const char *const algs[] = {"p256", "p384", "ed25519"};

static struct bench *t;

static void start(void)
{
	t = bench_new(NULL, NULL);
	bench_flash_app(t, "an application");
}

static void stop(void)
{
	bench_free(t);
}

/* The bytes of the hex digits after `before` in the answer. */
static size_t hex_after(const char *answer, const char *before, uint8_t *p, size_t size)
{
	ck_assert_msg(!strncmp(answer, before, strlen(before)), "%s", answer);

	_cleanup_(freep) char *hex = xstrdup(answer + strlen(before));

	hex[strcspn(hex, "\r\n")] = '\0';
	ck_assert_uint_le(strlen(hex) / 2, size);
	ck_assert(hex_parse(hex, p, strlen(hex) / 2));
	return strlen(hex) / 2;
}

static EVP_PKEY *gen(const char *alg)
{
	_cleanup_(freep) char *ask = xasprintf("KEY_GEN %s", alg);
	uint8_t spki[512];
	const unsigned char *p = spki;
	size_t n = hex_after(bench_ask(t, ask), "OK pub=", spki, sizeof spki);
	EVP_PKEY *k = d2i_PUBKEY(NULL, &p, (long)n);

	ck_assert_ptr_nonnull(k);
	ck_assert_uint_eq((size_t)(p - spki), n);
	return k;
}

/* The bytes of the base64 lines between BEGIN and END. */
static size_t lines_of(const char *answer, uint8_t *der)
{
	char text[20000];
	size_t n = 0;

	ck_assert_msg(!strncmp(answer, "BEGIN\r\n", 7), "%s", answer);
	for (answer += 7; strncmp(answer, "END\r\n", 5); answer++) {
		ck_assert_int_ne(*answer, '\0');
		if (*answer != '\r' && *answer != '\n')
			text[n++] = *answer;
	}

	int got = EVP_DecodeBlock(der, (unsigned char *)text, (int)n);

	ck_assert_int_gt(got, 0);
	return (size_t)got - (text[n - 1] == '=') - (text[n - 2] == '=');
}

static X509_REQ *request(const char *subject)
{
	_cleanup_(freep) char *ask = xasprintf("KEY_CSR %s", subject);
	uint8_t der[8192];
	const unsigned char *p = der;
	size_t n = lines_of(bench_ask(t, ask), der);
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)n);

	ck_assert_ptr_nonnull(req);
	return req;
}

static char *subject_of(X509_REQ *req)
{
	char *line = X509_NAME_oneline(X509_REQ_get_subject_name(req), NULL, 0);
	char *copy = xstrdup(line);

	OPENSSL_free(line);
	return copy;
}

static bool signs(EVP_PKEY *public, const char *challenge)
{
	_cleanup_(freep) char *ask = xasprintf("KEY_SIGN %s", challenge);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t sig[512], said[64];
	size_t n = hex_after(bench_ask(t, ask), "SIG ", sig, sizeof sig);
	size_t bytes = hex_after(challenge, "", said, sizeof said);

	ck_assert_int_eq(EVP_DigestVerifyInit(md, NULL,
				 EVP_PKEY_is_a(public, "EC") ? EVP_sha256() : NULL, NULL, public),
		1);

	bool good = EVP_DigestVerify(md, sig, n, said, bytes) == 1;

	EVP_MD_CTX_free(md);
	return good;
}

START_TEST(a_request_and_a_signature_are_by_the_key_that_was_shown)
{
	EVP_PKEY *k = gen(algs[_i]);
	X509_REQ *req = request("CN=SN-1,O=Acme\\, Ltd,serialNumber=7");
	_cleanup_(freep) char *subject = subject_of(req);

	ck_assert_str_eq(subject, "/CN=SN-1/O=Acme, Ltd/serialNumber=7");
	ck_assert_int_eq(X509_REQ_verify(req, k), 1);
	ck_assert(signs(k, "00ff10"));
	X509_REQ_free(req);
	EVP_PKEY_free(k);
}
END_TEST

START_TEST(another_key_is_made_each_time)
{
	EVP_PKEY *a = gen("p256"), *b = gen("p256");

	ck_assert_int_ne(EVP_PKEY_eq(a, b), 1);
	ck_assert(!signs(a, "0011"));
	ck_assert(signs(b, "0011"));
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
}
END_TEST

START_TEST(a_board_may_sign_with_another_key_or_ask_for_another_subject)
{
	EVP_PKEY *k = gen("p256");

	bench_fault(t, "key-other");
	ck_assert(!signs(k, "0011"));
	ck_assert(signs(k, "0011"));
	bench_fault(t, "csr-other");

	X509_REQ *req = request("CN=SN-1");
	_cleanup_(freep) char *subject = subject_of(req);

	ck_assert_str_eq(subject, "/CN=another unit");
	ck_assert_int_eq(X509_REQ_verify(req, k), 1);
	X509_REQ_free(req);
	EVP_PKEY_free(k);
}
END_TEST

static const struct {
	const char *ask, *answer;
} refused[] = {
	{"KEY_SIGN 00", "ERROR: no key"},
	{"KEY_CSR CN=a", "ERROR: no key"},
	{"CERT_READ", "NONE"},
	{"KEY_GEN rsa", "ERROR: usage: KEY_GEN p256|p384|ed25519"},
	{"CERT_WRITE 0", "ERROR: usage: CERT_WRITE bytes, then base64"},
	{"CERT_WRITE 8193", "ERROR: usage: CERT_WRITE bytes, then base64"},
	{"CERT_WRITE 4\r\nAAA", "ERROR: not base64, or more than was said"},
	{"CERT_WRITE 2\r\nAAAA", "ERROR: not base64, or more than was said"},
	{"CERT_WRITE 4\r\nAAAA\r\n", "ERROR: certificate short"},
	{"CERT_READ", "NONE"},
};

START_TEST(what_it_cannot_do_is_refused)
{
	_cleanup_(freep) char *want = xasprintf("%s\r\n", refused[_i].answer);

	ck_assert_str_eq(bench_ask(t, refused[_i].ask), want);
	ck_assert_str_eq(bench_ask(t, "ping"), "pong\r\n");
}
END_TEST

/* The key of RFC 8410, 10.3, and its public half of 10.1. */
START_TEST(a_key_that_is_given_is_kept_and_its_public_half_shown)
{
	ck_assert_str_eq(bench_ask(t, "KEY_PUB"), "NONE\r\n");
	ck_assert_str_eq(
		bench_ask(t,
			"KEY_WRITE 48\r\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC"),
		"OK\r\n");
	ck_assert_str_eq(bench_ask(t, "KEY_PUB"),
		"PUB 302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1\r\n");
	ck_assert_str_eq(bench_ask(t, "KEY_WRITE 3\r\nAAAA"), "ERROR: not a private key\r\n");
	ck_assert_str_eq(bench_ask(t, "CERT_READ"), "NONE\r\n");
}
END_TEST

START_TEST(a_signature_wants_hex_and_a_request_a_name)
{
	EVP_PKEY_free(gen("p256"));
	ck_assert_str_eq(bench_ask(t, "KEY_SIGN"), "ERROR: usage: KEY_SIGN hex\r\n");
	ck_assert_str_eq(bench_ask(t, "KEY_SIGN 0g"), "ERROR: usage: KEY_SIGN hex\r\n");
	ck_assert_str_eq(bench_ask(t, "KEY_CSR a"), "ERROR: usage: KEY_CSR CN=name,O=maker\r\n");
	ck_assert_str_eq(bench_ask(t, "KEY_CSR X=a"), "ERROR: usage: KEY_CSR CN=name,O=maker\r\n");
}
END_TEST

/* 49 bytes, so that the base64 has a second line and padding. */
static const char cert[] = "0123456789012345678901234567890123456789012345678";
#define CERT_COMMAND        \
	"CERT_WRITE 49\r\n" \
	"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\r\nOA=="

static void write_cert(void)
{
	char hex[SHA256_HEX];
	_cleanup_(freep) char *want =
		xasprintf("OK sha256=%s\r\n", sha256_hex_of(cert, sizeof cert - 1, hex));

	ck_assert_str_eq(bench_ask(t, CERT_COMMAND), want);
}

START_TEST(a_certificate_comes_back_as_it_was_given_after_a_power_cycle)
{
	uint8_t der[100];

	write_cert();
	board_power_off(t->board);
	board_power_on(t->board, t->now_us);
	bench_settle(t);
	ck_assert_uint_eq(lines_of(bench_ask(t, "CERT_READ"), der), sizeof cert - 1);
	ck_assert_mem_eq(der, cert, sizeof cert - 1);
}
END_TEST

START_TEST(a_certificate_that_is_kept_short_is_acknowledged_as_whole)
{
	uint8_t der[100];

	bench_fault(t, "cert-cut");
	write_cert();
	ck_assert_uint_eq(lines_of(bench_ask(t, "CERT_READ"), der), sizeof cert - 2);
}
END_TEST

START_TEST(power_off_forgets_half_a_certificate)
{
	bench_bytes(t, "CERT_WRITE 49\r\nMDEy\r\n", 21);
	board_power_off(t->board);
	board_power_on(t->board, t->now_us);
	bench_settle(t);
	ck_assert_str_eq(bench_ask(t, "ping"), "pong\r\n");
	ck_assert_str_eq(bench_ask(t, "CERT_READ"), "NONE\r\n");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("credentials");
	TCase *c = tcase_create("credentials");

	tcase_add_checked_fixture(c, start, stop);
	tcase_add_loop_test(c, a_request_and_a_signature_are_by_the_key_that_was_shown, 0,
		(int)ARRAY_LEN(algs));
	tcase_add_test(c, another_key_is_made_each_time);
	tcase_add_test(c, a_board_may_sign_with_another_key_or_ask_for_another_subject);
	tcase_add_loop_test(c, what_it_cannot_do_is_refused, 0, (int)ARRAY_LEN(refused));
	tcase_add_test(c, a_key_that_is_given_is_kept_and_its_public_half_shown);
	tcase_add_test(c, a_signature_wants_hex_and_a_request_a_name);
	tcase_add_test(c, a_certificate_comes_back_as_it_was_given_after_a_power_cycle);
	tcase_add_test(c, a_certificate_that_is_kept_short_is_acknowledged_as_whole);
	tcase_add_test(c, power_off_forgets_half_a_certificate);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
