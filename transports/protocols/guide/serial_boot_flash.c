/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole image through the serial bootloader: attempts, each from the erase to the last byte
 * read back. The diagram is in serial_boot.h.
 */
#include "transports/protocols/guide/serial_boot_impl.h"

/* What a reset at the end of a failed or cancelled step may take. */
#define LEAVE_US (1 * US_PER_S)

/* Where a file says itself what goes where, a part that begins inside a write unit is filled with
 * FF before it, as its tail is filled after it. An address of the recipe that is not aligned is a
 * slip. */
static int check_segment(const struct serial_boot_profile *p, const struct image *image,
	const struct image_segment *s, struct err *e)
{
	uint64_t unit = p->write_unit_bytes;
	uint64_t start = s->address - s->address % unit;
	uint64_t end = start + (s->address + s->len - start + unit - 1) / unit * unit;

	if (s->address % unit && !image->placed)
		return err_set(e, ERR_IMAGE_RANGE,
			"the address 0x%08llx is not aligned to the write unit of %llu bytes",
			(unsigned long long)s->address, (unsigned long long)unit);
	if (s->target)
		return err_set(e, ERR_IMAGE_RANGE,
			"the file holds data for the alternate setting %u: there is only one flash here",
			s->target);
	if (s->address >= 1ull << 32 || end > 1ull << 32)
		return err_set(e, ERR_IMAGE_RANGE, "the image ends above the address space");
	if (p->flash_bytes && (start < p->flash_address || end > p->flash_address + p->flash_bytes))
		return err_set(e, ERR_IMAGE_RANGE,
			"0x%08llx..0x%08llx does not fit the flash at 0x%08llx of %llu bytes",
			(unsigned long long)start, (unsigned long long)end - 1,
			(unsigned long long)p->flash_address, (unsigned long long)p->flash_bytes);
	return 0;
}

static int check_image(const struct serial_boot *b, const struct image *image, struct err *e)
{
	int r = 0;

	if (image->count == 0 || image->bytes == 0)
		return err_set(e, ERR_IMAGE_INVALID, "the image is empty");
	for (size_t i = 0; r == 0 && i < image->count; i++)
		r = check_segment(&b->p, image, &image->segments[i], e);
	return r;
}

static bool is_blank(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i] != 0xff)
			return false;
	return true;
}

/* What was sent so far of the image, in order of address. */
struct sent {
	const struct image *image;
	struct sha256 *digest;
	size_t segment;
	uint64_t bytes;
};

static void add_sent(struct sent *x, uint64_t address, const uint8_t *buf, uint32_t n)
{
	for (; x->segment < x->image->count; x->segment++) {
		const struct image_segment *s = &x->image->segments[x->segment];
		uint64_t from = MAX(s->address, address);
		uint64_t to = MIN(s->address + s->len, address + n);

		if (from < to) {
			sha256_add(x->digest, buf + (from - address), to - from);
			x->bytes += to - from;
		}
		if (s->address + s->len > address + n)
			return;
	}
}

static int write_image(struct serial_boot *b, const struct image *image, struct sha256 *digest,
	struct serial_boot_result *res, const struct iotime *it, struct err *e)
{
	struct sent sent = {.image = image, .digest = digest};
	const struct serial_boot_profile *p = &b->p;
	uint64_t at = 0;
	uint32_t n;

	for (; (n = image_chunk(image, 0, &at, p->write_unit_bytes, p->chunk_bytes, p->page_bytes));
		at += n) {
		int r = 0;

		memset(b->chunk, 0xff, n);
		image_read(image, 0, at, b->chunk, n);
		if (!b->p.skip_blank || !is_blank(b->chunk, n)) {
			r = serial_boot_write_chunk(b, (uint32_t)at, b->chunk, n, it, e);
			res->chunks++;
		}
		if (r < 0)
			return r;
		add_sent(&sent, at, b->chunk, n);
		teller_progress(&b->hooks.tell, "write", sent.bytes, image->bytes);
	}
	return 0;
}

struct compare {
	const struct image_segment *segment;
	struct sha256 *digest;
};

static int compare_block(
	void *data, uint32_t address, const uint8_t *bytes, uint32_t n, struct err *e)
{
	struct compare *c = data;
	const uint8_t *want = c->segment->data + (address - c->segment->address);

	sha256_add(c->digest, bytes, n);
	if (!memcmp(want, bytes, n))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		if (want[i] != bytes[i])
			return err_set(e, ERR_VERIFY_MISMATCH,
				"verify: at 0x%08x expected %02x, read %02x", address + i, want[i],
				bytes[i]);
	return 0;
}

