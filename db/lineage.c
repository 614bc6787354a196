/* SPDX-License-Identifier: Apache-2.0 */
#include "db/lineage.h"

#include "base/digest.h"
#include "base/secret.h"
#include "base/timefmt.h"
#include "db/events.h"
#include "db/pools.h"
#include "db/stmt.h"

bool lineage_sound(enum lineage v)
{
	return v == LINEAGE_SAME || v == LINEAGE_NEW || v == LINEAGE_BEGUN;
}

/* The newest epoch, and whether its marks are on disk. */
static int read_head(struct db *d, struct marks_head *ret, bool *ret_marked, struct err *e)
{
	struct newest {
		struct marks_head head;
		bool marked;
	} row = {0};
	static const struct column columns[] = {
		COL_AS(struct newest, head.generation, "generation"),
		COL_AS(struct newest, head.epoch, "epoch"), COL(struct newest, marked), {0}};
	SELECT(newest,
		"SELECT generation, epoch, marked FROM epochs ORDER BY generation DESC LIMIT 1",
		columns);
	int64_t first;
	int r = select_one(d, e, &newest, &row);

	*ret = row.head;
	*ret_marked = row.marked;
	return r < 0 ? r : events_bounds(d, &first, &ret->seq, e);
}

int lineage_head(struct db *d, struct marks_head *ret, struct err *e)
{
	bool marked;

	return read_head(d, ret, &marked, e);
}

/* 1 if the database once lived under that epoch. */
static int knows_epoch(struct db *d, const char *epoch, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM epochs WHERE epoch = ?";

	return db_has(d, e, sql, epoch);
}

static int compare_pools(struct db *d, const struct marks *m, struct lineage_view *v, struct err *e)
{
	static const char sql[] = "SELECT next FROM pools WHERE id = ?";
	const char *id;
	int64_t mark;

	for (size_t i = 0; (id = marks_pool(m, i, &mark)); i++) {
		int64_t next = 0;
		int r = db_int(d, e, &next, sql, id);

		if (r < 0)
			return r;
		if (r > 0 && next >= mark)
			continue;
		if (v->behind++ == 0) {
			snprintf(v->pool, sizeof v->pool, "%s", id);
			v->pool_next = next;
			v->mark_next = mark;
		}
	}
	return 0;
}

static enum lineage judge_known(const struct lineage_view *v, bool exist, bool marked, bool known)
{
	bool has_epoch = v->db.epoch[0] != 0;

	if (!exist)
		return !has_epoch ? LINEAGE_NEW : marked ? LINEAGE_UNMARKED : LINEAGE_BEGUN;
	if (!v->marks.epoch[0])
		return LINEAGE_DAMAGED;
	if (!has_epoch)
		return LINEAGE_LOST;
	if (strcmp(v->db.epoch, v->marks.epoch) != 0)
		return known ? LINEAGE_BEGUN : LINEAGE_OTHER;
	return v->db.seq < v->marks.seq || v->behind ? LINEAGE_OLDER : LINEAGE_SAME;
}

/* Lines that are missing in torn marks come from commits before the marks' SEQ: only a database
 * that has that event knows what they said. */
static enum lineage judge(const struct lineage_view *v, const struct marks *m, bool exist,
	bool marked, bool known, const char *machine)
{
	enum lineage verdict = judge_known(v, exist, marked, known);

	if (!exist)
		return verdict;
	if (marks_state(m) == MARKS_DAMAGED ||
		(marks_state(m) == MARKS_TORN &&
			(!lineage_sound(verdict) || v->db.seq < v->marks.seq)))
		return LINEAGE_DAMAGED;
	if (lineage_sound(verdict) && machine[0] && marks_machine(m)[0] &&
		strcmp(machine, marks_machine(m)) != 0)
		return LINEAGE_MOVED;
	return verdict;
}

int lineage_compare(struct db *d, const struct marks *m, bool marks_exist, const char *machine,
	struct lineage_view *ret, struct err *e)
{
	struct lineage_view v = {.marks = *marks_head(m)};
	bool marked;
	int known = 0;
	int r = read_head(d, &v.db, &marked, e);

	if (r == 0 && marks_exist)
		r = known = knows_epoch(d, v.marks.epoch, e);
	if (r >= 0)
		r = compare_pools(d, m, &v, e);
	if (r < 0)
		return err_prefix(e, "comparing the database with its high-water marks");
	snprintf(v.flaw, sizeof v.flaw, "%s", marks_flaw(m));
	v.verdict = judge(&v, m, marks_exist, marked, known > 0, machine);
	*ret = v;
	return 0;
}

