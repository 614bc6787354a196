/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/backlog.h"

#include "base/iotime.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/holds.h"
#include "daemon/line/records.h"
#include "daemon/line/services.h"

#define LOOK_EVERY_US US_PER_S

struct backlog {
	const struct line_services *line;
	char *db_path;
	struct db *db; /* to read; NULL: not open */
	pthread_t thread;
	struct cancel stop;
	bool warned;
};

const char *const backlog_levels[] = {
	[BACKLOG_FINE] = "fine", [BACKLOG_WARNS] = "warns", [BACKLOG_STOPS] = "stops", NULL};

/* --- one of them --- */

static bool is_over(int64_t value, int64_t limit, bool held)
{
	return limit > 0 && value > (held ? limit - limit / 4 : limit);
}

static int64_t age_ms(const struct backlog_row *row, int64_t now_ms)
{
	return row->oldest_ms > 0 && now_ms > row->oldest_ms ? now_ms - row->oldest_ms : 0;
}

enum backlog_level backlog_judge(
	const struct outbox_config *c, const struct backlog_row *row, int64_t now_ms, bool held)
{
	const int64_t age = age_ms(row, now_ms);

	if (is_over(row->waiting, c->stop_after, held) ||
		is_over(age, (int64_t)(c->stop_age_us / US_PER_MS), held))
		return BACKLOG_STOPS;
	if (is_over(row->waiting, c->warn_after, false) ||
		is_over(age, (int64_t)(c->warn_age_us / US_PER_MS), false))
		return BACKLOG_WARNS;
	return BACKLOG_FINE;
}

/* --- all of them --- */

static bool has_limit(const struct outbox_config *c)
{
	return c->stop_after || c->stop_age_us || c->warn_after || c->warn_age_us;
}

/* The worst one; NULL where all is fine. */
static const struct backlog_row *worst(const struct outbox_config *c, const struct backlog_list *l,
	int64_t now_ms, bool held, enum backlog_level *ret)
{
	const struct backlog_row *row = NULL;

	*ret = BACKLOG_FINE;
	for (size_t i = 0; i < l->n; i++) {
		const enum backlog_level level = backlog_judge(c, &l->row[i], now_ms, held);

		if (level > *ret) {
			*ret = level;
			row = &l->row[i];
		}
	}
	return row;
}

static void hold(struct backlog *b, const struct backlog_row *row, int64_t now_ms)
{
	holds_set(b->line->holds, HOLD_BACKLOG,
		"%lld messages wait for the %s %s, the oldest for %lld s, and 'outbox' of provd.yaml allows less: no new unit begins before it has taken them",
		(long long)row->waiting, backlog_kinds[row->kind],
		*row->where ? row->where : row->name, (long long)(age_ms(row, now_ms) / 1000));
}

static void warn(struct backlog *b, const struct backlog_row *row, int64_t now_ms)
{
	if (!b->warned)
		log_warning("%lld messages wait for the %s %s, the oldest for %lld s",
			(long long)row->waiting, backlog_kinds[row->kind],
			*row->where ? row->where : row->name,
			(long long)(age_ms(row, now_ms) / 1000));
}

static void apply(struct backlog *b, const struct outbox_config *c, const struct backlog_list *l)
{
	struct holds *holds = b->line->holds;
	const bool believed = wall_check(records_wall(b->line->records), NULL) == 0;
	const int64_t now_ms = believed ? wall_ms() : 0;
	enum backlog_level level;
	const struct backlog_row *row = worst(c, l, now_ms, holds_has(holds, HOLD_BACKLOG), &level);

	if (level == BACKLOG_STOPS)
		hold(b, row, now_ms);
	else
		holds_lift(holds, HOLD_BACKLOG);
	if (level == BACKLOG_WARNS)
		warn(b, row, now_ms);
	b->warned = level != BACKLOG_FINE;
}

static int look(struct backlog *b, const struct outbox_config *c, struct err *e)
{
	struct backlog_list list = {0};
	int r = 0;

	if (has_limit(c) && !b->db)
		r = db_open_reader(b->db_path, &b->db, e);
	if (r == 0 && has_limit(c))
		r = backlog_read(b->db, &list, e);
	if (r < 0)
		return r;
	apply(b, c, &list);
	backlog_list_done(&list);
	return 0;
}

/* --- the thread --- */

static void *backlog_main(void *arg)
{
	struct backlog *b = arg;
	const struct iotime it = {NO_DEADLINE, &b->stop};

	do {
		struct config *config = b->line->config(b->line->line);
		struct err e = {0};

		if (look(b, &config->outbox, &e) < 0)
			log_warning("what waits for others cannot be read: %s", e.msg);
		config_unref(config);
	} while (iotime_sleep(LOOK_EVERY_US, &it, NULL) == 0);
	return NULL;
}

int backlog_start(
	const struct line_services *line, const char *db_path, struct backlog **ret, struct err *e)
{
	struct backlog *b = xcalloc(1, sizeof *b);
	int r = cancel_init(&b->stop, e);

	b->line = line;
	b->db_path = xstrdup(db_path);
	if (r == 0) {
		r = thread_start(&b->thread, "backlog", backlog_main, b, e);
		if (r < 0)
			cancel_done(&b->stop);
	}
	if (r < 0) {
		free(b->db_path);
		free(b);
		return r;
	}
	*ret = b;
	return 0;
}

struct backlog *backlog_free(struct backlog *b)
{
	if (!b)
		return NULL;
	cancel_fire(&b->stop, ERR_SHUTDOWN);
	pthread_join(b->thread, NULL);
	cancel_done(&b->stop);
	db_free(b->db);
	free(b->db_path);
	free(b);
	return NULL;
}
