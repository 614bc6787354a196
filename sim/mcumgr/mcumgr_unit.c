/* SPDX-License-Identifier: Apache-2.0
 *
 * Two slots and MCUboot: what is pending in slot 1 is swapped in at a reset where its hash is right, and swapped back at the
 * next one unless it was confirmed (MCUboot, "Design", swap with revert).
 */
#include "sim/mcumgr/mcumgr.h"

#define MAGIC	   0x96f3b83du
#define HEAD	   32
#define TRAILER	   0x6907
#define TYPE_HASH  0x10
#define FIRST_CODE 4000

void mcumgr_make_first(struct mcumgr *s)
{
	struct mcumgr_slot *l = &s->slot[0];
	struct wbytes w = wbytes_of(l->p, MCUMGR_SLOT_BYTES);
	uint8_t sum[SHA256_BYTES];

	wb_le32(&w, MAGIC);
	wb_le32(&w, 0);
	wb_le16(&w, HEAD);
	wb_le16(&w, 0);
	wb_le32(&w, FIRST_CODE);
	wb_le32(&w, 0);
	wb_u8(&w, 1);
	wb_u8(&w, 0);
	wb_le16(&w, 0);
	wb_le32(&w, 0);
	wb_le32(&w, 0);
	for (unsigned i = 0; i < FIRST_CODE; i++)
		wb_u8(&w, (uint8_t)(i * 31 + s->device.uid[i % 24]));
	sha256_of(l->p, w.len, sum);
	wb_le16(&w, TRAILER);
	wb_le16(&w, 4 + 4 + SHA256_BYTES);
	wb_le16(&w, TYPE_HASH);
	wb_le16(&w, SHA256_BYTES);
	wb_put(&w, sum, sizeof sum);
	l->n = (uint32_t)w.len;
	l->confirmed = true;
}

/* Where the trailer begins; 0: it holds none. covered: what the hash is of. */
static uint32_t trailer_of(const struct mcumgr_slot *l, uint32_t *covered)
{
	struct rbytes b = rbytes_of(l->p, l->n);
	uint32_t magic = rb_le32(&b);
	uint32_t head;
	uint32_t guarded;
	uint32_t code;

	rb_le32(&b);
	head = rb_le16(&b);
	guarded = rb_le16(&b);
	code = rb_le32(&b);
	if (b.bad || magic != MAGIC || code > MCUMGR_SLOT_BYTES)
		return 0;
	*covered = head + code + guarded;
	return *covered + 4 <= l->n ? *covered : 0;
}

static const uint8_t *hash_in(const struct mcumgr_slot *l, uint32_t at)
{
	struct rbytes b = rbytes_of(l->p + at, l->n - at);
	uint16_t magic = rb_le16(&b);
	uint16_t total = rb_le16(&b);

	while (!b.bad && magic == TRAILER && b.pos < total) {
		uint16_t type = rb_le16(&b);
		uint16_t n = rb_le16(&b);
		const uint8_t *p = rb_take(&b, n);

		if (p && type == TYPE_HASH && n == SHA256_BYTES)
			return p;
	}
	return NULL;
}

bool mcumgr_slot_says(const struct mcumgr_slot *l, uint8_t hash[SHA256_BYTES], char version[24])
{
	uint32_t covered = 0;
	uint32_t at = trailer_of(l, &covered);
	const uint8_t *p = at ? hash_in(l, at) : NULL;

	if (!p)
		return false;
	memcpy(hash, p, SHA256_BYTES);
	snprintf(version, 24, "%u.%u.%u", l->p[20], l->p[21], l->p[22] | l->p[23] << 8);
	return true;
}

static bool is_whole(const struct mcumgr_slot *l)
{
	uint8_t want[SHA256_BYTES];
	uint8_t got[SHA256_BYTES];
	char version[24];
	uint32_t covered = 0;

	if (!trailer_of(l, &covered) || !mcumgr_slot_says(l, want, version))
		return false;
	sha256_of(l->p, covered, got);
	return !memcmp(want, got, sizeof got);
}

static void swap(struct mcumgr *s)
{
	struct mcumgr_slot other = s->slot[0];

	s->slot[0] = s->slot[1];
	s->slot[1] = other;
	s->swaps++;
}

void mcumgr_boot(struct mcumgr *s)
{
	struct mcumgr_slot *next = &s->slot[1];

	s->resets++;
	s->uploading = false;
	if (own_fault_hit(s->faults, MCUMGR_NO_SWAP, NULL)) {
		next->pending = next->permanent = false;
	} else if (next->pending && is_whole(next)) {
		bool keep = next->permanent;

		swap(s);
		s->slot[0].confirmed = keep;
		s->slot[1].confirmed = !keep;
	} else if (next->pending) {
		next->n = 0; /* it does not start what is not whole */
	} else if (!s->slot[0].confirmed && is_whole(next)) {
		swap(s);
		s->slot[0].confirmed = true;
	}
	for (int i = 0; i < 2; i++)
		s->slot[i].pending = s->slot[i].permanent = false;
	if (s->slot[1].n && !s->slot[0].confirmed)
		return;
	s->slot[1].confirmed = false;
}
