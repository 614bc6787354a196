/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of high-water marks after damage, after a power cut, and in the format of older
 * versions. What a synced file said is there when it is read again, or the file says that it is
 * damaged.
 */
#include "db/marks.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/strbuf.h"
#include "tests/unit/db/fixture.h"

#define HEAD_BYTES 256
#define BODY_AT	   512

static char path[96];
static struct marks *marks;
static struct strbuf file; /* as it was synced */

static const struct marks_head head = {"0123456789abcdef", 1, 10};

static void note(int64_t seq, const char *pool, int64_t next, bool exposed)
{
	const struct db_mark k[] = {{.pool = (char *)pool, .next = next}, {.exposed = exposed}};

	OK(marks_note(marks, seq, k, 2, &fx.e));
}

static void note_value(int64_t seq, const char *value)
{
	const struct db_mark k = {.kind = (char *)"mac", .value = (char *)value, .exposed = true};

	OK(marks_note(marks, seq, &k, 1, &fx.e));
}

static void read_again(void)
{
	bool exists;

	marks = marks_free(marks);
	OK(marks_open(path, &exists, &marks, &fx.e));
	ck_assert(exists);
}

static void load(struct strbuf *ret)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	sb_done(ret);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		sb_add_n(ret, buf, (size_t)n);
	close(fd);
}

static void store(const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static int64_t next_of(const char *pool)
{
	const char *id;
	int64_t next;

	for (size_t i = 0; (id = marks_pool(marks, i, &next)); i++)
		if (!strcmp(id, pool))
			return next;
	return 0;
}

static int count_value(void *data, const char *kind, const char *value, struct err *e)
{
	++*(int *)data;
	return 0;
}

static int values(void)
{
	int n = 0;

	OK(marks_values(marks, count_value, &n, &fx.e));
	return n;
}

/* Eight lines, all of them synced. */
static void work(void)
{
	bool exists;

	OK(marks_open(path, &exists, &marks, &fx.e));
	ck_assert(!exists);
	OK(marks_begin(marks, &head, &fx.e));
	note(11, "sn", 7, false);
	note(12, "mac", 3, true);
	note_value(13, "00:11:22:33:44:55");
	note(14, "sn", 8, false);
	note(15, "once", 400, false);
	note(16, "sn", 9, true);
	note_value(17, "00:11:22:33:44:56");
	note(18, "sn", 10, true);
	load(&file);
}

static void setup(void)
{
	fixture_setup();
	snprintf(path, sizeof path, "%s/marks", fx.dir);
	work();
}

static void teardown(void)
{
	marks = marks_free(marks);
	sb_done(&file);
	fixture_teardown();
}

static bool nothing_lost(void)
{
	return marks_head(marks)->seq == 18 && next_of("sn") == 10 && next_of("mac") == 3 &&
	       next_of("once") == 400 && values() == 2;
}

/* These bytes in the place of the file: all is known, or it is damaged. Returns whether it is. */
static bool try(const void *bytes, size_t n, const char *what, size_t where)
{
	store(bytes, n);
	read_again();
	ck_assert_msg(marks_state(marks) == MARKS_DAMAGED ||
			      (marks_state(marks) == MARKS_WHOLE && nothing_lost()),
		"%s at %zu: state %d, sn at %lld", what, where, (int)marks_state(marks),
		(long long)next_of("sn"));
	ck_assert_int_eq(marks_state(marks) == MARKS_WHOLE, !*marks_flaw(marks));
	return marks_state(marks) == MARKS_DAMAGED;
}

START_TEST(what_was_synced_is_read_again)
{
	read_again();
	ck_assert_int_eq(marks_state(marks), MARKS_WHOLE);
	ck_assert(nothing_lost());
	ck_assert(!marks_worn(marks));
}
END_TEST

START_TEST(a_changed_byte_loses_no_mark_unseen)
{
	static const char changes[] = {1, (char)0x80};
	size_t seen = 0;

	for (size_t at = 0; at < file.len; at++)
		for (size_t k = 0; k < sizeof changes; k++) {
			file.s[at] ^= changes[k];
			seen += try(file.s, file.len, "changed byte", at);
			file.s[at] ^= changes[k];
		}
	/* All but the empty ends of the two headers. */
	ck_assert_int_ge((int)seen, (int)(file.len - BODY_AT) * 2);
}
END_TEST

START_TEST(a_cut_file_loses_no_mark_unseen)
{
	for (size_t n = 0; n < file.len; n++)
		ck_assert(try(file.s, n, "cut", n));
}
END_TEST

START_TEST(zeros_in_the_place_of_a_block_lose_no_mark_unseen)
{
	static const size_t blocks[] = {16, 64, 256, 512};
	_cleanup_(freep) char *bytes = malloc(file.len);

	for (size_t k = 0; k < ARRAY_LEN(blocks); k++)
		for (size_t at = 0; at < file.len; at += blocks[k]) {
			memcpy(bytes, file.s, file.len);
			memset(bytes + at, 0, MIN(blocks[k], file.len - at));
			/* The ends of the headers are empty. */
			if (!try(bytes, file.len, "zeros", at))
				ck_assert_int_lt((int)at, BODY_AT);
		}
}
END_TEST

START_TEST(lines_that_are_missing_or_come_twice_are_seen)
{
	for (size_t at = BODY_AT; at < file.len;) {
		size_t n = strcspn(file.s + at, "\n") + 1;
		struct strbuf b = {0};

		sb_add_n(&b, file.s, at);
		sb_add_n(&b, file.s + at + n, file.len - at - n);
		ck_assert(try(b.s, b.len, "missing line", at));
		sb_done(&b);
		sb_add_n(&b, file.s, at + n);
		sb_add_n(&b, file.s + at, file.len - at);
		try(b.s, b.len, "line twice", at);
		sb_done(&b);
		at += n;
	}
}
END_TEST

START_TEST(a_header_of_another_time_is_seen)
{
	struct strbuf now = {0};

	size_t seen = 0;

	/* One header of now, and one of two writes before: not the last two. */
	note(19, "sn", 11, true);
	load(&now);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(freep) char *bytes = malloc(now.len);

		memcpy(bytes, now.s, now.len);
		memcpy(bytes + i * HEAD_BYTES, file.s + i * HEAD_BYTES, HEAD_BYTES);
		store(bytes, now.len);
		read_again();
		seen += marks_state(marks) == MARKS_DAMAGED;
		ck_assert(marks_state(marks) == MARKS_DAMAGED ||
			  (next_of("sn") == 11 && marks_head(marks)->seq == 19));
	}
	ck_assert_int_eq((int)seen, 1);
	sb_done(&now);
}
END_TEST

