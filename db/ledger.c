/* SPDX-License-Identifier: Apache-2.0 */
#include "db/ledger.h"

#include "base/timefmt.h"
#include "db/plant_range.h"
#include "db/pool_check.h"
#include "db/run_facts.h"
#include "db/stmt.h"

/* So many values in a row that are in the ledger already (scanned before, say) are passed over
 * before we believe that the pool is wrong. */
#define MAX_SKIPS 1000

static const char *const from_name[] = {
	[LEDGER_POOL] = "pool",
	[LEDGER_JOB] = "job",
	[LEDGER_SCAN] = "scan",
	[LEDGER_DEVICE] = "device",
};

struct reserving {
	struct db *tx;
	const struct ledger_source *s;
	const char *slot;
	struct run_facts run;
	char value[LEDGER_VALUE_SIZE];
	bool rework;
	struct err *e;
};

static bool is_given(const struct ledger_source *s)
{
	return s->from == LEDGER_SCAN || s->from == LEDGER_DEVICE ||
	       (s->from == LEDGER_JOB && s->value);
}

static int conflict(struct reserving *v, const char *value, const char *why, const char *what)
{
	return err_set(v->e, ERR_SERIAL_CONFLICT, "%s %s %s%s", v->s->kind, value, why, what);
}

/* 1 if the run, or its unit, has a value already: that one it stays. */
static int find_held(struct reserving *v)
{
	static const struct column columns[] = {
		COL(struct reserving, value), COL(struct reserving, rework), {0}};
	SELECT(held,
		"SELECT value, 0 AS rework FROM serials WHERE run_id = ?1 AND kind = ?3"
		" AND slot = ?4 AND state = 'reserved' UNION ALL "
		"SELECT value, 1 FROM serials WHERE unit_id = ?2 AND kind = ?3 AND slot = ?4"
		" AND state = 'committed' LIMIT 1",
		columns);
	int r = select_one(
		v->tx, v->e, &held, v, v->run.id, or_null(v->run.unit), v->s->kind, v->slot);

	if (r <= 0)
		return r;
	if (is_given(v->s) && strcmp(v->s->value, v->value))
		return conflict(v, v->s->value, "was given, but this unit has ", v->value);
	return 1;
}

static int insert_reserved(struct reserving *v, const char *pool, int64_t ordinal)
{
	static const char sql[] =
		"INSERT INTO serials (value, kind, slot, pool_id, ordinal, state, run_id,"
		" reserved_at) VALUES (?, ?, ?, ?, ?, 'reserved', ?, ?)"
		" ON CONFLICT (kind, value) DO NOTHING";

	return db_run(v->tx, v->e, sql, v->value, v->s->kind, v->slot, pool, ordinal, v->run.id,
		wall_ms());
}

static int reserve_row(struct reserving *v, int64_t seq)
{
	static const char sql[] =
		"UPDATE serials SET state = 'reserved', run_id = ?, slot = ?, reserved_at = ?,"
		" reason = NULL WHERE seq = ? AND state = 'free'";

	return db_run_one(v->tx, v->e, "a free value", sql, v->run.id, v->slot, wall_ms(), seq);
}

struct listed {
	int64_t seq;
	char value[LEDGER_VALUE_SIZE];
};

static const struct column listed_columns[] = {
	COL(struct listed, seq), COL(struct listed, value), {0}};

/* The lowest free one of a list: a pool's or a job's. */
static int take_listed(struct reserving *v, const struct select *lowest, const char *owner)
{
	struct listed row;
	int r = select_one(v->tx, v->e, lowest, &row, owner, v->s->kind);

	if (r < 0)
		return r;
	if (r == 0)
		return err_set(v->e, ERR_POOL_EMPTY, "%s has no free %s left", owner, v->s->kind);
	memcpy(v->value, row.value, sizeof v->value);
	return reserve_row(v, row.seq);
}

struct pool_facts {
	char kind[16];
	char pattern[160]; /* "": a list */
	char check[16];
	char model[DB_ID_SIZE];
	char block[24];
	int64_t next, last, span, low_water;
	bool leased; /* of a plant: next and last are those of the lease */
};

