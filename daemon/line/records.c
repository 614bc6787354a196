/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/records.h"

#include "base/iotime.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/seal.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/machine.h"
#include "daemon/line/same_file.h"
#include "daemon/line/scrub.h"
#include "db/certificates.h"
#include "db/chain_head.h"
#include "db/clock.h"
#include "db/events.h"
#include "db/integrity.h"
#include "db/retention.h"
#include "db/runs.h"

#define PRUNE_EVERY_US (60 * US_PER_S)
#define HEAD_EVERY_US  (3600 * US_PER_S)
#define FIRST_REASON   "first start"
#define FIRST_CHECK_US (20 * US_PER_MS)

struct records {
	struct records_opts o;
	char *db_path, *log_path, *marks_path; /* log_path: NULL where the engine has none */
	struct same_file files[3]; /* main: what is written to, by its names; NULL: no such file */
	struct disk *disk;
	struct wall *wall;
	struct scrub *scrub;
	struct seal *seal; /* immutable */
	struct writer *writer;
	uint64_t prune_us, head_us; /* main: when next */
	bool owes_recovery; /* atomic: open runs from before the start, which found no room */
	bool owes_marked;   /* atomic: the epoch is not known to have its marks */
	bool probing;	    /* atomic: the writer looks whether there is room */
	int64_t recovered;  /* of the probe */

	/* The thread that opens, then the writer thread: */
	struct marks *marks;
	bool marks_exist;
	bool begin; /* the marks begin again with the commit that is made */
	struct marks_head head;
	struct chain_head chain_told, chain_now; /* of the hash chain; now: of this transaction */

	struct mutex lock;
	struct lineage_view view; /* under lock: the comparison at the start, or since accepted */
	int64_t keep_events_ms;	  /* atomic */
	int64_t jump_ms;	  /* atomic: of the clock, the last one */
};

/* --- the writer's thread --- */

static void publish_view(struct records *r, const struct lineage_view *v)
{
	mutex_lock(&r->lock);
	r->view = *v;
	mutex_unlock(&r->lock);
}

static bool begins_epoch(const struct db_mark *mark, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mark[i].kind && !mark[i].value)
			return true;
	return false;
}

static int on_marks(void *data, int64_t seq, const struct db_mark *mark, size_t n, struct err *e)
{
	struct records *r = data;
	int ret = 0;

	/* Not for an acceptance that was rolled back; again for one whose marks found no place. */
	if (r->begin && (begins_epoch(mark, n) || holds_has(r->o.holds, HOLD_MARKS))) {
		ret = marks_begin(r->marks, &r->head, e);
		r->begin = ret < 0;
	} else {
		r->begin = false;
	}
	/* Nothing is marked under a head that is not this database's. */
	if (ret == 0 && !holds_has(r->o.holds, HOLD_LINEAGE))
		ret = marks_note(r->marks, seq, mark, n, e);
	if (ret < 0)
		holds_set(r->o.holds, HOLD_MARKS, "%s",
			e->msg[0] ? e->msg : "the high-water marks cannot be written");
	else
		holds_lift(r->o.holds, HOLD_MARKS);
	return ret;
}

static void on_make_room(void *data)
{
	disk_make_room(((struct records *)data)->disk);
}

static void on_full(void *data, const struct err *e)
{
	disk_refused(((struct records *)data)->disk, e->msg);
}

static void on_committed(void *data, const struct db_event *ev, size_t n)
{
	struct records *r = data;

	wall_recorded(r->wall, ev[n - 1].at);
	if (r->o.committed)
		r->o.committed(r->o.data, ev, n);
}

static void on_damaged(void *data, const struct err *e)
{
	holds_set(((struct records *)data)->o.holds, HOLD_DAMAGE, "%s", e->msg);
}

/* --- open --- */

struct first_epoch {
	struct records *r;
	const char *reason;
};

static int apply_first(struct db *tx, void *data, struct err *e)
{
	const struct first_epoch *f = data;
	const struct lineage_accept a = {.marks = f->r->marks, .by = "provd", .reason = f->reason};
	int r = lineage_begin(tx, &a, &f->r->head, e);

	if (r == 0)
		f->r->begin = true;
	return r;
}

