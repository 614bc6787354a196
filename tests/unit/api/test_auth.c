/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens: only whole ones of the right secret, until they are revoked, at their rate. The request's
 * headers come from here instead of libmicrohttpd.
 */
#include "api/auth.h"

#include <string.h>

#include "base/iotime.h"
#include "base/timefmt.h"
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

static void add(const char *token, const char *name, const char *role, const char *secret)
{
	struct token t = {0};

	snprintf(t.id, sizeof t.id, "%s", token);
	snprintf(t.name, sizeof t.name, "%s", name);
	snprintf(t.role, sizeof t.role, "%s", role);
	snprintf(t.secret_sha256, sizeof t.secret_sha256, "%s", secret);
	auth_add(auth, &t);
}

static struct request rq = {.peer = "10.0.0.1", .network = "10.0.0.1"};

static void setup(void)
{
	struct err e;

	ck_assert_int_eq(db_open(":memory:", &db, &e), 0);
	ck_assert_int_eq(auth_new(db, &auth, &e), 0);
	auth_make_token(text, id, hash);
	add(id, "someone", "supervisor", hash);
	snprintf(bearer, sizeof bearer, "Bearer %s", text);
	authorization = bearer;
	cookie = NULL;
	rq.network = "10.0.0.1";
	rq.client = NULL;
}

static void teardown(void)
{
	auth_free(auth);
	db_free(db);
}

static int check(unsigned rate, struct principal *ret)
{
	struct auth_refusal why;
	struct err e;

	return auth_check(auth, &rq, rate, ret, &why, &e);
}

