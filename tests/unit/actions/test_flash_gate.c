/* SPDX-License-Identifier: Apache-2.0
 *
 * Every action that writes a file to a unit, with every kind of file that is not for it: refused
 * with its code and name, before a link is opened or a program is started.
 */
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/foreign_files.h"

#include <fcntl.h>
#include <unistd.h>

static struct rig rig;
static struct fake_link wire;
static char dir[64], path[128];

static void set_up(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_flash_gate.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	wire.link.ops = &fake_link_ops;
	rig.wire = &wire;
	snprintf(rig.facts.node, sizeof rig.facts.node, "usb:1:2");
	snprintf(rig.facts.port, sizeof rig.facts.port, "1-1");
	rig.secrets = secret_set_new();
}

static void tear_down(void)
{
	_cleanup_(freep) char *cmd = xasprintf("rm -r %s", dir);

	ck_assert_int_eq(system(cmd), 0);
	rig_done(&rig);
	fake_done(&wire);
}

static void write_file(const struct foreign_file *f)
{
	struct strbuf b = foreign_bytes(f);
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, f->name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, b.s, b.len), (ssize_t)b.len);
	close(fd);
	sb_done(&b);
}

/* A configuration is none of the formats with addresses: what is wrong with those is not its to say. */
/* OWN_WORDS: takes less than the others with addresses, and says so first. */
enum takes { ADDRESSES, OWN_WORDS, PARTITION, PACKAGE, CONFIGURATION };

/* %s: the file. */
static const struct row {
	const char *action, *with;
	enum takes takes;
} rows[] = {
	{"serialboot.flash", "{\"port\":\"c\",\"image\":\"%s\"}", ADDRESSES},
	{"stm32.flash", "{\"port\":\"c\",\"image\":\"%s\"}", ADDRESSES},
	{"openocd.program",
		"{\"port\":\"c\",\"interface\":\"i.cfg\",\"target\":\"t.cfg\",\"image\":\"%s\"}",
		ADDRESSES},
	{"openocd.flash",
		"{\"port\":\"c\",\"interface\":\"i.cfg\",\"target\":\"t.cfg\",\"regions\":[\"%s\"]"
		"}",
		ADDRESSES},
	{"openocd.verify",
		"{\"port\":\"c\",\"interface\":\"i.cfg\",\"target\":\"t.cfg\",\"regions\":[\"%s\"]"
		"}",
		ADDRESSES},
	{"gdb.load", "{\"port\":\"c\",\"image\":\"%s\"}", ADDRESSES},
	{"gdb.compare", "{\"port\":\"c\",\"image\":\"%s\"}", ADDRESSES},
	{"jlink.flash", "{\"device\":\"STM32F407VG\",\"image\":\"%s\"}", ADDRESSES},
	{"cubeprogrammer.flash", "{\"image\":\"%s\"}", ADDRESSES},
	{"esp.flash", "{\"port\":\"c\",\"images\":{\"0x10000\":\"%s\"}}", OWN_WORDS},
	{"avr.flash", "{\"port\":\"c\",\"image\":\"%s\"}", OWN_WORDS},
	{"mcumgr.upload", "{\"port\":\"c\",\"image\":\"%s\"}", OWN_WORDS},
	{"image.compose",
		"{\"base\":\"%s\",\"patch\":{\"a\":{\"at\":0,\"type\":\"u8\",\"value\":1}}}",
		ADDRESSES},
	{"fpga.load", "{\"port\":\"c\",\"part\":\"xc7a35t\",\"image\":\"%s\"}", CONFIGURATION},
	{"fpga.flash", "{\"port\":\"c\",\"part\":\"xc7a35t\",\"image\":\"%s\"}", CONFIGURATION},
	{"fastboot.flash", "{\"port\":\"c\",\"partition\":\"boot\",\"image\":\"%s\"}", PARTITION},
	{"fastboot.boot", "{\"port\":\"c\",\"image\":\"%s\"}", PARTITION},
	{"disk.write", "{\"port\":\"c\",\"image\":\"%s\"}", PARTITION},
	{"disk.verify", "{\"port\":\"c\",\"image\":\"%s\"}", PARTITION},
	{"uf2.copy", "{\"port\":\"c\",\"image\":\"%s\"}", ADDRESSES},
	{"picoboot.flash", "{\"port\":\"c\",\"image\":\"%s\"}", ADDRESSES},
	{"adb.sideload", "{\"port\":\"c\",\"file\":\"%s\"}", PACKAGE},
	{"fastboot.flashall", "{\"port\":\"c\",\"package\":\"%s\"}", PACKAGE},
};

