/* SPDX-License-Identifier: Apache-2.0
 *
 * esp.* on provsim's boot ROM, whose DTR and RTS are wired as on usual boards.
 */
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/esp_bench.h"

#include <fcntl.h>

static struct rig rig;
static struct boot_bench bench;
static char boot[64], app[64];

static const char *const wired[] = {"esp-chip=esp32c3", "esp-wiring=dtr-rts", NULL};
static const char *const usb[] = {"esp-chip=esp32c3", "esp-wiring=usb-jtag", NULL};
static const char *const ready[] = {"esp-chip=esp32c3", NULL};
static const char *const secure[] = {"esp-chip=esp32c3", "esp-secure=1", NULL};

static void write_file(char path[64], const void *p, size_t n)
{
	int fd;

	snprintf(path, 64, "/tmp/test_esp.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static void plug(const char *const *settings)
{
	boot_bench_init(&bench, &esp_device, settings, "00112233445566778899aabb");
	rig.wire = &bench.wire;
}

static void set_up(void)
{
	static uint8_t image[8192];

	write_file(boot, image, esp_image_file(image, sizeof image, 5, 3000));
	write_file(app, image, esp_image_file(image, sizeof image, 5, 6000));
	rig.secrets = secret_set_new();
}

static void tear_down(void)
{
	rig_clear(&rig);
	secret_set_free(rig.secrets);
	sb_done(&rig.log);
	boot_bench_done(&bench);
	unlink(boot);
	unlink(app);
}

static const char *flash_with(const char *more)
{
	static char with[512];

	snprintf(with, sizeof with,
		"{\"port\":\"c\",\"images\":{\"0x0\":\"%s\",\"0x10000\":\"%s\"}%s}", boot, app,
		more);
	return with;
}

static int flash(const char *more)
{
	return rig_run(&rig, "esp.flash", flash_with(more));
}

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
	const json_t *images;

	ops.load_image = load_secret;
	rig.ops = &ops;
	plug(ready);
	ck_assert_msg(flash("") == 0, "%s", rig.e.msg);
	images = json_object_get(rig.out.evidence, "images");
	for (size_t i = 0; i < 2; i++)
		ck_assert(secret_found(rig.secrets, rig_text(json_array_get(images, i), "md5")));
	rig.ops = NULL;
}
END_TEST

static const char *const resets[] = {"classic", "usb-jtag"};

START_TEST(a_board_is_brought_into_its_rom_and_out_of_it)
{
	_cleanup_(freep) char *more = xasprintf(",\"reset\":\"%s\",\"baud\":460800", resets[_i]);
	const json_t *first;

	plug(_i ? usb : wired);
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
	ck_assert_msg(flash(more) == 0, "%s", rig.e.msg);
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
	ck_assert_uint_eq(bench.wire.link.baud, 115200);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "md5");
	ck_assert_str_eq(rig_text(rig.out.evidence, "chip"), "ESP32-C3");
	ck_assert_str_eq(rig_text(rig.out.outputs, "mac"), rig_text(rig.out.evidence, "mac"));
	first = json_array_get(json_object_get(rig.out.evidence, "images"), 0);
	ck_assert_uint_eq(strlen(rig_text(first, "md5")), 32);
}
END_TEST

START_TEST(a_step_that_fails_leaves_by_its_exit_too)
{
	plug(wired);
	boot_bench_fault(&bench, "bit-rot=100,count=0");
	rig_refused(&rig, "esp.flash", flash_with(",\"reset\":\"classic\""), ERR_VERIFY_MISMATCH,
		"MD5");
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
}
END_TEST

START_TEST(slips_are_told_before_anything_is_sent)
{
	static const struct {
		const char *with;
		enum err_code code;
		const char *says;
	} slips[] = {
		{"{\"port\":\"c\",\"images\":{}}", ERR_INVALID, "1 to 32"},
		{"{\"port\":\"c\",\"images\":{\"here\":\"x\"}}", ERR_INVALID, "not an offset"},
		{"{\"port\":\"c\",\"images\":{\"0x1000\":\"/nonexistent\"}}", ERR_NOT_FOUND, ""},
	};

	plug(ready);
	for (size_t i = 0; i < ARRAY_LEN(slips); i++)
		rig_refused(&rig, "esp.flash", slips[i].with, slips[i].code, slips[i].says);
	rig_refused(&rig, "esp.flash", flash_with(",\"reset\":\"classic\",\"enter\":\"dtr=1\""),
		ERR_RECIPE_INVALID, "one or the other");
	rig_refused(&rig, "esp.flash", flash_with(",\"flash_size\":\"1001\""), ERR_INVALID,
		"flash_size");
	ck_assert_uint_eq(bench.wire.heard_len, 0);
}
END_TEST

START_TEST(a_file_that_is_no_image_of_the_chip_is_refused_before_the_erase)
{
	static const uint8_t text[64] = {0x12, 0x34, 0x56};
	static uint8_t other[4096];
	size_t n;

	plug(ready);
	unlink(boot);
	write_file(boot, text, sizeof text);
	rig_refused(
		&rig, "esp.flash", flash_with(""), ERR_IMAGE_INVALID, "looks for its bootloader");
	ck_assert_msg(flash(",\"format\":\"bin\"") == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "declared"), "bin");
	unlink(boot);
	n = esp_image_file(other, sizeof other, 9, 1000);
	write_file(boot, other, n);
	rig_refused(&rig, "esp.flash", flash_with(""), ERR_WRONG_DEVICE, "ESP32-S3");
	unlink(boot);
	other[600] ^= 1;
	write_file(boot, other, n);
	rig_refused(&rig, "esp.flash", flash_with(""), ERR_IMAGE_INVALID, "damaged");
	ck_assert_int_eq(boot_bench_count(&bench, "erases"), 1 + 2);
}
END_TEST

