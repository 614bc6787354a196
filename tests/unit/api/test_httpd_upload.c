/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that come in pieces: what a range says, that a piece goes on where the last one has ended, and that what
 * nobody finished is removed after its time. Without httpd: the headers of a request are the test's.
 */
#include "api/httpd_upload.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/tree.h"
#include "tests/unit/unit.h"

static const char *range, *length;
static char dir[64];

const char *request_header(const struct request *rq, const char *name)
{
	return !strcmp(name, "Content-Range") ? range : length;
}

static void setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_upload_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	tree_clear(dir);
	rmdir(dir);
}

START_TEST(a_range_is_read_or_refused)
{
	static const struct {
		const char *range, *length;
		int status;
		struct upload_piece p;
	} row[] = {
		{NULL, "10", 0, {0}},
		{"bytes 0-9/10", "10", 0, {0, 9, 10, false}},
		{"bytes 0-9/10", NULL, 0, {0, 9, 10, false}},
		{"bytes 5-5/6", "1", 0, {5, 5, 6, false}},
		{"bytes */10", "0", 0, {0, 0, 10, true}},
		{"bytes */10", NULL, 0, {0, 0, 10, true}},
		{"bytes */10", "1", 400, {0}},
		{"bytes 0-9/10", "9", 400, {0}},
		{"bytes 0-10/10", "11", 400, {0}},
		{"bytes 6-5/10", "0", 400, {0}},
		{"bytes 0-9/*", "10", 400, {0}},
		{"bytes */0", "0", 400, {0}},
		{"bytes */*", "0", 400, {0}},
		{"bytes -5/10", "5", 400, {0}},
		{"bytes 0-/10", "10", 400, {0}},
		{"bytes 0-9", "10", 400, {0}},
		{"bytes=0-9/10", "10", 400, {0}},
		{"bytes 0-9/10 ", "10", 400, {0}},
		{"bytes +0-9/10", "10", 400, {0}},
		{"bytes 0-9/99999999999999999999", "10", 400, {0}},
		{"bytes 18446744073709551615-18446744073709551615/18446744073709551616", "1", 400,
			{0}},
		{"items 0-9/10", "10", 400, {0}},
		{"", "0", 400, {0}},
	};
	struct request rq = {0};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct upload_piece p;
		const char *why = NULL;

		range = row[i].range;
		length = row[i].length;
		ck_assert_msg(upload_read_range(&rq, &p, &why) == row[i].status, "%s",
			range ? range : "none");
		ck_assert_int_eq(why != NULL, row[i].status != 0);
		if (row[i].status == 0)
			ck_assert_msg(p.first == row[i].p.first && p.last == row[i].p.last &&
					      p.total == row[i].p.total && p.asks == row[i].p.asks,
				"%s", range ? range : "none");
	}
}
END_TEST

/* One request: opened, so many bytes of `text` from the piece's first, ended. */
static int send_piece(
	struct request *rq, struct upload_piece p, const char *text, size_t n, const char **why)
{
	struct upload u = {.fd = -1};
	int status;

	*rq = (struct request){.upload_piece = p};
	snprintf(rq->upload_path, sizeof rq->upload_path, "%s/" UPLOAD_PART "x", dir);
	status = upload_open(&u, rq, dir, why);
	if (status == 0) {
		ck_assert_int_eq(n ? upload_write(&u, text + p.first, n) : 0, 0);
		rq->upload_bytes += n;
		ck_assert_int_eq(upload_end(&u, rq), 0);
	}
	upload_done(&u, rq);
	return status;
}

