/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzzers of the image readers hold of any file: it is refused with a sentence, or it
 * becomes an image that keeps its own promises.
 */
#pragma once

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "transports/images/image.h"
#include "transports/images/opinion.h"

/* In the place of the library's, which asks libmagic: that takes longer than all readers together,
 * and has a fuzzer of its own (fuzz_foreign.c). */
int opinion_of(const uint8_t *bytes, uint64_t n, struct opinion *ret, struct err *e)
{
	return 0;
}

static inline void must(bool ok)
{
	if (!ok)
		abort();
}

/* Sorted, apart from each other, and found again by address. */
static inline void check_image(const struct image *i)
{
	uint64_t bytes = 0;

	must(i->count > 0);
	for (size_t k = 0; k < i->count; k++) {
		const struct image_segment *g = &i->segments[k];
		const struct image_segment *last = k ? g - 1 : NULL;
		uint64_t at = 0;
		uint8_t b = 0;

		must(g->len > 0 && g->address + g->len > g->address);
		must(!last || last->target < g->target ||
			(last->target == g->target && last->address + last->len < g->address));
		must(image_next(i, g->target, g->address, &at) && at == g->address);
		must(image_read(i, g->target, g->address + g->len - 1, &b, 1) == 1);
		must(b == g->data[g->len - 1]);
		bytes += g->len;
	}
	must(bytes == i->bytes);
}

static inline void fuzz_image(const uint8_t *bytes, size_t n)
{
	static const struct image_opts all[] = {IMAGE_OPTS_INSPECT,
		{.address = 0x08000000, .address_is_default = true, .format = IMAGE_ANY},
		{.address = IMAGE_NO_ADDRESS,
			.inspect = true,
			.format = IMAGE_ANY,
			.last_wins = true},
		{.address = 0, .format = IMAGE_BIN},
		{.address = IMAGE_NO_ADDRESS, .inspect = true, .format = IMAGE_ELF}};

	for (size_t k = 0; k < ARRAY_LEN(all); k++) {
		struct image *i = NULL;
		struct err e = {0};
		int r = image_parse("fuzz", bytes, n, &all[k], &i, &e);

		must((r == 0) == (i != NULL) && (r == 0 || (e.msg[0] && r == -(int)e.code)));
		if (i)
			check_image(i);
		image_unref(i);
	}
}
