/* SPDX-License-Identifier: Apache-2.0
 *
 * A database that is not the one that the line has worked with is recognised, and a person's word
 * moves every number past what was given out. The backups of these tests are copies of the file.
 */
#include "db/lineage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "db/events.h"
#include "db/pools.h"
#include "db/writer.h"
#include "tests/unit/db/fixture.h"

static char marks_path[96], backup_path[96];
static struct marks *marks;
static const char *machine;
static struct writer *writer;

static int note(void *data, int64_t seq, const struct db_mark *mark, size_t n, struct err *e)
{
	return marks_note(marks, seq, mark, n, e);
}

static void open_marks(bool want)
{
	bool exists;

	OK(marks_open(marks_path, &exists, &marks, &fx.e));
	ck_assert_int_eq(exists, want);
}

static enum lineage verdict(bool exist)
{
	struct lineage_view v;
	char text[320];

	OK(lineage_compare(fx.db, marks, exist, machine, &v, &fx.e));
	lineage_describe(&v, text, sizeof text);
	ck_assert_int_gt((int)strlen(text), 20);
	return v.verdict;
}

/* What provd does where a person has agreed, or where nothing is there yet. */
static struct marks_head begin(const char *reason, json_t *pools, bool need)
{
	struct marks_head head;
	const struct lineage_accept a = {.marks = marks,
		.by = "tester",
		.reason = reason,
		.pools = pools,
		.need_pools = need};

	TX(lineage_begin(fx.db, &a, &head, &fx.e));
	OK(marks_begin(marks, &head, &fx.e));
	TX(lineage_marked(fx.db, &fx.e));
	return head;
}

static int apply_pool(struct db *tx, void *data, struct err *e)
{
	const struct pool_new p = {.id = data,
		.kind = "serial",
		.pattern = "SN{seq:04}",
		.first = 1,
		.last = 9999,
		.check = "none"};

	return pools_create(tx, &p, e);
}

static int apply_run(struct db *tx, void *data, struct err *e)
{
	const struct run_new n = {.id = data, .station = "A1", .attached_ms = 1000};
	const struct run_start s = {.run = data,
		.recipe = "r",
		.version = 1,
		.recipe_sha256 = "0",
		.model = "T200",
		.started_ms = 1500};
	int r = runs_open(tx, &n, e);

	return r < 0 ? r : runs_start(tx, &s, e);
}

struct draw {
	const char *run;
	struct ledger_source s;
	char value[LEDGER_VALUE_SIZE];
};

static int apply_draw(struct db *tx, void *data, struct err *e)
{
	struct draw *d = data;

	return ledger_reserve(tx, d->run, &d->s, d->value, e);
}

static int apply_expose(struct db *tx, void *data, struct err *e)
{
	return ledger_expose(tx, data, e);
}

static int apply_finish(struct db *tx, void *data, struct err *e)
{
	const struct run_end end = {.run = data, .outcome = "passed", .ended_ms = 3000};

	return runs_finish(tx, &end, e);
}

static void start_writer(void)
{
	const struct writer_opts o = {.marks = note};

	OK(writer_new(fx.db, &o, &writer, &fx.e));
}

static void stop_writer(void)
{
	writer = writer_free(writer);
	fx.db = NULL;
	marks = marks_free(marks);
}

/* A unit is made: its serial is drawn, exposed, committed. */
static void make_unit(const char *run, struct ledger_source s, char ret[LEDGER_VALUE_SIZE])
{
	struct draw d = {.run = run, .s = s};

	OK(writer_do(writer, apply_run, (void *)run, &fx.e));
	OK(writer_do(writer, apply_draw, &d, &fx.e));
	OK(writer_do(writer, apply_expose, (void *)run, &fx.e));
	OK(writer_do(writer, apply_finish, (void *)run, &fx.e));
	memcpy(ret, d.value, LEDGER_VALUE_SIZE);
}

static const struct ledger_source from_pool = {
	.from = LEDGER_POOL, .kind = "serial", .pool = "sn", .model = "T200"};
