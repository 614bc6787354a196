/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/metrics.h"

#include "base/timefmt.h"

/* A row of the answer is the label's value, a name that ends no quotes (plant_name_check()), and the number. */
static const struct family {
	const char *name, *type, *help, *label;
	const char *sql;
	bool timed; /* $1: now, ms */
} families[] = {
	{"provd_plant_host_records", "counter", "The last record of the host that the plant has.",
		"host", "SELECT id, seen FROM hosts ORDER BY id"},
	{"provd_plant_host_heard_seconds", "gauge", "How long ago the host was heard.", "host",
		"SELECT id, round(greatest($1::bigint - last_at, 0) / 1000.0, 3) FROM hosts"
		" WHERE last_at IS NOT NULL ORDER BY id",
		true},
	{"provd_plant_host_refused", "gauge", "1 where the plant refuses the host.", "host",
		"SELECT id, (refused_at IS NOT NULL)::int FROM hosts ORDER BY id"},
	{"provd_plant_open_orders", "gauge", "Orders that are not at their end.", "state",
		"SELECT s.state, count(o.id) FROM (VALUES ('held'), ('open')) AS s (state) LEFT JOIN"
		" orders o ON o.state = s.state GROUP BY s.state ORDER BY 1"},
	{"provd_plant_leases_out", "gauge", "Leases of numbers that hosts use.", "pool",
		"SELECT p.id, count(l.id) FROM pools p LEFT JOIN leases l ON l.pool = p.id AND l.state ="
		" 'out' GROUP BY p.id ORDER BY 1"},
	{"provd_plant_conflicts", "gauge", "Values that two units claim.", NULL,
		"SELECT '', count(*) FROM conflicts"},
};

static int add_family(struct pool *p, const struct family *f, struct strbuf *b,
	const struct iotime *it, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pool_read(p, f->timed ? &PG(f->sql, PG_INT(wall_ms())) : &PG(f->sql), &rows, it, e);

	if (r < 0)
		return r;
	sb_addf(b, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
	for (int i = 0; i < (int)pg_count(rows); i++) {
		sb_add(b, f->name);
		if (f->label)
			sb_addf(b, "{%s=\"%s\"}", f->label, pg_text(rows, i, 0));
		sb_addf(b, " %s\n", pg_text(rows, i, 1));
	}
	pg_rows_free(rows);
	return 0;
}

int metrics_text(struct pool *p, struct strbuf *ret, const struct iotime *it, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(families); i++)
		r = add_family(p, &families[i], ret, it, e);
	return r;
}
