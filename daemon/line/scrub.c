/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/scrub.h"

#include <sched.h>
#include <stdint.h>

#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "db/integrity.h"

enum scrub_state { SCRUB_NONE, SCRUB_RUNNING, SCRUB_SOUND, SCRUB_DAMAGED, SCRUB_FAILED };

static const char *const state_name[] = {"none", "running", "sound", "damaged", "failed"};

struct scrub {
	char *path;
	struct holds *holds;
	pthread_t thread;
	bool started;
	bool stop; /* atomic */
	struct mutex lock;
	enum scrub_state state; /* under lock, as the next three */
	int64_t runs;
	int64_t ended_ms;
	char text[ERR_TEXT_BYTES];
};

struct scrub *scrub_new(const char *db_path, struct holds *holds)
{
	struct scrub *s = xcalloc(1, sizeof *s);

	s->path = xstrdup(db_path);
	s->holds = holds;
	mutex_init(&s->lock);
	return s;
}

static void end_thread(struct scrub *s)
{
	if (!s->started)
		return;
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	pthread_join(s->thread, NULL);
	s->started = false;
}

struct scrub *scrub_free(struct scrub *s)
{
	if (!s)
		return NULL;
	end_thread(s);
	mutex_done(&s->lock);
	free(s->path);
	free(s);
	return NULL;
}

static bool stop_asked(void *data)
{
	return __atomic_load_n(&((struct scrub *)data)->stop, __ATOMIC_RELAXED);
}

static void note(struct scrub *s, enum scrub_state state, const char *text)
{
	mutex_lock(&s->lock);
	s->state = state;
	s->ended_ms = wall_ms();
	snprintf(s->text, sizeof s->text, "%s", text);
	mutex_unlock(&s->lock);
}

/* The first finding goes to `text`; "" where all is sound. */
static int check_all(struct scrub *s, struct db *d, char text[ERR_TEXT_BYTES], struct err *e)
{
	const struct integrity_stop stop = {stop_asked, s};
	int64_t runs = 0;
	char broken[ERR_TEXT_BYTES];
	size_t n;
	int r = integrity_structure(d, &stop, text, e);

	/* The last good point, as far as it can be read. */
	if (r == 0 && text[0] && integrity_chain(d, &stop, &runs, broken, NULL) != -ERR_ABORTED) {
		n = strlen(text);
		snprintf(text + n, 320 - n, "; the first %lld finished runs are whole",
			(long long)runs);
		mutex_lock(&s->lock);
		s->runs = runs;
		mutex_unlock(&s->lock);
	}
	if (r == 0 && !text[0]) {
		r = integrity_chain(d, &stop, &runs, text, e);
		mutex_lock(&s->lock);
		s->runs = runs;
		mutex_unlock(&s->lock);
	}
	if (r == 0 && !text[0])
		r = integrity_tables(d, &stop, text, e);
	return r;
}

static void *scrub_main(void *arg)
{
	const struct sched_param idle = {0};
	struct scrub *s = arg;
	struct db *d = NULL;
	struct err e = {0};
	char text[ERR_TEXT_BYTES] = "";
	int r;

	/* The line comes first: only what nobody else wants of the processor. */
	sched_setscheduler(0, SCHED_IDLE, &idle);
	r = db_open_reader(s->path, &d, &e);
	if (r == 0)
		r = check_all(s, d, text, &e);
	db_free(d);
	if (r == -ERR_ABORTED) {
		note(s, SCRUB_NONE, "stopped");
	} else if (text[0] || r == -ERR_RECORDS_DAMAGED) {
		note(s, SCRUB_DAMAGED, text[0] ? text : e.msg);
		holds_set(s->holds, HOLD_DAMAGE, "%s", text[0] ? text : e.msg);
	} else if (r < 0) {
		note(s, SCRUB_FAILED, e.msg);
		log_error("the records could not be checked: %s", e.msg);
	} else {
		note(s, SCRUB_SOUND, "");
	}
	return NULL;
}

void scrub_start(struct scrub *s)
{
	struct err e;

	end_thread(s);
	__atomic_store_n(&s->stop, false, __ATOMIC_RELAXED);
	mutex_lock(&s->lock);
	s->state = SCRUB_RUNNING;
	s->text[0] = 0;
	mutex_unlock(&s->lock);
	s->started = thread_start(&s->thread, "scrub", scrub_main, s, &e) == 0;
	if (!s->started)
		note(s, SCRUB_FAILED, e.msg);
}

json_t *scrub_json(struct scrub *s)
{
	char when[RFC3339_SIZE];
	json_t *o;

	mutex_lock(&s->lock);
	o = json_pack("{s:s, s:I}", "state", state_name[s->state], "runs", (json_int_t)s->runs);
	if (s->state != SCRUB_NONE && s->state != SCRUB_RUNNING)
		json_object_set_new(o, "ended_at", json_string(rfc3339(s->ended_ms, when)));
	if (s->text[0])
		json_object_set_new(o, "message", json_string(s->text));
	mutex_unlock(&s->lock);
	return o;
}
