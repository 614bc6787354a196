/* SPDX-License-Identifier: Apache-2.0
 *
 * cubeprogrammer.protect with a fake of the proprietary program that keeps one part's option byte: what it
 * shows decides, a second person is asked, and no word of the program is a proof by itself.
 */
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/fake_tool.h"

static struct rig rig;
static struct fake_tool fake;

static const char program[] =
	"#!/bin/sh\n"
	"d=$(dirname $0)\n"
	"echo \"$@\" >> $d/calls\n"
	"echo '      STM32CubeProgrammer v2.15.0'\n"
	"[ \"$(cat $d/rdp)\" != CC ] || { cat $d/voltage; echo 'Error: No STM32 target found!'; exit 1; }\n"
	"echo \"Device ID   : 0x$(cat $d/id)\"\n"
	"case \"$*\" in\n"
	"*'-ob displ') cat $d/more; echo \"     RDP          : 0x$(cat $d/rdp) (Level 0, no protection)\" ;;\n"
	"*-r32*) cat $d/uid ;;\n"
	"*-ob*RDP=0xCC) cat $d/takes > $d/rdp; echo 'Option Bytes successfully programmed' ;;\n"
	"esac\n";

static void set_up(void)
{
	fake_tool_init(&fake);
	fake_put(&fake, "program", program, 0755);
	fake_put(&fake, "rdp", "AA", 0600);
	fake_put(&fake, "takes", "CC", 0600);
	fake_put(&fake, "voltage", "Voltage     : 3.27V\n", 0600);
	fake_put(&fake, "id", "413", 0600);
	fake_put(&fake, "more", "", 0600);
	fake_put(&fake, "uid", "0x1FFF7A10 : 003B0028 3433510C 31353336\n", 0600);
	rig.secrets = secret_set_new();
	rig.approver = "second";
}

static void tear_down(void)
{
	rig_done(&rig);
	rig = (struct rig){0};
	fake_tool_done(&fake);
}

static int protect(void)
{
	_cleanup_(freep) char *with =
		xasprintf("{\"program\":\"%s\",\"irreversible\":\"yes-i-mean-it\"}", fake.program);

	return rig_run(&rig, "cubeprogrammer.protect", with);
}

static bool was_set(void)
{
	_cleanup_(freep) char *calls = fake_tool_read(&fake, "calls");

	return strstr(calls, "RDP=0xCC") != NULL;
}

/* Nothing was written, and the sentence says why. */
static void refused(enum err_code code, const char *says)
{
	ck_assert_int_eq(protect(), -(int)code);
	ck_assert_msg(strstr(rig.e.msg, says), "%s", rig.e.msg);
	ck_assert(!was_set());
}

START_TEST(level_2_is_set_once_a_second_person_said_yes)
{
	ck_assert_msg(protect() == 0, "%s", rig.e.msg);
	ck_assert_uint_eq(rig.approvals, 1);
	ck_assert_msg(strstr(rig.approval, "28003b000c51333436333531"), "%s", rig.approval);
	ck_assert_str_eq(rig.intent.unit, "28003b000c51333436333531");
	ck_assert_str_eq(rig.intent.what, "readout protection of level 2");
	ck_assert(rig.intent.for_good);
	ck_assert_int_eq(rig.seen.state, OBSERVED_BLANK);
	ck_assert_str_eq(rig_text(rig.out.evidence, "approved_by"), "second");
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"),
		"programmed, and the part does not let the program in any more");
	ck_assert(was_set());
}
END_TEST

START_TEST(level_2_is_not_set_where_nobody_approves_it)
{
	rig.approver = NULL;
	refused(ERR_ABORTED, "not approved");
	ck_assert_uint_eq(rig.intents, 0);
}
END_TEST

START_TEST(a_part_that_is_not_open_is_left_as_it_is)
{
	fake_put(&fake, "rdp", "BB", 0600);
	refused(ERR_CONFLICT, "the RDP option byte is bb, aa (level 0) expected");
	ck_assert_uint_eq(rig.approvals, 0);
}
END_TEST

static void another_unit(struct rig *g)
{
	fake_put(&fake, "uid", "0x1FFF7A10 : 003B0029 3433510C 31353336\n", 0600);
}

static void closed_meanwhile(struct rig *g)
{
	fake_put(&fake, "rdp", "BB", 0600);
}

START_TEST(the_part_is_looked_at_again_after_the_answer)
{
	rig.approved = another_unit;
	refused(ERR_WRONG_DEVICE, "plug the right unit");
	rig.approved = closed_meanwhile;
	refused(ERR_CONFLICT, "the RDP option byte is bb");
}
END_TEST

START_TEST(an_output_that_is_not_understood_is_not_acted_on)
{
	fake_put(&fake, "more", "     RDP          : 0xAA (Level 0, no protection)\n", 0600);
	refused(ERR_NO_EVIDENCE, "2 RDP option bytes, one of each expected");
	fake_put(&fake, "more", "", 0600);
	fake_put(&fake, "uid", "0x1FFF7A10 : 003B0028 3433510C\n", 0600);
	refused(ERR_NO_EVIDENCE, "said nothing that matches");
	fake_put(&fake, "id", "499", 0600);
	refused(ERR_UNSUPPORTED, "device ID 0x499 keeps its unique id is not known here");
}
END_TEST

START_TEST(programmed_is_no_proof)
{
	fake_put(&fake, "takes", "AA", 0600);
	ck_assert_int_eq(protect(), -ERR_READ_BACK_MISMATCH);
	ck_assert_msg(strstr(rig.e.msg, "it is not protected"), "%s", rig.e.msg);
	ck_assert(was_set());
}
END_TEST

START_TEST(a_part_that_lost_its_power_proves_nothing)
{
	fake_put(&fake, "voltage", "Voltage     : 0.02V\n", 0600);
	ck_assert_int_eq(protect(), -ERR_NO_EVIDENCE);
	ck_assert_msg(strstr(rig.e.msg, "that it lets nobody in is not proved"), "%s", rig.e.msg);
	ck_assert(was_set());
}
END_TEST

START_TEST(the_words_have_to_be_there)
{
	_cleanup_(freep) char *with = xasprintf("{\"program\":\"%s\"}", fake.program);

	rig_refused(&rig, "cubeprogrammer.protect", with, ERR_INVALID, "'irreversible' is missing");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("cubeprogrammer_protect");
	TCase *t = tcase_create("cubeprogrammer_protect");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, level_2_is_set_once_a_second_person_said_yes);
	tcase_add_test(t, level_2_is_not_set_where_nobody_approves_it);
	tcase_add_test(t, a_part_that_is_not_open_is_left_as_it_is);
	tcase_add_test(t, the_part_is_looked_at_again_after_the_answer);
	tcase_add_test(t, an_output_that_is_not_understood_is_not_acted_on);
	tcase_add_test(t, programmed_is_no_proof);
	tcase_add_test(t, a_part_that_lost_its_power_proves_nothing);
	tcase_add_test(t, the_words_have_to_be_there);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
