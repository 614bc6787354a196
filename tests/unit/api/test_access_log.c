/* SPDX-License-Identifier: Apache-2.0 */
#include "api/access_log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/iotime.h"
#include "base/tree.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/provd-access-XXXXXX";
static char *path, *moved;

static void open_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = xasprintf("%s/access.log", dir);
	moved = xasprintf("%s/access.log.1", dir);
}

static void close_dir(void)
{
	tree_clear(dir);
	rmdir(dir);
	free(path);
	free(moved);
}

static struct access_entry entry(const char *principal, int status)
{
	struct access_entry n = {.at_ms = 1790000000000,
		.request_id = "01900000-0000-7000-8000-000000000000",
		.address = "192.0.2.7",
		.method = "GET",
		.route = "/api/v1/jobs/{id}",
		.status = status,
		.bytes = 77,
		.took_us = 1234,
		.trace_id = "0af7651916cd43dd8448eb211c80319c"};

	snprintf(n.principal, sizeof n.principal, "%s", principal);
	return n;
}

static char *content(const char *file)
{
	char *text = xcalloc(1, 1 << 20);
	FILE *f = fopen(file, "re");

	ck_assert_msg(f != NULL, "%s", file);
	ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, f), (1 << 20) - 1);
	fclose(f);
	return text;
}

static struct access_log *open_log(enum access_log_to to, const char *file)
{
	struct access_log *l = NULL;
	struct err e;

	ck_assert_msg(access_log_new(to, file, &l, &e) == 0, "%s", e.msg);
	return l;
}

/* Until so many lines are written. */
static void wait_written(struct access_log *l, uint64_t n)
{
	const uint64_t end = now_us() + 60 * US_PER_S;
	uint64_t written = 0, dropped;

	while (written < n && now_us() < end)
		access_log_counts(l, &written, &dropped);
	ck_assert_uint_eq(written, n);
}

START_TEST(a_line_has_who_from_where_what_and_how_long)
{
	const struct access_entry n = entry("MES", 200);
	_cleanup_(freep) char *line = access_log_line(&n);

	ck_assert_str_eq(line,
		"{\"time\":\"2026-09-21T14:13:20.000Z\",\"request_id\":\"01900000-0000-7000-8000-"
		"000000000000\",\"principal\":\"MES\",\"address\":\"192.0.2.7\",\"method\":\"GET\","
		"\"route\":\"/api/v1/jobs/{id}\",\"status\":200,\"bytes\":77,\"duration_us\":1234,"
		"\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"}");
}
END_TEST

START_TEST(what_is_not_known_is_null)
{
	struct access_entry n = entry("", 0);
	_cleanup_(freep) char *line = NULL;

	n.route = "";
	n.bytes = -1;
	n.trace_id[0] = 0;
	line = access_log_line(&n);
	ck_assert_ptr_nonnull(strstr(line, "\"principal\":null,"));
	ck_assert_ptr_nonnull(strstr(line, "\"route\":null,\"status\":null,\"bytes\":null,"));
	ck_assert_ptr_nonnull(strstr(line, "\"trace_id\":null}"));
}
END_TEST

START_TEST(no_byte_of_a_name_ends_a_line_or_speaks_to_a_terminal)
{
	const struct access_entry n = entry("a\n{\"x\":1}\r\x1b[31m\"\x7f\xc3\xa9", 200);
	_cleanup_(freep) char *line = access_log_line(&n);

	for (const char *p = line; *p; p++)
		ck_assert_msg(*p >= 0x20 && *p < 0x7f, "byte %d: %s", *p, line);
	ck_assert_ptr_nonnull(strstr(line, "a\\n{\\\"x\\\":1}\\r\\u001B[31m\\\"\\u007F\\u00E9"));
}
END_TEST

