/* SPDX-License-Identifier: Apache-2.0
 *
 * A row of stations against the USB controllers of a machine, by a sysfs of the test's.
 */
#include "daemon/line/controllers.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/tree.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define STATIONS_MAX 40

static char top[64];
static struct config config;
static struct station_config station[STATIONS_MAX];
static struct port_config port[STATIONS_MAX];
static char *path[STATIONS_MAX];
static char ids[STATIONS_MAX][8];
static struct strbuf mistakes, notes;

static void put(const char *where, const char *text)
{
	_cleanup_(freep) char *file = xasprintf("%s/%s", top, where);
	_cleanup_(freep) char *dir = xstrdup(file);
	struct err e;
	FILE *f;

	*strrchr(dir, '/') = '\0';
	ck_assert_int_eq(tree_make(dir, &e), 0);
	f = fopen(file, "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s\n", text);
	fclose(f);
}

/* A device, or a root hub, of a controller, and its link in bus/usb/devices. */
static void device(const char *controller, const char *name, const char *ports)
{
	_cleanup_(freep) char *real =
		xasprintf("devices/pci0000:00/%s/%s/maxchild", controller, name);
	_cleanup_(freep) char *to =
		xasprintf("../../../devices/pci0000:00/%s/%s", controller, name);
	_cleanup_(freep) char *link = xasprintf("%s/bus/usb/devices/%s", top, name);

	put(real, ports);
	put("bus/usb/devices/.keep", "");
	ck_assert_int_eq(symlink(to, link), 0);
}

static void slots(const char *controller, unsigned n)
{
	_cleanup_(freep) char *where = xasprintf("kernel/debug/usb/xhci/%s/reg-cap", controller);
	_cleanup_(freep) char *text =
		xasprintf("CAPLENGTH = 0x01000020\nHCSPARAMS1 = 0x%08x\nHCSPARAMS2 = 0x84000054",
			0x10000800 | n);

	put(where, text);
}

static void add_station(const char *where)
{
	size_t k = config.stations++;

	ck_assert_uint_lt(k, STATIONS_MAX);
	snprintf(ids[k], sizeof ids[k], "A%zu", k + 1);
	path[k] = xstrdup(where);
	port[k] = (struct port_config){
		.role = (char *)(uintptr_t) "dut", .path = &path[k], .paths = 1};
	station[k] = (struct station_config){.id = ids[k], .port = &port[k], .ports = 1};
	config.station = station;
}

static unsigned look(void)
{
	sb_clear(&mistakes);
	sb_clear(&notes);
	return controllers_check(top, &config, &mistakes, &notes);
}

static void says(const char *text)
{
	ck_assert_msg(mistakes.s && strstr(mistakes.s, text), "'%s' is not in: %s", text,
		mistakes.s ? mistakes.s : "");
}

