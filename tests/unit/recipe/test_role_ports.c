/* SPDX-License-Identifier: Apache-2.0
 *
 * The ports of a run over a source of the test's: what comes and goes is a story, a word for each
 * wake-up of the one who waits:
 *
 *	-	the device leaves
 *	+A	a device with the serial number A comes ("+" alone: it has none)
 *	!A	the same, and it does not belong there
 *	.	nothing changed
 *	x	the run is aborted
 *
 * The end of the story is the deadline. Links are real ones, to a listener in this process.
 */
#include "daemon/recipe/role_ports.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "tests/unit/unit.h"

enum role { WATCHED, FIXED, ROLES };

static const char *const role_name[ROLES] = {"watched", "fixed"};

static struct {
	const char *story;
	const char *fixed; /* the address of FIXED */
	struct device_facts now;
	bool present, wrong;
	unsigned looks, opened;
	uint32_t baud; /* 0: the recipe's */
} world;

static struct recipe_port recipe_ports[] = {
	{.role = (char *)(uintptr_t) "watched", .baud = 9600, .dtr = -1, .rts = -1}};
static const struct recipe recipe = {.port = recipe_ports, .ports = ARRAY_LEN(recipe_ports)};
static struct role_ports ports;
static struct err e;
static int listener = -1;
static char address[64];

/* --- the source --- */

static int find(void *src, const char *role, struct err *err)
{
	for (int i = 0; i < ROLES; i++)
		if (!strcmp(role_name[i], role))
			return i;
	return err_set(err, ERR_PORT_UNBOUND, "the test has no '%s'", role);
}

static const char *fixed(void *src, int i)
{
	return i == FIXED ? world.fixed : NULL;
}

static int facts(void *src, int i, struct device_facts *ret, struct err *err)
{
	if (i == FIXED) {
		*ret = (struct device_facts){0};
		snprintf(ret->node, sizeof ret->node, "%s", world.fixed);
		return 0;
	}
	*ret = world.now;
	return world.present ? 0 : err_set(err, ERR_DEVICE_GONE, "nothing is plugged");
}

static int fits(void *src, int i, const char *node, bool usb, struct err *err)
{
	return usb == !strncmp(node, "usb:", 4)
		       ? 0
		       : err_set(err, ERR_PORT_UNBOUND, "%s does not fit", node);
}

static void settings(void *src, int i, struct link_config *c)
{
	if (world.baud)
		c->baud = world.baud;
}

static void claim(void *src, int i, struct device_facts *ret)
{
	*ret = world.now;
}

static int there(
	void *src, int i, const struct role_claim *c, struct device_facts *ret, struct err *err)
{
	world.looks++;
	*ret = world.now;
	if (!world.present || (c && world.now.generation == c->before.generation)) {
		err_set(err, ERR_IO, "the last look");
		return 0;
	}
	return c && world.wrong ? err_set(err, ERR_WRONG_DEVICE, "another kind of device") : 1;
}

static int wait_for(void *src, const struct iotime *it, struct err *err)
{
	size_t n = strcspn(world.story, " ");
	char kind = *world.story;

	switch (kind) {
	case 0:
		return err_set(err, ERR_TIMEOUT, "deadline passed");
	case 'x':
		return err_set(err, ERR_ABORTED, "aborted");
	case '-':
		world.present = false;
		break;
	case '+':
	case '!':
		world.present = true;
		world.wrong = kind == '!';
		world.now.generation++;
		snprintf(world.now.serial, sizeof world.now.serial, "%.*s", (int)n - 1,
			world.story + 1);
		break;
	}
	world.story += n + (world.story[n] == ' ');
	return 0;
}

static int not_back(
	void *src, int i, const struct role_claim *c, const struct err *tried, struct err *err)
{
	return err_set(err, c ? ERR_DEVICE_GONE : ERR_TIMEOUT, "%s %s: %s", role_name[i],
		c ? "did not come back" : "did not appear", tried->msg);
}

static void prefix_role(void *src, int i, struct err *err)
{
	err_prefix(err, "role %s", role_name[i]);
}

static void prefix_device(void *src, int i, struct err *err)
{
	err_prefix(err, "device of %s", role_name[i]);
}

static struct role_source_ops source = {
	.link_broke = "it broke",
	.index = find,
	.fixed = fixed,
	.facts = facts,
	.fits = fits,
	.settings = settings,
	.claim = claim,
	.there = there,
	.wait = wait_for,
	.not_back = not_back,
	.prefix_role = prefix_role,
	.prefix_device = prefix_device,
};

/* --- the rig --- */

