/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes to be sent, put together of spans that lie elsewhere: a file as it is, a piece of it with
 * headers between, a file whose end was moved. What is sent is never copied for that. Belongs to
 * one worker; borrows what its spans point at.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

#define SPAN_COPY_MAX 4096

struct span {
	const uint8_t *p; /* NULL: zeros */
	uint64_t n;
	uint64_t at; /* where it begins in the whole */
};

struct span_page;

struct spans {
	struct span *list;
	size_t count, cap;
	uint64_t bytes;		/* of all */
	struct span_page *page; /* small things that are in no file: headers, changed fields */
};

/* n bytes at p, which outlive s; p NULL: n zeros. -ERR_NO_MEMORY. */
int spans_add(struct spans *s, const uint8_t *p, uint64_t n, struct err *e);
/* The same with a copy of the bytes, at most SPAN_COPY_MAX. */
int spans_add_copy(struct spans *s, const void *p, size_t n, struct err *e);
void spans_clear(struct spans *s); /* empty, for another use */
void spans_done(struct spans *s);
/* Copies [offset, offset + n), which has to lie within. */
void spans_read(const struct spans *s, uint64_t offset, void *buf, size_t n);
/* The longest run of bytes from offset on that lies in one place, at most max: *ret is NULL for
 * zeros. 0 at the end. */
uint64_t spans_run(const struct spans *s, uint64_t offset, uint64_t max, const uint8_t **ret);