/* The header that is written before the sync reached the disk, its lines did not, or in part. */
START_TEST(a_power_cut_within_a_sync_tears_and_does_not_damage)
{
	static const char zeros[300];
	struct strbuf now = {0};
	struct strbuf cut = {0};

	note(19, "sn", 11, true);
	load(&now);
	for (size_t part = file.len; part < now.len; part++)
		for (int filled = 0; filled < 2; filled++) {
			/* The sync came after the first of the two headers. */
			size_t slot = strstr(now.s, " 19 9 8 ") < now.s + HEAD_BYTES ? 0 : 1;

			sb_add_n(&cut, file.s, file.len);
			sb_add_n(&cut, now.s + file.len, part - file.len);
			memcpy(cut.s + slot * HEAD_BYTES, now.s + slot * HEAD_BYTES, HEAD_BYTES);
			if (filled)
				sb_add_n(&cut, zeros, sizeof zeros);
			store(cut.s, cut.len);
			read_again();
			ck_assert_msg(marks_state(marks) == MARKS_TORN, "%zu: %s", part,
				marks_flaw(marks));
			ck_assert_int_eq(marks_head(marks)->seq, 19);
			ck_assert_int_eq(next_of("sn"), 10);
			/* It is whole again with the next line. */
			note(20, "sn", 12, true);
			read_again();
			ck_assert_int_eq(marks_state(marks), MARKS_WHOLE);
			ck_assert_int_eq(next_of("sn"), 12);
			ck_assert_int_eq(values(), 2);
			sb_done(&cut);
		}
	sb_done(&now);
}
END_TEST