static int apply_marked(struct db *tx, void *data, struct err *e)
{
	return lineage_marked(tx, e);
}

static int apply_raise(struct db *tx, void *data, struct err *e)
{
	return lineage_raise(tx, data, e);
}

/* Marks that a power cut tore, or of an older format, are written again from what both know. Where
 * there is no room, the line is held until there is. */
static int repair_marks(struct records *r, const struct lineage_view *v, struct err *e)
{
	int ret;

	if (!marks_worn(r->marks))
		return 0;
	if (v->flaw[0])
		log_notice(
			"the last lines of the high-water marks (%s) were lost in a crash: the database knows what they said",
			v->flaw);
	ret = writer_do(r->writer, apply_raise, r->marks, e);
	if (ret == 0 && marks_begin(r->marks, &v->db, e) < 0)
		holds_set(r->o.holds, HOLD_MARKS, "%s", e->msg);
	return ret;
}

/* The marks of an epoch that a crash left without any: with the first commit that finds room. */
static int begin_marks(struct records *r, const struct lineage_view *v, struct err *e)
{
	int ret = marks_begin(r->marks, &v->db, e);

	if (ret == 0)
		return writer_do(r->writer, apply_marked, NULL, e);
	if (ret != -ERR_DISK_FULL)
		return ret;
	r->head = v->db;
	r->begin = true;
	__atomic_store_n(&r->owes_marked, true, __ATOMIC_RELAXED);
	holds_set(r->o.holds, HOLD_MARKS, "%s", e->msg);
	return 0;
}

static void log_recovered(int64_t interrupted)
{
	if (interrupted > 0)
		log_notice("%lld run%s that were open when provd ended: interrupted",
			(long long)interrupted, interrupted == 1 ? "" : "s");
}

static int apply_recover(struct db *tx, void *data, struct err *e)
{
	int r = runs_recover(tx, data, e);

	if (r == 0)
		r = certificates_settle(tx, e);
	return MIN(r, 0);
}

/* On a full disk the open runs stay so until there is room: no run begins before (HOLD_DISK). */
static int recover(struct records *r, struct err *e)
{
	int64_t interrupted = 0;
	int ret = writer_do(r->writer, apply_recover, &interrupted, e);

	if (ret == -ERR_DISK_FULL) {
		__atomic_store_n(&r->owes_recovery, true, __ATOMIC_RELAXED);
		disk_refused(r->disk, e->msg);
		return 0;
	}
	/* Held: reading goes on, and what is open stays so. */
	if (ret == -ERR_RECORDS_DAMAGED)
		return 0;
	log_recovered(interrupted);
	return ret < 0 ? err_prefix(e, "recovery") : 0;
}

/* The database and the marks know each other from here on. */
static int settle_lineage(struct records *r, const struct lineage_view *v, struct err *e)
{
	struct first_epoch f = {r, FIRST_REASON};
	struct lineage_view same = {.verdict = LINEAGE_SAME};
	char text[ERR_TEXT_BYTES];
	int ret = 0;

	switch (v->verdict) {
	case LINEAGE_SAME:
		ret = repair_marks(r, v, e);
		break;
	case LINEAGE_NEW:
		ret = writer_do(r->writer, apply_first, &f, e);
		if (ret == 0)
			ret = writer_do(r->writer, apply_marked, NULL, e);
		break;
	case LINEAGE_BEGUN:
		ret = begin_marks(r, v, e);
		break;
	case LINEAGE_UNMARKED:
	case LINEAGE_LOST:
	case LINEAGE_OLDER:
	case LINEAGE_OTHER:
	case LINEAGE_DAMAGED:
	case LINEAGE_MOVED:
		lineage_describe(v, text, sizeof text);
		holds_set(r->o.holds, HOLD_LINEAGE,
			"%s: numbers could be given out twice. A person decides: provctl records",
			text);
		return 0;
	}
	if (ret < 0)
		return ret;
	same.db = same.marks = v->verdict == LINEAGE_NEW ? r->head : v->db;
	publish_view(r, &same);
	return recover(r, e);
}

