/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates: on record before they are signed, void where they never were, and one for a key.
 */
#include "db/certificates.h"

#include "base/digest.h"
#include "db/stmt.h"
#include "db/units.h"
#include "tests/unit/db/fixture.h"

#define FIRST  "51000000000000000000000000000001"
#define SECOND "51000000000000000000000000000002"

static char key[SHA256_HEX];

static int order_as(const char *serial, const char *run, const char *asked)
{
	const struct certificate_order_row o = {.id = serial,
		.serial = serial,
		.run = run,
		.step_n = 3,
		.issuer = "factory",
		.profile = "idevid@1",
		.profile_digest = sha256_hex_of("p", 1, (char[SHA256_HEX]){0}),
		.key = sha256_hex_of("k", 1, key),
		.asked = asked};

	return certificates_order(fx.db, &o, &fx.e);
}

static int order(const char *serial, const char *run)
{
	return order_as(serial, run, sha256_hex_of("v", 1, (char[SHA256_HEX]){0}));
}

static int issue(const char *serial)
{
	const struct certificate_row c = {.id = serial,
		.serial = serial,
		.subject = "CN=A",
		.sha256 = serial,
		.pem = "pem",
		.chain = "chain",
		.not_before_ms = 1000,
		.not_after_ms = 5000};

	return certificates_issue(fx.db, &c, &fx.e);
}

static const char *state_of(const char *serial)
{
	static char text[200];

	text[0] = '\0';
	ck_assert_int_ge(
		db_text(fx.db, &fx.e, text, sizeof text,
			"SELECT state || ':' || coalesce(reason, '') FROM certificates WHERE serial = ?",
			serial),
		0);
	return text;
}

static int found_as(const char *run, const char *asked, int64_t now_ms)
{
	const struct certificate_order_row o = {.run = run,
		.issuer = "factory",
		.profile_digest = sha256_hex_of("p", 1, (char[SHA256_HEX]){0}),
		.key = sha256_hex_of("k", 1, (char[SHA256_HEX]){0}),
		.asked = asked};
	json_t *got = NULL;
	int r = certificates_find(fx.db, &o, now_ms, &got, &fx.e);

	json_decref(got);
	return r;
}

static int found_for(const char *run, int64_t now_ms)
{
	return found_as(run, sha256_hex_of("v", 1, (char[SHA256_HEX]){0}), now_ms);
}

static int found(int64_t now_ms)
{
	return found_for("a", now_ms);
}

START_TEST(a_certificate_goes_its_way)
{
	open_run("a", "A1", NULL);
	TX(order(FIRST, "a"));
	ck_assert_str_eq(state_of(FIRST), "ordered:");
	ck_assert_int_eq(found(2000), -ERR_NOT_FOUND);
	TX_FAILS(ERR_NOT_FOUND, certificates_deliver(fx.db, "a", FIRST, &fx.e));
	TX(issue(FIRST));
	ck_assert_int_eq(found(2000), 0);
	ck_assert_int_eq(found(5000), -ERR_NOT_FOUND);
	/* Asked for with other values, or nobody knows with which. */
	ck_assert_int_eq(
		found_as("a", sha256_hex_of("w", 1, (char[SHA256_HEX]){0}), 2000), -ERR_NOT_FOUND);
	TX(order_as(SECOND, "a", ""));
	TX(issue(SECOND));
	ck_assert_int_eq(
		found_as("a", sha256_hex_of("w", 1, (char[SHA256_HEX]){0}), 2000), -ERR_NOT_FOUND);
	TX_FAILS(ERR_CONFLICT, db_do(fx.db, &fx.e, "UPDATE certificates SET asked = ? WHERE id = ?",
				       sha256_hex_of("w", 1, (char[SHA256_HEX]){0}), FIRST));
	TX(certificates_deliver(fx.db, "a", FIRST, &fx.e));
	TX(certificates_deliver(fx.db, "a", FIRST, &fx.e));
	ck_assert_str_eq(state_of(FIRST), "delivered:");
	TX_FAILS(ERR_NOT_FOUND, issue(FIRST));
	TX_FAILS(ERR_NOT_FOUND, certificates_void(fx.db, FIRST, "no", &fx.e));
	TX_FAILS(ERR_NOT_FOUND, certificates_deliver(fx.db, "a", "none", &fx.e));
}
END_TEST

static void is_of_unit(const char *run, const char *unit)
{
	OK(db_do(fx.db, &fx.e,
		"INSERT OR IGNORE INTO units (id, serial, model, state, created_at, updated_at)"
		" VALUES (?, 'SN-' || ?1, 'T200', 'new', 0, 0)",
		unit));
	OK(db_do(fx.db, &fx.e, "UPDATE runs SET unit_id = ? WHERE id = ?", unit, run));
}

static int taken(const char *run)
{
	return certificates_key_free(
		fx.db, run, sha256_hex_of("k", 1, (char[SHA256_HEX]){0}), &fx.e);
}

