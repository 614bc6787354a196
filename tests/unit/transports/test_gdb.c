/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/gdb/gdb.h"

#include "tests/unit/transports/gdb_stub.h"

static struct gdb_stub *stub;
static struct gdb *gdb;
static struct strbuf said;
static struct err e;
static struct iotime soon;
static uint8_t content[20000];

static void on_log(void *data, char dir, const char *text)
{
	sb_add(&said, text);
}

static void setup(void)
{
	stub = stub_new();
	gdb = NULL;
	soon = (struct iotime){now_us() + 30 * US_PER_S, NULL};
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (uint8_t)((i * 2654435761u) >> 9);
}

static void teardown(void)
{
	gdb_free(gdb);
	stub_free(stub);
	sb_done(&said);
}

static int try_open(void)
{
	const struct teller h = {NULL, NULL, on_log};

	return gdb_open(&stub->fake.link, &h, &soon, &gdb, &e);
}

static void opened(void)
{
	ck_assert_msg(try_open() == 0, "%s", e.msg);
}

static struct image *image_at(uint64_t address, size_t n)
{
	struct image *i = NULL;

	ck_assert_msg(
		image_parse("t.bin", content, n, &IMAGE_OPTS(address), &i, &e) == 0, "%s", e.msg);
	return i;
}

static int load_at(uint64_t address, size_t n, enum gdb_verify v, struct gdb_load_result *res)
{
	struct image *i = image_at(address, n);
	int r = gdb_load(gdb, i, v, res, &soon, &e);

	image_unref(i);
	return r;
}

START_TEST(a_session_begins_with_features_state_and_memory_map)
{
	opened();
	ck_assert_str_eq(stub->story.s, "qSupported:xmlRegisters=i386,arm;QStartNoAckMode;?;qXfer:"
					"memory-map:read::0,3f0;");
	ck_assert_uint_eq(gdb_memory_map(gdb)->count, 3);
	ck_assert_int_eq(gdb_map_find(gdb_memory_map(gdb), 0x08000400)->type, GDB_FLASH);
	ck_assert_uint_eq(gdb_map_find(gdb_memory_map(gdb), 0x08000400)->block, 1024);
}
END_TEST

START_TEST(an_image_goes_to_flash_by_blocks_and_is_read_back)
{
	struct gdb_load_result res;

	opened();
	ck_assert_msg(load_at(STUB_FLASH + 100, 5000, GDB_VERIFY_READ, &res) == 0, "%s", e.msg);
	ck_assert_mem_eq(stub->flash + 100, content, 5000);
	ck_assert_uint_eq(res.flash_bytes, 5000);
	ck_assert_uint_eq(res.blocks_erased, 5);
	ck_assert_str_eq(res.sha256_written, res.sha256_read);
	ck_assert_ptr_nonnull(strstr(stub->story.s, "vFlashErase:8000000,1400;"));
	ck_assert_ptr_nonnull(strstr(stub->story.s, "vFlashDone;m8000064"));
}
END_TEST

START_TEST(ram_is_written_as_it_is_with_x_or_m)
{
	struct gdb_load_result res;

	opened();
	ck_assert_msg(load_at(STUB_RAM + 1, 3000, GDB_VERIFY_READ, &res) == 0, "%s", e.msg);
	ck_assert_mem_eq(stub->ram + 1, content, 3000);
	ck_assert_uint_eq(res.flash_bytes, 0);
	ck_assert_ptr_null(strstr(stub->story.s, "vFlash"));
	gdb = gdb_free(gdb);
	stub->knows_x = false;
	memset(stub->ram, 0, sizeof stub->ram);
	opened();
	ck_assert_msg(load_at(STUB_RAM, 3000, GDB_VERIFY_READ, &res) == 0, "%s", e.msg);
	ck_assert_mem_eq(stub->ram, content, 3000);
}
END_TEST

/* QEMU's stub: no map, no X, acknowledgements. */
START_TEST(a_server_without_a_map_takes_everything_as_memory)
{
	struct gdb_load_result res;

	stub->offers_map = stub->knows_x = stub->offers_no_ack = stub->knows_crc = false;
	opened();
	ck_assert_msg(load_at(STUB_FLASH, 3000, GDB_VERIFY_AUTO, &res) == 0, "%s", e.msg);
	ck_assert_mem_eq(stub->flash, content, 3000);
	ck_assert_str_eq(res.sha256_written, res.sha256_read);
	ck_assert(!res.by_crc);
}
END_TEST

