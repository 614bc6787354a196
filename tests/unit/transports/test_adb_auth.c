/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/adb/adb_auth.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "tests/unit/transports/adb_vectors.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/provd-adb-auth-XXXXXX";
static char path[128];

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/adb-key.pem", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

START_TEST(the_public_key_is_the_one_that_adb_writes)
{
	struct adb_key *k = NULL;
	struct err e = {0};

	write_file(vector_pem);
	ck_assert_msg(adb_key_read(path, &k, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(strncmp(adb_key_public(k), vector_public, strlen(vector_public)), 0);
	ck_assert_str_eq(adb_key_public(k) + strlen(vector_public), " provd@line");
	ck_assert_uint_eq(strlen(adb_key_print(k)), 16);
	adb_key_free(k);
}
END_TEST

START_TEST(a_token_is_signed_as_openssl_signs_a_ready_digest)
{
	uint8_t signature[ADB_SIGNATURE_SIZE];
	char hex[2 * ADB_SIGNATURE_SIZE + 1];
	struct adb_key *k = NULL;
	struct err e = {0};

	write_file(vector_pem);
	ck_assert_int_eq(adb_key_read(path, &k, &e), 0);
	ck_assert_int_eq(adb_key_sign(k, (const uint8_t *)vector_token, signature, &e), 0);
	ck_assert_str_eq(hex_of(signature, sizeof signature, hex), vector_signature);
	adb_key_free(k);
}
END_TEST

START_TEST(a_key_is_made_once_and_kept_for_provd_alone)
{
	struct adb_key *first = NULL;
	struct adb_key *second = NULL;
	struct err e = {0};
	struct stat st;

	ck_assert_msg(adb_key_keep(path, &first, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(adb_key_keep(path, &second, &e), 0);
	ck_assert_str_eq(adb_key_public(first), adb_key_public(second));
	adb_key_free(first);
	adb_key_free(second);
}
END_TEST

static void *keep_one(void *arg)
{
	struct err e;

	adb_key_keep(path, arg, &e);
	return NULL;
}

START_TEST(two_workers_that_make_a_key_at_once_end_with_one)
{
	struct adb_key *k[4] = {0};
	pthread_t t[4];
	char cmd[200];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, keep_one, &k[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 4; i++) {
		ck_assert_ptr_nonnull(k[i]);
		ck_assert_str_eq(adb_key_public(k[0]), adb_key_public(k[i]));
	}
	for (int i = 0; i < 4; i++)
		adb_key_free(k[i]);
	/* And nothing else. */
	snprintf(cmd, sizeof cmd, "test \"$(ls %s)\" = adb-key.pem", dir);
	ck_assert_int_eq(system(cmd), 0);
}
END_TEST

START_TEST(what_is_no_key_of_2048_bits_is_refused_and_left_alone)
{
	static const char *const files[] = {"", "rubbish\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		/* openssl genpkey -algorithm ed25519 */
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEIC6y2WF9B8bXnAIKkQSFb0TnAUYkTjZlPcTgYFcYxVyz\n"
		"-----END PRIVATE KEY-----\n"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct adb_key *k = NULL;
		struct err e = {0};
		struct stat st;

		write_file(files[i]);
		ck_assert_int_eq(adb_key_keep(path, &k, &e), -ERR_INVALID);
		ck_assert_ptr_nonnull(strstr(e.msg, path));
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_eq(st.st_size, (off_t)strlen(files[i]));
	}
}
END_TEST

START_TEST(a_key_that_is_missing_or_cannot_be_kept_says_so)
{
	struct adb_key *k = NULL;
	struct err e = {0};

	ck_assert_int_eq(adb_key_read("/nonexistent/k", &k, &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(adb_key_keep("/nonexistent/k", &k, &e), -ERR_IO);
	ck_assert_ptr_nonnull(strstr(e.msg, "/nonexistent/k"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("adb_auth");
	TCase *t = tcase_create("keys");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, the_public_key_is_the_one_that_adb_writes);
	tcase_add_test(t, a_token_is_signed_as_openssl_signs_a_ready_digest);
	tcase_add_test(t, a_key_is_made_once_and_kept_for_provd_alone);
	tcase_add_test(t, two_workers_that_make_a_key_at_once_end_with_one);
	tcase_add_test(t, what_is_no_key_of_2048_bits_is_refused_and_left_alone);
	tcase_add_test(t, a_key_that_is_missing_or_cannot_be_kept_says_so);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
