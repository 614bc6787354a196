/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *str;
	const char *hint;
	enum err_class cls;
} table[ERR_CODE_COUNT] = {
#define X(sym, s, c, h) [ERR_##sym] = {s, h, ERR_CLASS_##c},
	ERR_TABLE(X)
#undef X
};

static void err_vset(struct err *e, enum err_code c, int os_errno, const char *fmt, va_list ap)
{
	if (!e)
		return;
	/* The arguments may point into the message that is being replaced. */
	char text[sizeof e->msg];
	vsnprintf(text, sizeof text, fmt, ap);
	e->code = c;
	e->os_errno = os_errno;
	memcpy(e->msg, text, sizeof text);
}

int err_set(struct err *e, enum err_code c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(e, c, 0, fmt, ap);
	va_end(ap);
	return -(int)c;
}

static enum err_code code_of_errno(int os_errno)
{
	switch (os_errno) {
	case EACCES:
	case EPERM:
		return ERR_ACCESS;
	case EBUSY:
		return ERR_BUSY;
	case ENOSPC:
	case EDQUOT:
		return ERR_DISK_FULL;
	case ENODEV:
	case ENXIO:
		return ERR_DEVICE_GONE;
	case ENOMEM:
		return ERR_NO_MEMORY;
	default:
		return ERR_IO;
	}
}

int err_errno(struct err *e, enum err_code c, int os_errno, const char *fmt, ...)
{
	if (c == ERR_IO)
		c = code_of_errno(os_errno);

	va_list ap;

	va_start(ap, fmt);
	err_vset(e, c, os_errno, fmt, ap);
	va_end(ap);
	if (e) {
		size_t n = strlen(e->msg);

		snprintf(e->msg + n, sizeof e->msg - n, ": %s", strerrordesc_np(os_errno));
	}
	return -(int)c;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	if (!e)
		return -ERR_INTERNAL;

	char text[sizeof e->msg];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);

	size_t n = strlen(text);

	if (n < sizeof text)
		snprintf(text + n, sizeof text - n, ": %s", e->msg);
	memcpy(e->msg, text, sizeof text);
	return -(int)e->code;
}

const char *err_code_str(enum err_code c)
{
	return (unsigned)c < ERR_CODE_COUNT ? table[c].str : "internal";
}

const char *err_code_hint(enum err_code c)
{
	return (unsigned)c < ERR_CODE_COUNT ? table[c].hint : "";
}

enum err_class err_code_class(enum err_code c)
{
	return (unsigned)c < ERR_CODE_COUNT ? table[c].cls : ERR_CLASS_LINE;
}

int err_code_from_str(const char *s)
{
	for (int i = 0; i < ERR_CODE_COUNT; i++)
		if (!strcmp(table[i].str, s))
			return i;
	return -1;
}

enum err_code err_from_ret(int r)
{
	return r < 0 && -r < ERR_CODE_COUNT ? (enum err_code) - r : ERR_INTERNAL;
}
