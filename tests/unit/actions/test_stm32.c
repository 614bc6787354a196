/* SPDX-License-Identifier: Apache-2.0
 *
 * stm32.* on provsim's boot ROM behind a link that records its controls.
 */
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/stm32_bench.h"

#include <fcntl.h>
#include <unistd.h>

static struct rig rig;
static struct stm32_bench bench;
static struct link_ops ops;
static struct strbuf controls;
static bool has_parity;
static char path[64];

static int control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	static const char *const names[] = {[LINK_CONTROL_BAUD] = "baud",
		[LINK_CONTROL_DTR] = "dtr",
		[LINK_CONTROL_RTS] = "rts",
		[LINK_CONTROL_BREAK] = "brk",
		[LINK_CONTROL_PARITY] = "parity",
		[LINK_CONTROL_FLUSH] = "flush"};

	if (c == LINK_CONTROL_PARITY && !has_parity)
		return err_set(e, ERR_UNSUPPORTED, "this port has no parity");
	sb_addf(&controls, "%s=%u ", names[c], arg);
	return 0;
}

static void plug(const char *banner)
{
	_cleanup_(freep) char *said = xasprintf("stm32-banner=%s", banner);
	const char *const settings[] = {"stm32-pid=0x413", said, NULL};

	stm32_bench_init(&bench, settings);
	ops = fake_link_ops;
	ops.control = control;
	bench.wire.link.ops = &ops;
	bench.wire.link.baud = 9600;
	rig.wire = &bench.wire;
}

