/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include "db/db_impl.h"
#include "db/migrations.h"
#include "db/stmt.h"

struct db *db_free(struct db *d)
{
	if (!d)
		return NULL;
	db_pending_cut(d, 0, 0);
	free(d->event);
	free(d->mark);
	for (size_t i = 0; i < DB_CACHE_SLOTS; i++)
		if (d->cache[i].st)
			d->engine->ops->finalize(d->cache[i].st);
	if (d->engine)
		d->engine->ops->close(d->engine);
	free(d->path);
	free(d);
	return NULL;
}

int db_schema(struct db *d, int64_t *ret_version, struct err *e)
{
	int r = d->engine->ops->get_schema(d->engine, ret_version, e);

	if (r < 0)
		return r;
	return *ret_version > migration_count
		       ? err_set(e, ERR_UNSUPPORTED,
				 "schema %d was made by a newer provd (this one knows up to %d): install that provd or restore the backup",
				 (int)*ret_version, migration_count)
		       : 0;
}

static int reach(struct db *d, const char *sql, int64_t version, struct err *e)
{
	int r = db_begin(d, e);

	if (r < 0)
		return r;
	r = db_script(d, sql, e);
	if (r == 0)
		r = d->engine->ops->set_schema(d->engine, version, e);
	if (r == 0)
		r = db_commit(d, e);
	if (r < 0)
		db_rollback(d);
	return r;
}

int db_migrate_one(struct db *d, int64_t version, struct err *e)
{
	return reach(d, migrations[version].sql, version + 1, e);
}

static int migrate(struct db *d, struct err *e)
{
	int64_t version = 0;
	int r = db_schema(d, &version, e);
	const bool older = version < migration_count;

	if (r == 0 && version == 0) {
		r = reach(d, migrations_whole, migration_count, e);
		version = migration_count;
	}
	for (; r == 0 && version < migration_count; version++) {
		r = db_migrate_one(d, version, e);
		if (r < 0)
			err_prefix(e, "migration %s", migrations[version].name);
	}
	/* The header of the file says it too: an older package looks there (packaging/debian/provd.preinst). */
	if (r == 0 && older)
		db_tidy(d);
	return r;
}

/* The only place that chooses an engine. */
static const struct engine_ops *engine_of(const char *path)
{
	return &engine_sqlite;
}

static char *path_with(const char *path, const char *suffix)
{
	return suffix ? xasprintf("%s%s", path, suffix) : NULL;
}

char *db_log_path(const char *path)
{
	return path_with(path, engine_of(path)->log_suffix);
}

char *db_sums_path(const char *path)
{
	return path_with(path, engine_of(path)->sums_suffix);
}

int db_connect(const char *path, enum engine_mode mode, struct db **ret, struct err *e)
{
	_cleanup_(db_freep) struct db *d = xcalloc(1, sizeof *d);
	int r = engine_of(path)->open(path, mode, &d->engine, e);

	if (r < 0)
		return r;
	d->path = xstrdup(path);
	*ret = steal_ptr(&d);
	return 0;
}

int db_open(const char *path, struct db **ret, struct err *e)
{
	_cleanup_(db_freep) struct db *d = NULL;
	int r = db_connect(path, ENGINE_WRITE, &d, e);

	if (r == 0)
		r = migrate(d, e);
	if (r < 0)
		return err_prefix(e, "database %s", path);
	db_tolerate(d, false);
	*ret = steal_ptr(&d);
	return 0;
}

int db_open_reader(const char *path, struct db **ret, struct err *e)
{
	_cleanup_(db_freep) struct db *d = NULL;
	int64_t version;
	int r = db_connect(path, ENGINE_READ, &d, e);

	if (r == 0)
		r = db_schema(d, &version, e);
	if (r < 0)
		return err_prefix(e, "database %s", path);
	db_tolerate(d, false);
	*ret = steal_ptr(&d);
	return 0;
}

void db_tolerate(struct db *d, bool damage)
{
	if (d->engine->ops->tolerate)
		d->engine->ops->tolerate(d->engine, damage);
}

const char *db_sums_begun(struct db *d, size_t *ret_pages)
{
	return d->engine->ops->sums_begun ? d->engine->ops->sums_begun(d->engine, ret_pages) : NULL;
}

unsigned db_damaged_page(struct db *d)
{
	return d->engine->ops->damaged_page ? d->engine->ops->damaged_page(d->engine) : 0;
}

int db_set_quota(struct db *d, int64_t bytes, struct err *e)
{
	return d->engine->ops->set_quota
		       ? d->engine->ops->set_quota(d->engine, bytes, e)
		       : err_set(e, ERR_UNSUPPORTED, "this database has no quota");
}

int db_size(struct db *d, int64_t *ret_bytes, struct err *e)
{
	return d->engine->ops->size(d->engine, ret_bytes, e);
}

int db_shrink(struct db *tx, int pages, int64_t *ret_free, struct err *e)
{
	*ret_free = 0;
	return tx->engine->ops->shrink ? tx->engine->ops->shrink(tx->engine, pages, ret_free, e)
				       : 0;
}

void db_tidy(struct db *d)
{
	if (d->engine->ops->tidy)
		d->engine->ops->tidy(d->engine);
}

int db_begin(struct db *d, struct err *e)
{
	db_pending_cut(d, 0, 0);

	int r = db_do(d, e, "BEGIN IMMEDIATE");

	d->in_tx = r == 0;
	return r;
}

int db_commit(struct db *d, struct err *e)
{
	int r = db_do(d, e, "COMMIT");

	if (r == 0)
		d->in_tx = false;
	return r;
}

void db_rollback(struct db *d)
{
	d->in_tx = false;
	/* An engine rolls back by itself on some errors (full, I/O); then there is
	 * nothing to do. */
	if (db_in_transaction(d))
		db_script(d, "ROLLBACK", NULL);
	db_pending_cut(d, 0, 0);
}

int db_snapshot(struct db *d, struct err *e)
{
	return db_do(d, e, "BEGIN");
}

void db_snapshot_end(struct db *d)
{
	if (db_in_transaction(d))
		db_script(d, "ROLLBACK", NULL);
}