START_TEST(what_is_in_no_memory_is_refused_before_the_erase)
{
	struct gdb_load_result res;
	static const char xml[] =
		"<memory-map><memory type='flash' start='0x8000000' length='0x400'>"
		"<property name='blocksize'>0x400</property></memory>"
		"<memory type='rom' start='0x1000' length='0x1000'/></memory-map>";
	struct gdb_map m;

	ck_assert_msg(gdb_map_parse(xml, sizeof xml - 1, &m, &e) == 0, "%s", e.msg);
	opened();
	*(struct gdb_map *)(uintptr_t)gdb_memory_map(gdb) = m;
	ck_assert_int_eq(load_at(STUB_FLASH, 2000, GDB_VERIFY_READ, &res), -ERR_IMAGE_RANGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "0x08000400"));
	ck_assert_int_eq(load_at(0x1000, 10, GDB_VERIFY_READ, &res), -ERR_IMAGE_RANGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "ROM"));
	ck_assert_ptr_null(strstr(stub->story.s, "vFlash"));
}
END_TEST

START_TEST(a_checksum_proves_it_where_the_server_counts)
{
	struct gdb_load_result res;

	opened();
	ck_assert_uint_eq(gdb_crc_of(0xffffffff, (const uint8_t *)"123456789", 9), 0x0376e6e7);
	ck_assert_msg(load_at(STUB_FLASH, 5000, GDB_VERIFY_AUTO, &res) == 0, "%s", e.msg);
	ck_assert(res.by_crc);
	ck_assert_str_eq(res.sha256_read, "");
	stub->flash[77] ^= 4;

	struct image *i = image_at(STUB_FLASH, 5000);

	ck_assert_int_eq(
		gdb_compare(gdb, i, GDB_VERIFY_CRC, &res, &soon, &e), -ERR_VERIFY_MISMATCH);
	ck_assert_int_eq(
		gdb_compare(gdb, i, GDB_VERIFY_READ, &res, &soon, &e), -ERR_VERIFY_MISMATCH);
	ck_assert_ptr_nonnull(strstr(e.msg, "0x0800004d"));
	stub->knows_crc = false;
	ck_assert_int_eq(gdb_compare(gdb, i, GDB_VERIFY_CRC, &res, &soon, &e), -ERR_UNSUPPORTED);
	image_unref(i);
}
END_TEST

/* A flash cell that does not take passes by no way of verifying. */
START_TEST(a_weak_cell_is_no_pass)
{
	struct gdb_load_result res;

	content[1234] |= 1;
	stub->weak = 1234;
	opened();
	ck_assert_int_eq(load_at(STUB_FLASH, 5000, GDB_VERIFY_READ, &res), -ERR_VERIFY_MISMATCH);
	ck_assert_int_eq(load_at(STUB_FLASH, 5000, GDB_VERIFY_CRC, &res), -ERR_VERIFY_MISMATCH);
}
END_TEST

START_TEST(errors_of_the_server_are_refusals)
{
	static const char *const commands[] = {"vFlashErase", "vFlashWrite", "vFlashDone", "m80"};
	struct gdb_load_result res;

	opened();
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		stub->fail_on = commands[i];
		ck_assert_msg(
			load_at(STUB_FLASH, 100, GDB_VERIFY_READ, &res) == -ERR_DEVICE_REFUSED,
			"%s: %s", commands[i], e.msg);
	}
}
END_TEST

/* What a server says instead of OK, to whom, and whose fault that is. */
static const struct {
	const char *command, *reply;
	enum err_code code;
} refusals[] = {
	{"vFlashErase", "E01", ERR_DEVICE_REFUSED},
	{"vFlashErase", "E.memtype", ERR_IMAGE_RANGE},
	{"vFlashErase", "E.Erase failed: the sector is protected", ERR_DEVICE_REFUSED},
	{"vFlashErase", "", ERR_UNSUPPORTED},
	{"vFlashErase", "what", ERR_PROTOCOL},
	{"vFlashWrite", "E01", ERR_DEVICE_REFUSED},
	{"vFlashWrite", "E.memtype", ERR_IMAGE_RANGE},
	{"vFlashWrite", "", ERR_UNSUPPORTED},
	{"vFlashDone", "E01", ERR_DEVICE_REFUSED},
	{"vFlashDone", "E.memtype", ERR_IMAGE_RANGE},
	{"vFlashDone", "", ERR_UNSUPPORTED},
	{"m80", "E01", ERR_DEVICE_REFUSED},
	{"m80", "E0e", ERR_DEVICE_REFUSED},
	{"m80", "", ERR_UNSUPPORTED},
	{"m80", "xx", ERR_PROTOCOL},
	{"qCRC", "E01", ERR_DEVICE_REFUSED},
	{"qCRC", "Cxyz", ERR_PROTOCOL},
	{"qCRC", "OK", ERR_PROTOCOL},
};

