/* SPDX-License-Identifier: Apache-2.0
 *
 * The session with the bootloader, and the whole image through it. The diagram is in avr_boot.h.
 */
#include "transports/protocols/avr/avr_boot_impl.h"

#define BITS_PER_BYTE 10
#define SLOW_BAUD     115200
#define ERASED	      0xff

DEFINE_CLEANUP(struct sha256, sha256_free)

struct avr_boot *avr_boot_new(
	struct link *l, const struct avr_opts *o, const struct avr_hooks *hooks)
{
	struct avr_boot *s = xcalloc(1, sizeof *s);

	s->link = l;
	s->o = *o;
	s->ops = o->protocol == AVR_STK500_V2 ? &avr_v2_ops : &avr_v1_ops;
	if (hooks)
		s->hooks = *hooks;
	/* Another one than the session before, whose late answers have its numbers. */
	s->number = (uint8_t)(now_us() / US_PER_MS);
	return s;
}

struct avr_boot *avr_boot_free(struct avr_boot *s)
{
	/* What still comes is not for the dialogue in lines that follows on this link. */
	if (s && s->suspect)
		link_turn_lost(&s->link->turn);
	free(s);
	return NULL;
}

const struct avr_info *avr_boot_info(const struct avr_boot *s)
{
	return &s->info;
}

uint64_t avr_wire_us(const struct avr_boot *s, uint64_t n)
{
	uint64_t baud = s->link->baud ? s->link->baud : SLOW_BAUD;

	return n * BITS_PER_BYTE * US_PER_S / baud;
}

int avr_outcome(struct avr_boot *s, int r)
{
	s->suspect = r < 0 && r != -ERR_DEVICE_REFUSED;
	return r;
}

int avr_nothing_left(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	uint64_t before = s->link->rx_bytes;
	int r = link_drain(s->link, 0, 0, NULL, it, e);

	if (r == 0 && s->link->rx_bytes != before)
		r = err_set(e, ERR_PROTOCOL, "%s: %llu bytes came that no one asked for",
			s->link->address, (unsigned long long)(s->link->rx_bytes - before));
	return avr_outcome(s, r);
}

static bool wire_trouble(int r)
{
	return r == -ERR_TIMEOUT || r == -ERR_PROTOCOL || r == -ERR_DEVICE_REFUSED;
}

/* What may go better the next time. A page that is sent by v1 has no checksum either: it may have been spoiled on its way. */
static bool may_try(const struct avr_boot *s, int r)
{
	return wire_trouble(r) || (r == -ERR_VERIFY_MISMATCH && s->o.protocol == AVR_STK500_V1);
}

/* --- connecting --- */

static int quiet(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	return link_drain(s->link, s->o.quiet_us, s->o.answer_us, NULL, it, e);
}

static int synchronise(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	int r = s->hooks.enter ? s->hooks.enter(s->hooks.data, it, e) : 0;

	for (unsigned i = 0; r == 0 && i < s->o.sync_attempts; i++) {
		r = quiet(s, it, e);
		if (r == 0)
			r = s->ops->sync(s, it, e);
		if (r == 0)
			return quiet(s, it, e);
		if (!wire_trouble(r) || iotime_check(it, NULL) < 0)
			return r;
		r = 0;
	}
	return r < 0 ? r
		     : err_set(e, ERR_TIMEOUT,
			       "%s: no bootloader of STK500 %s answers (is the unit powered and reset, the rate and 'protocol' right?)",
			       s->link->address, s->o.protocol == AVR_STK500_V2 ? "v2" : "v1");
}

static int know_part(struct avr_boot *s, struct avr_info *i, struct err *e)
{
	const struct avr_part *part = avr_part_of_signature(i->signature);

	i->part = part ? part->name : "";
	i->flash_bytes = s->o.flash_bytes ? s->o.flash_bytes : part ? part->flash_bytes : 0;
	i->page_bytes = s->o.page_bytes ? s->o.page_bytes : part ? part->page_bytes : 0;
	if (i->flash_bytes && i->page_bytes)
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		"%s: signature %02x%02x%02x is in no table: give 'flash_size' and 'page' of the part",
		s->link->address, i->signature[0], i->signature[1], i->signature[2]);
}

