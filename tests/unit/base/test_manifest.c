/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manifest.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/unit.h"

#define TYPE "urn:test:1"

static struct err e;
static char sum[SHA256_HEX];

static void setup(void)
{
	sha256_hex_of("x", 1, sum);
}

static char *write_one(const struct seal *seal)
{
	struct manifest m = {.about = json_pack("{s:i}", "n", 7)};
	char *text = NULL;

	manifest_add(&m, "b/two", 2, sum);
	manifest_add(&m, "a", 1, sum);
	ck_assert_int_eq(manifest_text(&m, seal, TYPE, &text, &e), 0);
	manifest_done(&m);
	return text;
}

START_TEST(what_is_written_is_read)
{
	_cleanup_(freep) char *text = write_one(NULL);
	struct manifest m;

	ck_assert_msg(manifest_read(text, strlen(text), TYPE, &m, &e) == 0, "%s", e.msg);
	ck_assert_int_eq((int)m.files, 2);
	ck_assert_str_eq(m.file[0].name, "a");
	ck_assert_int_eq(m.file[1].bytes, 2);
	ck_assert_str_eq(m.file[1].sha256, sum);
	ck_assert_ptr_null(manifest_find(&m, "b"));
	ck_assert_ptr_eq(manifest_find(&m, "b/two"), &m.file[1]);
	ck_assert_int_eq(json_integer_value(json_object_get(m.about, "n")), 7);
	ck_assert_int_eq(manifest_verify(&m, NULL, 0, &e), -ERR_KEY_NOT_PROVEN);
	ck_assert_str_eq(e.msg, "the manifest is not signed");
	manifest_done(&m);
	ck_assert_int_eq(manifest_read(text, strlen(text), "urn:other:1", &m, &e), -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "is of 'urn:test:1', and 'urn:other:1' was expected"));
}
END_TEST

START_TEST(a_signature_is_of_its_key_and_of_every_byte)
{
	char dir[] = "/tmp/test_manifest_XXXXXX";
	_cleanup_(seal_freep) struct seal *seal = NULL;
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *text = NULL;
	struct x509_key key = {0};
	struct manifest m;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = xasprintf("%s/key", dir);
	ck_assert_int_eq(seal_open(path, &seal, &e), 0);
	ck_assert_int_eq(x509_key_read(seal_public(seal), &key, &e), 0);
	unlink(path);
	rmdir(dir);
	text = write_one(seal);
	ck_assert_int_eq(manifest_read(text, strlen(text), NULL, &m, &e), 0);
	ck_assert_int_eq(manifest_verify(&m, &key, 1, &e), 0);
	manifest_done(&m);
	/* Each byte of the payload that can be changed so that it is still read. */
	for (size_t i = 12; text[i] != '"'; i++) {
		const char was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		if (manifest_read(text, strlen(text), NULL, &m, &e) == 0)
			ck_assert_int_eq(manifest_verify(&m, &key, 1, &e), -ERR_KEY_NOT_PROVEN);
		manifest_done(&m);
		text[i] = was;
	}
	x509_key_done(&key);
}
END_TEST

static const char *const ways_out[] = {
	"", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a/..", "a\nb"};

START_TEST(no_name_leads_out_of_the_folder)
{
	struct manifest m = {.about = json_object()};
	_cleanup_(freep) char *text = NULL;

	manifest_add(&m, ways_out[_i], 1, sum);
	ck_assert_int_eq(manifest_text(&m, NULL, TYPE, &text, &e), 0);
	manifest_done(&m);
	ck_assert_int_eq(manifest_read(text, strlen(text), TYPE, &m, &e), -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "is not a path below its folder"));
}
END_TEST

START_TEST(a_name_that_is_there_twice_is_refused)
{
	struct manifest m = {.about = json_object()};
	_cleanup_(freep) char *text = NULL;

	manifest_add(&m, "a", 1, sum);
	manifest_add(&m, "a", 2, sum);
	ck_assert_int_eq(manifest_text(&m, NULL, TYPE, &text, &e), 0);
	manifest_done(&m);
	ck_assert_int_eq(manifest_read(text, strlen(text), TYPE, &m, &e), -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "file 2 of the manifest, 'a'"));
}
END_TEST

START_TEST(one_that_is_cut_says_where)
{
	_cleanup_(freep) char *text = write_one(NULL);
	struct manifest m;

	for (size_t n = 0; n + 2 < strlen(text); n++) {
		ck_assert_int_eq(manifest_read(text, n, TYPE, &m, &e), -ERR_INVALID);
		ck_assert_int_gt((int)strlen(e.msg), 20);
	}
	ck_assert_int_eq(manifest_read(text, 40, TYPE, &m, &e), -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "cut off or was changed: line 1, column "));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("manifest");
	TCase *t = tcase_create("manifest");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, what_is_written_is_read);
	tcase_add_test(t, a_signature_is_of_its_key_and_of_every_byte);
	tcase_add_loop_test(t, no_name_leads_out_of_the_folder, 0, (int)ARRAY_LEN(ways_out));
	tcase_add_test(t, a_name_that_is_there_twice_is_refused);
	tcase_add_test(t, one_that_is_cut_says_where);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
