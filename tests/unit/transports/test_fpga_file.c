/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/fpga_file.h"

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/unit/transports/image_files.h"
#include "tests/unit/unit.h"

static struct err e;
static struct fpga_file f;

static int parse(const char *name, const void *bytes, size_t n)
{
	fpga_file_done(&f);
	e = (struct err){0};
	return fpga_file_read(name, bytes, n, &f, &e);
}

static void done(void)
{
	fpga_file_done(&f);
}

static int is_for(const char *part, bool declared)
{
	struct fpga_part p;

	ck_assert_msg(fpga_part_find(part, &p, &e) == 0, "%s", e.msg);
	return fpga_file_check("a", &f, &p, declared, &e);
}

/* --- a bitstream of the 7 series, by UG470 --- */

static void put_be32(struct strbuf *b, uint32_t v)
{
	sb_add_n(b,
		(const uint8_t[]){
			(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v},
		4);
}

static void put_text(struct strbuf *b, char key, const char *text)
{
	size_t n = strlen(text) + 1;

	sb_add_n(b, (const uint8_t[]){(uint8_t)key, (uint8_t)(n >> 8), (uint8_t)n}, 3);
	sb_add_n(b, text, n);
}

/* With these frames its sum is the one that the device counts (CRC-32C over 37 bits for each word). */
static uint32_t sum(uint32_t crc, uint32_t reg, uint32_t word)
{
	uint64_t v = (uint64_t)reg << 32 | word;

	for (int i = 0; i < 37; i++, v >>= 1)
		crc = crc >> 1 ^ ((crc ^ v) & 1 ? 0x82f63b78u : 0);
	return crc;
}

static void put_packets(struct strbuf *b, uint32_t idcode, uint32_t flip)
{
	uint32_t crc = sum(0, 12, idcode);

	put_be32(b, 0xffffffff);
	put_be32(b, 0xaa995566);
	put_be32(b, 0x20000000);
	put_be32(b, 0x30008001);
	put_be32(b, 7);
	put_be32(b, 0x30018001);
	put_be32(b, idcode);
	put_be32(b, 0x30004000);
	put_be32(b, 0x50000003);
	for (uint32_t i = 0; i < 3; i++) {
		put_be32(b, i * 0x01020304 ^ (i == 1 ? flip : 0));
		crc = sum(crc, 2, i * 0x01020304);
	}
	put_be32(b, 0x30000001);
	put_be32(b, crc);
	put_be32(b, 0x30008001);
	put_be32(b, 13);
}

static void put_xilinx(struct strbuf *b, const char *part, uint32_t idcode, uint32_t flip)
{
	struct strbuf data = {0};

	put_packets(&data, idcode, flip);
	sb_add_n(b, "\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01", 13);
	put_text(b, 'a', "top;Version=2023.1");
	put_text(b, 'b', part);
	put_text(b, 'c', "2026/11/30");
	put_text(b, 'd', "12:34:56");
	sb_add(b, "e");
	put_be32(b, (uint32_t)data.len);
	sb_add_n(b, data.s, data.len);
	sb_done(&data);
}

START_TEST(a_bit_of_xilinx_says_its_part_and_date)
{
	_cleanup_(sb_done) struct strbuf b = {0};

	put_xilinx(&b, "7a35tcpg236", 0x0362d093, 0);
	ck_assert_msg(parse("top.bit", b.s, b.len) == 0, "%s", e.msg);
	ck_assert_int_eq(f.format, FPGA_XILINX_BIT);
	ck_assert_str_eq(f.part, "7a35tcpg236");
	ck_assert_str_eq(f.date, "2026/11/30 12:34:56");
	ck_assert(f.summed && f.has_idcode && f.idcode == 0x0362d093);
	ck_assert_uint_eq(f.data[0], 0xff);
	ck_assert_int_eq(is_for("XC7A35T-1CPG236C", false), 0);
	ck_assert_int_eq(is_for("xc7a50t", false), -ERR_IMAGE_PART);
	ck_assert_msg(strstr(e.msg, "7a35tcpg236") != NULL, "%s", e.msg);
	/* Another step of the die is the same part. */
	b.len = 0;
	put_xilinx(&b, "7a35tcpg236", 0x1362d093, 0);
	ck_assert_int_eq(parse("top.bit", b.s, b.len), 0);
	ck_assert_int_eq(is_for("xc7a35t", false), 0);
	done();
}
END_TEST

START_TEST(header_and_content_have_to_be_for_the_same_part)
{
	_cleanup_(sb_done) struct strbuf b = {0};

	put_xilinx(&b, "7a35tcpg236", 0x0362f093, 0);
	ck_assert_int_eq(parse("top.bit", b.s, b.len), 0);
	ck_assert_int_eq(is_for("xc7a35t", false), -ERR_IMAGE_PART);
	ck_assert_msg(strstr(e.msg, "0x0362f093 (xc7s50)") != NULL, "%s", e.msg);
	ck_assert_int_eq(is_for("xc7s50", true), -ERR_IMAGE_PART);
	done();
}
END_TEST

START_TEST(a_file_of_xilinx_that_is_cut_anywhere_is_refused)
{
	_cleanup_(sb_done) struct strbuf b = {0};
	_cleanup_(sb_done) struct strbuf raw = {0};

	put_xilinx(&b, "7a35tcpg236", 0x0362d093, 0);
	for (size_t n = 1; n < b.len; n++)
		ck_assert_msg(parse("top.bit", b.s, n) == -ERR_IMAGE_INVALID && e.msg[0],
			"cut at %zu", n);
	sb_add(&b, "x");
	ck_assert_int_eq(parse("top.bit", b.s, b.len), -ERR_IMAGE_INVALID);
	put_packets(&raw, 0x0362d093, 0);
	ck_assert_int_eq(parse("top.bin", raw.s, raw.len), 0);
	ck_assert_int_eq(f.format, FPGA_BIN);
	for (size_t n = 1; n < raw.len; n++)
		ck_assert_msg(parse("top.bin", raw.s, n) == -ERR_IMAGE_INVALID, "cut at %zu", n);
	done();
}
END_TEST

START_TEST(a_bit_that_changed_in_the_frames_is_seen)
{
	_cleanup_(sb_done) struct strbuf b = {0};

	put_xilinx(&b, "7a35tcpg236", 0x0362d093, 0x100);
	ck_assert_int_eq(parse("top.bit", b.s, b.len), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "damaged on its way") != NULL, "%s", e.msg);
	done();
}
END_TEST