void lineage_describe(const struct lineage_view *v, char *buf, size_t size)
{
	switch (v->verdict) {
	case LINEAGE_SAME:
	case LINEAGE_NEW:
	case LINEAGE_BEGUN:
		snprintf(buf, size, "the database is the one that this line works with");
		return;
	case LINEAGE_UNMARKED:
		snprintf(buf, size,
			"the high-water marks of this database are missing: it was restored on another machine, or they are lost");
		return;
	case LINEAGE_DAMAGED:
		snprintf(buf, size,
			"the high-water marks of this line are damaged (%s): what was given out since the database was written is not known",
			v->flaw);
		return;
	case LINEAGE_MOVED:
		snprintf(buf, size,
			"these records were last written on another machine: a copy that still works there gives out the same numbers (stop it for good, or name other numbers for the pools here)");
		return;
	case LINEAGE_LOST:
		snprintf(buf, size,
			"the database is missing: this line has published %lld events, and a new, empty database was found",
			(long long)v->marks.seq);
		return;
	case LINEAGE_OLDER:
		if (v->behind)
			snprintf(buf, size,
				"the database is older than what this line has given out: pool %s is at %lld, the line at %lld",
				v->pool, (long long)v->pool_next, (long long)v->mark_next);
		else
			snprintf(buf, size,
				"the database is older than what this line has published: it ends at event %lld, the line at %lld",
				(long long)v->db.seq, (long long)v->marks.seq);
		return;
	case LINEAGE_OTHER:
		snprintf(buf, size,
			"the database is another one: its epoch is %s, the line works with %s",
			v->db.epoch, v->marks.epoch);
		return;
	}
}

int lineage_list(struct db *d, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"generation", AS_INT}, {"epoch", AS_TEXT},
		{"begun_at", AS_TIME}, {"begun_by", AS_TEXT}, {"reason", AS_TEXT},
		{"from_seq", AS_INT}, {"after_seq", AS_INT}, {0}};
	SELECT(all,
		"SELECT generation, epoch, begun_at, begun_by, reason, from_seq,"
		" after_seq FROM epochs ORDER BY generation DESC",
		columns);

	return db_all_json(d, e, &all, ret);
}

/* --- a new epoch --- */

static int64_t said_next(const struct lineage_accept *a, const char *id)
{
	return json_integer_value(json_object_get(a->pools, id));
}

/* A pool with a pattern. */
struct pool_row {
	const char *id;
	int64_t next, last;
};

static const struct column pool_columns[] = {
	COL(struct pool_row, id), COL(struct pool_row, next), COL(struct pool_row, last), {0}};
SELECT(all_pools, "SELECT id, next, last FROM pools WHERE pattern IS NOT NULL ORDER BY id",
	pool_columns);

/* Each pool that the person named is one, with a number that it can reach. */
static int check_said(struct db *tx, const struct lineage_accept *a, struct err *e)
{
	const char *id;
	json_t *v;

	json_object_foreach((json_t *)a->pools, id, v) {
		SELECT(find,
			"SELECT id, next, last FROM pools WHERE id = ? AND pattern IS NOT NULL",
			pool_columns);
		_cleanup_(query_done) struct query q = {0};
		struct pool_row row;
		int r = select_begin(&q, tx, e, &find, id);

		if (r == 0)
			r = select_next(&q, &row, e);
		if (r < 0)
			return r;
		if (r == 0)
			return err_set(
				e, ERR_UNPROCESSABLE, "there is no pool '%s' with a pattern", id);
		if (!json_is_integer(v) || json_integer_value(v) < row.next ||
			json_integer_value(v) > row.last + 1)
			return err_set(e, ERR_UNPROCESSABLE,
				"pool %s: the next number must be from %lld to %lld", id,
				(long long)row.next, (long long)row.last + 1);
	}
	return 0;
}

static int check_named(struct db *tx, const struct lineage_accept *a, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	struct pool_row row;
	int r = select_begin(&q, tx, e, &all_pools);

	while (r == 0 && (r = select_next(&q, &row, e)) > 0) {
		if (!json_object_get(a->pools, row.id))
			return err_set(e, ERR_UNPROCESSABLE,
				"what pool %s has given out since the backup is not known: name its next number (the backup says %lld)",
				row.id, (long long)row.next);
		r = 0;
	}
	return r;
}

/* How far the marks know that the pool was, 0 not at all. */
static int64_t marked_next(const struct lineage_accept *a, const char *pool)
{
	int64_t mark, found = 0;
	const char *id;

	for (size_t i = 0; (id = marks_pool(a->marks, i, &mark)); i++)
		if (!strcmp(id, pool))
			found = MAX(found, mark);
	return found;
}

