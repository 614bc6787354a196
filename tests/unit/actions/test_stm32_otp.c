/* SPDX-License-Identifier: Apache-2.0
 *
 * stm32.otp_* on provsim's boot ROM, whose one-time memory binds: what is burnt, how often, and what
 * is never burnt.
 */
#include "tests/unit/actions/action_rig.h"

#include <unistd.h>

#include "tests/unit/transports/stm32_bench.h"

#define MEANT ",\"irreversible\":\"yes-i-mean-it\""
#define UID   "00112233445566778899aabb"

static const char map_text[] =
	"otp: an F4\n"
	"fields:\n"
	"  mac: {width: 64, bits: clear, address: 0x1fff7800, lock: byte, lock_at: 0x1fff7a00}\n"
	"  last: {width: 32, bits: clear, address: 0x1fff79fc, lock: byte, lock_at: 0x1fff7a0f}\n"
	"  coded: {width: 64, bits: clear, coding: ecc, address: 0x1fff7800, lock: none}\n"
	"  big: {width: 3072, bits: clear, address: 0x1fff7800, lock: none}\n"
	"  set: {width: 64, address: 0x1fff7800, lock: none}\n"
	"  odd: {width: 24, bits: clear, address: 0x1fff7800, lock: none}\n"
	"  off: {width: 32, bits: clear, address: 0x1fff7802, lock: none}\n"
	"  flash: {width: 32, bits: clear, address: 0x1fff0000, lock: none}\n"
	"  name: {width: 32, bits: clear, lock: none}\n"
	"  command: {width: 32, bits: clear, address: 0x1fff7800}\n";

static struct rig rig;
static struct stm32_bench bench;
static char map[64];

static void set_up(void)
{
	const char *const settings[] = {"stm32-pid=0x413", NULL};
	int fd;

	strcpy(map, "/tmp/test_stm32_otp.XXXXXX");
	fd = mkstemp(map);
	ck_assert_int_eq(write(fd, map_text, sizeof map_text - 1), sizeof map_text - 1);
	close(fd);
	stm32_bench_init(&bench, settings);
	bench.wire.link.baud = 115200;
	rig = (struct rig){.wire = &bench.wire, .secrets = secret_set_new()};
}

static void tear_down(void)
{
	rig_done(&rig);
	stm32_bench_done(&bench);
	unlink(map);
}

static char *with(const char *field, const char *more)
{
	return xasprintf("{\"port\":\"c\",\"parity\":\"none\",\"map\":\"%s\",\"field\":\"%s\"%s}",
		map, field, more);
}

static void does(const char *action, const char *field, const char *more)
{
	_cleanup_(freep) char *args = with(field, more);

	ck_assert_msg(rig_run(&rig, action, args) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
}

static void fails(const char *action, const char *field, const char *more, enum err_code code,
	const char *says)
{
	_cleanup_(freep) char *args = with(field, more);

	rig_refused(&rig, action, args, code, says);
}

/* The first bytes of the memory, or of its locks, in hex. */
static void holds(size_t at, const char *hex)
{
	json_t *o = json_object();
	const char *otp;

	bench.device->ops->json(bench.device, true, o);
	otp = rig_text(o, "otp");
	ck_assert_uint_gt(strlen(otp), 2 * at);
	ck_assert_msg(!strncmp(otp + 2 * at, hex, strlen(hex)), "%.40s", otp + 2 * at);
	json_decref(o);
}

static json_int_t burns(void)
{
	json_t *o = json_object();
	json_int_t n;

	bench.device->ops->json(bench.device, true, o);
	n = json_integer_value(json_object_get(o, "otp_writes"));
	json_decref(o);
	return n;
}

#define VALUE(hex) ",\"value\":\"" hex "\"" MEANT

START_TEST(a_field_is_burnt_once_and_read_back)
{
	does("stm32.otp_write", "mac", VALUE("acde480012340000"));
	holds(0, "acde480012340000ffff");
	ck_assert_str_eq(rig.intent.unit, UID);
	ck_assert_str_eq(rig.intent.what, "otp mac");
	ck_assert_int_eq(rig.seen.state, OBSERVED_BLANK);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "read-back");
	does("stm32.otp_write", "mac", VALUE("acde480012340000"));
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "observed");
	does("stm32.otp_read", "mac", "");
	ck_assert_str_eq(rig_text(rig.out.outputs, "value"), "acde480012340000");
	ck_assert_str_eq(rig_text(rig.out.outputs, "locked"), "open");
	ck_assert_int_eq(burns(), 1);
}
END_TEST

