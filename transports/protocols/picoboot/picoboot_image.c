/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether an image is one for the chip, by what its boot ROM looks for (RP2040 datasheet, 2.8.1.3.1; RP2350 datasheet, 5.9.5).
 */
#include <string.h>

#include "base/bytes.h"
#include "transports/images/crc.h"
#include "transports/protocols/picoboot/picoboot_flash.h"

/* RP2040: the second stage, whose last word is the checksum of what is before it. */
#define STAGE2_BYTES 256
/* RP2350: a block begins at a multiple of 4 in the first 4 KiB. */
#define BLOCK_WINDOW 4096
#define BLOCK_START  0xffffded3u
#define RAM_BASE     0x20000000u
#define RAM_END	     0x20100000u
#define RAM_XIP_BASE 0x13ffc000u /* the cache as RAM, RP2350; of a RP2040 0x15000000 */

static const struct {
	uint32_t family;
	bool rp2040, rp2350;
} families[] = {
	{PICOBOOT_FAMILY_RP2040, true, false},
	{PICOBOOT_FAMILY_ABSOLUTE, false, true},
	{PICOBOOT_FAMILY_DATA, false, true},
	{PICOBOOT_FAMILY_RP2350_ARM, false, true},
	{PICOBOOT_FAMILY_RP2350_RISCV, false, true},
	{PICOBOOT_FAMILY_RP2350_NS, false, true},
};

static int check_family(const struct image *i, enum picoboot_chip chip, struct err *e)
{
	if (!i->uf2_family)
		return 0;
	for (size_t k = 0; k < ARRAY_LEN(families); k++)
		if (families[k].family == i->uf2_family &&
			(chip == PICOBOOT_RP2040 ? families[k].rp2040 : families[k].rp2350))
			return 0;
	return err_set(e, ERR_IMAGE_PART,
		"the file is for UF2 family 0x%08x, the device is a %s (family 0x%08x)",
		i->uf2_family, picoboot_chip_str(chip),
		chip == PICOBOOT_RP2040 ? PICOBOOT_FAMILY_RP2040 : PICOBOOT_FAMILY_RP2350_ARM);
}

static bool is_ram(uint64_t address)
{
	return (address >= RAM_BASE && address < RAM_END) ||
	       (address >= RAM_XIP_BASE && address < RAM_BASE);
}

static int check_range(const struct image *i, enum picoboot_chip chip,
	const struct picoboot_flash_options *o, struct err *e)
{
	uint32_t window = picoboot_flash_window(chip);

	if (i->count && is_ram(i->segments[0].address))
		return err_set(e, ERR_IMAGE_RANGE,
			"the image is for RAM (0x%08llx): nothing of it would be there after the power was off; build it for flash",
			(unsigned long long)i->segments[0].address);
	if (o->flash_bytes > window)
		return err_set(e, ERR_INVALID, "'flash_size' is %llu bytes, a %s addresses %u",
			(unsigned long long)o->flash_bytes, picoboot_chip_str(chip), window);
	return image_check_range(
		i, PICOBOOT_FLASH_BASE, o->flash_bytes ? o->flash_bytes : window, e);
}

static int check_stage2(const struct image *i, struct err *e)
{
	uint8_t stage[STAGE2_BYTES];
	struct rbytes said = rbytes_of(stage + STAGE2_BYTES - 4, 4);
	const struct crc_kind *kind = crc_kind_of("crc-32/mpeg-2");
	uint32_t want = rb_le32((memset(stage, 0xff, sizeof stage), &said));
	uint64_t have = image_read(i, 0, PICOBOOT_FLASH_BASE, stage, sizeof stage);
	uint32_t sum = crc_end(kind, crc_add(kind, crc_begin(kind), stage, STAGE2_BYTES - 4));

	said = rbytes_of(stage + STAGE2_BYTES - 4, 4);
	want = rb_le32(&said);
	if (have == STAGE2_BYTES && sum == want)
		return 0;
	return err_set(e, ERR_IMAGE_PART,
		"a RP2040 would not start it: the checksum of the second stage (first 256 bytes) is 0x%08x, 0x%08x expected; is it for a RP2350? ('boots: false' for data)",
		want, sum);
}

static int check_block(const struct image *i, struct err *e)
{
	uint8_t window[BLOCK_WINDOW];

	memset(window, 0xff, sizeof window);
	image_read(i, 0, PICOBOOT_FLASH_BASE, window, sizeof window);
	for (size_t at = 0; at < sizeof window; at += 4) {
		struct rbytes b = rbytes_of(window + at, 4);

		if (rb_le32(&b) == BLOCK_START)
			return 0;
	}
	return err_set(e, ERR_IMAGE_PART,
		"a RP2350 would not start it: there is no block of the boot ROM (0x%08x) in the first %u bytes; is it for a RP2040? ('boots: false' for data)",
		BLOCK_START, BLOCK_WINDOW);
}

int picoboot_image_check(const struct image *i, enum picoboot_chip chip,
	const struct picoboot_flash_options *o, struct err *e)
{
	uint64_t first;
	int r = check_family(i, chip, e);

	if (r == 0)
		r = check_range(i, chip, o, e);
	if (r < 0 || !o->boots || !image_next(i, 0, 0, &first) || first != PICOBOOT_FLASH_BASE)
		return r;
	return chip == PICOBOOT_RP2040 ? check_stage2(i, e) : check_block(i, e);
}
