/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole image through the boot ROM. The diagram is in stm32_uart.h.
 */
#include "transports/protocols/stm32/stm32_uart_impl.h"

#define BLOCK_TRIES 3 /* at one block, before the attempt is given up */

struct plan {
	const struct image *image;
	const struct stm32_flash_opts *o;
	uint32_t *page; /* numbers of the pages that hold some of the image */
	bool *equal;	/* as the image wants it already */
	size_t pages;
};

static void plan_done(struct plan *p)
{
	free(p->page);
	free(p->equal);
}

static uint32_t base(const struct stm32 *s)
{
	return s->info.device.flash_base;
}

static struct stm32_page page_at(const struct stm32 *s, uint64_t address)
{
	return stm32_page_at(&s->info.device, (uint32_t)(address - base(s)));
}

/* The ROM takes multiples of 4 bytes alone. */
static uint32_t unit(const struct stm32 *s)
{
	return MAX(s->info.device.write_unit, 4u);
}

static int check_image(struct stm32 *s, const struct image *image, struct err *e)
{
	for (size_t i = 0; i < image->count; i++)
		if (image->segments[i].target)
			return err_set(e, ERR_IMAGE_RANGE,
				"firmware file %s holds data for the alternate setting %u: there is only one flash here",
				image->path, image->segments[i].target);
	if (image_check_range(image, base(s), s->info.flash_bytes, e) < 0) {
		err_prefix(e, "%s with %u KiB of flash", s->info.device.name,
			s->info.flash_bytes / 1024);
		return -ERR_IMAGE_RANGE;
	}
	if (!image->placed && image->segments[0].address % unit(s))
		return err_set(e, ERR_IMAGE_RANGE,
			"the address 0x%08llx is not aligned to the write unit of %u bytes",
			(unsigned long long)image->segments[0].address, unit(s));
	return 0;
}

static int make_plan(struct stm32 *s, struct plan *p, struct err *e)
{
	uint32_t most = stm32_page_count(&s->info.device, s->info.flash_bytes);
	uint64_t at = base(s);

	p->page = calloc(most, sizeof *p->page);
	p->equal = calloc(most, sizeof *p->equal);
	if (!p->page || !p->equal)
		return err_set(e, ERR_NO_MEMORY, "a list of %u pages", most);
	while (p->pages < most && image_next(p->image, 0, at, &at)) {
		struct stm32_page g = page_at(s, at);

		p->page[p->pages++] = g.number;
		at = (uint64_t)base(s) + g.offset + g.bytes;
	}
	return 0;
}

/* --- what is equal already --- */

/* How many of the bytes that were read at the address are as the image wants them, up to the first
 * that is not. */
static uint32_t same_bytes(
	const struct image *image, uint64_t address, const uint8_t *got, uint32_t n)
{
	uint8_t want[STM32_BLOCK_BYTES];
	uint32_t i = 0;

	memcpy(want, got, n);
	image_read(image, 0, address, want, n);
	while (i < n && want[i] == got[i])
		i++;
	return i;
}

static int compare_page(
	struct stm32 *s, struct plan *p, size_t k, const struct iotime *it, struct err *e)
{
	struct stm32_page g = stm32_page_of(&s->info.device, p->page[k]);
	uint64_t at = (uint64_t)base(s) + g.offset;
	uint64_t end = at + g.bytes;
	uint8_t got[STM32_BLOCK_BYTES];
	uint32_t n;

	while ((n = image_chunk(p->image, 0, &at, unit(s), sizeof got, g.bytes)) && at < end) {
		int r = stm32_read_surely(s, (uint32_t)at, got, n, it, e);

		if (r < 0)
			return r;
		if (same_bytes(p->image, at, got, n) < n)
			return 0;
		at += n;
	}
	p->equal[k] = true;
	return 0;
}

static int compare_pages(struct stm32 *s, struct plan *p, const struct iotime *it, struct err *e)
{
	for (size_t k = 0; k < p->pages; k++) {
		int r = compare_page(s, p, k, it, e);

		if (r < 0)
			return r;
		teller_progress(&s->hooks.tell, "compare", k + 1, p->pages);
	}
	return 0;
}

/* --- erase --- */

static int erase(struct stm32 *s, struct plan *p, struct stm32_result *res, const struct iotime *it,
	struct err *e)
{
	_cleanup_(freep) uint32_t *todo = NULL;
	size_t n = 0;
	int r;

	res->erased = 0;
	if (p->o->erase == STM32_ERASE_NONE)
		return 0;
	if (p->o->erase == STM32_ERASE_ALL)
		return stm32_erase_mass(s, STM32_MASS_ALL, it, e);
	todo = calloc(p->pages, sizeof *todo);
	if (!todo)
		return err_set(e, ERR_NO_MEMORY, "a list of %zu pages", p->pages);
	for (size_t k = 0; k < p->pages; k++)
		if (!p->equal[k])
			todo[n++] = p->page[k];
	r = stm32_erase_pages(s, todo, n, it, e);
	if (r == 0)
		res->erased = (uint32_t)n;
	return r;
}

