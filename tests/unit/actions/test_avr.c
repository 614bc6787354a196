/* SPDX-License-Identifier: Apache-2.0
 *
 * avr.* on provsim's bootloader, with a capacitor from DTR to RESET.
 */
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/boot_bench.h"

#include <fcntl.h>

static struct rig rig;
static struct boot_bench bench;
static char path[64];

static void set_up(void)
{
	static const char *const wired[] = {"avr-part=m328p", "avr-wiring=dtr", NULL};
	int fd;

	snprintf(path, sizeof path, "/tmp/test_avr.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "vectors\0and code", 16), 16);
	close(fd);
	rig.secrets = secret_set_new();
	boot_bench_init(&bench, &avr_device, wired, "00112233445566778899aabb");
	rig.wire = &bench.wire;
}

static void tear_down(void)
{
	rig_clear(&rig);
	secret_set_free(rig.secrets);
	sb_done(&rig.log);
	boot_bench_done(&bench);
	unlink(path);
}

static const char *flash_with(const char *more)
{
	static char with[256];

	snprintf(with, sizeof with, "{\"port\":\"c\",\"image\":\"%s\"%s}", path, more);
	return with;
}

START_TEST(a_board_is_reset_into_its_bootloader_and_started)
{
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
	ck_assert_msg(rig_run(&rig, "avr.flash",
			      flash_with(",\"reset\":\"dtr\",\"part\":\"1e950f\"")) == 0,
		"%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "part"), "ATmega328P");
	ck_assert_str_eq(rig_text(rig.out.evidence, "sha256_read"),
		rig_text(rig.out.evidence, "sha256_written"));
	ck_assert_str_eq(rig_text(rig.out.evidence, "started"), "acknowledged");
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
}
END_TEST

/* As an image of image.compose that holds a secret. */
static int load_secret(
	void *env, const char *ref, const struct image_opts *o, struct image **ret, struct err *e)
{
	struct image_opts own = *o;

	own.secret = true;
	return image_open(ref, &own, ret, e);
}

START_TEST(a_digest_of_an_image_with_a_secret_is_a_secret)
{
	struct step_env_ops ops = rig_ops;

	ops.load_image = load_secret;
	rig.ops = &ops;
	ck_assert_msg(
		rig_run(&rig, "avr.flash", flash_with(",\"reset\":\"dtr\"")) == 0, "%s", rig.e.msg);
	ck_assert(secret_found(rig.secrets, rig_text(rig.out.evidence, "sha256_written")));
	ck_assert(secret_found(rig.secrets, rig_text(rig.out.evidence, "sha256_read")));
	rig.ops = NULL;
}
END_TEST

START_TEST(slips_are_told_before_anything_is_sent)
{
	rig_refused(&rig, "avr.flash", flash_with(",\"reset\":\"dtr\",\"enter\":\"dtr=1\""),
		ERR_RECIPE_INVALID, "one or the other");
	rig_refused(
		&rig, "avr.flash", flash_with(",\"page\":\"300\""), ERR_INVALID, "power of two");
	rig_refused(
		&rig, "avr.flash", flash_with(",\"flash_size\":\"4M\""), ERR_INVALID, "megabyte");
	ck_assert_uint_eq(bench.wire.heard_len, 0);
}
END_TEST

START_TEST(another_part_than_the_recipe_wants_is_not_written)
{
	rig_refused(&rig, "avr.flash", flash_with(",\"reset\":\"dtr\",\"part\":\"ATmega2560\""),
		ERR_WRONG_DEVICE, "wants ATmega2560");
	ck_assert_int_eq(boot_bench_count(&bench, "writes"), 0);
}
END_TEST

static Suite *avr_suite(void)
{
	Suite *s = suite_create("avr");
	TCase *t = tcase_create("avr");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_board_is_reset_into_its_bootloader_and_started);
	tcase_add_test(t, a_digest_of_an_image_with_a_secret_is_a_secret);
	tcase_add_test(t, slips_are_told_before_anything_is_sent);
	tcase_add_test(t, another_part_than_the_recipe_wants_is_not_written);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(avr_suite)
