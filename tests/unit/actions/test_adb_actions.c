/* SPDX-License-Identifier: Apache-2.0
 *
 * adb.* on provsim's phone, in this thread: what proves a step, and what fails it.
 */
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/sim_link.h"

#include <unistd.h>

static struct rig rig;
static struct sim_link phone;

static void opened(struct rig *g)
{
	phone.at = phone.len = 0;
	phone.device->ops->closed(phone.device, phone.now);
	phone.device->ops->opened(phone.device, phone.now);
}

static void set_up(void)
{
	rig = (struct rig){.secrets = secret_set_new(), .link = &phone.link, .opened = opened};
	strcpy(rig.facts.node, "tcp:127.0.0.1:5555");
	sim_link_init(&phone, "adb", NULL);
}

static void tear_down(void)
{
	rig_done(&rig);
	sim_link_done(&phone);
}

static int run(const char *action, const char *with)
{
	return rig_run(&rig, action, with);
}

static void refused(const char *action, const char *with, enum err_code code, const char *says)
{
	rig_refused(&rig, action, with, code, says);
}

START_TEST(a_command_passes_on_its_status_and_on_what_it_said)
{
	ck_assert_msg(
		run("adb.shell", "{\"port\":\"p\",\"command\":\"echo ready 7\",\"expect\":\"^ready "
				 "(\\\\d)$\"}") == 0,
		"%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_str_eq(rig_text(rig.out.outputs, "match1"), "7");
	refused("adb.shell", "{\"port\":\"p\",\"command\":\"exit 3\"}", ERR_DEVICE_REFUSED, "3");
	refused("adb.shell",
		"{\"port\":\"p\",\"command\":\"echo NOT ready 7\",\"expect\":\"ready 7\"}",
		ERR_UNEXPECTED_REPLY, "NOT ready 7");
	/* The next step may be another protocol's. */
	ck_assert_uint_eq(rig.links_opened, rig.links_closed);
}
END_TEST

START_TEST(a_word_of_args_is_never_a_second_command)
{
	ck_assert_msg(run("adb.shell", "{\"port\":\"p\",\"args\":[\"echo\",\"a; exit 3\"]}") == 0,
		"%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_ptr_nonnull(strstr(rig_text(rig.out.outputs, "stdout"), "a; exit 3"));
}
END_TEST

START_TEST(a_file_is_written_and_read_back)
{
	static const char with[] =
		"{\"port\":\"p\",\"content\":\"serial=1\",\"path\":\"/data/local/tmp/id\"}";

	ck_assert_msg(run("adb.push", with) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_uint_eq(strlen(rig_text(rig.out.outputs, "sha256")), 64);
	sim_link_fault(&phone, "corrupt-push=2");
	refused("adb.push",
		"{\"port\":\"p\",\"content\":\"serial=2\",\"path\":\"/data/local/tmp/id\"}",
		ERR_VERIFY_MISMATCH, "/data/local/tmp/id");
	sim_link_fault(&phone, "lose-push");
	refused("adb.push",
		"{\"port\":\"p\",\"content\":\"serial=33\",\"path\":\"/data/local/tmp/id\"}",
		ERR_VERIFY_MISMATCH, "/data/local/tmp/id");
}
END_TEST

START_TEST(a_phone_that_breaks_off_is_an_error_and_not_a_pass)
{
	sim_link_fault(&phone, "no-exit");
	refused("adb.shell", "{\"port\":\"p\",\"command\":\"echo\"}", ERR_PROTOCOL, "status");
	phone.gone = true;
	refused("adb.shell", "{\"port\":\"p\",\"command\":\"echo\"}", ERR_DEVICE_GONE, "gone");
	ck_assert_uint_eq(rig.links_opened, rig.links_closed);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("adb actions");
	TCase *t = tcase_create("adb");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_command_passes_on_its_status_and_on_what_it_said);
	tcase_add_test(t, a_word_of_args_is_never_a_second_command);
	tcase_add_test(t, a_file_is_written_and_read_back);
	tcase_add_test(t, a_phone_that_breaks_off_is_an_error_and_not_a_pass);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