/* The lines reached the disk, or a part of them, and the header did not. */
START_TEST(a_last_line_that_no_header_counts_is_harmless)
{
	struct strbuf now = {0};

	note(19, "sn", 11, false);
	load(&now);
	memcpy(now.s, file.s, BODY_AT);
	for (size_t n = file.len; n <= now.len; n++) {
		store(now.s, n);
		read_again();
		ck_assert_int_eq(marks_state(marks), MARKS_WHOLE);
		ck_assert_int_eq(next_of("sn"), n == now.len ? 11 : 10);
		/* What follows is not lost to the rest of that line. */
		note(20, "mac", 5, true);
		read_again();
		ck_assert_int_eq(marks_state(marks), MARKS_WHOLE);
		ck_assert_int_eq(next_of("mac"), 5);
		ck_assert_int_eq(values(), 2);
	}
	sb_done(&now);
}
END_TEST

/* --- the format of older versions --- */

static void old_line(struct strbuf *b, const char *text)
{
	char hex[SHA256_HEX];

	sb_addf(b, "%.8s %s\n", sha256_hex_of(text, strlen(text), hex), text);
}

static void old_file(struct strbuf *b, int bad)
{
	static const char *const lines[] = {"P 7 sn", "V mac 00:11", "P 3 mac", "P 9 sn"};

	for (int i = 1; i <= 2; i++) {
		char text[64];

		snprintf(text, sizeof text, "H %d 0123456789abcdef 1 %d", i, 40 + i);
		old_line(b, text);
		while (b->len < (size_t)i * HEAD_BYTES - 1)
			sb_add(b, " ");
		sb_add(b, "\n");
	}
	for (int i = 0; i < (int)ARRAY_LEN(lines); i++) {
		old_line(b, lines[i]);
		if (i == bad)
			b->s[b->len - 2] ^= 1;
	}
}

START_TEST(a_file_of_an_older_version_is_taken_over)
{
	static const enum marks_state want[] = {
		MARKS_WHOLE, MARKS_DAMAGED, MARKS_DAMAGED, MARKS_DAMAGED, MARKS_TORN};

	for (int bad = -1; bad < 4; bad++) {
		struct strbuf b = {0};

		old_file(&b, bad);
		store(b.s, b.len);
		sb_done(&b);
		read_again();
		ck_assert_msg(marks_state(marks) == want[bad + 1], "%d: %d", bad,
			(int)marks_state(marks));
		ck_assert(marks_worn(marks));
		ck_assert_int_eq(marks_head(marks)->seq, 42);
		ck_assert_int_eq(next_of("sn"), bad == 3 ? 7 : 9);
	}
	struct strbuf b = {0};

	old_file(&b, -1);
	store(b.s, b.len);
	sb_done(&b);
	read_again();
	note(43, "sn", 10, true);
	read_again();
	ck_assert_int_eq(marks_state(marks), MARKS_WHOLE);
	ck_assert(!marks_worn(marks));
	ck_assert_int_eq(next_of("sn"), 10);
	ck_assert_int_eq(next_of("mac"), 3);
	ck_assert_int_eq(values(), 1);
	load(&file);
	ck_assert_ptr_nonnull(strstr(file.s, " H2 "));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("marks");
	TCase *t = tcase_create("marks");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_was_synced_is_read_again);
	tcase_add_test(t, a_changed_byte_loses_no_mark_unseen);
	tcase_add_test(t, a_cut_file_loses_no_mark_unseen);
	tcase_add_test(t, zeros_in_the_place_of_a_block_lose_no_mark_unseen);
	tcase_add_test(t, lines_that_are_missing_or_come_twice_are_seen);
	tcase_add_test(t, a_header_of_another_time_is_seen);
	tcase_add_test(t, a_power_cut_within_a_sync_tears_and_does_not_damage);
	tcase_add_test(t, a_last_line_that_no_header_counts_is_harmless);
	tcase_add_test(t, a_file_of_an_older_version_is_taken_over);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
