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
	refused(b.s, b.len, ERR_INVALID, "holds 2 families, 0xe48bff56 and 0x1b57745f");
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
	refused_with(512, 0, "offset 0x200: no UF2 block");
	refused_with(508, 0, "offset 0x0: no UF2 block");
	refused_with(512 + 16, 480, "offset 0x200: a payload of 480 bytes");
	refused_with(512 + 16, 0, "offset 0x200: a payload of 0 bytes");
	refused_with(512 + 16, 3, "offset 0x200: a payload of 3 bytes");
	refused_with(512 + 12, 0x10000102, "offset 0x200: the address 0x10000102");
	refused_with(512 + 20, 5, "offset 0x200: block number 5 of 5");
	refused_with(512 + 20, 0, "offset 0x200: block number 0 again");
	refused_with(512 + 24, 4, "offset 0x200: the block says 4 blocks, those before it said 5");
	refused_with(24, 0xffffffff, "offset 0x0: the block says 4294967295 blocks");
	refused_with(512 + 8, 0x3000, "offset 0x200: the block is of a container of files");
	refused_with(512 + 8, 0x2001, "4 of 5 blocks of family 0xe48bff56 are there");
	refused_with(512 + 12, 0x10000004, "overlap");
}
END_TEST

START_TEST(a_file_that_is_cut_off_is_refused)
{
	struct strbuf b = {0};

	write_uf2(&b, rp2040, parts, 2, 256);
	refused(b.s, b.len - 1, ERR_IMAGE_INVALID, "offset 0x800: 511 bytes behind the last block");
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
	tcase_add_test(t, a_file_that_is_cut_off_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(uf2_suite)
