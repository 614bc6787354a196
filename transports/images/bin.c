/* SPDX-License-Identifier: Apache-2.0
 *
 * A raw binary: the bytes of the file at the caller's address. What can be seen to be wrong with it
 * is only ever a note.
 */
#include "base/bytes.h"
#include "transports/images/gate.h"
#include "transports/images/image_impl.h"

#define FILL_MIN_BYTES (1u << 20) /* smaller ones may well be mostly empty */

/* The longest run of one of the values of memory that holds nothing. */
static uint64_t longest_fill(const uint8_t *p, size_t n)
{
	uint64_t best = 0;
	uint64_t run = 0;

	for (size_t i = 0; i < n; i++) {
		bool fill = p[i] == 0 || p[i] == 0xff;

		run = !fill ? 0 : i && run && p[i] == p[i - 1] ? run + 1 : 1;
		best = MAX(best, run);
	}
	return best;
}

static void look_at_fill(struct image_source *s)
{
	uint64_t fill = longest_fill(s->bytes, s->n);

	if (fill == s->n)
		image_note(s->image, "every byte is 0x%02x", s->bytes[0]);
	else if (s->n >= FILL_MIN_BYTES && fill > s->n / 100 * 99)
		image_note(s->image,
			"99 %% of it is one run of the same byte: it may have been converted from a file whose parts lie far apart");
}

/* ARMv7-M B1.5.3: the first word is the stack pointer, the second the reset vector, odd (Thumb).
 * Where both look so, the vector shows the address that the file was linked for. */
static void look_at_vectors(struct image_source *s, uint64_t address)
{
	struct rbytes b = rbytes_of(s->bytes, s->n);
	uint32_t sp = rb_le32(&b);
	uint32_t reset = rb_le32(&b);

	if (b.bad || sp < 0x20000000 || sp >= 0x40000000 || sp % 4 || !(reset & 1) ||
		reset >= 0x40000000)
		return;
	if (reset < address || reset - address >= s->n)
		image_note(s->image,
			"the reset vector 0x%08x lies outside of 0x%08llx..0x%08llx: is the address right?",
			reset, (unsigned long long)address,
			(unsigned long long)(address + s->n - 1));
}

/* What the gate would have refused is on record. */
static void look_at_declared(struct image_source *s)
{
	char why[GATE_WHY_BYTES];

	if (s->opts->format == IMAGE_BIN &&
		gate_objection(s->image->format == IMAGE_DFU ? "" : s->image->path, s->bytes, s->n,
			FOREIGN_ADDRESSES, why, NULL) > 0)
		image_note(s->image, "%s; taken as a raw binary as declared", why);
}

int image_read_bin(struct image_source *s, struct err *e)
{
	uint64_t address = s->opts->address;

	s->limit = 1ull << 32;
	if (address == IMAGE_NO_ADDRESS && !s->opts->inspect)
		return err_set(e, ERR_INVALID, "firmware file %s: %s needs an address",
			s->image->path, image_format_name(s->image->format));
	look_at_fill(s);
	look_at_declared(s);
	if (address == IMAGE_NO_ADDRESS)
		address = 0;
	else
		look_at_vectors(s, address);
	return image_add(s, 0, address, s->bytes, s->n, 0, e);
}
