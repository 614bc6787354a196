/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/gate.h"

#include "tests/unit/transports/foreign_files.h"
#include "tests/unit/unit.h"
#include "transports/images/foreign.h"
#include "transports/images/name_kinds.h"

static struct err e;

static int parse_as(const struct foreign_file *f, const struct image_opts *o, struct image **ret)
{
	struct strbuf b = foreign_bytes(f);
	int r = image_parse(f->name, b.s, b.len, o, ret, &e);

	sb_done(&b);
	return r;
}

static void refused(const struct foreign_file *f, const struct image_opts *o)
{
	struct image *i = NULL;

	ck_assert_msg(
		parse_as(f, o, &i) == -ERR_IMAGE_INVALID, "%s (%s) was taken", f->name, f->says);
	ck_assert_msg(strstr(e.msg, f->says), "'%s' expected in: %s", f->says, e.msg);
}

START_TEST(what_is_surely_not_firmware_is_refused_by_name_of_what_it_is)
{
	static const struct image_opts raw = {.address = 0x08000000, .format = IMAGE_ANY};
	static const struct image_opts whole = {.format = IMAGE_ANY, .as_is = true};
	static const struct image_opts elf = {.address = IMAGE_NO_ADDRESS, .format = IMAGE_ELF};

	for (size_t k = 0; k < ARRAY_LEN(foreign_files); k++) {
		struct image *i = NULL;

		refused(&foreign_files[k], &raw);
		if (!foreign_files[k].for_device)
			refused(&foreign_files[k], &whole);
		/* What another format was declared for stays what it is. */
		ck_assert_int_lt(parse_as(&foreign_files[k], &elf, &i), 0);
	}
}
END_TEST

START_TEST(a_file_that_is_not_what_its_name_says_is_refused)
{
	static const struct image_opts o = {
		.address = 0x08000000, .address_is_default = true, .format = IMAGE_ANY};

	for (size_t k = 0; k < ARRAY_LEN(wrong_files); k++)
		refused(&wrong_files[k], &o);
}
END_TEST

START_TEST(declared_to_be_raw_the_bytes_are_taken_and_it_is_on_record)
{
	static const struct image_opts o = {.address = 0x08000000, .format = IMAGE_BIN};

	for (size_t k = 0; k < ARRAY_LEN(foreign_files); k++) {
		struct strbuf b = foreign_bytes(&foreign_files[k]);
		bool records = image_format_is_firmware(image_detect(b.s, b.len)) &&
			       image_detect(b.s, b.len) != IMAGE_BIN;
		struct image *i = NULL;
		int r = image_parse(foreign_files[k].name, b.s, b.len, &o, &i, &e);

		/* One shows a HEX record among its lines. */
		if (records) {
			ck_assert_int_eq(r, -ERR_IMAGE_INVALID);
		} else {
			ck_assert_msg(r == 0, "%s", e.msg);
			ck_assert_uint_eq(i->bytes, b.len);
			ck_assert_int_eq(i->declared, IMAGE_BIN);
			ck_assert_msg(i->notes > 0 && strstr(i->note[i->notes - 1], "declared"),
				"%s: no note", foreign_files[k].says);
		}
		image_unref(i);
		sb_done(&b);
	}
}
END_TEST

START_TEST(a_partition_takes_what_partitions_hold_and_no_page)
{
	for (size_t k = 0; k < ARRAY_LEN(foreign_files); k++) {
		const struct foreign_file *f = &foreign_files[k];
		struct strbuf b = foreign_bytes(f);
		int r = gate_partition(f->name, (const uint8_t *)b.s, b.len, &e);

		ck_assert_msg(f->for_partition ? r == 0 : r == -ERR_IMAGE_INVALID, "%s: %s",
			f->says, e.msg);
		sb_done(&b);
	}
	ck_assert_int_eq(gate_partition("a.img", (const uint8_t *)":00000001FF\n", 12, &e),
		-ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "an Intel HEX file"), "%s", e.msg);
}
END_TEST

