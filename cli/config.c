/* SPDX-License-Identifier: Apache-2.0
 *
 * What provctl needs to know of provd.yaml.
 */
#include <libgen.h>

#include "base/util.h"
#include "base/yaml.h"
#include "cli/provctl.h"
#include "provd_config.h"

#define STATE_DIR PROVD_LOCALSTATEDIR "/lib/provd"

char *ctl_program(const char *name, const char *folder)
{
	char self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	_cleanup_(freep) char *dir = NULL;

	if (n <= 0)
		return xstrdup(name);
	self[n] = 0;
	dir = xstrdup(dirname(self));
	char *const found[] = {xasprintf("%s/%s", dir, name),
		xasprintf("%s/../%s/%s", dir, folder, name), xasprintf("%s/../sbin/%s", dir, name)};
	char *ret = NULL;

	for (size_t i = 0; i < ARRAY_LEN(found); i++) {
		if (!ret && access(found[i], X_OK) == 0)
			ret = found[i];
		else
			free(found[i]);
	}
	return ret ? ret : xstrdup(name);
}

char *config_state_dir(const char *config, struct err *e)
{
	const char *given = getenv("STATE_DIRECTORY");
	struct yaml_doc *doc = NULL;
	const char *said;
	char *dir;

	if (yaml_load(config, &doc, e) < 0)
		return NULL;
	said = json_string_value(json_object_get(doc->root, "state_dir"));
	dir = xstrdup(said ? said : given ? given : STATE_DIR);
	yaml_doc_free(doc);
	return dir;
}
