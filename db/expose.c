/* SPDX-License-Identifier: Apache-2.0
 *
 * Values leave: what a device is about to see is on record first, one by one, and an order gives out no
 * more than it is for.
 */
#include "db/ledger.h"
#include "db/run_facts.h"
#include "db/stmt.h"

struct exposing {
	struct db *tx;
	struct run_facts run;
	struct err *e;
};

struct leaving {
	int64_t seq;
	char kind[16], slot[DB_ID_SIZE], value[LEDGER_VALUE_SIZE];
	bool made; /* by a pattern that counts: the sequence of its pool stands for it */
};

struct order {
	int64_t quantity, passed, open;
	bool same; /* the run has the order's recipe, by its digest */
};

static int find_order(struct exposing *x, struct order *ret)
{
	static const struct column columns[] = {COL(struct order, quantity),
		COL(struct order, passed), COL(struct order, open), COL(struct order, same), {0}};
	SELECT(find,
		"SELECT j.quantity AS quantity, j.passed AS passed,"
		" coalesce(j.recipe_sha256 = r.recipe_sha256, 0) AS same,"
		" (SELECT count(*) FROM runs o WHERE o.job_id = j.id AND o.state = 'open') AS open"
		" FROM jobs j, runs r WHERE j.id = ? AND r.id = ?",
		columns);

	return select_one(x->tx, x->e, &find, ret, x->run.job, x->run.id);
}

/* How many of this slot are on units that the order made, or may be making: a value on a unit that
 * did not pass is explained by that. */
static int count_out(struct exposing *x, const struct leaving *v, int64_t *ret)
{
	static const char sql[] =
		"SELECT count(*) FROM serials s WHERE s.kind = ?2 AND s.slot = ?3"
		" AND s.exposed = 1 AND ((s.state = 'reserved' AND s.run_id IN"
		" (SELECT id FROM runs WHERE job_id = ?1 AND state = 'open'))"
		" OR (s.state = 'committed' AND s.unit_id IN (SELECT r.unit_id FROM runs r"
		" JOIN units u ON u.id = r.unit_id WHERE r.job_id = ?1 AND r.outcome = 'passed'"
		" AND u.state <> 'scrapped')))";

	return db_int(x->tx, x->e, ret, sql, x->run.job, v->kind, v->slot);
}

static int check_quota(struct exposing *x, const struct leaving *v)
{
	struct order o = {0};
	int64_t out = 0;
	int r = x->run.job[0] ? find_order(x, &o) : 0;

	if (r <= 0)
		return r;
	if (!o.same)
		return err_set(x->e, ERR_QUOTA,
			"%s %s stays here: run %s has another recipe than its order %s", v->kind,
			v->value, x->run.id, x->run.job);
	/* The counters say that it fits: the values need no counting. */
	if (o.passed + o.open <= o.quantity)
		return 0;
	r = count_out(x, v, &out);
	if (r < 0 || out < o.quantity)
		return MIN(r, 0);
	return err_set(x->e, ERR_QUOTA,
		"%s %s stays here: order %s is for %lld, and %lld are out on units that passed or are in work",
		v->kind, v->value, x->run.job, (long long)o.quantity, (long long)out);
}

static int expose_row(struct exposing *x, const struct leaving *v)
{
	static const char sql[] = "UPDATE serials SET exposed = 1 WHERE seq = ?";
	int r = db_run_one(x->tx, x->e, "the value", sql, v->seq);

	if (r < 0)
		return r;
	if (!v->made)
		db_mark_value(x->tx, v->kind, v->value);
	db_mark_exposed(x->tx);
	return run_event(x->tx, "serial-exposed", &x->run, or_null(x->run.unit_serial),
		json_pack("{s:s, s:s, s:s}", "kind", v->kind, "slot", v->slot, "value", v->value),
		x->e);
}

/* The lowest that has not left; slot NULL: of all. */
static int find_next(struct exposing *x, const char *slot, struct leaving *ret)
{
	static const struct column columns[] = {COL(struct leaving, seq), COL(struct leaving, kind),
		COL(struct leaving, slot), COL(struct leaving, value), COL(struct leaving, made),
		{0}};
	SELECT(next,
		"SELECT s.seq AS seq, s.kind AS kind, s.slot AS slot, s.value AS value,"
		" coalesce(instr(p.pattern, '{random') = 0, 0) AS made FROM serials s"
		" LEFT JOIN pools p ON p.id = s.pool_id WHERE s.run_id = ?1"
		" AND s.state = 'reserved' AND s.exposed = 0 AND (?2 IS NULL OR s.slot = ?2)"
		" ORDER BY s.seq LIMIT 1",
		columns);

	return select_one(x->tx, x->e, &next, ret, x->run.id, slot);
}

/* A value that the unit has from before is not reserved by the run, and the run sends it as well. */
static int mark_run(struct exposing *x, unsigned exposed)
{
	static const char mark[] = "UPDATE runs SET exposed = 1, exposed_step ="
				   " (SELECT max(n) FROM steps WHERE run_id = ?1) WHERE id = ?1";
	int r = db_run(x->tx, x->e, mark, x->run.id);

	if (r < 0 || exposed > 0 || x->run.exposed)
		return MIN(r, 0);
	return run_event(x->tx, "serial-exposed", &x->run, or_null(x->run.unit_serial), NULL, x->e);
}

static int expose(struct db *tx, const char *run, const char *slot, bool counts, struct err *e)
{
	struct exposing x = {.tx = tx, .e = e};
	struct leaving v;
	unsigned n = 0;
	int r = run_facts(tx, run, &x.run, e);

	while (r == 0 && (r = find_next(&x, slot, &v)) > 0) {
		r = counts ? check_quota(&x, &v) : 0;
		if (r == 0)
			r = expose_row(&x, &v);
		n++;
	}
	return r < 0 ? r : mark_run(&x, n);
}

int ledger_expose(struct db *tx, const char *run, struct err *e)
{
	return expose(tx, run, NULL, true, e);
}

int ledger_expose_slot(struct db *tx, const char *run, const char *slot, struct err *e)
{
	return expose(tx, run, slot, true, e);
}

int ledger_note_carried(struct db *tx, const char *run, const char *slot, struct err *e)
{
	return expose(tx, run, slot, false, e);
}
