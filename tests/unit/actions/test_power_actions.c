/* SPDX-License-Identifier: Apache-2.0
 *
 * device.power and device.reset with a program as the switch, which keeps its state in a file, and a unit that has power
 * by it: what proves a step, and what refuses to.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/recipe/action.h"
#include "daemon/recipe/recipe.h"
#include "tests/unit/actions/action_rig.h"
#include "transports/links/link_queue.h"

static char dir[64];
static struct rig rig;
static struct fake_link wire;
static char *on, *off, *status;
static const char *run_on[2], *run_off[2], *run_status[2];
static struct power_way way;
static enum power_state after; /* what the recipe wants at the end */
static unsigned owes, settled, expected, backs;
static bool owed_on; /* the step ends with the power on */
static enum power_state owed_found;
static bool deaf;	     /* the unit has power from elsewhere */
static struct cancel aborts; /* of a person who sees that it is off */
static bool chatters;	     /* until it is switched off */
static struct link_queue *queue;

static char *script(const char *name, const char *body)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\n%s\n", body);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	return path;
}

static bool has_power(void)
{
	_cleanup_(freep) char *path = xasprintf("%s/state", dir);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char word[8] = "";

	return deaf || (f && fgets(word, sizeof word, f) && !strncmp(word, "on", 2));
}

static int env_power(void *env, struct power_way *ret, struct err *e)
{
	*ret = way;
	return 0;
}

static int env_owe(void *env, enum power_state found, bool ends_on, struct err *e)
{
	owes++;
	owed_on = ends_on;
	if (chatters)
		fake_says(&wire, "Boot 6\r\n");
	owed_found = found;
	return 0;
}

static enum power_state env_after(void *env)
{
	return after;
}

static int env_back(void *env, struct err *e)
{
	backs++;
	return 0;
}

static int env_settled(void *env, struct err *e)
{
	settled++;
	return 0;
}

static int env_facts(void *env, const char *role, struct device_facts *ret, struct err *e)
{
	if (!has_power() && rig.cancel)
		cancel_fire(&aborts, ERR_ABORTED);
	if (!has_power())
		return err_set(e, ERR_DEVICE_GONE, "nothing is plugged");
	*ret = (struct device_facts){.node = "usb:1-8.2", .port = "1-8.2", .serial = "U1"};
	if (!strcmp(role, "fixed"))
		*ret = (struct device_facts){.node = "tcp:10.0.0.1:23"};
	return 0;
}

static int env_expect(void *env, const char *role, struct err *e)
{
	expected++;
	return 0;
}

static int env_wait(void *env, const char *role, const struct iotime *it, struct device_facts *ret,
	struct err *e)
{
	return has_power() ? env_facts(env, role, ret, e)
			   : err_set(e, ERR_DEVICE_GONE, "it did not come back");
}

static struct step_env_ops ops;

