/* SPDX-License-Identifier: Apache-2.0
 *
 * Closed months go to files, and only there: wherever it stops, each run is in the database or in a file that was
 * read back; nothing else may be deleted; and what is left is as whole as before.
 */
#include "db/archives.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/gzip.h"
#include "base/outfile.h"
#include "base/strbuf.h"
#include "base/tree.h"
#include "db/archive_recall.h"
#include "db/archive_write.h"
#include "db/checkpoints.h"
#include "db/compact.h"
#include "db/integrity.h"
#include "db/record_export.h"
#include "db/run_record.h"
#include "db/units.h"
#include "db/verify.h"
#include "db/webhooks.h"
#include "tests/unit/db/fixture.h"

#define DAY_MS 86400000ll
/* 2026-01-01, 2026-02-01, 2026-03-01 */
#define JANUARY	 1767225600000ll
#define FEBRUARY (JANUARY + 31 * DAY_MS)
#define MARCH	 (FEBRUARY + 28 * DAY_MS)

static char dir[96];
static struct strbuf said;
static struct verify_result result;

static void do_step(const char *run)
{
	const double v = 3.25;
	const struct step_begin b = {run, 1, "measure", "x.y", "steps", 1, false, 1600};
	json_t *evidence = json_pack("{s:s}", "reply", "VDD=3.25");
	const struct step_end end = {
		.run = run, .n = 1, .outcome = "passed", .evidence = evidence, .ended_ms = 1700};
	const struct measured m = {.run = run,
		.step_n = 1,
		.k = 1,
		.name = "vdd",
		.value = &v,
		.text = "3.25",
		.verdict = "pass"};

	OK(runs_step_begin(fx.db, &b, &fx.e));
	OK(runs_measure(fx.db, &m, &fx.e));
	OK(runs_step_end(fx.db, &end, &fx.e));
	OK(runs_log(fx.db, run, 1, 1650, '>', "hello \"you\"", &fx.e));
	OK(runs_log(fx.db, run, 2, 1651, '<', "caf\xc3\xa9", &fx.e));
	json_decref(evidence);
}

static void do_run(int i, int64_t ended_ms)
{
	const char *chip = i % 2 ? "chip-a" : "chip-b";
	char id[16], unit[DB_ID_SIZE];
	const struct run_new n = {.id = id, .station = "A1", .attached_ms = 1000};
	const struct run_start start = {.run = id,
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "00",
		.started_ms = 1500};
	const struct run_end end = {
		.run = id, .outcome = i % 3 ? "passed" : "failed", .ended_ms = ended_ms};

	snprintf(id, sizeof id, "r%d", i);
	OK(db_begin(fx.db, &fx.e));
	OK(runs_open(fx.db, &n, &fx.e));
	OK(runs_start(fx.db, &start, &fx.e));
	OK(units_identify(fx.db, id, chip, "T200", unit, &fx.e));
	do_step(id);
	OK(runs_finish(fx.db, &end, &fx.e));
	OK(db_commit(fx.db, &fx.e));
}

static void do_checkpoint(void)
{
	char text[CHECKPOINT_TEXT_BYTES];
	_cleanup_(freep) char *note = NULL;
	struct checkpoint c;

	OK(checkpoints_look(fx.db, &c, &fx.e));
	checkpoint_text(&c, text);
	note = checkpoint_note(text, NULL, NULL);
	TX(checkpoints_add(fx.db, &c, note, NULL, &fx.e));
}

/* Five runs in January, four in February, three in March. */
static void setup(void)
{
	fixture_setup();
	snprintf(dir, sizeof dir, "%s-archive", fx.dir);
	OK(tree_make(dir, &fx.e));
	OK(db_script(fx.db,
		"INSERT INTO epochs (generation, epoch, begun_at, begun_by, reason, from_seq,"
		" after_seq) VALUES (1, '00112233445566ff', 1, 'test', 'test', 0, 0)",
		&fx.e));
	for (int i = 1; i <= 5; i++)
		do_run(i, JANUARY + i * DAY_MS);
	for (int i = 6; i <= 9; i++)
		do_run(i, FEBRUARY + i * DAY_MS);
	do_checkpoint();
	for (int i = 10; i <= 12; i++)
		do_run(i, MARCH + (i - 9) * DAY_MS);
}

static void teardown(void)
{
	sb_done(&said);
	tree_remove(dir);
	fixture_teardown();
}

static void found(void *data, const char *sentence)
{
	sb_addf(&said, "%s\n", sentence);
}