START_TEST(lines_come_in_order_and_all_are_there_at_the_end)
{
	struct access_log *l = open_log(ACCESS_LOG_FILE, path);
	_cleanup_(freep) char *text = NULL;
	struct stat st;
	char *p;

	for (int i = 200; i < 300; i++) {
		const struct access_entry n = entry("MES", i);

		access_log_add(l, &n);
	}
	access_log_free(l);
	p = text = content(path);
	for (int i = 200; i < 300; i++) {
		char status[32];

		snprintf(status, sizeof status, "\"status\":%d,", i);
		ck_assert_ptr_nonnull(p = strstr(p, status));
	}
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777 & ~0640, 0);
}
END_TEST

START_TEST(a_file_that_was_moved_away_is_opened_again)
{
	struct access_log *l = open_log(ACCESS_LOG_FILE, path);
	const struct access_entry first = entry("first", 200), second = entry("second", 200),
				  third = entry("third", 200);
	_cleanup_(freep) char *old = NULL;
	_cleanup_(freep) char *new = NULL;
	struct err e;

	access_log_add(l, &first);
	wait_written(l, 1);
	ck_assert_int_eq(rename(path, moved), 0);
	access_log_add(l, &second);
	wait_written(l, 2);
	ck_assert_int_eq(access_log_reopen(l, ACCESS_LOG_FILE, path, &e), 0);
	access_log_add(l, &third);
	wait_written(l, 3);
	/* A place where nothing can be written leaves it as it is. */
	ck_assert_int_lt(access_log_reopen(l, ACCESS_LOG_FILE, "/nowhere/x", &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "/nowhere/x"));
	access_log_add(l, &third);
	ck_assert_int_eq(access_log_reopen(l, ACCESS_LOG_OFF, NULL, &e), 0);
	ck_assert(!access_log_on(l));
	access_log_free(l);
	old = content(moved);
	new = content(path);
	ck_assert(strstr(old, "first") && strstr(old, "second") && !strstr(old, "third"));
	ck_assert(strstr(new, "third") && !strstr(new, "second"));
}
END_TEST

/* A FIFO that nobody reads is a disk that hangs. */
START_TEST(a_disk_that_hangs_holds_nobody_and_what_is_too_much_is_counted)
{
	struct access_log *l;
	const struct access_entry n = entry("MES", 200);
	uint64_t written, dropped;
	char rest[4096];
	int reader;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(reader, 0);
	l = open_log(ACCESS_LOG_FILE, path);
	for (int i = 0; i < 3 * ACCESS_LOG_WAITING; i++)
		access_log_add(l, &n);
	access_log_counts(l, &written, &dropped);
	ck_assert_uint_ge(dropped, ACCESS_LOG_WAITING);
	ck_assert_uint_lt(written, 2 * ACCESS_LOG_WAITING);
	/* Once it goes on, all that waited is written. */
	while (written + dropped < 3 * ACCESS_LOG_WAITING) {
		ck_assert_int_ge((int)read(reader, rest, sizeof rest) + 1, 0);
		access_log_counts(l, &written, &dropped);
	}
	access_log_free(l);
	close(reader);
}
END_TEST

START_TEST(a_place_that_cannot_be_opened_is_an_error_that_names_it)
{
	struct access_log *l = NULL;
	struct err e;

	ck_assert_int_lt(access_log_new(ACCESS_LOG_FILE, "/nowhere/access.log", &l, &e), 0);
	ck_assert_ptr_null(l);
	ck_assert_ptr_nonnull(strstr(e.msg, "/nowhere/access.log"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("access_log");
	TCase *t = tcase_create("access_log");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, open_dir, close_dir);
	tcase_add_test(t, a_line_has_who_from_where_what_and_how_long);
	tcase_add_test(t, what_is_not_known_is_null);
	tcase_add_test(t, no_byte_of_a_name_ends_a_line_or_speaks_to_a_terminal);
	tcase_add_test(t, lines_come_in_order_and_all_are_there_at_the_end);
	tcase_add_test(t, a_file_that_was_moved_away_is_opened_again);
	tcase_add_test(t, a_disk_that_hangs_holds_nobody_and_what_is_too_much_is_counted);
	tcase_add_test(t, a_place_that_cannot_be_opened_is_an_error_that_names_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