static void refused(const struct row *row, const struct foreign_file *f)
{
	_cleanup_(freep) char *with = xasprintf(row->with, path);
	int r = rig_run(&rig, row->action, with);

	ck_assert_msg(r == -ERR_IMAGE_INVALID, "%s of %s (%s): %d %s", row->action, f->name,
		f->says, r, rig.e.msg);
	if (row->takes != PACKAGE && !(row->takes == OWN_WORDS && f->for_device))
		ck_assert_msg(strstr(rig.e.msg, f->says), "%s: '%s' expected in: %s", row->action,
			f->says, rig.e.msg);
	ck_assert_uint_eq(rig.links_opened, 0);
	ck_assert_uint_eq(wire.heard_len, 0);
	ck_assert_ptr_null(json_object_get(rig.out.evidence, "image"));
}

START_TEST(no_action_lets_a_foreign_file_reach_a_unit)
{
	size_t n[ARRAY_LEN(rows)] = {0};

	for (size_t k = 0; k < ARRAY_LEN(foreign_files); k++) {
		write_file(&foreign_files[k]);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (rows[i].takes != PARTITION || !foreign_files[k].for_partition) {
				refused(&rows[i], &foreign_files[k]);
				n[i]++;
			}
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		printf("%-22s refuses %zu of %zu kinds of file%s\n", rows[i].action, n[i],
			ARRAY_LEN(foreign_files),
			rows[i].takes == PARTITION ? "; a partition may hold the others" : "");
}
END_TEST

START_TEST(no_action_with_addresses_takes_a_file_for_what_its_name_does_not_say)
{
	for (size_t k = 0; k < ARRAY_LEN(wrong_files); k++) {
		write_file(&wrong_files[k]);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (rows[i].takes == ADDRESSES)
				refused(&rows[i], &wrong_files[k]);
	}
}
END_TEST

/* Bytes that could be firmware, under names that say something else. */
START_TEST(no_action_takes_a_file_whose_name_says_another_kind)
{
	static const struct foreign_file misnamed[] = {
		{"fw.hex", "its name says an Intel HEX file", .make = make_raw},
		{"fw.S19", "its name says a Motorola S-record file", .make = make_raw},
		{"fw.uf2", "its name says a UF2 file", .make = make_raw},
		{"fw.axf", "its name says an ELF file", .make = make_raw},
		{"fw.dfu", "its name says a DFU file", .make = make_raw},
		{"fw.txt", "its name says a TI-TXT file", .make = make_raw},
		{"fw.simg", "its name says an Android sparse image", .make = make_raw},
		{"fw.zip", "its name says a zip archive", .make = make_raw},
		{"fw.ppu", "its name says an object file", .make = make_raw},
		{"fw.log", "its name says a text file", .make = make_raw},
		{"fw.docx", "its name says a document", .make = make_raw},
		{"fw.key", "its name says a key", .make = make_raw},
		{"fw.map", "its name says a list of the compiler", .make = make_raw},
		{"fw.py", "its name says source code", .make = make_raw},
		{"fw.br", "its name says compressed data", .make = make_raw, .for_partition = true},
		{"fw.svf", "its name says a", .make = make_raw, .for_partition = true},
		{"fw.rbf", "its name says a", .make = make_raw, .for_partition = true},
		{"fw.ttf", "its name says a font", .make = make_raw, .for_partition = true},
	};

	for (size_t k = 0; k < ARRAY_LEN(misnamed); k++) {
		write_file(&misnamed[k]);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (rows[i].takes != PARTITION || !misnamed[k].for_partition)
				refused(&rows[i], &misnamed[k]);
	}
}
END_TEST

/* A package of one whole member, under a name that says something else, or with the marks of a
 * document. */
static void make_package(struct strbuf *b, const char *member)
{
	size_t n = strlen(member);
	size_t directory;

	sb_add_n(b, "PK\3\4\x0a\0\0\0\0\0\0\0\x21\0", 14);
	put_le(b, 0xd87f7e0c, 4); /* CRC-32 of "test" */
	put_le(b, 4, 4);
	put_le(b, 4, 4);
	put_le(b, n, 4);
	sb_add(b, member);
	sb_add(b, "test");
	directory = b->len;
	sb_add_n(b, "PK\1\2\x0a\0\x0a\0\0\0\0\0\0\0\x21\0", 16);
	put_le(b, 0xd87f7e0c, 4);
	put_le(b, 4, 4);
	put_le(b, 4, 4);
	put_le(b, n, 4);
	put_fill(b, 0, 14);
	sb_add(b, member);
	sb_add_n(b, "PK\5\6\0\0\0\0\1\0\1\0", 12);
	put_le(b, b->len - 12 - directory, 4);
	put_le(b, directory, 4);
	put_le(b, 0, 2);
}

static void make_document(struct strbuf *b)
{
	make_package(b, "[Content_Types].xml");
}

static void make_ota(struct strbuf *b)
{
	make_package(b, "payload.bin");
}

START_TEST(a_package_is_judged_by_its_name_and_by_what_it_is_of)
{
	static const struct foreign_file packages[] = {
		{"ota.zip", "a document of Microsoft Office", .make = make_document},
		{"ota.docx", "its name says a document", .make = make_ota},
		{"ota.hex", "its name says an Intel HEX file", .make = make_ota},
	};

	for (size_t k = 0; k < ARRAY_LEN(packages); k++) {
		_cleanup_(freep) char *with = NULL;

		write_file(&packages[k]);
		with = xasprintf("{\"port\":\"c\",\"file\":\"%s\"}", path);
		ck_assert_int_eq(rig_run(&rig, "adb.sideload", with), -ERR_IMAGE_INVALID);
		ck_assert_msg(strstr(rig.e.msg, packages[k].says), "%s", rig.e.msg);
		ck_assert_uint_eq(rig.links_opened, 0);
	}
}
END_TEST

/* What the gate would have said is evidence of the step, also where the step goes wrong later. */
START_TEST(an_override_is_on_record_with_what_was_overruled)
{
	static const struct foreign_file page = {
		"boot.img", "a web page (HTML)", .bytes = "<html>not found</html>", .n = 22};
	static const struct foreign_file named = {"boot.uf2", "a UF2 file", .make = make_raw};
	_cleanup_(freep) char *with = NULL, *other = NULL;

	write_file(&page);
	with = xasprintf(
		"{\"port\":\"c\",\"partition\":\"boot\",\"image\":\"%s\",\"format\":\"bin\"}",
		path);
	rig_run(&rig, "fastboot.flash", with);
	ck_assert_str_eq(rig_text(rig.out.evidence, "declared"), "bin");
	ck_assert_str_eq(rig_text(rig.out.evidence, "overruled"), "looks like a web page (HTML)");
	write_file(&named);
	other = xasprintf("{\"port\":\"c\",\"file\":\"%s\",\"format\":\"bin\"}", path);
	rig_run(&rig, "adb.sideload", other);
	ck_assert_str_eq(rig_text(rig.out.evidence, "declared"), "bin");
	ck_assert_str_eq(rig_text(rig.out.evidence, "overruled"), "its name says a UF2 file");
}
END_TEST

static void make_xtensa(struct strbuf *b)
{
	static const struct elf_kind kind = {.machine = 94};
	static const struct part p = {0x08000000, (const uint8_t *)"code", 4};

	write_elf(b, &kind, &p, 1);
}

START_TEST(an_stm32_takes_no_elf_file_of_another_processor)
{
	static const struct foreign_file xtensa = {
		"fw.elf", "is for machine 94", .make = make_xtensa};

	write_file(&xtensa);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].action, "stm32.flash"))
			refused(&rows[i], &xtensa);
}
END_TEST