/* What the file held then is taken for what was written: that stays on record. */
static int apply_sums_begun(struct db *tx, void *data, struct err *e)
{
	size_t pages;
	const char *why = db_sums_begun(tx, &pages);

	return why ? db_event(tx, "page-sums-begun", NULL, NULL, NULL, NULL,
			     json_pack("{s:I, s:s}", "pages", (json_int_t)pages, "reason", why), e)
		   : 0;
}

static bool time_is_up(void *data)
{
	return now_us() >= *(uint64_t *)data;
}

/* As far as it goes in a moment: small records are known to be sound before anyone is served; of
 * large ones the check in the background has the rest. */
static void check_first(struct records *r, struct db *db)
{
	uint64_t until = now_us() + FIRST_CHECK_US;
	const struct integrity_stop stop = {time_is_up, &until};
	char found[ERR_TEXT_BYTES] = "";
	int64_t runs;
	struct err e;
	int ret = integrity_structure(db, &stop, found, &e);

	if (ret == 0 && !found[0])
		ret = integrity_chain(db, &stop, &runs, found, &e);
	if (ret == -ERR_RECORDS_DAMAGED)
		snprintf(found, sizeof found, "%s", e.msg);
	if (!found[0] && db_damaged_page(db))
		snprintf(found, sizeof found, "page %u of the database is not what was written",
			db_damaged_page(db));
	if (found[0])
		holds_set(r->o.holds, HOLD_DAMAGE, "%s", found);
}

/* The index of the log needs room, also to read: what is kept for the start is given for it. */
static int open_with_room(struct records *r, struct db **ret, struct err *e)
{
	int k;

	while ((k = db_open(r->db_path, ret, e)) == -ERR_DISK_FULL && disk_give_start(r->disk))
		log_warning("%s: what is kept for the start is used", e->msg);
	return k;
}

/* The sums of a database that is gone, and no marks either: this is not a first start. Marks that
 * say nothing hold the line, also at the next start, which finds a new database. */
static int keep_loss(const struct records *r, struct err *e)
{
	_cleanup_(freep) char *sums = db_sums_path(r->db_path);
	struct outfile none = {.fd = -1};
	char sha256[SHA256_HEX];
	int k;

	if (access(r->db_path, F_OK) == 0 || !sums || access(sums, F_OK) < 0 ||
		access(r->marks_path, F_OK) == 0)
		return 0;
	k = outfile_open(&none, r->marks_path, e);
	if (k == 0)
		k = outfile_end(&none, sha256, e);
	if (k == 0)
		k = outfile_commit(&none, e);
	outfile_done(&none);
	return k;
}

static int open_database(struct records *r, struct err *e)
{
	const struct writer_opts wo = {.marks = on_marks,
		.make_room = on_make_room,
		.full = on_full,
		.committed = on_committed,
		.damaged = on_damaged,
		.data = r};
	_cleanup_(db_freep) struct db *db = NULL;
	char machine[MARKS_MACHINE_SIZE];
	struct lineage_view v;
	int64_t floor = 0;
	int ret = keep_loss(r, e);

	if (ret == 0)
		ret = open_with_room(r, &db, e);
	if (ret == 0 && machine_name(r->o.config->machine_id, machine, e) < 0)
		log_warning(
			"a copy of these records that works on a second machine would not be noticed: %s",
			e->msg);
	if (ret == 0) {
		db_tolerate(db, true);
		ret = clock_floor(db, &floor, e);
	}
	if (ret == 0)
		ret = marks_open(r->marks_path, &r->marks_exist, &r->marks, e);
	if (ret == 0)
		ret = lineage_compare(db, r->marks, r->marks_exist, machine, &v, e);
	if (ret < 0)
		return ret;
	marks_bind(r->marks, machine);
	db_tolerate(db, false);
	check_first(r, db);
	r->wall = wall_new(floor, config_needs_sync(r->o.config, wall_has_service()), r->o.holds);
	publish_view(r, &v);
	ret = writer_new(db, &wo, &r->writer, e);
	if (ret < 0)
		return ret;
	steal_ptr(&db);
	return settle_lineage(r, &v, e);
}

