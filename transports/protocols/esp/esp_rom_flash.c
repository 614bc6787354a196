/* SPDX-License-Identifier: Apache-2.0
 *
 * All regions of an image through the boot ROM. The diagram is in esp_rom.h.
 */
#include <zlib.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "transports/protocols/esp/esp_rom_impl.h"

#define SUM_SEED 0xef
#define LEVEL	 9 /* the chip unpacks as fast whatever it is */

/* A region as it is sent. */
struct load {
	const struct esp_region *region;
	uint8_t *plain; /* with FF up to a multiple of 4 */
	uint32_t bytes;
	uint8_t *packed; /* NULL: it is sent as it is */
	uint32_t packed_bytes;
	char md5[MD5_HEX];
};

static void load_done(struct load *l)
{
	/* They may be of a secret. */
	if (l->plain)
		secret_wipe(l->plain, l->bytes);
	if (l->packed)
		secret_wipe(l->packed, l->packed_bytes);
	free(l->plain);
	free(l->packed);
}

/* --- what is sent --- */

static int pack(struct load *l, struct err *e)
{
	uLongf n = compressBound(l->bytes);

	l->packed = malloc(n);
	if (!l->packed || compress2(l->packed, &n, l->plain, l->bytes, LEVEL) != Z_OK)
		return err_set(
			e, ERR_NO_MEMORY, "%s: %u bytes to compress", l->region->name, l->bytes);
	l->packed_bytes = (uint32_t)n;
	return 0;
}

static int pad(const struct esp_region *g, uint8_t **ret, uint32_t *ret_n, struct err *e)
{
	const uint32_t n = (g->bytes + 3) & ~3u;
	uint8_t *p = malloc(n);

	if (!p)
		return err_set(e, ERR_NO_MEMORY, "%s: %u bytes", g->name, n);
	memset(p + n - 4, 0xff, 4);
	memcpy(p, g->data, g->bytes);
	*ret = p;
	*ret_n = n;
	return 0;
}

static int md5_of(const uint8_t *p, uint32_t n, char ret[MD5_HEX], struct err *e)
{
	return md5_hex_of(p, n, ret) ? 0 : err_set(e, ERR_UNSUPPORTED, "this OpenSSL has no MD5");
}

int esp_region_md5(const struct esp_region *g, char ret[MD5_HEX], struct err *e)
{
	uint8_t *p = NULL;
	uint32_t n = 0;
	int r = pad(g, &p, &n, e);

	if (r < 0)
		return r;
	r = md5_of(p, n, ret, e);
	secret_wipe(p, n);
	free(p);
	return r;
}

static int load_of(const struct esp_region *g, bool compress, struct load *ret, struct err *e)
{
	_cleanup_(load_done) struct load l = {.region = g};
	int r = pad(g, &l.plain, &l.bytes, e);

	if (r == 0)
		r = md5_of(l.plain, l.bytes, l.md5, e);
	if (r < 0)
		return r;
	if (compress)
		r = pack(&l, e);
	if (r == 0) {
		*ret = l;
		l.plain = l.packed = NULL;
	}
	return r;
}

/* --- packets --- */

static int send_packet(struct esp_rom *s, const struct load *l, const uint8_t *p, uint32_t n,
	uint32_t seq, uint32_t becomes, const struct iotime *it, struct err *e)
{
	uint8_t data[16 + ESP_BLOCK_BYTES];
	struct wbytes w = wbytes_of(data, sizeof data);
	struct esp_ask a = {l->packed ? ESP_FLASH_DEFL_DATA : ESP_FLASH_DATA, data, .sum = SUM_SEED,
		.what = l->packed ? "FLASH_DEFL_DATA" : "FLASH_DATA"};

	wb_le32(&w, n);
	wb_le32(&w, seq);
	wb_le32(&w, 0);
	wb_le32(&w, 0);
	wb_put(&w, p, n);
	for (uint32_t i = 0; i < n; i++)
		a.sum ^= p[i];
	a.n = w.len;
	a.more_us = esp_mb_us(s->o.times.write_us_per_mb, becomes);
	return esp_command(s, &a, NULL, it, e);
}

/* The last packet has its full size, as the ROM expects. */
static int send_plain(
	struct esp_rom *s, const struct load *l, const struct iotime *it, struct err *e)
{
	uint8_t block[ESP_BLOCK_BYTES];
	int r = 0;

