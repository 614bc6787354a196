/* SPDX-License-Identifier: Apache-2.0 */
#include "db/canonical.h"

char *canonical(const json_t *j)
{
	return json_dumps(
		j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
}
