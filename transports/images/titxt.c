/* SPDX-License-Identifier: Apache-2.0
 *
 * TI-TXT (Texas Instruments, "MSP430 Assembly Language Tools", SLAU131, hex conversion utility):
 *
 *	@F000			where the bytes that follow go, in hexadecimal
 *	31 40 00 03 .. 		bytes, at most 16 in a line
 *	q			the end
 *
 * There is no checksum: the end mark is the only sign that the file is whole.
 */
#include <ctype.h>

#include "transports/images/text.h"

#define ADDRESS_DIGITS_MAX 8

struct titxt {
	struct image_source *s;
	struct text t;
	bool placed; /* an address came */
	uint64_t address;
	bool ended;
};

static int take_address(struct titxt *x, const uint8_t *p, size_t n, struct err *e)
{
	uint64_t address = 0;

	if (n == 0 || n > ADDRESS_DIGITS_MAX)
		return image_malformed(x->s, x->t.line, e,
			"an address has 1 to %d hexadecimal digits after the @, this one %zu",
			ADDRESS_DIGITS_MAX, n);
	for (size_t i = 0; i < n; i++) {
		int d = text_digit(p[i]);

		if (d < 0)
			return image_malformed(x->s, x->t.line, e,
				"column %zu: a hexadecimal digit was expected, not byte %02x",
				i + 2, p[i]);
		address = address << 4 | (unsigned)d;
	}
	x->placed = true;
	x->address = address;
	return 0;
}

static int take_bytes(struct titxt *x, const uint8_t *p, size_t n, struct err *e)
{
	uint8_t b[TEXT_RECORD_MAX];
	size_t k = 0;
	int r;

	if (!x->placed)
		return image_malformed(
			x->s, x->t.line, e, "bytes before the first address (@F000)");
	for (size_t i = 0; i < n;) {
		if (isspace(p[i])) {
			i++;
			continue;
		}
		if (n - i < 2 || text_digit(p[i]) < 0 || text_digit(p[i + 1]) < 0 ||
			(n - i > 2 && !isspace(p[i + 2])))
			return image_malformed(x->s, x->t.line, e,
				"column %zu: a byte of two hexadecimal digits was expected", i + 1);
		if (k == TEXT_RECORD_MAX)
			return image_malformed(x->s, x->t.line, e, "more than %d bytes in a line",
				TEXT_RECORD_MAX);
		b[k++] = (uint8_t)(text_digit(p[i]) << 4 | text_digit(p[i + 1]));
		i += 2;
	}
	r = text_data(x->s, &x->t, x->address, b, k, e);
	x->address += k;
	return r;
}

static int take(struct titxt *x, const uint8_t *p, size_t n, struct err *e)
{
	if (x->ended)
		return image_malformed(x->s, x->t.line, e, "something follows the end mark");
	if (n == 1 && (p[0] | 0x20) == 'q') {
		x->ended = true;
		return 0;
	}
	return p[0] == '@' ? take_address(x, p + 1, n - 1, e) : take_bytes(x, p, n, e);
}

int image_read_titxt(struct image_source *s, struct err *e)
{
	struct titxt x = {.s = s};
	const uint8_t *line;
	size_t n;
	int r = text_begin(s, &x.t, e);

	s->same_twice = true;
	while (r == 0 && text_line(&x.t, &line, &n))
		r = take(&x, line, n, e);
	if (r == 0 && !x.ended)
		return image_malformed(s, x.t.line, e,
			"the file ends without the end mark of TI-TXT (q): it is cut off, or a Verilog memory file (convert that to Intel HEX)");
	return r;
}
