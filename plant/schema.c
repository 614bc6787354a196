/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/schema.h"

#include "base/log.h"
#include "base/timefmt.h"

/* Of pg_advisory_xact_lock(): "plan". */
#define LOCK "1886152046"

static const char make[] =
	"CREATE TABLE IF NOT EXISTS plant_schema (version bigint PRIMARY KEY, name text NOT NULL,"
	" at bigint NOT NULL)";

struct find {
	int64_t version, others;
};

static int find_version(struct pg *tx, struct find *ret, const struct iotime *it, struct err *e)
{
	static const char others[] =
		"SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
		" AND tablename <> 'plant_schema'";
	static const char version[] = "SELECT coalesce(max(version), 0) FROM plant_schema";
	struct pg_rows *rows = NULL;
	int r = pg_run(tx,
		(struct pg_query[]){PG("SELECT pg_advisory_xact_lock(" LOCK ")"), PG(others)}, 2,
		&rows, it, e);

	if (r == 0)
		ret->others = pg_int(rows, 0, 0);
	pg_rows_free(rows);
	rows = NULL;
	if (r == 0)
		r = pg_run(tx, (struct pg_query[]){PG(make), PG(version)}, 2, &rows, it, e);
	if (r == 0)
		ret->version = pg_int(rows, 0, 0);
	pg_rows_free(rows);
	return r;
}

static int check_version(const struct find *f, struct err *e)
{
	if (f->version == 0 && f->others > 0)
		return err_set(e, ERR_UNSUPPORTED,
			"the database has %lld tables of another program: give the plant a database of its own",
			(long long)f->others);
	if (f->version > plant_migration_count)
		return err_set(e, ERR_UNSUPPORTED,
			"the database has the schema %lld of a newer provd-plant, this one knows %d: start the newer program again; nothing was changed",
			(long long)f->version, plant_migration_count);
	return 0;
}

/* One migration, where there is one to do. */
static int step(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	static const char note[] =
		"INSERT INTO plant_schema (version, name, at) VALUES ($1, $2, $3)";
	int64_t *done = data;
	struct find f = {0};
	int r = find_version(tx, &f, it, e);

	if (r == 0)
		r = check_version(&f, e);
	*done = f.version;
	if (r < 0 || f.version == plant_migration_count)
		return r;
	r = pg_script(tx, plant_migrations[f.version].sql, it, e);
	if (r == 0)
		r = pg_run(tx,
			&PG(note, PG_INT(f.version + 1), plant_migrations[f.version].name,
				PG_INT(wall_ms())),
			1, NULL, it, e);
	return r < 0 ? err_prefix(e, "migration %s", plant_migrations[f.version].name) : 0;
}

int schema_migrate(struct pool *p, const struct iotime *it, struct err *e)
{
	int64_t before = -1;
	int r = 0;

	while (r == 0 && before < plant_migration_count)
		r = pool_do(p, step, &before, it, e);
	return r;
}

int schema_check(int64_t version, struct err *e)
{
	if (version <= plant_migration_count)
		return 0;
	return err_set(e, ERR_SERVICE_DOWN,
		"the plant's database has the schema %lld of a newer provd-plant, and this one knows %d: end this one, the newer one serves the database now",
		(long long)version, plant_migration_count);
}
