/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/gdb_impl.h"

#define READ_STEP (64u * 1024)
#define HEAD_MAX  40

struct load {
	struct gdb *g;
	const struct image *image;
	struct gdb_load_result *res;
	uint64_t done;
};

static void tell(struct gdb *g, const char *phase, uint64_t done, uint64_t total)
{
	if (g->hooks.progress)
		g->hooks.progress(g->hooks.data, phase, done, total);
}

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
		tell(x->g, "erase", i + 1, x->image->count);
	}
	return 0;
}

/* Escaped bytes need more room: half a frame always fits. */
static int write_flash(struct load *x, uint64_t at, const uint8_t *bytes, uint64_t n,
	const struct iotime *it, struct err *e)
{
	size_t step = (x->g->packet - 4 - HEAD_MAX) / 2;

	for (uint64_t k = 0; k < n;) {
		size_t m = (size_t)MIN(n - k, (uint64_t)step);
		char head[HEAD_MAX];

		snprintf(head, sizeof head, "vFlashWrite:%llx:", (unsigned long long)(at + k));

		int r = gdb_command(x->g, head, bytes + k, m, GDB_SLOW_US, "flash", it, e);

		if (r < 0)
			return err_prefix(e, "0x%08llx", (unsigned long long)(at + k));
		k += m;
		x->done += m;
		tell(x->g, "write", x->done, x->image->bytes);
	}
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
		tell(x->g, "write", x->done, x->image->bytes);
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
				 ? write_flash(x, s->address + k, s->data + k, n, it, e)
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
				"%llu bytes at 0x%08llx differ from the image (checksum %08x, %08x "
				"expected)",
				(unsigned long long)s->len, (unsigned long long)s->address, got,
				want);
		tell(x->g, "verify", i + 1, x->image->count);
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
					"the target differs from the image, first at 0x%08llx "
					"(%02x, %02x expected)",
					(unsigned long long)(s->address + k + i), buf[i],
					s->data[k + i]);
		k += n;
		x->done += n;
		tell(x->g, "verify", x->done, x->image->bytes);
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

int gdb_load(struct gdb *g, const struct image *image, enum gdb_verify verify,
	struct gdb_load_result *ret, const struct iotime *it, struct err *e)
{
	struct load x = {.g = g, .image = image, .res = ret};
	int r;

	begin(&x);
	r = check_memory(&x, e);
	if (r == 0)
		r = erase(&x, it, e);
	if (r == 0)
		r = write_all(&x, it, e);
	return r < 0 ? r : compare(&x, verify, it, e);
}

int gdb_compare(struct gdb *g, const struct image *image, enum gdb_verify verify,
	struct gdb_load_result *ret, const struct iotime *it, struct err *e)
{
	struct load x = {.g = g, .image = image, .res = ret};

	begin(&x);
	return compare(&x, verify, it, e);
}
