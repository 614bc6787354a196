/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/actions/command_line.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/digest.h"
#include "daemon/actions/common.h"
#include "tests/unit/transports/boot_device.h"
#include "tests/unit/transports/gdb_stub.h"
#include "tests/unit/transports/image_files.h"

static struct rig rig;
static struct fake_link wire;
static struct boot_device dut;
static char path[64];

static void set_up(void)
{
	rig = (struct rig){.wire = &wire, .secrets = secret_set_new()};
	fake_init(&wire, command_line, NULL);
	answers = NULL;
	boot_init(&dut);
	strcpy(path, "/tmp/test_actions.XXXXXX");
	close(mkstemp(path));
}

static void tear_down(void)
{
	rig_done(&rig);
	fake_done(&wire);
	fake_done(&dut.wire);
	unlink(path);
}

static int run(const char *action, const char *with)
{
	return rig_run(&rig, action, with);
}

static void assert_says(const char *what)
{
	const char *msg = rig.out.verdict == STEP_FAILED ? rig.out.message : rig.e.msg;

	ck_assert_msg(strstr(msg, what), "'%s' does not say '%s'", msg, what);
}

START_TEST(the_table_is_sorted_and_every_row_is_complete)
{
	for (size_t i = 0; action_table[i]; i++) {
		const struct action *a = action_table[i];

		if (i > 0)
			ck_assert_str_lt(action_table[i - 1]->name, a->name);
		ck_assert_ptr_eq(action_find(a->name), a);
		ck_assert_uint_gt(a->default_timeout_us, 0);
		ck_assert_int_ne(a->doc[0], 0);
		for (const struct action_arg *r = a->args; r->name; r++)
			ck_assert_msg(r->doc && *r->doc, "%s %s", a->name, r->name);
	}
	ck_assert_ptr_null(action_find("console.frob"));
}
END_TEST

START_TEST(flaw_17_every_action_needs_evidence_and_none_is_there_that_does_nothing)
{
	for (size_t i = 0; action_table[i]; i++) {
		ck_assert_msg(action_table[i]->flags & ACTION_NEEDS_EVIDENCE, "%s",
			action_table[i]->name);
		ck_assert_msg(!(action_table[i]->flags & ACTION_IRREVERSIBLE) ==
				      !action_table[i]->observe,
			"%s", action_table[i]->name);
	}
	ck_assert_ptr_null(action_find("key.burn"));
}
END_TEST

