/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of numbers: whatever comes, what it takes is finite, has its digits in the text, its
 * sign where the text has one, and its unit at the end of the text or at that of the label.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/regex.h"
#include "daemon/recipe/quantity.h"

static void check(const char *text, const struct quantity *q)
{
	size_t n = strlen(text), k = strlen(q->unit);
	bool minus = strchr(text, '-') || strstr(text, "\u2212");

	if (!isfinite(q->value) || fabs(q->value) >= 9.9e37)
		abort();
	if (!strpbrk(text, "0123456789") || (q->value < 0 && !minus))
		abort();
	while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	if (q->from_label) {
		const char *at = strstr(text, q->unit);

		if (k == 0 || !at || !strpbrk(at + k, "=:"))
			abort();
	} else if (k > n || memcmp(text + n - k, q->unit, k) != 0) {
		abort();
	}
	if (strpbrk(text, ",'<>~\n"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const char *const wanted[] = {NULL, "V", "kOhm", "degC", "counts"};
	char *text = malloc(n + 1);
	struct err e = {0};
	struct quantity q;
	double v;

	if (!text)
		abort();
	memcpy(text, bytes, n);
	text[n] = '\0';
	n = strlen(text);
	if (quantity_parse(text, &q, &e) == 0) {
		check(text, &q);
		for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
			if (quantity_in(&q, wanted[i], &v, &e) == 0 && !isfinite(v))
				abort();
	} else if (e.code != ERR_NOT_A_NUMBER || !e.msg[0]) {
		abort();
	}
	if (quantity_parse_labelled(text, &q, &e) == 0)
		check(text, &q);
	for (size_t i = 0; i < n && i < 64; i++)
		if (quantity_parse_part(text, i, n, &q, &e) == 0 && !isfinite(q.value))
			abort();
	free(text);
	return 0;
}
