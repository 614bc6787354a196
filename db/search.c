/* SPDX-License-Identifier: Apache-2.0 */
#include "db/search.h"

#include <ctype.h>

#include "base/eui.h"
#include "base/util.h"
#include "db/stmt.h"

/* Of one text: as it is, in capitals, in small letters; of an address three forms. */
#define FORMS_MAX 6

static const struct column columns[] = {{"kind", AS_TEXT}, {"id", AS_TEXT}, {"name", AS_TEXT},
	{"state", AS_TEXT}, {"station", AS_TEXT}, {"at", AS_TIME}, {0}};

#define UNIT                                                                                      \
	"SELECT 'unit' AS kind, u.id AS id, u.serial AS name, u.state AS state, NULL AS station," \
	" u.updated_at AS at FROM "
#define JOB                                                                                                          \
	"SELECT 'job' AS kind, id, coalesce(number, external_ref) AS name, state, NULL AS station, created_at AS at" \
	" FROM jobs WHERE "
#define RUN                                                                                             \
	"SELECT 'run' AS kind, r.id AS id, r.serial AS name, CASE WHEN r.state = 'open' THEN 'open'"    \
	" WHEN r.deferred > 0 AND r.outcome = 'passed' THEN 'provisioned' ELSE r.outcome END AS state," \
	" r.station AS station, coalesce(r.ended_at, r.attached_at) AS at FROM "
#define VALUE "s.kind IN ('serial', 'mac') AND s.value = ?1"

SELECT(unit_by_id, UNIT "units u WHERE u.id = ?1", columns);
SELECT(unit_by_serial, UNIT "units u WHERE u.serial = ?1", columns);
SELECT(unit_by_chip, UNIT "units u WHERE u.chip_id = ?1 ORDER BY u.created_at DESC LIMIT 20",
	columns);
SELECT(unit_by_value, UNIT "serials s JOIN units u ON u.id = s.unit_id WHERE " VALUE, columns);
SELECT(job_by_id, JOB "id = ?1", columns);
SELECT(job_by_number, JOB "number = ?1", columns);
SELECT(job_by_ref, JOB "external_ref = ?1 ORDER BY created_at DESC LIMIT 20", columns);
SELECT(run_by_id, RUN "runs r WHERE r.id = ?1", columns);
SELECT(run_by_serial,
	RUN "runs r WHERE r.serial = ?1 AND r.unit_id IS NULL ORDER BY r.seq DESC LIMIT 20",
	columns);
SELECT(run_by_value,
	RUN "serials s JOIN runs r ON r.id = s.run_id WHERE " VALUE " AND s.unit_id IS NULL",
	columns);

const struct select *const search_selects[] = {&unit_by_id, &unit_by_serial, &unit_by_chip,
	&unit_by_value, &job_by_id, &job_by_number, &job_by_ref, &run_by_id, &run_by_serial,
	&run_by_value, NULL};

struct forms {
	char text[FORMS_MAX][SEARCH_MAX + 1];
	size_t n;
};

static void add_form(struct forms *f, const char *text)
{
	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->text[i], text))
			return;
	snprintf(f->text[f->n++], sizeof f->text[0], "%s", text);
}

static void find_forms(const char *text, struct forms *ret)
{
	char changed[2][SEARCH_MAX + 1] = {"", ""};
	struct eui a;

	ret->n = 0;
	for (size_t i = 0; text[i]; i++) {
		changed[0][i] = (char)toupper((unsigned char)text[i]);
		changed[1][i] = (char)tolower((unsigned char)text[i]);
	}
	add_form(ret, text);
	add_form(ret, changed[0]);
	add_form(ret, changed[1]);
	for (enum eui_form form = EUI_COLON; eui_parse(text, &a) && form <= EUI_BARE; form++) {
		char eui[EUI_TEXT_SIZE];

		eui_text(&a, form, eui);
		add_form(ret, eui);
	}
}

static bool has_it(const json_t *all, const json_t *one)
{
	const json_t *o;
	size_t i;

	json_array_foreach(all, i, o)
		if (json_equal(json_object_get(o, "id"), json_object_get(one, "id")))
			return true;
	return false;
}

static int look_up(
	struct db *d, const struct select *s, const char *text, json_t *all, struct err *e)
{
	json_t *rows = NULL, *row;
	int r = db_all_json(d, e, s, &rows, text);
	size_t i;

	json_array_foreach(rows, i, row)
		if (!has_it(all, row))
			json_array_append(all, row);
	json_decref(rows);
	return r;
}

int search_text(struct db *d, const char *text, json_t **ret, struct err *e)
{
	json_t *all = json_array();
	struct forms f;
	int r = 0;

	if (!*text || strlen(text) > SEARCH_MAX)
		r = err_set(e, ERR_INVALID, "a text of 1 to %d bytes is looked up, not one of %zu",
			SEARCH_MAX, strlen(text));
	else
		find_forms(text, &f);
	for (const struct select *const *s = search_selects; r == 0 && *s; s++)
		for (size_t i = 0; r == 0 && i < f.n; i++)
			r = look_up(d, *s, f.text[i], all, e);
	if (r < 0) {
		json_decref(all);
		return r;
	}
	*ret = all;
	return 0;
}
