/* SPDX-License-Identifier: Apache-2.0 */
#include "db/record_export.h"

#include "base/dsse.h"
#include "db/checkpoints.h"
#include "db/record_tree.h"
#include "db/run_record.h"
#include "db/stmt.h"
#include "db/units.h"

static json_t *proof_json(const struct merkle_proof *p)
{
	json_t *a = json_array();

	for (size_t i = 0; i < p->n; i++) {
		_cleanup_(freep) char *text = base64_of(p->h[i].b, sizeof p->h[i].b);

		json_array_append_new(a, json_string(text));
	}
	return a;
}

/* The record n in a tree of `size`. */
static int entry_of(struct db *d, int64_t n, int64_t size, json_t **ret, struct err *e)
{
	const struct merkle_nodes tree = record_tree(d);
	_cleanup_(freep) char *text = NULL;
	struct merkle_proof proof;
	int r = run_records_text(d, n, &text, e);

	if (r == 0)
		r = merkle_inclusion(&tree, (uint64_t)n - 1, (uint64_t)size, &proof, e);
	if (r == 0)
		*ret = json_pack("{s:I, s:s, s:o}", "n", (json_int_t)n, "record", text, "proof",
			proof_json(&proof));
	return r;
}

int record_of_run(struct db *d, const char *run, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *note = NULL;
	int64_t n = 0, size = 0;
	json_t *o = NULL;
	int r = run_records_number(d, run, &n, e);

	if (r == 0)
		r = checkpoints_over(d, n, &note, &size, e);
	if (r == 0)
		r = entry_of(d, n, size, &o, e);
	if (r < 0)
		return r;
	json_object_set_new(o, "_type", json_string(RECORD_PROOF_TYPE));
	json_object_set_new(o, "checkpoint", json_string(note));
	*ret = o;
	return 0;
}

/* --- of a range --- */

static int entries_from(
	struct db *d, int64_t from, int64_t to, int64_t size, json_t *list, struct err *e)
{
	int r = 0;

	for (int64_t n = from; r == 0 && n <= to; n++) {
		json_t *entry = NULL;

		r = entry_of(d, n, size, &entry, e);
		if (r == 0)
			json_array_append_new(list, entry);
	}
	return r;
}

int record_range(struct db *d, int64_t from, int64_t to, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *note = NULL;
	json_t *list = json_array();
	int64_t size = 0, records = 0, missing;
	int r = run_records_count(d, &records, &missing, e);

	if (r == 0 && to == 0)
		to = MIN(records, from + RECORD_RANGE_MAX - 1);
	if (r == 0 && (from < 1 || to < from || to - from >= RECORD_RANGE_MAX))
		r = err_set(e, ERR_INVALID,
			"the records %lld to %lld: numbers from 1 on expected, at most %d of them",
			(long long)from, (long long)to, RECORD_RANGE_MAX);
	if (r == 0)
		r = checkpoints_over(d, to, &note, &size, e);
	if (r == 0)
		r = entries_from(d, from, to, size, list, e);
	if (r == 0)
		*ret = json_pack("{s:s, s:s, s:I, s:I, s:O}", "_type", RECORD_RANGE_TYPE,
			"checkpoint", note, "from", (json_int_t)from, "to", (json_int_t)to,
			"records", list);
	json_decref(list);
	return r;
}

/* --- of a unit --- */

static int numbers_of(struct db *d, const char *unit, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"n", AS_INT}, {0}};
	SELECT(all,
		"SELECT chain AS n FROM runs WHERE unit_id = ? AND chain IS NOT NULL ORDER BY chain",
		columns);

	return db_all_json(d, e, &all, ret, unit);
}

static int64_t number_at(const json_t *numbers, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(numbers, i), "n"));
}

static int entries_of(struct db *d, const json_t *numbers, int64_t size, json_t *to, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(numbers); i++) {
		json_t *entry = NULL;

		r = entry_of(d, number_at(numbers, i), size, &entry, e);
		if (r == 0)
			json_array_append_new(to, entry);
	}
	return r;
}

