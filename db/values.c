/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/pool_check.h"
#include "db/stmt.h"

static void offend(json_t *list, size_t index, const char *value, const char *reason)
{
	json_array_append_new(list, json_pack("{s:I, s:s, s:s}", "index", (json_int_t)index,
					    "value", value, "reason", reason));
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

struct adding {
	struct db *tx;
	const char *kind, *pool, *job; /* of pool and job one is NULL */
	int64_t base;		       /* the first ordinal */
	json_t *offending;
	struct err *e;
};

/* Why a value of a pool's list cannot be one, "": it can. */
static int flaw_of(struct adding *a, const char *value, char ret[160])
{
	const char *flaw = a->pool ? pool_value_flaw(a->kind, value) : NULL;
	char giver[DB_ID_SIZE];
	int r = a->pool && !flaw ? pool_giving(a->tx, a->kind, value, giver, a->e) : 0;

	snprintf(ret, 160, "%s", flaw ? flaw : "");
	if (r > 0)
		snprintf(ret, 160, "pool %s could give it as well as pool %s", giver, a->pool);
	return MIN(r, 0);
}

static int add_one(struct adding *a, const char *value, size_t index)
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
	char flaw[160];
	int r = select_one(a->tx, a->e, &find, &known, a->kind, value);
	const char *why = r > 0 ? objection(&known) : NULL;

	if (r >= 0 && !why)
		r = flaw_of(a, value, flaw);
	if (r < 0)
		return r;
	if (!why && *flaw)
		why = flaw;
	if (why) {
		offend(a->offending, index, value, why);
		return 0;
	}
	return db_do(
		a->tx, a->e, insert, value, a->kind, a->pool, a->job, a->base + (int64_t)index);
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

/* An address is the same in each of its forms: the ledger has it in one. */
static const char *name_of(const char *kind, const char *value, char room[EUI_TEXT_SIZE])
{
	struct eui a;

	if (strcmp(kind, "mac") != 0 || !eui_parse(value, &a))
		return value;
	eui_text(&a, EUI_COLON, room);
	return room;
}

/* Whether the list has it before; notes it otherwise. */
static bool seen_before(json_t *seen, const char *name, size_t index, char why[64])
{
	const json_t *before = json_object_get(seen, name);

	if (!before) {
		json_object_set_new(seen, name, json_integer((json_int_t)index));
		return false;
	}
	snprintf(why, 64, "twice in this list, first as number %lld",
		(long long)json_integer_value(before) + 1);
	return true;
}

static int add_all(struct adding *a, const json_t *values)
{
	static const char highest[] = "SELECT coalesce(max(ordinal), -1) + 1 FROM serials"
				      " WHERE pool_id = ? OR job_id = ?";
	json_t *seen = json_object();
	size_t i;
	json_t *v;
	int r = db_int(a->tx, a->e, &a->base, highest, a->pool, a->job);

	json_array_foreach(values, i, v) {
		const char *why = malformed(v);
		const char *s = json_string_value(v);
		char room[EUI_TEXT_SIZE], twice[64];

		if (r < 0)
			break;
		if (!why) {
			s = name_of(a->kind, s, room);
			why = seen_before(seen, s, i, twice) ? twice : NULL;
		}
		if (why)
			offend(a->offending, i, s ? s : "", why);
		else
			r = add_one(a, s, i);
	}
	json_decref(seen);
	return MIN(r, 0);
}

int ledger_add_values(struct db *tx, const char *kind, const char *pool, const char *job,
	const json_t *values, json_t **ret_offending, struct err *e)
{
	json_t *offending = json_array();
	struct adding a = {tx, kind, pool, job, 0, offending, e};
	int r = add_all(&a, values);
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
	" AS unit, lease, exposed, reason, reserved_at, settled_at"

static const struct column columns[] = {{"value", AS_TEXT}, {"kind", AS_TEXT}, {"slot", AS_TEXT},
	{"pool", AS_TEXT}, {"job", AS_TEXT}, {"state", AS_TEXT}, {"run", AS_TEXT},
	{"unit", AS_TEXT}, {"lease", AS_TEXT}, {"exposed", AS_BOOL}, {"reason", AS_TEXT},
	{"reserved_at", AS_TIME}, {"settled_at", AS_TIME}, {0}};

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
	static const struct keyset order = {.major = "seq", .ascending = true, .table = "serials"};
	struct sel s;

	sel_init(&s, &list);
	sel_found(&s, "run_id = ?", f->run);
	sel_found(&s, "unit_id = ?", f->unit);
	sel_found(&s, "job_id = ?", f->job);
	sel_found(&s, "pool_id = ?", f->pool);
	sel_looked(&s, "+kind = ?", f->kind); /* not by (kind, value): that would sort all */
	sel_looked(&s, "state = ?", f->state);
	return sel_page(&s, d, &order, page, ret, e);
}