static void setup(void)
{
	snprintf(top, sizeof top, "/tmp/test_ctl_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	config = (struct config){0};
	device("0000:00:14.0", "usb1", "12");
	device("0000:00:14.0", "usb2", "6");
	device("0000:00:1d.0", "usb3", "2");
}

static void teardown(void)
{
	for (size_t i = 0; i < config.stations; i++)
		free(path[i]);
	sb_done(&mistakes);
	sb_done(&notes);
	tree_remove(top);
}

START_TEST(a_row_that_fits_says_nothing)
{
	device("0000:00:14.0", "1-1", "4");
	add_station("pci-0000:00:14.0-usb-0:1.1");
	add_station("1-1.2");
	add_station("3-1");
	ck_assert_msg(look() == 0, "%s", mistakes.s);
	ck_assert_ptr_null(notes.s);
}
END_TEST

/* 3 slots: both halves of a hub of USB 3, and two stations. */
START_TEST(a_hub_of_usb_3_takes_two_slots)
{
	slots("0000:00:14.0", 3);
	device("0000:00:14.0", "1-1", "4");
	add_station("pci-0000:00:14.0-usb-0:1.1");
	add_station("pci-0000:00:14.0-usb-0:1.2");
	ck_assert_msg(look() == 0, "%s", mistakes.s);
	device("0000:00:14.0", "2-1", "4");
	ck_assert_uint_eq(look(), 1);
	says("has 3 device slots, and 4 devices need one: 2 of stations, 2 hubs on the way");
}
END_TEST

/* 8 slots: two hubs, a keyboard, six stations. */
START_TEST(a_row_that_needs_more_slots_than_the_controller_has_is_refused)
{
	slots("0000:00:14.0", 8);
	device("0000:00:14.0", "1-1", "4");
	device("0000:00:14.0", "1-2", "4");
	device("0000:00:14.0", "1-9", "0");
	for (int i = 1; i <= 3; i++) {
		char text[32];

		snprintf(text, sizeof text, "1-1.%d", i);
		add_station(text);
	}
	add_station("pci-0000:00:14.0-usb-0:2.1");
	add_station("1-2.2");
	ck_assert_msg(look() == 0, "%s", mistakes.s);
	add_station("1-2.3");
	ck_assert_uint_eq(look(), 1);
	says("USB controller 0000:00:14.0 has 8 device slots, and 9 devices need one");
	says("6 of stations, 2 hubs on the way to them and 1 that are plugged");
	says("move station A6 and those after it to another controller");
	/* A station whose unit is plugged is counted once; one on another controller is not. */
	free(path[5]);
	config.stations = 5;
	add_station("3-1");
	device("0000:00:14.0", "1-2.2", "0");
	ck_assert_msg(look() == 0, "%s", mistakes.s);
}
END_TEST

START_TEST(one_port_of_two_roles_is_one_device)
{
	slots("0000:00:14.0", 2);
	add_station("1-3:1.0");
	add_station("1-3:1.2");
	add_station("1-4");
	ck_assert_msg(look() == 0, "%s", mistakes.s);
}
END_TEST

/* Without debugfs the slots are unknown: the addresses of the standard are not. */
START_TEST(slots_that_nobody_says_are_not_guessed)
{
	for (int i = 0; i < STATIONS_MAX; i++) {
		char text[32];

		snprintf(text, sizeof text, "3-1.%d.%d", 1 + i / 7, 1 + i % 7);
		add_station(text);
	}
	ck_assert_msg(look() == 0, "%s", mistakes.s);
}
END_TEST

START_TEST(a_port_that_the_hub_does_not_have_is_named)
{
	device("0000:00:14.0", "1-1", "4");
	add_station("1-1.4");
	add_station("pci-0000:00:14.0-usb-0:1.5");
	add_station("3-3");
	add_station("1-12"); /* of the larger root hub */
	ck_assert_uint_eq(look(), 2);
	says("station A2: port 1.5 of USB controller 0000:00:14.0: the hub on 1 has 4 ports, so that there is no port 5");
	says("station A3: port 3 of USB controller 0000:00:1d.0: the root hub has 2 ports");
}
END_TEST

/* As udev names the ports of a Raspberry Pi 4: what leads to the controller comes before it. */
START_TEST(what_leads_to_a_controller_does_not_hide_it)
{
	device("xhci-hcd.0", "usb4", "2");
	add_station("platform-fd500000.pcie-pci-0000:00:14.0-usb-0:13");
	ck_assert_uint_eq(look(), 1);
	says("USB controller 0000:00:14.0: the root hub has 12 ports");
	add_station("platform-xhci-hcd.0-usb-0:3:1.0");
	ck_assert_uint_eq(look(), 2);
	says("USB controller xhci-hcd.0: the root hub has 2 ports");
	ck_assert_ptr_null(notes.s);
	/* Another device whose name only ends alike. */
	add_station("pci-10000:00:14.0-usb-0:1");
	ck_assert_uint_eq(look(), 2);
	ck_assert_ptr_nonnull(strstr(notes.s, "does not have"));
}
END_TEST

START_TEST(more_hubs_than_usb_allows_are_named)
{
	add_station("1-1.1.1.1.1.1");
	ck_assert_msg(look() == 0, "%s", mistakes.s);
	add_station("pci-0000:00:14.0-usb-0:1.1.1.1.1.1.2");
	ck_assert_uint_eq(look(), 1);
	says("station A2: port pci-0000:00:14.0-usb-0:1.1.1.1.1.1.2 goes through 6 hubs; USB allows 5");
}
END_TEST

START_TEST(a_configuration_for_another_machine_is_not_refused)
{
	add_station("pci-0000:05:00.0-usb-0:1.1");
	add_station("9-1");
	add_station("tcp-is-no-path");
	ck_assert_msg(look() == 0, "%s", mistakes.s);
	ck_assert_str_eq(notes.s,
		"2 ports of stations are on USB controllers that this machine does not have: not looked at\n");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("controllers");
	TCase *c = tcase_create("controllers");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_row_that_fits_says_nothing);
	tcase_add_test(c, a_hub_of_usb_3_takes_two_slots);
	tcase_add_test(c, a_row_that_needs_more_slots_than_the_controller_has_is_refused);
	tcase_add_test(c, one_port_of_two_roles_is_one_device);
	tcase_add_test(c, slots_that_nobody_says_are_not_guessed);
	tcase_add_test(c, a_port_that_the_hub_does_not_have_is_named);
	tcase_add_test(c, what_leads_to_a_controller_does_not_hide_it);
	tcase_add_test(c, more_hubs_than_usb_allows_are_named);
	tcase_add_test(c, a_configuration_for_another_machine_is_not_refused);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
