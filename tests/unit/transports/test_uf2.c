/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transports/image_check.h"

#define WITH_FAMILY 0x2000

static const uint8_t bytes[1000] = "sixty-four times nothing, and some";
static const struct part parts[] = {{0x10000000, bytes, 1000}, {0x10008000, bytes, 8}};
static const struct uf2_kind rp2040 = {WITH_FAMILY, 0xe48bff56};
static const struct uf2_kind nrf52 = {WITH_FAMILY, 0x1b57745f};

START_TEST(blocks_become_segments)
{
	struct strbuf b = {0};

	write_uf2(&b, rp2040, parts, 2, 256);

	_cleanup_(image_unrefp) struct image *i = accepted(b.s, b.len);

	ck_assert_uint_eq(i->count, 2);
	ck_assert_uint_eq(i->segments[0].address, 0x10000000);
	ck_assert_uint_eq(i->segments[0].len, 1000);
	ck_assert_mem_eq(i->segments[0].data, bytes, 1000);
	sb_done(&b);
}
END_TEST

START_TEST(of_several_families_one_has_to_be_chosen)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct strbuf b = {0};
	struct image *i = NULL;

	write_uf2(&b, rp2040, parts, 2, 256);
	write_uf2(&b, nrf52, parts, 1, 128);
	refused(b.s, b.len, ERR_INVALID,
		"holds 2 families, 0xe48bff56, 0x1b57745f: say which ('family')");
	o.uf2_family = nrf52.family;
	ck_assert_int_eq(parse_with(b.s, b.len, &o, &i), 0);
	ck_assert_uint_eq(i->bytes, 1000);
	i = image_unref(i);
	o.uf2_family = 0x12345678;
	ck_assert_int_eq(parse_with(b.s, b.len, &o, &i), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "nothing for family 0x12345678"), "%s", e.msg);
	ck_assert_int_eq(parse_with(b.s, b.len, &IMAGE_OPTS_INSPECT, &i), 0);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "2 families"), "%s", i->note[0]);
	image_unref(i);
	sb_done(&b);
}
END_TEST

START_TEST(a_block_that_comes_again_is_the_same_or_refused)
{
	struct strbuf b = {0};
	struct image *i;

	write_uf2(&b, rp2040, parts, 2, 256);
	uf2_block(&b, rp2040, 0x10000000, bytes, 256, 0, 5);
	i = accepted(b.s, b.len);
	ck_assert_uint_eq(i->bytes, 1008);
	image_unref(i);
	uf2_block(&b, rp2040, 0x10010000, bytes, 256, 1, 5);
	refused(b.s, b.len, ERR_IMAGE_INVALID, "offset 0xc00: block number 1 again, another one");
	sb_done(&b);
}
END_TEST

static void refused_with(size_t at, uint32_t v, const char *says)
{
	struct strbuf b = {0};

	write_uf2(&b, rp2040, parts, 2, 256);
	for (unsigned i = 0; i < 4; i++)
		b.s[at + i] = (char)(v >> 8 * i);
	refused(b.s, b.len, ERR_IMAGE_INVALID, says);
	sb_done(&b);
}

START_TEST(every_way_to_break_a_block_is_told_with_its_offset)
{
	refused_with(512, 0, "offset 0x200: there is no UF2 block");
	refused_with(508, 0, "offset 0x0: there is no UF2 block");
	refused_with(512 + 16, 480, "offset 0x200: a payload of 480 bytes");
	refused_with(512 + 16, 0, "offset 0x200: a payload of 0 bytes");
	refused_with(512 + 16, 3, "offset 0x200: a payload of 3 bytes");
	refused_with(512 + 12, 0x10000102, "offset 0x200: the address 0x10000102");
	refused_with(512 + 20, 5, "offset 0x200: block number 5 of 5");
	refused_with(512 + 20, 0, "offset 0x200: block number 0 again");
	refused_with(512 + 24, 4, "offset 0x200: the block says 4 blocks, those before it said 5");
	refused_with(24, 0xffffffff, "offset 0x0: the block says 4294967295 blocks");
	refused_with(512 + 12, 0x10000004, "overlap");
}
END_TEST

/* The bytes that are left of 1008 where block 1 has those flags. */
static void taken_without_block_1(uint32_t flags, const char *note)
{
	struct strbuf b = {0};

	write_uf2(&b, rp2040, parts, 2, 256);
	for (unsigned i = 0; i < 4; i++)
		b.s[512 + 8 + i] = (char)(flags >> 8 * i);

	_cleanup_(image_unrefp) struct image *i = accepted(b.s, b.len);

	ck_assert_uint_eq(i->bytes, 1008 - 256);
	ck_assert_uint_eq(i->count, 3);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], note), "%s", i->note[0]);
	sb_done(&b);
}

START_TEST(blocks_that_are_not_for_the_main_flash_are_passed_over_with_a_note)
{
	taken_without_block_1(0x2001, "1 blocks are not for the main flash");
	taken_without_block_1(0x0001, "1 blocks are not for the main flash");
	taken_without_block_1(0x1000, "1 blocks are of files in a container");
	taken_without_block_1(0x3000, "1 blocks are of files in a container");
}
END_TEST

START_TEST(blocks_of_another_memory_may_be_outside_of_the_numbers)
{
	static const struct uf2_kind other = {WITH_FAMILY | 1, 0xe48bff56};
	struct strbuf b = {0};

	uf2_block(&b, other, 0x20000000, bytes, 256, 0, 1);
	write_uf2(&b, rp2040, parts, 2, 256);

	_cleanup_(image_unrefp) struct image *i = accepted(b.s, b.len);

	ck_assert_uint_eq(i->bytes, 1008);
	sb_done(&b);
}
END_TEST

