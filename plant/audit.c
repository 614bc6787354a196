/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/audit.h"

#include "base/timefmt.h"

int audit(struct pg *tx, const char *who, const char *action, const char *target,
	const char *detail, const struct iotime *it, struct err *e)
{
	static const char sql[] = "INSERT INTO audit (at, who, action, target, detail)"
				  " VALUES ($1, $2, $3, $4, $5)";

	return pg_run(tx, &PG(sql, PG_INT(wall_ms()), who, action, target, detail), 1, NULL, it, e);
}

int rows_json(const struct pg_rows *rows, json_t **ret, struct err *e)
{
	const char *text = pg_count(rows) == 1 ? pg_text(rows, 0, 0) : NULL;
	json_t *o = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	if (!o)
		return err_set(e, ERR_DATABASE,
			"the plant's database gave something else than one JSON text");
	*ret = o;
	return 0;
}

int read_json(struct pool *p, const struct pg_query *q, json_t **ret, const struct iotime *it,
	struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pool_read(p, q, &rows, it, e);

	if (r == 0)
		r = rows_json(rows, ret, e);
	pg_rows_free(rows);
	return r;
}
