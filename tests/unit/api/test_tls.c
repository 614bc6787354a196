/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of the API: which files are taken, when, and that bad ones leave the ones before.
 */
#include "api/tls.h"

#include <unistd.h>

#include "api/tls_make.h"
#include "tests/unit/api/tls_files.h"

static char dir[64], crt[80], key[80], ca[80], crl[80];
static struct tls_files files = {.certificate = crt, .key = key};
static struct made first, second;
static struct tls *tls;
static struct err e;

static void setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_tls_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(crt, sizeof crt, "%s/provd.crt", dir);
	snprintf(key, sizeof key, "%s/provd.key", dir);
	snprintf(ca, sizeof ca, "%s/ca", dir);
	snprintf(crl, sizeof crl, "%s/crl", dir);
	files.client_ca = files.client_crl = NULL;
	first = make(&(struct wish){.dn = "CN=first", .to_s = 40 * 24 * HOUR}, NULL);
	second = make(&(struct wish){.dn = "CN=second", .to_s = 50 * 24 * HOUR}, NULL);
	put_crt(crt, &first, "we");
	put_key(key, &first, 0600);
}

static void teardown(void)
{
	tls = tls_free(tls);
	made_done(&first);
	made_done(&second);
	unlink(crt);
	unlink(key);
	unlink(ca);
	unlink(crl);
	rmdir(dir);
}

static void opened(void)
{
	ck_assert_msg(tls_new(&files, &tls, &e) == 0, "%s", e.msg);
}

static void not_opened(const char *why)
{
	ck_assert_int_lt(tls_new(&files, &tls, &e), 0);
	ck_assert_msg(strstr(e.msg, why) != NULL, "'%s': '%s' expected", e.msg, why);
}

/* What a handshake gets now is that certificate, with its key. */
static void shows(const struct made *m)
{
	gnutls_pcert_st *certs;
	gnutls_privkey_t k;
	gnutls_datum_t der;
	unsigned char of_crt[64];
	unsigned char of_key[64];
	size_t a = sizeof of_crt;
	size_t b = sizeof of_key;
	unsigned n;

	ck_assert_int_eq(tls_give(tls, &certs, &n, &k), 0);
	ck_assert_uint_eq(n, 1);
	GOOD(gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_DER, &der));
	ck_assert_uint_eq(certs[0].cert.size, der.size);
	ck_assert_mem_eq(certs[0].cert.data, der.data, der.size);
	GOOD(gnutls_x509_crt_get_key_id(m->crt, 0, of_crt, &a));
	gnutls_pubkey_t pub;
	GOOD(gnutls_pubkey_init(&pub));
	GOOD(gnutls_pubkey_import_privkey(pub, k, 0, 0));
	GOOD(gnutls_pubkey_get_key_id(pub, 0, of_key, &b));
	ck_assert_uint_eq(a, b);
	ck_assert_mem_eq(of_crt, of_key, a);
	gnutls_pubkey_deinit(pub);
	gnutls_free(der.data);
	gnutls_pcert_deinit(&certs[0]);
	gnutls_free(certs);
	gnutls_privkey_deinit(k);
}

START_TEST(files_that_do_not_fit_are_refused_at_the_start)
{
	put_crt(crt, &second, "we");
	not_opened("is not that of the first certificate");
	put_crt(crt, &first, "we");
	for (int i = 0; i < 3; i++) {
		static const mode_t modes[] = {0604, 0620, 0666};

		ck_assert_int_eq(chmod(key, modes[i]), 0);
		not_opened("others cannot read");
	}
	ck_assert_int_eq(chmod(key, 0640), 0);
	opened();
	tls = tls_free(tls);
	put_crt(key, &first, "we");
	ck_assert_int_eq(chmod(key, 0600), 0);
	not_opened("a private key in PEM");
	unlink(key);
	not_opened("provd.key");
	put_key(key, &first, 0600);
	put_key(crt, &first, 0600);
	not_opened("tls.certificate");
	put_crt(crt, &first, "we");
	files.client_ca = crt;
	not_opened("not of an authority");
}
END_TEST

START_TEST(a_new_pair_is_taken_once_it_rests)
{
	struct tls_state state;
	unsigned before;

	opened();
	shows(&first);
	before = tls_generation(tls);
	ck_assert_int_eq(tls_look(tls, &e), 0);
	/* Half of it is there: nothing is taken, nothing is wrong. */
	put_crt(crt, &second, "we");
	ck_assert_int_eq(tls_look(tls, &e), 0);
	put_key(key, &second, 0600);
	ck_assert_int_eq(tls_look(tls, &e), 0);
	shows(&first);
	ck_assert_int_eq(tls_look(tls, &e), 1);
	shows(&second);
	tls_state(tls, &state);
	ck_assert_str_eq(state.subject, "CN=second");
	ck_assert_int_eq(state.ends_s, gnutls_x509_crt_get_expiration_time(second.crt));
	ck_assert_uint_ne(tls_generation(tls), before);
	ck_assert_int_eq(tls_look(tls, &e), 0);
}
END_TEST

