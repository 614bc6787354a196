/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/dfu/dfuse.h"

#include "base/bytes.h"

/* ST AN3156, section 3: the first byte of a command. */
enum { COMMAND_SET_ADDRESS = 0x21, COMMAND_ERASE = 0x41, COMMAND_READ_UNPROTECT = 0x92 };

#define REQUEST_DNLOAD 1
#define REQUEST_UPLOAD 2
#define CONTROL_US     (5 * US_PER_S)
#define FIRST_DATA     2      /* block 1 is reserved */
#define LAST_BLOCK     0xfff0 /* before the number would wrap: the address is set again */
#define UNIT_DEFAULT   8
/* The F405 announces 100 ms for a mass erase and takes up to 32 s. */
#define LONG_ERASE_SAYS_MS 100
#define LONG_ERASE_US	   (35 * US_PER_S)

static int command(struct dfu *d, uint8_t code, const uint32_t *address, const char *what,
	const struct iotime *it, struct err *e)
{
	uint8_t buf[5];
	struct wbytes w = wbytes_of(buf, sizeof buf);

	wb_u8(&w, code);
	if (address)
		wb_le32(&w, *address);
	return dfu_send_block(d, 0, buf, (uint16_t)w.len, what, it, e);
}

int dfuse_set_address(struct dfu *d, uint32_t address, const struct iotime *it, struct err *e)
{
	int r = command(d, COMMAND_SET_ADDRESS, &address, "set address", it, e);

	return r < 0 ? err_prefix(e, "0x%08x", address) : 0;
}

int dfuse_erase_page(struct dfu *d, uint32_t address, const struct iotime *it, struct err *e)
{
	int r = command(d, COMMAND_ERASE, &address, "erase", it, e);

	return r < 0 ? err_prefix(e, "page at 0x%08x", address) : 0;
}

/* The first GETSTATUS starts it and says how long it takes. */
int dfuse_mass_erase(struct dfu *d, const struct iotime *it, struct err *e)
{
	const uint8_t code = COMMAND_ERASE;
	struct iotime within = iotime_within(it, CONTROL_US);
	struct dfu_status s;
	int r = d->port.out(d->port.data, REQUEST_DNLOAD, 0, &code, 1, &within, e);

	if (r == 0)
		r = dfu_get_status(d, &s, it, e);
	if (r < 0)
		return err_prefix(e, "mass erase");
	r = dfu_check(d, &s, "mass erase", it, e);
	if (r < 0)
		return r;
	if (s.state != DFU_DNBUSY)
		return err_set(e, ERR_PROTOCOL,
			"mass erase: the device is in %s, dfuDNBUSY expected",
			dfu_state_str(s.state));

	bool lies = d->quirks & DFU_QUIRK_LONG_ERASE && s.poll_ms == LONG_ERASE_SAYS_MS;
	struct iotime busy = iotime_within(it, lies ? LONG_ERASE_US : iotime_left_us(it));

	r = d->port.sleep(d->port.data, s.poll_ms * US_PER_MS, it, e);
	/* One that lies stalls or says busy until it is through. */
	while (r == 0) {
		r = dfu_get_status(d, &s, &busy, e);
		if (lies && r == -ERR_DEVICE_REFUSED && iotime_left_us(&busy))
			r = 0, s = (struct dfu_status){.state = DFU_DNBUSY, .poll_ms = 100};
		if (r < 0 || s.state != DFU_DNBUSY)
			break;
		r = d->port.sleep(d->port.data, MAX(s.poll_ms, 1u) * US_PER_MS, &busy, e);
	}
	if (r == 0)
		r = dfu_check(d, &s, "mass erase", it, e);
	if (r < 0)
		return err_prefix(e, "mass erase");
	if (s.state != DFU_DNLOAD_IDLE)
		return err_set(
			e, ERR_PROTOCOL, "mass erase: the device is in %s", dfu_state_str(s.state));
	return 0;
}