/* --- write --- */

static bool is_erased(const struct stm32 *s, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i] != s->info.device.erased)
			return false;
	return true;
}

/* Whether to send the block again after one that went wrong: only what is still erased may be
 * written, and what is there already need not. 1 yes, 0 it is there, or an error. */
static int look_again(struct stm32 *s, uint32_t at, const uint8_t *data, uint32_t n,
	const struct iotime *it, struct err *e)
{
	uint8_t got[STM32_BLOCK_BYTES];
	int r = stm32_resync(s, it, e);

	if (r == 0)
		r = stm32_read_surely(s, at, got, n, it, e);
	if (r < 0)
		return r;
	if (!memcmp(got, data, n))
		return 0;
	return is_erased(s, got, n)
		       ? 1
		       : err_set(e, ERR_PROTOCOL, "the block at 0x%08x was written in part", at);
}

static int write_surely(struct stm32 *s, uint32_t at, const uint8_t *data, uint32_t n,
	const struct iotime *it, struct err *e)
{
	for (unsigned i = 1;; i++) {
		int r = stm32_write_block(s, at, data, n, it, e);
		int again;

		if (r == 0 || !stm32_wire_trouble(r) || i == BLOCK_TRIES ||
			iotime_check(it, NULL) < 0)
			return r;
		again = look_again(s, at, data, n, it, e);
		if (again <= 0)
			return again;
	}
}

static bool is_equal_page(const struct stm32 *s, const struct plan *p, uint64_t at)
{
	uint32_t number = page_at(s, at).number;

	for (size_t k = 0; k < p->pages; k++)
		if (p->page[k] == number)
			return p->equal[k];
	return false;
}

/* One block at *at, which moves on; *ret_n is its size, 0 at the end. */
static int write_next(struct stm32 *s, struct plan *p, uint64_t *at, uint32_t *ret_n,
	struct stm32_result *res, const struct iotime *it, struct err *e)
{
	uint8_t data[STM32_BLOCK_BYTES];
	uint64_t where = *at;
	uint32_t n = image_chunk(p->image, 0, &where, unit(s), sizeof data, 0);
	struct stm32_page g;

	*ret_n = n;
	if (n == 0)
		return 0;
	/* Never across a page: the next one may be equal already. */
	g = page_at(s, where);
	n = (uint32_t)MIN((uint64_t)n, (uint64_t)base(s) + g.offset + g.bytes - where);
	*ret_n = n;
	*at = where + n;
	memset(data, s->info.device.erased, n);
	image_read(p->image, 0, where, data, n);
	if (is_equal_page(s, p, where) ||
		(p->o->erase != STM32_ERASE_NONE && is_erased(s, data, n)))
		return 0;
	res->blocks++;
	return write_surely(s, (uint32_t)where, data, n, it, e);
}

/* Everything but the first block, then that. */
static int write_image(struct stm32 *s, struct plan *p, struct stm32_result *res,
	const struct iotime *it, struct err *e)
{
	uint64_t first = p->image->segments[0].address;
	uint64_t at = first;
	uint64_t done = 0;
	uint32_t n = image_chunk(p->image, 0, &at, unit(s), STM32_BLOCK_BYTES, 0);
	struct stm32_page g = page_at(s, at);
	int r = 0;

	res->blocks = 0;
	n = (uint32_t)MIN((uint64_t)n, (uint64_t)base(s) + g.offset + g.bytes - at);
	at += n;
	while (r == 0 && n > 0) {
		r = write_next(s, p, &at, &n, res, it, e);
		done += n;
		teller_progress(
			&s->hooks.tell, "write", MIN(done, p->image->bytes), p->image->bytes);
	}
	if (r == 0)
		r = write_next(s, p, &first, &n, res, it, e);
	if (r == 0)
		teller_progress(&s->hooks.tell, "write", p->image->bytes, p->image->bytes);
	return r;
}

/* --- verify --- */

struct digests {
	struct sha256 *written, *read;
	size_t segment; /* the image's bytes are taken in order */
};

static void add_block(
	struct digests *d, const struct image *image, uint64_t at, const uint8_t *got, uint32_t n)
{
	for (; d->segment < image->count; d->segment++) {
		const struct image_segment *g = &image->segments[d->segment];
		uint64_t from = MAX(g->address, at);
		uint64_t to = MIN(g->address + g->len, at + n);

		if (from < to) {
			sha256_add(d->written, g->data + (from - g->address), to - from);
			sha256_add(d->read, got + (from - at), to - from);
		}
		if (g->address + g->len > at + n)
			return;
	}
}

