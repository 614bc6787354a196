/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transports/image_check.h"

static const struct part parts[] = {
	{0x08000000, (const uint8_t *)"internal", 8},
	{0x08004000, (const uint8_t *)"more", 4},
};

START_TEST(the_suffix_is_checked_and_taken_off)
{
	struct strbuf b = {0};
	struct image *i = NULL;

	sb_add(&b, "\x01"
		   "123456789");
	add_dfu_suffix(&b, 0x0483, 0xdf11, 0x0200, 0x0100);
	ck_assert_int_eq(parse_with(b.s, b.len, &IMAGE_OPTS(0x1000), &i), 0);
	ck_assert_int_eq(i->format, IMAGE_DFU);
	ck_assert_int_eq(i->inner, IMAGE_BIN);
	ck_assert(!i->placed);
	ck_assert_uint_eq(i->bytes, 10);
	ck_assert(i->has_dfu_ids);
	ck_assert_uint_eq(i->dfu_vid, 0x0483);
	ck_assert_uint_eq(i->dfu_pid, 0xdf11);
	ck_assert_uint_eq(i->dfu_device, 0x0200);
	image_unref(i);
	refused(b.s, b.len, ERR_INVALID, "a DFU file needs an address");
	b.s[3] ^= 1;
	refused(b.s, b.len, ERR_IMAGE_INVALID, "offset 0x16: DFU suffix: the checksum is wrong");
	refused(b.s + 10, 16, ERR_IMAGE_INVALID, "there is nothing before it");
	b.s[b.len - 5] = 0x40;
	refused(b.s, b.len, ERR_IMAGE_INVALID, "it is longer than the file");
	sb_done(&b);
}
END_TEST

START_TEST(what_the_suffix_ends_may_be_of_any_format)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct strbuf b = {0};
	struct image *plain;
	struct image *i = NULL;

	write_ihex(&b, parts, 2, 16);
	plain = accepted(b.s, b.len);
	add_dfu_suffix(&b, 0xffff, 0xffff, 0xffff, 0x0100);
	o.format = IMAGE_IHEX;
	ck_assert_int_eq(parse_with(b.s, b.len, &o, &i), 0);
	ck_assert_int_eq(i->format, IMAGE_DFU);
	ck_assert_int_eq(i->inner, IMAGE_IHEX);
	ck_assert(i->placed);
	ck_assert_str_eq(i->payload, plain->payload);
	image_unref(i);
	image_unref(plain);
	add_dfu_suffix(&b, 0xffff, 0xffff, 0xffff, 0x0100);
	refused(b.s, b.len, ERR_IMAGE_INVALID, "a second DFU suffix");
	sb_done(&b);
}
END_TEST

START_TEST(a_container_of_either_size_rule_gives_its_elements)
{
	for (unsigned extra = 0; extra <= 16; extra += 16) {
		struct strbuf b = {0};
		struct image *i;

		write_dfuse(&b, parts, 2, 0, extra);
		i = accepted(b.s, b.len);
		ck_assert_int_eq(i->inner, IMAGE_DFU);
		ck_assert(i->placed);
		ck_assert_uint_eq(i->count, 2);
		ck_assert_uint_eq(i->segments[1].address, 0x08004000);
		ck_assert_mem_eq(i->segments[1].data, "more", 4);
		image_unref(i);
		sb_done(&b);
	}
}
END_TEST

START_TEST(the_alternate_setting_is_kept)
{
	static const struct part flash = {0, (const uint8_t *)"same address", 12};
	static const struct part other = {0, (const uint8_t *)"other memory", 12};
	struct strbuf b = {0};
	struct image *i;

	sb_add(&b, "DfuSe\x01");
	put_le(&b, 11 + 2 * (274 + 8 + 12), 4);
	put_le(&b, 2, 1);
	dfuse_target(&b, 3, &flash, 1);
	dfuse_target(&b, 1, &other, 1);
	add_dfu_suffix(&b, 0x0483, 0xdf11, 0, 0x011a);
	i = accepted(b.s, b.len);
	ck_assert_uint_eq(i->count, 2);
	ck_assert_uint_eq(i->segments[0].target, 1);
	ck_assert_mem_eq(i->segments[0].data, "other", 5);
	ck_assert_uint_eq(i->segments[1].target, 3);
	image_unref(i);
	sb_done(&b);
}
END_TEST

/* Bytes changed before the suffix is computed. Offsets: size 6, targets 10; of the target: magic
 * 11, size 277, elements 281; of its first element: address 285, size 289. */
static void refused_with(size_t at, uint32_t v, unsigned n, const char *says)
{
	struct strbuf b = {0};

	write_dfuse(&b, parts, 2, 0, 0);
	b.len -= 16;
	for (unsigned i = 0; i < n; i++)
		b.s[at + i] = (char)(v >> 8 * i);
	add_dfu_suffix(&b, 0x0483, 0xdf11, 0x0200, 0x011a);
	refused(b.s, b.len, ERR_IMAGE_INVALID, says);
	sb_done(&b);
}

START_TEST(every_way_to_break_a_container_is_told_with_its_offset)
{
	refused_with(5, 2, 1, "offset 0x5: DfuSe version 2");
	refused_with(6, 100, 4, "offset 0x6: the container says 100 bytes");
	refused_with(10, 2, 1, "there is no target of a DfuSe container here");
	refused_with(10, 0, 1, "offset 0xb: ");
	refused_with(11, 't', 1, "offset 0xb: there is no target");
	refused_with(277, 29, 4, "runs past the file");
	refused_with(277, 27, 4, "runs past its target");
	refused_with(281, 1, 4, "offset 0x12d: 12 bytes of target 0 belong to no element");
	refused_with(281, 3, 4, "runs past its target");
	refused_with(289, 0xffffffff, 4, "offset 0x11d: an element of 4294967295 bytes");
}
END_TEST

START_TEST(a_container_without_its_suffix_is_cut_off)
{
	struct strbuf b = {0};

	write_dfuse(&b, parts, 2, 0, 0);
	refused(b.s, b.len - 16, ERR_IMAGE_INVALID, "without a suffix");
	sb_done(&b);
}
END_TEST

static Suite *dfu_file_suite(void)
{
	Suite *s = suite_create("dfu_file");
	TCase *t = tcase_create("dfu_file");

	tcase_add_test(t, the_suffix_is_checked_and_taken_off);
	tcase_add_test(t, what_the_suffix_ends_may_be_of_any_format);
	tcase_add_test(t, a_container_of_either_size_rule_gives_its_elements);
	tcase_add_test(t, the_alternate_setting_is_kept);
	tcase_add_test(t, every_way_to_break_a_container_is_told_with_its_offset);
	tcase_add_test(t, a_container_without_its_suffix_is_cut_off);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(dfu_file_suite)