int records_open(const struct records_opts *o, struct records **ret, struct err *e)
{
	_cleanup_(records_freep) struct records *r = xcalloc(1, sizeof *r);
	const struct config *c = o->config;
	_cleanup_(freep) char *seal_path = xasprintf("%s/keep/records.key", c->state_dir);
	int k;

	r->o = *o;
	r->chain_told.chain = -1;
	r->head_us = now_us() + HEAD_EVERY_US;
	r->o.config = c;
	r->db_path = xasprintf("%s/provd.db", c->state_dir);
	r->marks_path =
		c->marks_file ? xstrdup(c->marks_file) : xasprintf("%s/provd.marks", c->state_dir);
	r->log_path = db_log_path(r->db_path);
	r->files[0].path = r->db_path;
	r->files[1].path = r->log_path;
	r->files[2] = (struct same_file){.path = r->marks_path, .renewed = true};
	mutex_init(&r->lock);
	r->disk = disk_new(c->state_dir, c->disk_reserve_bytes, o->holds);
	r->scrub = scrub_new(r->db_path, o->holds);
	/* A full disk at the start: the open runs are ended on record all the same. */
	disk_make_room(r->disk);
	/* Without a key the line works on, and what leaves it is not signed. */
	if (seal_open(seal_path, &r->seal, e) < 0)
		log_error("what leaves this host is not signed: %s", e->msg);
	k = open_database(r, e);
	r->o.config = NULL;
	if (k < 0)
		return k;
	if (!holds_has(o->holds, HOLD_LINEAGE))
		writer_submit(r->writer, apply_sums_begun, NULL, NULL, e);
	records_tick(r, c);
	*ret = steal_ptr(&r);
	return 0;
}

struct records *records_free(struct records *r)
{
	if (!r)
		return NULL;
	scrub_free(r->scrub);
	writer_free(r->writer);
	seal_free(r->seal);
	marks_free(r->marks);
	wall_free(r->wall);
	disk_free(r->disk);
	mutex_done(&r->lock);
	free(r->db_path);
	free(r->log_path);
	free(r->marks_path);
	free(r);
	return NULL;
}

/* --- every second --- */

static int apply_prune(struct db *tx, void *data, struct err *e)
{
	struct records *r = data;
	const struct retention policy = {.now_ms = wall_ms(),
		.believed = wall_check(r->wall, NULL) == 0,
		.events_keep_ms = __atomic_load_n(&r->keep_events_ms, __ATOMIC_RELAXED)};
	int ret = clock_keep(tx, wall_floor_ms(r->wall), e);

	return ret < 0 ? ret : retention_apply(tx, &policy, e);
}

static int apply_jump(struct db *tx, void *data, struct err *e)
{
	struct records *r = data;
	int ret = clock_keep(tx, wall_floor_ms(r->wall), e);

	if (ret < 0)
		return ret;
	return db_event(tx, "clock-jumped", NULL, NULL, NULL, NULL,
		json_pack("{s:I}", "by_ms",
			(json_int_t)__atomic_load_n(&r->jump_ms, __ATOMIC_RELAXED)),
		e);
}

static int apply_head(struct db *tx, void *data, struct err *e)
{
	struct records *r = data;

	return chain_head_tell(tx, &r->chain_told, r->seal, &r->chain_now, e);
}

static void head_told(void *data, int result, const struct err *err)
{
	struct records *r = data;

	if (result < 0) {
		log_warning("the head of the chain of runs is not said: %s", err->msg);
		return;
	}
	if (r->chain_now.chain > 0 && r->chain_now.chain != r->chain_told.chain)
		log_notice("the chain of runs ends at %lld: %s (run %s)",
			(long long)r->chain_now.chain, r->chain_now.hash, r->chain_now.run);
	r->chain_told = r->chain_now;
}

/* Something that is really written, by the writer: the database, and the marks where they failed.
 * What the start owes goes with it. */