/* Every action that takes an image has the argument by which a recipe overrides the gate. */
START_TEST(every_action_that_writes_a_file_is_in_this_table)
{
	static const char *const others[] = {
		/* The files of these are for whoever asked for them: any content is right. */
		"adb.push", "adb.install", "adb.restore",
		/* A document that is read, and sent to no unit. */
		"dfu.otp_lock", "dfu.otp_read", "dfu.otp_write", "gdb.otp_lock", "gdb.otp_read",
		"gdb.otp_write", "openocd.otp_lock", "openocd.otp_read", "openocd.otp_write",
		"otp.lock", "otp.read", "otp.write", "stm32.otp_lock", "stm32.otp_read",
		"stm32.otp_write",
		/* A picture for a person. */
		"operator.prompt", "operator.scan",
		/* A template, which it reads itself. */
		"unit.label",
		/* Needs its device to know what it takes; the gate's own test holds it. */
		"dfu.download"};

	for (size_t i = 0; action_table[i]; i++) {
		const struct action *a = action_table[i];
		bool image = false;
		bool known = false;

		for (const struct action_arg *r = a->args; r->name; r++)
			image |= r->type == ARG_IMAGE;
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			known |= !strcmp(rows[k].action, a->name);
		for (size_t k = 0; k < ARRAY_LEN(others); k++)
			known |= !strcmp(others[k], a->name);
		ck_assert_msg(!image || known, "%s takes a file and is not tried here", a->name);
	}
}
END_TEST