static const struct ledger_source scanned = {
	.from = LEDGER_SCAN, .kind = "serial", .value = "SCANNED1", .model = "T200"};

static void copy(const char *from, const char *to)
{
	char cmd[256];

	snprintf(cmd, sizeof cmd, "cp %s %s", from, to);
	ck_assert_int_eq(system(cmd), 0);
}

/* A line that has made three units; a backup was taken after the first. */
static void work(void)
{
	char v[LEDGER_VALUE_SIZE];

	open_marks(false);
	ck_assert_int_eq(verdict(false), LINEAGE_NEW);
	begin("first start", NULL, false);
	start_writer();
	OK(writer_do(writer, apply_pool, (char *)"sn", &fx.e));
	make_unit("r1", from_pool, v);
	ck_assert_str_eq(v, "SN0001");
	stop_writer();
	copy(fx.path, backup_path);
	OK(db_open(fx.path, &fx.db, &fx.e));
	open_marks(true);
	ck_assert_int_eq(verdict(true), LINEAGE_SAME);
	start_writer();
	make_unit("r2", from_pool, v);
	ck_assert_str_eq(v, "SN0002");
	make_unit("r3", scanned, v);
	stop_writer();
}

static void restore(const char *from)
{
	char extra[128];

	fx.db = db_free(fx.db);
	for (int i = 0; i < 2; i++) {
		snprintf(extra, sizeof extra, "%s%s", fx.path, i ? "-wal" : "-shm");
		unlink(extra);
	}
	unlink(fx.path);
	if (from)
		copy(from, fx.path);
	OK(db_open(fx.path, &fx.db, &fx.e));
}

static void setup(void)
{
	machine = "";
	fixture_setup();
	snprintf(marks_path, sizeof marks_path, "%s/marks", fx.dir);
	snprintf(backup_path, sizeof backup_path, "%s/backup", fx.dir);
}

static void teardown(void)
{
	writer = writer_free(writer);
	marks = marks_free(marks);
	fixture_teardown();
}

START_TEST(the_database_that_the_line_worked_with_is_the_same)
{
	work();
	OK(db_open(fx.path, &fx.db, &fx.e));
	open_marks(true);
	ck_assert_int_eq(verdict(true), LINEAGE_SAME);
}
END_TEST

/* The one gap of the pool says why. */
static void assert_gap(const char *why)
{
	const struct db_page page = {0};
	struct db_list l = {0};
	const json_t *gap;

	OK(pools_gaps(fx.db, "sn", &page, &l, &fx.e));
	ck_assert_int_eq((int)json_array_size(l.items), 1);
	gap = json_array_get(l.items, 0);
	ck_assert_str_eq(json_string_value(json_object_get(gap, "why")), why);
	json_decref(l.items);
}

START_TEST(a_restored_backup_is_older_and_goes_on_past_what_was_given_out)
{
	struct marks_head head;
	char v[LEDGER_VALUE_SIZE];
	int64_t first;
	int64_t last;
	int64_t before;

	work();
	restore(backup_path);
	open_marks(true);
	before = marks_head(marks)->seq;
	ck_assert_int_eq(verdict(true), LINEAGE_OLDER);
	head = begin("the disk died", NULL, false);
	ck_assert_int_eq(head.generation, 2);
	assert_gap("advanced by tester: restored backup: the disk died");
	ck_assert_int_eq(verdict(true), LINEAGE_SAME);
	OK(events_bounds(fx.db, &first, &last, &fx.e));
	ck_assert_int_gt(last, before);
	start_writer();
	make_unit("r4", from_pool, v);
	ck_assert_str_eq(v, "SN0003");

	struct draw d = {.run = "r5", .s = scanned};

	OK(writer_do(writer, apply_run, (char *)"r5", &fx.e));
	FAILS(ERR_SERIAL_CONFLICT, writer_do(writer, apply_draw, &d, &fx.e));
	stop_writer();
}
END_TEST