/* What the marks know was given out by records that are no longer there: the gaps of the pool say so. */
static int advance_all(struct db *tx, const struct lineage_accept *a, struct err *e)
{
	_cleanup_(freep) char *restored = xasprintf("restored backup: %s", a->reason);
	_cleanup_(query_done) struct query q = {0};
	struct pool_row row;
	int r = select_begin(&q, tx, e, &all_pools);

	while (r == 0 && (r = select_next(&q, &row, e)) > 0) {
		const int64_t said = MAX(row.next, said_next(a, row.id));
		const int64_t mark = marked_next(a, row.id);
		const int64_t to = MAX(said, mark);

		/* A pool that was extended after the backup: what it gave out is beyond its end. */
		r = to > row.next ? pools_advance(tx, row.id, MIN(to, row.last + 1),
					    mark > row.next ? restored : a->reason, a->by, e)
				  : 0;
	}
	return r;
}

static int void_value(void *data, const char *kind, const char *value, struct err *e)
{
	static const char sql[] =
		"INSERT INTO serials (value, kind, state, reason, settled_at)"
		" VALUES (?1, ?2, 'void', 'used after the backup that was restored', ?3)"
		" ON CONFLICT (kind, value) DO UPDATE SET state = 'void',"
		" reason = excluded.reason, settled_at = excluded.settled_at WHERE state = 'free'";

	return db_do(data, e, sql, value, kind, wall_ms());
}

/* The next event gets the number after `seq`. */
static int move_events(struct db *tx, int64_t seq, struct err *e)
{
	int r = db_run(tx, e, "UPDATE sqlite_sequence SET seq = ? WHERE name = 'events'", seq);

	if (r == 0)
		r = db_run(
			tx, e, "INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)", seq);
	return MIN(r, 0);
}

static int add_epoch(struct db *tx, const struct lineage_accept *a, int64_t generation,
	int64_t from_seq, struct marks_head *head, struct err *e)
{
	static const char sql[] = "INSERT INTO epochs (generation, epoch, begun_at, begun_by,"
				  " reason, from_seq, after_seq) VALUES (?, ?, ?, ?, ?, ?, ?)";
	uint8_t bytes[(MARKS_EPOCH_SIZE - 1) / 2];

	random_bytes(bytes, sizeof bytes);
	hex_of(bytes, sizeof bytes, head->epoch);
	head->generation = generation;
	return db_do(tx, e, sql, generation, head->epoch, wall_ms(), a->by, a->reason, from_seq,
		head->seq);
}

int lineage_begin(
	struct db *tx, const struct lineage_accept *a, struct marks_head *ret, struct err *e)
{
	struct marks_head head;
	int64_t generation;
	int64_t from_seq;
	int r = lineage_head(tx, &head, e);

	if (r == 0)
		r = check_said(tx, a, e);
	if (r == 0 && a->need_pools)
		r = check_named(tx, a, e);
	if (r < 0)
		return r;
	from_seq = head.seq;
	head.seq = MAX(head.seq, marks_head(a->marks)->seq);
	generation = MAX(head.generation, marks_head(a->marks)->generation) + 1;
	r = move_events(tx, head.seq, e);
	if (r == 0)
		r = add_epoch(tx, a, generation, from_seq, &head, e);
	if (r == 0)
		r = advance_all(tx, a, e);
	if (r == 0)
		r = marks_values(a->marks, void_value, tx, e);
	if (r == 0 && generation > 1)
		r = db_event(tx, "records-accepted", NULL, NULL, NULL, NULL,
			json_pack("{s:s, s:I, s:s, s:s, s:I}", "epoch", head.epoch, "generation",
				(json_int_t)generation, "by", a->by, "reason", a->reason,
				"after_seq", (json_int_t)head.seq),
			e);
	if (r < 0)
		return r;
	/* The ticket of this says whether the new marks are on disk. */
	db_mark_epoch(tx);
	*ret = head;
	return 0;
}

int lineage_marked(struct db *tx, struct err *e)
{
	return db_do(tx, e,
		"UPDATE epochs SET marked = 1 WHERE generation = (SELECT max(generation) FROM "
		"epochs)");
}

int lineage_raise(struct db *d, struct marks *m, struct err *e)
{
	_cleanup_(query_done) struct query q = {0};
	struct pool_row row;
	int r = select_begin(&q, d, e, &all_pools);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		marks_raise(m, row.id, row.next);
	return r;
}