START_TEST(a_key_of_another_unit_is_refused)
{
	open_run("a", "A1", NULL);
	is_of_unit("a", "u1");
	TX(order(FIRST, "a"));
	open_run("b", "A2", NULL);
	is_of_unit("b", "u2");
	OK(taken("b")); /* nothing was signed for it yet */
	TX(issue(FIRST));
	OK(taken("a"));
	FAILS(ERR_CSR_MISMATCH, taken("b"));
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "'SN-u1'"));
	ck_assert_int_eq(found_for("a", 2000), 0);
	ck_assert_int_eq(found_for("b", 2000), -ERR_NOT_FOUND);
	TX_FAILS(ERR_CSR_MISMATCH, certificates_deliver(fx.db, "b", FIRST, &fx.e));
	TX(certificates_deliver(fx.db, "a", FIRST, &fx.e));
	/* The same unit in a later run, and one that is not known yet. */
	finish_run("a", "failed");
	open_run("c", "A1", NULL);
	OK(taken("c"));
	is_of_unit("c", "u1");
	OK(taken("c"));
	ck_assert_int_eq(found_for("c", 2000), 0);
	/* A run that does not know its unit may be of a clone of one that passed. */
	OK(db_do(fx.db, &fx.e, "UPDATE units SET state = 'passed' WHERE id = 'u1'"));
	open_run("d", "A3", NULL);
	FAILS(ERR_CSR_MISMATCH, taken("d"));
	TX_FAILS(ERR_CSR_MISMATCH, certificates_deliver(fx.db, "d", FIRST, &fx.e));
	is_of_unit("d", "u1");
	OK(taken("d"));
	/* A board whose first record was scrapped gets a certificate of its own. */
	OK(db_do(fx.db, &fx.e, "UPDATE units SET state = 'scrapped' WHERE id = 'u1'"));
	OK(taken("b"));
	ck_assert_int_eq(found_for("b", 2000), -ERR_NOT_FOUND);
}
END_TEST

START_TEST(what_an_authority_was_asked_before_a_crash_may_have_been_issued)
{
	open_run("a", "A1", NULL);
	TX(order(FIRST, "a"));
	OK(db_script(fx.db, "DROP TRIGGER certificates_stay; UPDATE certificates SET serial = NULL",
		&fx.e));
	TX(MIN(certificates_settle(fx.db, &fx.e), 0));
	ck_assert_int_eq(db_has(fx.db, &fx.e,
				 "SELECT 1 FROM certificates WHERE state = 'void' AND reason LIKE"
				 " '%it may have been issued, and was never given out'"),
		1);
}
END_TEST

START_TEST(what_a_crash_left_was_never_given_out)
{
	open_run("a", "A1", NULL);
	TX(order(FIRST, "a"));
	TX(order(SECOND, "a"));
	TX(issue(SECOND));
	fixture_reopen();
	TX(MIN(certificates_settle(fx.db, &fx.e), 0));
	ck_assert_str_eq(state_of(FIRST),
		"void:provd ended before the certificate was on record: it was never given out");
	ck_assert_str_eq(state_of(SECOND), "issued:");
	TX_FAILS(ERR_NOT_FOUND, issue(FIRST));
}
END_TEST

static const char *const forbidden[] = {
	"UPDATE certificates SET pem = 'other' WHERE serial = '" FIRST "'",
	"UPDATE certificates SET serial = '" SECOND "' WHERE serial = '" FIRST "'",
	"UPDATE certificates SET key = profile_digest WHERE serial = '" FIRST "'",
	"UPDATE certificates SET state = 'ordered' WHERE serial = '" FIRST "'",
	"DELETE FROM certificates WHERE serial = '" FIRST "'",
	"INSERT OR REPLACE INTO certificates (id, serial, run_id, step_n, station, issuer, profile, profile_digest, key, state,"
	" ordered_at) SELECT id, serial, run_id, step_n, station, issuer, profile, profile_digest, key, 'ordered', 0"
	" FROM certificates WHERE serial = '" FIRST "'",
};

START_TEST(what_is_on_record_stays)
{
	open_run("a", "A1", NULL);
	TX(order(FIRST, "a"));
	TX_FAILS(ERR_CONFLICT, order(FIRST, "a"));
	TX(issue(FIRST));
	TX_FAILS(ERR_CONFLICT, db_run(fx.db, &fx.e, forbidden[_i]));
}
END_TEST

START_TEST(an_order_needs_an_open_run)
{
	TX_FAILS(ERR_NOT_FOUND, order(FIRST, "nobody"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("certificates");
	TCase *t = tcase_create("certificates");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, a_certificate_goes_its_way);
	tcase_add_test(t, a_key_of_another_unit_is_refused);
	tcase_add_test(t, what_an_authority_was_asked_before_a_crash_may_have_been_issued);
	tcase_add_test(t, what_a_crash_left_was_never_given_out);
	tcase_add_loop_test(t, what_is_on_record_stays, 0, ARRAY_LEN(forbidden));
	tcase_add_test(t, an_order_needs_an_open_run);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