START_TEST(a_database_that_is_gone_is_not_a_first_start)
{
	work();
	restore(NULL);
	open_marks(true);
	ck_assert_int_eq(verdict(true), LINEAGE_LOST);
	begin("start over", NULL, false);
	ck_assert_int_eq(verdict(true), LINEAGE_OLDER); /* the pool is not there yet */
}
END_TEST

START_TEST(without_marks_a_person_must_name_every_pool)
{
	struct marks_head head;
	struct lineage_accept a = {.by = "tester", .reason = "new machine", .need_pools = true};
	char v[LEDGER_VALUE_SIZE];

	work();
	unlink(marks_path);
	restore(backup_path);
	open_marks(false);
	ck_assert_int_eq(verdict(false), LINEAGE_UNMARKED);
	a.marks = marks;
	TX_FAILS(ERR_UNPROCESSABLE, lineage_begin(fx.db, &a, &head, &fx.e));
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "pool sn"));

	json_t *behind = json_pack("{s:i}", "sn", 1);
	json_t *none = json_pack("{s:i}", "other", 5);
	json_t *said = json_pack("{s:i}", "sn", 500);

	a.pools = behind;
	TX_FAILS(ERR_UNPROCESSABLE, lineage_begin(fx.db, &a, &head, &fx.e));
	a.pools = none;
	TX_FAILS(ERR_UNPROCESSABLE, lineage_begin(fx.db, &a, &head, &fx.e));
	begin("new machine", said, true);
	json_decref(behind);
	json_decref(none);
	json_decref(said);
	start_writer();
	make_unit("r9", from_pool, v);
	ck_assert_str_eq(v, "SN0500");
	stop_writer();
}
END_TEST

START_TEST(damaged_marks_hold_the_line_until_every_pool_is_named)
{
	static const off_t left[] = {0, 1, 100};
	struct marks_head head;
	struct lineage_accept a = {.by = "tester", .reason = "bad disk", .need_pools = true};

	work();
	restore(backup_path);
	for (size_t i = 0; i < ARRAY_LEN(left); i++) {
		marks = marks_free(marks);
		ck_assert_int_eq(truncate(marks_path, left[i]), 0);
		open_marks(true);
		ck_assert_int_eq(verdict(true), LINEAGE_DAMAGED);
	}
	a.marks = marks;
	TX_FAILS(ERR_UNPROCESSABLE, lineage_begin(fx.db, &a, &head, &fx.e));

	json_t *said = json_pack("{s:i}", "sn", 500);

	head = begin("bad disk", said, true);
	json_decref(said);
	marks = marks_free(marks);
	open_marks(true);
	ck_assert_int_eq(verdict(true), LINEAGE_SAME);
	ck_assert_str_eq(marks_head(marks)->epoch, head.epoch);
	/* Damage where there is no database is not a first start either. */
	marks = marks_free(marks);
	ck_assert_int_eq(truncate(marks_path, 0), 0);
	restore(NULL);
	open_marks(true);
	ck_assert_int_eq(verdict(true), LINEAGE_DAMAGED);
}
END_TEST

START_TEST(a_copy_from_before_an_acceptance_is_another_database)
{
	work();
	restore(backup_path);
	open_marks(true);
	begin("once", NULL, false);
	marks = marks_free(marks);
	restore(backup_path);
	open_marks(true);
	ck_assert_int_eq(verdict(true), LINEAGE_OTHER);
}
END_TEST

START_TEST(a_crash_between_the_epoch_and_its_marks_is_no_restore)
{
	const struct lineage_accept a = {.marks = marks, .by = "t", .reason = "t"};
	struct lineage_accept first = a;
	struct marks_head head;

	open_marks(false);
	first.marks = marks;
	TX(lineage_begin(fx.db, &first, &head, &fx.e));
	fixture_reopen();
	ck_assert_int_eq(verdict(false), LINEAGE_BEGUN);
	OK(marks_begin(marks, &head, &fx.e));
	ck_assert_int_eq(verdict(true), LINEAGE_SAME);
	/* An acceptance that reached the database, not the marks. */
	TX(lineage_begin(fx.db, &first, &head, &fx.e));
	ck_assert_int_eq(verdict(true), LINEAGE_BEGUN);
}
END_TEST

