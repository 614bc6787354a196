/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/notary.h"

#include "base/iotime.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/holds.h"
#include "daemon/line/keys.h"
#include "daemon/line/services.h"
#include "db/checkpoints.h"
#include "db/outbox.h"
#include "db/run_record.h"
#include "db/writer.h"

#define LOOK_EVERY_US US_PER_S
/* Of runs of before an update, in one transaction: the line goes on in between. */
#define CATCH_UP 50

struct notary {
	const struct line_services *line;
	char *db_path;
	pthread_t thread;
	struct cancel stop;
	int64_t begun_ms; /* the wall clock: the first checkpoint comes as long after it as any other */
	struct mutex lock;	      /* one checkpoint at a time */
	struct db *db;		      /* under lock: to read; NULL: not open */
	char trouble[ERR_TEXT_BYTES]; /* under lock: that was logged last */
};

/* --- what is due --- */

/* In one transaction, so that no run ends in between. */
static int look(struct notary *n, struct checkpoint *ret, struct checkpoint_row *newest,
	int64_t *ret_missing, struct err *e)
{
	int64_t records;
	int r = n->db ? 0 : db_open_reader(n->db_path, &n->db, e);

	if (r == 0)
		r = db_snapshot(n->db, e);
	if (r < 0)
		return r;
	r = checkpoints_newest(n->db, newest, e);
	if (r == 0)
		r = run_records_count(n->db, &records, ret_missing, e);
	if (r == 0)
		r = checkpoints_look(n->db, ret, e);
	db_snapshot_end(n->db);
	return r;
}

/* Whether the newest is of another life of the database, or of fewer records. */
static bool is_covered(const struct checkpoint *now, const struct checkpoint_row *newest)
{
	struct checkpoint old;
	size_t n;

	if (now->size == 0)
		return true;
	if (newest->size < now->size)
		return false;
	return checkpoint_note_read(newest->note, &old, &n, NULL, NULL) == 0 &&
	       !strcmp(old.epoch, now->epoch);
}

static bool is_due(const struct notary *n, const struct checkpoint *now,
	const struct checkpoint_row *newest, const struct records_config *c)
{
	const int64_t since_ms = newest->size > 0 ? newest->at_ms : n->begun_ms;

	if (is_covered(now, newest))
		return false;
	if (newest->size == now->size || now->size - newest->size >= c->every_runs)
		return true;
	/* A clock that was set back does not put it off for long. */
	return since_ms > now->time_ms ||
	       now->time_ms - since_ms >= (int64_t)(c->every_us / US_PER_MS);
}

/* --- one checkpoint --- */

struct made {
	const struct checkpoint *c;
	char *note, *public;
	const struct records_config *config;
};

static int add_to_outbox(struct db *tx, const struct made *m, struct err *e)
{
	_cleanup_(freep) char *key = xasprintf("%s/%lld", m->c->epoch, (long long)m->c->size);
	json_t *payload = json_pack("{s:s, s:s}", "path", m->config->path, "note", m->note);
	const struct outbox_new row = {.kind = OUTBOX_KIND_CHECKPOINT,
		.key = key,
		.order_key = key, /* one that is refused stops no other */
		.target = m->config->service,
		.payload = payload};
	int r = outbox_add(tx, &row, e);

	json_decref(payload);
	return r;
}

static int apply_made(struct db *tx, void *data, struct err *e)
{
	const struct made *m = data;
	int r = checkpoints_add(tx, m->c, m->note, m->public, e);

	return r == 0 && m->config->service ? add_to_outbox(tx, m, e) : r;
}

static int sign(const struct notary *n, const struct records_config *c, const char *text,
	struct made *m, struct err *e)
{
	uint8_t signature[CHECKPOINT_SIGNATURE];
	struct x509_key key = {0};
	int r;

	if (!c->signer) {
		m->note = checkpoint_note(text, NULL, NULL);
		return 0;
	}
	r = keys_sign_checkpoint(
		n->line->keys, c->signer, "records", text, signature, &m->public, e);
	if (r == 0)
		r = x509_key_read(m->public, &key, e);
	if (r == 0)
		m->note = checkpoint_note(text, &key, signature);
	/* What is on record is what others can verify. */
	if (r == 0)
		r = checkpoint_note_verify(m->note, &key, e);
	x509_key_done(&key);
	return r;
}