int avr_boot_connect(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	struct avr_info i = {0};
	int r = synchronise(s, it, e);

	if (r == 0)
		r = s->ops->version(s, &i.major, &i.minor, it, e);
	if (r == 0)
		r = s->ops->enter(s, it, e);
	if (r == 0)
		r = s->ops->signature(s, i.signature, it, e);
	if (r == 0)
		r = know_part(s, &i, e);
	if (r == 0)
		s->info = i;
	return r;
}

/* The same part, and no answer that is another's. */
static int prove_turn(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	uint8_t now[3] = {0};
	int r = s->ops->signature(s, now, it, e);

	if (r == 0)
		r = avr_nothing_left(s, it, e);
	if (r == 0 && memcmp(now, s->info.signature, sizeof now) != 0)
		r = err_set(e, ERR_WRONG_DEVICE,
			"%s: the signature was %02x%02x%02x and is %02x%02x%02x now",
			s->link->address, s->info.signature[0], s->info.signature[1],
			s->info.signature[2], now[0], now[1], now[2]);
	return r;
}

/* --- the image --- */

static int check_image(const struct avr_boot *s, const struct image *image, struct err *e)
{
	uint32_t room = s->info.flash_bytes - MIN(s->o.reserve, s->info.flash_bytes);

	for (size_t i = 0; i < image->count; i++)
		if (image->segments[i].target)
			return err_set(e, ERR_IMAGE_RANGE,
				"firmware file %s holds data for the alternate setting %u: there is only one flash here",
				image->path, image->segments[i].target);
	if (image_check_range(image, 0, room, e) < 0) {
		err_prefix(e,
			"%s with %u KiB of flash, of which the bootloader has the last %u bytes",
			s->info.part, s->info.flash_bytes / 1024, s->o.reserve);
		return -ERR_IMAGE_RANGE;
	}
	return 0;
}

/* The next page that holds some of the image at or after *at, as it is written; false where there is none. */
static bool next_page(const struct avr_boot *s, const struct image *image, uint64_t *at,
	uint8_t page[AVR_PAGE_MAX])
{
	uint64_t there;

	if (!image_next(image, 0, *at, &there))
		return false;
	*at = there / s->info.page_bytes * s->info.page_bytes;
	memset(page, ERASED, s->info.page_bytes);
	image_read(image, 0, *at, page, s->info.page_bytes);
	return true;
}

static uint32_t count_pages(const struct avr_boot *s, const struct image *image)
{
	uint8_t page[AVR_PAGE_MAX];
	uint64_t at = 0;
	uint32_t n = 0;

	for (; next_page(s, image, &at, page); at += s->info.page_bytes)
		n++;
	return n;
}

static int write_pages(struct avr_boot *s, const struct image *image, struct avr_result *res,
	const struct iotime *it, struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *d = sha256_new();
	uint8_t page[AVR_PAGE_MAX];
	uint8_t sum[SHA256_BYTES];
	uint64_t at = 0;
	uint32_t done = 0;

	for (; next_page(s, image, &at, page); at += s->info.page_bytes) {
		int r = s->ops->write_page(s, (uint32_t)at, page, s->info.page_bytes, it, e);

		if (r < 0)
			return err_prefix(e, "writing at 0x%llx", (unsigned long long)at);
		sha256_add(d, page, s->info.page_bytes);
		teller_progress(&s->hooks.tell, "write", ++done, res->pages);
	}
	sha256_end(d, sum);
	hex_of(sum, sizeof sum, res->sha256_written);
	return 0;
}

/* From the first byte that differs on. Next to how many do, they say a weak cell from a page that was not written. */
#define SHOWN_BYTES 8

