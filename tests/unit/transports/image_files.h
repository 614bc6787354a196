/* SPDX-License-Identifier: Apache-2.0
 *
 * Writers of every image format, for tests alone: written from the specifications, without a look
 * at the readers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <zlib.h>

#include "base/strbuf.h"
#include "base/util.h"

struct part {
	uint64_t address;
	const uint8_t *data;
	size_t len;
};

static inline void put_n(struct strbuf *b, uint64_t v, unsigned n, bool big)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t c = (uint8_t)(v >> 8 * (big ? n - 1 - i : i));

		sb_add_n(b, &c, 1);
	}
}

static inline void put_le(struct strbuf *b, uint64_t v, unsigned n)
{
	put_n(b, v, n, false);
}

static inline void put_fill(struct strbuf *b, uint8_t v, size_t n)
{
	while (n-- > 0)
		sb_add_n(b, &v, 1);
}

static inline void ihex_record(
	struct strbuf *b, uint8_t type, uint16_t offset, const uint8_t *data, size_t n)
{
	uint8_t sum = (uint8_t)(n + (offset >> 8) + offset + type);

	sb_addf(b, ":%02X%04X%02X", (unsigned)n, offset, type);
	for (size_t i = 0; i < n; i++) {
		sb_addf(b, "%02X", data[i]);
		sum = (uint8_t)(sum + data[i]);
	}
	sb_addf(b, "%02X\r\n", (uint8_t)-sum);
}

/* Records of at most `step` bytes. */
static inline void write_ihex(struct strbuf *b, const struct part *p, size_t parts, size_t step)
{
	uint32_t base = 0;

	for (size_t k = 0; k < parts; k++) {
		for (size_t at = 0, n; at < p[k].len; at += n) {
			uint64_t a = p[k].address + at;

			n = MIN(step, p[k].len - at);
			n = MIN(n, 0x10000 - a % 0x10000);
			if (a >> 16 != base) {
				uint8_t upper[2] = {(uint8_t)(a >> 24), (uint8_t)(a >> 16)};

				base = (uint32_t)(a >> 16);
				ihex_record(b, 4, 0, upper, 2);
			}
			ihex_record(b, 0, (uint16_t)a, p[k].data + at, n);
		}
	}
	ihex_record(b, 1, 0, NULL, 0);
}

static inline void srec_record(struct strbuf *b, char type, unsigned width, uint32_t address,
	const uint8_t *data, size_t n)
{
	uint8_t sum = (uint8_t)(n + width + 1);

	sb_addf(b, "S%c%02X", type, (unsigned)(n + width + 1));
	for (unsigned i = width; i-- > 0;) {
		sb_addf(b, "%02X", (uint8_t)(address >> 8 * i));
		sum = (uint8_t)(sum + (address >> 8 * i));
	}
	for (size_t i = 0; i < n; i++) {
		sb_addf(b, "%02X", data[i]);
		sum = (uint8_t)(sum + data[i]);
	}
	sb_addf(b, "%02X\n", (uint8_t)~sum);
}

static inline void write_srec(struct strbuf *b, const struct part *p, size_t parts, size_t step)
{
	uint32_t records = 0;

	srec_record(b, '0', 2, 0, (const uint8_t *)"test", 4);
	for (size_t k = 0; k < parts; k++) {
		for (size_t at = 0, n; at < p[k].len; at += n, records++) {
			uint32_t a = (uint32_t)(p[k].address + at);
			unsigned width = a < 0x10000 ? 2 : a < 0x1000000 ? 3 : 4;

			n = MIN(step, p[k].len - at);
			srec_record(b, (char)('0' + width - 1), width, a, p[k].data + at, n);
		}
	}
	if (records < 0x10000)
		srec_record(b, '5', 2, records, NULL, 0);
	srec_record(b, '7', 4, 0, NULL, 0);
}

struct uf2_kind {
	uint32_t flags, family;
};

static inline void uf2_block(struct strbuf *b, struct uf2_kind kind, uint32_t address,
	const uint8_t *data, size_t n, uint32_t number, uint32_t blocks)
{
	put_le(b, 0x0a324655, 4);
	put_le(b, 0x9e5d5157, 4);
	put_le(b, kind.flags, 4);
	put_le(b, address, 4);
	put_le(b, n, 4);
	put_le(b, number, 4);
	put_le(b, blocks, 4);
	put_le(b, kind.family, 4);
	sb_add_n(b, data, n);
	put_fill(b, 0, 476 - n);
	put_le(b, 0x0ab16f30, 4);
}

/* Addresses and lengths are multiples of 4. */
static inline void write_uf2(
	struct strbuf *b, struct uf2_kind kind, const struct part *p, size_t parts, size_t step)
{
	uint32_t blocks = 0;
	uint32_t number = 0;