START_TEST(a_field_of_more_than_a_block_is_burnt_whole)
{
	char value[2 * 384 + 1], more[2 * 384 + 64];

	memset(value, '5', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	snprintf(more, sizeof more, ",\"value\":\"%s\"" MEANT, value);
	does("stm32.otp_write", "big", more);
	ck_assert_int_eq(burns(), 2);
	holds(0, value);
}
END_TEST

START_TEST(a_bit_that_should_not_be_burnt_is_a_conflict)
{
	does("stm32.otp_write", "mac", VALUE("fffffffffffffffe"));
	fails("stm32.otp_write", "mac", VALUE("fffffffffffffffd"), ERR_OTP_CONFLICT, "never hold");
	ck_assert_int_eq(burns(), 1);
}
END_TEST

START_TEST(half_a_burn_is_seen_by_the_next_run)
{
	stm32_bench_fault(&bench, "half-write");
	fails("stm32.otp_write", "coded", VALUE("1111111122222222"), ERR_OTP_HALF,
		"scrap the unit");
	holds(0, "11111111ffffffff");
	fails("stm32.otp_write", "coded", VALUE("1111111122222222"), ERR_OTP_HALF,
		"scrap the unit");
	ck_assert_int_eq(burns(), 1);
	does("stm32.otp_write", "mac", VALUE("1111111122222222") ",\"complete\":true");
	holds(0, "1111111122222222");
}
END_TEST

START_TEST(a_lost_answer_is_found_by_reading_back)
{
	stm32_bench_fault(&bench, "lost-ack");
	does("stm32.otp_write", "mac", VALUE("1111111122222222"));
	ck_assert_ptr_nonnull(json_object_get(rig.out.evidence, "answer"));
	ck_assert_int_eq(burns(), 1);
}
END_TEST

START_TEST(a_block_is_locked_by_its_byte_and_by_no_other)
{
	fails("stm32.otp_lock", "mac", VALUE("1111111122222222"), ERR_OTP_CONFLICT,
		"is not locked");
	does("stm32.otp_lock", "mac", MEANT);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "read-back");
	holds(512, "00ffffff");
	fails("stm32.otp_write", "mac", VALUE("1111111122222222"), ERR_OTP_LOCKED, "is locked");
	does("stm32.otp_write", "last", VALUE("00000001"));
	does("stm32.otp_lock", "last", VALUE("00000001"));
	holds(524, "ffffff00");
	does("stm32.otp_lock", "last", VALUE("00000001"));
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "observed");
	ck_assert_int_eq(burns(), 3);
}
END_TEST

START_TEST(another_unit_is_not_burnt)
{
	strcpy(rig.identity, "ffffffffffffffffffffffff");
	fails("stm32.otp_write", "mac", VALUE("1111111122222222"), ERR_WRONG_DEVICE, "another");
	ck_assert_uint_eq(rig.intents, 0);
	ck_assert_int_eq(burns(), 0);
	/* It goes by another name: the journal has the part's own. */
	does("stm32.otp_write", "mac", VALUE("1111111122222222") ",\"is_unit\":false");
	ck_assert_str_eq(rig.intent.unit, UID);
	ck_assert_str_eq(rig.identity, "ffffffffffffffffffffffff");
}
END_TEST

static const struct {
	const char *field, *value;
	enum err_code code;
	const char *says;
} slips[] = {
	{"set", "1111111122222222", ERR_RECIPE_INVALID, "bits: clear"},
	{"name", "11111111", ERR_RECIPE_INVALID, "'address'"},
	{"command", "11111111", ERR_RECIPE_INVALID, "'lock: byte'"},
	{"odd", "111111", ERR_RECIPE_INVALID, "4 bytes at once"},
	{"off", "11111111", ERR_RECIPE_INVALID, "4 bytes at once"},
	{"flash", "11111111", ERR_DEVICE_REFUSED, "0x1fff0000"},
};

START_TEST(slips_are_found_before_anything_is_burnt)
{
	_cleanup_(freep) char *more = xasprintf(",\"value\":\"%s\"" MEANT, slips[_i].value);

	fails("stm32.otp_write", slips[_i].field, more, slips[_i].code, slips[_i].says);
	ck_assert_uint_eq(rig.intents, 0);
	ck_assert_int_eq(burns(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("stm32_otp");
	TCase *c = tcase_create("stm32_otp");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_field_is_burnt_once_and_read_back);
	tcase_add_test(c, a_field_of_more_than_a_block_is_burnt_whole);
	tcase_add_test(c, a_bit_that_should_not_be_burnt_is_a_conflict);
	tcase_add_test(c, half_a_burn_is_seen_by_the_next_run);
	tcase_add_test(c, a_lost_answer_is_found_by_reading_back);
	tcase_add_test(c, a_block_is_locked_by_its_byte_and_by_no_other);
	tcase_add_test(c, another_unit_is_not_burnt);
	tcase_add_loop_test(c, slips_are_found_before_anything_is_burnt, 0, (int)ARRAY_LEN(slips));
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