/* --- Lattice --- */

static uint16_t crc16(uint16_t crc, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n * 8; i++) {
		bool top = crc >> 15;

		crc = (uint16_t)(crc << 1 | (p[i / 8] >> (7 - i % 8) & 1));
		if (top)
			crc ^= 0x8005;
	}
	return crc;
}

#define ECP5_FRAME 74

static void put_lattice(struct strbuf *b, uint32_t idcode, unsigned flip)
{
	uint8_t frame[ECP5_FRAME];
	size_t from;
	uint16_t crc;

	sb_add_n(b,
		"\xff\0Part: LFE5U-25F-6CABGA381\0Date: Mon Nov 30 2026\0\xff\xff\xff\xbd\xb3\xff\xff",
		57);
	sb_add_n(b, "\x3b\0\0\0", 4);
	from = b->len;
	sb_add_n(b, "\xe2\0\0\0", 4);
	put_be32(b, idcode);
	sb_add_n(b, "\x46\0\0\0\x82\x91\0\1", 8);
	memset(frame, 0x5a, sizeof frame);
	sb_add_n(b, frame, sizeof frame);
	crc = crc16(0, (const uint8_t *)b->s + from, b->len - from);
	crc = crc16(crc, (const uint8_t *)"\0\0", 2);
	sb_add_n(b, (const uint8_t[]){(uint8_t)(crc >> 8), (uint8_t)crc, 0xff}, 3);
	sb_add_n(b, "\x5e\0\0\0\xff\xff\xff\xff", 8);
	if (flip)
		b->s[b->len - 20] ^= (char)flip;
}

START_TEST(a_bit_of_lattice_says_its_part_and_ends_with_done)
{
	_cleanup_(sb_done) struct strbuf b = {0};

	put_lattice(&b, 0x41111043, 0);
	ck_assert_msg(parse("top.bit", b.s, b.len) == 0, "%s", e.msg);
	ck_assert_int_eq(f.format, FPGA_LATTICE_BIT);
	ck_assert_str_eq(f.part, "LFE5U-25F-6CABGA381");
	ck_assert_str_eq(f.date, "Mon Nov 30 2026");
	ck_assert(f.summed && f.has_idcode);
	ck_assert_int_eq(is_for("lfe5u-25", false), 0);
	/* The version tells them apart. */
	ck_assert_int_eq(is_for("lfe5um-25", false), -ERR_IMAGE_PART);
	ck_assert_int_eq(is_for("xc7a35t", false), -ERR_IMAGE_PART);
	/* The padding after the last command is nobody's. */
	for (size_t n = 4; n < b.len - 4; n++)
		ck_assert_msg(parse("top.bit", b.s, n) == -ERR_IMAGE_INVALID, "cut at %zu", n);
	b.len = 0;
	put_lattice(&b, 0x41111043, 4);
	ck_assert_int_eq(parse("top.bit", b.s, b.len), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "the sum is 0x") != NULL, "%s", e.msg);
	done();
}
END_TEST