static void setup(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&a, &n), 0);
	snprintf(address, sizeof address, "tcp:127.0.0.1:%u", ntohs(a.sin_port));
	memset(&world, 0, sizeof world);
	world.story = "";
	world.fixed = address;
	world.present = true;
	world.now.generation = 1;
	snprintf(world.now.node, sizeof world.now.node, "%s", address);
	snprintf(world.now.serial, sizeof world.now.serial, "A");
	source.wait_ends_claim = false;
	ports = (struct role_ports){.ops = &source, .recipe = &recipe};
	e = (struct err){0};
}

static void teardown(void)
{
	role_ports_done(&ports);
	closep(&listener);
}

static struct iotime soon(void)
{
	return (struct iotime){now_us() + 10 * US_PER_S, NULL};
}

static struct link *opened_link(enum role role)
{
	struct link *l = NULL;
	struct iotime it = soon();

	ck_assert_msg(role_ports_link(&ports, role_name[role], &it, &l, &e) == 0, "%s", e.msg);
	return l;
}

static int link_fails(enum role role)
{
	struct link *l = NULL;
	struct iotime it = soon();
	int r = role_ports_link(&ports, role_name[role], &it, &l, &e);

	ck_assert_ptr_null(l);
	return r;
}

/* How often the listener was called since the last look. Closes what came. */
static unsigned calls(void)
{
	unsigned n = 0;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		close(fd);
		n++;
	}
	return n;
}

/* The other end hangs up, and the link's user sees it. */
static void break_link(enum role role)
{
	struct link *l = opened_link(role);
	struct iotime it = soon();
	char c;
	size_t n;

	calls();
	ck_assert_int_eq(link_read(l, &c, 1, &n, &it, &e), -ERR_DEVICE_GONE);
}

static int waits(enum role role, const char *story)
{
	/* The end of a story is its deadline; at a fixed address it has passed after one look. */
	struct iotime it = {role == FIXED ? now_us() : now_us() + 10 * US_PER_S, NULL};

	world.story = story;
	e = (struct err){0};
	return role_ports_wait(&ports, role_name[role], &it, NULL, &e);
}

static void expect(enum role role)
{
	ck_assert_int_eq(role_ports_expect_replug(&ports, role_name[role], &e), 0);
}

/* --- open --- */

START_TEST(a_link_is_opened_once_and_used_again)
{
	struct link *l = opened_link(WATCHED);

	ck_assert_ptr_eq(opened_link(WATCHED), l);
	ck_assert_uint_eq(calls(), 1);
	role_ports_close(&ports, "watched");
	opened_link(WATCHED);
	ck_assert_uint_eq(calls(), 1);
}
END_TEST

START_TEST(an_open_link_is_used_without_asking_what_is_plugged)
{
	struct link *l = opened_link(WATCHED);

	world.present = false;
	ck_assert_ptr_eq(opened_link(WATCHED), l);
	role_ports_close(&ports, "watched");
	ck_assert_int_eq(link_fails(WATCHED), -ERR_DEVICE_GONE);
	ck_assert_str_eq(e.msg, "nothing is plugged");
}
END_TEST

START_TEST(the_recipe_says_the_rate_and_the_source_has_the_last_word)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char name[64];

	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master) | unlockpt(master), 0);
	ck_assert_int_eq(ptsname_r(master, name, sizeof name), 0);
	snprintf(world.now.node, sizeof world.now.node, "tty:%s", name);
	ck_assert_uint_eq(opened_link(WATCHED)->baud, 9600);
	role_ports_close(&ports, "watched");
	world.baud = 57600;
	ck_assert_uint_eq(opened_link(WATCHED)->baud, 57600);
	role_ports_close(&ports, "watched");
	close(master);
}
END_TEST

/* After a provd that was killed the power is put right, and no recipe is at hand. */
START_TEST(a_fixed_address_is_waited_for_without_a_recipe)
{
	ports.recipe = NULL;
	world.fixed = address;
	ck_assert_int_eq(waits(FIXED, ""), 0);
}
END_TEST

START_TEST(a_node_of_the_wrong_kind_is_refused_in_the_words_of_the_source)
{
	struct iotime it = soon();
	struct usb *u = NULL;

	opened_link(WATCHED);
	ck_assert_int_eq(role_ports_usb(&ports, "watched", &it, &u, &e), -ERR_PORT_UNBOUND);
	ck_assert_ptr_nonnull(strstr(e.msg, "does not fit"));
	world.fixed = "usb:9-9.9";
	ck_assert_int_eq(link_fails(FIXED), -ERR_PORT_UNBOUND);
	ck_assert_str_eq(e.msg, "usb:9-9.9 does not fit");
}
END_TEST

