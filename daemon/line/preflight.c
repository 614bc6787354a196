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
#include "transports/images/blob.h"
#include "transports/labels/label.h"
#include "transports/links/http.h"
#include "transports/links/instrument.h"
#include "transports/links/printer.h"

/* A service, with its token. */
static int check_service(const struct config *c, const char *name, struct err *e)
{
	struct http_service got;
	int r = config_service(c, name, &got, e);

	if (r == 0)
		http_service_done(&got);
	return r;
}

/* The names that a label gets values for; the list is the caller's. */
static struct label_value *label_values(const json_t *map, size_t *ret_n)
{
	struct label_value *v = xcalloc(json_object_size(map) + 1, sizeof *v);
	const char *name;
	json_t *item;

	*ret_n = 0;
	json_object_foreach((json_t *)map, name, item) {
		v[(*ret_n)++].name = name;
	}
	return v;
}

static int check_label(
	const char *name, const char *path, const struct recipe_step *step, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	_cleanup_(label_freep) struct label *l = NULL;
	_cleanup_(freep) struct label_value *v = NULL;
	size_t n;
	int r = blob_open(path, BLOB_STORED, &b, e);

	if (r == 0)
		r = label_read(name, (const char *)b->data, b->size, NULL, &l, e);
	if (r < 0)
		return r;
	v = label_values(json_object_get(step->known, "values"), &n);
	return label_check_names(l, v, n, e);
}

/* The template of a label that the recipe has as an artifact. */
static int check_template(const struct line_services *line, const struct recipe *r,
	const struct recipe_step *step, const char *ref, struct err *e)
{
	static const char before[] = "${artifacts.";
	const size_t n = strlen(before), all = strlen(ref);
	_cleanup_(freep) char *name = NULL;
	_cleanup_(freep) char *path = NULL;
	const char *sha256;

	if (strncmp(ref, before, n) != 0 || ref[all - 1] != '}')
		return 0;
	name = strndup(ref + n, all - n - 1);
	sha256 = json_string_value(json_object_get(json_object_get(r->json, "artifacts"), name));
	path = sha256 ? store_artifact(line->store, sha256) : NULL;
	return path ? check_label(name, path, step, e) : 0;
}

/* What a step names that the installation or the recipe has to have. */
static int check_step(const struct line_services *line, const struct config *c,
	const struct recipe *r, const struct recipe_step *step, struct err *e)
{
	for (const struct action_arg *row = step->action->args; row->name; row++) {
		const char *name = json_string_value(json_object_get(step->known, row->name));
		bool literal = name && !strstr(name, "${");
		struct printer printer;
		struct instrument instrument;
		struct err why;
		int ret = 0;

		if (row->service && literal)
			ret = check_service(c, name, &why);
		else if (row->printer && literal)
			ret = config_printer(c, name, &printer, &why);
		else if (row->instrument && literal)
			ret = config_instrument(c, name, &instrument, &why);
		else if (row->label && name)
			ret = check_template(line, r, step, name, &why);
		if (ret < 0)
			return err_set(e, ERR_PREFLIGHT, "step '%s': %s", step->id, why.msg);
	}
	return 0;
}

static int check_steps(const struct line_services *line, const struct recipe *r, struct err *e)
{
	struct config *now = line->config(line->line);
	int ret = 0;

	for (size_t p = 0; p < ARRAY_LEN(r->step); p++)
		for (size_t i = 0; ret == 0 && i < r->steps[p]; i++)
			ret = check_step(line, now, r, &r->step[p][i], e);
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
	if (check_steps(line, r, e) < 0)
		return -ERR_PREFLIGHT;
	return disk_check(records_disk(line->records), 0, e);
}