START_TEST(a_command_passes_on_its_reply_and_on_the_value_read_back)
{
	static const struct answer good[] = {{"SET_SERIAL", "OK"}, {"GET_SERIAL", "SN-1"}, {0}};
	static const struct answer forgetful[] = {
		{"SET_SERIAL", "OK"}, {"GET_SERIAL", "SN-0"}, {0}};
	static const char with[] =
		"{\"port\":\"console\",\"send\":\"SET_SERIAL SN-1\",\"read_back\":"
		"{\"send\":\"GET_SERIAL\",\"expect\":\"^SN-1$\"}}";

	answers = good;
	ck_assert_msg(run("console.command", with) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_str_eq(rig_text(rig.out.evidence, "reply"), "OK");
	ck_assert_str_eq(rig_text(rig.out.evidence, "read_back"), "SN-1");
	answers = forgetful;
	ck_assert_int_eq(run("console.command", with), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_FAILED);
	ck_assert_int_eq(rig.out.code, ERR_READ_BACK_MISMATCH);
	assert_says("SN-0");
}
END_TEST

START_TEST(a_command_gives_its_groups_to_later_steps)
{
	static const struct answer a[] = {{"version", "fw v2.1 build 77"}, {0}};

	answers = a;
	ck_assert_int_eq(
		run("console.command",
			"{\"port\":\"c\",\"send\":\"version\",\"expect\":\"v(\\\\S+) build "
			"(\\\\d+)\"}"),
		0);
	ck_assert_str_eq(rig_text(rig.out.outputs, "match1"), "2.1");
	ck_assert_str_eq(rig_text(rig.out.outputs, "match2"), "77");
}
END_TEST

static void image_file(const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

START_TEST(an_answer_is_looked_for_line_by_line)
{
	static const struct {
		const char *expect, *text;
		bool agrees;
		size_t at;
	} rows[] = {
		{"halted", "target halted", true, 7},
		{"halted", "target not halted", false, 0},
		{"halted", "target not halted\ntarget halted\n", true, 25},
		{"halted", "not halted\n", false, 0},
		{"halted|^$", "not halted\n", false, 0},
		{"OK", "BROKEN\nOK", true, 7},
		{"^$", "", true, 0},
		{"OK\nready", "boot\nOK\nready\n", true, 5},
		{"OK\nready", "OK\nready: failed\n", false, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(regex_freep) struct regex *x = NULL;
		struct regex_match m;
		struct err e;

		ck_assert_int_eq(regex_new(rows[i].expect, &x, &e), 0);
		ck_assert_msg(
			text_agrees(x, rows[i].text, strlen(rows[i].text), &m) == rows[i].agrees,
			"row %zu", i);
		if (rows[i].agrees)
			ck_assert_uint_eq(m.group[0].start, rows[i].at);
	}
}
END_TEST

START_TEST(a_monitor_command_passes_on_what_the_server_printed_and_on_nothing_else)
{
	struct gdb_stub *stub = stub_new();

	rig.wire = &stub->fake;
	ck_assert_msg(run("gdb.monitor", "{\"port\":\"p\",\"command\":\"reset halt\","
					 "\"expect\":\"^running\"}") == 0,
		"%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	stub->no_ack = false;
	ck_assert_int_eq(
		run("gdb.monitor", "{\"port\":\"p\",\"command\":\"reset halt\",\"expect\":\"^$\"}"),
		0);
	ck_assert_int_eq(rig.out.code, ERR_UNEXPECTED_REPLY);
	stub->no_ack = false;
	/* Letters within a word. */
	ck_assert_int_eq(
		run("gdb.monitor",
			"{\"port\":\"p\",\"command\":\"reset halt\",\"expect\":\"unnin\"}"),
		0);
	ck_assert_int_eq(rig.out.code, ERR_UNEXPECTED_REPLY);
	stub->no_ack = false;
	/* Its OK alone proves nothing. */
	ck_assert_int_eq(
		run("gdb.monitor", "{\"port\":\"p\",\"command\":\"reset halt\"}"), -ERR_INVALID);
	stub->no_ack = false;
	ck_assert_int_eq(
		run("gdb.monitor", "{\"port\":\"p\",\"command\":\"nosuch\",\"expect\":\"nosuch\"}"),
		-ERR_DEVICE_REFUSED);
	assert_says("unknown command");
	image_file("\x01\x02\x03\x04", 4);
	stub->no_ack = false;

	_cleanup_(freep) char *with = xasprintf("{\"port\":\"p\",\"image\":\"%s\",\"address\":"
						"\"0x20000000\",\"before\":[\"nosuch\"]}",
		path);

	ck_assert_int_eq(run("gdb.load", with), -ERR_DEVICE_REFUSED);
	ck_assert_uint_eq(stub->ram[0], 0);
	rig.wire = &wire;
	stub_free(stub);
}
END_TEST

START_TEST(flaw_22_a_value_with_a_space_is_proved_by_reading_it_back)
{
	static const struct answer whole[] = {
		{"CONFIG_SET", "OK"}, {"CONFIG_GET name", "name = two words"}, {0}};
	static const struct answer half[] = {{"CONFIG_SET", "OK"}, {"CONFIG_GET name", "two"}, {0}};
	static const char with[] =
		"{\"port\":\"c\",\"values\":{\"name\":\"two words\"},\"read_back\":true}";

	answers = whole;
	ck_assert_msg(run("console.config", with) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	answers = half;
	ck_assert_int_eq(run("console.config", with), 0);
	ck_assert_int_eq(rig.out.code, ERR_READ_BACK_MISMATCH);
}
END_TEST

START_TEST(a_value_that_is_told_in_two_ways_is_not_read_back)
{
	static const struct {
		const char *says;
		bool holds;
	} rows[] = {
		{"ssid=my net", true},
		{"my net", true},
		{"ssid my net", true},
		{"reading flash\r\nssid: my net", true},
		{"ssid=my net\r\nssid=my net", true},
		{"ssid=my net\r\nOK", true},
		{"ssid=my net\r\nssid=old net", false},
		{"ssid=old net\r\nssid=my net", false},
		{"my net\r\nssid = old net", false},
		{"ssid=my net2", false},
		{"ssid=", false},
	};
	static const char with[] =
		"{\"port\":\"c\",\"values\":{\"ssid\":\"my net\"},\"read_back\":true}";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct answer says[] = {
			{"CONFIG_SET", "OK"}, {"CONFIG_GET ssid", rows[i].says}, {0}};

		answers = says;
		ck_assert_msg(run("console.config", with) == 0, "%s: %s", rows[i].says, rig.e.msg);
		ck_assert_msg((rig.out.verdict == STEP_PASSED) == rows[i].holds, "%s: %s",
			rows[i].says, rig.out.message);
		if (!rows[i].holds)
			ck_assert_int_eq(rig.out.code, ERR_READ_BACK_MISMATCH);
	}
	answers = NULL;
}
END_TEST

START_TEST(flaw_22_a_secret_is_masked_and_no_value_carries_a_second_command)
{
	static const struct answer refusing[] = {
		{"CONFIG_SET", "ERR cannot store hunter2hunter2"}, {0}};

	secret_set_add(rig.secrets, "hunter2hunter2", NULL);
	answers = refusing;
	ck_assert_int_eq(run("console.config", "{\"port\":\"c\",\"values\":{\"CLIENT_SECRET\":"
					       "\"hunter2hunter2\"}}"),
		-ERR_DEVICE_REFUSED);
	ck_assert_ptr_null(strstr(rig.e.msg, "hunter2"));
	ck_assert_ptr_null(strstr(rig.log.s, "hunter2"));

	wire.heard_len = 0;
	ck_assert_int_eq(
		run("console.config",
			"{\"port\":\"c\",\"sync\":false,\"values\":{\"k\":\"v\\r\\nERASE\"}"
			"}"),
		-ERR_INVALID);
	ck_assert_int_eq(
		run("console.config", "{\"port\":\"c\",\"values\":{\"a b\":\"v\"}}"), -ERR_INVALID);
	ck_assert_uint_eq(wire.heard_len, 0);
}
END_TEST

static int flash(const char *more)
{
	_cleanup_(freep) char *with = xasprintf("{\"port\":\"c\",\"image\":\"%s\"%s}", path, more);

	rig.wire = &dut.wire;
	return run("serialboot.flash", with);
}

START_TEST(flash_tells_both_digests_and_starts_the_application)
{
	uint8_t image[3000];
	char sum[SHA256_HEX];

	for (size_t i = 0; i < sizeof image; i++)
		image[i] = (uint8_t)(i * 7);
	image_file(image, sizeof image);
	sha256_hex_of(image, sizeof image, sum);
	dut.banner = "App v1.4 ready";
	ck_assert_msg(
		flash(",\"boot\":true,\"ready\":\"^App v(\\\\S+) ready$\"") == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "sha256_written"), sum);
	ck_assert_str_eq(rig_text(rig.out.evidence, "sha256_read"), sum);
	ck_assert_str_eq(rig_text(rig.out.evidence, "ready"), "App v1.4 ready");
	ck_assert_str_eq(rig_text(rig.out.outputs, "match1"), "1.4");
	ck_assert_mem_eq(dut.flash, image, sizeof image);
	ck_assert_uint_eq(dut.starts, 1);
}
END_TEST

START_TEST(flash_fails_where_the_flash_differs_or_the_file_is_no_binary)
{
	image_file("\x11\x22\x33\x44", 4);
	dut.worn = 2;
	ck_assert_int_eq(flash(""), -ERR_VERIFY_MISMATCH);
	assert_says("at 0x08010002 expected 33, read 00");
	image_file(":020000040800F2\n", 16);
	ck_assert_int_eq(flash(""), -ERR_IMAGE_INVALID);
	image_file("\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	dut.erases = 0;
	ck_assert_int_eq(flash(",\"flash_size\":4"), -ERR_IMAGE_RANGE);
	ck_assert_int_eq(flash(",\"chunk\":70000"), -ERR_INVALID);
	ck_assert_uint_eq(dut.erases, 0);
}
END_TEST

START_TEST(flash_puts_each_part_of_a_hex_file_where_it_says_and_refuses_another_address)
{
	static const char hex[] = ":020000040801F1\n:0400000011223344 52\n:00000001FF\n";
	static const struct part parts[] = {
		{0x08010000, (const uint8_t *)"begin", 5}, {0x08010102, (const uint8_t *)"end", 3}};
	struct strbuf b = {0};
	const json_t *image;

	image_file(hex, sizeof hex - 1);
	ck_assert_int_eq(flash(""), -ERR_IMAGE_INVALID);
	assert_says("line 2");
	write_ihex(&b, parts, 2, 16);
	image_file(b.s, b.len);
	ck_assert_int_eq(flash(",\"address\":\"0x08010000\""), -ERR_INVALID);
	assert_says("leave the address");
	ck_assert_uint_eq(dut.erases, 0);
	ck_assert_msg(flash("") == 0, "%s", rig.e.msg);
	ck_assert_mem_eq(dut.flash, "begin\xff\xff", 7);
	ck_assert_mem_eq(dut.flash + 0x100,
		"\xff\xff"
		"end\xff",
		6);
	image = json_object_get(rig.out.evidence, "image");
	ck_assert_str_eq(rig_text(image, "format"), "ihex");
	ck_assert_int_eq(json_integer_value(json_object_get(image, "segment_count")), 2);
	ck_assert_int_eq(
		flash(",\"flash_address\":\"0x08010000\",\"flash_size\":256"), -ERR_IMAGE_RANGE);
	sb_done(&b);
}
END_TEST

START_TEST(a_device_that_comes_back_is_waited_for_on_a_new_link)
{
	image_file("\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	dut.banner = "ready";
	ck_assert_msg(flash(",\"reenumerates\":true,\"boot\":true") == 0, "%s", rig.e.msg);
	ck_assert_uint_eq(rig.replugs, 2);
	ck_assert_uint_eq(rig.waits, 2);
	ck_assert_uint_eq(rig.links_closed, 2);
}
END_TEST

START_TEST(read_erase_and_boot_prove_what_they_did)
{
	_cleanup_(freep) char *with =
		xasprintf("{\"port\":\"c\",\"size\":5000,\"file\":\"%s\"}", path);
	char sum[SHA256_HEX], of_file[SHA256_HEX];

	rig.wire = &dut.wire;
	dut.flash[77] = 1;
	ck_assert_msg(run("serialboot.read", with) == 0, "%s", rig.e.msg);
	sha256_hex_of(dut.flash, 5000, sum);
	ck_assert_str_eq(rig_text(rig.out.outputs, "sha256"), sum);
	ck_assert_int_eq(sha256_file(path, of_file, &rig.e), 0);
	ck_assert_str_eq(of_file, sum);

	ck_assert_int_eq(run("serialboot.erase", "{\"port\":\"c\",\"size\":\"64K\"}"), 0);
	ck_assert_int_eq(
		json_integer_value(json_object_get(rig.out.evidence, "blank_bytes")), 65536);
	ck_assert_uint_eq(dut.flash[77], 0xff);

	ck_assert_int_eq(run("serialboot.boot", "{\"port\":\"c\"}"), 0);
	ck_assert_str_eq(rig_text(rig.out.evidence, "started"), "BOOTING");
	dut.in_bootloader = true;
	dut.booting = "NOT BOOTING";
	ck_assert_int_eq(run("serialboot.boot", "{\"port\":\"c\"}"), -ERR_DEVICE_REFUSED);
}
END_TEST

static int tool(const char *script, const char *more)
{
	_cleanup_(freep) char *with = xasprintf(
		"{\"argv\":[\"sh\",\"-c\",\"%s\"],\"success\":[\"^verified\"]%s}", script, more);

	return run("tool.run", with);
}

START_TEST(a_tool_passes_on_what_it_said_and_not_on_its_status)
{
	ck_assert_msg(tool("echo verified 12 bytes", "") == 0, "%s", rig.e.msg);
	ck_assert_str_eq(
		json_string_value(json_array_get(json_object_get(rig.out.evidence, "lines"), 0)),
		"verified 12 bytes");
	ck_assert_int_eq(tool("true", ""), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(tool("echo verified; exit 3", ""), -ERR_TOOL_FAILED);
	ck_assert_int_eq(tool("echo verified; exit 3", ",\"status\":3"), 0);
	ck_assert_int_eq(tool("echo verified; echo Warning: lost >&2", ",\"failure\":[\"lost\"]"),
		-ERR_TOOL_FAILED);
	ck_assert_int_eq(tool("echo verified; kill -9 $$", ""), -ERR_TOOL_FAILED);
	ck_assert_int_eq(tool("echo verified; echo crc=77", ",\"evidence\":\"crc=(\\\\d+)\""), 0);
	ck_assert_str_eq(rig_text(rig.out.outputs, "value"), "77");
	ck_assert_int_eq(tool("echo verified", ",\"evidence\":\"crc=(\\\\d+)\""), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(run("tool.run", "{\"argv\":[\"no-such-tool\"],\"success\":[\"x\"]}"),
		-ERR_TOOL_MISSING);
	ck_assert_int_eq(
		run("tool.run", "{\"argv\":[\"true\"],\"success\":[]}"), -ERR_RECIPE_INVALID);
}
END_TEST

START_TEST(a_tool_is_given_secrets_in_its_environment_alone)
{
	secret_set_add(rig.secrets, "hunter2hunter2", NULL);
	ck_assert_int_eq(
		tool("echo verified $KEY", ",\"env\":{\"KEY\":\"hunter2hunter2\",\"N\":1}"), 0);
	ck_assert_ptr_null(strstr(rig.log.s, "hunter2"));
}
END_TEST

START_TEST(flaw_16_a_serial_comes_from_the_ledger_or_from_the_unit_and_from_no_dice)
{
	static const struct answer fresh[] = {{"GET_SERIAL", "none"}, {0}};
	static const struct answer rework[] = {{"GET_SERIAL", "SN-7"}, {0}};
	static const struct answer broken[] = {{"GET_SERIAL", "?? ??"}, {0}};
	static const char with[] = "{\"port\":\"c\",\"read\":\"GET_SERIAL\",\"source\":\"pool\"}";

	rig.serial = "SN-8";
	answers = fresh;
	ck_assert_msg(run("unit.serial", with) == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.outputs, "serial"), "SN-8");
	ck_assert_str_eq(rig.serial_kind, "pool");
	answers = rework;
	ck_assert_int_eq(run("unit.serial", with), 0);
	ck_assert_str_eq(rig_text(rig.out.outputs, "serial"), "SN-7");
	ck_assert_str_eq(rig.serial_kind, "device");
	ck_assert_str_eq(rig.serial_value, "SN-7");
	/* One whose answer no one understands is given no number. */
	rig.serial_kind[0] = '\0';
	answers = broken;
	ck_assert_int_eq(run("unit.serial", with), -ERR_UNEXPECTED_REPLY);
	ck_assert_str_eq(rig.serial_kind, "");
	rig.serial = NULL;
	ck_assert_int_eq(run("unit.serial", "{}"), -ERR_POOL_EMPTY);
}
END_TEST

START_TEST(an_address_is_written_in_its_form_and_read_back_in_any)
{
	static const struct answer colon[] = {
		{"SET_MAC 1 AC:DE:48:00:12:34", "OK"}, {"GET_MAC 1", "acde48001234"}, {0}};
	static const struct answer dash[] = {{"mac AC-DE-48-00-00-00-12-34", "OK"},
		{"mac?", "mac=ac:de:48:00:00:00:12:34"}, {0}};
	static const struct answer other[] = {
		{"SET_MAC 0 AC:DE:48:00:12:34", "OK"}, {"GET_MAC 0", "ac:de:48:00:12:35"}, {0}};
	static const struct answer cut[] = {
		{"SET_MAC 0 AC:DE:48:00:12:34", "OK"}, {"GET_MAC 0", "ac:de:48:00:12:3"}, {0}};
	static const struct answer none[] = {
		{"SET_MAC 0 AC:DE:48:00:12:34", "OK"}, {"GET_MAC 0", "NONE"}, {0}};
	static const struct answer *const bad[] = {other, cut, none};

	answers = colon;
	ck_assert_msg(run("unit.mac", "{\"port\":\"c\",\"mac\":\"acde48001234\",\"index\":1}") == 0,
		"%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "read-back");
	ck_assert_str_eq(rig_text(rig.out.evidence, "read_back"), "acde48001234");
	answers = dash;
	ck_assert_msg(run("unit.mac", "{\"port\":\"c\",\"mac\":\"AC:DE:48:00:00:00:12:34\","
				      "\"form\":\"dash\",\"set\":\"mac {mac}\",\"get\":\"mac?\","
				      "\"pattern\":\"^mac=(.*)$\"}") == 0,
		"%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		answers = bad[i];
		ck_assert_msg(
			run("unit.mac", "{\"port\":\"c\",\"mac\":\"AC:DE:48:00:12:34\"}") == 0,
			"%s", rig.e.msg);
		ck_assert_int_eq(rig.out.verdict, STEP_FAILED);
		ck_assert_int_eq(rig.out.code, ERR_READ_BACK_MISMATCH);
	}
	ck_assert_int_eq(run("unit.mac", "{\"port\":\"c\",\"mac\":\"01:00:5E:00:00:01\"}"),
		-ERR_RECIPE_INVALID);
	ck_assert_int_eq(
		run("unit.mac", "{\"port\":\"c\",\"mac\":\"hello\"}"), -ERR_RECIPE_INVALID);
}
END_TEST

START_TEST(a_license_key_is_what_was_written_to_the_letter)
{
	static const struct answer good[] = {
		{"SET_LICENSE A{key}-1", "OK"}, {"GET_LICENSE", "A{key}-1"}, {0}};
	static const struct answer small[] = {
		{"SET_LICENSE A{key}-1", "OK"}, {"GET_LICENSE", "a{key}-1"}, {0}};
	static const char with[] = "{\"port\":\"c\",\"key\":\"A{key}-1\"}";

	answers = good;
	ck_assert_msg(run("unit.license", with) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	answers = small;
	ck_assert_int_eq(run("unit.license", with), 0);
	ck_assert_int_eq(rig.out.code, ERR_READ_BACK_MISMATCH);
	/* A second command in a key is none. */
	ck_assert_int_lt(run("unit.license", "{\"port\":\"c\",\"key\":\"A\\r\\nERASE\"}"), 0);
	ck_assert_int_lt(run("unit.license", "{\"port\":\"c\",\"key\":\"\"}"), 0);
}
END_TEST

START_TEST(each_flag_has_the_value_that_it_was_given)
{
	static const struct answer good[] = {{"SET_FLAG radio 1", "OK"}, {"SET_FLAG a.b 0", "OK"},
		{"GET_FLAGS", "a.b=0 radio=1 aXb=1"}, {0}};
	static const struct answer other[] = {
		{"SET_FLAG radio 1", "OK"}, {"GET_FLAGS", "xradio=1 radio=0"}, {0}};
	static const struct answer absent[] = {
		{"SET_FLAG radio 1", "OK"}, {"GET_FLAGS", "xradio=1 radio2=1"}, {0}};
	static const char with[] = "{\"port\":\"c\",\"flags\":{\"radio\":1}}";

	answers = good;
	ck_assert_msg(
		run("unit.flags", "{\"port\":\"c\",\"flags\":{\"radio\":true,\"a.b\":\"0\"}}") == 0,
		"%s", rig.e.msg);
	ck_assert_msg(rig.out.verdict == STEP_PASSED, "%s", rig.out.message);
	answers = other;
	ck_assert_int_eq(run("unit.flags", with), 0);
	ck_assert_int_eq(rig.out.code, ERR_READ_BACK_MISMATCH);
	answers = absent;
	ck_assert_int_eq(run("unit.flags", with), 0);
	ck_assert_int_eq(rig.out.code, ERR_READ_BACK_MISMATCH);
	ck_assert_int_eq(
		run("unit.flags", "{\"port\":\"c\",\"flags\":{\"radio\":2}}"), -ERR_RECIPE_INVALID);
}
END_TEST

START_TEST(another_unit_on_the_port_is_noticed)
{
	static const struct answer one[] = {{"chip", "id 0A1B"}, {0}};
	static const struct answer two[] = {{"chip", "id 0A1C"}, {0}};
	static const char with[] =
		"{\"port\":\"c\",\"send\":\"chip\",\"pattern\":\"^id (\\\\w+)$\"}";

	answers = one;
	ck_assert_msg(run("device.identify", with) == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.outputs, "id"), "0A1B");
	answers = two;
	ck_assert_int_eq(run("device.identify", with), -ERR_WRONG_DEVICE);
	ck_assert_int_eq(run("device.identify", "{\"port\":\"c\"}"), -ERR_NO_EVIDENCE);
	strcpy(rig.facts.serial, "USB-1");
	strcpy(rig.facts.node, "/dev/ttyACM0");
	ck_assert_int_eq(run("device.wait", "{\"port\":\"c\"}"), 0);
	ck_assert_str_eq(rig_text(rig.out.outputs, "node"), "/dev/ttyACM0");
}
END_TEST

START_TEST(what_a_unit_without_an_id_says_is_no_identity)
{
	static const char *const none[] = {"FFFFFFFFFFFF", "0x00000000", "00:00:00:00:00:00", "N/A",
		"none", "(null)", "-", "?", "busy", "UID:", "0"};
	static const char *const ids[] = {"0A1B", "SIM-0", "F0", "000000000001", "B00T", "none-1"};
	static const char with[] = "{\"port\":\"c\",\"send\":\"chip\"}";

	for (size_t i = 0; i < ARRAY_LEN(none) + ARRAY_LEN(ids); i++) {
		bool good = i >= ARRAY_LEN(none);
		const struct answer says[] = {
			{"chip", good ? ids[i - ARRAY_LEN(none)] : none[i]}, {0}};

		rig.identity[0] = '\0';
		answers = says;
		ck_assert_msg(run("device.identify", with) == (good ? 0 : -ERR_NO_EVIDENCE),
			"'%s': %s", says[0].says, rig.e.msg);
	}
	answers = NULL;
}
END_TEST

START_TEST(a_line_that_the_unit_says_by_itself_is_waited_for)
{
	fake_says(&wire, "boot\r\nready v3\r\n");
	ck_assert_msg(
		run("console.expect", "{\"port\":\"c\",\"expect\":\"^ready v(\\\\d+)\"}") == 0,
		"%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "line"), "ready v3");
	ck_assert_int_eq(
		run("console.expect", "{\"port\":\"c\",\"expect\":\"^ready\"}"), -ERR_TIMEOUT);
}
END_TEST

static Suite *actions_suite(void)
{
	Suite *s = suite_create("actions");
	TCase *t = tcase_create("actions");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, the_table_is_sorted_and_every_row_is_complete);
	tcase_add_test(t, flaw_17_every_action_needs_evidence_and_none_is_there_that_does_nothing);
	tcase_add_test(t, a_command_passes_on_its_reply_and_on_the_value_read_back);
	tcase_add_test(t, a_command_gives_its_groups_to_later_steps);
	tcase_add_test(t, an_answer_is_looked_for_line_by_line);
	tcase_add_test(t, a_monitor_command_passes_on_what_the_server_printed_and_on_nothing_else);
	tcase_add_test(t, flaw_22_a_value_with_a_space_is_proved_by_reading_it_back);
	tcase_add_test(t, a_value_that_is_told_in_two_ways_is_not_read_back);
	tcase_add_test(t, flaw_22_a_secret_is_masked_and_no_value_carries_a_second_command);
	tcase_add_test(t, flash_tells_both_digests_and_starts_the_application);
	tcase_add_test(t, flash_fails_where_the_flash_differs_or_the_file_is_no_binary);
	tcase_add_test(
		t, flash_puts_each_part_of_a_hex_file_where_it_says_and_refuses_another_address);
	tcase_add_test(t, a_device_that_comes_back_is_waited_for_on_a_new_link);
	tcase_add_test(t, read_erase_and_boot_prove_what_they_did);
	tcase_add_test(t, a_tool_passes_on_what_it_said_and_not_on_its_status);
	tcase_add_test(t, a_tool_is_given_secrets_in_its_environment_alone);
	tcase_add_test(t, flaw_16_a_serial_comes_from_the_ledger_or_from_the_unit_and_from_no_dice);
	tcase_add_test(t, an_address_is_written_in_its_form_and_read_back_in_any);
	tcase_add_test(t, a_license_key_is_what_was_written_to_the_letter);
	tcase_add_test(t, each_flag_has_the_value_that_it_was_given);
	tcase_add_test(t, another_unit_on_the_port_is_noticed);
	tcase_add_test(t, what_a_unit_without_an_id_says_is_no_identity);
	tcase_add_test(t, a_line_that_the_unit_says_by_itself_is_waited_for);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(actions_suite)