int dfuse_erase_range(struct dfu *d, const struct dfuse_map *m, uint64_t address, uint64_t n,
	uint64_t *ret_pages, const struct iotime *it, struct err *e)
{
	uint64_t end = address + n;
	uint64_t pages = 0;
	int r = dfuse_map_check(m, address, n, DFUSE_ERASABLE, e);

	for (uint64_t at = address; r == 0 && at < end;) {
		const struct dfuse_run *run = dfuse_map_find(m, at);
		uint64_t page = dfuse_page_of(run, at);

		r = dfuse_erase_page(d, (uint32_t)page, it, e);
		at = page + run->page_bytes;
		pages++;
		teller_progress(&d->tell, "erase", MIN(at, end) - address, n);
	}
	if (r == 0 && ret_pages)
		*ret_pages = pages;
	return r;
}

int dfuse_read_unprotect(struct dfu *d, const struct iotime *it, struct err *e)
{
	const uint8_t code = COMMAND_READ_UNPROTECT;
	struct iotime within = iotime_within(it, CONTROL_US);
	struct dfu_status s;
	int r = d->port.out(d->port.data, REQUEST_DNLOAD, 0, &code, 1, &within, e);

	/* The GETSTATUS starts it; the device erases itself and leaves. */
	if (r == 0)
		r = dfu_get_status(d, &s, it, e);
	if (r == -ERR_DEVICE_GONE)
		return 0;
	if (r < 0)
		return err_prefix(e, "read unprotect");
	return dfu_check(d, &s, "read unprotect", it, e);
}

/* The bytes of one block that the device counts addresses by, and whether ours is as long. */
static bool counts_on(const struct dfu *d)
{
	return d->chunk == d->f.transfer_bytes;
}

/* Sets the pointer and leaves download mode: UPLOAD is only taken in dfuIDLE. */
static int point_for_read(struct dfu *d, uint32_t address, const struct iotime *it, struct err *e)
{
	int r = dfuse_set_address(d, address, it, e);

	return r < 0 ? r : dfu_abort(d, it, e);
}

static int upload(struct dfu *d, uint16_t block, uint8_t *to, uint16_t n, const struct iotime *it,
	struct err *e)
{
	struct iotime within = iotime_within(it, CONTROL_US);
	uint16_t got = 0;
	int r = d->port.in(d->port.data, REQUEST_UPLOAD, block, to, n, &got, &within, e);

	if (r < 0)
		return dfu_explain(d, r, "read", it, e);
	if (got != n)
		return err_set(e, ERR_PROTOCOL, "read: %u bytes came, %u expected", got, n);
	return 0;
}

static int read_some(struct dfu *d, uint64_t address, uint8_t *buf, size_t n,
	const struct iotime *it, struct err *e)
{
	uint16_t block = LAST_BLOCK;
	int r = 0;

	for (size_t at = 0; r == 0 && at < n;) {
		uint16_t k = (uint16_t)MIN((size_t)d->chunk, n - at);

		if (block >= LAST_BLOCK || !counts_on(d)) {
			r = at ? dfu_make_idle(d, it, e) : 0;
			if (r == 0)
				r = point_for_read(d, (uint32_t)(address + at), it, e);
			block = FIRST_DATA;
		}
		if (r == 0)
			r = upload(d, block++, buf + at, k, it, e);
		if (r < 0)
			return err_prefix(e, "0x%08llx", (unsigned long long)(address + at));
		at += k;
	}
	return r < 0 ? r : dfu_make_idle(d, it, e);
}

/* A read that reports its progress. */
#define READ_STEP (64u * 1024)

int dfuse_read(struct dfu *d, const struct dfuse_map *m, uint64_t address, uint8_t *buf, size_t n,
	const struct iotime *it, struct err *e)
{
	int r = dfuse_map_check(m, address, n, DFUSE_READABLE, e);

	for (size_t at = 0; r == 0 && at < n;) {
		size_t k = MIN(n - at, (size_t)READ_STEP / d->chunk * d->chunk);

		r = read_some(d, address + at, buf + at, k, it, e);
		at += k;
		teller_progress(&d->tell, "read", at, n);
	}
	return r;
}