/* As the route does it, without a database. */
static int login(const char *token, char cookie_value[65], struct principal *ret)
{
	struct auth_refusal why;
	struct session_row row;
	char ended[SHA256_HEX];
	struct err e;
	int r = auth_login(auth, &rq, token, cookie_value, &row, ended, ret, &why, &e);

	if (r == 0)
		auth_session_add(auth, &row, ended);
	return r;
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

/* Each from an address of its own: none waits for the failures of the others. */
static void from_elsewhere(void)
{
	static char address[16];
	static unsigned n;

	n++;
	snprintf(address, sizeof address, "10.1.%u.%u", n >> 8 & 255, n & 255);
	rq.network = address;
}

START_TEST(test_anything_else_is_no_one)
{
	char wrong[sizeof bearer];
	static const char *const others[] = {"", "Bearer", "Bearer ", "Bearer pvd_", "Bearer pvd__",
		"Basic eDp5", "bearer x", "Bearer pvd_0123456789abcdef_"};
	struct principal p;

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		authorization = others[i];
		from_elsewhere();
		ck_assert_msg(check(0, &p) == -ERR_UNAUTHORIZED, "'%s'", others[i]);
	}
	authorization = wrong;
	for (size_t i = 7; bearer[i]; i++) {
		strcpy(wrong, bearer);
		wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
		from_elsewhere();
		ck_assert_msg(check(0, &p) == -ERR_UNAUTHORIZED, "character %zu", i);
		from_elsewhere();
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
	struct principal wall;

	ck_assert_int_eq(login(text, value, &p), 0);
	authorization = NULL;
	cookie = value;
	ck_assert_int_eq(check(0, &wall), 0);
	ck_assert(wall.by_cookie);
	ck_assert(auth_still(auth, &wall));
	auth_revoke(auth, id);
	ck_assert(!auth_still(auth, &wall));
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
	ck_assert_int_eq(login(text, value, &p), -ERR_UNAUTHORIZED);
	authorization = bearer;
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(test_a_session_ends_with_its_logout)
{
	char value[65];
	struct principal p;

	ck_assert_int_eq(login(text, value, &p), 0);
	authorization = NULL;
	cookie = value;
	ck_assert_int_eq(check(0, &p), 0);
	auth_logout(auth, p.session);
	ck_assert(!auth_still(auth, &p));
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(test_logins_of_one_token_end_its_own_sessions_alone)
{
	char other_text[TOKEN_TEXT_SIZE];
	char other_id[TOKEN_ID_SIZE];
	char other_hash[SHA256_HEX];
	char first[65];
	char last[65];
	char value[65];
	struct principal p;

	auth_make_token(other_text, other_id, other_hash);
	add(other_id, "another", "viewer", other_hash);
	ck_assert_int_eq(login(other_text, value, &p), 0);
	ck_assert_int_eq(login(text, first, &p), 0);
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(login(text, last, &p), 0);
	authorization = NULL;
	cookie = value;
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert_str_eq(p.name, "another");
	cookie = last;
	ck_assert_int_eq(check(0, &p), 0);
	cookie = first;
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(test_an_old_session_is_none)
{
	struct session_row rows[] = {{.used_ms = wall_ms(), .ends_ms = wall_ms() - 1},
		{.used_ms = wall_ms() - SESSION_IDLE_MS - 1000, .ends_ms = INT64_MAX},
		{.used_ms = wall_ms() - SESSION_IDLE_MS + 60000, .ends_ms = INT64_MAX}};
	struct session_row used[4];
	struct principal p;

	authorization = NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char value[8];

		snprintf(value, sizeof value, "c%zu", i);
		sha256_hex_of(value, strlen(value), rows[i].hash);
		snprintf(rows[i].token, sizeof rows[i].token, "%s", id);
		auth_session_add(auth, &rows[i], "");
		cookie = value;
		ck_assert_int_eq(check(0, &p), i == 2 ? 0 : -ERR_UNAUTHORIZED);
	}
	/* The use is stored once, and the old ones are gone. */
	ck_assert_uint_eq(auth_tick(auth, used, ARRAY_LEN(used)), 1);
	ck_assert_str_eq(used[0].hash, rows[2].hash);
	ck_assert_uint_eq(auth_tick(auth, used, ARRAY_LEN(used)), 0);
}
END_TEST

START_TEST(test_wrong_tokens_wait_and_the_right_one_is_heard)
{
	char wrong[sizeof bearer];
	struct auth_refusal why;
	struct principal p;
	struct err e;
	int refused = 0;
	int waiting = 0;

	strcpy(wrong,
		"Bearer pvd_0123456789abcdef_0123456789abcdef0123456789abcdef0123456789abcdef");
	authorization = wrong;
	for (int i = 0; i < 8; i++) {
		int r = auth_check(auth, &rq, 0, &p, &why, &e);

		refused += r == -ERR_UNAUTHORIZED;
		waiting += r == -ERR_OVERLOADED;
		ck_assert(r == -ERR_OVERLOADED ? why.retry_after_s > 0 : why.note);
	}
	ck_assert_int_eq(refused, GUARD_FAILURES);
	ck_assert_int_eq(waiting, 8 - GUARD_FAILURES);
	authorization = bearer;
	ck_assert_int_eq(check(0, &p), 0);
	/* Its own secret, guessed at from here: it waits too, but not from elsewhere. */
	strcpy(wrong, bearer);
	wrong[strlen(wrong) - 1] ^= 1;
	authorization = wrong;
	for (int i = 0; i < 8; i++)
		ck_assert_int_lt(check(0, &p), 0);
	authorization = bearer;
	ck_assert_int_eq(check(0, &p), -ERR_OVERLOADED);
	from_elsewhere();
	ck_assert_int_eq(check(0, &p), 0);
}
END_TEST

/* Another token, which the next check is made with. */
static void ending(int64_t expires_ms, json_t *scopes)
{
	static char ending_bearer[sizeof bearer];
	struct token t = {.name = "for a time", .role = "mes", .expires_ms = expires_ms};

	t.scopes = scopes;
	auth_make_token(text, id, t.secret_sha256);
	memcpy(t.id, id, sizeof id);
	auth_add(auth, &t);
	snprintf(ending_bearer, sizeof ending_bearer, "Bearer %s", text);
	authorization = ending_bearer;
}

START_TEST(test_a_token_that_ran_out_says_so_to_its_secret_alone)
{
	char value[65];
	struct auth_refusal why;
	struct principal p;
	struct err e;
	char *last;

	ending(wall_ms() + 3600 * 1000, NULL);
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert(auth_still(auth, &p));
	ending(wall_ms() - 1, NULL);
	for (int i = 0; i < 2 * GUARD_FAILURES; i++) {
		from_elsewhere();
		ck_assert_int_eq(auth_check(auth, &rq, 0, &p, &why, &e), -ERR_TOKEN_EXPIRED);
		ck_assert_msg(strstr(e.msg, id) != NULL, "%s", e.msg);
		ck_assert_int_eq(login(text, value, &p), -ERR_TOKEN_EXPIRED);
	}
	last = (char *)authorization + strlen(authorization) - 1;
	*last = *last == 'a' ? 'b' : 'a';
	from_elsewhere();
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(test_what_a_token_may_name_goes_with_its_principal)
{
	json_t *scopes = json_pack("{s:[s]}", "stations", "A1");
	struct principal p;

	ending(0, scopes);
	json_decref(scopes);
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert_str_eq(
		json_string_value(json_array_get(json_object_get(p.scopes, "stations"), 0)), "A1");
	authorization = bearer;
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert_ptr_null(p.scopes);
}
END_TEST

START_TEST(test_a_rotated_token_has_two_secrets_until_the_overlap_is_over)
{
	char fresh[TOKEN_TEXT_SIZE];
	char fresh_bearer[sizeof bearer];
	char value[65];
	struct principal before;
	struct principal p;

	ck_assert_int_eq(check(0, &before), 0);
	ck_assert_int_eq(login(text, value, &p), 0);
	auth_make_secret(id, fresh, hash);
	auth_rotate(auth, id, hash, wall_ms() + 3600 * 1000);
	snprintf(fresh_bearer, sizeof fresh_bearer, "Bearer %s", fresh);
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert(auth_still(auth, &before));
	authorization = fresh_bearer;
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert_str_eq(p.name, "someone");
	/* A browser logs in again. */
	authorization = NULL;
	cookie = value;
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
	/* Rotated at once: the two secrets before are over, also for what they have opened. */
	authorization = fresh_bearer;
	ck_assert_int_eq(check(0, &p), 0);
	auth_make_secret(id, fresh, hash);
	auth_rotate(auth, id, hash, wall_ms());
	ck_assert(!auth_still(auth, &before));
	ck_assert(!auth_still(auth, &p));
	ck_assert_int_eq(check(0, &p), -ERR_TOKEN_EXPIRED);
	authorization = bearer;
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
	snprintf(fresh_bearer, sizeof fresh_bearer, "Bearer %s", fresh);
	authorization = fresh_bearer;
	ck_assert_int_eq(check(0, &p), 0);
}
END_TEST

START_TEST(test_the_last_use_is_known_at_once_and_stored_now_and_then)
{
	struct token_use uses[4];
	struct token_use last;
	struct principal p;

	ck_assert(!auth_last_use(auth, id, &last));
	ck_assert_uint_eq(auth_token_uses(auth, uses, ARRAY_LEN(uses)), 0);
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert(auth_last_use(auth, id, &last));
	ck_assert_str_eq(last.used_from, "10.0.0.1");
	ck_assert_uint_eq(auth_token_uses(auth, uses, ARRAY_LEN(uses)), 1);
	ck_assert_str_eq(uses[0].id, id);
	ck_assert_str_eq(uses[0].used_from, "10.0.0.1");
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert_uint_eq(auth_token_uses(auth, uses, ARRAY_LEN(uses)), 0);
}
END_TEST

START_TEST(test_an_admin_of_no_use_to_others_is_no_admin)
{
	add("aaaaaaaaaaaaaaaa", "root", "admin", hash);
	ck_assert(auth_has_admin(auth));
	auth_revoke(auth, "aaaaaaaaaaaaaaaa");
	ck_assert(!auth_has_admin(auth));
	for (int i = 0; i < 2; i++) {
		json_t *scopes = json_pack("{s:[s]}", "pools", "p");
		struct token t = {.role = "admin", .expires_ms = i ? 1 : 0};

		snprintf(t.id, sizeof t.id, "%016d", i);
		t.scopes = i ? NULL : scopes;
		memcpy(t.secret_sha256, hash, sizeof hash);
		auth_add(auth, &t);
		json_decref(scopes);
		ck_assert(!auth_has_admin(auth));
	}
}
END_TEST

/* Who comes with a certificate, and without a token. */
static int certified(const char *refused, struct principal *ret)
{
	static struct tls_client c;

	c = (struct tls_client){.subject = "CN=mes,O=Example", .ends_s = wall_ms() / 1000 + 60};
	c.name[0].kind = TLS_SAN_DNS;
	strcpy(c.name[0].text, "mes.example");
	c.names = 1;
	snprintf(c.refused, sizeof c.refused, "%s", refused);
	rq.client = &c;
	authorization = NULL;
	return check(0, ret);
}

START_TEST(test_a_certificate_is_its_principal_and_no_other)
{
	json_t *scopes = json_pack("{s:[s]}", "stations", "A1");
	const struct auth_client other = {TLS_SAN_DNS, "other.example", "other", ROLE_ADMIN, NULL};
	const struct auth_client both[] = {
		other, {TLS_SUBJECT, "CN=mes,O=Example", "mes of hall 2", ROLE_MES, scopes}};
	struct principal p;
	struct err e;

	ck_assert_int_eq(certified("", &p), -ERR_UNAUTHORIZED);
	ck_assert_int_eq(auth_set_clients(auth, both, 2, &e), 0);
	ck_assert_int_eq(certified("", &p), 0);
	ck_assert_str_eq(p.name, "mes of hall 2");
	ck_assert_int_eq(p.role, ROLE_MES);
	ck_assert(p.by_certificate && !p.by_cookie);
	ck_assert_ptr_nonnull(json_object_get(p.scopes, "stations"));
	ck_assert(auth_still(auth, &p));
	ck_assert_int_eq(certified("it was revoked", &p), -ERR_UNAUTHORIZED);
	/* With a token it is the token's; with a wrong one nobody's. */
	ck_assert_int_eq(certified("", &p), 0);
	authorization = bearer;
	ck_assert_int_eq(check(0, &p), 0);
	ck_assert_str_eq(p.name, "someone");
	authorization = "Bearer wrong";
	ck_assert_int_eq(check(0, &p), -ERR_UNAUTHORIZED);
	/* Its principal goes, and comes back as another role. */
	ck_assert_int_eq(certified("", &p), 0);
	ck_assert_int_eq(auth_set_clients(auth, &other, 1, &e), 0);
	ck_assert(!auth_still(auth, &p));
	ck_assert_int_eq(certified("", &p), -ERR_UNAUTHORIZED);
	ck_assert(!auth_has_admin(auth));
	json_decref(scopes);
	rq.client = NULL;
}
END_TEST

START_TEST(test_what_a_certificate_opened_ends_with_it_and_with_what_is_trusted)
{
	const struct auth_client mes = {TLS_SAN_DNS, "MES.example", "mes", ROLE_MES, NULL};
	struct principal p;
	struct err e;

	ck_assert_int_eq(auth_set_clients(auth, &mes, 1, &e), 0);
	ck_assert_int_eq(certified("", &p), 0);
	auth_clients_changed(auth);
	ck_assert(!auth_still(auth, &p));
	ck_assert_int_eq(certified("", &p), 0);
	ck_assert(auth_still(auth, &p));
	p.certificate_ends_s = wall_ms() / 1000 - 1;
	ck_assert(!auth_still(auth, &p));
	rq.client = NULL;
}
END_TEST

/* A session of the account, and a stream that is open by it. */
static struct principal log_in_by_account(const char *account)
{
	struct principal p;
	struct session_row row;
	struct auth_refusal why;
	char given[65], ended[SHA256_HEX];
	struct err e;

	ck_assert_int_eq(
		auth_account_login(auth, &rq, account, true, given, &row, ended, &p, &why, &e), 0);
	auth_session_add(auth, &row, ended);
	return p;
}

START_TEST(test_a_stream_of_an_account_ends_when_it_may_see_other_things)
{
	json_t *a1 = json_pack("{s:[s]}", "stations", "A1");
	json_t *a2 = json_pack("{s:[s]}", "stations", "A2");
	struct auth_client anna = {
		.name = "Anna", .value = "anna", .role = ROLE_OPERATOR, .account = true};
	struct principal p;
	struct err e;

	const json_t *const scopes[] = {NULL, a1, a2, NULL};

	for (size_t i = 0; i + 1 < ARRAY_LEN(scopes); i++) {
		anna.scopes = scopes[i];
		ck_assert_int_eq(auth_set_clients(auth, &anna, 1, &e), 0);
		p = log_in_by_account("anna");
		/* The same once more changes nothing. */
		ck_assert_int_eq(auth_set_clients(auth, &anna, 1, &e), 0);
		ck_assert(auth_still(auth, &p));
		anna.scopes = scopes[i + 1];
		ck_assert_int_eq(auth_set_clients(auth, &anna, 1, &e), 0);
		ck_assert(!auth_still(auth, &p));
	}
	json_decref(a1);
	json_decref(a2);
}
END_TEST

START_TEST(test_an_account_that_was_taken_away_and_comes_back_has_no_session)
{
	const struct auth_client anna = {
		.name = "Anna", .value = "anna", .role = ROLE_OPERATOR, .account = true};
	struct principal p;
	struct err e;

	ck_assert_int_eq(auth_set_clients(auth, &anna, 1, &e), 0);
	p = log_in_by_account("anna");
	ck_assert(auth_still(auth, &p));
	ck_assert_int_eq(auth_set_clients(auth, NULL, 0, &e), 0);
	ck_assert(!auth_still(auth, &p));
	ck_assert_int_eq(auth_set_clients(auth, &anna, 1, &e), 0);
	ck_assert(!auth_still(auth, &p));
}
END_TEST

START_TEST(test_a_name_is_of_a_token_or_of_a_certificate)
{
	const struct auth_client rows[] = {{TLS_SUBJECT, "CN=a", "SomeOne", ROLE_MES, NULL},
		{TLS_SUBJECT, "CN=a", "provd", ROLE_MES, NULL},
		{TLS_SUBJECT, "CN=a", "cell", ROLE_MES, NULL}};
	struct err e;

	ck_assert_int_eq(auth_set_clients(auth, &rows[0], 1, &e), -ERR_CONFLICT);
	ck_assert_msg(strstr(e.msg, id) != NULL, "%s", e.msg);
	ck_assert_int_eq(auth_set_clients(auth, &rows[1], 1, &e), -ERR_CONFLICT);
	ck_assert_int_eq(auth_set_clients(auth, &rows[2], 1, &e), 0);
	ck_assert(auth_is_client(auth, "Cell"));
	ck_assert(!auth_is_client(auth, "someone"));
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
	tcase_add_test(t, test_logins_of_one_token_end_its_own_sessions_alone);
	tcase_add_test(t, test_an_old_session_is_none);
	tcase_add_test(t, test_wrong_tokens_wait_and_the_right_one_is_heard);
	tcase_add_test(t, test_a_token_that_ran_out_says_so_to_its_secret_alone);
	tcase_add_test(t, test_what_a_token_may_name_goes_with_its_principal);
	tcase_add_test(t, test_a_rotated_token_has_two_secrets_until_the_overlap_is_over);
	tcase_add_test(t, test_the_last_use_is_known_at_once_and_stored_now_and_then);
	tcase_add_test(t, test_an_admin_of_no_use_to_others_is_no_admin);
	tcase_add_test(t, test_a_certificate_is_its_principal_and_no_other);
	tcase_add_test(t, test_what_a_certificate_opened_ends_with_it_and_with_what_is_trusted);
	tcase_add_test(t, test_a_stream_of_an_account_ends_when_it_may_see_other_things);
	tcase_add_test(t, test_an_account_that_was_taken_away_and_comes_back_has_no_session);
	tcase_add_test(t, test_a_name_is_of_a_token_or_of_a_certificate);
	tcase_add_test(t, test_the_rate_is_a_bucket_that_fills_again);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
