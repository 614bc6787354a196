/* SPDX-License-Identifier: Apache-2.0
 *
 * dfu.otp_* on provsim's DfuSe device, whose one-time memory binds; without USB between them.
 */
#include "tests/unit/actions/action_rig.h"

#include <unistd.h>

#include "daemon/actions/dfu/dfu_otp.h"
#include "tests/unit/transports/dfu_bench.h"

#define MEANT  ",\"irreversible\":\"yes-i-mean-it\""
#define SERIAL "0123456789AB"

static const char map_text[] =
	"otp: an F4\n"
	"fields:\n"
	"  mac: {width: 64, bits: clear, address: 0x1fff7800, lock: byte, lock_at: 0x1fff7a00}\n"
	"  last: {width: 32, bits: clear, address: 0x1fff79fc, lock: byte, lock_at: 0x1fff7a0f}\n"
	"  coded: {width: 64, bits: clear, coding: ecc, address: 0x1fff7800, lock: none}\n"
	"  set: {width: 64, address: 0x1fff7800, lock: none}\n"
	"  odd: {width: 24, bits: clear, address: 0x1fff7800, lock: none}\n"
	"  flash: {width: 32, bits: clear, address: 0x08000000, lock: none}\n";

static struct rig rig;
static struct fake_link wire;
static struct dfu_bench *device;
static struct dfuse_map memory;
static const char *serial;
static char map[64];

static void set_up(void)
{
	static const char *const settings[] = {
		"dfu-memory", "@OTP Memory   /0x1FFF7800/01*512 e,01*016 e", NULL};
	int fd;

	strcpy(map, "/tmp/test_dfu_otp.XXXXXX");
	fd = mkstemp(map);
	ck_assert_int_eq(write(fd, map_text, sizeof map_text - 1), sizeof map_text - 1);
	close(fd);
	device = bench_new(settings);
	bench_map(device, &memory);
	serial = SERIAL;
	rig = (struct rig){.wire = &wire, .secrets = secret_set_new()};
}

static void tear_down(void)
{
	rig_done(&rig);
	bench_free(device);
	unlink(map);
}

static char *with(const char *field, const char *more)
{
	return xasprintf("{\"port\":\"u\",\"map\":\"%s\",\"field\":\"%s\"%s}", map, field, more);
}

typedef int otp_fn(struct otp_act *x, struct step_result *out, struct err *e);

/* As the action does it, over the session of the bench. */
static int otp(const char *name, otp_fn *fn, const char *field, const char *more)
{
	const struct action *a = action_find(name);
	_cleanup_(freep) char *text = with(field, more);
	struct scope scope = {rig_no_name, NULL};
	json_t *j = json_loads(text, 0, NULL);
	struct args *args = NULL;
	struct step s = {.id = "the-step",
		.action = a,
		.it = {now_us() + 20 * US_PER_S, NULL},
		.secrets = rig.secrets,
		.ops = &rig_ops,
		.env = &rig};
	struct dfu_otp o = {.dfu = &device->dfu, .map = &memory, .serial = serial};
	int r;

	rig_clear(&rig);
	ck_assert_int_eq(dfu_make_idle(&device->dfu, &s.it, NULL), 0);
	ck_assert_msg(args_new(a->args, j, &scope, &args, &rig.e) == 0, "%s", rig.e.msg);
	r = otp_prepare(&o.act, &s, args, &rig.e);
	o.act.port = &dfu_otp_port;
	o.act.to = &o;
	if (r == 0)
		r = fn(&o.act, &rig.out, &rig.e);
	otp_done(&o.act);
	args_free(args);
	json_decref(j);
	return r;
}

static int burn(const char *field, const char *value)
{
	_cleanup_(freep) char *more = xasprintf(",\"value\":\"%s\"" MEANT, value);

	return otp("dfu.otp_write", otp_write, field, more);
}

static void burns(const char *field, const char *value, const char *proof)
{
	ck_assert_msg(burn(field, value) == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), proof);
}

static void fails(int r, enum err_code code, const char *says)
{
	ck_assert_msg(r == -(int)code && strstr(rig.e.msg, says), "%d %s", r, rig.e.msg);
}

static void holds(uint32_t at, const char *hex)
{
	const struct iotime it = {now_us() + 20 * US_PER_S, NULL};
	uint8_t got[16], want[16];
	size_t n = strlen(hex) / 2;

	ck_assert(hex_parse(hex, want, n));
	ck_assert_int_eq(dfu_make_idle(&device->dfu, &it, NULL), 0);
	ck_assert_int_eq(dfuse_read(&device->dfu, &memory, at, got, n, &it, NULL), 0);
	ck_assert_mem_eq(got, want, n);
}

