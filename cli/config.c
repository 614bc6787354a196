/* SPDX-License-Identifier: Apache-2.0
 *
 * What provctl needs to know of provd.yaml.
 */
#include "base/util.h"
#include "base/yaml.h"
#include "cli/provctl.h"
#include "provd_config.h"

#define STATE_DIR PROVD_LOCALSTATEDIR "/lib/provd"

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
