/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/stmt.h"

static void offend(json_t *list, const char *value, const char *reason)
{
	json_array_append_new(list, json_pack("{s:s, s:s}", "value", value, "reason", reason));
}

struct known_value {
	char state[16], pool[DB_ID_SIZE];
	bool waits; /* in the list of a job that has not ended */
};

/* Why a value that the ledger knows cannot be given again, NULL if it can: it is free, and its job
 * (if any) has ended without it. */
static const char *objection(const struct known_value *known)
{
	static const struct {
		const char *state, *why;
	} rows[] = {
		{"reserved", "in use by a run"},
		{"committed", "used by a unit"},
		{"void", "void"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(known->state, rows[i].state))
			return rows[i].why;
	if (known->pool[0])
		return "waits in a pool";
	return known->waits ? "waits in the list of another job" : NULL;
}

static int add_one(struct db *tx, const char *kind, const char *pool, const char *job,
	const char *value, int64_t ordinal, json_t *offending, struct err *e)
{
	static const struct column of_known[] = {COL(struct known_value, state),
		COL(struct known_value, pool), COL(struct known_value, waits), {0}};
	SELECT(find,
		"SELECT s.state AS state, s.pool_id AS pool,"
		" j.id IS NOT NULL AND j.finished_at IS NULL AS waits"
		" FROM serials s LEFT JOIN jobs j ON j.id = s.job_id"
		" WHERE s.kind = ? AND s.value = ?",
		of_known);
	static const char insert[] =
		"INSERT INTO serials (value, kind, pool_id, job_id, ordinal, state)"
		" VALUES (?1, ?2, ?3, ?4, ?5, 'free') ON CONFLICT (kind, value) DO UPDATE SET"
		" pool_id = excluded.pool_id, job_id = excluded.job_id, ordinal = excluded.ordinal,"
		" reason = NULL";
	struct known_value known;
	int r = select_one(tx, e, &find, &known, kind, value);

	if (r < 0)
		return r;

	const char *why = r > 0 ? objection(&known) : NULL;

	if (why) {
		offend(offending, value, why);
		return 0;
	}
	return db_do(tx, e, insert, value, kind, pool, job, ordinal);
}

static const char *malformed(const json_t *v)
{
	const char *s = json_string_value(v);

	if (!s || !*s || json_string_length(v) >= LEDGER_VALUE_SIZE)
		return "not a text of 1 to 63 characters";
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return "not printable, or with a space";
	return NULL;
}

static int add_all(struct db *tx, const char *kind, const char *pool, const char *job,
	const json_t *values, json_t *offending, struct err *e)
{
	static const char highest[] = "SELECT coalesce(max(ordinal), -1) + 1 FROM serials"
				      " WHERE pool_id = ? OR job_id = ?";
	json_t *seen = json_object();
	int64_t base = 0;
	size_t i;
	json_t *v;
	int r = db_int(tx, e, &base, highest, pool, job);

	json_array_foreach(values, i, v) {
		const char *why = malformed(v);
		const char *s = json_string_value(v);

		if (r < 0)
			break;
		if (!why && json_object_get(seen, s))
			why = "twice in this list";
		if (why) {
			offend(offending, s ? s : "", why);
			continue;
		}
		json_object_set_new(seen, s, json_true());
		r = add_one(tx, kind, pool, job, s, base + (int64_t)i, offending, e);
	}
	json_decref(seen);
	return MIN(r, 0);
}

int ledger_add_values(struct db *tx, const char *kind, const char *pool, const char *job,
	const json_t *values, json_t **ret_offending, struct err *e)
{
	json_t *offending = json_array();
	int r = add_all(tx, kind, pool, job, values, offending, e);
	size_t n = json_array_size(offending);

	if (r == 0 && n > 0) {
		const json_t *first = json_array_get(offending, 0);

		r = err_set(e, ERR_CONFLICT, "%zu of %zu values are refused, the first is '%s': %s",
			n, json_array_size(values),
			json_string_value(json_object_get(first, "value")),
			json_string_value(json_object_get(first, "reason")));
		if (ret_offending)
			*ret_offending = json_incref(offending);
	}
	json_decref(offending);
	return r;
}

#define COLUMNS                                                                                 \
	"seq, value, kind, slot, pool_id AS pool, job_id AS job, state, run_id AS run, unit_id" \
	" AS unit, exposed, reason, reserved_at, settled_at"

static const struct column columns[] = {{"value", AS_TEXT}, {"kind", AS_TEXT}, {"slot", AS_TEXT},
	{"pool", AS_TEXT}, {"job", AS_TEXT}, {"state", AS_TEXT}, {"run", AS_TEXT},
	{"unit", AS_TEXT}, {"exposed", AS_BOOL}, {"reason", AS_TEXT}, {"reserved_at", AS_TIME},
	{"settled_at", AS_TIME}, {0}};

int ledger_get(struct db *d, const char *kind, const char *value, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS " FROM serials WHERE kind = ? AND value = ?", columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &get, kind, value);

	if (r == 0)
		r = select_next(&q, NULL, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "the ledger has no %s '%s'", kind, value);
	*ret = row_json(&q);
	return 0;
}

int ledger_list(struct db *d, const struct ledger_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM serials", columns);
	static const struct keyset order = {.major = "seq", .ascending = true};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "pool_id = ?", f->pool);
	sel_str(&s, "job_id = ?", f->job);
	sel_str(&s, "run_id = ?", f->run);
	sel_str(&s, "+kind = ?", f->kind); /* not by (kind, value): that would sort all */
	sel_str(&s, "state = ?", f->state);
	return sel_page(&s, d, &order, page, ret, e);
}
