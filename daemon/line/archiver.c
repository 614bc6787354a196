/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/archiver.h"

#include <sched.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/tree.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/holds.h"
#include "daemon/line/records.h"
#include "daemon/line/services.h"
#include "daemon/line/store.h"
#include "db/archive_write.h"
#include "db/verify.h"
#include "db/writer.h"

#define FIRST_LOOK_US (500 * US_PER_MS)
#define LOOK_EVERY_US (600 * US_PER_S)
/* Of one transaction. */
#define CLEAR_RUNS   4
#define SHRINK_PAGES 32
#define CHECK_WORDS  300

struct archiver {
	const struct line_services *line;
	char *db_path;
	pthread_t thread;
	struct cancel stop;
	char trouble[ERR_TEXT_BYTES]; /* that was logged last */
	/* Of the present transaction: */
	const struct archive *made;
	int64_t left;
};

static bool stopped(const struct archiver *a)
{
	return cancel_reason(&a->stop) != ERR_NONE;
}

static bool may_work(const struct archiver *a)
{
	return !stopped(a) && holds_check(a->line->holds, HOLD_STOPS_RUNS, NULL) == 0 &&
	       wall_check(records_wall(a->line->records), NULL) == 0;
}

/* A change, and then as long for the line as it took. */
static int change(
	struct archiver *a, int (*apply)(struct db *tx, void *data, struct err *e), struct err *e)
{
	const struct iotime it = {NO_DEADLINE, &a->stop};
	const uint64_t begun = now_us();
	int r = writer_do(a->line->writer, apply, a, e);

	iotime_sleep(now_us() - begun, &it, NULL);
	return r;
}

/* --- clearing --- */

static int apply_clear(struct db *tx, void *data, struct err *e)
{
	struct archiver *a = data;

	return archives_clear(tx, CLEAR_RUNS, &a->left, e);
}

static int apply_shrink(struct db *tx, void *data, struct err *e)
{
	struct archiver *a = data;

	return db_shrink(tx, SHRINK_PAGES, &a->left, e);
}

/* Until nothing is left, or it does not get less: the pages of a database that was made before archives are used
 * again, and given back by `provctl records compact` alone. */
static int repeat(
	struct archiver *a, int (*apply)(struct db *tx, void *data, struct err *e), struct err *e)
{
	int64_t before = INT64_MAX;
	int r = 0;

	a->left = INT64_MAX - 1;
	while (r == 0 && a->left > 0 && a->left < before && may_work(a)) {
		before = a->left;
		r = change(a, apply, e);
	}
	return r;
}

/* --- a month --- */

struct finding {
	char first[CHECK_WORDS];
};

static void note_finding(void *data, const char *sentence)
{
	struct finding *f = data;

	if (!f->first[0])
		snprintf(f->first, sizeof f->first, "%s", sentence);
}

/* As anybody else would verify it, from the disk. */
static int read_back(
	const struct archiver *a, const char *dir, const struct archive *made, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, made->file);
	struct finding f = {""};
	const struct verify_opts o = {.stop = &a->stop, .found = note_finding, .data = &f};
	struct verify_result result;
	int r = verify_archive(path, &o, &result, e);

	if (r == 0 && (result.findings > 0 || result.records != made->to - made->from + 1))
		r = err_set(e, ERR_RECORDS_DAMAGED,
			"archive %s is not what was to be written, and nothing is removed: %s",
			made->file, f.first);
	return r;
}

static int apply_add(struct db *tx, void *data, struct err *e)
{
	return archives_add(tx, ((struct archiver *)data)->made, e);
}

static int find_due(
	const struct archive_config *c, struct db *d, struct archive *ret, struct err *e)
{
	struct archive_policy p = {.now_ms = wall_ms(),
		.keep_months = c->keep_months,
		.keep_bytes = (int64_t)c->keep_bytes};
	int64_t free_bytes = 0;
	int r = db_size(d, &p.used_bytes, e);

	if (r == 0)
		r = db_shrink(d, 0, &free_bytes, e);
	p.used_bytes -= free_bytes;
	return r < 0 ? r : archive_due(d, &p, ret, e);
}

/* 1: a month was moved, and there may be more. */
static int move_month(
	struct archiver *a, const struct archive_config *c, struct db *d, struct err *e)
{
	struct archive due;
	int r = find_due(c, d, &due, e);

	if (r < 0 || due.to == 0)
		return r;
	r = tree_make(c->dir, e);
	if (r == 0)
		r = archive_write(d, c->dir, records_seal(a->line->records), &a->stop,
			store_attachments(a->line->store), &due, e);
	if (r == 0)
		r = read_back(a, c->dir, &due, e);
	if (r < 0 || !may_work(a))
		return r;
	a->made = &due;
	r = change(a, apply_add, e);
	a->made = NULL;
	if (r < 0)
		return r;
	log_notice("records %lld to %lld (%s) are in the archive %s", (long long)due.from,
		(long long)due.to, due.month, due.file);
	return 1;
}

static int move_all(struct archiver *a, const struct archive_config *c, struct err *e)
{
	_cleanup_(db_freep) struct db *d = NULL;
	int r = db_open_reader(a->db_path, &d, e);

	if (r == 0)
		r = 1;
	while (r > 0 && may_work(a)) {
		r = repeat(a, apply_clear, e);
		if (r == 0)
			r = repeat(a, apply_shrink, e);
		if (r == 0 && may_work(a))
			r = move_month(a, c, d, e);
	}
	return MIN(r, 0);
}

/* --- the thread --- */

static void look(struct archiver *a)
{
	struct config *config = a->line->config(a->line->line);
	struct err e = {0};
	int r = config->archive.dir ? move_all(a, &config->archive, &e) : 0;

	config_unref(config);
	/* The same sentence again and again says nothing. */
	if (r < 0 && !stopped(a) && strcmp(a->trouble, e.msg) != 0)
		log_warning("%s", e.msg);
	snprintf(a->trouble, sizeof a->trouble, "%s", r < 0 ? e.msg : "");
}

static void *archiver_main(void *arg)
{
	const struct sched_param idle = {0};
	struct archiver *a = arg;
	const struct iotime it = {NO_DEADLINE, &a->stop};
	uint64_t wait_us = FIRST_LOOK_US;

	sched_setscheduler(0, SCHED_IDLE, &idle);
	while (iotime_sleep(wait_us, &it, NULL) == 0) {
		if (may_work(a))
			look(a);
		wait_us = LOOK_EVERY_US;
	}
	return NULL;
}

int archiver_start(
	const struct line_services *line, const char *db_path, struct archiver **ret, struct err *e)
{
	struct archiver *a = xcalloc(1, sizeof *a);
	int r = cancel_init(&a->stop, e);

	a->line = line;
	a->db_path = xstrdup(db_path);
	if (r == 0) {
		r = thread_start(&a->thread, "archiver", archiver_main, a, e);
		if (r < 0)
			cancel_done(&a->stop);
	}
	if (r < 0) {
		free(a->db_path);
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct archiver *archiver_free(struct archiver *a)
{
	if (!a)
		return NULL;
	cancel_fire(&a->stop, ERR_SHUTDOWN);
	pthread_join(a->thread, NULL);
	cancel_done(&a->stop);
	free(a->db_path);
	free(a);
	return NULL;
}