static int verify_image(struct serial_boot *b, const struct image *image, struct sha256 *digest,
	const struct iotime *it, struct err *e)
{
	struct compare c = {.digest = digest};
	struct serial_boot_walk w = {"verify", 0, image->bytes, compare_block, &c};

	for (size_t i = 0; i < image->count; i++) {
		const struct image_segment *s = &image->segments[i];

		c.segment = s;

		int r = serial_boot_walk(b, (uint32_t)s->address, s->len, &w, it, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static void end_digest(struct sha256 *d, char out[SHA256_HEX])
{
	uint8_t sum[SHA256_BYTES];

	sha256_end(d, sum);
	hex_of(sum, sizeof sum, out);
}

DEFINE_CLEANUP(struct sha256, sha256_free)

/* One attempt. *ret_entered says whether the bootloader was reached: before that nothing was
 * written and nothing has to be cleared up. */
static int attempt(struct serial_boot *b, const struct image *image, const struct iotime *it,
	struct serial_boot_result *res, bool *ret_entered, struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *written = sha256_new();
	_cleanup_(sha256_freep) struct sha256 *read = sha256_new();
	int r = serial_boot_enter(b, (uint32_t)image->segments[0].address, it, e);

	if (r < 0)
		return r;
	*ret_entered = true;
	res->bytes = image->bytes;
	res->chunks = 0;
	r = b->p.skip_erase ? 0 : serial_boot_erase(b, it, e);
	if (r == 0)
		r = write_image(b, image, written, res, it, e);
	if (r == 0)
		end_digest(written, res->sha256_written);
	if (r < 0 || b->p.unproved)
		return r;
	r = verify_image(b, image, read, it, e);
	if (r < 0)
		return r;
	end_digest(read, res->sha256_read);
	if (strcmp(res->sha256_written, res->sha256_read))
		return err_set(e, ERR_VERIFY_MISMATCH, "verify: the digests differ");
	return 0;
}

static int reset_board(struct serial_boot *b, const struct iotime *it, struct err *e)
{
	struct link *l = b->link;
	int r = b->hooks.reset ? b->hooks.reset(b->hooks.data, &l, it, e) : 0;

	return r < 0 ? r : serial_boot_attach(b, l, e);
}

/* Nothing is sent until the line was quiet for a while and the board was reset. */
static int recover(struct serial_boot *b, const struct iotime *it, struct err *e)
{
	int r = link_drain(b->link, b->p.recover_us, 4 * b->p.recover_us, NULL, it, e);

	if (r == 0)
		r = reset_board(b, it, e);
	if (r < 0)
		err_prefix(e, "recover the board");
	return r;
}

/* A step that ends badly leaves no board that waits in the middle of a frame. The caller's deadline
 * or cancel may be why it ended, so this has its own short time. */
static void leave(struct serial_boot *b)
{
	const struct iotime none = {NO_DEADLINE, NULL};
	struct iotime it = iotime_within(&none, LEAVE_US);

	if (b->hooks.reset)
		reset_board(b, &it, NULL);
}

/* The wire lost or added something: a whole new attempt may do better. */
static bool wire_trouble(int r)
{
	return r == -ERR_TIMEOUT || r == -ERR_PROTOCOL;
}

int serial_boot_flash(struct serial_boot *b, const struct image *image, const struct iotime *it,
	struct serial_boot_result *ret, struct err *e)
{
	struct serial_boot_result res = {0};
	int r = check_image(b, image, e);

	if (r < 0)
		return r;
	for (;;) {
		bool entered = false;

		res.attempts++;
		r = attempt(b, image, it, &res, &entered, e);
		if (r == 0)
			break;
		if (entered && wire_trouble(r) && res.attempts < b->p.attempts &&
			iotime_check(it, NULL) == 0) {
			r = recover(b, it, e);
			if (r == 0)
				continue;
		}
		link_turn_lost(&b->link->turn);
		if (entered && r != -ERR_DEVICE_GONE)
			leave(b);
		if (res.attempts > 1)
			err_prefix(e, "attempt %u of %u", res.attempts, b->p.attempts);
		return r;
	}
	*ret = res;
	return 0;
}