/* Any damage of the marks, and an older database in the place of the line's: never the same. */
START_TEST(damage_of_the_marks_does_not_hide_an_older_database)
{
	struct stat st;
	uint8_t good[8192];
	int fd;

	work();
	restore(backup_path);
	fd = open(marks_path, O_RDWR);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_le(st.st_size, (off_t)sizeof good);
	ck_assert_int_eq(pread(fd, good, (size_t)st.st_size, 0), st.st_size);
	for (off_t at = 0; at < st.st_size; at++)
		for (int cut = 0; cut < 2; cut++) {
			enum lineage v;

			if (cut)
				ck_assert_int_eq(ftruncate(fd, at), 0);
			else
				ck_assert_int_eq(pwrite(fd, "\0", 1, at), 1);
			open_marks(true);
			v = verdict(true);
			ck_assert_msg(v == LINEAGE_DAMAGED || (v == LINEAGE_OLDER && !cut),
				"%s at %lld: %d", cut ? "cut" : "zero", (long long)at, (int)v);
			if (v == LINEAGE_OLDER)
				ck_assert_int_eq(marks_state(marks), MARKS_WHOLE);
			marks = marks_free(marks);
			ck_assert_int_eq(pwrite(fd, good, (size_t)st.st_size, 0), st.st_size);
		}
	close(fd);
}
END_TEST

START_TEST(a_copy_on_another_machine_is_not_the_same)
{
	work();
	OK(db_open(fx.path, &fx.db, &fx.e));
	open_marks(true);
	/* Marks that say no machine are taken over by the first that knows its own. */
	machine = "aaaaaaaaaaaaaaaa";
	ck_assert_int_eq(verdict(true), LINEAGE_SAME);
	marks_bind(marks, machine);
	ck_assert(marks_worn(marks));
	OK(marks_begin(marks, marks_head(marks), &fx.e));
	for (int i = 0; i < 2; i++) {
		marks = marks_free(marks);
		open_marks(true);
		ck_assert_str_eq(marks_machine(marks), "aaaaaaaaaaaaaaaa");
		machine = "aaaaaaaaaaaaaaaa";
		ck_assert_int_eq(verdict(true), LINEAGE_SAME);
		machine = "bbbbbbbbbbbbbbbb";
		ck_assert_int_eq(verdict(true), LINEAGE_MOVED);
		machine = ""; /* not known: not bound, and still of the first */
		ck_assert_int_eq(verdict(true), LINEAGE_SAME);
		marks_bind(marks, machine);
		OK(marks_begin(marks, marks_head(marks), &fx.e));
	}
	/* A person's word takes it over, with an epoch of its own. */
	machine = "bbbbbbbbbbbbbbbb";
	marks_bind(marks, machine);
	begin("moved", NULL, false);
	marks = marks_free(marks);
	open_marks(true);
	ck_assert_int_eq(verdict(true), LINEAGE_SAME);
	machine = "aaaaaaaaaaaaaaaa";
	ck_assert_int_eq(verdict(true), LINEAGE_MOVED);
	/* Worse than moved: what that says comes first. */
	restore(backup_path);
	ck_assert_int_eq(verdict(true), LINEAGE_OTHER);
}
END_TEST

static void old_line(FILE *f, const char *text, int pad)
{
	char hex[SHA256_HEX];

	fprintf(f, "%.8s %s\n", sha256_hex_of(text, strlen(text), hex), text);
	if (pad)
		fprintf(f, "%*s\n", pad - (int)strlen(text) - 11, "");
}

/* The marks in the format of older versions, which has no sync point: a bad last line is torn. */
static void tear(void)
{
	const struct marks_head head = *marks_head(marks);
	FILE *f = fopen(marks_path, "we");

	for (int i = 1; i <= 2; i++) {
		char text[128];

		snprintf(text, sizeof text, "H %d %s %lld %lld", i, head.epoch,
			(long long)head.generation, (long long)head.seq);
		old_line(f, text, 256);
	}
	old_line(f, "P 2 sn", 0);
	fprintf(f, "0123 P");
	fclose(f);
	marks = marks_free(marks);
}