	for (size_t k = 0; k < parts; k++)
		blocks += (uint32_t)((p[k].len + step - 1) / step);
	for (size_t k = 0; k < parts; k++)
		for (size_t at = 0, n; at < p[k].len; at += n) {
			n = MIN(step, p[k].len - at);
			uf2_block(b, kind, (uint32_t)(p[k].address + at), p[k].data + at, n,
				number++, blocks);
		}
}

struct elf_kind {
	bool wide, big;
	uint16_t type, machine;
	bool no_physical; /* addresses go into p_vaddr alone */
	uint64_t entry;
};

static inline void elf_phdr(struct strbuf *b, const struct elf_kind *k, const struct part *p,
	uint64_t offset, uint64_t memory)
{
	unsigned w = k->wide ? 8 : 4;

	put_n(b, 1, 4, k->big); /* PT_LOAD */
	if (k->wide)
		put_n(b, 5, 4, k->big);
	put_n(b, offset, w, k->big);
	put_n(b, k->no_physical ? p->address : p->address ^ 0x20000000, w, k->big);
	put_n(b, k->no_physical ? 0 : p->address, w, k->big);
	put_n(b, p->len, w, k->big);
	put_n(b, memory, w, k->big);
	if (!k->wide)
		put_n(b, 5, 4, k->big);
	put_n(b, 4, w, k->big);
}

/* A segment without bytes (bss) comes after the parts. */
static inline void write_elf(
	struct strbuf *b, const struct elf_kind *k, const struct part *p, size_t parts)
{
	unsigned w = k->wide ? 8 : 4;
	size_t head = k->wide ? 64 : 52;
	size_t entry = k->wide ? 56 : 32;
	uint64_t at = head + entry * (parts + 1);
	const struct part bss = {0x20000000, NULL, 0};

	sb_add(b, "\177ELF");
	put_le(b, k->wide ? 2 : 1, 1);
	put_le(b, k->big ? 2 : 1, 1);
	put_le(b, 1, 1);
	put_fill(b, 0, 9);
	put_n(b, k->type ? k->type : 2, 2, k->big);
	put_n(b, k->machine ? k->machine : 40, 2, k->big);
	put_n(b, 1, 4, k->big);
	put_n(b, k->entry, w, k->big);
	put_n(b, head, w, k->big);
	put_n(b, 0, w, k->big);
	put_n(b, 0, 4, k->big);
	put_n(b, head, 2, k->big);
	put_n(b, entry, 2, k->big);
	put_n(b, parts + 1, 2, k->big);
	put_n(b, k->wide ? 64 : 40, 2, k->big);
	put_n(b, 0, 2, k->big);
	put_n(b, 0, 2, k->big);
	for (size_t i = 0; i < parts; i++) {
		elf_phdr(b, k, &p[i], at, p[i].len + 8);
		at += p[i].len;
	}
	elf_phdr(b, k, &bss, at, 4096);
	for (size_t i = 0; i < parts; i++)
		sb_add_n(b, p[i].data, p[i].len);
}

/* Appends the suffix of 16 bytes. */
static inline void add_dfu_suffix(
	struct strbuf *b, uint16_t vid, uint16_t pid, uint16_t device, uint16_t bcd)
{
	put_le(b, device, 2);
	put_le(b, pid, 2);
	put_le(b, vid, 2);
	put_le(b, bcd, 2);
	sb_add(b, "UFD\x10");
	put_le(b, crc32(0, (const uint8_t *)b->s, (uInt)b->len) ^ 0xffffffffu, 4);
}

/* One target; its elements are the parts. */
static inline void dfuse_target(struct strbuf *b, uint8_t alt, const struct part *p, size_t parts)
{
	size_t size = 0;

	for (size_t i = 0; i < parts; i++)
		size += 8 + p[i].len;
	sb_add(b, "Target");
	put_le(b, alt, 1);
	put_le(b, 1, 4);
	put_fill(b, 'n', 255);
	put_le(b, size, 4);
	put_le(b, parts, 4);
	for (size_t i = 0; i < parts; i++) {
		put_le(b, p[i].address, 4);
		put_le(b, p[i].len, 4);
		sb_add_n(b, p[i].data, p[i].len);
	}
}

/* `extra` is what the tool counts in addition to the container itself: 0 of ST's, 16 of dfuse-pack. */
static inline void write_dfuse(
	struct strbuf *b, const struct part *p, size_t parts, uint8_t alt, uint32_t extra)
{
	struct strbuf targets = {0};

	dfuse_target(&targets, alt, p, parts);
	sb_add(b, "DfuSe\x01");
	put_le(b, 11 + targets.len + extra, 4);
	put_le(b, 1, 1);
	sb_add_n(b, targets.s, targets.len);
	sb_done(&targets);
	add_dfu_suffix(b, 0x0483, 0xdf11, 0x0200, 0x011a);
}