	for (uint32_t at = 0, seq = 0; r == 0 && at < l->bytes; at += ESP_BLOCK_BYTES, seq++) {
		uint32_t n = MIN(l->bytes - at, (uint32_t)ESP_BLOCK_BYTES);

		memset(block, 0xff, sizeof block);
		memcpy(block, l->plain + at, n);
		r = send_packet(s, l, block, sizeof block, seq, sizeof block, it, e);
		teller_progress(&s->hooks.tell, "write", at + n, l->bytes);
	}
	return r;
}

/* How many bytes a packet becomes: the ROM writes them before it answers. */
static uint32_t becomes(z_stream *z, uint8_t *p, uint32_t n)
{
	uint8_t out[8192];
	uint32_t all = 0;

	z->next_in = p;
	z->avail_in = n;
	do {
		z->next_out = out;
		z->avail_out = sizeof out;
		if (inflate(z, Z_NO_FLUSH) < 0)
			break;
		all += (uint32_t)sizeof out - z->avail_out;
	} while (z->avail_out == 0);
	return all;
}

static int send_packed(
	struct esp_rom *s, const struct load *l, const struct iotime *it, struct err *e)
{
	z_stream z = {0};
	uint32_t done = 0;
	int r = 0;

	if (inflateInit(&z) != Z_OK)
		return err_set(e, ERR_NO_MEMORY, "%s: %u bytes to send", l->region->name, l->bytes);
	for (uint32_t at = 0, seq = 0; r == 0 && at < l->packed_bytes;
		at += ESP_BLOCK_BYTES, seq++) {
		uint32_t n = MIN(l->packed_bytes - at, (uint32_t)ESP_BLOCK_BYTES);
		uint32_t more = becomes(&z, l->packed + at, n);

		r = send_packet(s, l, l->packed + at, n, seq, more, it, e);
		done += more;
		teller_progress(&s->hooks.tell, "write", MIN(done, l->bytes), l->bytes);
	}
	inflateEnd(&z);
	return r;
}

static uint32_t blocks_of(uint32_t n)
{
	return (n + ESP_BLOCK_BYTES - 1) / ESP_BLOCK_BYTES;
}

static int write_once(
	struct esp_rom *s, const struct load *l, const struct iotime *it, struct err *e)
{
	uint32_t whole = blocks_of(l->bytes) * ESP_BLOCK_BYTES;
	int r;

	teller_log(&s->hooks.tell, '#', "%s: %u bytes at 0x%x", l->region->name, l->bytes,
		l->region->offset);
	if (l->packed) {
		r = esp_begin(s, ESP_FLASH_DEFL_BEGIN, l->region->offset, whole,
			blocks_of(l->packed_bytes), it, e);
		return r < 0 ? r : send_packed(s, l, it, e);
	}
	r = esp_begin(s, ESP_FLASH_BEGIN, l->region->offset, whole, blocks_of(l->bytes), it, e);
	return r < 0 ? r : send_plain(s, l, it, e);
}

/* --- a region --- */

static int is_there(
	struct esp_rom *s, const struct load *l, bool *ret, const struct iotime *it, struct err *e)
{
	char got[MD5_HEX];
	int r = esp_rom_md5(s, l->region->offset, l->bytes, got, it, e);

	if (r == 0)
		*ret = !strcmp(got, l->md5);
	return r;
}

static int write_region(struct esp_rom *s, const struct load *l, struct esp_region_result *res,
	const struct iotime *it, struct err *e)
{
	for (;;) {
		int r;

		res->attempts++;
		r = write_once(s, l, it, e);
		if (r == 0) {
			res->sent =
				l->packed ? l->packed_bytes : blocks_of(l->bytes) * ESP_BLOCK_BYTES;
			return 0;
		}
		if (!esp_wire_trouble(r) || res->attempts >= s->o.attempts ||
			iotime_check(it, NULL) < 0)
			return err_prefix(e, "%s at 0x%x, attempt %u", l->region->name,
				l->region->offset, res->attempts);
	}
}

/* The digest counts once it was asked for after the last write; one that is wrong is asked for again, since an answer has no
 * checksum. */
