/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a template and as a condition. What a reference yields is never parsed again: a value
 * that looks like a reference comes out as it is.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/recipe/expr.h"

#define LURE "${params.lure} && ("

static int lookup(void *data, const char *path, json_t **ret, struct err *e)
{
	if (strstr(path, "lure"))
		*ret = json_string(LURE);
	else if (strstr(path, "n"))
		*ret = json_integer(3);
	else
		return err_set(e, ERR_NOT_FOUND, "no %s", path);
	return 0;
}

static int seen(void *data, const char *path, struct err *e)
{
	if (!*path)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const struct scope scope = {lookup, NULL};
	_cleanup_(freep) char *text = strndup((const char *)bytes, n);
	json_t *v = NULL;
	struct err e = {0};
	bool truth = false;

	template_refs(text, seen, NULL, &e);
	for (int q = 0; q < 2; q++) {
		if (template_eval(text, q ? QUOTE_REGEX : QUOTE_NONE, &scope, &v, &e) == 0) {
			if (!v)
				abort();
			json_decref(v);
			v = NULL;
		} else if (!e.msg[0]) {
			abort();
		}
	}
	if (condition_eval(text, &scope, &truth, &e) < 0 && !e.msg[0])
		abort();
	return 0;
}
