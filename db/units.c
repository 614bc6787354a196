/* SPDX-License-Identifier: Apache-2.0 */
#include "db/units.h"

#include "base/timefmt.h"
#include "db/job_units.h"
#include "db/jobs.h"
#include "db/journal.h"
#include "db/outbox.h"
#include "db/run_facts.h"
#include "db/stmt.h"

static int find_chip(struct db *tx, const char *chip_id, char ret_id[DB_ID_SIZE], struct err *e)
{
	static const char sql[] = "SELECT id FROM units WHERE chip_id = ?"
				  " ORDER BY created_at DESC LIMIT 1";

	return db_text(tx, e, ret_id, DB_ID_SIZE, sql, chip_id);
}

static int make_unit(struct db *tx, const char *chip_id, const char *model, char ret_id[DB_ID_SIZE],
	struct err *e)
{
	static const char sql[] =
		"INSERT INTO units (id, model, chip_id, state, created_at, updated_at)"
		" VALUES (?1, ?2, ?3, 'new', ?4, ?4)";

	uuid7(ret_id);
	return db_do(tx, e, sql, ret_id, model, chip_id, wall_ms());
}

/* The run knows its unit (by a scanned serial): the chip id joins it, or must be the same. */
static int confirm_chip(
	struct db *tx, const struct run_facts *f, const char *chip_id, struct err *e)
{
	static const char sql[] = "UPDATE units SET chip_id = ? WHERE id = ?";

	if (!f->chip[0])
		return db_do(tx, e, sql, chip_id, f->unit);
	if (strcmp(f->chip, chip_id))
		return err_set(
			e, ERR_WRONG_DEVICE, "chip %s was expected, %s is here", f->chip, chip_id);
	return 0;
}

int units_identify(struct db *tx, const char *run, const char *chip_id, const char *model,
	char ret_id[DB_ID_SIZE], struct err *e)
{
	static const char link[] = "UPDATE runs SET unit_id = ? WHERE id = ?";
	struct run_facts f;
	char id[DB_ID_SIZE] = "";
	int r = run_facts(tx, run, &f, e);

	if (r < 0)
		return r;
	if (f.unit[0]) {
		r = confirm_chip(tx, &f, chip_id, e);
		if (r == 0)
			memcpy(ret_id, f.unit, DB_ID_SIZE);
		return r;
	}
	r = find_chip(tx, chip_id, id, e);
	if (r == 0)
		r = make_unit(tx, chip_id, model ? model : or_null(f.model), id, e);
	if (r >= 0)
		r = db_run(tx, e, link, id, run);
	if (r < 0)
		return r;
	memcpy(ret_id, id, DB_ID_SIZE);
	return run_event(tx, "unit-identified", &f, NULL,
		json_pack("{s:s, s:s}", "unit", id, "chip_id", chip_id), e);
}

int units_recognise(
	struct db *tx, const char *run, const char *serial, const char *model, struct err *e)
{
	static const char find[] = "SELECT id FROM units WHERE serial = ?";
	static const char link[] = "UPDATE runs SET unit_id = ?, serial = ? WHERE id = ?";
	struct run_facts f;
	char id[DB_ID_SIZE] = "";
	int r = run_facts(tx, run, &f, e);

	if (r == 0)
		r = db_text(tx, e, id, sizeof id, find, serial);
	if (r < 0)
		return r;
	if (r == 0)
		return units_identify(tx, run, serial, model, id, e);
	if (f.unit[0] && strcmp(f.unit, id) != 0)
		return err_set(e, ERR_WRONG_DEVICE,
			"unit %s was expected by its serial number, chip %s is here", serial,
			f.chip);
	return db_do(tx, e, link, id, serial, run);
}

int units_serial(struct db *d, const char *id, char ret[LEDGER_VALUE_SIZE], struct err *e)
{
	static const char sql[] = "SELECT coalesce(serial, '') FROM units WHERE id = ?";

	ret[0] = 0;
	return MIN(db_text(d, e, ret, LEDGER_VALUE_SIZE, sql, id), 0);
}

/* A unit that a person scraps is not waited for any more; lists of a first order and of its rework may have it. */
static int leave_lists(struct db *tx, const char *id, const char *reason, struct err *e)
{
	char serial[LEDGER_VALUE_SIZE], job[DB_ID_SIZE] = "";
	int r = units_serial(tx, id, serial, e);

	if (r < 0 || !serial[0])
		return r;
	do {
		r = job_units_scrap(tx, serial, reason, job, e);
		if (r == 0 && job[0])
			r = jobs_check_list(tx, job, e);
	} while (r == 0 && job[0]);
	return r;
}

int units_set_state(struct db *tx, const char *id, const char *state, const char *reason,
	const char *by, struct err *e)
{
	static const char sql[] = "UPDATE units SET state = ?, updated_at = ? WHERE id = ?";
	static const char passed[] = "SELECT 1 FROM units WHERE id = ? AND state = 'passed'";
	bool released = !strcmp(state, "failed");
	int r = released ? db_has(tx, e, passed, id) : 0;

	if (r > 0)
		return err_set(
			e, ERR_CONFLICT, "unit %s has passed: there is nothing to release", id);
	if (r == 0)
		r = db_run_one(tx, e, "that unit", sql, state, wall_ms(), id);
	if (r == 0 && released)
		r = journal_release(tx, id, by, reason, e);
	if (r == 0) {
		_cleanup_(freep) char *why = xasprintf("%s: %s", by, reason);

		r = outbox_void_unit(tx, id, why, e);
		if (r == 0 && !strcmp(state, "scrapped"))
			r = leave_lists(tx, id, why, e);
	}
	if (r < 0)
		return r;
	return db_event(tx, "unit-changed", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s, s:s, s:s}", "unit", id, "state", state, "reason", reason,
			"by", by),
		e);
}

#define COLUMNS "created_at, id, serial, model, chip_id, state, updated_at"

static const struct column columns[] = {{"created_at", AS_TIME}, {"id", AS_TEXT},
	{"serial", AS_TEXT}, {"model", AS_TEXT}, {"chip_id", AS_TEXT}, {"state", AS_TEXT},
	{"updated_at", AS_TIME}, {0}};

int units_get(struct db *d, const char *serial_or_id, json_t **ret, struct err *e)
{
	SELECT(get,
		"SELECT " COLUMNS " FROM units WHERE serial = ?1 OR id = ?1"
		" ORDER BY serial IS NOT ?1 LIMIT 1",
		columns);

	return db_one_json(d, e, "unit", &get, ret, serial_or_id);
}

int units_list(struct db *d, const char *state, const char *model, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM units", columns);
	static const struct keyset order = {"created_at", "id", false};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "state = ?", state);
	sel_str(&s, "model = ?", model);
	return sel_page(&s, d, &order, page, ret, e);
}