static int pool_facts(struct reserving *v, struct pool_facts *ret)
{
	static const struct column columns[] = {COL(struct pool_facts, kind),
		COL(struct pool_facts, pattern), COL_AS(struct pool_facts, check, "checked"),
		COL(struct pool_facts, model), COL(struct pool_facts, block),
		COL(struct pool_facts, next), COL(struct pool_facts, last),
		COL(struct pool_facts, span), COL(struct pool_facts, low_water), {0}};
	SELECT(find,
		"SELECT kind, pattern, checked, model, block, next, last, span, low_water"
		" FROM pools WHERE id = ?",
		columns);
	int r = select_one(v->tx, v->e, &find, ret, v->s->pool);

	if (r == 0)
		return err_set(v->e, ERR_NOT_FOUND, "there is no pool '%s'", v->s->pool);
	return MIN(r, 0);
}

/* Of a pool of the plant only what is leased to this host is there. */
static int find_lease(struct reserving *v, struct pool_facts *p)
{
	int r = plant_range(v->tx, v->s->pool, &p->next, &p->last, v->e);

	p->leased = r > 0;
	return MIN(r, 0);
}

/* Moves the sequence on; what was taken from it never comes again. */
static int take_next(struct reserving *v, struct pool_facts *p)
{
	static const char sql[] = "UPDATE pools SET next = ? WHERE id = ?";
	struct eui_block room;
	struct pattern_vars vars = {
		.seq = p->next,
		.now_ms = wall_ms(),
		.utc_offset_s = v->s->utc_offset_s,
		.station = v->run.station,
		.model = v->s->model ? v->s->model : or_null(v->run.model),
		.block = pool_block(p->block, &room),
	};
	int64_t number;
	int r = find_lease(v, p);

	if (r < 0)
		return r;
	number = vars.seq = p->next;
	if (v->s->no_date && pattern_dated(p->pattern))
		return err_set(v->e, ERR_CLOCK, "pool %s makes values with a date: %s", v->s->pool,
			v->s->no_date);
	if (p->next > p->last)
		return err_set(v->e, ERR_POOL_EMPTY, "pool %s has given out its last value (%lld)",
			v->s->pool, (long long)p->last);

	r = pattern_render(p->pattern, p->check, &vars, v->value, v->e);
	if (r == 0)
		r = db_run_one(v->tx, v->e, "the pool", sql, p->next + p->span, v->s->pool);
	if (r == 0)
		db_mark_pool(v->tx, v->s->pool, p->next += p->span);
	return r == 0 ? insert_reserved(v, v->s->pool, number) : r;
}

static int note_skip(struct reserving *v, int64_t number)
{
	static const char sql[] =
		"INSERT INTO pool_skips (pool_id, first, last, value, at, by, reason)"
		" VALUES (?1, ?2, ?2, ?3, ?4, '', 'its value was in the ledger already')";
	int r = db_do(v->tx, v->e, sql, v->s->pool, number, v->value, wall_ms());

	if (r < 0)
		return r;
	return run_event(v->tx, "serial-skipped", &v->run, v->value,
		json_pack("{s:s, s:s, s:s, s:s}", "kind", v->s->kind, "value", v->value, "pool",
			v->s->pool, "reason", "already in the ledger"),
		v->e);
}

static int take_pattern(struct reserving *v, struct pool_facts *p)
{
	for (int skips = 0; skips < MAX_SKIPS; skips++) {
		int r = take_next(v, p);

		if (r < 0)
			return r;
		if (r == 1)
			return 0;
		r = note_skip(v, p->next - p->span);
		if (r < 0)
			return r;
	}
	return err_set(v->e, ERR_SERIAL_CONFLICT,
		"pool %s: %d values in a row are in the ledger already", v->s->pool, MAX_SKIPS);
}

/* An event once, where the low water is passed. */
static int warn_if_low(
	struct reserving *v, const struct pool_facts *p, int64_t before, int64_t left)
{
	if (left > p->low_water || before <= p->low_water)
		return 0;
	return db_event(v->tx, "pool-low", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:I}", "pool", v->s->pool, "remaining", (json_int_t)left), v->e);
}