/* --- SVF --- */

static const char svf[] =
	"! a comment; with (marks\n// another\nENDDR IDLE;\nHDR 0;\nSIR 8 TDI (E0);\n"
	"SDR 32 TDI (00000000)\n TDO (4111 1043)\n MASK (FFFFFFFF);\n"
	"SIR 8 TDI (3C);\nSDR 32 TDI (0) TDO (00000100) MASK (00002100);\n"
	"SDR 32 TDI (0) TDO (00000000);\nSDR 8 TDI (00) TDO (00) MASK (00);\nRUNTEST IDLE 100 TCK;\n";

START_TEST(an_svf_is_counted_as_openocd_counts_it)
{
	ck_assert_msg(parse("top.svf", svf, sizeof svf - 1) == 0, "%s", e.msg);
	ck_assert_int_eq(f.format, FPGA_SVF);
	ck_assert_uint_eq(f.commands, 9);
	ck_assert_uint_eq(f.compares, 3);
	ck_assert_uint_eq(f.checks, 3);
	ck_assert_uint_eq(f.check[0].ir, 0xe0);
	ck_assert_uint_eq(f.check[0].value, 0x41111043);
	/* A mask that is not given is the one before, for the same length. */
	ck_assert_uint_eq(f.check[2].mask, 0x2100);
	ck_assert_int_eq(is_for("lfe5u-25", false), 0);
	ck_assert_int_eq(is_for("lfe5u-45", false), -ERR_IMAGE_PART);
	/* The comparison of another family's IDCODE says nothing of this one. */
	ck_assert_int_eq(is_for("xc7a35t", false), -ERR_IMAGE_PART);
	ck_assert_msg(strstr(e.msg, "does not say which part") != NULL, "%s", e.msg);
	ck_assert_int_eq(is_for("xc7a35t", true), 0);
	done();
}
END_TEST

START_TEST(an_svf_that_is_cut_within_a_statement_is_refused)
{
	for (size_t n = 48; n < sizeof svf - 2; n++) {
		int r = parse("top.svf", svf, n);
		bool whole = true;

		for (size_t i = n; i > 0 && svf[i - 1] != ';'; i--)
			whole &= svf[i - 1] == '\n' || svf[i - 1] == ' ';
		ck_assert_msg(r == (whole ? 0 : -ERR_IMAGE_INVALID), "cut at %zu: %s", n, e.msg);
	}
	done();
}
END_TEST

START_TEST(statements_that_are_none_are_refused_with_their_line)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"STATE IDLE;\nSDRX 8 TDI (00);\n", "line 2: a statement of SVF expected"},
		{"STATE IDLE;\nSDR TDI (00);\n", "line 2: the number of bits"},
		{"STATE IDLE;\nSDR 8 TDI (0g);\n", "line 2: a hexadecimal digit"},
		{"STATE IDLE;\nSDR 8 TDI (100);\n", "line 2: a number has more bits"},
		{"STATE IDLE;\nSDR 8 TDI (00) TDI (00);\n", "each once"},
		{"STATE IDLE;\nSDR 8 TDI 00;\n", "a number in parentheses"},
		{"STATE IDLE;\n;\n", "line 2: a statement of SVF expected"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(
			parse("a.svf", bad[i].text, strlen(bad[i].text)), -ERR_IMAGE_INVALID);
		ck_assert_msg(strstr(e.msg, bad[i].says) != NULL, "%s", e.msg);
	}
	done();
}
END_TEST

/* --- JEDEC --- */

/* Fuses 1010 0000 0001: 0x05 + 0x08. */
#define JED(device, fuses, count, c)                                                     \
	"\x02*\nNOTE DEVICE NAME:\t" device "*\nQF" count "*\nG0*\nF0*\nL000000\n" fuses \
	"\n*\nC" c "*\n\x03"                                                             \
	"0000\n"

