/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of hexadecimal records with their checksums put right.
 */
#pragma once

#include "base/strbuf.h"

static inline int fuzz_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The digits of a line begin at `skip`; the last two become what checksum() makes of the sum of
 * those before them. */
static inline void with_right_checksums(struct strbuf *to, const uint8_t *p, size_t n, size_t skip,
	uint8_t (*checksum)(uint8_t sum))
{
	for (size_t at = 0, end; at < n; at = end + 1) {
		uint8_t sum = 0;
		size_t k = at + skip;

		for (end = at; end < n && p[end] != '\n' && p[end] != '\r';)
			end++;
		for (; k + 3 < end && fuzz_digit(p[k]) >= 0 && fuzz_digit(p[k + 1]) >= 0; k += 2)
			sum = (uint8_t)(sum + (fuzz_digit(p[k]) << 4 | fuzz_digit(p[k + 1])));
		if (k > end)
			k = end;
		sb_add_n(to, p + at, k - at);
		sb_addf(to, "%02X\n", checksum(sum));
	}
	sb_add(to, "");
}
