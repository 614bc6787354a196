/* SPDX-License-Identifier: Apache-2.0 */
#include "db/compact.h"

#include <errno.h>

#include "base/state_lock.h"
#include "base/util.h"
#include "db/db_impl.h"

static int rebuild(struct db *d, int64_t *ret_before, int64_t *ret_after, struct err *e)
{
	int64_t version;
	int r = d->engine->ops->get_schema(d->engine, &version, e);

	if (r == 0)
		r = db_size(d, ret_before, e);
	if (r == 0 && d->engine->ops->rebuild)
		r = d->engine->ops->rebuild(d->engine, e);
	return r < 0 ? r : db_size(d, ret_after, e);
}

int compact_database(const char *state_dir, int64_t *ret_before, int64_t *ret_after, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.db", state_dir);
	_cleanup_(closep) int lock = -1;
	_cleanup_(db_freep) struct db *d = NULL;
	int r = state_check_user(state_dir, e);

	if (r == 0 && access(path, F_OK) < 0)
		r = err_errno(e, ERR_IO, errno, "database %s", path);
	if (r == 0)
		r = state_lock(state_dir, &lock, e);
	if (r == -ERR_BUSY)
		return err_prefix(e, "stop provd first");
	if (r == 0)
		r = db_connect(path, ENGINE_WRITE, &d, e);
	if (r == 0) {
		db_tolerate(d, false);
		r = rebuild(d, ret_before, ret_after, e);
	}
	return r;
}
