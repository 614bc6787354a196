/* SPDX-License-Identifier: Apache-2.0 */
#include "base/teller.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

void teller_progress(const struct teller *t, const char *phase, uint64_t done, uint64_t total)
{
	if (t && t->progress)
		t->progress(t->data, phase, done, total);
}

void teller_line(const struct teller *t, char dir, const char *text)
{
	if (t && t->log)
		t->log(t->data, dir, text);
}

void teller_log(const struct teller *t, char dir, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	if (!t || !t->log)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	t->log(t->data, dir, text);
}