START_TEST(a_field_is_burnt_once_and_read_back)
{
	burns("mac", "acde480012340000", "read-back");
	holds(0x1fff7800, "acde480012340000ffff");
	ck_assert_str_eq(rig.intent.unit, SERIAL);
	ck_assert_str_eq(rig.identity, SERIAL);
	burns("mac", "acde480012340000", "observed");
	ck_assert_int_eq(bench_count(device, "data_blocks"), 1);
}
END_TEST

START_TEST(a_bit_that_should_not_be_burnt_is_a_conflict)
{
	burns("mac", "fffffffffffffffe", "read-back");
	fails(burn("mac", "fffffffffffffffd"), ERR_OTP_CONFLICT, "never hold it");
	ck_assert_int_eq(bench_count(device, "data_blocks"), 1);
}
END_TEST

START_TEST(half_of_a_coded_field_is_never_completed)
{
	burns("mac", "11111111ffffffff", "read-back");
	fails(burn("coded", "1111111122222222"), ERR_OTP_HALF, "scrap the unit");
	ck_assert_int_eq(bench_count(device, "data_blocks"), 1);
}
END_TEST

START_TEST(a_block_is_locked_by_its_byte_and_by_no_other)
{
	ck_assert_int_eq(otp("dfu.otp_lock", otp_lock, "mac", MEANT), 0);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "read-back");
	holds(0x1fff7a00, "00ffffff");
	fails(burn("mac", "1111111122222222"), ERR_OTP_LOCKED, "is locked");
	burns("last", "00000001", "read-back");
	ck_assert_int_eq(otp("dfu.otp_lock", otp_lock, "mac", MEANT), 0);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "observed");
}
END_TEST

/* The map has no lock, and the part has: it refuses, and nothing is burnt. */
START_TEST(what_the_device_refuses_is_an_error)
{
	ck_assert_int_eq(otp("dfu.otp_lock", otp_lock, "mac", MEANT), 0);
	fails(burn("coded", "1111111122222222"), ERR_DEVICE_REFUSED, "otp field 'coded'");
	holds(0x1fff7800, "ffffffffffffffff");
}
END_TEST

START_TEST(a_write_that_is_lost_is_no_pass)
{
	bench_fault(device, "lost-write");
	fails(burn("mac", "1111111122222222"), ERR_READ_BACK_MISMATCH, "no bit of it is burnt");
}
END_TEST

START_TEST(a_mass_erase_leaves_what_is_burnt)
{
	const struct iotime it = {now_us() + 20 * US_PER_S, NULL};

	burns("mac", "1111111122222222", "read-back");
	ck_assert_int_eq(dfu_make_idle(&device->dfu, &it, NULL), 0);
	ck_assert_int_eq(dfuse_mass_erase(&device->dfu, &it, NULL), 0);
	holds(0x1fff7800, "1111111122222222");
}
END_TEST

START_TEST(a_unit_without_a_name_is_not_burnt)
{
	serial = "";
	fails(burn("mac", "1111111122222222"), ERR_UNSUPPORTED, "no USB serial number");
	serial = "other";
	strcpy(rig.identity, SERIAL);
	fails(burn("mac", "1111111122222222"), ERR_WRONG_DEVICE, "another unit");
	ck_assert_uint_eq(rig.intents, 0);
	ck_assert_int_eq(bench_count(device, "data_blocks"), 0);
}
END_TEST

START_TEST(an_address_that_the_device_does_not_show_is_not_written)
{
	fails(burn("flash", "11111111"), ERR_IMAGE_RANGE, "0x08000000");
	ck_assert_uint_eq(rig.intents, 0);
}
END_TEST

START_TEST(slips_are_found_before_the_device_is_opened)
{
	static const char *const bad[] = {"set", "odd"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_(freep) char *args =
			with(bad[i], i ? ",\"value\":\"111111\"" MEANT
				       : ",\"value\":\"1111111122222222\"" MEANT);

		rig_refused(&rig, "dfu.otp_write", args, ERR_RECIPE_INVALID, bad[i]);
	}

	_cleanup_(freep) char *good = with("mac", ",\"value\":\"1111111122222222\"" MEANT);

	rig_refused(&rig, "dfu.otp_write", good, ERR_DEVICE_GONE, "no USB device");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("dfu_otp");
	TCase *c = tcase_create("dfu_otp");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_field_is_burnt_once_and_read_back);
	tcase_add_test(c, a_bit_that_should_not_be_burnt_is_a_conflict);
	tcase_add_test(c, half_of_a_coded_field_is_never_completed);
	tcase_add_test(c, a_block_is_locked_by_its_byte_and_by_no_other);
	tcase_add_test(c, what_the_device_refuses_is_an_error);
	tcase_add_test(c, a_write_that_is_lost_is_no_pass);
	tcase_add_test(c, a_mass_erase_leaves_what_is_burnt);
	tcase_add_test(c, a_unit_without_a_name_is_not_burnt);
	tcase_add_test(c, an_address_that_the_device_does_not_show_is_not_written);
	tcase_add_test(c, slips_are_found_before_the_device_is_opened);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
