/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"

#include <stdarg.h>

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

char *xstrdup(const char *s)
{
	char *p = strdup(s ? s : "");

	if (!p)
		abort();
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	char *p;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	return p;
}

void str_replace(char **p, const char *s)
{
	char *copy = s ? xstrdup(s) : NULL;

	free(*p);
	*p = copy;
}