START_TEST(a_jed_is_whole_by_its_sums)
{
	static const char good[] = JED("LCMXO2-1200HC-4TG100", "10100000\n0001", "12", "000D");
	static const struct {
		const char *text, *says;
	} bad[] = {
		{JED("LCMXO2-1200HC", "10100000\n0011", "12", "000D"),
			"the sum of its fuses is 0011"},
		{JED("LCMXO2-1200HC", "10100000\n00012", "13", "000D"), "0 or 1 for one of 13"},
		{JED("LCMXO2-1200HC", "10100000\n00011", "12", "000D"), "0 or 1 for one of 12"},
		{JED("LCMXO2-1200HC", "1", "0", "0001"), "QF: a number of fuses"},
		{"\x02*\nQF8*\nL0 1*\n\x03"
		 "0000",
			"field C) is missing"},
		{"\x02*\nG0*\nL0 1*\nC0001*\n\x03"
		 "0000",
			"a field QF before it"},
		{"\x02*\nQF8*\nL0 1*\nC0001\n\x03"
		 "0000",
			"a field without '*'"},
		{"\x02*\nQF8*\nL0 1*\nC0001*\n", "ETX"},
		{"\x02*\nQF8*\nL0 1*\nC0001*\n\x03"
		 "12",
			"four digits expected"},
		{"\x02*\nQF8*\nL0 1*\nC0001*\n\x03"
		 "1234",
			"the sum of its characters"},
	};

	ck_assert_msg(parse("a.jed", good, sizeof good - 1) == 0, "%s", e.msg);
	ck_assert_str_eq(f.part, "LCMXO2-1200HC-4TG100");
	ck_assert_uint_eq(f.fuses, 12);
	ck_assert_int_eq(is_for("lcmxo2-1200hc", false), 0);
	ck_assert_int_eq(is_for("lcmxo2-7000hc", false), -ERR_IMAGE_PART);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(
			parse("a.jed", bad[i].text, strlen(bad[i].text)) == -ERR_IMAGE_INVALID,
			"%s", bad[i].says);
		ck_assert_msg(strstr(e.msg, bad[i].says) != NULL, "'%s' expected in: %s",
			bad[i].says, e.msg);
	}
	done();
}
END_TEST

/* --- other formats, and parts --- */

START_TEST(a_raw_binary_of_altera_is_told_by_what_it_begins_with)
{
	_cleanup_(sb_done) struct strbuf b = {0};

	put_fill(&b, 0xff, 32);
	sb_add_n(&b, "\x6a\xf7\xf7\xf7", 4);
	put_fill(&b, 0x12, 100);
	ck_assert_int_eq(parse("a.rbf", b.s, b.len), 0);
	ck_assert_int_eq(f.format, FPGA_RBF);
	ck_assert_int_eq(is_for("ep4ce22", false), -ERR_IMAGE_PART);
	ck_assert_int_eq(is_for("ep4ce22", true), 0);
	ck_assert_int_eq(parse("a.bit", b.s, b.len), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "its content is a raw binary of Altera") != NULL, "%s", e.msg);
	done();
}
END_TEST

START_TEST(parts_are_found_by_the_beginning_of_their_names)
{
	static const struct {
		const char *name, *is;
	} good[] = {{"XC7A35TCPG236-1", "xc7a35t"}, {"7s50csga324", "xc7s50"},
		{"LFE5U-25F-6CABGA381", "lfe5u-25"}, {"LFE5UM5G-85F-8BG554", "lfe5um5g-85"},
		{"LCMXO2-1200HC-4TG100", "lcmxo2-1200hc"}, {"0x4ba00477/4", "0x4ba00477/4"}};
	static const char *const bad[] = {
		"", "xc7", "xc7a36t", "0x4ba00477", "4ba00477/4", "0x4ba00477/0", "0x14ba00477/4"};
	struct fpga_part p;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_msg(fpga_part_find(good[i].name, &p, &e) == 0, "%s", good[i].name);
		ck_assert_str_eq(p.name, good[i].is);
	}
	ck_assert_uint_eq(p.ir_bits, 4);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(fpga_part_find(bad[i], &p, &e) == -ERR_RECIPE_INVALID, "%s", bad[i]);
	ck_assert_str_eq(fpga_part_name(0x0362d093), "xc7a35t");
	ck_assert_ptr_null(fpga_part_name(0x12345677));
}
END_TEST

static Suite *fpga_file_suite(void)
{
	Suite *s = suite_create("fpga_file");
	TCase *t = tcase_create("fpga_file");

	tcase_add_test(t, a_bit_of_xilinx_says_its_part_and_date);
	tcase_add_test(t, header_and_content_have_to_be_for_the_same_part);
	tcase_add_test(t, a_file_of_xilinx_that_is_cut_anywhere_is_refused);
	tcase_add_test(t, a_bit_that_changed_in_the_frames_is_seen);
	tcase_add_test(t, a_bit_of_lattice_says_its_part_and_ends_with_done);
	tcase_add_test(t, an_svf_is_counted_as_openocd_counts_it);
	tcase_add_test(t, an_svf_that_is_cut_within_a_statement_is_refused);
	tcase_add_test(t, statements_that_are_none_are_refused_with_their_line);
	tcase_add_test(t, a_jed_is_whole_by_its_sums);
	tcase_add_test(t, a_raw_binary_of_altera_is_told_by_what_it_begins_with);
	tcase_add_test(t, parts_are_found_by_the_beginning_of_their_names);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(fpga_file_suite)