START_TEST(what_opening_says_is_prefixed_by_the_role)
{
	world.fixed = "tty:/nowhere/at/all";
	ck_assert_int_eq(link_fails(FIXED), -ERR_DEVICE_GONE);
	ck_assert_msg(!strncmp(e.msg, "role fixed: tty:/nowhere", 24), "%s", e.msg);
}
END_TEST

START_TEST(a_role_that_the_source_does_not_have_is_refused_everywhere)
{
	struct iotime it = soon();
	struct device_facts f;
	struct link *l;
	struct usb *u;

	ck_assert_int_eq(role_ports_link(&ports, "no", &it, &l, &e), -ERR_PORT_UNBOUND);
	ck_assert_int_eq(role_ports_usb(&ports, "no", &it, &u, &e), -ERR_PORT_UNBOUND);
	ck_assert_int_eq(role_ports_facts(&ports, "no", &f, NULL), -ERR_PORT_UNBOUND);
	ck_assert_int_eq(role_ports_expect_replug(&ports, "no", &e), -ERR_PORT_UNBOUND);
	ck_assert_int_eq(role_ports_expect_other_serial(&ports, "no", &e), -ERR_PORT_UNBOUND);
	ck_assert_int_eq(role_ports_wait(&ports, "no", &it, &f, &e), -ERR_PORT_UNBOUND);
	ck_assert_str_eq(e.msg, "the test has no 'no'");
	role_ports_close(&ports, "no");
}
END_TEST

/* --- a link that broke --- */

START_TEST(a_dead_link_is_refused_until_the_device_is_back)
{
	break_link(WATCHED);
	ck_assert_int_eq(link_fails(WATCHED), -ERR_DEVICE_GONE);
	ck_assert_str_eq(e.msg, "port watched: it broke");
	/* Also by who closes it first. */
	role_ports_close(&ports, "watched");
	ck_assert_int_eq(link_fails(WATCHED), -ERR_DEVICE_GONE);
	ck_assert_uint_eq(calls(), 0);
	expect(WATCHED);
	ck_assert_int_eq(link_fails(WATCHED), -ERR_DEVICE_GONE);
	ck_assert_int_eq(waits(WATCHED, "- +A"), 0);
	opened_link(WATCHED);
	ck_assert_uint_eq(calls(), 1);
}
END_TEST

START_TEST(a_dead_link_stays_refused_where_nothing_came_back)
{
	break_link(WATCHED);
	expect(WATCHED);
	ck_assert_int_eq(waits(WATCHED, "-"), -ERR_DEVICE_GONE);
	ck_assert_int_eq(link_fails(WATCHED), -ERR_DEVICE_GONE);
	ck_assert_str_eq(e.msg, "port watched: it broke");
}
END_TEST

START_TEST(a_dead_link_at_a_fixed_address_is_opened_by_the_wait)
{
	struct device_facts f;
	struct iotime it = soon();

	break_link(FIXED);
	ck_assert_int_eq(link_fails(FIXED), -ERR_DEVICE_GONE);
	ck_assert_int_eq(role_ports_wait(&ports, "fixed", &it, &f, &e), 0);
	ck_assert_str_eq(f.node, address);
	opened_link(FIXED);
	ck_assert_uint_eq(calls(), 1);
}
END_TEST

START_TEST(who_answers_at_a_fixed_address_is_compared_by_each_protocol)
{
	struct recipe_step steps[] = {{.attempts = 1}, {.attempts = 1}};
	struct recipe r = recipe;

	/* Of a run of one session nothing is to be compared; a port that is watched says it when a unit leaves. */
	r.step[PHASE_STEPS] = steps;
	r.steps[PHASE_STEPS] = 1;
	ports.recipe = &r;
	ck_assert(!role_ports_unwatched(&ports, "fixed"));
	steps[0].attempts = 2;
	ck_assert(role_ports_unwatched(&ports, "fixed"));
	steps[0].attempts = 1;
	r.steps[PHASE_STEPS] = 2;
	ck_assert(role_ports_unwatched(&ports, "fixed"));
	ck_assert(!role_ports_unwatched(&ports, "watched"));
	ck_assert(!role_ports_unwatched(&ports, "no"));

	ck_assert_int_eq(role_ports_said(&ports, "fixed", "fastboot", "A", &e), 0);
	ck_assert_int_eq(role_ports_said(&ports, "fixed", "fastboot", "A", &e), 0);
	ck_assert_int_eq(role_ports_said(&ports, "fixed", "fastboot", "", &e), 0);
	ck_assert_int_eq(role_ports_said(&ports, "fixed", "adb", "B", &e), 0);
	ck_assert_int_eq(role_ports_said(&ports, "watched", "adb", "C", &e), 0);
	ck_assert_int_eq(role_ports_said(&ports, "fixed", "fastboot", "B", &e), -ERR_WRONG_DEVICE);
	ck_assert_ptr_nonnull(strstr(e.msg, "unit 'B' answers, 'A' expected"));
	ck_assert_int_eq(role_ports_said(&ports, "no", "adb", "B", &e), -ERR_PORT_UNBOUND);
}
END_TEST

