/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/route_answer.h"

const char *route_code_str(enum route_code c)
{
	static const char *const codes[] = {
		"answered", "unreachable", "late", "foreign", "malformed", "doubled", "refused"};

	return codes[c];
}