static void set_up(void)
{
	_cleanup_(freep) char *state = NULL;
	_cleanup_(freep) char *text_on = NULL;
	_cleanup_(freep) char *text_off = NULL;
	_cleanup_(freep) char *text_status = NULL;

	strcpy(dir, "/tmp/provd-power-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	state = xasprintf("%s/state", dir);
	text_on = xasprintf("echo on > %s", state);
	text_off = xasprintf("echo off > %s", state);
	text_status = xasprintf("cat %s", state);
	run_on[0] = on = script("on", text_on);
	run_off[0] = off = script("off", text_off);
	run_status[0] = status = script("status", text_status);
	ck_assert_int_eq(system(on), 0);
	way = (struct power_way){.kind = POWER_PROGRAM,
		.place = "program switch",
		.group = "switch",
		.run_on = run_on,
		.run_off = run_off,
		.run_status = run_status};
	fake_init(&wire, NULL, NULL);
	rig = (struct rig){.wire = &wire, .secrets = secret_set_new(), .ops = &ops};
	ops = rig_ops;
	ops.power = env_power;
	ops.power_owe = env_owe;
	ops.power_back = env_back;
	ops.power_after = env_after;
	ops.power_settled = env_settled;
	ops.facts = env_facts;
	ops.expect_replug = env_expect;
	ops.wait_device = env_wait;
	after = POWER_UNKNOWN;
	owes = settled = expected = backs = 0;
	deaf = chatters = false;
}

static void tear_down(void)
{
	_cleanup_(freep) char *clear = xasprintf("rm -rf %s", dir);

	rig_done(&rig);
	fake_done(&wire);
	queue = link_queue_free(queue);
	free(on);
	free(off);
	free(status);
	ck_assert_int_eq(system(clear), 0);
}

static void passes(const char *action, const char *with)
{
	ck_assert_msg(rig_run(&rig, action, with) == 0, "%s %s: %s", action, with, rig.e.msg);
}

static const char *evidence(const char *key)
{
	return rig_text(rig.out.evidence, key);
}

START_TEST(test_off_and_on_are_read_back)
{
	passes("device.power", "{\"state\": \"off\"}");
	ck_assert_str_eq(evidence("found"), "on");
	ck_assert_str_eq(evidence("state"), "off");
	ck_assert_str_eq(evidence("proof"), "what the switch says");
	ck_assert_uint_eq(owes, 1);
	ck_assert_int_eq(owed_found, POWER_ON);
	ck_assert(!has_power());
	passes("device.power", "{\"state\": \"on\"}");
	ck_assert_str_eq(evidence("found"), "off");
	ck_assert_str_eq(rig_text(rig.out.outputs, "state"), "on");
	ck_assert(has_power());
}
END_TEST

START_TEST(test_a_cycle_is_proved_by_the_device)
{
	way.role[0] = "console";
	passes("device.power", "{\"state\": \"cycle\", \"off_for\": \"1ms\", \"port\": \"dut\"}");
	ck_assert_str_eq(evidence("proof"), "the device left or came");
	ck_assert_uint_eq(json_array_size(json_object_get(rig.out.evidence, "left")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(rig.out.evidence, "back")), 2);
	ck_assert_uint_eq(expected, 2);
	ck_assert_uint_eq(owes, 1); /* once for the step, as it was found first */
}
END_TEST

START_TEST(test_a_device_that_stays_is_no_pass)
{
	deaf = true;
	rig_refused(&rig, "device.power",
		"{\"state\": \"off\", \"port\": \"dut\", \"within\": \"30ms\"}",
		ERR_POWER_NO_EFFECT, "port dut");
}
END_TEST

START_TEST(test_a_device_that_does_not_come_back)
{
	free(script("on", "exit 0"));
	run_status[0] = NULL;
	way.run_status = NULL;
	passes("device.power", "{\"state\": \"off\", \"port\": \"dut\"}");
	rig_refused(&rig, "device.power", "{\"state\": \"on\", \"port\": \"dut\"}", ERR_DEVICE_GONE,
		"after the power came on");
}
END_TEST

/* In the pause: the unit of the next run would not be seen. */
START_TEST(test_a_cycle_that_breaks_off_leaves_the_power_on)
{
	static const char *const with[] = {
		"{\"state\": \"cycle\", \"port\": \"dut\", \"off_for\": \"30s\"}",
		"{\"by\": \"power\", \"port\": \"dut\", \"off_for\": \"30s\"}"};
	static const char *const action[] = {"device.power", "device.reset"};

	ck_assert_int_eq(cancel_init(&aborts, &rig.e), 0);
	rig.cancel = &aborts;
	ck_assert_int_eq(rig_run(&rig, action[_i], with[_i]), -ERR_ABORTED);
	ck_assert(has_power());
	ck_assert(owed_on);
	ck_assert_uint_eq(backs, 1);
	ck_assert_ptr_nonnull(strstr(rig.log.s, "on again"));
	cancel_reset(&aborts);
	after = POWER_OFF; /* the teardown switches it off */
	ck_assert_int_eq(rig_run(&rig, action[_i], with[_i]), -ERR_ABORTED);
	ck_assert(!has_power());
	cancel_done(&aborts);
}
END_TEST

START_TEST(test_a_switch_that_lies)
{
	free(script("off", "exit 0"));
	rig_refused(&rig, "device.power", "{\"state\": \"off\"}", ERR_POWER_STATE,
		"says that it is on");
	free(script("off", "echo relay is stuck; exit 3"));
	rig_refused(
		&rig, "device.power", "{\"state\": \"off\"}", ERR_POWER_SWITCH, "relay is stuck");
	free(script("status", "echo the first is; echo OFF; echo the second is; echo on"));
	rig_refused(&rig, "device.power", "{\"state\": \"off\"}", ERR_POWER_SWITCH,
		"says 'on' and 'off'");
	free(script("status", "echo off; exit 3"));
	rig_refused(&rig, "device.power", "{\"state\": \"off\"}", ERR_POWER_SWITCH,
		"status 3, expected 0");
	free(script("status", "exit 0"));
	rig_refused(&rig, "device.power", "{\"state\": \"off\"}", ERR_POWER_SWITCH,
		"neither 'on' nor 'off'");
	free(script("status", "echo maybe"));
	rig_refused(&rig, "device.power", "{\"state\": \"off\"}", ERR_POWER_SWITCH, "maybe");
}
END_TEST

START_TEST(test_what_nothing_proves_is_no_pass)
{
	way.run_status = NULL;
	rig_refused(&rig, "device.power", "{\"state\": \"off\"}", ERR_NO_EVIDENCE, "name a 'port'");
	/* A teardown makes safe what it can, and says what it does not know. */
	rig.teardown = true;
	passes("device.power", "{\"state\": \"off\"}");
	ck_assert_str_eq(evidence("state"), "unknown");
	ck_assert_str_eq(evidence("read_back"), "not possible: the switch cannot tell");
	ck_assert_str_eq(evidence("proof"), "none");
}
END_TEST

START_TEST(test_a_fixed_address_proves_nothing)
{
	rig_refused(&rig, "device.power", "{\"state\": \"cycle\", \"port\": \"fixed\"}",
		ERR_UNSUPPORTED, "fixed address");
	ck_assert_uint_eq(owes, 0);
}
END_TEST

START_TEST(test_a_teardown_leaves_it_as_the_recipe_says)
{
	after = POWER_OFF;
	passes("device.power", "{\"state\": \"leave\"}");
	ck_assert(!has_power());
	ck_assert_uint_eq(settled, 1);
	after = POWER_ON;
	passes("device.power", "{\"state\": \"leave\"}");
	ck_assert(has_power());
	ck_assert_uint_eq(settled, 2);
	after = POWER_UNKNOWN; /* as it is */
	owes = 0;
	passes("device.power", "{\"state\": \"leave\"}");
	ck_assert_uint_eq(owes, 0);
	ck_assert_uint_eq(settled, 3);
}
END_TEST

/* The program that says how it is fails, those that switch do not. */
START_TEST(test_a_teardown_switches_what_it_cannot_read)
{
	free(script("status", "echo no answer; exit 1"));
	rig_refused(&rig, "device.power", "{\"state\": \"off\"}", ERR_POWER_SWITCH, "no answer");
	ck_assert(has_power());
	rig.teardown = true;
	rig_refused(&rig, "device.power", "{\"state\": \"off\"}", ERR_POWER_SWITCH, "no answer");
	ck_assert(!has_power());
	after = POWER_ON;
	rig_refused(&rig, "device.power", "{\"state\": \"leave\"}", ERR_POWER_SWITCH, "no answer");
	ck_assert(has_power());
	ck_assert_uint_eq(settled, 0); /* nobody knows */
	after = POWER_UNKNOWN;
	rig_refused(&rig, "device.power", "{\"state\": \"leave\"}", ERR_POWER_SWITCH, "no answer");
	ck_assert(has_power());
}
END_TEST

START_TEST(test_two_are_switched_on_with_a_gap)
{
	uint64_t since;

	queue = link_queue_new();
	way.queue = queue;
	way.gap_us = 300 * US_PER_MS;
	passes("device.power", "{\"state\": \"on\"}");
	since = now_us();
	passes("device.power", "{\"state\": \"off\"}"); /* takes nothing from the supply */
	passes("device.power", "{\"state\": \"on\"}");
	ck_assert_uint_ge(now_us() - since, 250 * US_PER_MS);
	ck_assert_ptr_nonnull(strstr(rig.log.s, "another unit was switched on"));
}
END_TEST

START_TEST(test_a_reset_by_power)
{
	passes("device.reset", "{\"port\": \"dut\", \"off_for\": \"1ms\"}");
	ck_assert_str_eq(evidence("proof"), "the device left and came back");
	ck_assert(has_power());
	rig_refused(&rig, "device.reset", "{\"off_for\": \"1ms\"}", ERR_NO_EVIDENCE,
		"nothing shows the reset");
}
END_TEST

/* It speaks until it has no power: that is not what it says after the reset. */
START_TEST(test_a_reset_by_power_is_not_heard_before_it)
{
	static const char with[] =
		"{\"off_for\": \"1ms\", \"console\": \"console\", \"expect\": \"Boot \\\\d+\"}";

	chatters = true;
	rig_refused(&rig, "device.reset", with, ERR_TIMEOUT, "nothing came that fits");
}
END_TEST

static int pins(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	struct fake_link *f = container_of(l, struct fake_link, link);

	if (c == LINK_CONTROL_RTS && !arg && f->data)
		fake_says(f, f->data);
	return 0;
}

START_TEST(test_a_reset_by_lines_is_heard)
{
	struct link_ops with_pins = fake_link_ops;
	static const char with[] =
		"{\"by\": \"lines\", \"lines_port\": \"console\", \"lines\": \"rts=1, 1ms, rts=0\", \"console\": \"console\", \"expect\": \"Boot \\\\d+\"}";

	with_pins.control = pins;
	wire.link.ops = &with_pins;
	wire.data = (void *)(uintptr_t) "..\r\nBoot 7\r\n";
	fake_says(&wire, "Boot 6\r\n"); /* of before the reset */
	passes("device.reset", with);
	ck_assert_str_eq(evidence("said"), "Boot 7");
	wire.data = NULL;
	rig_refused(&rig, "device.reset", with, ERR_TIMEOUT, "nothing came that fits 'Boot \\d+'");
}
END_TEST

static const char *const bad[] = {
	"{\"by\": \"lines\", \"port\": \"dut\"}",
	"{\"by\": \"lines\", \"port\": \"dut\", \"lines_port\": \"c\", \"lines\": \"xyz=1\"}",
	"{\"by\": \"gpio\"}",
	"{\"by\": \"gpio\", \"expect\": \"x\"}",
	"{\"by\": \"power\", \"lines\": \"rts=1\"}",
};

START_TEST(test_arguments_that_do_not_go_together)
{
	ck_assert_int_eq(rig_run(&rig, "device.reset", bad[_i]), -ERR_RECIPE_INVALID);
}
END_TEST

START_TEST(test_a_gpio_that_is_not_there)
{
	rig_refused(&rig, "device.reset", "{\"by\": \"gpio\", \"port\": \"dut\"}", ERR_UNSUPPORTED,
		"no reset line");
	way = (struct power_way){
		.kind = POWER_GPIO, .place = "line 3 of nochip", .chip = "nochip", .line = 3};
	rig_refused(&rig, "device.power", "{\"state\": \"on\"}", ERR_POWER_SWITCH,
		"there is no GPIO chip nochip");
}
END_TEST

static int env_no_power(void *env, struct power_way *ret, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "the station does not say how its unit is powered");
}