START_TEST(a_bad_pair_leaves_the_one_before_and_is_said_once)
{
	struct made old =
		make(&(struct wish){.dn = "CN=old", .from_s = -2 * HOUR, .to_s = -HOUR}, NULL);
	struct tls_state state;

	opened();
	put_crt(crt, &second, "we");
	ck_assert_int_eq(tls_look(tls, &e), 0);
	ck_assert_int_eq(tls_look(tls, &e), -ERR_INVALID);
	ck_assert_int_eq(tls_look(tls, &e), 0);
	tls_state(tls, &state);
	ck_assert_msg(strstr(state.problem, "is not that of") != NULL, "%s", state.problem);
	ck_assert_str_eq(state.subject, "CN=first");
	shows(&first);
	/* Asked for by a person it is said each time. */
	ck_assert_int_eq(tls_reload(tls, &files, &e), -ERR_INVALID);
	put_crt(crt, &old, "we");
	put_key(key, &old, 0600);
	ck_assert_int_eq(tls_reload(tls, &files, &e), -ERR_INVALID);
	ck_assert_msg(strstr(e.msg, "not valid now") != NULL, "%s", e.msg);
	shows(&first);
	unlink(key);
	ck_assert_int_lt(tls_reload(tls, &files, &e), 0);
	shows(&first);
	put_crt(crt, &second, "we");
	put_key(key, &second, 0600);
	ck_assert_int_eq(tls_reload(tls, &files, &e), 1);
	tls_state(tls, &state);
	ck_assert_str_eq(state.problem, "");
	shows(&second);
	made_done(&old);
}
END_TEST

START_TEST(what_clients_are_trusted_by_is_exchanged_too)
{
	struct made authority = make(&(struct wish){.dn = "CN=Line CA", .ca = true}, NULL);
	struct made client = make(&(struct wish){.dn = "CN=mes"}, &authority);
	struct tls_client c;
	struct tls_state state;
	gnutls_datum_t der;

	GOOD(gnutls_x509_crt_export2(client.crt, GNUTLS_X509_FMT_DER, &der));
	opened();
	ck_assert(!tls_asks(tls));
	tls_verify(tls, &der, 1, &c);
	ck_assert_str_ne(c.refused, "");
	put_crt(ca, &authority, "we");
	files.client_ca = ca;
	ck_assert_int_eq(tls_reload(tls, &files, &e), 1);
	ck_assert(tls_asks(tls));
	tls_verify(tls, &der, 1, &c);
	ck_assert_str_eq(c.refused, "");
	tls_state(tls, &state);
	ck_assert_int_eq(state.lists_end_s, 0);
	/* Revoked meanwhile; that the list ends is known before it does. */
	put_crl(crl, &authority, &client, HOUR, "we");
	files.client_crl = crl;
	ck_assert_int_eq(tls_reload(tls, &files, &e), 1);
	tls_verify(tls, &der, 1, &c);
	ck_assert_str_ne(c.refused, "");
	tls_state(tls, &state);
	ck_assert_int_gt(state.lists_end_s, time(NULL) + HOUR - 60);
	ck_assert_int_le(state.lists_end_s, time(NULL) + HOUR);
	gnutls_free(der.data);
	made_done(&authority);
	made_done(&client);
}
END_TEST

START_TEST(a_pair_is_made_for_the_hosts_and_never_overwritten)
{
	static const char *const hosts[] = {"line3.example", "10.0.0.3", "fe80::1"};
	static const char *const bad[] = {"line3.example\n"};
	gnutls_x509_crt_t made;
	gnutls_datum_t text;
	struct stat st;

	ck_assert_int_eq(tls_make(dir, hosts, ARRAY_LEN(hosts), &e), -ERR_CONFLICT);
	unlink(crt);
	/* A key alone is not overwritten either. */
	ck_assert_int_eq(tls_make(dir, hosts, ARRAY_LEN(hosts), &e), -ERR_CONFLICT);
	ck_assert_int_ne(access(crt, F_OK), 0);
	unlink(key);
	ck_assert_int_eq(tls_make(dir, bad, 1, &e), -ERR_INVALID);
	ck_assert_msg(tls_make(dir, hosts, ARRAY_LEN(hosts), &e) == 0, "%s", e.msg);
	ck_assert_int_eq(stat(key, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	opened();
	GOOD(gnutls_load_file(crt, &text));
	GOOD(gnutls_x509_crt_init(&made));
	GOOD(gnutls_x509_crt_import(made, &text, GNUTLS_X509_FMT_PEM));
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		ck_assert_msg(gnutls_x509_crt_check_hostname(made, hosts[i]), "%s", hosts[i]);
	ck_assert(!gnutls_x509_crt_check_hostname(made, "line4.example"));
	ck_assert_int_eq(gnutls_x509_crt_get_pk_algorithm(made, NULL), GNUTLS_PK_ECDSA);
	gnutls_free(text.data);
	gnutls_x509_crt_deinit(made);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("tls");
	TCase *t = tcase_create("tls");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, files_that_do_not_fit_are_refused_at_the_start);
	tcase_add_test(t, a_new_pair_is_taken_once_it_rests);
	tcase_add_test(t, a_bad_pair_leaves_the_one_before_and_is_said_once);
	tcase_add_test(t, what_clients_are_trusted_by_is_exchanged_too);
	tcase_add_test(t, a_pair_is_made_for_the_hosts_and_never_overwritten);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
