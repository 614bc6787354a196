/* SPDX-License-Identifier: Apache-2.0 */
#include "db/writer.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/iotime.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "db/idempotency.h"
#include "db/events.h"
#include "db/stmt.h"
#include "tests/unit/db/fixture.h"

/* What the hook saw. Writer thread only, until the writer is freed. */
struct seen {
	int64_t last_seq;
	int events;
	bool out_of_order;
};

static void saw(void *data, const struct db_event *ev, size_t n)
{
	struct seen *s = data;

	for (size_t i = 0; i < n; i++, s->events++) {
		s->out_of_order |= ev[i].seq <= s->last_seq;
		s->last_seq = ev[i].seq;
	}
}

static struct writer *start(struct writer_opts o)
{
	struct writer *w = NULL;

	OK(writer_new(fx.db, &o, &w, &fx.e));
	fx.db = NULL;
	return w;
}

/* Ends the writer and gives the database back. */
static void stop(struct writer *w)
{
	writer_free(w);
	OK(db_open(fx.path, &fx.db, &fx.e));
}

static int64_t count(const char *sql)
{
	int64_t n = -1;

	ck_assert_int_eq(db_int(fx.db, &fx.e, &n, sql), 1);
	return n;
}

static int add_event(struct db *tx, void *data, struct err *e)
{
	return db_event(tx, "tick", NULL, NULL, NULL, data, NULL, e);
}

static int add_event_then_fail(struct db *tx, void *data, struct err *e)
{
	int r = db_event(tx, "never", NULL, NULL, NULL, data, NULL, e);

	return r < 0 ? r : err_set(e, ERR_PREFLIGHT, "no, after all");
}

#define THREADS 8
#define EACH	500

static void *hammer(void *arg)
{
	struct writer *w = arg;
	struct err e = {0};

	for (int i = 0; i < EACH; i++) {
		int r = i % 5 ? writer_do(w, add_event, NULL, &e)
			      : writer_do(w, add_event_then_fail, NULL, &e);

		if (r != (i % 5 ? 0 : -ERR_PREFLIGHT))
			return w;
	}
	return NULL;
}

