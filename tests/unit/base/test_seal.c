/* SPDX-License-Identifier: Apache-2.0
 *
 * The key under what leaves this host: made once, kept for its owner alone, and what it signs is
 * verified by the public half and by nothing else.
 */
#include "base/seal.h"

#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/tree.h"
#include "tests/unit/unit.h"

static char dir[40];
static char path[64];
static struct err e;

static void setup(void)
{
	strcpy(dir, "/tmp/test_seal_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/key", dir);
}

static void teardown(void)
{
	tree_remove(dir);
}

static bool verifies(const struct seal *s, const char *text, const char *signature)
{
	BIO *b = BIO_new_mem_buf(seal_public(s), -1);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(b, NULL, NULL, NULL);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned char raw[SEAL_BASE64];
	bool ok;

	ck_assert_int_eq(EVP_DecodeBlock(raw, (const unsigned char *)signature, 88), 66);
	ok = EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
	     EVP_DigestVerify(c, raw, 64, (const unsigned char *)text, strlen(text)) == 1;
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(key);
	BIO_free(b);
	return ok;
}

START_TEST(what_it_signs_is_verified_by_its_public_half_alone)
{
	_cleanup_(seal_freep) struct seal *s = NULL;
	_cleanup_(seal_freep) struct seal *other = NULL;
	char signature[SEAL_BASE64];
	char second[64];
	struct stat st;

	ck_assert_int_eq(seal_open(path, &s, &e), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(seal_sign(s, "chain 12", 8, signature, &e), 0);
	ck_assert_uint_eq(strlen(signature), 88);
	ck_assert(verifies(s, "chain 12", signature));
	ck_assert(!verifies(s, "chain 13", signature));
	snprintf(second, sizeof second, "%s/second", dir);
	ck_assert_int_eq(seal_open(second, &other, &e), 0);
	ck_assert(!verifies(other, "chain 12", signature));
	ck_assert_str_ne(seal_id(s), seal_id(other));
}
END_TEST

START_TEST(the_key_stays_the_same_over_restarts)
{
	_cleanup_(seal_freep) struct seal *first = NULL;
	_cleanup_(seal_freep) struct seal *again = NULL;

	ck_assert_int_eq(seal_open(path, &first, &e), 0);
	ck_assert_int_eq(seal_open(path, &again, &e), 0);
	ck_assert_str_eq(seal_id(first), seal_id(again));
	ck_assert_str_eq(seal_public(first), seal_public(again));
}
END_TEST

static const char *const wrong[] = {"", "no key at all\n",
	"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END PRIVATE KEY-----\n"};

START_TEST(a_file_that_is_not_its_key_is_refused_and_stays)
{
	struct seal *s = NULL;
	struct stat st;
	FILE *f = fopen(path, "we");

	fputs(wrong[_i], f);
	fclose(f);
	ck_assert_int_eq(seal_open(path, &s, &e), -ERR_INVALID);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, (off_t)strlen(wrong[_i]));
}
END_TEST

START_TEST(a_key_of_another_kind_is_refused)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *f = fopen(path, "we");
	struct seal *s = NULL;

	ck_assert_int_eq(PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	EVP_PKEY_free(key);
	ck_assert_int_eq(seal_open(path, &s, &e), -ERR_INVALID);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("seal");
	TCase *t = tcase_create("seal");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_it_signs_is_verified_by_its_public_half_alone);
	tcase_add_test(t, the_key_stays_the_same_over_restarts);
	tcase_add_loop_test(
		t, a_file_that_is_not_its_key_is_refused_and_stays, 0, ARRAY_LEN(wrong));
	tcase_add_test(t, a_key_of_another_kind_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