/* -- writing -- */

struct writing {
	struct dfu *d;
	const struct dfuse_map *m;
	const struct image *image;
	uint8_t target;
	uint32_t unit;
	uint64_t total, done;
	uint64_t pointer; /* of block FIRST_DATA */
	uint16_t block;	  /* 0: the address has to be set */
	uint8_t *buf;	  /* of one chunk */
};

/* The next run of write units that the image has bytes in, at most a chunk: its beginning, length
 * and padded content. false: there is none from `from` on. */
static bool next_window(struct writing *w, uint64_t from, uint64_t *ret_at, size_t *ret_n)
{
	uint64_t at = 0;
	size_t n = 0;

	if (!image_next(w->image, w->target, from, &at))
		return false;
	at -= at % w->unit;
	memset(w->buf, 0xff, w->d->chunk);
	while (n + w->unit <= w->d->chunk &&
		image_read(w->image, w->target, at + n, w->buf + n, w->unit) > 0)
		n += w->unit;
	*ret_at = at;
	*ret_n = n;
	return true;
}

static int write_window(
	struct writing *w, uint64_t at, size_t n, const struct iotime *it, struct err *e)
{
	struct dfu *d = w->d;
	bool follows = w->block && counts_on(d) && w->block < LAST_BLOCK &&
		       at == w->pointer + (uint64_t)(w->block - FIRST_DATA) * d->f.transfer_bytes;
	int r = 0;

	if (!follows) {
		r = dfuse_set_address(d, (uint32_t)at, it, e);
		w->pointer = at;
		w->block = FIRST_DATA;
	}
	if (r == 0)
		r = dfu_send_block(d, w->block, w->buf, (uint16_t)n, "write", it, e);
	if (r < 0)
		return err_prefix(e, "0x%08llx", (unsigned long long)at);
	/* A short block leaves the count where the device does not expect it. */
	w->block = n == d->f.transfer_bytes ? (uint16_t)(w->block + 1) : 0;
	w->done += n;
	teller_progress(&d->tell, "write", MIN(w->done, w->total), w->total);
	return 0;
}

/* Everything after the first window, then the first: without it the unit stays unbootable. */
static int write_all(struct writing *w, const struct iotime *it, struct err *e)
{
	uint64_t first = 0, at = 0;
	size_t first_n = 0, n = 0;
	int r = 0;

	if (!next_window(w, 0, &first, &first_n))
		return err_set(e, ERR_IMAGE_INVALID, "the image holds nothing for this target");
	for (uint64_t from = first + first_n; r == 0 && next_window(w, from, &at, &n);
		from = at + n)
		r = write_window(w, at, n, it, e);
	if (r == 0 && next_window(w, first, &first, &first_n))
		r = write_window(w, first, first_n, it, e);
	return r < 0 ? r : dfu_make_idle(w->d, it, e);
}

static int each_segment(
	const struct image *image, uint8_t target, uint64_t *ret_total, struct sha256 *sum)
{
	int count = 0;

	*ret_total = 0;
	for (size_t i = 0; i < image->count; i++) {
		const struct image_segment *s = &image->segments[i];

		if (s->target != target)
			continue;
		sha256_add(sum, s->data, (size_t)s->len);
		*ret_total += s->len;
		count++;
	}
	return count;
}