/* --- whose turn it is --- */

START_TEST(what_is_owed_outlives_the_close)
{
	link_turn_lost(&opened_link(WATCHED)->turn);
	role_ports_close(&ports, "watched");
	ck_assert_uint_eq(opened_link(WATCHED)->turn.owed, 1);
	/* And a wait for a device that was not expected to leave. */
	ck_assert_int_eq(waits(WATCHED, ""), 0);
	ck_assert_uint_eq(opened_link(WATCHED)->turn.owed, 1);
}
END_TEST

START_TEST(what_is_owed_at_a_fixed_address_outlives_the_wait)
{
	struct iotime it = soon();

	link_turn_lost(&opened_link(FIXED)->turn);
	expect(FIXED);
	ck_assert_int_eq(role_ports_wait(&ports, "fixed", &it, NULL, &e), 0);
	ck_assert_uint_eq(opened_link(FIXED)->turn.owed, 1);
}
END_TEST

START_TEST(a_device_that_was_away_owes_nothing)
{
	link_turn_lost(&opened_link(WATCHED)->turn);
	expect(WATCHED);
	ck_assert_int_eq(waits(WATCHED, "- +A"), 0);
	ck_assert_uint_eq(opened_link(WATCHED)->turn.owed, 0);
}
END_TEST

/* --- away and back --- */

START_TEST(without_a_claim_what_is_there_is_enough)
{
	struct iotime it = soon();
	struct device_facts f;

	ck_assert_int_eq(role_ports_wait(&ports, "watched", &it, &f, &e), 0);
	ck_assert_uint_eq(world.looks, 1);
	ck_assert_str_eq(f.serial, "A");
	/* Nobody said who it is, so that any device does. */
	world.present = false;
	ck_assert_int_eq(waits(WATCHED, ". !B"), 0);
}
END_TEST

/* What comes back after a claim of a device with the serial number A, and what is said of it. */
static const struct {
	const char *story;
	bool other_serial;
	enum err_code code;
	const char *msg;
} backs[] = {
	{"- +A", false, ERR_NONE, ""},
	{"+A", false, ERR_NONE, ""}, /* its absence was not seen */
	{". - . . +A", false, ERR_NONE, ""},
	{"- +", false, ERR_NONE, ""}, /* no number in this life: no proof, and no doubt */
	{"- +B", false, ERR_WRONG_DEVICE, "device of watched: unit B came back, A expected"},
	{"- +B", true, ERR_NONE, ""},
	{"- !A", false, ERR_WRONG_DEVICE, "another kind of device"},
	{"- !B", true, ERR_WRONG_DEVICE, "another kind of device"},
	{"", false, ERR_DEVICE_GONE, "watched did not come back: the last look"},
	{"-", true, ERR_DEVICE_GONE, "watched did not come back: the last look"},
	{"- x", false, ERR_ABORTED, "aborted"},
};

START_TEST(after_a_claim_the_same_unit_has_to_come_back)
{
	bool back = backs[_i].code == ERR_NONE || backs[_i].code == ERR_WRONG_DEVICE;

	expect(WATCHED);
	if (backs[_i].other_serial)
		ck_assert_int_eq(role_ports_expect_other_serial(&ports, "watched", &e), 0);
	ck_assert_int_eq(waits(WATCHED, backs[_i].story), -(int)backs[_i].code);
	ck_assert_str_eq(e.msg, backs[_i].msg);
	/* What is there was looked at: the next wait asks for no other enumeration. */
	ck_assert_int_eq(waits(WATCHED, "") == 0, back);
}
END_TEST

START_TEST(another_number_is_expected_for_one_claim)
{
	expect(WATCHED);
	ck_assert_int_eq(role_ports_expect_other_serial(&ports, "watched", &e), 0);
	ck_assert_int_eq(waits(WATCHED, "- +ROM"), 0);
	expect(WATCHED);
	ck_assert_int_eq(waits(WATCHED, "- +A"), -ERR_WRONG_DEVICE);
	ck_assert_str_eq(e.msg, "device of watched: unit A came back, ROM expected");
}
END_TEST

