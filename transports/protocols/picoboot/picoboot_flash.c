/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/picoboot/picoboot_flash.h"

#include <stdlib.h>
#include <string.h>

/* Read in one command. */
#define RUN_SECTORS 16u
#define RUN_BYTES   (RUN_SECTORS * PICOBOOT_SECTOR)
/* A flash chip is of a power of two bytes, the smallest ones 64 KiB. */
#define WRAP_FIRST 16
#define WRAP_END   25

/* A page that may be the same cells as one of the last sector. */
struct wrap {
	uint32_t address;
	uint8_t before[PICOBOOT_PAGE];
};

struct flashing {
	struct picoboot *p;
	const struct image *image;
	uint32_t *sector; /* addresses, rising */
	bool *differs;	  /* from what is to be there */
	size_t count;
	uint8_t *buf; /* RUN_BYTES */
	struct wrap wrap[WRAP_END - WRAP_FIRST];
	size_t wraps;
	struct picoboot_flash_result *result;
	const struct iotime *it;
};

/* -- which sectors -- */

/* -ERR_NO_MEMORY. */
static int list_sectors(struct flashing *f, struct err *e)
{
	size_t room = picoboot_flash_window(f->p->chip) / PICOBOOT_SECTOR;
	uint64_t at = 0;

	f->sector = calloc(room, sizeof *f->sector);
	f->differs = calloc(room, sizeof *f->differs);
	f->buf = malloc(RUN_BYTES);
	if (!f->sector || !f->differs || !f->buf)
		return err_set(e, ERR_NO_MEMORY, "%zu sectors of flash", room);
	while (f->count < room && image_next(f->image, 0, at, &at)) {
		f->sector[f->count++] = (uint32_t)(at - at % PICOBOOT_SECTOR);
		at = at - at % PICOBOOT_SECTOR + PICOBOOT_SECTOR;
	}
	return f->count ? 0
			: err_set(e, ERR_IMAGE_INVALID, "the image holds nothing for the flash");
}

/* How many sectors from k on follow each other, RUN_SECTORS at most. */
static size_t run_of(const struct flashing *f, size_t k)
{
	size_t n = 1;

	while (n < RUN_SECTORS && k + n < f->count &&
		f->sector[k + n] == f->sector[k] + n * PICOBOOT_SECTOR)
		n++;
	return n;
}

/* What is to be in a sector: bytes of the image, and FF where it has none. */
static void content_of(const struct flashing *f, size_t k, uint8_t to[PICOBOOT_SECTOR])
{
	memset(to, 0xff, PICOBOOT_SECTOR);
	image_read(f->image, 0, f->sector[k], to, PICOBOOT_SECTOR);
}

/* -- one pass of reading: f->buf holds the n sectors from k on -- */

typedef int sector_fn(struct flashing *f, size_t k, const uint8_t *have, void *data, struct err *e);

static int read_all(struct flashing *f, const char *phase, sector_fn *fn, void *data, struct err *e)
{
	int r = 0;

	for (size_t k = 0, n; r == 0 && k < f->count; k += n) {
		n = run_of(f, k);
		r = picoboot_read(
			f->p, f->sector[k], f->buf, (uint32_t)n * PICOBOOT_SECTOR, f->it, e);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = fn(f, k + i, f->buf + i * PICOBOOT_SECTOR, data, e);
		teller_progress(&f->p->tell, phase, k + n, f->count);
	}
	return r;
}

static int see_difference(
	struct flashing *f, size_t k, const uint8_t *have, void *data, struct err *e)
{
	uint8_t want[PICOBOOT_SECTOR];

	content_of(f, k, want);
	f->differs[k] = memcmp(have, want, sizeof want) != 0;
	return 0;
}

/* -- does the flash end before the image does? -- */

static bool is_blank(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0xff)
			return false;
	return true;
}

/* A page of the last sector that is not blank, where it has one: what is written there shows. */
static uint32_t last_page(const struct flashing *f)
{
	uint8_t want[PICOBOOT_SECTOR];
	uint32_t at = 0;

	content_of(f, f->count - 1, want);
	while (at + PICOBOOT_PAGE < PICOBOOT_SECTOR && is_blank(want + at, PICOBOOT_PAGE))
		at += PICOBOOT_PAGE;
	return f->sector[f->count - 1] + at;
}