static const struct verify_opts opts = {.found = found};

static const char *look(void)
{
	sb_clear(&said);
	OK(verify_database(fx.path, &opts, &result, &fx.e));
	return said.s ? said.s : "";
}

/* With the archives. */
static const char *look_at_all(void)
{
	const struct verify_opts o = {.archives = dir, .found = found};

	sb_clear(&said);
	OK(verify_database(fx.path, &o, &result, &fx.e));
	return said.s ? said.s : "";
}

static char *path_of(const struct archive *a)
{
	return xasprintf("%s/%s", dir, a->file);
}

static const char *look_at(const struct archive *a)
{
	_cleanup_(freep) char *path = path_of(a);

	sb_clear(&said);
	OK(verify_archive(path, &opts, &result, &fx.e));
	return said.s ? said.s : "";
}

static struct archive due(int64_t now_ms, int64_t keep_months)
{
	const struct archive_policy p = {.now_ms = now_ms, .keep_months = keep_months};
	struct archive a;

	OK(archive_due(fx.db, &p, &a, &fx.e));
	return a;
}

static struct archive write_month(int64_t now_ms)
{
	struct archive a = due(now_ms, 0);

	ck_assert_int_gt(a.to, 0);
	OK(archive_write(fx.db, dir, NULL, NULL, dir, &a, &fx.e));
	return a;
}

static void clear_all(void)
{
	int64_t left = 1;

	while (left > 0)
		TX(archives_clear(fx.db, 2, &left, &fx.e));
}

static int64_t count(const char *sql)
{
	int64_t n = -1;

	ck_assert_int_eq(db_int(fx.db, &fx.e, &n, sql), 1);
	return n;
}

static void assert_sound(void)
{
	char text[ERR_TEXT_BYTES];
	int64_t runs;

	ck_assert_str_eq(look(), "");
	ck_assert_str_eq(look_at_all(), "");
	OK(integrity_chain(fx.db, NULL, &runs, text, &fx.e));
	ck_assert_str_eq(text, "");
	OK(integrity_tables(fx.db, NULL, text, &fx.e));
	ck_assert_str_eq(text, "");
}

START_TEST(only_whole_months_that_are_old_enough_are_due)
{
	const struct archive_policy large = {
		.now_ms = MARCH, .keep_months = 12, .keep_bytes = 1000, .used_bytes = 1001};
	struct archive a;

	ck_assert_int_eq(due(FEBRUARY - 1, 0).to, 0);
	a = due(FEBRUARY, 0);
	ck_assert_int_eq(a.from, 1);
	ck_assert_int_eq(a.to, 5);
	ck_assert_str_eq(a.month, "2026-01");
	ck_assert_int_eq(due(MARCH - 1, 1).to, 0);
	ck_assert_int_eq(due(MARCH, 1).to, 5);
	/* Too large goes before too young, and closed before both. */
	OK(archive_due(fx.db, &large, &a, &fx.e));
	ck_assert_int_eq(a.to, 5);
}
END_TEST

START_TEST(a_run_of_which_others_are_still_to_be_told_stays)
{
	OK(db_script(fx.db,
		"INSERT INTO outbox (id, kind, key, order_key, target, payload, run_id, step_n, state,"
		" created_at) VALUES ('o1', 'step', 'k', 'u', 's', '{}', 'r3', 1, 'waiting', 1)",
		&fx.e));
	ck_assert_int_eq(due(MARCH, 0).to, 2);
	OK(db_script(fx.db, "UPDATE outbox SET run_id = 'r1'", &fx.e));
	ck_assert_int_eq(due(MARCH, 0).to, 0);
}
END_TEST

START_TEST(a_run_whose_messages_did_not_go_out_stays)
{
	json_t *types = json_array();
	const struct webhook_own own = {.id = "cfx-1", .url = "amqps://b/q", .types = types};
	const struct webhook_said plain = {.url = "https://mes.example/x", .secret = "s"};

	TX(webhooks_own(fx.db, &own, 1, &fx.e));
	TX(webhooks_add(fx.db, "w", &plain, &fx.e));
	ck_assert_int_eq(due(MARCH, 0).to, 5);
	/* One that has events alone needs no run. */
	OK(db_script(fx.db, "UPDATE webhooks SET seen = 0 WHERE id = 'w'", &fx.e));
	ck_assert_int_eq(due(MARCH, 0).to, 5);
	OK(db_script(fx.db,
		"UPDATE webhooks SET seen = (SELECT max(seq) FROM events WHERE run_id = 'r3') - 1"
		" WHERE id = 'cfx-1'",
		&fx.e));
	ck_assert_int_eq(due(MARCH, 0).to, 2);
	OK(db_script(fx.db, "UPDATE webhooks SET enabled = 0 WHERE id = 'cfx-1'", &fx.e));
	ck_assert_int_eq(due(MARCH, 0).to, 5);
	json_decref(types);
}
END_TEST

