/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads an NVS partition of ESP-IDF by the published description alone (ESP-IDF Programming Guide, "Non-Volatile Storage
 * Library", Internals), with a CRC of its own: nothing of it comes from the writer. Any break of the format ends the test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define NVS_READ_MAX 256

struct nvs_read {
	char space[16], key[16];
	uint8_t type;
	const uint8_t *value; /* of an integer its 8 bytes; of a string its characters */
	size_t n;	      /* with a string's NUL; of a blob all of its chunks */
	uint8_t *blob;	      /* of a blob: joined; freed by nvs_read_done() */
};

struct nvs_reading {
	struct nvs_read item[NVS_READ_MAX];
	size_t count;
	unsigned full, active, unused; /* pages */
	size_t entries;		       /* written */
};

static inline uint32_t nvs_u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Bit by bit; the beginning 0xffffffff of crc32_le() is a register of 0. */
static inline uint32_t nvs_crc(uint32_t reg, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		reg ^= p[i];
		for (int k = 0; k < 8; k++)
			reg = reg & 1 ? reg >> 1 ^ 0xedb88320u : reg >> 1;
	}
	return reg;
}

static inline uint32_t nvs_sum(const uint8_t *p, size_t n)
{
	return ~nvs_crc(0, p, n);
}

static inline void nvs_read_done(struct nvs_reading *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->item[i].blob);
	memset(r, 0, sizeof *r);
}

static inline struct nvs_read *nvs_found(struct nvs_reading *r, const char *space, const char *key)
{
	struct nvs_read *found = NULL;

	for (size_t i = 0; i < r->count; i++)
		if (!strcmp(r->item[i].space, space) && !strcmp(r->item[i].key, key)) {
			ck_assert_msg(!found, "%s.%s comes twice", space, key);
			found = &r->item[i];
		}
	if (!found)
		ck_abort_msg("%s.%s is not there", space, key);
	return found;
}

/* The chunks of a blob, until its index says that they are all. */
struct nvs_chunks {
	uint8_t space;
	char key[16];
	uint8_t *bytes;
	size_t n;
	unsigned count;
};

static inline const uint8_t *nvs_long(const uint8_t *entry, uint8_t span, size_t *ret_n)
{
	size_t n = entry[24] | (size_t)entry[25] << 8;

	ck_assert_uint_eq(entry[26] | entry[27] << 8, 0xffff);
	ck_assert_uint_eq(span, 1 + (n + 31) / 32);
	ck_assert_uint_eq(nvs_u32(entry + 28), nvs_sum(entry + 32, n));
	*ret_n = n;
	return entry + 32;
}

static inline void nvs_read_entry(
	struct nvs_reading *r, const uint8_t *p, char spaces[256][16], struct nvs_chunks *c)
{
	uint8_t head[28];
	struct nvs_read *x;
	size_t n = 0;
	const uint8_t *more;

	memcpy(head, p, 4);
	memcpy(head + 4, p + 8, 24);
	ck_assert_uint_eq(nvs_u32(p + 4), nvs_sum(head, sizeof head));
	ck_assert_msg(memchr(p + 8, 0, 16) && p[8], "a key without its NUL");
	if (p[0] == 0) {
		ck_assert_uint_eq(p[1], 0x01);
		ck_assert_msg(p[24] && !spaces[p[24]][0], "namespace %u", p[24]);
		snprintf(spaces[p[24]], 16, "%s", (const char *)p + 8);
		return;
	}
	ck_assert_msg(spaces[p[0]][0], "namespace %u is not named", p[0]);
	if (p[1] == 0x42) {
		more = nvs_long(p, p[2], &n);
		ck_assert_uint_eq(p[3], c->count);
		ck_assert(c->count == 0 || (c->space == p[0] && !memcmp(c->key, p + 8, 16)));
		c->space = p[0];
		memcpy(c->key, p + 8, 16);
		c->bytes = realloc(c->bytes, c->n + n);
		memcpy(c->bytes + c->n, more, n);
		c->n += n;
		c->count++;
		return;
	}
	ck_assert_uint_eq(p[3], 0xff);
	ck_assert_uint_lt(r->count, NVS_READ_MAX);
	x = &r->item[r->count++];
	snprintf(x->space, sizeof x->space, "%s", spaces[p[0]]);
	snprintf(x->key, sizeof x->key, "%s", (const char *)p + 8);
	x->type = p[1];
	if (p[1] == 0x21) {
		x->value = nvs_long(p, p[2], &x->n);
		ck_assert_msg(x->n && !x->value[x->n - 1], "a string without its NUL");
		return;
	}
	ck_assert_uint_eq(p[2], 1);
	if (p[1] == 0x48) {
		ck_assert_uint_eq(nvs_u32(p + 24), c->n);
		ck_assert_uint_eq(p[28], c->count);
		ck_assert_uint_eq(p[29], 0);
		ck_assert(c->space == p[0] && !memcmp(c->key, p + 8, 16));
		x->blob = c->bytes;
		x->value = c->bytes;
		x->n = c->n;
		*c = (struct nvs_chunks){0};
		return;
	}
	x->value = p + 24;
	x->n = p[1] & 15;
	ck_assert_msg(x->n == 1 || x->n == 2 || x->n == 4 || x->n == 8, "type %02x", p[1]);
	for (size_t i = x->n; i < 8; i++)
		ck_assert_uint_eq(p[24 + i], 0xff);
}

static inline bool nvs_is_blank(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0xff)
			return false;
	return true;
}

static inline void nvs_read(const uint8_t *bytes, size_t n, struct nvs_reading *r)
{
	char spaces[256][16] = {0};
	struct nvs_chunks c = {0};

	ck_assert(n % 4096 == 0 && n >= 3 * 4096);
	for (size_t page = 0; page < n / 4096; page++) {
		const uint8_t *p = bytes + page * 4096;
		uint32_t state = nvs_u32(p);

		if (state == 0xffffffff) {
			ck_assert(nvs_is_blank(p, 4096));
			r->unused++;
			continue;
		}
		ck_assert_msg(
			r->unused == 0 && r->active == 0, "page %zu after the active one", page);
		ck_assert(state == 0xfffffffe || state == 0xfffffffc);
		r->active += state == 0xfffffffe;
		r->full += state == 0xfffffffc;
		ck_assert_uint_eq(nvs_u32(p + 4), page);
		ck_assert_uint_eq(p[8], 0xfe);
		ck_assert_uint_eq(nvs_u32(p + 28), nvs_sum(p + 4, 24));
		for (unsigned k = 0; k < 126;) {
			unsigned bits = p[32 + k / 4] >> k % 4 * 2 & 3;
			const uint8_t *entry = p + 64 + k * 32;

			ck_assert_msg(bits == 3 || bits == 2, "entry %u has state %u", k, bits);
			if (bits == 3) {
				ck_assert(nvs_is_blank(entry, 32));
				k++;
				continue;
			}
			ck_assert(entry[2] >= 1 && k + entry[2] <= 126);
			for (unsigned i = 0; i < entry[2]; i++)
				ck_assert_uint_eq(p[32 + (k + i) / 4] >> (k + i) % 4 * 2 & 3, 2);
			nvs_read_entry(r, entry, spaces, &c);
			r->entries += entry[2];
			k += entry[2];
		}
		ck_assert_uint_eq(p[63] >> 4, 0xf);
	}
	ck_assert_msg(c.count == 0, "chunks without an index");
	ck_assert_msg(r->unused >= 1, "no page stays empty");
}
