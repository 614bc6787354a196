/* SPDX-License-Identifier: Apache-2.0
 *
 * What a unit gets as one set: each value by the rules of the ledger, and one lease for all of them.
 */
#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/run_facts.h"
#include "db/stmt.h"

/* A recipe names a pool, which says what it gives. */
static int kind_of(struct db *tx, const struct ledger_source *s, char ret[16], struct err *e)
{
	static const char sql[] = "SELECT kind FROM pools WHERE id = ?";
	int r;

	if (s->kind || s->from != LEDGER_POOL) {
		snprintf(ret, 16, "%s", s->kind ? s->kind : "serial");
		return 0;
	}
	r = db_text(tx, e, ret, 16, sql, s->pool);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, "there is no pool '%s'", s->pool) : MIN(r, 0);
}

/* The lease of what the run or its unit has already: the set is the same one after a rework. */
static int find_lease(struct db *tx, const struct run_facts *f, char ret[UUID_SIZE], struct err *e)
{
	static const char sql[] =
		"SELECT lease FROM serials WHERE run_id = ?1 AND state = 'reserved'"
		" AND lease IS NOT NULL UNION ALL SELECT lease FROM serials WHERE unit_id = ?2"
		" AND state = 'committed' AND lease IS NOT NULL LIMIT 1";

	return db_text(tx, e, ret, UUID_SIZE, sql, f->id, or_null(f->unit));
}

struct leasing {
	struct db *tx;
	struct run_facts run;
	char lease[UUID_SIZE];
	json_t *values; /* by slot */
	int changed;
	struct err *e;
};

static int put_lease(struct leasing *l, const char *kind, const char *slot, const char *value)
{
	static const char sql[] = "UPDATE serials SET lease = ? WHERE kind = ? AND value = ?"
				  " AND lease IS NULL";
	int r = db_run(l->tx, l->e, sql, l->lease, kind, value);

	l->changed += r > 0;
	json_object_set_new(l->values, *slot ? slot : kind, json_string(value));
	return MIN(r, 0);
}

static int lease_all(struct leasing *l, const struct ledger_source *s, size_t n,
	char (*values)[LEDGER_VALUE_SIZE])
{
	int r = find_lease(l->tx, &l->run, l->lease, l->e);

	if (r == 0)
		uuid7(l->lease);
	for (size_t i = 0; i < n && r >= 0; i++) {
		char kind[16];

		r = kind_of(l->tx, &s[i], kind, l->e);
		if (r == 0)
			r = put_lease(l, kind, s[i].slot ? s[i].slot : "", values[i]);
	}
	if (r < 0 || !l->changed)
		return MIN(r, 0);
	return run_event(l->tx, "identity-leased", &l->run, or_null(l->run.unit_serial),
		json_pack("{s:s, s:O}", "lease", l->lease, "values", l->values), l->e);
}

static int reserve_one(struct db *tx, const char *run, const struct ledger_source *s,
	char ret[LEDGER_VALUE_SIZE], struct err *e)
{
	struct ledger_source named = *s;
	char kind[16];
	int r = kind_of(tx, s, kind, e);

	named.kind = kind;
	if (r == 0)
		r = ledger_reserve(tx, run, &named, ret, e);
	return r < 0 && s->slot && *s->slot ? err_prefix(e, "%s", s->slot) : r;
}

int ledger_reserve_set(struct db *tx, const char *run, const struct ledger_source *s, size_t n,
	char ret_lease[UUID_SIZE], char (*ret)[LEDGER_VALUE_SIZE], struct err *e)
{
	struct leasing l = {.tx = tx, .e = e};
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = reserve_one(tx, run, &s[i], ret[i], e);
	/* A value may have shown whose unit it is. */
	if (r == 0)
		r = run_facts(tx, run, &l.run, e);
	if (r < 0)
		return r;
	l.values = json_object();
	r = lease_all(&l, s, n, ret);
	json_decref(l.values);
	memcpy(ret_lease, l.lease, UUID_SIZE);
	return r;
}