START_TEST(eight_threads_get_each_its_own_result_and_events_come_in_order)
{
	struct seen seen = {0};
	struct writer *w = start((struct writer_opts){.committed = saw, .data = &seen});
	pthread_t t[THREADS];
	uint64_t commits;
	uint64_t tickets;

	for (int i = 0; i < THREADS; i++)
		OK(thread_start(&t[i], "hammer", hammer, w, &fx.e));
	for (int i = 0; i < THREADS; i++) {
		void *wrong;

		pthread_join(t[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
	writer_stats(w, &commits, &tickets);
	stop(w);
	ck_assert_uint_eq(tickets, THREADS * EACH);
	ck_assert_uint_lt(commits, tickets);
	ck_assert_int_eq(seen.events, THREADS * EACH * 4 / 5);
	ck_assert(!seen.out_of_order);
	ck_assert_int_eq(count("SELECT count(*) FROM events"), THREADS * EACH * 4 / 5);
	ck_assert_int_eq(count("SELECT count(*) FROM events WHERE type = 'never'"), 0);
}
END_TEST

/* Holds the writer inside an apply until the test lets go, so that what follows forms one group. */
struct gate {
	struct mutex lock;
	struct cond c;
	bool inside, open;
};

static int wait_at_gate(struct db *tx, void *data, struct err *e)
{
	struct gate *g = data;

	mutex_lock(&g->lock);
	g->inside = true;
	cond_broadcast(&g->c);
	while (!g->open)
		cond_wait(&g->c, &g->lock);
	mutex_unlock(&g->lock);
	return 0;
}

static void close_gate(struct gate *g, struct writer *w)
{
	*g = (struct gate){0};
	mutex_init(&g->lock);
	cond_init(&g->c);
	OK(writer_submit(w, wait_at_gate, g, NULL, &fx.e));
	mutex_lock(&g->lock);
	while (!g->inside)
		ck_assert(cond_wait_until(&g->c, &g->lock, now_us() + 10 * US_PER_S));
	mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
	mutex_lock(&g->lock);
	g->open = true;
	cond_broadcast(&g->c);
	mutex_unlock(&g->lock);
}

struct results {
	int n;
	int result[32];
	char msg[32][64];
};

static void note(void *data, int result, const struct err *err)
{
	struct results *r = data;

	snprintf(r->msg[r->n], sizeof r->msg[0], "%s", err->msg);
	r->result[r->n++] = result;
}

static struct results *noted;

static void note_it(void *data, int result, const struct err *err)
{
	note(noted, result, err);
}

START_TEST(a_failing_apply_leaves_the_rest_of_its_group_alone)
{
	struct results res = {0};
	struct seen seen = {0};
	struct writer *w = start((struct writer_opts){.committed = saw, .data = &seen});
	struct gate g;
	uint64_t commits;
	uint64_t tickets;

	noted = &res;
	close_gate(&g, w);
	for (int i = 0; i < 9; i++)
		OK(writer_submit(
			w, i == 4 ? add_event_then_fail : add_event, NULL, note_it, &fx.e));
	open_gate(&g);
	ck_assert_int_eq(writer_do(w, add_event, NULL, &fx.e), 0);
	writer_stats(w, &commits, &tickets);
	stop(w);
	ck_assert_uint_le(commits, 3); /* the gate, the group, perhaps the last alone */
	ck_assert_int_eq(res.n, 9);
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(res.result[i], i == 4 ? -ERR_PREFLIGHT : 0);
	ck_assert_str_eq(res.msg[4], "no, after all");
	ck_assert_int_eq(seen.events, 9);
	ck_assert_int_eq(count("SELECT count(*) FROM events"), 9);
}
END_TEST

START_TEST(what_does_not_fit_the_queue_is_refused_and_stopping_drains_it)
{
	struct results res = {0};
	struct writer *w = start((struct writer_opts){.capacity = 10});
	struct gate g;

	noted = &res;
	close_gate(&g, w);
	for (int i = 0; i < 10; i++)
		OK(writer_submit(w, add_event, NULL, note_it, &fx.e));
	FAILS(ERR_OVERLOADED, writer_submit(w, add_event, NULL, note_it, &fx.e));
	open_gate(&g);
	stop(w);
	ck_assert_int_eq(res.n, 10);
	ck_assert_int_eq(count("SELECT count(*) FROM events"), 10);
}
END_TEST

static int fill_disk(struct db *tx, void *data, struct err *e)
{
	/* A table without a trigger: sqlite then ends the whole transaction at a full disk. */
	static unsigned n;
	char key[16];
	const struct idempotent k = {"p", key, "POST /x", "hash", NULL};
	int r = 0;

	for (int i = 0; i < 200 && r == 0; i++) {
		snprintf(key, sizeof key, "%u", n++);
		r = idempotency_store(tx, &k, 201, NULL, data, e);
	}
	return r;
}

static int fulls;

static void saw_full(void *data, const struct err *e)
{
	ck_assert_int_eq(e->code, ERR_DISK_FULL);
	__atomic_add_fetch(&fulls, 1, __ATOMIC_RELEASE);
}

START_TEST(a_full_disk_is_told_and_is_over_once_there_is_room)
{
	static char big[4096];
	struct seen seen = {0};
	struct strbuf text = {0};
	int64_t size;

	memset(big, 'x', sizeof big - 1);
	OK(db_size(fx.db, &size, &fx.e));
	OK(db_set_quota(fx.db, size + 64 * 1024, &fx.e));

	struct writer *w =
		start((struct writer_opts){.committed = saw, .full = saw_full, .data = &seen});
	int told = 0;

	fulls = 0;

	int full = writer_do(w, fill_disk, big, &fx.e);

	ck_assert_msg(full == -ERR_DISK_FULL, "%s", fx.e.msg);
	ck_assert_ptr_nonnull(strstr(fx.e.msg, "full"));
	ck_assert_int_eq(__atomic_load_n(&fulls, __ATOMIC_ACQUIRE), 1);
	while (writer_do(w, add_event, big, &fx.e) == 0)
		told++;
	ck_assert_int_eq(fx.e.code, ERR_DISK_FULL);
	FAILS(ERR_DISK_FULL, writer_do(w, add_event, big, &fx.e));
	ck_assert_int_eq(__atomic_load_n(&fulls, __ATOMIC_ACQUIRE), 3);
	FAILS(ERR_DISK_FULL, writer_check(w, &fx.e));
	metrics_print(writer_metrics(w), &text);
	ck_assert_ptr_nonnull(
		strstr(text.s, "provd_writer_commits_failed_total{code=\"disk-full\"} "));
	sb_done(&text);
	stop(w); /* the quota is of the connection: now there is room */
	ck_assert_int_eq(seen.events, told);
	ck_assert_int_eq(count("SELECT count(*) FROM events"), told);
	ck_assert_int_eq(count("SELECT count(*) FROM idempotency"), 0);
	w = start((struct writer_opts){0});
	OK(writer_do(w, add_event, big, &fx.e));
	OK(writer_check(w, &fx.e));
	ck_assert_uint_eq(writer_waiting(w), 0);
	stop(w);
	ck_assert_int_eq(count("SELECT count(*) FROM events"), told + 1);
}
END_TEST

/* Ignores its errors, as no apply should. */
static int fill_disk_regardless(struct db *tx, void *data, struct err *e)
{
	for (int i = 0; i < 3; i++)
		fill_disk(tx, data, e);
	return 0;
}

START_TEST(nothing_is_written_outside_the_transaction_that_a_full_disk_ended)
{
	static char big[4096];
	int64_t size;

	memset(big, 'x', sizeof big - 1);
	OK(db_size(fx.db, &size, &fx.e));
	OK(db_set_quota(fx.db, size + 64 * 1024, &fx.e));

	struct writer *w = start((struct writer_opts){0});

	ck_assert_int_lt(writer_do(w, fill_disk_regardless, big, &fx.e), 0);
	stop(w);
	ck_assert_int_eq(count("SELECT count(*) FROM idempotency"), 0);
}
END_TEST

static int break_commit(struct db *tx, void *data, struct err *e)
{
	/* A deferred foreign key is checked by COMMIT alone. */
	return db_script(tx,
		"PRAGMA defer_foreign_keys = ON; INSERT INTO steps (run_id, n, id,"
		" action, phase, state, started_at) VALUES ('nowhere', 1, 'a', 'b',"
		" 'steps', 'open', 1)",
		e);
}

START_TEST(a_failing_commit_fails_its_whole_group_and_tells_nothing)
{
	struct results res = {0};
	struct seen seen = {0};
	struct writer *w = start((struct writer_opts){.committed = saw, .data = &seen});
	struct gate g;

	noted = &res;
	close_gate(&g, w);
	OK(writer_submit(w, add_event, NULL, note_it, &fx.e));
	OK(writer_submit(w, add_event_then_fail, NULL, note_it, &fx.e));
	OK(writer_submit(w, break_commit, NULL, note_it, &fx.e));
	OK(writer_submit(w, add_event, NULL, note_it, &fx.e));
	open_gate(&g);
	stop(w);
	ck_assert_int_eq(res.n, 4);
	ck_assert_int_eq(res.result[0], -ERR_CONFLICT);
	ck_assert_int_eq(res.result[1], -ERR_PREFLIGHT);
	ck_assert_int_eq(res.result[2], -ERR_CONFLICT);
	ck_assert_int_eq(res.result[3], -ERR_CONFLICT);
	ck_assert_int_eq(seen.events, 0);
	ck_assert_int_eq(count("SELECT count(*) FROM events"), 0);
}
END_TEST

/* Set by the writer's thread, read after a ticket that was waited for. */
static bool later_told;

static void note_later(void *data, int result, const struct err *err)
{
	__atomic_store_n(&later_told, result == 0, __ATOMIC_RELEASE);
}

START_TEST(what_may_wait_goes_with_the_next_commit_or_by_itself)
{
	struct writer *w = start((struct writer_opts){0});
	struct iotime it = {now_us() + 20 * US_PER_S, NULL};
	uint64_t commits;
	uint64_t tickets;

	for (int i = 0; i < 20; i++) {
		later_told = false;
		OK(writer_later(w, add_event, NULL, note_later, &fx.e));
		OK(writer_do(w, add_event, NULL, &fx.e));
		ck_assert(__atomic_load_n(&later_told, __ATOMIC_ACQUIRE));
	}
	writer_stats(w, &commits, &tickets);
	ck_assert_uint_eq(tickets, 40);
	/* One each, but where the test itself was held up. */
	ck_assert_uint_lt(commits, 30);
	later_told = false;
	OK(writer_later(w, add_event, NULL, note_later, &fx.e));
	while (!__atomic_load_n(&later_told, __ATOMIC_ACQUIRE))
		OK(iotime_sleep(1000, &it, &fx.e));
	/* What still waits at the end is written. */
	OK(writer_later(w, add_event, NULL, note_later, &fx.e));
	stop(w);
	ck_assert_int_eq(count("SELECT count(*) FROM events"), 42);
}
END_TEST

START_TEST(the_watchdog_sees_an_idle_writer_come_round)
{
	struct writer *w = start((struct writer_opts){0});
	uint64_t first = writer_tick_us(w);
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};

	while (writer_tick_us(w) == first)
		OK(iotime_sleep(20 * US_PER_MS, &it, &fx.e));
	stop(w);
}
END_TEST

struct announced {
	int fd;
	int n;
};

static int insert_n(struct db *tx, void *data, struct err *e)
{
	char text[24];

	snprintf(text, sizeof text, "%d", ((struct announced *)data)->n);
	return db_event(tx, "row", NULL, NULL, NULL, text, NULL, e);
}

/* The child: writes for ever, and says on the pipe what was acknowledged. */
static void write_until_killed(int fd)
{
	struct db *d = NULL;
	struct writer *w = NULL;

	if (db_open(fx.path, &d, NULL) < 0 || writer_new(d, NULL, &w, NULL) < 0)
		_exit(1);
	for (struct announced a = {.n = 1};; a.n++)
		if (writer_do(w, insert_n, &a, NULL) < 0 || write(fd, &a.n, sizeof a.n) < 0)
			_exit(1);
}

/* Reads what the child acknowledges, kills it after `rows`, then reads the rest of the pipe. */
static int kill_after(pid_t child, int fd, int rows)
{
	int last = 0;
	int n;

	while (read(fd, &n, sizeof n) == sizeof n) {
		last = n;
		if (n == rows)
			kill(child, SIGKILL);
	}
	waitpid(child, NULL, 0);
	return last;
}

START_TEST(every_acknowledged_row_survives_kill_9)
{
	for (int round = 0; round < 20; round++) {
		int fd[2];

		OK(db_script(fx.db, "DELETE FROM events", &fx.e));
		fx.db = db_free(fx.db);
		ck_assert_int_eq(pipe(fd), 0);

		pid_t child = fork();

		if (child == 0) {
			close(fd[0]);
			write_until_killed(fd[1]);
		}
		close(fd[1]);

		int last = kill_after(child, fd[0], 5 + round * 7);

		close(fd[0]);
		ck_assert_int_ge(last, 5 + round * 7);
		OK(db_open(fx.path, &fx.db, &fx.e));
		ck_assert_int_ge(count("SELECT count(*) FROM events"), last);
		ck_assert_int_ge(count("SELECT max(CAST(serial AS INTEGER)) FROM events"), last);
		ck_assert_int_eq(count("SELECT count(*) = max(CAST(serial AS INTEGER))"
				       " FROM events"),
			1);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("writer");
	TCase *t = tcase_create("writer");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, eight_threads_get_each_its_own_result_and_events_come_in_order);
	tcase_add_test(t, a_failing_apply_leaves_the_rest_of_its_group_alone);
	tcase_add_test(t, what_does_not_fit_the_queue_is_refused_and_stopping_drains_it);
	tcase_add_test(t, a_full_disk_is_told_and_is_over_once_there_is_room);
	tcase_add_test(t, nothing_is_written_outside_the_transaction_that_a_full_disk_ended);
	tcase_add_test(t, a_failing_commit_fails_its_whole_group_and_tells_nothing);
	tcase_add_test(t, what_may_wait_goes_with_the_next_commit_or_by_itself);
	tcase_add_test(t, the_watchdog_sees_an_idle_writer_come_round);
	tcase_add_test(t, every_acknowledged_row_survives_kill_9);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
