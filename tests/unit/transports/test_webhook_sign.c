/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of webhooks against the vector of Standard Webhooks, and against one that Python's hmac made.
 */
#include "transports/links/webhook_sign.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

/* libraries/python/tests of github.com/standard-webhooks/standard-webhooks: the signature of this message. */
#define ID     "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define TIME   1614265330
#define BODY   "{\"test\": 2432232314}"
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SIGNED "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
/* python3: hmac.new(bytes(range(24)), b'ID.TIME.BODY', 'sha256') */
#define SECOND	      "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define SECOND_SIGNED "v1,/485aUtxlie+TIScVpHggMfqOB4so2KWb7+Gf727B44="

START_TEST(the_vector_of_the_standard_is_signed_the_same)
{
	const char *const secrets[] = {SECRET, NULL};
	_cleanup_(freep) char *got = NULL;
	struct err e;

	ck_assert_int_eq(webhook_sign(secrets, ID, TIME, BODY, &got, &e), 0);
	ck_assert_str_eq(got, SIGNED);
}
END_TEST

START_TEST(two_secrets_sign_with_a_space_in_between)
{
	const char *const secrets[] = {SECRET, SECOND, NULL};
	_cleanup_(freep) char *got = NULL;
	struct err e;

	ck_assert_int_eq(webhook_sign(secrets, ID, TIME, BODY, &got, &e), 0);
	ck_assert_str_eq(got, SIGNED " " SECOND_SIGNED);
}
END_TEST

static const char *const refused[] = {"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
	"whsec_c2hvcnQ=", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
	"whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"};

START_TEST(what_is_no_secret_is_refused_and_not_shown)
{
	const char *const secrets[] = {refused[_i], NULL};
	char *got = NULL;
	struct err e;

	ck_assert_int_eq(webhook_secret_check(refused[_i], &e), -ERR_INVALID);
	ck_assert_int_eq(webhook_sign(secrets, ID, TIME, BODY, &got, &e), -ERR_INVALID);
	ck_assert_ptr_null(got);
	ck_assert(strlen(refused[_i]) < 20 || !strstr(e.msg, refused[_i] + 8));
	ck_assert_int_eq(webhook_secret_check(SECRET, &e), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("webhook_sign");
	TCase *t = tcase_create("webhook_sign");

	tcase_add_test(t, the_vector_of_the_standard_is_signed_the_same);
	tcase_add_test(t, two_secrets_sign_with_a_space_in_between);
	tcase_add_loop_test(
		t, what_is_no_secret_is_refused_and_not_shown, 0, (int)ARRAY_LEN(refused));
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
