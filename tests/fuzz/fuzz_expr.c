/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a template and as a condition. What a reference yields is never parsed again: a value
 * that looks like a reference comes out as it is. What is kept of a text for later yields the same as the
 * text, also where a reference stays one.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/recipe/expr.h"
#include "daemon/recipe/later.h"

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

static char *text_of(const char *text, const struct scope *scope)
{
	json_t *v = NULL;
	char *s;

	if (template_eval(text, QUOTE_NONE, scope, &v, NULL) < 0)
		return NULL;
	s = json_is_string(v) ? strdup(json_string_value(v))
			      : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	json_decref(v);
	return s;
}

static void keep(const char *text, const struct scope *scope)
{
	const struct action action = {.name = "a"};
	json_t *with = json_pack("{s:s}", "t", text);
	json_t *deferred = json_pack("{s:b}", "d", 1);
	struct recipe_step st = {.id = (char *)(uintptr_t) "s", .action = &action, .with = with};
	json_t *kept = NULL;

	if (with && later_payload(&st, scope, deferred, &kept, NULL) == 0) {
		json_t *later = json_object_get(json_object_get(kept, "with"), "t");
		char *before = text_of(text, scope);
		char *after = json_is_string(later)
				      ? text_of(json_string_value(later), scope)
				      : json_dumps(later, JSON_ENCODE_ANY | JSON_COMPACT);

		if (before && (!after || strcmp(before, after) != 0))
			abort();
		free(before);
		free(after);
	}
	json_decref(kept);
	json_decref(with);
	json_decref(deferred);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const struct scope scope = {lookup, NULL};
	_cleanup_(freep) char *text = strndup((const char *)bytes, n);
	json_t *v = NULL;
	struct err e = {0};
	bool truth = false;

	template_refs(text, seen, NULL, &e);
	keep(text, &scope);
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