/* Before the first step: nothing has been flashed by then. */
START_TEST(test_a_station_without_power_is_found_before_the_run)
{
	const struct action *a = action_find("device.power");
	struct step s = {
		.id = "x", .action = a, .ops = &ops, .env = &rig, .it = {NO_DEADLINE, NULL}};
	json_t *with = json_pack("{s:s}", "state", "on");
	struct args *args = args_literal(a->args, with);

	ck_assert_int_eq(a->preflight(&s, args, &rig.e), 0);
	ops.power = env_no_power;
	ck_assert_int_eq(a->preflight(&s, args, &rig.e), -ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(rig.e.msg, "does not say"));
	args_free(args);
	json_decref(with);
}
END_TEST

/* --- power_after --- */

static struct recipe *recipe_of(const char *text, struct err *e)
{
	struct strbuf report = {0};
	struct recipe *r = NULL;

	if (recipe_load("r.yaml", text, strlen(text), &report, &r, e) < 0 && report.s)
		snprintf(e->msg, sizeof e->msg, "%.300s", report.s);
	sb_done(&report);
	return r;
}

#define STEPS \
	"version: 1\nports: {dut: {kind: usb}}\nsteps:\n  - {action: device.wait, with: {port: dut}}\n"

START_TEST(test_power_after_ends_the_teardown)
{
	struct err e = {0};
	struct recipe *r = recipe_of("recipe: a\npower_after: 'off'\n" STEPS, &e);
	const struct recipe_step *last;

	ck_assert_msg(r != NULL, "%s", e.msg);
	ck_assert_int_eq(r->power_after, POWER_AFTER_OFF);
	ck_assert_uint_eq(r->steps[PHASE_TEARDOWN], 1);
	last = &r->step[PHASE_TEARDOWN][0];
	ck_assert_str_eq(last->id, POWER_AFTER_STEP);
	ck_assert_str_eq(last->action->name, "device.power");
	recipe_unref(r);
	r = recipe_of("recipe: a\n" STEPS, &e);
	ck_assert_uint_eq(r->steps[PHASE_TEARDOWN], 0);
	recipe_unref(r);
	ck_assert_ptr_null(recipe_of("recipe: a\npower_after: never\n" STEPS, &e));
	ck_assert_ptr_nonnull(strstr(e.msg, "as_found"));
	ck_assert_ptr_null(
		recipe_of("recipe: a\npower_after: 'on'\n" STEPS
			  "  - {id: power-after, action: device.wait, with: {port: dut}}\n",
			&e));
	ck_assert_ptr_nonnull(strstr(e.msg, "power-after"));
}
END_TEST