/* Of a chip of each size that is too small: where that page would be seen as well. What differs from it is other cells;
 * what is the same is kept, to be looked at once the page was written. */
static int look_at_wraps(struct flashing *f, struct err *e)
{
	uint32_t page = last_page(f);
	uint32_t offset = page - PICOBOOT_FLASH_BASE;
	uint8_t last[PICOBOOT_PAGE];
	int r = picoboot_read(f->p, page, last, sizeof last, f->it, e);

	for (unsigned bit = WRAP_FIRST; r == 0 && bit < WRAP_END; bit++) {
		struct wrap *w = &f->wrap[f->wraps];

		if (!(offset & 1u << bit))
			continue;
		w->address = PICOBOOT_FLASH_BASE + (offset & ((1u << bit) - 1));
		r = picoboot_read(f->p, w->address, w->before, PICOBOOT_PAGE, f->it, e);
		f->wraps += r == 0 && !memcmp(w->before, last, sizeof last);
	}
	return r;
}

/* As they are after the first sector, which may be one of them, was erased. */
static int read_wraps(struct flashing *f, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->wraps; i++)
		r = picoboot_read(
			f->p, f->wrap[i].address, f->wrap[i].before, PICOBOOT_PAGE, f->it, e);
	return r;
}

static int compare_wraps(struct flashing *f, struct err *e)
{
	uint8_t now[PICOBOOT_PAGE];

	for (size_t i = 0; i < f->wraps; i++) {
		const struct wrap *w = &f->wrap[i];
		int r = picoboot_read(f->p, w->address, now, sizeof now, f->it, e);

		if (r < 0)
			return r;
		if (memcmp(now, w->before, sizeof now) != 0)
			return err_set(e, ERR_IMAGE_RANGE,
				"the flash is too small: what is written at 0x%08x changes 0x%08x as well (look at the chip on the board, and at the image's addresses)",
				f->sector[f->count - 1], w->address);
	}
	return 0;
}

/* -- writing -- */

static int erase_sector(struct flashing *f, size_t k, struct err *e)
{
	int r = picoboot_erase(f->p, f->sector[k], PICOBOOT_SECTOR, f->it, e);

	f->result->sectors_erased += r == 0;
	return r;
}

static int write_sector(struct flashing *f, size_t k, struct err *e)
{
	uint8_t want[PICOBOOT_SECTOR];
	int r;

	content_of(f, k, want);
	if (is_blank(want, sizeof want))
		return 0;
	r = picoboot_write(f->p, f->sector[k], want, sizeof want, f->it, e);
	f->result->sectors_written += r == 0;
	return r;
}

/* The last sector, which shows whether another address changes with it: by its erase, or by what is written. */
static int write_last(struct flashing *f, struct err *e)
{
	size_t last = f->count - 1;
	int r = last ? erase_sector(f, last, e) : 0;

	if (r == 0)
		r = compare_wraps(f, e);
	/* A sector that is the first as well is written after all others. */
	if (r == 0 && last)
		r = write_sector(f, last, e);
	return r == 0 && last ? compare_wraps(f, e) : r;
}

static bool anything_to_do(const struct flashing *f)
{
	for (size_t k = 0; k < f->count; k++)
		if (f->differs[k])
			return true;
	return f->wraps > 0;
}

static int write_rest(struct flashing *f, struct err *e)
{
	int r = 0;

	for (size_t k = 1; r == 0 && k + 1 < f->count; k++) {
		if (f->differs[k]) {
			r = erase_sector(f, k, e);
			if (r == 0)
				r = write_sector(f, k, e);
		}
		teller_progress(&f->p->tell, "write", k + 1, f->count);
	}
	return r;
}

static int write_all(struct flashing *f, struct err *e)
{
	int r = look_at_wraps(f, e);

	if (r < 0 || !anything_to_do(f))
		return r;
	r = erase_sector(f, 0, e);
	if (r == 0)
		r = read_wraps(f, e);
	if (r == 0 && (f->wraps || f->differs[f->count - 1]))
		r = write_last(f, e);
	if (r == 0)
		r = write_rest(f, e);
	if (r == 0)
		r = write_sector(f, 0, e);
	return r == 0 && f->count == 1 ? compare_wraps(f, e) : r;
}

/* -- proof -- */