/* The free ones are counted only as far as the low water. */
static int take_from_list(struct reserving *v, const struct pool_facts *p)
{
	SELECT(listed,
		"SELECT seq, value FROM serials WHERE pool_id = ?"
		" AND state = 'free' AND kind = ? ORDER BY ordinal LIMIT 1",
		listed_columns);
	static const char count[] = "SELECT count(*) FROM (SELECT 1 FROM serials"
				    " WHERE pool_id = ? AND state = 'free' LIMIT ?)";
	int64_t left = 0;
	int r = take_listed(v, &listed, v->s->pool);

	if (r == 0)
		r = db_int(v->tx, v->e, &left, count, v->s->pool, p->low_water + 1);
	return r < 0 ? r : warn_if_low(v, p, left + 1, left);
}

static int take_from_pool(struct reserving *v)
{
	struct pool_facts p;
	int r = pool_facts(v, &p);

	if (r < 0)
		return r;
	if (strcmp(p.kind, v->s->kind))
		return err_set(v->e, ERR_INVALID, "pool %s gives a %s, not a %s", v->s->pool,
			p.kind, v->s->kind);
	if (p.model[0] && v->s->model && strcmp(p.model, v->s->model))
		return err_set(v->e, ERR_INVALID, "pool %s is for the model %s, not %s", v->s->pool,
			p.model, v->s->model);
	if (!p.pattern[0])
		return take_from_list(v, &p);

	int64_t before = (p.last - p.next + 1) / p.span;

	r = take_pattern(v, &p);
	return r < 0 || p.leased ? r : warn_if_low(v, &p, before, (p.last - p.next + 1) / p.span);
}

static int take_from_job(struct reserving *v)
{
	SELECT(listed,
		"SELECT seq, value FROM serials WHERE job_id = ?"
		" AND kind = ? AND state = 'free' ORDER BY ordinal LIMIT 1",
		listed_columns);

	if (!v->run.job[0])
		return err_set(v->e, ERR_INVALID, "run %s has no job to take a %s from", v->run.id,
			v->s->kind);
	return take_listed(v, &listed, v->run.job);
}

/* The run is a rework of the unit that carries the value, if nothing speaks against it. */
static int rework(struct reserving *v, const char *unit)
{
	struct carrier {
		char state[16], chip_id[128];
	} unit_row = {0};
	static const struct column columns[] = {
		COL(struct carrier, state), COL(struct carrier, chip_id), {0}};
	SELECT(find, "SELECT state, chip_id FROM units WHERE id = ?", columns);
	static const char link[] = "UPDATE runs SET unit_id = ? WHERE id = ?";
	static const char chip[] = "UPDATE units SET chip_id = ? WHERE id = ? AND chip_id IS NULL";

	v->rework = true;
	if (!strcmp(unit, v->run.unit))
		return 0;

	int r = select_one(v->tx, v->e, &find, &unit_row, unit);

	if (r < 0)
		return r;
	if (!strcmp(unit_row.state, "passed") || !strcmp(unit_row.state, "provisioned") ||
		!strcmp(unit_row.state, "scrapped"))
		return conflict(
			v, v->s->value, "belongs to another unit, which is ", unit_row.state);
	if (v->run.chip[0] && unit_row.chip_id[0] && strcmp(v->run.chip, unit_row.chip_id))
		return conflict(
			v, v->s->value, "belongs to the unit with the chip ", unit_row.chip_id);
	r = db_run(v->tx, v->e, link, unit, v->run.id);
	if (r >= 0 && v->run.chip[0])
		r = db_run(v->tx, v->e, chip, v->run.chip, unit);
	snprintf(v->run.unit, sizeof v->run.unit, "%s", unit);
	return MIN(r, 0);
}

/* Whether a free value may go to this run: it waits in no other job's open list. */
static int check_owner(struct reserving *v, const char *job)
{
	static const char sql[] = "SELECT 1 FROM jobs WHERE id = ? AND finished_at IS NULL";

	if (!job[0] || !strcmp(job, v->run.job))
		return 0;

	int r = db_has(v->tx, v->e, sql, job);

	return r > 0 ? conflict(v, v->s->value, "is meant for job ", job) : r;
}