START_TEST(each_refusal_has_its_code_and_stands_in_the_sentence)
{
	bool crc = !strcmp(refusals[_i].command, "qCRC");
	struct gdb_load_result res;

	opened();
	stub->fail_on = refusals[_i].command;
	stub->fail_with = refusals[_i].reply;
	ck_assert_msg(load_at(STUB_FLASH, 100, crc ? GDB_VERIFY_CRC : GDB_VERIFY_READ, &res) ==
			      -(int)refusals[_i].code,
		"%s '%s': %s: %s", refusals[_i].command, refusals[_i].reply, err_code_str(e.code),
		e.msg);
	if (strcmp(refusals[_i].reply, "xx") != 0)
		ck_assert_msg(strstr(e.msg, refusals[_i].reply) != NULL, "%s", e.msg);
}
END_TEST

START_TEST(a_server_that_refuses_the_session_is_told_so)
{
	static const struct {
		const char *command, *reply;
		enum err_code code;
	} cases[] = {
		{"QStartNoAckMode", "E01", ERR_DEVICE_REFUSED},
		{"?", "E01", ERR_DEVICE_REFUSED},
		{"?", "W00", ERR_DEVICE_REFUSED},
		{"?", "", ERR_UNSUPPORTED},
		{"qXfer:memory-map", "E01", ERR_DEVICE_REFUSED},
		{"qXfer:memory-map", "E.cannot read", ERR_DEVICE_REFUSED},
		{"qXfer:memory-map", "", ERR_UNSUPPORTED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		stub_free(stub);
		stub = stub_new();
		stub->fail_on = cases[i].command;
		stub->fail_with = cases[i].reply;
		ck_assert_msg(try_open() == -(int)cases[i].code, "%s '%s': %s: %s",
			cases[i].command, cases[i].reply, err_code_str(e.code), e.msg);
	}
}
END_TEST

START_TEST(console_text_notifications_and_runs_do_not_disturb)
{
	struct gdb_load_result res;

	stub->console_before = stub->rle = true;
	memset(content, 0, 3000);
	opened();
	ck_assert_msg(load_at(STUB_FLASH, 5000, GDB_VERIFY_READ, &res) == 0, "%s", e.msg);
	ck_assert_mem_eq(stub->flash, content, 5000);
	ck_assert_ptr_nonnull(strstr(said.s, "hi"));
}
END_TEST

/* QEMU, whose target ran until someone connected. */
START_TEST(a_stop_that_no_one_asked_for_is_no_answer)
{
	stub_frame(stub, "T05thread:01;", 13, false);
	fake_says(&stub->fake, "%Stop:T05#00");
	stub_frame(stub, "S05", 3, false);
	opened();
	ck_assert_msg(strstr(stub->story.s, "qSupported") == stub->story.s, "%s", stub->story.s);
	struct gdb_load_result res;

	ck_assert_msg(load_at(STUB_FLASH, 3000, GDB_VERIFY_READ, &res) == 0, "%s", e.msg);
}
END_TEST

START_TEST(a_broken_frame_comes_again_while_frames_are_acknowledged)
{
	uint8_t buf[16];

	stub->offers_no_ack = false;
	opened();
	stub->bad_checksums = 1;
	stub->naks = 1;
	memcpy(stub->ram, "0123456789abcdef", 16);
	ck_assert_msg(gdb_read(gdb, STUB_RAM, buf, 16, &soon, &e) == 0, "%s", e.msg);
	ck_assert_mem_eq(buf, "0123456789abcdef", 16);
	stub->naks = 10;
	ck_assert_int_eq(gdb_read(gdb, STUB_RAM, buf, 16, &soon, &e), -ERR_PROTOCOL);
}
END_TEST

START_TEST(without_acknowledgements_a_wrong_checksum_is_an_error)
{
	uint8_t buf[16];

	opened();
	stub->bad_checksums = 1;
	ck_assert_int_eq(gdb_read(gdb, STUB_RAM, buf, 16, &soon, &e), -ERR_PROTOCOL);
}
END_TEST

START_TEST(a_monitor_command_tells_what_it_prints)
{
	_cleanup_(freep) char *text = NULL;

	opened();
	ck_assert_msg(gdb_monitor(gdb, "reset halt", &text, &soon, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(text, "running\n");
	ck_assert_int_eq(gdb_monitor(gdb, "bad", NULL, &soon, &e), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.msg, "running"));
	ck_assert_int_eq(gdb_resume(gdb, true, &soon, &e), 0);
}
END_TEST

START_TEST(a_silent_or_vanished_server_ends_the_session)
{
	uint8_t buf[4];

	opened();
	stub->silent = true;
	ck_assert_int_eq(gdb_read(gdb, STUB_RAM, buf, 4, &soon, &e), -ERR_TIMEOUT);
	stub->fake.gone = true;
	ck_assert_int_eq(gdb_read(gdb, STUB_RAM, buf, 4, &soon, &e), -ERR_DEVICE_GONE);
}
END_TEST

START_TEST(maps_that_are_none_are_refused)
{
	static const char *const bad[] = {"", "<memory-map>", "no xml",
		"<memory-map><memory type='flash' start='0' length='100'/></memory-map>",
		"<memory-map><memory type='flash' start='0' length='100'><property "
		"name='blocksize'>33</property></memory></memory-map>",
		"<memory-map><memory type='odd' start='0' length='100'/></memory-map>",
		"<memory-map><memory type='ram' start='x' length='100'/></memory-map>",
		"<memory-map><memory type='ram' start='0' length='0'/></memory-map>",
		"<memory-map><memory type='ram' start='0xffffffffffffffff' "
		"length='2'/></memory-map>",
		"<!DOCTYPE m [<!ENTITY a 'aaaa'>]><memory-map/>",
		"<memory-map><memory type='flash' start='0' length='64'><property "
		"name='blocksize'>64</property></memory><memory type='flash' start='32' "
		"length='64'><property name='blocksize'>64</property></memory></memory-map>"};
	struct gdb_map m;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e = (struct err){0};
		ck_assert_msg(gdb_map_parse(bad[i], strlen(bad[i]), &m, &e) == -ERR_PROTOCOL,
			"'%s' was taken", bad[i]);
		ck_assert(e.msg[0]);
	}
}
END_TEST

START_TEST(a_server_that_takes_no_pieces_gets_whole_blocks)
{
	static const unsigned units[] = {8, 256};

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		for (int zero = 0; zero < 2; zero++) {
			struct gdb_load_result res;
			uint8_t fill = zero ? 0 : 0xff;

			stub->unit = units[i];
			stub->zero_erased = zero;
			memset(stub->flash, 0x55, sizeof stub->flash);
			stub->no_ack = false;
			gdb = gdb_free(gdb);
			opened();
			ck_assert_msg(load_at(STUB_FLASH + 1100, 3001, GDB_VERIFY_READ, &res) == 0,
				"unit %u: %s", units[i], e.msg);
			ck_assert(res.padded);
			ck_assert_mem_eq(stub->flash + 1100, content, 3001);
			ck_assert_uint_eq(res.flash_bytes, 3001);
			ck_assert_uint_eq(res.blocks_erased, 4);
			/* The rest of its blocks is erased, and the blocks next to them are as
			 * before. */
			ck_assert_uint_eq(stub->flash[1024], fill);
			ck_assert_uint_eq(stub->flash[1099], fill);
			ck_assert_uint_eq(stub->flash[4101], fill);
			ck_assert_uint_eq(stub->flash[1023], 0x55);
			ck_assert_uint_eq(stub->flash[5120], 0x55);
		}
}
END_TEST

START_TEST(two_segments_in_one_block_are_written_with_it_once)
{
	struct image_segment s[2] = {
		{STUB_FLASH + 10, 20, content}, {STUB_FLASH + 600, 1000, content + 20}};
	const struct image image = {.refs = 1, .bytes = 1020, .segments = s, .count = 2};
	struct gdb_load_result res;

	stub->unit = 1024 / 4;
	opened();
	ck_assert_msg(gdb_load(gdb, &image, GDB_VERIFY_READ, &res, &soon, &e) == 0, "%s", e.msg);
	ck_assert_mem_eq(stub->flash + 10, content, 20);
	ck_assert_mem_eq(stub->flash + 600, content + 20, 1000);
	ck_assert_uint_eq(stub->flash[300], 0xff);
	ck_assert(res.padded);
	ck_assert_uint_eq(res.blocks_erased, 2);
}
END_TEST

START_TEST(a_server_that_takes_pieces_gets_no_more_than_the_image)
{
	struct gdb_load_result res;

	opened();
	ck_assert_int_eq(load_at(STUB_FLASH + 100, 50, GDB_VERIFY_READ, &res), 0);
	ck_assert(!res.padded);
	ck_assert_ptr_nonnull(strstr(stub->story.s, "vFlashWrite:8000064;vFlashDone;"));
}
END_TEST

START_TEST(a_write_that_is_refused_in_any_form_is_refused)
{
	struct gdb_load_result res;

	stub->fail_on = "vFlashWrite";
	opened();
	ck_assert_int_eq(load_at(STUB_FLASH, 50, GDB_VERIFY_READ, &res), -ERR_DEVICE_REFUSED);
}
END_TEST

START_TEST(after_an_answer_that_did_not_come_the_session_is_over)
{
	uint8_t b[4];
	char *text = NULL;

	opened();
	stub->silent = true;
	ck_assert_int_eq(gdb_read(gdb, STUB_RAM, b, 4, &soon, &e), -ERR_TIMEOUT);
	/* The late answer is there now, and would fit. */
	stub->silent = false;
	fake_says(&stub->fake, "$01020304#8a");
	ck_assert_int_eq(gdb_read(gdb, STUB_RAM, b, 4, &soon, &e), -ERR_OUT_OF_STEP);
	ck_assert_int_eq(gdb_monitor(gdb, "reset", &text, &soon, &e), -ERR_OUT_OF_STEP);
	ck_assert_ptr_null(strstr(stub->story.s, "qRcmd"));
}
END_TEST

START_TEST(a_late_answer_of_the_session_before_does_not_open_a_new_one)
{
	static const char *const late[] = {"$OK#9a", "$E01#a6", "$00#60", "$#00"};

	for (size_t i = 0; i < ARRAY_LEN(late); i++) {
		gdb = gdb_free(gdb);
		stub->no_ack = false;
		fake_says(&stub->fake, "+");
		fake_says(&stub->fake, late[i]);
		ck_assert_msg(try_open() < 0, "'%s' opened a session", late[i]);
		stub->fake.at = stub->fake.len;
	}
}
END_TEST

START_TEST(a_late_stop_is_not_the_state_of_a_new_session)
{
	static const char *const late[] = {"+$T05#b9", "+$S05#b8+$T05#b9", "$T05#b9$T05#b9"};
	uint8_t b[4];
	unsigned opens = 0;

	for (size_t i = 0; i < ARRAY_LEN(late); i++) {
		gdb = gdb_free(gdb);
		stub->no_ack = false;
		stub->ram[0] = (uint8_t)(0x40 + i);
		fake_says(&stub->fake, late[i]);
		/* In turn, or not at all. */
		if (try_open() == 0) {
			opens++;
			ck_assert_msg(gdb_read(gdb, STUB_RAM, b, 4, &soon, &e) == 0, "%s: %s",
				late[i], e.msg);
			ck_assert_mem_eq(b, stub->ram, 4);
		}
		stub->fake.at = stub->fake.len;
	}
	ck_assert_uint_eq(opens, 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gdb");
	TCase *c = tcase_create("gdb");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_session_begins_with_features_state_and_memory_map);
	tcase_add_test(c, an_image_goes_to_flash_by_blocks_and_is_read_back);
	tcase_add_test(c, ram_is_written_as_it_is_with_x_or_m);
	tcase_add_test(c, a_server_without_a_map_takes_everything_as_memory);
	tcase_add_test(c, what_is_in_no_memory_is_refused_before_the_erase);
	tcase_add_test(c, a_checksum_proves_it_where_the_server_counts);
	tcase_add_test(c, a_weak_cell_is_no_pass);
	tcase_add_test(c, errors_of_the_server_are_refusals);
	tcase_add_loop_test(
		c, each_refusal_has_its_code_and_stands_in_the_sentence, 0, ARRAY_LEN(refusals));
	tcase_add_test(c, a_server_that_refuses_the_session_is_told_so);
	tcase_add_test(c, console_text_notifications_and_runs_do_not_disturb);
	tcase_add_test(c, a_stop_that_no_one_asked_for_is_no_answer);
	tcase_add_test(c, a_broken_frame_comes_again_while_frames_are_acknowledged);
	tcase_add_test(c, without_acknowledgements_a_wrong_checksum_is_an_error);
	tcase_add_test(c, a_monitor_command_tells_what_it_prints);
	tcase_add_test(c, a_silent_or_vanished_server_ends_the_session);
	tcase_add_test(c, maps_that_are_none_are_refused);
	tcase_add_test(c, a_server_that_takes_no_pieces_gets_whole_blocks);
	tcase_add_test(c, two_segments_in_one_block_are_written_with_it_once);
	tcase_add_test(c, a_server_that_takes_pieces_gets_no_more_than_the_image);
	tcase_add_test(c, a_write_that_is_refused_in_any_form_is_refused);
	tcase_add_test(c, after_an_answer_that_did_not_come_the_session_is_over);
	tcase_add_test(c, a_late_answer_of_the_session_before_does_not_open_a_new_one);
	tcase_add_test(c, a_late_stop_is_not_the_state_of_a_new_session);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
