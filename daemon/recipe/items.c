/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/items.h"

#include <string.h>

bool recipe_is_identifier(const char *s, const char *extra)
{
	size_t n = strlen(s);

	if (n == 0 || n > 64)
		return false;
	for (const char *p = s; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
			    *p) &&
			!strchr(extra, *p))
			return false;
	return true;
}

static bool is_plain_value(const json_t *v)
{
	return json_is_string(v) || json_is_number(v) || json_is_boolean(v);
}

int item_check(const json_t *item, struct err *e)
{
	const char *key;
	json_t *v;

	if (!json_is_object(item))
		return is_plain_value(item)
			       ? 0
			       : err_set(e, ERR_INVALID,
					 "an item is a text, a number, true or false, or a mapping of those");
	json_object_foreach((json_t *)item, key, v) {
		if (!is_plain_value(v))
			return err_set(e, ERR_INVALID,
				"'%.40s' of an item is a text, a number, true or false", key);
		if (!recipe_is_identifier(key, ""))
			return err_set(e, ERR_INVALID,
				"'%.40s' is not a name for a member of an item", key);
	}
	return 0;
}