static json_t *statement_of(const json_t *unit, const char *host, const char *note, json_t *entries)
{
	const json_t *newest = json_array_get(entries, json_array_size(entries) - 1);
	const char *text = json_string_value(json_object_get(newest, "record"));
	json_t *serial = json_object_get(unit, "serial");
	json_t *name = json_is_string(serial) ? serial : json_object_get(unit, "id");
	char hex[SHA256_HEX];

	return json_pack("{s:s, s:[{s:O, s:{s:s}}], s:s, s:{s:s, s:s, s:O, s:{s:O, s:O}}}", "_type",
		STATEMENT_TYPE, "subject", "name", name, "digest", "sha256",
		sha256_hex_of(text, strlen(text), hex), "predicateType", UNIT_RECORD_TYPE,
		"predicate", "checkpoint", note, "host", host, "records", entries, "unit", "id",
		json_object_get(unit, "id"), "serial", serial);
}

/* Nothing is exported as a unit's history while runs of it wait for their record. */
static int all_recorded(struct db *d, const char *unit, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM runs WHERE unit_id = ? AND chain > ? LIMIT 1";
	int64_t records = 0, missing;
	int r = run_records_count(d, &records, &missing, e);

	if (r == 0)
		r = db_has(d, e, sql, unit, records);

	return r <= 0 ? r
		      : err_set(e, ERR_CONFLICT,
				"unit %s has runs without a record yet: try again in a moment",
				unit);
}

static int unit_in(struct db *d, const json_t *unit, json_t **ret, struct err *e)
{
	const char *id = json_string_value(json_object_get(unit, "id"));
	_cleanup_(freep) char *note = NULL;
	json_t *numbers = NULL;
	json_t *entries = json_array();
	struct record_place here;
	int64_t size = 0;
	int r = numbers_of(d, id, &numbers, e);
	size_t n = json_array_size(numbers);

	if (r == 0)
		r = all_recorded(d, id, e);
	if (r == 0 && n == 0)
		r = err_set(e, ERR_CONFLICT, "unit %s has no run that has ended", id);
	if (r == 0)
		r = record_here(d, &here, e);
	if (r == 0)
		r = checkpoints_over(d, number_at(numbers, n - 1), &note, &size, e);
	if (r == 0)
		r = entries_of(d, numbers, size, entries, e);
	if (r == 0)
		*ret = statement_of(unit, here.host, note, entries);
	json_decref(numbers);
	json_decref(entries);
	return r;
}

int record_of_unit(struct db *d, const char *serial_or_id, json_t **ret, struct err *e)
{
	json_t *unit = NULL;
	int r = units_get(d, serial_or_id, &unit, e);

	if (r == 0)
		r = unit_in(d, unit, ret, e);
	json_decref(unit);
	return r;
}

/* --- of a unit that passed --- */

static int newest_pass(struct db *d, const json_t *unit, int64_t *ret, struct err *e)
{
	static const char sql[] =
		"SELECT max(chain) FROM runs WHERE unit_id = ? AND state = 'finished'"
		" AND outcome = 'passed' AND deferred = 0 AND completes IS NULL AND kind <> 'golden'";
	const char *id = json_string_value(json_object_get(unit, "id"));
	const char *state = json_string_value(json_object_get(unit, "state"));
	int r = strcmp(state, "passed") != 0
			? err_set(e, ERR_CONFLICT,
				  "unit %s is %s: a certificate of conformance is of one that passed",
				  id, state)
			: db_int(d, e, ret, sql, id);

	if (r >= 0 && *ret == 0)
		r = err_set(e, ERR_CONFLICT, "unit %s has no run that passed", id);
	return MIN(r, 0);
}

static int conformance_in(struct db *d, json_t *unit, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char *note = NULL;
	char hex[SHA256_HEX];
	int64_t n = 0, size = 0;
	int r = newest_pass(d, unit, &n, e);

	if (r == 0)
		r = run_records_text(d, n, &text, e);
	if (r == 0)
		r = checkpoints_over(d, n, &note, &size, e);
	if (r < 0)
		return r;
	*ret = json_pack("{s:O, s:o, s:I, s:s, s:s}", "unit", unit, "record",
		json_loads(text, JSON_REJECT_DUPLICATES, NULL), "n", (json_int_t)n, "sha256",
		sha256_hex_of(text, strlen(text), hex), "checkpoint", note);
	return *ret ? 0
		    : err_set(e, ERR_RECORDS_DAMAGED, "record %lld is not JSON: verify the records",
			      (long long)n);
}

int record_conformance(struct db *d, const char *serial_or_id, json_t **ret, struct err *e)
{
	json_t *unit = NULL;
	int r = units_get(d, serial_or_id, &unit, e);

	if (r == 0)
		r = conformance_in(d, unit, ret, e);
	json_decref(unit);
	return r;
}