static int apply_probe(struct db *tx, void *data, struct err *e)
{
	struct records *r = data;
	int ret = clock_keep(tx, wall_floor_ms(r->wall), e);

	r->recovered = 0;
	if (ret == 0 && __atomic_load_n(&r->owes_recovery, __ATOMIC_RELAXED))
		ret = runs_recover(tx, &r->recovered, e);
	if (ret == 0 && holds_has(r->o.holds, HOLD_MARKS) && !holds_has(r->o.holds, HOLD_LINEAGE)) {
		ret = r->begin ? marks_begin(r->marks, &r->head, e) : marks_probe(r->marks, e);
		r->begin &= ret < 0;
		if (ret == 0)
			holds_lift(r->o.holds, HOLD_MARKS);
	}
	if (ret == 0 && __atomic_load_n(&r->owes_marked, __ATOMIC_RELAXED))
		ret = lineage_marked(tx, e);
	return ret;
}

static void probed(void *data, int result, const struct err *err)
{
	struct records *r = data;

	if (result == 0) {
		log_recovered(r->recovered);
		__atomic_store_n(&r->owes_recovery, false, __ATOMIC_RELAXED);
		__atomic_store_n(&r->owes_marked, false, __ATOMIC_RELAXED);
		disk_took(r->disk);
	}
	__atomic_store_n(&r->probing, false, __ATOMIC_RELEASE);
}

/* While something could not be written: whether it can now. */
static void probe(struct records *r)
{
	struct err e;

	if (!disk_is_refused(r->disk) && !holds_has(r->o.holds, HOLD_MARKS) &&
		!__atomic_load_n(&r->owes_recovery, __ATOMIC_RELAXED) &&
		!__atomic_load_n(&r->owes_marked, __ATOMIC_RELAXED))
		return;
	if (__atomic_exchange_n(&r->probing, true, __ATOMIC_ACQUIRE))
		return;
	if (writer_submit(r->writer, apply_probe, r, probed, &e) < 0)
		__atomic_store_n(&r->probing, false, __ATOMIC_RELEASE);
}

/* What is recorded now would be gone with this process, or with the next start. */
static void look_at_files(struct records *r)
{
	for (size_t i = 0; i < ARRAY_LEN(r->files); i++)
		if (r->files[i].path && !same_file_look(&r->files[i]))
			holds_set(r->o.holds, HOLD_DAMAGE,
				"%s was removed or replaced while provd writes to it: stop provd with 'systemctl stop', put the file back or restore a backup, and start it",
				r->files[i].path);
}

void records_tell_head(struct records *r)
{
	struct err e = {0};

	if (!holds_has(r->o.holds, HOLD_LINEAGE))
		head_told(r, writer_do(r->writer, apply_head, r, &e), &e);
}

void records_tick(struct records *r, const struct config *c)
{
	uint64_t now = now_us();
	int64_t jump;
	struct err e;

	disk_tick(r->disk);
	probe(r);
	look_at_files(r);
	if (wall_tick(r->wall, &jump)) {
		log_warning("the clock of this machine jumped by %lld s", (long long)jump / 1000);
		__atomic_store_n(&r->jump_ms, jump, __ATOMIC_RELAXED);
		writer_submit(r->writer, apply_jump, r, NULL, &e);
	}
	__atomic_store_n(&r->keep_events_ms, (int64_t)(c->events_keep_us / 1000), __ATOMIC_RELAXED);
	if (now >= r->head_us && !holds_has(r->o.holds, HOLD_LINEAGE)) {
		r->head_us = now + HEAD_EVERY_US;
		writer_submit(r->writer, apply_head, r, head_told, &e);
	}
	if (now >= r->prune_us && !holds_has(r->o.holds, HOLD_LINEAGE)) {
		r->prune_us = now + PRUNE_EVERY_US;
		writer_submit(r->writer, apply_prune, r, NULL, &e);
	}
}

void records_check(struct records *r)
{
	scrub_start(r->scrub);
}

/* --- for everyone --- */

struct writer *records_writer(const struct records *r)
{
	return r->writer;
}

struct disk *records_disk(const struct records *r)
{
	return r->disk;
}

struct wall *records_wall(const struct records *r)
{
	return r->wall;
}

const char *records_path(const struct records *r)
{
	return r->db_path;
}

const struct seal *records_seal(const struct records *r)
{
	return r->seal;
}