static int compare(const struct avr_boot *s, uint64_t at, const uint8_t *want, const uint8_t *got,
	struct err *e)
{
	const uint32_t page = s->info.page_bytes;
	char expected[2 * SHOWN_BYTES + 1], read[2 * SHOWN_BYTES + 1];
	uint32_t first = page, differ = 0, n;

	for (uint32_t i = page; i-- > 0;) {
		differ += want[i] != got[i];
		first = want[i] != got[i] ? i : first;
	}
	if (!differ)
		return 0;
	n = MIN(page - first, (uint32_t)SHOWN_BYTES);
	hex_of(want + first, n, expected);
	hex_of(got + first, n, read);
	return err_set(e, ERR_VERIFY_MISMATCH,
		"verify: at 0x%llx expected %s, read %s; %u of the %u bytes of that page differ",
		(unsigned long long)(at + first), expected, read, differ, page);
}

/* A read of v1 has no checksum: one that differs is read once more, and counts when it is right. */
static int verify_page(struct avr_boot *s, uint64_t at, const uint8_t *want, uint8_t *got,
	const struct iotime *it, struct err *e)
{
	int r = -ERR_VERIFY_MISMATCH;

	for (unsigned i = 0; r == -ERR_VERIFY_MISMATCH && i < 2; i++) {
		r = s->ops->read_page(s, (uint32_t)at, got, s->info.page_bytes, it, e);
		if (r < 0)
			return err_prefix(e, "reading at 0x%llx", (unsigned long long)at);
		r = compare(s, at, want, got, e);
	}
	return r;
}

static int verify_pages(struct avr_boot *s, const struct image *image, struct avr_result *res,
	const struct iotime *it, struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *d = sha256_new();
	uint8_t want[AVR_PAGE_MAX];
	uint8_t got[AVR_PAGE_MAX];
	uint8_t sum[SHA256_BYTES];
	uint64_t at = 0;
	uint32_t done = 0;

	for (; next_page(s, image, &at, want); at += s->info.page_bytes) {
		int r = verify_page(s, at, want, got, it, e);

		if (r < 0)
			return r;
		sha256_add(d, got, s->info.page_bytes);
		teller_progress(&s->hooks.tell, "verify", ++done, res->pages);
	}
	sha256_end(d, sum);
	hex_of(sum, sizeof sum, res->sha256_read);
	return strcmp(res->sha256_read, res->sha256_written) == 0
		       ? 0
		       : err_set(e, ERR_VERIFY_MISMATCH, "verify: the digests differ");
}

static int attempt(struct avr_boot *s, const struct image *image, struct avr_result *res,
	const struct iotime *it, struct err *e)
{
	int r = write_pages(s, image, res, it, e);

	if (r == 0)
		r = verify_pages(s, image, res, it, e);
	return r < 0 ? r : prove_turn(s, it, e);
}

/* From the reset on; it has to be the same part. */
static int begin_again(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	struct avr_info before = s->info;
	int r;

	teller_log(&s->hooks.tell, '#', "from the beginning again");
	r = avr_boot_connect(s, it, e);
	if (r == 0 && memcmp(before.signature, s->info.signature, sizeof before.signature) != 0)
		r = err_set(e, ERR_WRONG_DEVICE,
			"%s: another part answers than before: run the step again",
			s->link->address);
	return r;
}

int avr_boot_flash(struct avr_boot *s, const struct image *image, const struct iotime *it,
	struct avr_result *ret, struct err *e)
{
	struct avr_result res = {.bytes = image->bytes};
	int r = check_image(s, image, e);

	if (r < 0)
		return r;
	res.pages = count_pages(s, image);
	for (;;) {
		res.attempts++;
		r = attempt(s, image, &res, it, e);
		if (r == 0)
			break;
		if (!may_try(s, r) || res.attempts >= s->o.attempts || iotime_check(it, NULL) < 0)
			return res.attempts > 1 ? err_prefix(e, "attempt %u", res.attempts) : r;
		r = begin_again(s, it, e);
		if (r < 0)
			return r;
	}
	*ret = res;
	return 0;
}

int avr_boot_leave(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	return s->ops->leave(s, it, e);
}
