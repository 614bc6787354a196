/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/gdb/gdb_impl.h"

#define READ_STEP (64u * 1024)
#define HEAD_MAX  40
#define BLOCK_MAX (16u * 1024 * 1024)

struct load {
	struct gdb *g;
	const struct image *image;
	struct gdb_load_result *res;
	uint64_t done;
	bool padded;	  /* flash is written in whole blocks */
	bool refused;	  /* a write of flash was */
	uint64_t done_to; /* blocks below it are written */
};

/* How far from `at` on the memory is of one region; 0 where there is none in a map. */
static uint64_t stretch(const struct gdb *g, uint64_t at, uint64_t n, const struct gdb_region **ret)
{
	*ret = gdb_map_find(&g->map, at);
	if (!g->map.count)
		return n;
	if (!*ret)
		return 0;
	n = MIN(n, (*ret)->start + (*ret)->length - at);
	/* RAM that a flash lies in ends where that begins. */
	for (size_t i = 0; (*ret)->type != GDB_FLASH && i < g->map.count; i++) {
		const struct gdb_region *r = &g->map.region[i];

		if (r->type == GDB_FLASH && r->start > at)
			n = MIN(n, r->start - at);
	}
	return n;
}

static int check_memory(const struct load *x, struct err *e)
{
	for (size_t i = 0; i < x->image->count; i++) {
		const struct image_segment *s = &x->image->segments[i];

		for (uint64_t at = s->address; at < s->address + s->len;) {
			const struct gdb_region *r;
			uint64_t n = stretch(x->g, at, s->address + s->len - at, &r);

			if (n == 0)
				return err_set(e, ERR_IMAGE_RANGE,
					"the target has no memory at 0x%08llx",
					(unsigned long long)at);
			if (r && r->type == GDB_ROM)
				return err_set(e, ERR_IMAGE_RANGE,
					"the memory at 0x%08llx cannot be written (ROM)",
					(unsigned long long)at);
			at += n;
		}
	}
	return 0;
}

/* Whole blocks, each once: neighbouring segments may share one. */
static int erase(struct load *x, const struct iotime *it, struct err *e)
{
	uint64_t done_to = 0;

	for (size_t i = 0; i < x->image->count; i++) {
		const struct image_segment *s = &x->image->segments[i];
		uint64_t end = s->address + s->len;

		for (uint64_t at = MAX(s->address, done_to); at < end;) {
			const struct gdb_region *r;
			uint64_t n = stretch(x->g, at, end - at, &r);
			char text[80];

			if (!r || r->type != GDB_FLASH) {
				at += n;
				continue;
			}

			uint64_t from = at - (at - r->start) % r->block;
			uint64_t to = at + n + (r->block - 1);

			to -= (to - r->start) % r->block;
			snprintf(text, sizeof text, "vFlashErase:%llx,%llx",
				(unsigned long long)from, (unsigned long long)(to - from));

			int e2 = gdb_command(x->g, text, NULL, 0, GDB_SLOW_US, "erase", it, e);

			if (e2 < 0)
				return err_prefix(e, "0x%08llx", (unsigned long long)from);
			x->res->blocks_erased += (to - from) / r->block;
			done_to = to;
			at += n;
		}
		teller_progress(&x->g->tell, "erase", i + 1, x->image->count);
	}
	return 0;
}

/* Escaped bytes need more room: half a frame always fits. */
static int put_flash(struct load *x, uint64_t at, const uint8_t *bytes, uint64_t n, size_t step,
	const struct iotime *it, struct err *e)
{
	for (uint64_t k = 0; k < n;) {
		size_t m = (size_t)MIN(n - k, (uint64_t)step);
		char head[HEAD_MAX];

		snprintf(head, sizeof head, "vFlashWrite:%llx:", (unsigned long long)(at + k));

		int r = gdb_command(x->g, head, bytes + k, m, GDB_SLOW_US, "flash", it, e);

		x->refused |= r == -ERR_DEVICE_REFUSED;
		if (r < 0)
			return err_prefix(e, "0x%08llx", (unsigned long long)(at + k));
		k += m;
	}
	return 0;
}

static size_t most_bytes(const struct gdb *g)
{
	return (g->packet - 4 - HEAD_MAX) / 2;
}

/* What an erased byte of the block reads as: some flash erases to 00. The image leaves the byte at
 * `gap` free. */
static uint8_t erased_value(struct load *x, uint64_t gap, const struct iotime *it)
{
	uint8_t b = 0xff;

	return gdb_read(x->g, gap, &b, 1, it, NULL) == 0 && b == 0 ? 0 : 0xff;
}

