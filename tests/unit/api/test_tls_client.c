/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of clients: which are let in, and what each of the others is refused for.
 */
#include "api/tls_client.h"

#include <unistd.h>

#include "tests/unit/api/tls_files.h"

#define CLIENT GNUTLS_KP_TLS_WWW_CLIENT

static char dir[64], ca_path[80], crl_path[80];
static struct made ca, other;
static struct err e;

static void setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_tls_client_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(ca_path, sizeof ca_path, "%s/ca", dir);
	snprintf(crl_path, sizeof crl_path, "%s/crl", dir);
	ca = make(&(struct wish){.dn = "CN=Line CA", .ca = true}, NULL);
	other = make(&(struct wish){.dn = "CN=Other CA", .ca = true}, NULL);
	put_crt(ca_path, &ca, "we");
}

static void teardown(void)
{
	made_done(&ca);
	made_done(&other);
	unlink(ca_path);
	unlink(crl_path);
	rmdir(dir);
}

/* What is said of the chain of two (the second may be NULL). */
static struct tls_client verdict(const char *crl, const struct made *m, const struct made *over)
{
	struct tls_client c;
	struct tls_trust *t;
	gnutls_datum_t chain[2];

	ck_assert_msg(tls_trust_new(ca_path, crl, &t, &e) == 0, "%s", e.msg);
	GOOD(gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_DER, &chain[0]));
	if (over)
		GOOD(gnutls_x509_crt_export2(over->crt, GNUTLS_X509_FMT_DER, &chain[1]));
	tls_trust_verify(t, chain, over ? 2 : 1, &c);
	gnutls_free(chain[0].data);
	if (over)
		gnutls_free(chain[1].data);
	tls_trust_free(t);
	return c;
}

static void refused_for(const struct tls_client *c, const char *why)
{
	ck_assert_msg(strstr(c->refused, why) != NULL, "'%s': '%s' expected", c->refused, why);
}

START_TEST(a_good_one_is_let_in_by_its_names)
{
	const struct wish w = {.dn = "CN=mes,O=Example",
		.purpose = CLIENT,
		.dns = "MES.example",
		.uri = "urn:mes:2",
		.email = "Mes@Example.com"};
	struct made m = make(&w, &ca);
	struct tls_client c = verdict(NULL, &m, NULL);

	ck_assert_str_eq(c.refused, "");
	ck_assert_uint_eq(c.names, 3);
	ck_assert_int_eq(c.ends_s, gnutls_x509_crt_get_expiration_time(m.crt));
	ck_assert(tls_client_has(&c, TLS_SUBJECT, "CN=mes,O=Example"));
	ck_assert(tls_client_has(&c, TLS_SUBJECT, "O=Example,CN=mes"));
	ck_assert(!tls_client_has(&c, TLS_SUBJECT, "CN=mes"));
	ck_assert(!tls_client_has(&c, TLS_SUBJECT, "CN=MES,O=Example"));
	ck_assert(tls_client_has(&c, TLS_SAN_DNS, "mes.EXAMPLE"));
	ck_assert(!tls_client_has(&c, TLS_SAN_DNS, "example"));
	ck_assert(tls_client_has(&c, TLS_SAN_URI, "urn:mes:2"));
	ck_assert(!tls_client_has(&c, TLS_SAN_URI, "urn:MES:2"));
	ck_assert(tls_client_has(&c, TLS_SAN_EMAIL, "Mes@example.COM"));
	ck_assert(!tls_client_has(&c, TLS_SAN_EMAIL, "mes@example.com"));
	/* A name of one kind is none of another. */
	ck_assert(!tls_client_has(&c, TLS_SAN_DNS, "urn:mes:2"));
	made_done(&m);
}
END_TEST

START_TEST(a_part_of_a_name_that_looks_like_two_is_one)
{
	struct made m = make(&(struct wish){.dn = "CN=mes\\,O=Example", .purpose = CLIENT}, &ca);
	struct tls_client c = verdict(NULL, &m, NULL);

	ck_assert_str_eq(c.refused, "");
	ck_assert(!tls_client_has(&c, TLS_SUBJECT, "CN=mes,O=Example"));
	ck_assert(!tls_client_has(&c, TLS_SUBJECT, "CN=mes"));
	made_done(&m);
}
END_TEST