static int prove_region(struct esp_rom *s, const struct load *l, struct esp_region_result *res,
	const struct iotime *it, struct err *e)
{
	char got[MD5_HEX] = "";

	for (unsigned i = 0; i < 2; i++) {
		int r = esp_rom_md5(s, l->region->offset, l->bytes, got, it, e);

		if (r < 0)
			return r;
		if (!strcmp(got, l->md5)) {
			memcpy(res->md5, got, sizeof got);
			return 0;
		}
	}
	return err_set(e, ERR_VERIFY_MISMATCH,
		"%s: the %u bytes at 0x%x have the MD5 %s, %s expected", l->region->name, l->bytes,
		l->region->offset, got, l->md5);
}

/* --- all of it --- */

static uint32_t end_of(const struct esp_region *g)
{
	return g->offset + (g->bytes + ESP_SECTOR_BYTES - 1) / ESP_SECTOR_BYTES * ESP_SECTOR_BYTES;
}

static int check_region(const struct esp_rom *s, const struct esp_region *g, struct err *e)
{
	if (g->bytes == 0)
		return err_set(e, ERR_IMAGE_INVALID, "%s is empty", g->name);
	if (g->offset % ESP_SECTOR_BYTES)
		return err_set(e, ERR_IMAGE_RANGE,
			"%s: 0x%x is not where a sector of 0x1000 bytes begins", g->name,
			g->offset);
	if (!s->info.flash_bytes)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: in secure download mode the chip does not say how large its flash is: give 'flash_size'",
			s->link->address);
	if (g->offset >= s->info.flash_bytes || g->bytes > s->info.flash_bytes - g->offset)
		return err_set(e, ERR_IMAGE_RANGE,
			"%s: %u bytes at 0x%x do not fit the flash of %u KiB", g->name, g->bytes,
			g->offset, s->info.flash_bytes / 1024);
	return 0;
}

static int check_regions(
	const struct esp_rom *s, const struct esp_region *g, size_t n, struct err *e)
{
	int r = n ? 0 : err_set(e, ERR_INVALID, "nothing to write");

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = check_region(s, &g[i], e);
		for (size_t k = 0; r == 0 && k < i; k++)
			if (g[i].offset < end_of(&g[k]) && g[k].offset < end_of(&g[i]))
				r = err_set(e, ERR_IMAGE_RANGE,
					"%s at 0x%x and %s at 0x%x share a sector of 0x1000 bytes",
					g[k].name, g[k].offset, g[i].name, g[i].offset);
	}
	return r;
}

static int one(struct esp_rom *s, const struct esp_region *g, const struct esp_flash_opts *o,
	struct esp_region_result *res, const struct iotime *it, struct err *e)
{
	_cleanup_(load_done) struct load l = {0};
	int r = load_of(g, o->compress, &l, e);

	if (r == 0 && o->skip_equal)
		r = is_there(s, &l, &res->equal, it, e);
	return r < 0 || res->equal ? r : write_region(s, &l, res, it, e);
}

static int prove(struct esp_rom *s, const struct esp_region *g, size_t n,
	struct esp_region_result *res, const struct iotime *it, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(load_done) struct load l = {0};
		int r = load_of(&g[i], false, &l, e);

		if (r == 0)
			r = prove_region(s, &l, &res[i], it, e);
		if (r < 0)
			return r;
		teller_progress(&s->hooks.tell, "verify", i + 1, n);
	}
	return 0;
}

int esp_rom_flash(struct esp_rom *s, const struct esp_region *region, size_t regions,
	const struct esp_flash_opts *o, const struct iotime *it, struct esp_region_result *ret,
	struct err *e)
{
	int r;

	memset(ret, 0, regions * sizeof *ret);
	if (s->info.secure_download != o->unproved)
		return err_set(e, o->unproved ? ERR_INVALID : ERR_UNSUPPORTED,
			o->unproved
				? "%s: this chip proves what was written: 'verify: acknowledged' is for secure download mode alone"
				: "%s: the chip is in secure download mode, which tells no digest of its flash: 'verify: acknowledged' takes the boot ROM's word",
			s->link->address);
	r = check_regions(s, region, regions, e);
	for (size_t i = 0; r == 0 && i < regions; i++)
		r = one(s, &region[i], o, &ret[i], it, e);
	return r < 0 || o->unproved ? r : prove(s, region, regions, ret, it, e);
}