START_TEST(good_firmware_passes_whatever_it_begins_with)
{
	static const struct {
		const char *name, *bytes;
		size_t n;
	} good[] = {
		{"avr.bin", "\x0c\x94\x5c\x00\x0c\x94\x6e\x00\x0c\x94\x6e\x00\x0c\x94\x6e\x00", 16},
		{"cm4.bin", "\x00\x80\x00\x20\xc1\x01\x00\x08\x0d\x02\x00\x08\x11\x02\x00\x08", 16},
		{"esp32.bin", "\xe9\x03\x02\x20\x1c\x04\x08\x40\xee\x00\x00\x00\x00\x00\x00\x01",
			16},
		{"uimage", "\x27\x05\x19\x56\x11\x22\x33\x44\x55\x66\x77\x88\x00\x00\x10\x00", 16},
		{"riscv.bin", "\x6f\x00\x00\x01\x00\x00\x00\x00\x13\x00\x00\x00\x00\x00\x00\x00",
			16},
		{"a.dtb", "\xd0\x0d\xfe\xed\x00\x00\x10\x00\x00\x00\x00\x38\x00\x00\x0f\x00", 16},
		{"fs.squashfs", "hsqs\x01\x00\x00\x00\x11\x22\x33\x44\x00\x00\x02\x00", 16},
		{"ubi.img", "UBI#\x01\x00\x00\x00\x11\x22\x33\x44\x00\x00\x02\x00", 16},
		/* Fewer bytes than those that make such a thing. */
		{"ff.bin", "\xff\xff\xff\xff", 4},
		{"short", "BM\1\2\3\4\5\6\7\xff\xff\xff\xff", 13},
		{"mz", "MZ\xff\xff\1\2\3\4\5\6\7\xff\xff\xff\xff", 15},
		{"bom", "\xff\xfe\x80\x81\x82\x83\x84\x85", 8},
	};

	for (size_t k = 0; k < ARRAY_LEN(good); k++) {
		struct image *i = NULL;

		ck_assert_msg(image_parse(good[k].name, good[k].bytes, good[k].n,
				      &IMAGE_OPTS(0x08000000), &i, &e) == 0,
			"%s", e.msg);
		image_unref(i);
	}
}
END_TEST

START_TEST(a_kernel_that_begins_like_a_windows_program_passes)
{
	struct strbuf b = {0};
	struct image *i = NULL;

	make_windows_program(&b);
	memcpy(b.s + 56, "ARM\x64", 4);
	ck_assert_msg(image_parse("Image", b.s, b.len, &IMAGE_OPTS(0), &i, &e) == 0, "%s", e.msg);
	image_unref(i);
	sb_done(&b);
}
END_TEST

START_TEST(names_claim_by_their_last_part_in_any_case)
{
	static const struct {
		const char *name;
		enum image_format is;
	} names[] = {
		{"/a/b.hex/c", IMAGE_ANY},
		{"/a.uf2/fw.bin", IMAGE_ANY},
		{"fw.HEX", IMAGE_IHEX},
		{"fw.v1.2.S37", IMAGE_SREC},
		{"fw.bin.elf", IMAGE_ELF},
		{"fw", IMAGE_ANY},
		{".hex", IMAGE_IHEX},
		{"a.Zip", IMAGE_ZIP},
		{"a.simg", IMAGE_SPARSE},
		{"a.ttf", IMAGE_ANY},
		{"a.img", IMAGE_ANY},
		{"fw.hexagon", IMAGE_ANY},
		{"a.dfu", IMAGE_DFU},
		{"", IMAGE_ANY},
	};

	for (size_t k = 0; k < ARRAY_LEN(names); k++)
		ck_assert_msg(gate_name_claim(names[k].name) == names[k].is, "%s", names[k].name);
}
END_TEST

