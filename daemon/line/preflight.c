/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/preflight.h"

#include <errno.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/line/records.h"
#include "daemon/line/services.h"
#include "daemon/line/store.h"
#include "daemon/recipe/recipe.h"

int preflight_check(const struct line_services *line, const struct recipe *r, struct err *e)
{
	const json_t *artifacts = json_object_get(r->json, "artifacts");
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)artifacts, name, v) {
		_cleanup_(freep) char *path = store_artifact(line->store, json_string_value(v));

		/* The digest is checked where the file is read: what is flashed is what was hashed.
		 */
		if (access(path, R_OK) < 0)
			return err_set(e, ERR_PREFLIGHT, "artifact '%s' is not in the store: %s",
				name, strerrordesc_np(errno));
	}
	return disk_check(records_disk(line->records), 0, e);
}