static int make(struct notary *n, const struct checkpoint *c, const struct records_config *config,
	struct err *e)
{
	char text[CHECKPOINT_TEXT_BYTES];
	struct made m = {.c = c, .config = config};
	int r;

	checkpoint_text(c, text);
	r = sign(n, config, text, &m, e);
	if (r == 0)
		r = writer_do(n->line->writer, apply_made, &m, e);
	free(m.note);
	free(m.public);
	return r;
}

/* forced: however few runs and however soon. */
static int make_if_due(struct notary *n, bool forced, int64_t *ret_missing, struct err *e)
{
	struct config *config = n->line->config(n->line->line);
	struct checkpoint_row newest;
	struct checkpoint now;
	int r;

	mutex_lock(&n->lock);
	r = look(n, &now, &newest, ret_missing, e);
	if (r == 0 &&
		(forced ? !is_covered(&now, &newest) : is_due(n, &now, &newest, &config->records)))
		r = make(n, &now, &config->records, e);
	mutex_unlock(&n->lock);
	config_unref(config);
	return r < 0 ? err_prefix(e, "checkpoint of the records") : r;
}

int notary_make(struct notary *n, struct err *e)
{
	int64_t missing;

	return make_if_due(n, true, &missing, e);
}

/* --- the thread --- */

static int apply_catch_up(struct db *tx, void *data, struct err *e)
{
	return run_records_append(tx, CATCH_UP, NULL, NULL, e);
}

/* The same sentence again and again says nothing. */
static void log_once(struct notary *n, const char *text)
{
	mutex_lock(&n->lock);
	if (*text && strcmp(n->trouble, text) != 0)
		log_warning("%s", text);
	snprintf(n->trouble, sizeof n->trouble, "%s", text);
	mutex_unlock(&n->lock);
}

/* 1: more is to be done at once. */
static int work(struct notary *n, struct err *e)
{
	int64_t missing = 0;
	struct err why = {0};
	int r = make_if_due(n, false, &missing, e);
	int k = 0;

	/* Also where a checkpoint is due that nobody signs now. */
	if (missing > 0)
		k = writer_do(n->line->writer, apply_catch_up, NULL, &why);
	if (r == 0 && k < 0 && e)
		*e = why;
	r = r < 0 ? r : k;
	return r < 0 ? r : missing > CATCH_UP;
}

static bool may_write(const struct notary *n)
{
	return holds_check(n->line->holds, HOLD_STOPS_SENDING, NULL) == 0;
}

static void *notary_main(void *arg)
{
	struct notary *n = arg;
	const struct iotime it = {NO_DEADLINE, &n->stop};

	/* From the start on, so that what a process has open does not grow later; else at the first look. */
	mutex_lock(&n->lock);
	if (!n->db)
		db_open_reader(n->db_path, &n->db, NULL);
	mutex_unlock(&n->lock);
	while (iotime_sleep(LOOK_EVERY_US, &it, NULL) == 0) {
		struct err e = {0};
		int r = 1;

		while (r > 0 && cancel_reason(&n->stop) == ERR_NONE && may_write(n))
			r = work(n, &e);
		log_once(n, r < 0 ? e.msg : "");
	}
	return NULL;
}

int notary_start(
	const struct line_services *line, const char *db_path, struct notary **ret, struct err *e)
{
	struct notary *n = xcalloc(1, sizeof *n);
	int r = cancel_init(&n->stop, e);

	n->line = line;
	n->begun_ms = wall_ms();
	n->db_path = xstrdup(db_path);
	mutex_init(&n->lock);
	if (r == 0) {
		r = thread_start(&n->thread, "notary", notary_main, n, e);
		if (r < 0)
			cancel_done(&n->stop);
	}
	if (r < 0) {
		mutex_done(&n->lock);
		free(n->db_path);
		free(n);
		return r;
	}
	*ret = n;
	return 0;
}

struct notary *notary_free(struct notary *n)
{
	struct err e = {0};

	if (!n)
		return NULL;
	cancel_fire(&n->stop, ERR_SHUTDOWN);
	pthread_join(n->thread, NULL);
	if (may_write(n) && notary_make(n, &e) < 0)
		log_warning("%s", e.msg);
	cancel_done(&n->stop);
	db_free(n->db);
	mutex_done(&n->lock);
	free(n->db_path);
	free(n);
	return NULL;
}