static void set_up(void)
{
	int fd;

	has_parity = true;
	snprintf(path, sizeof path, "/tmp/test_stm32.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "vectors\0and code", 16), 16);
	close(fd);
	rig.secrets = secret_set_new();
	plug("app v3 ready");
}

static void tear_down(void)
{
	rig_clear(&rig);
	secret_set_free(rig.secrets);
	sb_done(&rig.log);
	sb_done(&controls);
	stm32_bench_done(&bench);
	unlink(path);
}

static int flash(const char *more)
{
	_cleanup_(freep) char *with = xasprintf("{\"port\":\"c\",\"image\":\"%s\"%s}", path, more);

	return rig_run(&rig, "stm32.flash", with);
}

START_TEST(the_link_is_set_up_for_the_rom_and_given_back_as_it_was)
{
	ck_assert_msg(flash(",\"baud\":115200,\"enter\":\"dtr=1, rts=0\",\"exit\":\"dtr=0\"") == 0,
		"%s", rig.e.msg);
	ck_assert_str_eq(controls.s, "parity=1 baud=115200 dtr=1 rts=0 dtr=0 parity=0 baud=9600 ");
	ck_assert_int_eq(bench.wire.link.parity, LINK_PARITY_NONE);
	ck_assert_str_eq(rig_text(rig.out.evidence, "sha256_written"),
		rig_text(rig.out.evidence, "sha256_read"));
}
END_TEST

START_TEST(a_step_that_fails_leaves_by_its_exit_too)
{
	stm32_bench_fault(&bench, "weak-cell=3,count=0");
	ck_assert_int_eq(flash(",\"exit\":\"rts=1, 1ms, rts=0\""), -ERR_VERIFY_MISMATCH);
	ck_assert_str_eq(controls.s, "parity=1 rts=1 rts=0 parity=0 ");
}
END_TEST

START_TEST(without_parity_nothing_is_sent_unless_the_recipe_says_so)
{
	has_parity = false;
	ck_assert_int_eq(flash(""), -ERR_UNSUPPORTED);
	ck_assert_msg(strstr(rig.e.msg, "'parity: none'"), "%s", rig.e.msg);
	ck_assert_uint_eq(bench.wire.heard_len, 0);
	ck_assert_msg(flash(",\"parity\":\"none\"") == 0, "%s", rig.e.msg);
}
END_TEST

START_TEST(the_line_of_the_application_is_waited_for_with_the_ports_own_parity)
{
	ck_assert_msg(
		flash(",\"go\":true,\"ready\":\"^app v(\\\\d+) ready$\"") == 0, "%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.outputs, "match1"), "3");
	ck_assert_str_eq(rig_text(rig.out.evidence, "ready"), "app v3 ready");
	ck_assert_str_eq(controls.s, "parity=1 parity=0 ");
	ck_assert_int_eq(flash(",\"ready\":\"x\""), -ERR_RECIPE_INVALID);
}
END_TEST

START_TEST(slips_are_told_before_anything_is_sent)
{
	static const char *const slips[] = {",\"enter\":\"dtr=9\"", ",\"pages\":\"x\"",
		",\"flash_size\":\"1G\"", ",\"exit\":\"soon\""};

	for (size_t i = 0; i < ARRAY_LEN(slips); i++)
		ck_assert_msg(flash(slips[i]) == -ERR_INVALID, "%s", slips[i]);
	ck_assert_int_eq(rig_run(&rig, "stm32.unprotect", "{\"port\":\"c\",\"what\":\"readout\"}"),
		-ERR_RECIPE_INVALID);
	ck_assert_int_eq(rig_run(&rig, "stm32.protect", "{\"port\":\"c\",\"what\":\"write\"}"),
		-ERR_RECIPE_INVALID);
	ck_assert_int_eq(
		rig_run(&rig, "stm32.erase", "{\"port\":\"c\",\"address\":\"0x08000000\"}"),
		-ERR_RECIPE_INVALID);
	ck_assert_uint_eq(bench.wire.heard_len, 0);
}
END_TEST

START_TEST(another_part_than_expected_fails_the_step)
{
	ck_assert_int_eq(
		rig_run(&rig, "stm32.info", "{\"port\":\"c\",\"expect_pid\":\"0x410\"}"), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_FAILED);
	ck_assert_int_eq(rig.out.code, ERR_WRONG_DEVICE);
	ck_assert_str_eq(rig_text(rig.out.outputs, "uid"), "00112233445566778899aabb");
}
END_TEST

/* Where the size of an F405's flash is read; a part that gives no bytes there needs 'flash_size'.
 */
static bool asked_for_the_size(void)
{
	return memmem(bench.wire.heard, bench.wire.heard_len, "\x1f\xff\x7a\x22", 4) != NULL;
}

START_TEST(a_size_that_the_recipe_says_is_not_asked_for)
{
	ck_assert_msg(flash("") == 0, "%s", rig.e.msg);
	ck_assert(asked_for_the_size());
	bench.wire.heard_len = 0;
	ck_assert_msg(flash(",\"flash_size\":\"512K\"") == 0, "%s", rig.e.msg);
	ck_assert(!asked_for_the_size());
	ck_assert_int_eq(
		json_integer_value(json_object_get(rig.out.evidence, "flash_size")), 512 << 10);
}
END_TEST

START_TEST(a_read_that_breaks_off_says_what_was_being_read)
{
	static const struct {
		const char *fault, *says, *count;
	} rows[] = {{"short-read=4,count=0", "the beginning of the flash", "3 of them"},
		{"short-read=2,count=0", "'flash_size' says it instead", "1 of them"},
		{"short-read=12,count=0", "the unique id", "11 of them"},
		{"short-read=16,count=0", "reading at 0x08000000", "15 of them"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		stm32_bench_fault(&bench, rows[i].fault);
		ck_assert_int_eq(flash(""), -ERR_TIMEOUT);
		ck_assert_msg(strstr(rig.e.msg, rows[i].says), "%s", rig.e.msg);
		ck_assert_msg(strstr(rig.e.msg, rows[i].count), "%s", rig.e.msg);
		bench.faults.n = 0;
	}
}
END_TEST

#define READOUT "{\"port\":\"c\",\"what\":\"readout\"}"
#define SECTORS "{\"port\":\"c\",\"what\":\"write\",\"sectors\":[\"1\"]}"

/* The ROM's Readout Protect (AN3155, 3.10). */
static bool was_protected(void)
{
	return memmem(bench.wire.heard, bench.wire.heard_len, "\x82\x7d", 2) != NULL;
}

START_TEST(a_part_is_protected_once_and_shows_it_afterwards)
{
	ck_assert_msg(rig_run(&rig, "stm32.protect", READOUT) == 0, "%s", rig.e.msg);
	ck_assert(was_protected());
	ck_assert_str_eq(rig.intent.unit, "00112233445566778899aabb");
	ck_assert_str_eq(rig.intent.what, "readout protection");
	ck_assert_int_eq(rig.seen.state, OBSERVED_BLANK);
	bench.wire.heard_len = 0;
	rig.earlier = (struct earlier_intent){.run = "R1", .unit = "U1"};
	ck_assert_msg(rig_run(&rig, "stm32.protect", READOUT) == 0, "%s", rig.e.msg);
	ck_assert(!was_protected());
	ck_assert_int_eq(rig.seen.state, OBSERVED_DONE);
	ck_assert_str_eq(rig.intent.unit, "");
	ck_assert_str_eq(rig_text(json_object_get(rig.out.evidence, "earlier_intent"), "decided"),
		"done before");
	ck_assert(json_is_true(json_object_get(rig.out.evidence, "reads_refused")));
}
END_TEST

START_TEST(sectors_whose_protection_nobody_can_read_are_not_protected_again_blindly)
{
	rig.earlier = (struct earlier_intent){.run = "R1", .unit = "U1"};
	ck_assert_int_eq(rig_run(&rig, "stm32.protect", SECTORS), -ERR_UNIT_SUSPECT);
	ck_assert_msg(strstr(rig.e.msg, "unit U1") != NULL, "%s", rig.e.msg);
	ck_assert_ptr_null(memmem(bench.wire.heard, bench.wire.heard_len, "\x63\x9c", 2));
	rig.earlier = (struct earlier_intent){0};
	ck_assert_msg(rig_run(&rig, "stm32.protect", SECTORS) == 0, "%s", rig.e.msg);
	ck_assert_ptr_nonnull(memmem(bench.wire.heard, bench.wire.heard_len, "\x63\x9c", 2));
	ck_assert_int_eq(rig.seen.state, OBSERVED_UNKNOWN);
}
END_TEST

#define LEVEL2 \
	"{\"port\":\"c\",\"what\":\"readout\",\"level\":\"2\",\"irreversible\":\"yes-i-mean-it\"}"

/* Write Memory at the option bytes (AN3155, 3.6): the address with its sum. */
static bool options_written(void)
{
	return memmem(bench.wire.heard, bench.wire.heard_len, "\x31\xce\x1f\xff\xc0\x00\x20", 7) !=
	       NULL;
}

static long long device_says(const char *key)
{
	_cleanup_(json_decrefp) json_t *o = json_object();

	bench.device->ops->json(bench.device, true, o);
	return json_integer_value(json_object_get(o, key));
}

START_TEST(level_2_is_set_once_a_second_person_said_yes)
{
	rig.approver = "anna";
	ck_assert_msg(rig_run(&rig, "stm32.protect", LEVEL2) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.approvals, 1);
	ck_assert_ptr_nonnull(strstr(rig.approval, "unit 00112233445566778899aabb"));
	ck_assert_str_eq(rig_text(rig.out.evidence, "approved_by"), "anna");
	ck_assert_str_eq(rig.intent.what, "readout protection of level 2");
	ck_assert(rig.intent.for_good);
	ck_assert_int_eq(rig.seen.state, OBSERVED_BLANK);
	ck_assert(options_written());
	ck_assert_int_eq(device_says("rdp_level"), 2);
	ck_assert_int_eq(device_says("user_option"), 0xef); /* as it was */
	/* For ever: power, and whatever is sent. */
	bench.device->ops->power_on(bench.device, bench.now_us);
	ck_assert_int_eq(rig_run(&rig, "stm32.unprotect",
				 "{\"port\":\"c\",\"what\":\"readout\",\"wipe\":true}"),
		-ERR_TIMEOUT);
	ck_assert_int_eq(device_says("rdp_level"), 2);
}
END_TEST

START_TEST(level_2_is_not_set_where_nobody_approves_it)
{
	rig.approver = NULL;
	ck_assert_int_eq(rig_run(&rig, "stm32.protect", LEVEL2), -ERR_ABORTED);
	ck_assert_int_eq(rig.approvals, 1);
	ck_assert_int_eq(rig.intents, 0);
	ck_assert(!options_written());
	ck_assert_int_eq(rig_run(&rig, "stm32.protect",
				 "{\"port\":\"c\",\"what\":\"readout\",\"level\":\"2\"}"),
		-ERR_RECIPE_INVALID);
	ck_assert_int_eq(rig.approvals, 1);
}
END_TEST

static void protect_meanwhile(struct rig *g)
{
	struct rig other = {.wire = g->wire, .secrets = g->secrets, .approver = ""};

	ck_assert_int_eq(rig_run(&other, "stm32.protect", READOUT), 0);
	rig_clear(&other);
	sb_done(&other.log);
}

START_TEST(level_2_is_looked_at_again_after_the_answer)
{
	rig.approver = "anna";
	rig.approved = protect_meanwhile;
	ck_assert_int_lt(rig_run(&rig, "stm32.protect", LEVEL2), 0);
	ck_assert_int_eq(rig.approvals, 1);
	ck_assert(!options_written());
	ck_assert_int_eq(device_says("rdp_level"), 1);
}
END_TEST

START_TEST(level_2_is_refused_where_the_option_bytes_are_not_known)
{
	const char *const settings[] = {"stm32-pid=0x415", NULL};

	stm32_bench_done(&bench);
	stm32_bench_init(&bench, settings);
	bench.wire.link.ops = &ops;
	rig.approver = "anna";
	ck_assert_int_eq(rig_run(&rig, "stm32.protect", LEVEL2), -ERR_UNSUPPORTED);
	ck_assert_msg(strstr(rig.e.msg, "is not known here") != NULL, "%s", rig.e.msg);
	ck_assert_int_eq(rig.approvals, 0);
	ck_assert_int_eq(rig.intents, 0);
}
END_TEST

START_TEST(level_2_that_the_part_forgets_is_no_pass)
{
	rig.approver = "anna";
	stm32_bench_fault(&bench, "half-write");
	ck_assert_int_eq(rig_run(&rig, "stm32.protect", LEVEL2), -ERR_READ_BACK_MISMATCH);
	ck_assert_int_eq(device_says("rdp_level"), 0);
}
END_TEST

static Suite *stm32_suite(void)
{
	Suite *s = suite_create("stm32_actions");
	TCase *t = tcase_create("stm32_actions");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, the_link_is_set_up_for_the_rom_and_given_back_as_it_was);
	tcase_add_test(t, a_step_that_fails_leaves_by_its_exit_too);
	tcase_add_test(t, without_parity_nothing_is_sent_unless_the_recipe_says_so);
	tcase_add_test(t, the_line_of_the_application_is_waited_for_with_the_ports_own_parity);
	tcase_add_test(t, slips_are_told_before_anything_is_sent);
	tcase_add_test(t, a_read_that_breaks_off_says_what_was_being_read);
	tcase_add_test(t, another_part_than_expected_fails_the_step);
	tcase_add_test(t, a_size_that_the_recipe_says_is_not_asked_for);
	tcase_add_test(t, a_part_is_protected_once_and_shows_it_afterwards);
	tcase_add_test(t, sectors_whose_protection_nobody_can_read_are_not_protected_again_blindly);
	tcase_add_test(t, level_2_is_set_once_a_second_person_said_yes);
	tcase_add_test(t, level_2_is_not_set_where_nobody_approves_it);
	tcase_add_test(t, level_2_is_looked_at_again_after_the_answer);
	tcase_add_test(t, level_2_is_refused_where_the_option_bytes_are_not_known);
	tcase_add_test(t, level_2_that_the_part_forgets_is_no_pass);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(stm32_suite)