START_TEST(an_open_link_is_closed_when_its_device_came_back)
{
	opened_link(WATCHED);
	calls();
	expect(WATCHED);
	ck_assert_int_eq(waits(WATCHED, "- +A"), 0);
	opened_link(WATCHED);
	ck_assert_uint_eq(calls(), 1);
}
END_TEST

START_TEST(a_device_that_never_came_did_not_appear)
{
	world.present = false;
	ck_assert_int_eq(waits(WATCHED, ". ."), -ERR_TIMEOUT);
	ck_assert_str_eq(e.msg, "watched did not appear: the last look");
	ck_assert_uint_eq(world.looks, 3);
}
END_TEST

START_TEST(a_claim_lasts_until_the_device_is_back_or_ends_with_the_wait)
{
	source.wait_ends_claim = _i;
	expect(WATCHED);
	ck_assert_int_eq(waits(WATCHED, ""), -ERR_DEVICE_GONE);
	ck_assert_int_eq(waits(WATCHED, ""), _i ? 0 : -ERR_DEVICE_GONE);
}
END_TEST

/* --- a fixed address --- */

START_TEST(a_fixed_address_that_does_not_open_says_what_opening_said)
{
	world.fixed = "tty:/nowhere/at/all";
	ck_assert_int_eq(waits(FIXED, ""), -ERR_TIMEOUT);
	ck_assert_msg(!strncmp(e.msg, "fixed did not appear: tty:/nowhere", 34), "%s", e.msg);
	expect(FIXED);
	ck_assert_int_eq(waits(FIXED, ""), -ERR_DEVICE_GONE);
	ck_assert_uint_eq(world.looks, 0);
}
END_TEST

START_TEST(a_fixed_usb_device_is_looked_for_and_proved)
{
	world.fixed = "usb:9-9.9";
	expect(FIXED);
	ck_assert_int_eq(waits(FIXED, ""), -ERR_DEVICE_GONE);
	ck_assert_str_eq(e.msg, "fixed did not come back: the last look");
	world.now.generation++;
	snprintf(world.now.serial, sizeof world.now.serial, "B");
	ck_assert_int_eq(waits(FIXED, ""), -ERR_WRONG_DEVICE);
	ck_assert_str_eq(e.msg, "device of fixed: unit B came back, A expected");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("role_ports");
	TCase *t = tcase_create("role_ports");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_link_is_opened_once_and_used_again);
	tcase_add_test(t, an_open_link_is_used_without_asking_what_is_plugged);
	tcase_add_test(t, the_recipe_says_the_rate_and_the_source_has_the_last_word);
	tcase_add_test(t, a_fixed_address_is_waited_for_without_a_recipe);
	tcase_add_test(t, a_node_of_the_wrong_kind_is_refused_in_the_words_of_the_source);
	tcase_add_test(t, what_opening_says_is_prefixed_by_the_role);
	tcase_add_test(t, a_role_that_the_source_does_not_have_is_refused_everywhere);
	tcase_add_test(t, a_dead_link_is_refused_until_the_device_is_back);
	tcase_add_test(t, a_dead_link_stays_refused_where_nothing_came_back);
	tcase_add_test(t, a_dead_link_at_a_fixed_address_is_opened_by_the_wait);
	tcase_add_test(t, who_answers_at_a_fixed_address_is_compared_by_each_protocol);
	tcase_add_test(t, what_is_owed_outlives_the_close);
	tcase_add_test(t, what_is_owed_at_a_fixed_address_outlives_the_wait);
	tcase_add_test(t, a_device_that_was_away_owes_nothing);
	tcase_add_test(t, without_a_claim_what_is_there_is_enough);
	tcase_add_loop_test(
		t, after_a_claim_the_same_unit_has_to_come_back, 0, (int)ARRAY_LEN(backs));
	tcase_add_test(t, another_number_is_expected_for_one_claim);
	tcase_add_test(t, an_open_link_is_closed_when_its_device_came_back);
	tcase_add_test(t, a_device_that_never_came_did_not_appear);
	tcase_add_loop_test(t, a_claim_lasts_until_the_device_is_back_or_ends_with_the_wait, 0, 2);
	tcase_add_test(t, a_fixed_address_that_does_not_open_says_what_opening_said);
	tcase_add_test(t, a_fixed_usb_device_is_looked_for_and_proved);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