START_TEST(a_package_with_one_damaged_member_is_not_sent)
{
	/* One stored member of 4 bytes, whose checksum is that of others. */
	static const uint8_t zip[] = {'P', 'K', 3, 4, 10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 1, 2, 3, 4,
		4, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 'a', 'd', 'a', 't', 'a', 'P', 'K', 1, 2, 10, 0,
		10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 1, 2, 3, 4, 4, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a', 'P', 'K', 5, 6, 0, 0, 0, 0, 1, 0, 1, 0,
		47, 0, 0, 0, 35, 0, 0, 0, 0, 0};
	const struct foreign_file f = {
		"ota.zip", "member a", .bytes = (const char *)zip, .n = sizeof zip};
	_cleanup_(freep) char *with = NULL;

	write_file(&f);
	with = xasprintf("{\"port\":\"c\",\"file\":\"%s\"}", path);
	ck_assert_int_eq(rig_run(&rig, "adb.sideload", with), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(rig.e.msg, "member a is damaged"), "%s", rig.e.msg);
	ck_assert_uint_eq(rig.links_opened, 0);
}
END_TEST

static Suite *flash_gate_suite(void)
{
	Suite *s = suite_create("flash_gate");
	TCase *t = tcase_create("flash_gate");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, no_action_lets_a_foreign_file_reach_a_unit);
	tcase_add_test(t, no_action_with_addresses_takes_a_file_for_what_its_name_does_not_say);
	tcase_add_test(t, no_action_takes_a_file_whose_name_says_another_kind);
	tcase_add_test(t, a_package_is_judged_by_its_name_and_by_what_it_is_of);
	tcase_add_test(t, an_override_is_on_record_with_what_was_overruled);
	tcase_add_test(t, an_stm32_takes_no_elf_file_of_another_processor);
	tcase_add_test(t, every_action_that_writes_a_file_is_in_this_table);
	tcase_add_test(t, a_package_with_one_damaged_member_is_not_sent);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(flash_gate_suite)