static int mismatch(
	const struct image *image, uint64_t at, const uint8_t *got, uint32_t n, struct err *e)
{
	uint32_t bad = same_bytes(image, at, got, n);
	uint8_t want = 0;

	image_read(image, 0, at + bad, &want, 1);
	return err_set(e, ERR_VERIFY_MISMATCH, "verify: at 0x%08llx expected %02x, read %02x",
		(unsigned long long)(at + bad), want, got[bad]);
}

/* A read carries no checksum, so a block that differs is read again: right twice in a row, the wire
 * was at fault. */
static int verify_block(struct stm32 *s, const struct image *image, uint64_t at, uint8_t *got,
	uint32_t n, struct stm32_result *res, const struct iotime *it, struct err *e)
{
	int r = stm32_read_surely(s, (uint32_t)at, got, n, it, e);

	if (r < 0 || same_bytes(image, at, got, n) == n)
		return r;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t again[STM32_BLOCK_BYTES];

		r = stm32_read_surely(s, (uint32_t)at, again, n, it, e);
		if (r < 0)
			return r;
		if (same_bytes(image, at, again, n) < n)
			return mismatch(image, at, again, n, e);
		memcpy(got, again, n);
	}
	res->reread++;
	teller_log(&s->hooks.tell, '#', "the block at 0x%08llx read back wrong once, then right",
		(unsigned long long)at);
	return 0;
}

static void end_digest(struct sha256 *d, char out[SHA256_HEX])
{
	uint8_t sum[SHA256_BYTES];

	sha256_end(d, sum);
	hex_of(sum, sizeof sum, out);
}

DEFINE_CLEANUP(struct sha256, sha256_free)

static int verify(struct stm32 *s, const struct image *image, struct stm32_result *res,
	const struct iotime *it, struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *written = sha256_new();
	_cleanup_(sha256_freep) struct sha256 *read = sha256_new();
	struct digests d = {written, read, 0};
	uint8_t got[STM32_BLOCK_BYTES];
	uint64_t at = base(s);
	uint64_t done = 0;
	uint32_t n;

	res->reread = 0;
	while ((n = image_chunk(image, 0, &at, unit(s), sizeof got, 0))) {
		int r = verify_block(s, image, at, got, n, res, it, e);

		if (r < 0)
			return r;
		add_block(&d, image, at, got, n);
		at += n;
		done += n;
		teller_progress(&s->hooks.tell, "verify", MIN(done, image->bytes), image->bytes);
	}
	end_digest(written, res->sha256_written);
	end_digest(read, res->sha256_read);
	if (d.segment != image->count || strcmp(res->sha256_written, res->sha256_read))
		return err_set(e, ERR_VERIFY_MISMATCH, "verify: the digests differ");
	return 0;
}

/* --- all of it --- */

static int attempt(struct stm32 *s, struct plan *p, struct stm32_result *res,
	const struct iotime *it, struct err *e)
{
	int r = 0;

	memset(p->equal, 0, p->pages * sizeof *p->equal);
	if (p->o->skip_equal)
		r = compare_pages(s, p, it, e);
	res->skipped = 0;
	for (size_t k = 0; k < p->pages; k++)
		res->skipped += p->equal[k];
	if (r == 0 && res->skipped < p->pages)
		r = erase(s, p, res, it, e);
	if (r == 0)
		r = write_image(s, p, res, it, e);
	return r < 0 ? r : verify(s, p->image, res, it, e);
}

int stm32_flash(struct stm32 *s, const struct image *image, const struct stm32_flash_opts *o,
	const struct iotime *it, struct stm32_result *ret, struct err *e)
{
	_cleanup_(plan_done) struct plan p = {.image = image, .o = o};
	struct stm32_result res = {.bytes = image->bytes};
	int r = 0;

	if (s->info.read_protected)
		r = err_set(e, ERR_DEVICE_REFUSED,
			"%s: read protection is on: nothing can be written or verified (stm32.unprotect lifts it, and erases the flash)",
			s->link->address);
	if (r == 0)
		r = check_image(s, image, e);
	if (r == 0 && o->skip_equal && o->erase != STM32_ERASE_TOUCHED)
		r = err_set(e, ERR_INVALID,
			"equal pages can be left alone only where the others are erased one by one");
	if (r == 0)
		r = make_plan(s, &p, e);
	if (r < 0)
		return r;
	res.pages = (uint32_t)p.pages;
	for (;;) {
		res.attempts++;
		r = attempt(s, &p, &res, it, e);
		if (r == 0)
			break;
		if (!stm32_wire_trouble(r) || res.attempts >= s->o.attempts ||
			o->erase == STM32_ERASE_NONE || iotime_check(it, NULL) < 0 ||
			stm32_resync(s, it, NULL) < 0) {
			if (res.attempts > 1)
				err_prefix(e, "attempt %u of %u", res.attempts, s->o.attempts);
			return r;
		}
	}
	*ret = res;
	return 0;
}