/* Compares the image's bytes of the sector, and adds what was read to the digest. */
static int verify_sector(
	struct flashing *f, size_t k, const uint8_t *have, void *data, struct err *e)
{
	uint8_t want[PICOBOOT_SECTOR], other[PICOBOOT_SECTOR];

	content_of(f, k, want);
	memset(other, 0, sizeof other);
	image_read(f->image, 0, f->sector[k], other, sizeof other);
	for (uint32_t i = 0; i < PICOBOOT_SECTOR; i++) {
		/* Where the two fills differ, the image has nothing. */
		if (want[i] != other[i])
			continue;
		if (have[i] != want[i])
			return err_set(e, ERR_VERIFY_MISMATCH,
				"the flash differs from the image, first at 0x%08x: %02x, %02x expected",
				f->sector[k] + i, have[i], want[i]);
		sha256_add(data, have + i, 1);
	}
	return 0;
}

static void digest_image(const struct image *i, char ret[SHA256_HEX])
{
	uint8_t sum[SHA256_BYTES];
	struct sha256 *d = sha256_new();

	for (size_t k = 0; k < i->count; k++)
		sha256_add(d, i->segments[k].data, (size_t)i->segments[k].len);
	sha256_end(d, sum);
	sha256_free(d);
	hex_of(sum, sizeof sum, ret);
}

static int verify_all(struct flashing *f, struct err *e)
{
	uint8_t sum[SHA256_BYTES];
	struct sha256 *d = sha256_new();
	int r = read_all(f, "verify", verify_sector, d, e);

	if (r == 0) {
		sha256_end(d, sum);
		hex_of(sum, sizeof sum, f->result->sha256_read);
	}
	sha256_free(d);
	if (r == 0 && strcmp(f->result->sha256_read, f->result->sha256_written) != 0)
		return err_set(e, ERR_INTERNAL, "what was compared has another digest");
	return r;
}

static int flash(struct flashing *f, struct err *e)
{
	int r = list_sectors(f, e);

	if (r == 0)
		r = read_all(f, "compare", see_difference, NULL, e);
	if (r == 0)
		r = write_all(f, e);
	if (r == 0)
		r = verify_all(f, e);
	return r;
}

int picoboot_flash(struct picoboot *p, const struct image *i, struct picoboot_flash_result *ret,
	const struct iotime *it, struct err *e)
{
	struct picoboot_flash_result result = {.bytes = i->bytes};
	struct flashing f = {.p = p, .image = i, .result = &result, .it = it};
	int r;

	digest_image(i, result.sha256_written);
	r = flash(&f, e);
	result.sectors = f.count;
	if (r == 0)
		*ret = result;
	free(f.sector);
	free(f.differs);
	free(f.buf);
	return r;
}

/* -- reading -- */

int picoboot_flash_read(struct picoboot *p, uint64_t address, uint8_t *buf, uint64_t n,
	const struct iotime *it, struct err *e)
{
	uint64_t end = (uint64_t)PICOBOOT_FLASH_BASE + picoboot_flash_window(p->chip);
	_cleanup_(freep) uint8_t *run = malloc(RUN_BYTES);
	int r = 0;

	if (address < PICOBOOT_FLASH_BASE || address >= end || n > end - address)
		return err_set(e, ERR_IMAGE_RANGE,
			"%llu bytes at 0x%08llx: the flash of a %s is 0x%08x to 0x%08llx",
			(unsigned long long)n, (unsigned long long)address,
			picoboot_chip_str(p->chip), PICOBOOT_FLASH_BASE, (unsigned long long)end);
	if (!run)
		return err_set(e, ERR_NO_MEMORY, "%u bytes", RUN_BYTES);
	for (uint64_t at = 0; r == 0 && at < n;) {
		uint32_t from = (uint32_t)(address + at);
		uint32_t ahead = from % PICOBOOT_PAGE;
		uint32_t k = (uint32_t)MIN(n - at, (uint64_t)RUN_BYTES - ahead);
		uint32_t pages = (ahead + k + PICOBOOT_PAGE - 1) / PICOBOOT_PAGE;

		r = picoboot_read(p, from - ahead, run, pages * PICOBOOT_PAGE, it, e);
		if (r == 0)
			memcpy(buf + at, run + ahead, k);
		at += k;
		teller_progress(&p->tell, "read", at, n);
	}
	return r;
}