START_TEST(an_archive_is_read_back_and_placed_in_the_tree)
{
	struct archive a = write_month(MARCH);

	_cleanup_(freep) char *name =
		xasprintf("00112233445566ff-2026-01-1-5-%.8s.ndjson.gz", a.last);

	ck_assert_str_eq(a.file, name);
	ck_assert_str_eq(look_at(&a), "");
	ck_assert_int_eq(result.records, 5);
	ck_assert_str_eq(result.host, "00112233445566ff");
	TX(archives_add(fx.db, &a, &fx.e));
	a = write_month(MARCH);
	ck_assert_int_eq(a.from, 6);
	ck_assert_int_eq(a.to, 9);
	ck_assert_str_eq(look_at(&a), "");
}
END_TEST

START_TEST(the_database_is_whole_at_every_step_of_it)
{
	struct archive a = write_month(MARCH);
	int64_t left = 0;
	_cleanup_(freep) char *text = NULL;

	assert_sound();
	TX(archives_add(fx.db, &a, &fx.e));
	assert_sound();
	ck_assert_int_eq(result.archived, 5);
	FAILS(ERR_ARCHIVED, archives_check_run(fx.db, "r3", &fx.e));
	ck_assert_ptr_nonnull(strstr(fx.e.msg, a.file));
	FAILS(ERR_ARCHIVED, run_records_text(fx.db, 5, &text, &fx.e));
	OK(archives_check_run(fx.db, "r6", &fx.e));
	for (int i = 4; i >= 0; i--) {
		TX(archives_clear(fx.db, 1, &left, &fx.e));
		ck_assert_int_eq(left, i);
		assert_sound();
	}
	ck_assert_int_eq(count("SELECT count(*) FROM steps"), 7);
	ck_assert_int_eq(count("SELECT count(*) FROM measurements"), 7);
	ck_assert_int_eq(count("SELECT count(*) FROM run_log"), 14);
	ck_assert_int_eq(count("SELECT count(*) FROM run_records"), 7);
	ck_assert_int_eq(count("SELECT count(*) FROM runs"), 12);
	do_run(13, MARCH + 9 * DAY_MS);
	do_checkpoint();
	assert_sound();
	ck_assert_int_eq(result.records, 13);
}
END_TEST

START_TEST(records_go_on_after_all_of_them_were_archived)
{
	for (int i = 0; i < 3; i++) {
		struct archive a = write_month(MARCH + 40 * DAY_MS);

		TX(archives_add(fx.db, &a, &fx.e));
	}
	ck_assert_int_eq(due(MARCH + 40 * DAY_MS, 0).to, 0);
	clear_all();
	ck_assert_int_eq(count("SELECT count(*) FROM run_records"), 0);
	assert_sound();
	do_run(13, MARCH + 50 * DAY_MS);
	do_checkpoint();
	do_run(14, MARCH + 51 * DAY_MS);
	assert_sound();
	ck_assert_int_eq(result.records, 14);
	ck_assert_int_eq(result.archived, 12);
}
END_TEST

static const char *const forbidden[] = {
	"DELETE FROM steps WHERE run_id = 'r6'",
	"DELETE FROM measurements WHERE run_id = 'r6'",
	"DELETE FROM run_log WHERE run_id = 'r6'",
	"DELETE FROM run_records WHERE n = 6",
	"DELETE FROM run_records WHERE n = 12",
	"DELETE FROM runs WHERE id = 'r1'",
	"DELETE FROM record_nodes WHERE pos = 0",
	"DELETE FROM archives",
	"UPDATE archives SET to_n = 12",
	"UPDATE archives SET sha256 = last",
	"UPDATE archives SET cleared = 0",
	"INSERT INTO archives SELECT 2, 5, 7, month, file, bytes, sha256, last, at, 4 FROM archives",
	"INSERT INTO archives SELECT 2, 7, 9, month, file, bytes, sha256, last, at, 6 FROM archives",
	"INSERT INTO archives SELECT 2, 6, 99, month, file, bytes, sha256, last, at, 5 FROM archives",
	"INSERT INTO run_records SELECT 14, record FROM run_records WHERE n = 12",
};