START_TEST(a_device_that_takes_files_gets_no_text_of_records_unless_it_reads_them)
{
	static const char hex[] = ":0400100001020304E2\n:00000001FF\n";
	struct image_opts o = {.format = IMAGE_ANY, .as_is = true};
	struct image *i = NULL;

	ck_assert_int_eq(
		image_parse("fw.hex", hex, sizeof hex - 1, &o, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "writes files as they are"), "%s", e.msg);
	o.format = IMAGE_IHEX;
	ck_assert_msg(image_parse("fw.hex", hex, sizeof hex - 1, &o, &i, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->bytes, sizeof hex - 1);
	image_unref(i);
}
END_TEST

START_TEST(an_elf_with_the_marks_of_a_system_passes_where_it_is_declared)
{
	struct image_opts o = {.address = IMAGE_NO_ADDRESS, .format = IMAGE_ELF};
	static const struct elf_kind kind = {.wide = true};
	static const struct part p[] = {{0x400000, (const uint8_t *)"/lib/ld.so", 11},
		{0x10000, (const uint8_t *)"code", 4}};
	struct strbuf b = {0};
	struct image *i = NULL;

	write_elf(&b, &kind, p, 2);
	b.s[64] = 3; /* PT_INTERP */
	ck_assert_msg(image_parse("s390-ccw.img", b.s, b.len, &o, &i, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->bytes, 4);
	ck_assert_msg(strstr(i->note[0], "taken as declared"), "%s", i->note[0]);
	image_unref(i);
	sb_done(&b);
}
END_TEST

START_TEST(what_a_step_may_declare_can_be_stored_with_a_note)
{
	struct image_opts o = IMAGE_OPTS_INSPECT;
	static const uint8_t one[] = {1, 2, 3, 4}, other[] = {9};
	struct strbuf b = {0};
	struct image *i = NULL;

	o.for_store = true;
	ihex_record(&b, 0, 0x10, one, 4);
	ihex_record(&b, 0, 0x12, other, 1);
	ihex_record(&b, 1, 0, NULL, 0);
	ck_assert_msg(image_parse("twice.hex", b.s, b.len, &o, &i, &e) == 0, "%s", e.msg);
	ck_assert_mem_eq(i->segments[0].data, "\1\2\x09\4", 4);
	ck_assert_msg(strstr(i->note[0], "'overlap: last'"), "%s", i->note[0]);
	i = image_unref(i);
	sb_done(&b);
	make_program(&b);
	/* Its one segment is the interpreter's name: with another it is an image. */
	ck_assert_int_eq(image_parse("s390-ccw.img", b.s, b.len, &o, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "holds no data"), "%s", e.msg);
	sb_done(&b);
	for (size_t k = 0; k < ARRAY_LEN(foreign_files); k++) {
		const struct foreign_file *f = &foreign_files[k];
		enum image_format claim = gate_name_claim(f->name);
		bool kept = claim == IMAGE_ANY || claim == IMAGE_TITXT;
		int r = parse_as(f, &o, &i);

		/* An archive has no addresses: who stores it keeps it as it is. */
		if (!strstr(f->says, "a zip archive") && !strstr(f->says, "a DFU package"))
			ck_assert_msg((r == 0) == kept, "%s %s: %s", f->name, f->says, e.msg);
		ck_assert(r < 0 || strstr(i->note[0], "no step flashes it"));
		i = image_unref(i);
	}
}
END_TEST

START_TEST(static_programs_and_shared_libraries_are_known_by_their_notes_and_tags)
{
	/* Owner of 4 bytes, 16 of description, type 1: "GNU", for Linux. */
	static const uint8_t abi[] = {4, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 'G', 'N', 'U', 0, 0, 0,
		0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
	/* DT_NEEDED of the name at 1, the end. */
	static const uint8_t needed[32] = {1, 0, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t soname[32] = {14, 0, 0, 0, 0, 0, 0, 0, 1};
	/* DT_PLTRELSZ: calls of a plugin, which names no library. */
	static const uint8_t calls[32] = {2, 0, 0, 0, 0, 0, 0, 0, 24};
	static const struct {
		uint8_t type; /* of the program header */
		struct part p;
		const char *says;
	} rows[] = {
		{4, {0x400000, abi, sizeof abi}, "NT_GNU_ABI_TAG"},
		{2, {0x400000, needed, sizeof needed}, "DT_NEEDED"},
		{2, {0x400000, soname, sizeof soname}, "DT_SONAME"},
		{2, {0x400000, calls, sizeof calls}, "DT_JMPREL"},
	};
	static const struct elf_kind kind = {.wide = true};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		const struct part p[] = {rows[k].p, {0x10000, (const uint8_t *)"code", 4}};
		struct strbuf b = {0};
		struct image *i = NULL;

		write_elf(&b, &kind, p, 2);
		b.s[64] = (char)rows[k].type;
		ck_assert_int_eq(image_parse("fw.elf", b.s, b.len, &IMAGE_OPTS_INSPECT, &i, &e),
			-ERR_IMAGE_INVALID);
		ck_assert_msg(strstr(e.msg, rows[k].says), "%s", e.msg);
		sb_done(&b);
	}
}
END_TEST

START_TEST(names_are_sorted_and_each_is_there_once)
{
	size_t n = 0;
	const struct name_kind *k = name_kinds(&n);

	for (size_t i = 1; i < n; i++)
		ck_assert_msg(strcmp(k[i - 1].suffix, k[i].suffix) < 0, "%s", k[i].suffix);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg((k[i].what == NULL) == (k[i].format != IMAGE_ANY), "%s", k[i].suffix);
}
END_TEST

/* Bytes that no recogniser could know: the name alone is against it. */
START_TEST(a_name_that_is_not_one_of_firmware_is_refused_whatever_the_content)
{
	struct strbuf b = {0};
	size_t n = 0;
	const struct name_kind *k = name_kinds(&n);

	make_raw(&b);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *name = xasprintf("fw.%s", k[i].suffix);
		struct image_opts o = IMAGE_OPTS(0x08000000);
		struct image *image = NULL;
		int r = gate_partition(name, (const uint8_t *)b.s, b.len, &e);

		ck_assert_int_eq(r, k[i].for_partition ? 0 : -ERR_IMAGE_INVALID);
		ck_assert_int_eq(image_parse(name, b.s, b.len, &o, &image, &e), -ERR_IMAGE_INVALID);
		ck_assert_msg(strstr(e.msg, "its name says") && strstr(e.msg, "'format: bin'"),
			"%s: %s", name, e.msg);
		o.format = IMAGE_BIN;
		ck_assert_int_eq(image_parse(name, b.s, b.len, &o, &image, &e), 0);
		ck_assert_msg(strstr(image->note[image->notes - 1], "its name says"), "%s", name);
		image_unref(image);
	}
	sb_done(&b);
}
END_TEST

START_TEST(a_text_of_records_may_be_called_txt)
{
	static const char hex[] = ":0400100001020304E2\n:00000001FF\n";
	struct image *i = NULL;

	ck_assert_msg(image_parse("fw.txt", hex, sizeof hex - 1, &IMAGE_OPTS_INSPECT, &i, &e) == 0,
		"%s", e.msg);
	i = image_unref(i);
	ck_assert_int_eq(image_parse("fw.log", hex, sizeof hex - 1, &IMAGE_OPTS_INSPECT, &i, &e),
		-ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "its name says a text file, its content is an Intel HEX file"),
		"%s", e.msg);
}
END_TEST

START_TEST(a_disk_with_partitions_is_for_a_device_that_takes_files)
{
	struct image_opts o = {.address = 0, .format = IMAGE_ANY};
	struct strbuf b = {0};
	struct image *i = NULL;

	make_disk(&b);
	ck_assert_int_eq(image_parse("sd.img", b.s, b.len, &o, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "table of partitions"), "%s", e.msg);
	ck_assert_int_eq(gate_partition("sd.img", (const uint8_t *)b.s, b.len, &e), 0);
	o.as_is = true;
	ck_assert_msg(image_parse("sd.img", b.s, b.len, &o, &i, &e) == 0, "%s", e.msg);
	image_unref(i);
	sb_done(&b);
}
END_TEST

static void make_bitstream(struct strbuf *b)
{
	sb_add_n(b, "\0\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\0\0\1", 13);
	sb_add_n(b,
		"a\0\4top\0b\0\x0c"
		"7a35tcpg236\0c\0\x0b"
		"2026/01/01\0",
		36);
	sb_add_n(b,
		"d\0\x09"
		"12:00:00\0e\0\0\4\xb0",
		17);
	make_raw(b);
}

START_TEST(a_bitstream_with_a_header_is_for_a_loader_that_takes_it_off)
{
	struct image_opts o = {.address = 0, .format = IMAGE_ANY};
	struct strbuf b = {0};
	struct image *i = NULL;

	make_bitstream(&b);
	ck_assert_int_eq(image_parse("top.bin", b.s, b.len, &o, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "a bitstream of Xilinx with a header"), "%s", e.msg);
	ck_assert_msg(strstr(e.msg, "flash the .bin"), "%s", e.msg);
	ck_assert_int_eq(gate_partition("top.bin", (const uint8_t *)b.s, b.len, &e), 0);
	/* What follows the header is what an FPGA reads. */
	ck_assert_msg(image_parse("top.bin", b.s + 66, b.len - 66, &o, &i, &e) == 0, "%s", e.msg);
	i = image_unref(i);
	o.as_is = true;
	ck_assert_msg(image_parse("top.bin", b.s, b.len, &o, &i, &e) == 0, "%s", e.msg);
	image_unref(i);
	sb_done(&b);
}
END_TEST

START_TEST(a_few_letters_without_a_line_end_may_be_a_setting)
{
	static const char *const settings[] = {
		"BOOT", "B", "A\n", "v1.2.3", "DFU!", "404", "rev\x42\0"};

	for (size_t k = 0; k < ARRAY_LEN(settings); k++) {
		struct image *i = NULL;

		ck_assert_msg(image_parse("flag.bin", settings[k], strlen(settings[k]),
				      &IMAGE_OPTS(0x08000000), &i, &e) == 0,
			"%s", e.msg);
		image_unref(i);
	}
}
END_TEST

static void passes_as_raw(const struct strbuf *b, const char *what, unsigned low, unsigned high)
{
	struct image *i = NULL;

	ck_assert_msg(image_parse("table.bin", b->s, b->len, &IMAGE_OPTS(0), &i, &e) == 0,
		"%s of %x to %x: %s", what, low, high, e.msg);
	image_unref(i);
}

/* Samples for a converter and patterns of a test: bytes that all have a place in some encoding. */
START_TEST(tables_of_numbers_are_no_text)
{
	for (unsigned low = 0x20; low < 0x100; low += 7)
		for (unsigned high = low + 20; high < 0x100; high += 11) {
			struct strbuf ramp = {0}, wide = {0}, two = {0}, steps = {0};

			for (unsigned k = 0; k < 300; k++) {
				unsigned v = low + k * 5 % (high - low);

				put_le(&ramp, v | 0x80, 1);
				put_le(&wide, (v << 8) + k, 2);
				put_le(&two, 0x0039, 2);
				put_le(&steps, 0x20 + k % 64, 2);
			}
			passes_as_raw(&ramp, "bytes", low, high);
			passes_as_raw(&wide, "half-words", low, high);
			passes_as_raw(&two, "a number repeated", low, high);
			sb_done(&ramp);
			sb_done(&wide);
			passes_as_raw(&steps, "steps", low, high);
			sb_done(&two);
			sb_done(&steps);
		}
}
END_TEST

/* Numbers that are the same at each run. */
static uint32_t next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void random_bytes(struct strbuf *b, uint32_t *seed, size_t n)
{
	for (size_t i = 0; i < n; i += 4)
		put_le(b, next(seed), 4);
}

/* What controllers begin with: vectors, jumps, headers. */
static void make_code(struct strbuf *b, uint32_t *seed, unsigned kind)
{
	switch (kind) {
	case 0: /* Cortex-M */
		put_le(b, 0x20000000 + (next(seed) & 0xfffc), 4);
		for (unsigned i = 0; i < 47; i++)
			put_le(b, 0x08000000 | (next(seed) & 0xffff) | 1, 4);
		break;
	case 1: /* AVR: jmp */
		for (unsigned i = 0; i < 26; i++)
			put_le(b, 0x940c | next(seed) << 18, 4);
		break;
	case 2: /* AVR: rjmp */
		for (unsigned i = 0; i < 19; i++)
			put_le(b, 0xc000 | (next(seed) & 0xfff), 2);
		break;
	case 3: /* ARM7 */
		put_le(b, 0xea000000 | (next(seed) & 0x3fff), 4);
		for (unsigned i = 0; i < 7; i++)
			put_le(b, 0xe59ff014, 4);
		break;
	case 4: /* ESP32 */
		put_le(b, 0x200203e9, 4);
		put_le(b, 0x40080000 | (next(seed) & 0xffff), 4);
		break;
	case 5: /* RISC-V: j */
		put_le(b, 0x6f | next(seed) << 12, 4);
		break;
	case 6: /* 8051: ljmp, with room */
		for (unsigned i = 0; i < 8; i++) {
			put_le(b, 0x02 | (next(seed) & 0x1fff) << 8, 4);
			put_fill(b, 0xff, 4);
		}
		break;
	case 7: /* blank before it */
		put_fill(b, 0, 512);
		break;
	case 8: /* erased before it */
		put_fill(b, 0xff, 512);
		break;
	case 9: /* 68k, big endian */
		for (unsigned i = 0; i < 64; i++)
			put_le(b, (next(seed) & 0xfe) << 24 | (next(seed) & 0xff) << 16, 4);
		break;
	case 10: /* x86 boot sector */
		put_le(b, 0x90 << 16 | (next(seed) & 0x7f) << 8 | 0xeb, 3);
		random_bytes(b, seed, 508);
		b->len = 510;
		put_le(b, 0xaa55, 2);
		break;
	default: /* two bytes of any value */
		put_le(b, kind, 2);
		break;
	}
}

START_TEST(no_raw_binary_is_taken_for_something_else)
{
	uint32_t seed = 0x5eed;

	for (unsigned k = 0; k < 600; k += AMOUNT(1, 6)) {
		struct image_opts o = IMAGE_OPTS(0);
		struct strbuf b = {0};
		struct image *i = NULL;

		make_code(&b, &seed, k < 300 ? k % 11 : 11 + next(&seed) % 65525);
		random_bytes(&b, &seed, 64 + next(&seed) % 3000);
		ck_assert_msg(
			image_parse("fw.bin", b.s, b.len, &o, &i, &e) == 0, "%u: %s", k, e.msg);
		image_unref(i);
		ck_assert_msg(gate_partition("fw.img", (const uint8_t *)b.s, b.len, &e) == 0,
			"%u: %s", k, e.msg);
		sb_done(&b);
	}
}
END_TEST

START_TEST(a_static_program_of_a_pc_is_known_by_its_machine)
{
	static const struct elf_kind kind = {.wide = true, .machine = 62};
	static const struct part p = {0x400000, (const uint8_t *)"code", 4};
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct strbuf b = {0};
	struct image *i = NULL;

	write_elf(&b, &kind, &p, 1);
	ck_assert_int_eq(image_parse("fw.elf", b.s, b.len, &o, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "x86-64"), "%s", e.msg);
	o.format = IMAGE_ELF;
	ck_assert_msg(image_parse("fw.elf", b.s, b.len, &o, &i, &e) == 0, "%s", e.msg);
	i = image_unref(i);
	/* A Cortex-M, for Linux. */
	b.s[18] = 40;
	b.s[7] = 3;
	o.format = IMAGE_ANY;
	ck_assert_int_eq(image_parse("fw.elf", b.s, b.len, &o, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, "EI_OSABI"), "%s", e.msg);
	b.s[7] = 0;
	ck_assert_msg(image_parse("fw.elf", b.s, b.len, &o, &i, &e) == 0, "%s", e.msg);
	image_unref(i);
	sb_done(&b);
}
END_TEST

static Suite *gate_suite(void)
{
	Suite *s = suite_create("gate");
	TCase *t = tcase_create("gate");

	tcase_add_test(t, what_is_surely_not_firmware_is_refused_by_name_of_what_it_is);
	tcase_add_test(t, a_file_that_is_not_what_its_name_says_is_refused);
	tcase_add_test(t, declared_to_be_raw_the_bytes_are_taken_and_it_is_on_record);
	tcase_add_test(t, a_partition_takes_what_partitions_hold_and_no_page);
	tcase_add_test(t, good_firmware_passes_whatever_it_begins_with);
	tcase_add_test(t, a_kernel_that_begins_like_a_windows_program_passes);
	tcase_add_test(t, names_claim_by_their_last_part_in_any_case);
	tcase_add_test(t, a_device_that_takes_files_gets_no_text_of_records_unless_it_reads_them);
	tcase_add_test(t, an_elf_with_the_marks_of_a_system_passes_where_it_is_declared);
	tcase_add_test(t, what_a_step_may_declare_can_be_stored_with_a_note);
	tcase_add_test(t, static_programs_and_shared_libraries_are_known_by_their_notes_and_tags);
	tcase_add_test(t, names_are_sorted_and_each_is_there_once);
	tcase_add_test(t, a_name_that_is_not_one_of_firmware_is_refused_whatever_the_content);
	tcase_add_test(t, a_text_of_records_may_be_called_txt);
	tcase_add_test(t, a_disk_with_partitions_is_for_a_device_that_takes_files);
	tcase_add_test(t, a_bitstream_with_a_header_is_for_a_loader_that_takes_it_off);
	tcase_add_test(t, a_few_letters_without_a_line_end_may_be_a_setting);
	tcase_add_test(t, tables_of_numbers_are_no_text);
	tcase_add_test(t, no_raw_binary_is_taken_for_something_else);
	tcase_add_test(t, a_static_program_of_a_pc_is_known_by_its_machine);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(gate_suite)
