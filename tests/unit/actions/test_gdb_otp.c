/* SPDX-License-Identifier: Apache-2.0
 *
 * gdb.otp_* against a debug server whose one-time memory binds, and takes a write only while its
 * controller is open.
 */
#include "tests/unit/actions/action_rig.h"

#include <unistd.h>

#include "tests/unit/transports/gdb_stub.h"

#define MEANT ",\"irreversible\":\"yes-i-mean-it\""
#define ACT   MEANT ",\"uid\":\"0x1fff7a10\",\"before\":[\"open\"],\"after\":[\"close\"]"
#define UID   "00112233445566778899aabb"

static const char map_text[] =
	"otp: an F4\n"
	"fields:\n"
	"  mac: {width: 64, bits: clear, address: 0x1fff7800, lock: byte, lock_at: 0x1fff7a00}\n"
	"  last: {width: 32, bits: clear, address: 0x1fff79fc, lock: byte, lock_at: 0x1fff7a0f}\n"
	"  coded: {width: 64, bits: clear, coding: ecc, address: 0x1fff7800, lock: none}\n"
	"  set: {width: 64, address: 0x1fff7800, lock: byte, lock_at: 0x1fff7a00}\n"
	"  odd: {width: 24, bits: clear, address: 0x1fff7800, lock: none}\n"
	"  name: {width: 32, bits: clear, lock: none}\n";

static struct rig rig;
static struct gdb_stub *stub;
static char map[64];

static void set_up(void)
{
	int fd;

	strcpy(map, "/tmp/test_gdb_otp.XXXXXX");
	fd = mkstemp(map);
	ck_assert_int_eq(write(fd, map_text, sizeof map_text - 1), sizeof map_text - 1);
	close(fd);
	stub = stub_new();
	memset(stub->otp, 0xff, STUB_OTP_BYTES);
	ck_assert(hex_parse(UID, stub->otp + STUB_OTP_BYTES, 12));
	rig = (struct rig){.wire = &stub->fake, .secrets = secret_set_new()};
}

static void tear_down(void)
{
	rig_done(&rig);
	stub_free(stub);
	unlink(map);
}

static char *with(const char *field, const char *more)
{
	return xasprintf("{\"port\":\"p\",\"map\":\"%s\",\"field\":\"%s\"%s}", map, field, more);
}

static void does(const char *action, const char *field, const char *more, const char *proof)
{
	_cleanup_(freep) char *args = with(field, more);

	ck_assert_msg(rig_run(&rig, action, args) == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), proof);
	ck_assert(!stub->otp_open);
}

static void fails(const char *action, const char *field, const char *more, enum err_code code,
	const char *says)
{
	_cleanup_(freep) char *args = with(field, more);

	rig_refused(&rig, action, args, code, says);
	ck_assert(!stub->otp_open);
}

#define VALUE(hex) ",\"value\":\"" hex "\"" ACT

START_TEST(a_field_is_burnt_once_and_read_back)
{
	does("gdb.otp_write", "mac", VALUE("acde480012340000"), "read-back");
	ck_assert_mem_eq(stub->otp, "\xac\xde\x48\x00\x12\x34\x00\x00\xff", 9);
	ck_assert_str_eq(rig.intent.unit, UID);
	does("gdb.otp_write", "mac", VALUE("acde480012340000"), "observed");
	does("gdb.otp_read", "mac", "", "read");
	ck_assert_str_eq(rig_text(rig.out.outputs, "value"), "acde480012340000");
	ck_assert_uint_eq(stub->otp_writes, 1);
}
END_TEST

START_TEST(what_is_burnt_is_never_written_over)
{
	does("gdb.otp_write", "mac", VALUE("11111111ffffffff"), "read-back");
	fails("gdb.otp_write", "mac", VALUE("21111111ffffffff"), ERR_OTP_CONFLICT, "never hold it");
	fails("gdb.otp_write", "coded", VALUE("1111111122222222"), ERR_OTP_HALF, "scrap the unit");
	ck_assert_uint_eq(stub->otp_writes, 1);
}
END_TEST

START_TEST(a_block_is_locked_by_its_byte)
{
	does("gdb.otp_lock", "mac", ACT, "read-back");
	ck_assert_mem_eq(stub->otp + 512, "\x00\xff\xff\xff", 4);
	fails("gdb.otp_write", "mac", VALUE("1111111122222222"), ERR_OTP_LOCKED, "is locked");
	does("gdb.otp_write", "last", VALUE("00000001"), "read-back");
	does("gdb.otp_lock", "mac", ACT, "observed");
}
END_TEST

START_TEST(a_controller_that_stays_closed_burns_nothing)
{
	fails("gdb.otp_write", "mac",
		",\"value\":\"1111111122222222\"" MEANT ",\"uid\":\"0x1fff7a10\"",
		ERR_DEVICE_REFUSED, "otp field 'mac'");
	ck_assert_uint_eq(stub->otp_writes, 0);
}
END_TEST

START_TEST(a_controller_is_closed_whatever_came_of_the_write)
{
	stub->fail_on = "X1fff7800";
	fails("gdb.otp_write", "mac", VALUE("1111111122222222"), ERR_DEVICE_REFUSED,
		"otp field 'mac'");
	ck_assert_ptr_nonnull(strstr(stub->story.s, "qRcmd,636c6f7365"));
}
END_TEST

START_TEST(a_unit_that_nobody_knows_is_not_burnt)
{
	fails("gdb.otp_write", "mac",
		",\"value\":\"1111111122222222\",\"uid\":\"0x1fff7a08\",\"uid_bytes\":4" MEANT,
		ERR_UNSUPPORTED, "all alike");
	strcpy(rig.identity, "other");
	fails("gdb.otp_write", "mac", VALUE("1111111122222222"), ERR_WRONG_DEVICE, "another unit");
	ck_assert_uint_eq(rig.intents, 0);
	ck_assert_uint_eq(stub->otp_writes, 0);
}
END_TEST

START_TEST(slips_are_found_before_the_target_is_asked)
{
	fails("gdb.otp_write", "set", VALUE("1111111122222222"), ERR_RECIPE_INVALID, "'byte'");
	fails("gdb.otp_write", "odd", VALUE("111111"), ERR_RECIPE_INVALID, "4 bytes at once");
	fails("gdb.otp_write", "name", VALUE("11111111"), ERR_RECIPE_INVALID, "'address'");
	ck_assert_uint_eq(stub->story.len, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gdb_otp");
	TCase *c = tcase_create("gdb_otp");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_field_is_burnt_once_and_read_back);
	tcase_add_test(c, what_is_burnt_is_never_written_over);
	tcase_add_test(c, a_block_is_locked_by_its_byte);
	tcase_add_test(c, a_controller_that_stays_closed_burns_nothing);
	tcase_add_test(c, a_controller_is_closed_whatever_came_of_the_write);
	tcase_add_test(c, a_unit_that_nobody_knows_is_not_burnt);
	tcase_add_test(c, slips_are_found_before_the_target_is_asked);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
