/* SPDX-License-Identifier: Apache-2.0 */
#include "api/accept.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* The end of a part of the header at one of `ends`; those within quotes end nothing. */
static const char *part_end(const char *p, const char *ends)
{
	for (bool quoted = false; *p; p++) {
		if (quoted && *p == '\\' && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && strchr(ends, *p))
			break;
	}
	return p;
}

/* Whether the parameters [p, end) of a range give it no weight: q=0, q=0.000. */
static bool is_refused(const char *p, const char *end)
{
	while (p < end && *p == ';') {
		const char *name = skip_blanks(p + 1);

		p = part_end(name, ";,");
		if (strncasecmp(name, "q=", 2) == 0)
			return strtod(name + 2, NULL) <= 0;
	}
	return false;
}

bool accept_names(const char *accept, const char *type)
{
	size_t n = strlen(type);

	for (const char *p = accept; p && *p; p += *p == ',') {
		const char *range = skip_blanks(p);
		const char *params = skip_blanks(range + strcspn(range, " \t;,"));
		size_t len = strcspn(range, " \t;,");

		p = part_end(range, ",");
		if (len == n && strncasecmp(range, type, n) == 0 && !is_refused(params, p))
			return true;
	}
	return false;
}
