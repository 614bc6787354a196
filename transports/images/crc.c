/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/crc.h"

#include <string.h>

#include "base/util.h"

/* X(name, width, poly, init, reflected, xorout, check) */
#define CRC_TABLE(X)                                                                   \
	X("crc-8/smbus", 8, 0x07, 0x00, false, 0x00, 0xf4)                             \
	X("crc-8/maxim-dow", 8, 0x31, 0x00, true, 0x00, 0xa1)                          \
	X("crc-16/arc", 16, 0x8005, 0x0000, true, 0x0000, 0xbb3d)                      \
	X("crc-16/modbus", 16, 0x8005, 0xffff, true, 0x0000, 0x4b37)                   \
	X("crc-16/usb", 16, 0x8005, 0xffff, true, 0xffff, 0xb4c8)                      \
	X("crc-16/ibm-3740", 16, 0x1021, 0xffff, false, 0x0000, 0x29b1)                \
	X("crc-16/xmodem", 16, 0x1021, 0x0000, false, 0x0000, 0x31c3)                  \
	X("crc-16/kermit", 16, 0x1021, 0x0000, true, 0x0000, 0x2189)                   \
	X("crc-16/ibm-sdlc", 16, 0x1021, 0xffff, true, 0xffff, 0x906e)                 \
	X("crc-16/genibus", 16, 0x1021, 0xffff, false, 0xffff, 0xd64e)                 \
	X("crc-32/iso-hdlc", 32, 0x04c11db7, 0xffffffff, true, 0xffffffff, 0xcbf43926) \
	X("crc-32/jamcrc", 32, 0x04c11db7, 0xffffffff, true, 0x00000000, 0x340bc6d9)   \
	X("crc-32/mpeg-2", 32, 0x04c11db7, 0xffffffff, false, 0x00000000, 0x0376e6e7)  \
	X("crc-32/bzip2", 32, 0x04c11db7, 0xffffffff, false, 0xffffffff, 0xfc891918)   \
	X("crc-32/cksum", 32, 0x04c11db7, 0x00000000, false, 0xffffffff, 0x765e7680)   \
	X("crc-32/iscsi", 32, 0x1edc6f41, 0xffffffff, true, 0xffffffff, 0xe3069283)

static const struct crc_kind kinds[] = {
#define X(...) {__VA_ARGS__},
	CRC_TABLE(X)
#undef X
};

const char *const crc_names[] = {
#define X(name, ...) name,
	CRC_TABLE(X)
#undef X
		NULL};

const struct crc_kind *crc_kind_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

static uint32_t reversed(uint32_t v, unsigned width)
{
	uint32_t out = 0;

	for (unsigned i = 0; i < width; i++)
		out |= (v >> i & 1) << (width - 1 - i);
	return out;
}

/* One table for a byte at a time: shifted right where the kind is reflected, else left from the top of 32 bits. */
static void make_table(const struct crc_kind *k, uint32_t table[256])
{
	uint32_t poly = k->reflected ? reversed(k->poly, k->width) : k->poly << (32 - k->width);

	for (uint32_t b = 0; b < 256; b++) {
		uint32_t v = k->reflected ? b : b << 24;

		for (int i = 0; i < 8; i++)
			v = k->reflected ? v >> 1 ^ (v & 1 ? poly : 0)
					 : v << 1 ^ (v >> 31 ? poly : 0);
		table[b] = v;
	}
}

uint32_t crc_begin(const struct crc_kind *k)
{
	return k->reflected ? reversed(k->init, k->width) : k->init << (32 - k->width);
}

uint32_t crc_add(const struct crc_kind *k, uint32_t sum, const uint8_t *p, size_t n)
{
	uint32_t table[256];

	make_table(k, table);
	for (size_t i = 0; i < n; i++)
		sum = k->reflected ? sum >> 8 ^ table[(sum ^ p[i]) & 0xff]
				   : sum << 8 ^ table[(sum >> 24 ^ p[i]) & 0xff];
	return sum;
}

uint32_t crc_end(const struct crc_kind *k, uint32_t sum)
{
	return (k->reflected ? sum : sum >> (32 - k->width)) ^ k->xorout;
}