/* Padded to write units, as it will be written. */
static int check_all(const struct writing *w, const struct dfuse_options *o, struct err *e)
{
	unsigned access = DFUSE_WRITABLE | (o->erase == DFUSE_ERASE_NONE ? 0 : DFUSE_ERASABLE) |
			  (o->verify || o->skip_equal ? DFUSE_READABLE : 0);

	for (size_t i = 0; i < w->image->count; i++) {
		const struct image_segment *s = &w->image->segments[i];
		uint64_t from = s->address - s->address % w->unit;
		uint64_t end = s->address + s->len;

		if (s->target != w->target)
			continue;
		end += (w->unit - end % w->unit) % w->unit;

		int r = dfuse_map_check(w->m, from, end - from, access, e);

		if (r < 0)
			return r;
	}
	return 0;
}

int dfuse_check(const struct dfuse_map *m, const struct image *image, uint8_t target,
	const struct dfuse_options *o, struct err *e)
{
	const struct writing w = {
		.m = m, .image = image, .target = target, .unit = o->unit ? o->unit : UNIT_DEFAULT};

	return check_all(&w, o, e);
}

static int erase_pages(
	struct writing *w, uint64_t *ret_pages, const struct iotime *it, struct err *e)
{
	uint64_t done_to = 0, pages = 0;

	for (size_t i = 0; i < w->image->count; i++) {
		const struct image_segment *s = &w->image->segments[i];
		uint64_t from = MAX(s->address, done_to);
		uint64_t end = s->address + s->len;
		uint64_t n = 0;

		if (s->target != w->target || from >= end)
			continue;

		int r = dfuse_erase_range(w->d, w->m, from, end - from, &n, it, e);

		if (r < 0)
			return r;
		pages += n;

		const struct dfuse_run *run = dfuse_map_find(w->m, end - 1);

		done_to = dfuse_page_of(run, end - 1) + run->page_bytes;
	}
	*ret_pages = pages;
	return 0;
}

/* Reads all segments. *ret_equal; where not, *ret_first is the first address that differs. */
static int compare(struct writing *w, bool *ret_equal, uint64_t *ret_first, char sum[SHA256_HEX],
	const struct iotime *it, struct err *e)
{
	struct sha256 *digest = sha256_new();
	uint8_t raw[SHA256_BYTES];
	bool equal = true;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->image->count; i++) {
		const struct image_segment *s = &w->image->segments[i];
		_cleanup_(freep) uint8_t *buf = NULL;

		if (s->target != w->target)
			continue;
		buf = malloc((size_t)s->len);
		if (!buf)
			r = err_set(e, ERR_NO_MEMORY, "%llu bytes to read back",
				(unsigned long long)s->len);
		if (r == 0)
			r = dfuse_read(w->d, w->m, s->address, buf, (size_t)s->len, it, e);
		if (r < 0)
			break;
		sha256_add(digest, buf, (size_t)s->len);
		for (uint64_t k = 0; equal && k < s->len; k++)
			if (buf[k] != s->data[k]) {
				equal = false;
				*ret_first = s->address + k;
			}
	}
	sha256_end(digest, raw);
	sha256_free(digest);
	hex_of(raw, sizeof raw, sum);
	*ret_equal = equal;
	return r;
}

static int erase(struct writing *w, const struct dfuse_options *o, uint64_t *ret_pages,
	const struct iotime *it, struct err *e)
{
	switch (o->erase) {
	case DFUSE_ERASE_PAGES:
		return erase_pages(w, ret_pages, it, e);
	case DFUSE_ERASE_MASS:
		return dfuse_mass_erase(w->d, it, e);
	case DFUSE_ERASE_NONE:
		break;
	}
	return 0;
}

static int write_checked(struct writing *w, const struct dfuse_options *o, struct dfuse_result *ret,
	const struct iotime *it, struct err *e)
{
	bool equal = false;
	uint64_t first = 0;
	int r = dfu_make_idle(w->d, it, e);

	if (r == 0 && o->skip_equal)
		r = compare(w, &equal, &first, ret->sha256_read, it, e);
	if (r < 0 || equal) {
		ret->skipped = r == 0;
		return r;
	}
	ret->sha256_read[0] = 0;
	r = erase(w, o, &ret->pages_erased, it, e);
	if (r == 0)
		r = write_all(w, it, e);
	if (r < 0 || !o->verify)
		return r;
	r = compare(w, &equal, &first, ret->sha256_read, it, e);
	if (r == 0 && !equal)
		return err_set(e, ERR_VERIFY_MISMATCH,
			"the flash differs from the image, first at 0x%08llx",
			(unsigned long long)first);
	return r;
}

