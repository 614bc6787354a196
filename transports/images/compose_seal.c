/* SPDX-License-Identifier: Apache-2.0
 *
 * What vouches for bytes of a base image, by the structure that each has:
 *
 *	MCUboot   its magic at any multiple of 4, and a header and trailer that fit (MCUboot, "Design", Image Format)
 *	ESP       a whole image at a multiple of 4096 or at a beginning (esp_image.h); signed where a signature block of
 *	          secure boot v2 follows at the next multiple of 4096 (0xe7, version 2 or 3; 1216 bytes, up to 3 of them), or
 *	          the 68 bytes of v1 at the end
 *	AVB       a footer at the end, or "AVB0" at the beginning (libavb, avb_footer.h, avb_vbmeta_image.h)
 */
#include "base/bytes.h"
#include "transports/images/bootimg.h"
#include "transports/images/compose_impl.h"
#include "transports/images/esp_image.h"
#include "transports/images/mcuboot.h"

#define SECTOR		    4096u
#define MCUBOOT_MAGIC	    0x96f3b83du
#define MCUBOOT_TRAILER	    0x6907
#define ESP_SIGNATURE_MAGIC 0xe7
#define ESP_V1_BYTES	    68u
#define ESP_V2_BYTES	    1216u
#define ESP_V2_BLOCKS	    3

static void add(struct compose *c, const struct compose_seal *s)
{
	c->seal = reallocarray(c->seal, c->seals + 1, sizeof *c->seal);
	if (!c->seal)
		abort();
	c->seal[c->seals++] = *s;
}

/* By the lengths of its header and trailer, whatever hash it has; 0: it is none. */
static uint64_t mcuboot_bytes(const uint8_t *p, uint64_t n)
{
	struct rbytes b = rbytes_of(p, n);
	uint64_t head;
	uint64_t protected_bytes;
	uint64_t code;
	uint16_t magic;
	uint16_t total;

	if (rb_le32(&b) != MCUBOOT_MAGIC)
		return 0;
	rb_le32(&b);
	head = rb_le16(&b);
	protected_bytes = rb_le16(&b);
	code = rb_le32(&b);
	if (b.bad || head < 32 || head + code + protected_bytes > n)
		return 0;
	b.pos = head + code + protected_bytes;
	magic = rb_le16(&b);
	total = rb_le16(&b);
	return b.bad || magic != MCUBOOT_TRAILER || total < 4 ||
			       head + code + protected_bytes + total > n
		       ? 0
		       : head + code + protected_bytes + total;
}

static void find_mcuboot(struct compose *c, const struct compose_run *g)
{
	for (uint64_t at = 0; at + 32 <= g->bytes;) {
		uint64_t n = g->data[at] == (MCUBOOT_MAGIC & 0xff)
				     ? mcuboot_bytes(g->data + at, g->bytes - at)
				     : 0;

		if (n)
			add(c, &(struct compose_seal){SEAL_MCUBOOT, g->address + at, n, 0, false});
		at += n ? (n + 3) / 4 * 4 : 4;
	}
}

/* Where the signature of an image that ends there ends; 0: it has none. Between both there is what it covers as well. */
static uint64_t signature_end(const struct compose_run *g, uint64_t end)
{
	uint64_t block = (end + SECTOR - 1) / SECTOR * SECTOR;
	unsigned blocks = 0;

	while (blocks < ESP_V2_BLOCKS && block + 2 <= g->bytes &&
		g->data[block] == ESP_SIGNATURE_MAGIC &&
		(g->data[block + 1] == 2 || g->data[block + 1] == 3)) {
		block += ESP_V2_BYTES;
		blocks++;
	}
	if (blocks)
		return MIN(block, g->bytes);
	return g->bytes - end == ESP_V1_BYTES && !memcmp(g->data + end, "\0\0\0\0", 4) ? g->bytes
										       : 0;
}

static void add_esp(
	struct compose *c, const struct compose_run *g, uint64_t at, const struct esp_image *i)
{
	const uint64_t sums = i->bytes - 1 - (i->has_digest ? SHA256_BYTES : 0u);
	const uint64_t end = signature_end(g, at + i->bytes);

	add(c, &(struct compose_seal){end ? SEAL_ESP_SIGNED : SEAL_ESP, g->address + at,
		       end ? end - at : i->bytes, g->address + at + sums, false});
}

static void find_esp(struct compose *c, const struct compose_run *g)
{
	uint64_t at = 0;

	while (at < g->bytes) {
		struct esp_image i;
		uint64_t next = (g->address + at) / SECTOR * SECTOR + SECTOR - g->address;

		if (esp_image_is(g->data + at, g->bytes - at) &&
			esp_image_check("", g->data + at, g->bytes - at, &i, NULL) == 0) {
			add_esp(c, g, at, &i);
			next += (i.bytes - 1) / SECTOR * SECTOR;
		}
		at = next;
	}
}

void compose_find_seals(struct compose *c, const struct image *base)
{
	for (size_t k = 0; k < base->count; k++) {
		const struct image_segment *s = &base->segments[k];
		/* Of the base's bytes alone: where they end a footer or a signature is, whatever blank follows. */
		const struct compose_run g = {
			s->address, s->len, compose_at(c, s->address, s->len)};

		if (avb_footer_present(g.data, g.bytes) ||
			content_detect(g.data, g.bytes) == CONTENT_VBMETA)
			add(c, &(struct compose_seal){SEAL_AVB, g.address, g.bytes, 0, false});
		find_mcuboot(c, &g);
		find_esp(c, &g);
	}
}

static const char *what_of(enum seal_kind k)
{
	switch (k) {
	case SEAL_ESP_SIGNED:
		return "an image that is signed for the secure boot of the ESP32 family";
	case SEAL_MCUBOOT:
		return "an image whose hash and signature MCUboot checks";
	case SEAL_AVB:
		return "what Android Verified Boot (vbmeta) vouches for";
	case SEAL_ESP:
		break;
	}
	return "an ESP image";
}

int compose_touch(struct compose *c, const char *name, uint64_t at, uint64_t n, struct err *e)
{
	for (size_t k = 0; k < c->seals; k++) {
		struct compose_seal *s = &c->seal[k];

		if (!compose_meets(at, n, s->at, s->bytes))
			continue;
		if (s->kind != SEAL_ESP)
			return err_set(e, ERR_IMAGE_SIGNED,
				"part '%s' at 0x%llx would change %s (0x%llx, %llu bytes), and that would not hold any more: put the value outside of it, or change the image before it is signed",
				name, (unsigned long long)at, what_of(s->kind),
				(unsigned long long)s->at, (unsigned long long)s->bytes);
		s->touched = true;
	}
	return 0;
}

int compose_reseal(struct compose *c, struct compose_seal *s, struct err *e)
{
	uint8_t *p = compose_at(c, s->at, s->bytes);
	struct esp_image i;
	struct err why = {0};
	int r = esp_image_seal("it", p, s->bytes, &why);

	if (r == 0)
		r = esp_image_check("it", p, s->bytes, &i, &why);
	if (r == 0 && i.bytes != s->bytes)
		r = err_set(&why, ERR_IMAGE_INVALID, "it has %u bytes now, and had %llu", i.bytes,
			(unsigned long long)s->bytes);
	if (r < 0)
		return err_set(e, ERR_IMAGE_INVALID,
			"a part changes the structure of the ESP image at 0x%llx (%s): only what its segments hold may be changed",
			(unsigned long long)s->at, why.msg);
	s->touched = false;
	c->esp_seals++;
	return 0;
}
