/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

/* Made by `openssl genpkey -algorithm ed25519` and `openssl pkeyutl -sign -rawin`; the key id by python. */
#include "tests/unit/base/checkpoint_vectors.h"

static struct err e;

static struct checkpoint sample(void)
{
	struct checkpoint c = {.host = "5d0c31d2a4b6f788",
		.size = 1042,
		.epoch = "00112233445566ff",
		.generation = 2,
		.time_ms = 1764489600123};

	for (size_t i = 0; i < sizeof c.root.b; i++)
		c.root.b[i] = (uint8_t)i;
	return c;
}

START_TEST(a_text_says_what_it_was_made_of)
{
	const struct checkpoint c = sample();
	struct checkpoint again;
	char text[CHECKPOINT_TEXT_BYTES];
	size_t n = checkpoint_text(&c, text);

	ck_assert_str_eq(text, VECTOR_TEXT);
	ck_assert_int_eq(checkpoint_read(text, n, &again, &e), 0);
	ck_assert_str_eq(again.host, c.host);
	ck_assert_int_eq(again.size, c.size);
	ck_assert(merkle_equal(&again.root, &c.root));
	ck_assert_str_eq(again.epoch, c.epoch);
	ck_assert_int_eq(again.generation, c.generation);
	ck_assert_int_eq(again.time_ms, c.time_ms);
}
END_TEST

START_TEST(nothing_but_that_text_is_one)
{
	const size_t n = strlen(VECTOR_TEXT);
	struct checkpoint c;

	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(checkpoint_read(VECTOR_TEXT, i, &c, &e), -ERR_INVALID);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *text = xstrdup(VECTOR_TEXT);

		text[i] ^= 0x80;
		ck_assert_int_eq(checkpoint_read(text, n, &c, &e), -ERR_INVALID);
		text[i] = 0;
		ck_assert_int_eq(checkpoint_read(text, n, &c, &e), -ERR_INVALID);
	}
	ck_assert_int_eq(checkpoint_read(VECTOR_TEXT "more\n", n + 5, &c, &e), -ERR_INVALID);
	ck_assert_int_eq(checkpoint_read("DSSEv1 28 x 2 {}", 16, &c, &e), -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "line 1"));
}
END_TEST

START_TEST(a_note_is_that_of_openssl_and_verifies_with_its_key_alone)
{
	struct x509_key key = {0}, other = {0}, p256 = {0};
	size_t n = 0;
	_cleanup_(freep) uint8_t *signature = base64_parse(VECTOR_SIGNATURE, &n);
	_cleanup_(freep) char *note = NULL;
	_cleanup_(freep) char *bad = NULL;
	struct checkpoint c;
	bool is_signed = false;

	ck_assert_int_eq(x509_key_read(VECTOR_PUBLIC, &key, &e), 0);
	ck_assert_int_eq(x509_key_read(VECTOR_OTHER, &other, &e), 0);
	ck_assert_int_eq(x509_key_read(VECTOR_P256, &p256, &e), 0);
	ck_assert_uint_eq(n, CHECKPOINT_SIGNATURE);
	note = checkpoint_note(VECTOR_TEXT, &key, signature);
	ck_assert_str_eq(note, VECTOR_NOTE);
	ck_assert_int_eq(checkpoint_note_read(note, &c, &n, &is_signed, &e), 0);
	ck_assert(is_signed);
	ck_assert_uint_eq(n, strlen(VECTOR_TEXT));
	ck_assert_int_eq(checkpoint_note_verify(note, &key, &e), 0);
	ck_assert_int_eq(checkpoint_note_verify(note, &other, &e), -ERR_KEY_NOT_PROVEN);
	ck_assert_ptr_nonnull(strstr(e.msg, "another key"));
	ck_assert_int_eq(checkpoint_note_verify(note, &p256, &e), -ERR_INVALID);
	bad = xstrdup(note);
	strstr(bad, "1042")[3] = '3';
	ck_assert_int_eq(checkpoint_note_verify(bad, &key, &e), -ERR_KEY_NOT_PROVEN);
	x509_key_done(&key);
	x509_key_done(&other);
	x509_key_done(&p256);
}
END_TEST

START_TEST(a_note_without_a_signature_says_so)
{
	_cleanup_(freep) char *note = checkpoint_note(VECTOR_TEXT, NULL, NULL);
	struct x509_key key = {0};
	struct checkpoint c;
	bool is_signed = true;
	size_t n;

	ck_assert_int_eq(x509_key_read(VECTOR_PUBLIC, &key, &e), 0);
	ck_assert_int_eq(checkpoint_note_read(note, &c, &n, &is_signed, &e), 0);
	ck_assert(!is_signed);
	ck_assert_int_eq(checkpoint_note_verify(note, &key, &e), -ERR_KEY_NOT_PROVEN);
	ck_assert_ptr_nonnull(strstr(e.msg, "not signed"));
	ck_assert_int_eq(checkpoint_note_read(VECTOR_TEXT, &c, &n, NULL, &e), -ERR_INVALID);
	ck_assert_int_eq(
		checkpoint_note_read(VECTOR_TEXT "\nnot a line\n", &c, &n, NULL, &e), -ERR_INVALID);
	x509_key_done(&key);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("checkpoint");
	TCase *t = tcase_create("checkpoint");

	tcase_add_test(t, a_text_says_what_it_was_made_of);
	tcase_add_test(t, nothing_but_that_text_is_one);
	tcase_add_test(t, a_note_is_that_of_openssl_and_verifies_with_its_key_alone);
	tcase_add_test(t, a_note_without_a_signature_says_so);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