START_TEST(nothing_else_can_be_deleted)
{
	struct archive a = write_month(MARCH);
	int64_t left;

	if (strstr(forbidden[_i], "archives"))
		TX(archives_add(fx.db, &a, &fx.e));
	if (strstr(forbidden[_i], "cleared = 0"))
		TX(archives_clear(fx.db, 2, &left, &fx.e));
	FAILS(ERR_CONFLICT, db_do(fx.db, &fx.e, forbidden[_i]));
}
END_TEST

/* Of a unit of which a run is in an archive nothing is exported that leaves it out. */
START_TEST(the_records_of_a_unit_say_where_they_are)
{
	struct archive a = write_month(MARCH);
	char unit[DB_ID_SIZE];
	json_t *o = NULL;

	ck_assert_int_eq(db_text(fx.db, &fx.e, unit, sizeof unit,
				 "SELECT unit_id FROM runs WHERE id = 'r1'"),
		1);
	OK(record_of_unit(fx.db, unit, &o, &fx.e));
	json_decref(o);
	TX(archives_add(fx.db, &a, &fx.e));
	for (int i = 0; i < 2; i++) {
		FAILS(ERR_ARCHIVED, record_of_unit(fx.db, unit, &o, &fx.e));
		ck_assert_ptr_nonnull(strstr(fx.e.msg, a.file));
		FAILS(ERR_ARCHIVED, record_of_run(fx.db, "r1", &o, &fx.e));
		FAILS(ERR_ARCHIVED, record_range(fx.db, 4, 7, &o, &fx.e));
		clear_all();
	}
	OK(record_of_run(fx.db, "r6", &o, &fx.e));
	json_decref(o);
}
END_TEST

static const struct {
	const char *sql, *says;
} tampered[] = {
	{"DROP TRIGGER runs_finished_stay; UPDATE runs SET outcome = 'passed' WHERE id = 'r3'",
		"run r3 (record 3): report, outcome: \"failed\" was recorded, \"passed\" is there\n"},
	{"DROP TRIGGER runs_finished_stay; UPDATE runs SET station = 'B1' WHERE id = 'r7'",
		"run r7 (record 7): report, station: \"A1\" was recorded, \"B1\" is there\n"},
	{"DROP TRIGGER record_nodes_stay; UPDATE record_nodes SET hash ="
	 " (SELECT hash FROM record_nodes WHERE pos = 0) WHERE pos = 1",
		"run r2 (record 2): its leaf in the tree (node 1) was changed or is missing\n"},
};

/* Where the archives are at hand, a row that stayed is compared as before. */
START_TEST(a_changed_row_of_an_archived_run_is_named)
{
	struct archive a = write_month(MARCH);

	TX(archives_add(fx.db, &a, &fx.e));
	a = write_month(MARCH);
	TX(archives_add(fx.db, &a, &fx.e));
	clear_all();
	assert_sound();
	OK(db_script(fx.db, tampered[_i].sql, &fx.e));
	ck_assert_msg(!strncmp(look_at_all(), tampered[_i].says, strlen(tampered[_i].says)), "%s",
		said.s);
}
END_TEST

START_TEST(an_archive_that_is_not_there_is_named)
{
	struct archive a = write_month(MARCH);
	_cleanup_(freep) char *path = path_of(&a);

	TX(archives_add(fx.db, &a, &fx.e));
	clear_all();
	unlink(path);
	ck_assert_ptr_nonnull(strstr(look_at_all(), a.file));
	ck_assert_int_eq(result.findings, 1);
}
END_TEST

static void note_run(void *data, const json_t *run)
{
	sb_addf(&said, "%s ", json_string_value(json_object_get(run, "run")));
}

static const char *recalled(const struct archive_recall *f)
{
	sb_clear(&said);
	OK(archive_recall(dir, f, note_run, NULL, &fx.e));
	return said.s ? said.s : "";
}