static Suite *power_actions_suite(void)
{
	Suite *s = suite_create("power_actions");
	TCase *t = tcase_create("power_actions");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, test_off_and_on_are_read_back);
	tcase_add_test(t, test_a_cycle_is_proved_by_the_device);
	tcase_add_test(t, test_a_device_that_stays_is_no_pass);
	tcase_add_test(t, test_a_device_that_does_not_come_back);
	tcase_add_loop_test(t, test_a_cycle_that_breaks_off_leaves_the_power_on, 0, 2);
	tcase_add_test(t, test_a_switch_that_lies);
	tcase_add_test(t, test_what_nothing_proves_is_no_pass);
	tcase_add_test(t, test_a_fixed_address_proves_nothing);
	tcase_add_test(t, test_a_teardown_leaves_it_as_the_recipe_says);
	tcase_add_test(t, test_a_teardown_switches_what_it_cannot_read);
	tcase_add_test(t, test_two_are_switched_on_with_a_gap);
	tcase_add_test(t, test_a_reset_by_power);
	tcase_add_test(t, test_a_reset_by_power_is_not_heard_before_it);
	tcase_add_test(t, test_a_reset_by_lines_is_heard);
	tcase_add_loop_test(t, test_arguments_that_do_not_go_together, 0, (int)ARRAY_LEN(bad));
	tcase_add_test(t, test_a_gpio_that_is_not_there);
	tcase_add_test(t, test_a_station_without_power_is_found_before_the_run);
	tcase_add_test(t, test_power_after_ends_the_teardown);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(power_actions_suite)
