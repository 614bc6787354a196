/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/preflight.h"

#include <errno.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/records.h"
#include "daemon/line/services.h"
#include "daemon/line/store.h"
#include "daemon/recipe/recipe.h"
#include "transports/links/http.h"

/* The services that a step names, each with its token. */
static int check_services_of(const struct config *c, const struct recipe_step *step, struct err *e)
{
	for (const struct action_arg *row = step->action->args; row->name; row++) {
		const char *name = json_string_value(json_object_get(step->with, row->name));
		struct http_service got;
		struct err why;

		if (!row->service || !name || strstr(name, "${"))
			continue;
		if (config_service(c, name, &got, &why) < 0)
			return err_set(e, ERR_PREFLIGHT, "step '%s': %s", step->id, why.msg);
		http_service_done(&got);
	}
	return 0;
}

static int check_services(const struct line_services *line, const struct recipe *r, struct err *e)
{
	struct config *now = line->config(line->line);
	int ret = 0;

	for (size_t p = 0; p < ARRAY_LEN(r->step); p++)
		for (size_t i = 0; ret == 0 && i < r->steps[p]; i++)
			ret = check_services_of(now, &r->step[p][i], e);
	config_unref(now);
	return ret;
}

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
	if (check_services(line, r, e) < 0)
		return -ERR_PREFLIGHT;
	return disk_check(records_disk(line->records), 0, e);
}