START_TEST(a_recall_reads_every_archive_of_a_folder)
{
	struct archive a = write_month(MARCH);

	FAILS(ERR_NOT_FOUND,
		archive_recall(fx.dir, &(struct archive_recall){0}, note_run, NULL, &fx.e));
	TX(archives_add(fx.db, &a, &fx.e));
	a = write_month(MARCH);
	ck_assert_str_eq(recalled(&(struct archive_recall){.recipe = "thermo", .version = 1}),
		"r1 r2 r3 r4 r5 r6 r7 r8 r9 ");
	ck_assert_str_eq(recalled(&(struct archive_recall){.outcome = "failed"}), "r3 r6 r9 ");
	ck_assert_str_eq(recalled(&(struct archive_recall){
				 .from_ms = JANUARY + 4 * DAY_MS, .to_ms = FEBRUARY + 7 * DAY_MS}),
		"r4 r5 r6 ");
	ck_assert_str_eq(recalled(&(struct archive_recall){.station = "B1"}), "");
	ck_assert_str_eq(recalled(&(struct archive_recall){.tool = "VDD"}), "");
}
END_TEST

static int64_t shrink_all(void)
{
	int64_t left = INT64_MAX, before;

	do {
		before = left;
		TX(db_shrink(fx.db, 2, &left, &fx.e));
	} while (left > 0 && left < before);
	return left;
}

/* More than a page or two, so that some are free afterwards. */
static void grow(void)
{
	_cleanup_(freep) char *text = xcalloc(1, 20001);

	memset(text, 'x', 20000);
	for (int i = 1; i <= 5; i++) {
		char id[16];

		snprintf(id, sizeof id, "r%d", i);
		TX(runs_log(fx.db, id, 3, 1660, '<', text, &fx.e));
	}
}

START_TEST(room_is_given_back_a_few_pages_at_a_time)
{
	struct archive a;
	int64_t pages;

	ck_assert_int_eq(count("PRAGMA auto_vacuum"), 2);
	grow();
	a = due(MARCH, 0);
	TX(archives_add(fx.db,
		&(struct archive){.from = a.from,
			.to = a.to,
			.month = "2026-01",
			.file = "f",
			.sha256 = RECORD_FIRST_HASH,
			.last = RECORD_FIRST_HASH},
		&fx.e));
	pages = count("PRAGMA page_count");
	clear_all();
	ck_assert_int_gt(count("PRAGMA freelist_count"), 20);
	ck_assert_int_eq(shrink_all(), 0);
	ck_assert_int_lt(count("PRAGMA page_count"), pages - 20);
	fixture_reopen();
	ck_assert_int_eq((int)db_damaged_page(fx.db), 0);
	ck_assert_int_eq(count("SELECT count(*) FROM steps"), 7);
}
END_TEST

/* A file that was made by a provd before archives uses its room again, until it is compacted. */
START_TEST(a_file_of_before_is_compacted_once)
{
	_cleanup_(freep) char *lock = xasprintf("%s/lock", fx.dir);
	int64_t before, after;

	OK(db_script(fx.db, "PRAGMA auto_vacuum = NONE; VACUUM;", &fx.e));
	grow();
	OK(db_script(fx.db, "DROP TRIGGER run_log_remains; DELETE FROM run_log", &fx.e));
	ck_assert_int_gt(shrink_all(), 20 * 4096);
	fx.db = db_free(fx.db);
	OK(compact_database(fx.dir, &before, &after, &fx.e));
	unlink(lock);
	ck_assert_int_lt(after, before - 20 * 4096);
	OK(db_open(fx.path, &fx.db, &fx.e));
	ck_assert_int_eq(count("PRAGMA auto_vacuum"), 2);
	ck_assert_int_eq(count("PRAGMA freelist_count"), 0);
	ck_assert_int_eq((int)db_damaged_page(fx.db), 0);
}
END_TEST

/* --- files that were changed --- */

static size_t read_lines(const struct archive *a, char *ret[16])
{
	_cleanup_(freep) char *path = path_of(a);
	_cleanup_(gzip_closep) struct gzip_reader *g = NULL;
	const char *text;
	size_t n, i = 0;

	OK(gzip_open(path, &g, &fx.e));
	while (gzip_line(g, &text, &n, &fx.e) > 0)
		ret[i++] = xstrdup(text);
	return i;
}

static void write_lines(const struct archive *a, char *const line[], size_t n)
{
	_cleanup_(freep) char *path = path_of(a);
	_cleanup_(gzip_writer_freep) struct gzip_writer *w = NULL;
	struct outfile f = {.fd = -1};
	char sha256[SHA256_HEX];

	OK(outfile_open(&f, path, &fx.e));
	OK(gzip_writer_new(outfile_add, &f, &w, &fx.e));
	for (size_t i = 0; i < n; i++) {
		OK(gzip_add(w, line[i], strlen(line[i]), &fx.e));
		OK(gzip_add(w, "\n", 1, &fx.e));
	}
	OK(gzip_end(w, &fx.e));
	OK(outfile_end(&f, sha256, &fx.e));
	OK(outfile_commit(&f, &fx.e));
	outfile_done(&f);
}