int dfuse_write(struct dfu *d, const struct dfuse_map *m, const struct image *image, uint8_t target,
	const struct dfuse_options *o, struct dfuse_result *ret, const struct iotime *it,
	struct err *e)
{
	struct writing w = {.d = d,
		.m = m,
		.image = image,
		.target = target,
		.unit = o->unit ? o->unit : UNIT_DEFAULT};
	struct sha256 *digest = sha256_new();
	uint8_t raw[SHA256_BYTES];
	int count = each_segment(image, target, &w.total, digest);

	*ret = (struct dfuse_result){.bytes = w.total};
	sha256_end(digest, raw);
	sha256_free(digest);
	hex_of(raw, sizeof raw, ret->sha256_written);
	if (count == 0)
		return err_set(e, ERR_IMAGE_INVALID, "%s holds nothing for alternate setting %u",
			image->path ? image->path : "the image", target);
	if (d->chunk < w.unit)
		return err_set(e, ERR_UNSUPPORTED,
			"the device takes %u bytes at once, less than a write unit of %u", d->chunk,
			w.unit);
	w.buf = malloc(d->chunk);
	if (!w.buf)
		return err_set(e, ERR_NO_MEMORY, "%u bytes", d->chunk);

	int r = check_all(&w, o, e);

	if (r == 0)
		r = write_checked(&w, o, ret, it, e);
	free(w.buf);
	return r;
}

int dfuse_write_once(struct dfu *d, const struct dfuse_map *m, uint64_t address,
	const uint8_t *bytes, size_t n, const struct iotime *it, struct err *e)
{
	int r = dfuse_map_check(m, address, n, DFUSE_WRITABLE, e);

	for (size_t at = 0; r == 0 && at < n;) {
		uint16_t k = (uint16_t)MIN((size_t)d->chunk, n - at);

		r = dfuse_set_address(d, (uint32_t)(address + at), it, e);
		if (r == 0)
			r = dfu_send_block(d, FIRST_DATA, bytes + at, k, "write", it, e);
		if (r < 0)
			return err_prefix(e, "0x%08llx", (unsigned long long)(address + at));
		at += k;
	}
	return r < 0 ? r : dfu_make_idle(d, it, e);
}

int dfuse_leave(struct dfu *d, uint32_t address, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, CONTROL_US);
	struct dfu_status s;
	int r = dfu_make_idle(d, it, e);

	if (r == 0)
		r = dfuse_set_address(d, address, it, e);
	if (r == 0)
		r = d->port.out(d->port.data, REQUEST_DNLOAD, FIRST_DATA, NULL, 0, &within, e);
	if (r < 0)
		return err_prefix(e, "leave");
	/* This GETSTATUS starts it; the answer may be lost with the device. */
	r = dfu_get_status(d, &s, it, e);
	if (r == -ERR_DEVICE_GONE || r == -ERR_DEVICE_REFUSED || r == -ERR_IO ||
		(r == -ERR_TIMEOUT && d->quirks & DFU_QUIRK_SILENT_LEAVE))
		return 0;
	if (r < 0)
		return err_prefix(e, "leave");
	r = dfu_check(d, &s, "leave", it, e);
	if (r == 0 && s.state != DFU_MANIFEST && s.state != DFU_MANIFEST_SYNC &&
		s.state != DFU_MANIFEST_WAIT_RESET)
		return err_set(e, ERR_PROTOCOL, "leave: the device is in %s, dfuMANIFEST expected",
			dfu_state_str(s.state));
	return r;
}