/* Torn marks are a crash's where the database knows the commit that they lack, else damage. */
START_TEST(torn_marks_are_believed_with_a_database_that_is_not_older)
{
	int64_t next;

	work();
	OK(db_open(fx.path, &fx.db, &fx.e));
	open_marks(true);
	tear();
	open_marks(true);
	ck_assert_int_eq(marks_state(marks), MARKS_TORN);
	ck_assert_int_eq(verdict(true), LINEAGE_SAME);
	/* What was torn off is learned from the database. */
	OK(lineage_raise(fx.db, marks, &fx.e));
	OK(marks_begin(marks, marks_head(marks), &fx.e));
	restore(backup_path);
	ck_assert_int_eq(verdict(true), LINEAGE_OLDER);
	marks_pool(marks, 0, &next);
	ck_assert_int_eq(next, 3);
	/* With the older database at once: damage. */
	tear();
	open_marks(true);
	ck_assert_int_eq(marks_state(marks), MARKS_TORN);
	ck_assert_int_eq(verdict(true), LINEAGE_DAMAGED);
}
END_TEST

START_TEST(the_file_of_marks_does_not_grow_for_ever)
{
	struct stat st;

	open_marks(false);
	begin("first start", NULL, false);
	for (int64_t i = 1; i <= 100000; i++) {
		const struct db_mark k = {.pool = (char *)"sn", .next = i};

		OK(marks_note(marks, i, &k, 1, &fx.e));
	}
	ck_assert_int_eq(stat(marks_path, &st), 0);
	ck_assert_int_lt(st.st_size, 2 << 20);
	marks = marks_free(marks);
	open_marks(true);

	int64_t next = 0;

	ck_assert_str_eq(marks_pool(marks, 0, &next), "sn");
	ck_assert_int_eq(next, 100000);
	ck_assert_int_eq(marks_head(marks)->seq, 100000);
}
END_TEST

static int refuse(void *data, int64_t seq, const struct db_mark *mark, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (mark[i].exposed)
			return err_set(e, ERR_DISK_FULL, "no room for the marks");
	return 0;
}

START_TEST(an_exposure_fails_where_its_mark_cannot_be_written)
{
	const struct writer_opts o = {.marks = refuse};
	struct draw d = {.run = "r1", .s = from_pool};

	OK(writer_new(fx.db, &o, &writer, &fx.e));
	OK(writer_do(writer, apply_pool, (char *)"sn", &fx.e));
	OK(writer_do(writer, apply_run, (char *)"r1", &fx.e));
	OK(writer_do(writer, apply_draw, &d, &fx.e));
	FAILS(ERR_DISK_FULL, writer_do(writer, apply_expose, (char *)"r1", &fx.e));
	stop_writer();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("lineage");
	TCase *t = tcase_create("lineage");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_database_that_the_line_worked_with_is_the_same);
	tcase_add_test(t, a_restored_backup_is_older_and_goes_on_past_what_was_given_out);
	tcase_add_test(t, a_database_that_is_gone_is_not_a_first_start);
	tcase_add_test(t, without_marks_a_person_must_name_every_pool);
	tcase_add_test(t, a_copy_from_before_an_acceptance_is_another_database);
	tcase_add_test(t, a_crash_between_the_epoch_and_its_marks_is_no_restore);
	tcase_add_test(t, damage_of_the_marks_does_not_hide_an_older_database);
	tcase_add_test(t, a_copy_on_another_machine_is_not_the_same);
	tcase_add_test(t, torn_marks_are_believed_with_a_database_that_is_not_older);
	tcase_add_test(t, damaged_marks_hold_the_line_until_every_pool_is_named);
	tcase_add_test(t, the_file_of_marks_does_not_grow_for_ever);
	tcase_add_test(t, an_exposure_fails_where_its_mark_cannot_be_written);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
