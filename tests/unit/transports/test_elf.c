/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transports/image_check.h"

static const struct part parts[] = {
	{0x08000000, (const uint8_t *)"vectors and code", 16},
	{0x08004000, (const uint8_t *)"data", 4},
};

static struct strbuf file(const struct elf_kind *k)
{
	struct strbuf b = {0};

	write_elf(&b, k, parts, 2);
	return b;
}

START_TEST(segments_lie_at_their_physical_addresses_in_every_class_and_order)
{
	char payload[SHA256_HEX] = "";

	for (int k = 0; k < 4; k++) {
		struct strbuf b = file(&(struct elf_kind){
			.wide = k & 1, .big = k & 2, .machine = 243, .entry = 0x08000001});
		struct image *i = accepted(b.s, b.len);

		ck_assert_uint_eq(i->count, 2);
		ck_assert_uint_eq(i->segments[0].address, 0x08000000);
		ck_assert_uint_eq(i->segments[1].address, 0x08004000);
		ck_assert_mem_eq(i->segments[1].data, "data", 4);
		ck_assert_uint_eq(i->entry, 0x08000001);
		ck_assert(*payload == 0 || !strcmp(payload, i->payload));
		snprintf(payload, sizeof payload, "%s", i->payload);
		image_unref(i);
		sb_done(&b);
	}
}
END_TEST

START_TEST(where_no_physical_address_is_set_the_virtual_ones_are_used)
{
	struct strbuf b = file(&(struct elf_kind){.no_physical = true});
	_cleanup_(image_unrefp) struct image *i = accepted(b.s, b.len);

	ck_assert_uint_eq(i->segments[0].address, 0x08000000);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "virtual"), "%s", i->note[0]);
	sb_done(&b);
}
END_TEST

START_TEST(another_machine_or_kind_of_file_is_refused)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct image *i = NULL;
	struct strbuf b = file(&(struct elf_kind){.machine = 243});

	o.elf_machine = 40;
	ck_assert_int_eq(parse_with(b.s, b.len, &o, &i), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "machine 243 (RISC-V), not 40 (ARM)"), "%s", e.msg);
	sb_done(&b);
	b = file(&(struct elf_kind){.type = 1});
	refused(b.s, b.len, ERR_IMAGE_INVALID, "not linked yet");
	sb_done(&b);
	b = file(&(struct elf_kind){.type = 4});
	refused(b.s, b.len, ERR_IMAGE_INVALID, "not a program");
	sb_done(&b);
	b = file(&(struct elf_kind){.type = 3});
	i = accepted(b.s, b.len);
	ck_assert_msg(i->notes == 1 && strstr(i->note[0], "ET_DYN"), "%s", i->note[0]);
	image_unref(i);
	sb_done(&b);
}
END_TEST

/* Offsets of 32-bit little-endian files: e_phoff 28, e_phentsize 42, e_phnum 44; of the first
 * program header: p_type 52, p_offset 56, p_paddr 64, p_filesz 68, p_memsz 72. */
static void refused_with(size_t at, uint32_t v, unsigned n, enum err_code code, const char *says)
{
	struct strbuf b = file(&(struct elf_kind){0});

	for (unsigned i = 0; i < n; i++)
		b.s[at + i] = (char)(v >> 8 * i);
	refused(b.s, b.len, code, says);
	sb_done(&b);
}

START_TEST(damaged_headers_are_told)
{
	refused_with(28, 0xfffffff0, 4, ERR_IMAGE_INVALID, "offset 0x");
	refused_with(44, 1000, 2, ERR_IMAGE_INVALID, "offset 0x");
	refused_with(44, 0, 2, ERR_IMAGE_INVALID, "no program headers");
	refused_with(42, 33, 2, ERR_IMAGE_INVALID, "offset 0x");
	refused_with(56, 0xfffffff0, 4, ERR_IMAGE_INVALID, "runs past the file");
	refused_with(68, 0x7fffffff, 4, ERR_IMAGE_INVALID, "runs past the file");
	refused_with(72, 3, 4, ERR_IMAGE_INVALID, "16 bytes for 3 bytes of memory");
	refused_with(64, 0xfffffff8, 4, ERR_IMAGE_RANGE, "end above the address space");
	refused_with(64, 0x08003ff4, 4, ERR_IMAGE_INVALID, "parts of the file overlap");
	refused_with(52, 3, 4, ERR_IMAGE_INVALID, "operating system");
	refused_with(5, 7, 1, ERR_IMAGE_INVALID, "offset 0x0");
	refused_with(4, 9, 1, ERR_IMAGE_INVALID, "offset 0x0");
}
END_TEST

START_TEST(a_file_without_bytes_to_load_is_refused)
{
	struct strbuf b = {0};

	write_elf(&b, &(struct elf_kind){0}, parts, 0);
	refused(b.s, b.len, ERR_IMAGE_INVALID, "holds no data");
	sb_done(&b);
}
END_TEST

static Suite *elf_suite(void)
{
	Suite *s = suite_create("elf");
	TCase *t = tcase_create("elf");

	tcase_add_test(t, segments_lie_at_their_physical_addresses_in_every_class_and_order);
	tcase_add_test(t, where_no_physical_address_is_set_the_virtual_ones_are_used);
	tcase_add_test(t, another_machine_or_kind_of_file_is_refused);
	tcase_add_test(t, damaged_headers_are_told);
	tcase_add_test(t, a_file_without_bytes_to_load_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(elf_suite)
