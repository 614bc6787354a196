/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens: only whole ones of the right secret, until they are revoked, at their rate. The request's
 * headers come from here instead of libmicrohttpd.
 */
#include "api/auth.h"

#include <string.h>

#include "base/iotime.h"
#include "base/util.h"
#include "db/db.h"
#include "tests/unit/unit.h"

static const char *authorization, *cookie;

const char *request_header(const struct request *rq, const char *name)
{
	return strcmp(name, "Authorization") == 0 ? authorization : NULL;
}

const char *request_cookie(const struct request *rq, const char *name)
{
	return cookie;
}

static struct db *db;
static struct auth *auth;
static char text[TOKEN_TEXT_SIZE], id[TOKEN_ID_SIZE], hash[SHA256_HEX];
static char bearer[TOKEN_TEXT_SIZE + 16];

static void setup(void)
{
	struct err e;

	ck_assert_int_eq(db_open(":memory:", &db, &e), 0);
	ck_assert_int_eq(auth_new(db, &auth, &e), 0);
	auth_make_token(text, id, hash);
	auth_add(auth, id, "someone", ROLE_SUPERVISOR, hash);
	snprintf(bearer, sizeof bearer, "Bearer %s", text);
	authorization = bearer;
	cookie = NULL;
}

static void teardown(void)
{
	auth_free(auth);
	db_free(db);
}

static int check(unsigned rate, struct principal *ret)
{
	const struct request rq = {0};
	struct err e;

	return auth_check(auth, &rq, rate, ret, &e);
}

START_TEST(test_a_token_is_who_it_was_made_for)
{
	struct principal p;

	ck_assert_int_eq(check(0, &p), 0);
	ck_assert_str_eq(p.name, "someone");
	ck_assert_str_eq(p.id, id);
	ck_assert_int_eq(p.role, ROLE_SUPERVISOR);
	ck_assert(!p.by_cookie);
	ck_assert(!auth_has_admin(auth));
	/* What is kept does not hold the secret. */
	ck_assert_ptr_null(strstr(hash, strrchr(text, '_') + 1));
}
END_TEST

START_TEST(test_anything_else_is_no_one)
{
	char wrong[sizeof bearer];
	static const char *const others[] = {"", "Bearer", "Bearer ", "Bearer pvd_", "Bearer pvd__",
		"Basic eDp5", "bearer x", "Bearer pvd_0123456789abcdef_"};
	struct principal p;

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		authorization = others[i];
		ck_assert_msg(check(0, &p) == -ERR_UNAUTHORIZED, "'%s'", others[i]);
	}
	authorization = wrong;
	for (size_t i = 7; bearer[i]; i++) {
		strcpy(wrong, bearer);
		wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
		ck_assert_msg(check(0, &p) == -ERR_UNAUTHORIZED, "character %zu", i);
		strcpy(wrong, bearer);
		wrong[i] = 0;
		ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
	}
	authorization = NULL;
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(test_a_revoked_token_ends_its_sessions_too)
{
	char value[65];
	struct principal p;
	struct err e;

	ck_assert_int_eq(auth_login(auth, text, value, &p, &e), 0);
	authorization = NULL;
	cookie = value;
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert(p.by_cookie);
	auth_revoke(auth, id);
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
	ck_assert_int_eq(auth_login(auth, text, value, &p, &e), -ERR_UNAUTHORIZED);
	authorization = bearer;
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(test_a_session_ends_with_its_logout)
{
	char value[65];
	struct principal p;
	struct err e;

	ck_assert_int_eq(auth_login(auth, text, value, &p, &e), 0);
	authorization = NULL;
	cookie = value;
	auth_logout(auth, value);
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(test_the_rate_is_a_bucket_that_fills_again)
{
	struct principal p;
	int served = 0;
	uint64_t end;

	while (check(50, &p) == 0)
		served++;
	ck_assert_int_ge(served, 50);
	ck_assert_int_le(served, 200);
	ck_assert_int_eq(check(50, &p), -ERR_OVERLOADED);
	for (end = now_us() + 5 * US_PER_S; check(50, &p) != 0;)
		ck_assert_uint_lt(now_us(), end);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("auth");
	TCase *t = tcase_create("auth");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_a_token_is_who_it_was_made_for);
	tcase_add_test(t, test_anything_else_is_no_one);
	tcase_add_test(t, test_a_revoked_token_ends_its_sessions_too);
	tcase_add_test(t, test_a_session_ends_with_its_logout);
	tcase_add_test(t, test_the_rate_is_a_bucket_that_fills_again);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