static int take_given(struct reserving *v)
{
	struct given {
		int64_t seq;
		char state[16];
		char job[DB_ID_SIZE], run[DB_ID_SIZE], unit[DB_ID_SIZE];
		char reason[300];
	} row;
	static const struct column columns[] = {COL(struct given, seq), COL(struct given, state),
		COL_AS(struct given, job, "job_id"), COL_AS(struct given, run, "run_id"),
		COL_AS(struct given, unit, "unit_id"), COL(struct given, reason), {0}};
	SELECT(find,
		"SELECT seq, state, job_id, run_id, unit_id, reason FROM serials"
		" WHERE kind = ? AND value = ?",
		columns);
	int r = select_one(v->tx, v->e, &find, &row, v->s->kind, v->s->value);

	if (r < 0)
		return r;
	snprintf(v->value, sizeof v->value, "%s", v->s->value);
	if (r == 0) {
		r = insert_reserved(v, NULL, 0);
		return MIN(r, 0);
	}
	if (!strcmp(row.state, "committed"))
		return rework(v, row.unit);
	if (!strcmp(row.state, "reserved"))
		return conflict(v, v->s->value, "is in use by run ", row.run);
	if (!strcmp(row.state, "void"))
		return conflict(v, v->s->value, "is void: ", row.reason);
	r = check_owner(v, row.job);
	return r < 0 ? r : reserve_row(v, row.seq);
}

static int check_source(struct reserving *v)
{
	const struct ledger_source *s = v->s;

	if (s->from == LEDGER_POOL && !s->pool)
		return err_set(v->e, ERR_INVALID, "no pool was named");
	if (!is_given(s))
		return 0;
	if (!s->value || !*s->value || strlen(s->value) >= LEDGER_VALUE_SIZE)
		return err_set(v->e, ERR_INVALID, "a %s has 1 to %d characters", s->kind,
			LEDGER_VALUE_SIZE - 1);
	for (const char *p = s->value; *p; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(v->e, ERR_INVALID,
				"a %s has printable characters only, without spaces", s->kind);
	return 0;
}

static int take(struct reserving *v)
{
	switch (v->s->from) {
	case LEDGER_POOL:
		return take_from_pool(v);
	case LEDGER_JOB:
		return v->s->value ? take_given(v) : take_from_job(v);
	case LEDGER_SCAN:
	case LEDGER_DEVICE:
		return take_given(v);
	}
	return err_set(v->e, ERR_INTERNAL, "unknown source");
}

/* One serial, one open run: the unit cannot sit in two fixtures. */
static int set_run_serial(struct reserving *v)
{
	static const char find[] =
		"SELECT id FROM runs WHERE serial = ? AND state = 'open' AND id <> ?";
	static const char sql[] = "UPDATE runs SET serial = ? WHERE id = ?";
	char run[DB_ID_SIZE];

	if (strcmp(v->s->kind, "serial") || *v->slot)
		return 0;

	int r = db_text(v->tx, v->e, run, sizeof run, find, v->value, v->run.id);

	if (r < 0)
		return r;
	if (r > 0)
		return conflict(v, v->value, "is in use by run ", run);
	return db_do(v->tx, v->e, sql, v->value, v->run.id);
}

int ledger_reserve(struct db *tx, const char *run, const struct ledger_source *s,
	char ret[LEDGER_VALUE_SIZE], struct err *e)
{
	struct reserving v = {.tx = tx, .s = s, .slot = s->slot ? s->slot : "", .e = e};
	int r = run_facts(tx, run, &v.run, e);

	if (r == 0)
		r = check_source(&v);
	if (r == 0)
		r = find_held(&v);
	if (r < 0)
		return r;

	bool fresh = r == 0;

	r = fresh ? take(&v) : 0;
	if (r == 0)
		r = set_run_serial(&v);
	if (r == 0 && (fresh || v.rework))
		r = run_event(tx, "serial-reserved", &v.run, v.value,
			json_pack("{s:s, s:s, s:s, s:s, s:b}", "kind", s->kind, "slot", v.slot,
				"value", v.value, "from", from_name[s->from], "rework", v.rework),
			e);
	if (r == 0 && s->from == LEDGER_DEVICE)
		r = ledger_note_carried(tx, run, v.slot, e);
	if (r < 0)
		return r;
	memcpy(ret, v.value, LEDGER_VALUE_SIZE);
	return 0;
}