/* Flash at 0x10000000 for one family, at 0x2000 for another, numbered in one row. */
static void two_in_one_row(struct strbuf *b, uint32_t left_out)
{
	for (uint32_t k = 0; k < 7; k++)
		if (k != left_out)
			uf2_block(b, k < 4 ? rp2040 : nrf52,
				k < 4 ? 0x10000000 + 256 * k : 0x2000 + 256 * (k - 4), bytes, 256,
				k, 7);
}

START_TEST(families_that_share_one_row_of_numbers_are_whole_together)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct strbuf b = {0};
	struct image *i = NULL;

	two_in_one_row(&b, 7);
	refused(b.s, b.len, ERR_INVALID, "0xe48bff56, 0x1b57745f: say which");
	o.uf2_family = rp2040.family;
	ck_assert_msg(parse_with(b.s, b.len, &o, &i) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->bytes, 1024);
	image_unref(i);
	o.uf2_family = nrf52.family;
	ck_assert_msg(parse_with(b.s, b.len, &o, &i) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->segments[0].address, 0x2000);
	ck_assert_uint_eq(i->bytes, 768);
	image_unref(i);
	sb_done(&b);
}
END_TEST

START_TEST(a_block_that_is_missing_in_one_row_is_missed_in_every_family)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);

	for (uint32_t k = 0; k < 7; k++) {
		struct strbuf b = {0};
		struct image *i = NULL;

		two_in_one_row(&b, k);
		/* Another block, so that the file is as long as the numbers say. */
		uf2_block(&b, k < 4 ? nrf52 : rp2040, 0x4000, bytes, 256, k == 6 ? 0 : 6, 7);
		for (int f = 0; f < 2; f++) {
			o.uf2_family = f ? nrf52.family : rp2040.family;
			ck_assert_int_eq(parse_with(b.s, b.len, &o, &i), -ERR_IMAGE_INVALID);
		}
		sb_done(&b);
	}
}
END_TEST

static const struct uf2_kind absolute = {WITH_FAMILY, 0xe48bff57};

START_TEST(the_block_for_the_boot_rom_of_a_RP2350_is_left_out)
{
	static const struct uf2_kind tagged = {WITH_FAMILY | 0x8000, 0xe48bff57};
	static const uint8_t tag[] = {4, 0xe3, 0x57, 0x99};
	uint8_t fill[256];
	struct strbuf b = {0};

	memset(fill, 0xef, sizeof fill);
	uf2_block(&b, absolute, 0x10ffff00, fill, sizeof fill, 0, 2);
	write_uf2(&b, rp2040, parts, 2, 256);

	struct image *i = accepted(b.s, b.len);

	ck_assert_uint_eq(i->bytes, 1008);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "RP2350"), "%s", i->note[0]);
	image_unref(i);
	/* Marked by its tag, whatever it is filled with. */
	sb_done(&b);
	uf2_block(&b, tagged, 0x103fff00, bytes, 256, 0, 2);
	memcpy(b.s + 32 + 256, tag, sizeof tag);
	write_uf2(&b, rp2040, parts, 2, 256);
	i = accepted(b.s, b.len);
	ck_assert_uint_eq(i->bytes, 1008);
	image_unref(i);
	sb_done(&b);
}
END_TEST

START_TEST(an_absolute_file_of_two_blocks_is_a_file_like_others)
{
	struct strbuf b = {0};
	struct image *i;

	write_uf2(&b, absolute, &(struct part){0x10000000, bytes, 512}, 1, 256);
	i = accepted(b.s, b.len);
	ck_assert_uint_eq(i->bytes, 512);
	image_unref(i);
	refused(b.s, 512, ERR_IMAGE_INVALID, "the block says 2 blocks, the file holds 1");
	sb_done(&b);
}
END_TEST

START_TEST(a_file_that_is_cut_off_is_refused)
{
	struct strbuf b = {0};

	write_uf2(&b, rp2040, parts, 2, 256);
	refused(b.s, b.len - 1, ERR_IMAGE_INVALID, "offset 0x800: 511 bytes after the last block");
	refused(b.s, b.len - 512, ERR_IMAGE_INVALID, "the block says 5 blocks, the file holds 4");
	sb_done(&b);
}
END_TEST

static Suite *uf2_suite(void)
{
	Suite *s = suite_create("uf2");
	TCase *t = tcase_create("uf2");

	tcase_add_test(t, blocks_become_segments);
	tcase_add_test(t, of_several_families_one_has_to_be_chosen);
	tcase_add_test(t, a_block_that_comes_again_is_the_same_or_refused);
	tcase_add_test(t, every_way_to_break_a_block_is_told_with_its_offset);
	tcase_add_test(t, blocks_that_are_not_for_the_main_flash_are_passed_over_with_a_note);
	tcase_add_test(t, blocks_of_another_memory_may_be_outside_of_the_numbers);
	tcase_add_test(t, families_that_share_one_row_of_numbers_are_whole_together);
	tcase_add_test(t, a_block_that_is_missing_in_one_row_is_missed_in_every_family);
	tcase_add_test(t, the_block_for_the_boot_rom_of_a_RP2350_is_left_out);
	tcase_add_test(t, an_absolute_file_of_two_blocks_is_a_file_like_others);
	tcase_add_test(t, a_file_that_is_cut_off_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(uf2_suite)
