/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/thread.h"
#include "transports/images/blob.h"

#define LARGE_BYTES (9u << 20) /* more than is kept in memory */

static char dir[64], path[96];

static void set_up(void)
{
	strcpy(dir, "/tmp/test_blob.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/file", dir);
	setenv("TMPDIR", dir, 1);
	signal(SIGIO, SIG_IGN);
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

static void holds_after_a_rewrite(size_t n, enum blob_source source)
{
	_cleanup_(freep) uint8_t *want = content(n);
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	struct err e;
	char sum[SHA256_HEX];

	put(want, n);
	ck_assert_msg(blob_open(path, source, &b, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(b->size, n);
	ck_assert_str_eq(b->path, path);
	ck_assert_str_eq(blob_sha256(b), sha256_hex_of(want, n, sum));
	if (source == BLOB_COPIED)
		ck_assert_int_eq(truncate(path, 1), 0);
	ck_assert_mem_eq(b->data, want, n);
}

START_TEST(a_small_file_that_is_truncated_later_keeps_its_bytes)
{
	holds_after_a_rewrite(10000, BLOB_COPIED);
}
END_TEST

START_TEST(a_large_file_that_is_truncated_later_keeps_its_bytes)
{
	holds_after_a_rewrite(LARGE_BYTES + 17, BLOB_COPIED);
}
END_TEST

START_TEST(an_artifact_is_mapped_as_it_is)
{
	holds_after_a_rewrite(LARGE_BYTES, BLOB_STORED);
	holds_after_a_rewrite(1, BLOB_STORED);
}
END_TEST

/* Another one who opens it to write is seen, before he has written anything. */
START_TEST(a_watched_file_is_not_copied_and_says_whether_it_changed)
{
	_cleanup_(freep) uint8_t *want = content(LARGE_BYTES);
	struct blob *b = NULL;
	struct err e;
	char sum[SHA256_HEX];
	int fd;

	put(want, LARGE_BYTES);
	ck_assert_msg(blob_open(path, BLOB_WATCHED, &b, &e) == 0, "%s", e.msg);
	if (b->lease_fd < 0) {
		puts("this file system has no leases: it was copied");
		blob_unref(b);
		return;
	}
	ck_assert_str_eq(blob_sha256(b), sha256_hex_of(want, LARGE_BYTES, sum));
	ck_assert_mem_eq(b->data, want, LARGE_BYTES);
	fd = open(path, O_RDONLY | O_CLOEXEC); /* to read it is no change */
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(blob_unchanged(b, &e), 0);
	ck_assert_int_eq(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
	ck_assert_int_eq(errno, EWOULDBLOCK);
	ck_assert_int_eq(blob_unchanged(b, &e), -ERR_IMAGE_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, path));
	blob_unref(b);
	/* Nobody waits any more. */
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

START_TEST(a_file_that_another_has_open_to_write_is_copied)
{
	_cleanup_(freep) uint8_t *want = content(LARGE_BYTES);
	struct blob *b = NULL;
	struct err e;
	char sum[SHA256_HEX];
	int fd;

	put(want, LARGE_BYTES);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_msg(blob_open(path, BLOB_WATCHED, &b, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(b->lease_fd, -1);
	ck_assert_int_eq(ftruncate(fd, 1), 0);
	ck_assert_mem_eq(b->data, want, LARGE_BYTES);
	ck_assert_str_eq(blob_sha256(b), sha256_hex_of(want, LARGE_BYTES, sum));
	ck_assert_int_eq(blob_unchanged(b, &e), 0);
	close(fd);
	blob_unref(b);
}
END_TEST

static void *ask_digest(void *arg)
{
	return (void *)(uintptr_t)blob_sha256(arg);
}

START_TEST(threads_that_ask_for_the_digest_get_one)
{
	_cleanup_(freep) uint8_t *want = content(LARGE_BYTES);
	struct blob *b = NULL;
	pthread_t thread[4];
	char sum[SHA256_HEX];
	struct err e;

	put(want, LARGE_BYTES);
	ck_assert_int_eq(blob_open(path, BLOB_STORED, &b, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		ck_assert_int_eq(thread_start(&thread[i], "test", ask_digest, b, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++) {
		void *got;

		pthread_join(thread[i], &got);
		ck_assert_str_eq(got, sha256_hex_of(want, LARGE_BYTES, sum));
	}
	blob_unref(b);
	/* And one that nobody asks for is waited for. */
	ck_assert_int_eq(blob_open(path, BLOB_STORED, &b, &e), 0);
	blob_unref(b);
}
END_TEST

START_TEST(a_blob_lives_as_long_as_its_last_holder)
{
	struct blob *b = NULL;
	struct err e;

	put("bytes", 5);
	ck_assert_int_eq(blob_open(path, BLOB_COPIED, &b, &e), 0);
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

	ck_assert_int_eq(blob_open(path, BLOB_COPIED, &b, &e), -ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(e.msg, path));
	put("", 0);
	ck_assert_int_eq(blob_open(path, BLOB_COPIED, &b, &e), -ERR_IMAGE_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "empty"));
	ck_assert_int_eq(blob_open(dir, BLOB_COPIED, &b, &e), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(blob_open(path, BLOB_COPIED, &b, &e), -ERR_IMAGE_INVALID);
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
		ck_assert_int_eq(blob_open(path, BLOB_COPIED, &b, &e), -ERR_TOO_LARGE);
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
		ck_assert_str_eq(blob_sha256(b), sha256_hex_of(want, sizes[i], sum));
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
	tcase_add_test(t, a_watched_file_is_not_copied_and_says_whether_it_changed);
	tcase_add_test(t, a_file_that_another_has_open_to_write_is_copied);
	tcase_add_test(t, threads_that_ask_for_the_digest_get_one);
	tcase_add_test(t, a_blob_lives_as_long_as_its_last_holder);
	tcase_add_test(t, what_is_no_file_with_bytes_is_refused_by_name);
	tcase_add_test(t, more_than_the_limit_is_refused_without_reading);
	tcase_add_test(t, a_made_blob_has_the_digest_of_its_bytes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(blob_suite)