START_TEST(another_chip_than_the_recipe_wants_is_not_touched)
{
	plug(ready);
	rig_refused(&rig, "esp.flash", flash_with(",\"chip\":\"ESP32-S3\""), ERR_WRONG_DEVICE,
		"wants an ESP32-S3");
	rig_refused(&rig, "esp.info", "{\"port\":\"c\",\"chip\":\"ESP32\"}", ERR_WRONG_DEVICE,
		"wants an ESP32");
	ck_assert_int_eq(boot_bench_count(&bench, "erases"), 0);
}
END_TEST

START_TEST(secure_download_mode_passes_by_what_was_acknowledged_and_says_so)
{
	plug(secure);
	rig_refused(&rig, "esp.flash", flash_with(",\"flash_size\":\"4M\""), ERR_UNSUPPORTED,
		"acknowledged");
	rig_refused(&rig, "esp.flash",
		flash_with(",\"verify\":\"acknowledged\",\"skip_equal\":true"), ERR_RECIPE_INVALID,
		"skip_equal");
	ck_assert_msg(
		flash(",\"verify\":\"acknowledged\",\"flash_size\":\"4M\"") == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "acknowledged");
	ck_assert_str_eq(rig_text(rig.out.outputs, "mac"), "");
	rig_refused(&rig, "esp.efuse", "{\"port\":\"c\"}", ERR_UNSUPPORTED, "fuses");
}
END_TEST

START_TEST(the_wear_of_the_flash_is_in_the_evidence)
{
	plug(ready);
	ck_assert_msg(flash(",\"skip_equal\":true") == 0, "%s", rig.e.msg);
	ck_assert_int_eq(
		json_integer_value(json_object_get(rig.out.evidence, "pages_erased")), 1 + 2);
	ck_assert_msg(flash(",\"skip_equal\":true") == 0, "%s", rig.e.msg);
	ck_assert_int_eq(json_integer_value(json_object_get(rig.out.evidence, "pages_erased")), 0);
	ck_assert_msg(rig_run(&rig, "esp.erase",
			      "{\"port\":\"c\",\"address\":\"0x10000\",\"size\":\"8K\"}") == 0,
		"%s", rig.e.msg);
	ck_assert_int_eq(
		json_integer_value(json_object_get(rig.out.evidence, "blank_bytes")), 8192);
	rig_refused(&rig, "esp.erase", "{\"port\":\"c\",\"address\":\"0x10100\",\"size\":\"8K\"}",
		ERR_INVALID, "multiples");
	rig_refused(&rig, "esp.erase", "{\"port\":\"c\",\"address\":\"8M\"}", ERR_INVALID,
		"do not lie");
}
END_TEST

START_TEST(all_of_the_flash_is_erased_first_where_the_recipe_says_so)
{
	static const char *const small[] = {"esp-chip=esp32c3", "esp-flash=4M", NULL};

	plug(small);
	ck_assert_msg(rig_run(&rig, "esp.flash", flash_with("")) == 0, "%s", rig.e.msg);
	ck_assert_msg(flash(",\"erase\":\"all\"") == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "erased_before"), "all");
	ck_assert_int_eq(boot_bench_count(&bench, "erases"), 2 * 3 + 1024);
	rig_refused(&rig, "esp.flash", flash_with(",\"erase\":\"all\",\"skip_equal\":true"),
		ERR_RECIPE_INVALID, "skip_equal");
}
END_TEST

START_TEST(it_is_left_by_the_roms_own_command)
{
	plug(ready);
	ck_assert_msg(flash(",\"reboot\":true") == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "rebooted"), "acknowledged");
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
}
END_TEST

START_TEST(fuses_are_read_as_they_are)
{
	plug(ready);
	ck_assert_msg(rig_run(&rig, "esp.efuse", "{\"port\":\"c\"}") == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.evidence, "fuses_from"), "0x6000882c");
	ck_assert_uint_eq(json_array_size(json_object_get(rig.out.evidence, "fuses")), 12);
	ck_assert_str_eq(rig_text(rig.out.outputs, "revision"), "1.1");
}
END_TEST

static Suite *esp_suite(void)
{
	Suite *s = suite_create("esp");
	TCase *t = tcase_create("esp");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_digest_of_an_image_with_a_secret_is_a_secret);
	tcase_add_loop_test(t, a_board_is_brought_into_its_rom_and_out_of_it, 0, ARRAY_LEN(resets));
	tcase_add_test(t, a_step_that_fails_leaves_by_its_exit_too);
	tcase_add_test(t, slips_are_told_before_anything_is_sent);
	tcase_add_test(t, a_file_that_is_no_image_of_the_chip_is_refused_before_the_erase);
	tcase_add_test(t, another_chip_than_the_recipe_wants_is_not_touched);
	tcase_add_test(t, secure_download_mode_passes_by_what_was_acknowledged_and_says_so);
	tcase_add_test(t, the_wear_of_the_flash_is_in_the_evidence);
	tcase_add_test(t, all_of_the_flash_is_erased_first_where_the_recipe_says_so);
	tcase_add_test(t, it_is_left_by_the_roms_own_command);
	tcase_add_test(t, fuses_are_read_as_they_are);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(esp_suite)