void records_epoch(struct records *r, char ret[MARKS_EPOCH_SIZE])
{
	mutex_lock(&r->lock);
	memcpy(ret, r->view.db.epoch, MARKS_EPOCH_SIZE);
	mutex_unlock(&r->lock);
}

static const char *const verdict_name[] = {[LINEAGE_SAME] = "same",
	[LINEAGE_NEW] = "new",
	[LINEAGE_BEGUN] = "begun",
	[LINEAGE_UNMARKED] = "unmarked",
	[LINEAGE_LOST] = "lost",
	[LINEAGE_OLDER] = "older",
	[LINEAGE_OTHER] = "other",
	[LINEAGE_DAMAGED] = "damaged",
	[LINEAGE_MOVED] = "moved"};

json_t *records_json(struct records *r)
{
	struct lineage_view v;
	char text[ERR_TEXT_BYTES];

	mutex_lock(&r->lock);
	v = r->view;
	mutex_unlock(&r->lock);
	lineage_describe(&v, text, sizeof text);
	return json_pack("{s:s, s:I, s:{s:s, s:s, s:I, s:I, s:i}, s:o, s:o, s:s?, s:s?}", "epoch",
		v.db.epoch, "generation", (json_int_t)v.db.generation, "lineage", "verdict",
		verdict_name[v.verdict], "message", text, "database_seq", (json_int_t)v.db.seq,
		"marks_seq", (json_int_t)v.marks.seq, "pools_behind", v.behind, "holds",
		holds_json(r->o.holds), "check", scrub_json(r->scrub), "key",
		r->seal ? seal_id(r->seal) : NULL, "public_key",
		r->seal ? seal_public(r->seal) : NULL);
}

/* --- a person's word --- */

int records_accept_apply(struct records *r, struct db *tx, const json_t *pools, const char *by,
	const char *reason, json_t **ret, struct err *e)
{
	struct lineage_accept a = {.marks = r->marks, .by = by, .reason = reason, .pools = pools};
	struct marks_head now;
	bool busy;
	int k = lineage_head(tx, &now, e);

	if (k < 0)
		return k;
	if (!holds_has(r->o.holds, HOLD_LINEAGE))
		return err_set(e, ERR_CONFLICT,
			"the database is the one that this line works with: nothing is to be accepted");
	mutex_lock(&r->lock);
	a.need_pools = r->view.verdict == LINEAGE_UNMARKED || r->view.verdict == LINEAGE_DAMAGED;
	busy = strcmp(now.epoch, r->view.db.epoch) != 0;
	mutex_unlock(&r->lock);
	/* The epoch of an acceptance whose marks could not be written is given up. */
	if (busy && !(r->begin && holds_has(r->o.holds, HOLD_MARKS)))
		return err_set(e, ERR_CONFLICT,
			"the database is just being accepted: see 'provctl records show'");
	k = lineage_begin(tx, &a, &r->head, e);
	if (k < 0)
		return k;
	r->begin = true;
	*ret = json_pack("{s:s, s:I, s:I}", "epoch", r->head.epoch, "generation",
		(json_int_t)r->head.generation, "after_seq", (json_int_t)r->head.seq);
	return 0;
}

int records_accepted(struct records *r, struct err *e)
{
	struct lineage_view v = {.verdict = LINEAGE_SAME, .db = r->head, .marks = r->head};
	int ret = writer_do(r->writer, apply_marked, NULL, e);

	if (ret == 0)
		ret = recover(r, e);
	if (ret < 0) {
		/* Still held: another acceptance begins another epoch. */
		mutex_lock(&r->lock);
		r->view.db = v.db;
		mutex_unlock(&r->lock);
		return ret;
	}
	publish_view(r, &v);
	holds_lift(r->o.holds, HOLD_LINEAGE);
	return 0;
}

int records_accept_clock_apply(struct records *r, struct db *tx, const char *by, const char *reason,
	json_t **ret, struct err *e)
{
	int64_t now = wall_ms();
	char text[RFC3339_SIZE];
	int k = clock_accept(tx, now, by, reason, e);

	if (k == 0)
		*ret = json_pack("{s:s}", "now", rfc3339(now, text));
	return k;
}

void records_clock_accepted(struct records *r)
{
	wall_accept(r->wall, wall_ms());
}
