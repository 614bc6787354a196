/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.* on provsim's device, in this thread: what proves a step, and what fails it.
 */
#include "daemon/actions/fastboot/fastboot_session.h"
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/sim_link.h"

#include <fcntl.h>
#include <unistd.h>

#define IMAGE_BYTES 8192

static struct rig rig;
static struct sim_link board;
static char path[64];

static void opened(struct rig *g)
{
	board.at = board.len = 0;
	board.device->ops->closed(board.device, board.now);
	board.device->ops->opened(board.device, board.now);
}

static void plug(const char *const *settings)
{
	sim_link_init(&board, "fastboot", settings);
	rig.link = &board.link;
	rig.opened = opened;
	strcpy(rig.facts.node, "tcp:127.0.0.1:5554");
}

static void set_up(void)
{
	uint8_t bytes[IMAGE_BYTES];
	int fd;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 ^ i >> 8);
	strcpy(path, "/tmp/test_fastboot.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, sizeof bytes), IMAGE_BYTES);
	close(fd);
	rig = (struct rig){.secrets = secret_set_new()};
	plug(NULL);
}

static void tear_down(void)
{
	rig_done(&rig);
	sim_link_done(&board);
	unlink(path);
}

static int run(const char *action, const char *with)
{
	return rig_run(&rig, action, with);
}

static void refused(const char *action, const char *with, enum err_code code, const char *says)
{
	rig_refused(&rig, action, with, code, says);
}

/* A member of what the board says of itself; what was reported before is gone. */
static json_t *board_says(void)
{
	json_t *o = json_object();

	board.device->ops->json(board.device, true, o);
	return o;
}

START_TEST(a_variable_is_judged_by_its_value)
{
	ck_assert_msg(
		run("fastboot.getvar",
			"{\"port\":\"d\",\"name\":\"product\",\"expect\":\"^prov(sim)$\"}") == 0,
		"%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_str_eq(rig_text(rig.out.outputs, "value"), "provsim");
	ck_assert_str_eq(rig_text(rig.out.outputs, "match1"), "sim");
	refused("fastboot.getvar", "{\"port\":\"d\",\"name\":\"product\",\"expect\":\"^other$\"}",
		ERR_UNEXPECTED_REPLY, "provsim");
	refused("fastboot.getvar", "{\"port\":\"d\",\"name\":\"nosuch\"}", ERR_DEVICE_REFUSED,
		"does not know its 'nosuch'");
	/* The next step may be another protocol's. */
	ck_assert_uint_eq(rig.links_opened, rig.links_closed);
}
END_TEST

START_TEST(what_was_flashed_is_in_the_partition_and_on_record)
{
	_cleanup_(freep) char *with = xasprintf(
		"{\"port\":\"d\",\"partition\":\"boot\",\"image\":\"%s\",\"format\":\"bin\"}",
		path);
	json_t *o;

	ck_assert_msg(run("fastboot.flash", with) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_str_eq(rig_text(rig.out.outputs, "partition"), "boot_a");
	ck_assert_uint_eq(strlen(rig_text(rig.out.outputs, "sha256")), 64);
	o = board_says();
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(o, "counters"), "flashes")), 1);
	json_decref(o);
}
END_TEST

/* The digest of pieces that hold a secret would let everybody try all short secrets. */
START_TEST(the_pieces_of_a_secret_image_have_no_digest_on_record)
{
	struct fastboot_flashed t = {.pieces = 2, .fetched = true};
	struct blob *b = NULL;
	uint8_t *bytes;
	json_t *o;

	ck_assert_int_eq(blob_new_private("unit.bin", 4, &bytes, &b, &rig.e), 0);
	memcpy(bytes, "1234", 4);
	blob_seal(b);
	memset(t.sha256, 'a', SHA256_HEX - 1);
	memcpy(t.sha256_read, t.sha256, SHA256_HEX);
	o = fastboot_flashed_json(b, &t);
	ck_assert_ptr_null(json_object_get(o, "sha256_sent"));
	ck_assert_ptr_null(json_object_get(o, "sha256_read"));
	json_decref(o);
	/* Of the whole image it is one of the run's secrets, and shows that it was sent. */
	memcpy(t.sha256, blob_sha256(b), SHA256_HEX);
	o = fastboot_flashed_json(b, &t);
	ck_assert_str_eq(rig_text(o, "sha256_sent"), blob_sha256(b));
	json_decref(o);
	blob_unref(b);
}
END_TEST

START_TEST(a_refusal_has_the_words_of_the_device)
{
	_cleanup_(freep) char *with = xasprintf(
		"{\"port\":\"d\",\"partition\":\"nosuch\",\"image\":\"%s\",\"format\":\"bin\"}",
		path);

	refused("fastboot.flash", with, ERR_DEVICE_REFUSED,
		"the device says: No such file or directory: partition 'nosuch'");
}
END_TEST

START_TEST(a_locked_device_is_written_only_where_the_recipe_says_so)
{
	static const char *const locked[] = {"locked", "1", NULL};

	sim_link_done(&board);
	plug(locked);
	refused("fastboot.erase", "{\"port\":\"d\",\"partition\":\"cache\"}", ERR_DEVICE_REFUSED,
		"locked");
	/* Then it is the device that refuses. */
	refused("fastboot.erase", "{\"port\":\"d\",\"partition\":\"cache\",\"allow_locked\":true}",
		ERR_DEVICE_REFUSED, "not allowed");
}
END_TEST

START_TEST(a_dead_peer_is_an_error_and_not_a_pass)
{
	board.gone = true;
	refused("fastboot.getvar", "{\"port\":\"d\",\"name\":\"product\"}", ERR_DEVICE_GONE,
		"gone");
	ck_assert_uint_eq(rig.links_opened, rig.links_closed);
}
END_TEST

START_TEST(a_port_of_another_kind_is_refused_by_its_name)
{
	strcpy(rig.facts.node, "tty:/dev/ttyUSB0");
	refused("fastboot.getvar", "{\"port\":\"d\",\"name\":\"product\"}", ERR_PORT_UNBOUND,
		"usb:, tcp:HOST:5554 or udp:HOST:5554");
	ck_assert_uint_eq(rig.links_opened, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fastboot actions");
	TCase *t = tcase_create("fastboot");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_variable_is_judged_by_its_value);
	tcase_add_test(t, what_was_flashed_is_in_the_partition_and_on_record);
	tcase_add_test(t, the_pieces_of_a_secret_image_have_no_digest_on_record);
	tcase_add_test(t, a_refusal_has_the_words_of_the_device);
	tcase_add_test(t, a_locked_device_is_written_only_where_the_recipe_says_so);
	tcase_add_test(t, a_dead_peer_is_an_error_and_not_a_pass);
	tcase_add_test(t, a_port_of_another_kind_is_refused_by_its_name);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
