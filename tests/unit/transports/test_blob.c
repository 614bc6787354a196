/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "transports/images/blob.h"

#define LARGE_BYTES (9u << 20) /* more than is kept in memory */

static char dir[64], path[96];

static void set_up(void)
{
	strcpy(dir, "/tmp/test_blob.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/file", dir);
	setenv("TMPDIR", dir, 1);
}

static void tear_down(void)
{
	unlink(path);
	/* Fails where a copy was left with a name. */
	ck_assert_int_eq(rmdir(dir), 0);
}

static uint8_t *content(size_t n)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 2654435761u >> 13);
	return p;
}

static void put(const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wbe");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void holds_after_a_rewrite(size_t n, bool immutable)
{
	_cleanup_(freep) uint8_t *want = content(n);
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	struct err e;
	char sum[SHA256_HEX];

	put(want, n);
	ck_assert_msg(blob_open(path, immutable, &b, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(b->size, n);
	ck_assert_str_eq(b->path, path);
	ck_assert_str_eq(b->sha256, sha256_hex_of(want, n, sum));
	if (!immutable)
		ck_assert_int_eq(truncate(path, 1), 0);
	ck_assert_mem_eq(b->data, want, n);
}

START_TEST(a_small_file_that_is_truncated_later_keeps_its_bytes)
{
	holds_after_a_rewrite(10000, false);
}
END_TEST

START_TEST(a_large_file_that_is_truncated_later_keeps_its_bytes)
{
	holds_after_a_rewrite(LARGE_BYTES + 17, false);
}
END_TEST

START_TEST(an_artifact_is_mapped_as_it_is)
{
	holds_after_a_rewrite(LARGE_BYTES, true);
	holds_after_a_rewrite(1, true);
}
END_TEST

START_TEST(a_blob_lives_as_long_as_its_last_holder)
{
	struct blob *b = NULL;
	struct err e;

	put("bytes", 5);
	ck_assert_int_eq(blob_open(path, false, &b, &e), 0);
	blob_ref(b);
	blob_unref(b);
	ck_assert_mem_eq(b->data, "bytes", 5);
	ck_assert_ptr_null(blob_unref(b));
	ck_assert_ptr_null(blob_unref(NULL));
}
END_TEST

START_TEST(what_is_no_file_with_bytes_is_refused_by_name)
{
	struct blob *b = NULL;
	struct err e;

	ck_assert_int_eq(blob_open(path, false, &b, &e), -ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(e.msg, path));
	put("", 0);
	ck_assert_int_eq(blob_open(path, false, &b, &e), -ERR_IMAGE_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "empty"));
	ck_assert_int_eq(blob_open(dir, false, &b, &e), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(blob_open(path, false, &b, &e), -ERR_IMAGE_INVALID);
	ck_assert_ptr_null(b);
}
END_TEST

START_TEST(more_than_the_limit_is_refused_without_reading)
{
	struct blob *b = NULL;
	struct err e;
	uint8_t *bytes;

	put("x", 1);
	if (truncate(path, (off_t)BLOB_MAX_BYTES + 1) == 0)
		ck_assert_int_eq(blob_open(path, false, &b, &e), -ERR_TOO_LARGE);
	ck_assert_int_eq(blob_new("a.img", BLOB_MAX_BYTES + 1, &bytes, &b, &e), -ERR_TOO_LARGE);
	ck_assert_int_eq(blob_new("a.img", 0, &bytes, &b, &e), -ERR_IMAGE_INVALID);
}
END_TEST

START_TEST(a_made_blob_has_the_digest_of_its_bytes)
{
	static const size_t sizes[] = {3, LARGE_BYTES};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		_cleanup_(freep) uint8_t *want = content(sizes[i]);
		_cleanup_(blob_unrefp) struct blob *b = NULL;
		char sum[SHA256_HEX];
		uint8_t *bytes;
		struct err e;

		ck_assert_msg(blob_new("boot.img", sizes[i], &bytes, &b, &e) == 0, "%s", e.msg);
		memcpy(bytes, want, sizes[i]);
		blob_seal(b);
		ck_assert_str_eq(b->sha256, sha256_hex_of(want, sizes[i], sum));
		ck_assert_mem_eq(b->data, want, sizes[i]);
	}
}
END_TEST

static Suite *blob_suite(void)
{
	Suite *s = suite_create("blob");
	TCase *t = tcase_create("blob");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_small_file_that_is_truncated_later_keeps_its_bytes);
	tcase_add_test(t, a_large_file_that_is_truncated_later_keeps_its_bytes);
	tcase_add_test(t, an_artifact_is_mapped_as_it_is);
	tcase_add_test(t, a_blob_lives_as_long_as_its_last_holder);
	tcase_add_test(t, what_is_no_file_with_bytes_is_refused_by_name);
	tcase_add_test(t, more_than_the_limit_is_refused_without_reading);
	tcase_add_test(t, a_made_blob_has_the_digest_of_its_bytes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(blob_suite)