START_TEST(pieces_make_a_file_whatever_ends_them)
{
	static const char text[] = "0123456789abcdef";
	const uint64_t size = sizeof text - 1;
	const struct upload_piece asks = {.total = size, .asks = true};
	struct request rq;
	const char *why;
	char want[SHA256_HEX];

	ck_assert_int_eq(send_piece(&rq, asks, text, 0, &why), 0);
	ck_assert_uint_eq(rq.upload_bytes, 0);
	ck_assert_int_ne(access(rq.upload_path, F_OK), 0); /* to ask makes nothing */
	ck_assert_int_eq(
		send_piece(&rq, (struct upload_piece){0, 7, size, false}, text, 8, &why), 0);
	ck_assert_str_eq(rq.upload_sha256, "");
	/* Cut off after three bytes of eight. */
	ck_assert_int_eq(
		send_piece(&rq, (struct upload_piece){8, 15, size, false}, text, 3, &why), 0);
	ck_assert_str_eq(rq.upload_sha256, "");
	ck_assert_int_eq(send_piece(&rq, asks, text, 0, &why), 0);
	ck_assert_uint_eq(rq.upload_bytes, 11);
	ck_assert_uint_eq(rq.upload_taken, 11);
	ck_assert_int_eq(
		send_piece(&rq, (struct upload_piece){8, 15, size, false}, text, 8, &why), 409);
	ck_assert_int_eq(
		send_piece(&rq, (struct upload_piece){12, 15, size, false}, text, 4, &why), 409);
	ck_assert_int_eq(
		send_piece(&rq, (struct upload_piece){.total = 5, .asks = true}, text, 0, &why),
		409);
	ck_assert_int_eq(
		send_piece(&rq, (struct upload_piece){11, 15, size, false}, text, 5, &why), 0);
	sha256_hex_of(text, size, want);
	ck_assert_str_eq(rq.upload_sha256, want);
	/* It is for the handler to move it; to ask once more gives the same. */
	ck_assert_int_eq(send_piece(&rq, asks, text, 0, &why), 0);
	ck_assert_str_eq(rq.upload_sha256, want);
}
END_TEST

START_TEST(one_request_at_a_time_writes_it)
{
	struct upload u = {.fd = -1};
	struct request first = {.upload_piece = {0, 3, 10, false}};
	struct request rq;
	const char *why;

	snprintf(first.upload_path, sizeof first.upload_path, "%s/" UPLOAD_PART "x", dir);
	ck_assert_int_eq(upload_open(&u, &first, dir, &why), 0);
	ck_assert_int_eq(
		send_piece(&rq, (struct upload_piece){0, 3, 10, false}, "0123", 4, &why), 409);
	upload_done(&u, &first);
	ck_assert_int_eq(
		send_piece(&rq, (struct upload_piece){0, 3, 10, false}, "0123", 4, &why), 0);
}
END_TEST

static void make_part(const char *name, size_t n, time_t at)
{
	const struct timespec times[2] = {{.tv_sec = at}, {.tv_sec = at}};
	static const char zeros[100];
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, zeros, n), (ssize_t)n);
	ck_assert_int_eq(futimens(fd, times), 0);
	close(fd);
}

START_TEST(what_nobody_goes_on_with_is_removed)
{
	const int64_t now = 2000000000;
	struct upload_parts p;

	make_part(UPLOAD_PART "old", 40, now - UPLOAD_PART_AGE_S - 1);
	make_part(UPLOAD_PART "young", 30, now - UPLOAD_PART_AGE_S + 1);
	make_part("other", 20, now - 10 * UPLOAD_PART_AGE_S);
	p = upload_sweep_parts(dir, now);
	ck_assert_uint_eq(p.removed, 40);
	ck_assert_uint_eq(p.left, 30);
	p = upload_sweep_parts(dir, now + 10);
	ck_assert_uint_eq(p.removed, 30);
	ck_assert_uint_eq(p.left, 0);
	p = upload_sweep_parts("/nonexistent", now);
	ck_assert_uint_eq(p.removed + p.left, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("httpd_upload");
	TCase *t = tcase_create("httpd_upload");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_range_is_read_or_refused);
	tcase_add_test(t, pieces_make_a_file_whatever_ends_them);
	tcase_add_test(t, one_request_at_a_time_writes_it);
	tcase_add_test(t, what_nobody_goes_on_with_is_removed);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