START_TEST(each_bad_one_is_refused_with_its_reason)
{
	const struct {
		struct wish w;
		const struct made *by;
		const char *why;
	} rows[] = {
		{{.dn = "CN=a", .purpose = CLIENT}, &other, "no authority of client_ca"},
		{{.dn = "CN=b", .purpose = CLIENT}, NULL, "no authority of client_ca"},
		{{.dn = "CN=c", .purpose = CLIENT, .from_s = -2 * HOUR, .to_s = -HOUR}, &ca,
			"its time is over"},
		{{.dn = "CN=d", .purpose = CLIENT, .from_s = HOUR, .to_s = 2 * HOUR}, &ca,
			"not valid yet"},
		{{.dn = "CN=e", .purpose = GNUTLS_KP_TLS_WWW_SERVER}, &ca, "not for clients"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct made m = make(&rows[i].w, rows[i].by);
		struct tls_client c = verdict(NULL, &m, NULL);

		refused_for(&c, rows[i].why);
		refused_for(&c, rows[i].w.dn);
		made_done(&m);
	}
}
END_TEST

START_TEST(a_chain_leads_to_the_authority_through_one_that_may_sign)
{
	struct made middle = make(&(struct wish){.dn = "CN=Middle", .ca = true}, &ca);
	struct made leaf = make(&(struct wish){.dn = "CN=leaf", .purpose = CLIENT}, &middle);
	struct made unit = make(&(struct wish){.dn = "CN=unit", .purpose = CLIENT}, &ca);
	struct made forged = make(&(struct wish){.dn = "CN=forged", .purpose = CLIENT}, &unit);
	struct tls_client c = verdict(NULL, &leaf, &middle);

	ck_assert_str_eq(c.refused, "");
	c = verdict(NULL, &leaf, NULL);
	refused_for(&c, "no authority of client_ca");
	/* A certificate that may sign nothing has signed another. */
	c = verdict(NULL, &forged, &unit);
	ck_assert_str_ne(c.refused, "");
	made_done(&middle);
	made_done(&leaf);
	made_done(&unit);
	made_done(&forged);
}
END_TEST

START_TEST(what_was_revoked_is_refused_and_without_a_list_in_date_everything_is)
{
	struct made good = make(&(struct wish){.dn = "CN=good", .purpose = CLIENT}, &ca);
	struct made bad = make(&(struct wish){.dn = "CN=bad", .purpose = CLIENT}, &ca);
	struct made middle = make(&(struct wish){.dn = "CN=Middle", .ca = true}, &ca);
	struct made leaf = make(&(struct wish){.dn = "CN=leaf", .purpose = CLIENT}, &middle);
	struct tls_client c;

	put_crl(crl_path, &ca, &bad, HOUR, "we");
	c = verdict(crl_path, &good, NULL);
	ck_assert_str_eq(c.refused, "");
	c = verdict(crl_path, &bad, NULL);
	refused_for(&c, "it was revoked");
	c = verdict(NULL, &bad, NULL);
	ck_assert_str_eq(c.refused, "");
	/* Of the one between there is no list. */
	c = verdict(crl_path, &leaf, &middle);
	refused_for(&c, "no list of its authority");
	put_crl(crl_path, &ca, NULL, -HOUR, "we");
	c = verdict(crl_path, &good, NULL);
	refused_for(&c, "out of date");
	/* The one between was revoked itself. */
	put_crl(crl_path, &ca, &middle, HOUR, "we");
	c = verdict(crl_path, &leaf, &middle);
	ck_assert_str_ne(c.refused, "");
	made_done(&good);
	made_done(&bad);
	made_done(&middle);
	made_done(&leaf);
}
END_TEST

static void not_taken(const char *crl, const char *why)
{
	struct tls_trust *t;

	ck_assert_int_eq(tls_trust_new(ca_path, crl, &t, &e), -ERR_INVALID);
	ck_assert_msg(strstr(e.msg, why) != NULL, "'%s': '%s' expected", e.msg, why);
}

START_TEST(files_that_trust_nothing_are_refused)
{
	struct made unit = make(&(struct wish){.dn = "CN=unit"}, &ca);

	not_taken("/nowhere/crl", "/nowhere/crl");
	put_crl(crl_path, &other, NULL, HOUR, "we");
	not_taken(crl_path, "not signed by an authority");
	/* One that is right does not hide one that is not. */
	put_crl(crl_path, &ca, NULL, HOUR, "we");
	put_crl(crl_path, &other, NULL, HOUR, "ae");
	not_taken(crl_path, "list 2");
	put_crt(ca_path, &unit, "ae");
	not_taken(NULL, "certificate 2 is not of an authority");
	put_key(ca_path, &unit, 0644);
	not_taken(NULL, "certificates of authorities");
	made_done(&unit);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("tls_client");
	TCase *t = tcase_create("tls_client");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_good_one_is_let_in_by_its_names);
	tcase_add_test(t, a_part_of_a_name_that_looks_like_two_is_one);
	tcase_add_test(t, each_bad_one_is_refused_with_its_reason);
	tcase_add_test(t, a_chain_leads_to_the_authority_through_one_that_may_sign);
	tcase_add_test(t, what_was_revoked_is_refused_and_without_a_list_in_date_everything_is);
	tcase_add_test(t, files_that_trust_nothing_are_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
