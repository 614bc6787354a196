/* SPDX-License-Identifier: Apache-2.0 */
#include "db/wear.h"

#include "base/util.h"
#include "db/stmt.h"

/* --- what a step erased --- */

static bool is_zero(const json_t *evidence, const char *member)
{
	const json_t *v = json_object_get(evidence, member);

	return json_is_integer(v) && json_integer_value(v) == 0;
}

static bool has(const json_t *evidence, const char *member)
{
	return json_object_get(evidence, member) != NULL;
}

/* Actions say it in their own way; each is proven to by test_wear. */
static bool has_erased(const char *action, const json_t *evidence)
{
	if (is_zero(evidence, "pages_erased") || is_zero(evidence, "blocks_erased"))
		return false;
	return has(evidence, "pages_erased") || has(evidence, "blocks_erased") ||
	       has(evidence, "blank_bytes") ||
	       json_is_string(json_object_get(evidence, "erased")) ||
	       (!strcmp(action, "serialboot.flash") && has(evidence, "chunks"));
}

/* Of a number or of a text that is one. */
static bool write_address(const json_t *v, char ret[WEAR_REGION_BYTES])
{
	const char *text = json_string_value(v);
	char *end = NULL;
	unsigned long long at =
		text ? strtoull(text, &end, 0) : (unsigned long long)json_integer_value(v);

	if (!json_is_integer(v) && (!text || !*text || *end))
		return false;
	snprintf(ret, WEAR_REGION_BYTES, "0x%08llx", at);
	return true;
}

static void write_region(const json_t *evidence, char ret[WEAR_REGION_BYTES])
{
	const char *partition = json_string_value(json_object_get(evidence, "erased"));
	const json_t *segments = json_object_get(json_object_get(evidence, "image"), "segments");
	const json_t *first = json_object_get(json_array_get(segments, 0), "address");

	if (partition) {
		snprintf(ret, WEAR_REGION_BYTES, "%s", partition);
		return;
	}
	if (!write_address(json_object_get(evidence, "blank_from"), ret) &&
		!write_address(json_object_get(evidence, "address"), ret) &&
		!write_address(first, ret))
		snprintf(ret, WEAR_REGION_BYTES, "flash");
}

bool wear_of_step(const char *action, const json_t *evidence, struct wear *ret)
{
	const json_t *attempts = json_object_get(evidence, "attempts");

	if (!json_is_object(evidence) || !has_erased(action, evidence))
		return false;
	ret->erases = json_is_integer(attempts) ? MAX(json_integer_value(attempts), 1) : 1;
	write_region(evidence, ret->region);
	return true;
}

/* --- units --- */

static int count(struct db *tx, const char *unit, const struct wear *w, struct err *e)
{
	static const char sql[] =
		"INSERT INTO unit_wear (unit_id, region, erases) VALUES (?, ?, ?)"
		" ON CONFLICT (unit_id, region) DO UPDATE SET erases = erases + excluded.erases";

	return db_do(tx, e, sql, unit, w->region, w->erases);
}

/* Evidence is in JSON that names what it saw: others are not read. */
#define STEPS_THAT_ERASED                                                                  \
	"SELECT r.unit_id AS unit, s.action AS action, s.evidence AS evidence FROM runs r" \
	" JOIN steps s ON s.run_id = r.id WHERE r.id = ? AND r.unit_id IS NOT NULL"        \
	" AND (s.evidence LIKE '%erased\"%' OR s.evidence LIKE '%\"blank_bytes\"%'"        \
	" OR s.action = 'serialboot.flash') ORDER BY s.n"

struct row {
	char unit[DB_ID_SIZE], action[64];
	json_t *evidence;
};

int wear_add(struct db *tx, const char *run, struct err *e)
{
	static const struct column columns[] = {
		COL(struct row, unit), COL(struct row, action), COL(struct row, evidence), {0}};
	SELECT(all, STEPS_THAT_ERASED, columns);
	_cleanup_(query_done) struct query q = {0};
	struct row row;
	int r = select_begin(&q, tx, e, &all, run);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0) {
		struct wear w;

		if (wear_of_step(row.action, row.evidence, &w))
			r = count(tx, row.unit, &w, e);
		json_decref(row.evidence);
	}
	return MIN(r, 0);
}

int wear_worst(struct db *d, const char *unit, struct wear *ret, struct err *e)
{
	static const struct column columns[] = {
		COL(struct wear, region), COL(struct wear, erases), {0}};
	SELECT(find,
		"SELECT region, erases FROM unit_wear WHERE unit_id = ? ORDER BY erases DESC, region"
		" LIMIT 1",
		columns);

	return select_one(d, e, &find, ret, unit);
}