/* The image's bytes in [from, from + n) over `fill`. */
static void overlay(const struct image *image, uint64_t from, uint8_t *block, uint64_t n)
{
	for (size_t i = 0; i < image->count; i++) {
		const struct image_segment *s = &image->segments[i];
		uint64_t low = MAX(from, s->address), high = MIN(from + n, s->address + s->len);

		if (low < high)
			memcpy(block + (low - from), s->data + (low - s->address), high - low);
	}
}

/* The first address in [from, from + n) that the image leaves free, or the end. */
static uint64_t first_gap(const struct image *image, uint64_t from, uint64_t n)
{
	uint64_t at = from;

	for (size_t i = 0; i < image->count; i++) {
		const struct image_segment *s = &image->segments[i];

		if (at >= s->address && at < s->address + s->len)
			at = s->address + s->len;
	}
	return MIN(at, from + n);
}

/* The whole blocks that [at, at + n) touches, each once, in frames of a power of two: a server that
 * programs pages takes them as they are. */
static int put_blocks(struct load *x, const struct gdb_region *region, uint64_t at, uint64_t n,
	const struct iotime *it, struct err *e)
{
	uint64_t from = at - (at - region->start) % region->block;
	size_t size = (size_t)MIN(region->block, (uint64_t)BLOCK_MAX), step = 1;
	_cleanup_(freep) uint8_t *block = malloc(size);
	int r = 0;

	if (region->block > BLOCK_MAX || !block)
		return err_set(e, block ? ERR_UNSUPPORTED : ERR_NO_MEMORY,
			"a block of %llu bytes to fill", (unsigned long long)region->block);
	while (step * 2 <= most_bytes(x->g) && step * 2 <= size)
		step *= 2;
	for (from = MAX(from, x->done_to); r == 0 && from < at + n; from += size) {
		uint64_t gap = first_gap(x->image, from, size);

		memset(block, gap < from + size ? erased_value(x, gap, it) : 0xff, size);
		overlay(x->image, from, block, size);
		r = put_flash(x, from, block, size, step, it, e);
		x->done_to = from + size;
	}
	return r;
}

static int write_flash(struct load *x, const struct gdb_region *region, uint64_t at,
	const uint8_t *bytes, uint64_t n, const struct iotime *it, struct err *e)
{
	int r = x->padded ? put_blocks(x, region, at, n, it, e)
			  : put_flash(x, at, bytes, n, most_bytes(x->g), it, e);

	if (r < 0)
		return r;
	x->done += n;
	teller_progress(&x->g->tell, "write", x->done, x->image->bytes);
	x->res->flash_bytes += n;
	return 0;
}

static int write_ram(struct load *x, uint64_t at, const uint8_t *bytes, uint64_t n,
	const struct iotime *it, struct err *e)
{
	for (uint64_t k = 0; k < n;) {
		size_t m = (size_t)MIN(n - k, (uint64_t)READ_STEP);
		int r = gdb_write(x->g, at + k, bytes + k, m, it, e);

		if (r < 0)
			return r;
		k += m;
		x->done += m;
		teller_progress(&x->g->tell, "write", x->done, x->image->bytes);
	}
	return 0;
}

static int write_segment(
	struct load *x, const struct image_segment *s, const struct iotime *it, struct err *e)
{
	for (uint64_t k = 0; k < s->len;) {
		const struct gdb_region *r;
		uint64_t n = stretch(x->g, s->address + k, s->len - k, &r);
		int e2 = r && r->type == GDB_FLASH
				 ? write_flash(x, r, s->address + k, s->data + k, n, it, e)
				 : write_ram(x, s->address + k, s->data + k, n, it, e);

		if (e2 < 0)
			return e2;
		k += n;
	}
	return 0;
}

static int write_all(struct load *x, const struct iotime *it, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->image->count; i++)
		r = write_segment(x, &x->image->segments[i], it, e);
	/* Some servers only gather until here: their errors come now (OpenOCD). */
	if (r == 0 && x->res->flash_bytes)
		r = gdb_command(
			x->g, "vFlashDone", NULL, 0, GDB_SLOW_US, "program the flash", it, e);
	return r;
}

static int compare_crc(struct load *x, const struct iotime *it, struct err *e)
{
	for (size_t i = 0; i < x->image->count; i++) {
		const struct image_segment *s = &x->image->segments[i];
		uint32_t want = gdb_crc_of(0xffffffff, s->data, (size_t)s->len);
		uint32_t got = 0;
		int r = gdb_crc(x->g, s->address, s->len, &got, it, e);

		if (r < 0)
			return r;
		if (got != want)
			return err_set(e, ERR_VERIFY_MISMATCH,
				"%llu bytes at 0x%08llx differ from the image (checksum %08x, %08x expected)",
				(unsigned long long)s->len, (unsigned long long)s->address, got,
				want);
		teller_progress(&x->g->tell, "verify", i + 1, x->image->count);
	}
	x->res->by_crc = true;
	return 0;
}