static void swap_text(char **line, const char *old, const char *new)
{
	char *at = strstr(*line, old);

	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq((int)strlen(old), (int)strlen(new));
	memcpy(at, new, strlen(new));
}

static const struct {
	const char *old, *new; /* in line 3; NULL: the line goes, new: where it goes */
	const char *says;
} changes[] = {
	{"VDD=3.25", "VDD=3.26", "run r4 (record 4): it does not follow the record before it"},
	{"hello", "hallo", "run r3 (record 3): its log is not the one that was recorded"},
	{"\"n\":3,", "\"n\":9,", "line 3: it is record 9, and record 3 was expected"},
	{NULL, NULL, "line 3: it is record 4, and record 3 was expected"},
	{NULL, "twice", "line 4: it is record 3, and record 4 was expected"},
	{"\"record\":", "\"recard\":", "line 3: it is not as provd writes it"},
};

START_TEST(a_changed_line_is_named)
{
	struct archive a = write_month(MARCH);
	char *line[16];
	size_t n = read_lines(&a, line);

	ck_assert_int_eq((int)n, 5);
	if (changes[_i].old) {
		swap_text(&line[2], changes[_i].old, changes[_i].new);
	} else if (!changes[_i].new) {
		free(line[2]);
		memmove(line + 2, line + 3, (--n - 2) * sizeof *line);
	} else {
		memmove(line + 3, line + 2, (n++ - 2) * sizeof *line);
		line[3] = xstrdup(line[2]);
	}
	write_lines(&a, line, n);
	ck_assert_msg(strstr(look_at(&a), changes[_i].says) != NULL, "%s", said.s);
	for (size_t i = 0; i < n; i++)
		free(line[i]);
}
END_TEST

START_TEST(a_byte_that_changed_is_always_found)
{
	struct archive a = write_month(MARCH);
	_cleanup_(freep) char *path = path_of(&a);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	for (off_t at = 0; at < a.bytes; at += 7) {
		char c;

		ck_assert_int_eq(pread(fd, &c, 1, at), 1);
		c = (char)(c ^ 0x10);
		ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
		ck_assert_ptr_nonnull(strstr(look_at(&a), "was changed"));
		c = (char)(c ^ 0x10);
		ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	}
	ck_assert_str_eq(look_at(&a), "");
	ck_assert_int_eq(ftruncate(fd, a.bytes / 2), 0);
	ck_assert_ptr_nonnull(strstr(look_at(&a), "cut off"));
	close(fd);
	unlink(path);
	ck_assert_ptr_nonnull(strstr(look_at(&a), "is missing"));
}
END_TEST

START_TEST(a_database_of_before_is_verified_too)
{
	fixture_before(21);
	ck_assert_str_eq(look(), "");
	ck_assert_int_eq(result.records, 12);
	fixture_reopen();
	assert_sound();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("archives");
	TCase *t = tcase_create("archives");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, only_whole_months_that_are_old_enough_are_due);
	tcase_add_test(t, a_run_of_which_others_are_still_to_be_told_stays);
	tcase_add_test(t, a_run_whose_messages_did_not_go_out_stays);
	tcase_add_test(t, an_archive_is_read_back_and_placed_in_the_tree);
	tcase_add_test(t, the_database_is_whole_at_every_step_of_it);
	tcase_add_test(t, records_go_on_after_all_of_them_were_archived);
	tcase_add_test(t, the_records_of_a_unit_say_where_they_are);
	tcase_add_loop_test(
		t, a_changed_row_of_an_archived_run_is_named, 0, (int)ARRAY_LEN(tampered));
	tcase_add_test(t, an_archive_that_is_not_there_is_named);
	tcase_add_test(t, a_recall_reads_every_archive_of_a_folder);
	tcase_add_test(t, room_is_given_back_a_few_pages_at_a_time);
	tcase_add_test(t, a_file_of_before_is_compacted_once);
	tcase_add_loop_test(t, nothing_else_can_be_deleted, 0, (int)ARRAY_LEN(forbidden));
	tcase_add_loop_test(t, a_changed_line_is_named, 0, (int)ARRAY_LEN(changes));
	tcase_add_test(t, a_byte_that_changed_is_always_found);
	tcase_add_test(t, a_database_of_before_is_verified_too);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