static int compare_segment(struct load *x, const struct image_segment *s, struct sha256 *sum,
	uint8_t *buf, const struct iotime *it, struct err *e)
{
	for (uint64_t k = 0; k < s->len;) {
		size_t n = (size_t)MIN(s->len - k, (uint64_t)READ_STEP);
		int r = gdb_read(x->g, s->address + k, buf, n, it, e);

		if (r < 0)
			return r;
		sha256_add(sum, buf, n);
		for (size_t i = 0; i < n; i++)
			if (buf[i] != s->data[k + i])
				return err_set(e, ERR_VERIFY_MISMATCH,
					"the target differs from the image, first at 0x%08llx (%02x, %02x expected)",
					(unsigned long long)(s->address + k + i), buf[i],
					s->data[k + i]);
		k += n;
		x->done += n;
		teller_progress(&x->g->tell, "verify", x->done, x->image->bytes);
	}
	return 0;
}

static int compare_read(struct load *x, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = malloc(READ_STEP);
	struct sha256 *sum = sha256_new();
	uint8_t raw[SHA256_BYTES];
	int r = buf ? 0 : err_set(e, ERR_NO_MEMORY, "%u bytes to read", READ_STEP);

	x->done = 0;
	for (size_t i = 0; r == 0 && i < x->image->count; i++)
		r = compare_segment(x, &x->image->segments[i], sum, buf, it, e);
	sha256_end(sum, raw);
	sha256_free(sum);
	if (r == 0)
		hex_of(raw, sizeof raw, x->res->sha256_read);
	return r;
}

static int compare(struct load *x, enum gdb_verify verify, const struct iotime *it, struct err *e)
{
	int r;

	switch (verify) {
	case GDB_VERIFY_READ:
		return compare_read(x, it, e);
	case GDB_VERIFY_CRC:
		return compare_crc(x, it, e);
	case GDB_VERIFY_AUTO:
		r = compare_crc(x, it, e);
		return r == -ERR_UNSUPPORTED ? compare_read(x, it, e) : r;
	case GDB_VERIFY_NONE:
		break;
	}
	return 0;
}

static void begin(struct load *x)
{
	struct sha256 *sum = sha256_new();
	uint8_t raw[SHA256_BYTES];

	*x->res = (struct gdb_load_result){.bytes = x->image->bytes};
	for (size_t i = 0; i < x->image->count; i++)
		sha256_add(sum, x->image->segments[i].data, (size_t)x->image->segments[i].len);
	sha256_end(sum, raw);
	sha256_free(sum);
	hex_of(raw, sizeof raw, x->res->sha256_written);
}

/* Erases and writes. A piece of a block is written as it is: what is not written stays erased, and
 * some flash (with ECC) takes no second write, not even of FF. Only a server that refuses pieces
 * gets whole blocks, filled up with what erased flash reads as. */
static int program(struct load *x, const struct iotime *it, struct err *e)
{
	int r;

	x->done = x->done_to = 0;
	x->res->flash_bytes = x->res->blocks_erased = 0;
	r = erase(x, it, e);
	return r < 0 ? r : write_all(x, it, e);
}

int gdb_load(struct gdb *g, const struct image *image, enum gdb_verify verify,
	struct gdb_load_result *ret, const struct iotime *it, struct err *e)
{
	struct load x = {.g = g, .image = image, .res = ret};
	struct err none;
	int r;

	begin(&x);
	r = check_memory(&x, e);
	if (r == 0)
		r = program(&x, it, e);
	if (r == -ERR_DEVICE_REFUSED && x.refused) {
		/* What it holds back from the first pieces is thrown away with their blocks. */
		r = gdb_command(g, "vFlashDone", NULL, 0, GDB_SLOW_US, "program", it, &none);
		x.padded = true;
		if (r == 0 || r == -ERR_DEVICE_REFUSED)
			r = program(&x, it, e);
		ret->padded = r == 0;
	}
	return r < 0 ? r : compare(&x, verify, it, e);
}

int gdb_compare(struct gdb *g, const struct image *image, enum gdb_verify verify,
	struct gdb_load_result *ret, const struct iotime *it, struct err *e)
{
	struct load x = {.g = g, .image = image, .res = ret};

	begin(&x);
	return compare(&x, verify, it, e);
}
