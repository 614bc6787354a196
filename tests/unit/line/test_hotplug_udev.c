/* SPDX-License-Identifier: Apache-2.0
 *
 * The libudev source, against umockdev: a sysfs of this test's making and real uevents to the real
 * libudev. Runs under umockdev-wrapper; each test in a process of its own.
 */
#include <poll.h>

#include "base/iotime.h"
#include "daemon/line/hotplug.h"
#include "tests/unit/line/plugged.h"

#include <umockdev.h> /* glib takes MIN and MAX for itself: it comes last */

#define WAIT_US	   (5 * US_PER_S)
#define MAX_EVENTS 64

static UMockdevTestbed *bed;
static struct hotplug *source;
static struct hotplug_event seen[MAX_EVENTS];
static size_t seen_n;
static struct plugged line;

static const char config_yaml[] =
	"stations:\n"
	"  - {id: A1, ports: {console: {path: 'platform-hcd-usb-0:1', vid: '1209', pid: '0001'}}}\n"
	"  - {id: A2, ports: {console: {path: 'platform-hcd-usb-0:2', interface: 0}, dut: {path: "
	"'platform-hcd-usb-0:2', kind: usb}}}\n";

static void on_event(void *data, const struct hotplug *h, const struct hotplug_event *ev)
{
	ck_assert_uint_lt(seen_n, MAX_EVENTS);
	seen[seen_n++] = *ev;
	binding_event(line.binding, h, ev);
}

static void setup(void)
{
	const struct hotplug_sink sink = {on_event, NULL};
	struct err e;

	bed = umockdev_testbed_new();
	ck_assert_msg(umockdev_in_mock_environment(), "run under umockdev-wrapper");
	seen_n = 0;
	plugged_init(&line, config_yaml);
	ck_assert_int_eq(hotplug_udev_new(&sink, &source, &e), 0);
}

static void teardown(void)
{
	hotplug_free(source);
	plugged_done(&line);
	g_object_unref(bed);
}

static void add_from(const char *text)
{
	GError *ge = NULL;

	ck_assert_msg(
		umockdev_testbed_add_from_string(bed, text, &ge), "%s", ge ? ge->message : "");
}

/* A board with one CDC interface in socket n of the hub of the test. */
static void add_board(unsigned n, unsigned devnum, const char *pid, const char *serial)
{
	_cleanup_(freep) char *usb = xasprintf(
		"P: /devices/platform/hcd/usb1/1-%1$u\n"
		"N: bus/usb/001/%2$03u\n"
		"E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: DEVNAME=/dev/bus/usb/001/%2$03u\n"
		"E: BUSNUM=001\nE: DEVNUM=%2$03u\nE: ID_VENDOR_ID=1209\nE: ID_MODEL_ID=%3$s\n"
		"E: ID_SERIAL_SHORT=%4$s\nE: ID_PATH=platform-hcd-usb-0:%1$u\n"
		"A: idVendor=1209\\n\nA: idProduct=%3$s\\n\nA: devnum=%2$u\\n\nA: serial=%4$s\\n\nA: speed=1.5\\n\n",
		n, devnum, pid, serial);
	_cleanup_(freep) char *itf = xasprintf("P: /devices/platform/hcd/usb1/1-%1$u/1-%1$u:1.0\n"
					       "E: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\n"
					       "A: bInterfaceNumber=00\\n\n",
		n);
	/* Neither ids nor interface number: as on a system without 60-serial.rules. */
	_cleanup_(freep) char *tty =
		xasprintf("P: /devices/platform/hcd/usb1/1-%1$u/1-%1$u:1.0/tty/ttyACM%1$u\n"
			  "N: ttyACM%1$u\n"
			  "E: SUBSYSTEM=tty\nE: DEVNAME=/dev/ttyACM%1$u\n"
			  "E: ID_PATH=platform-hcd-usb-0:%1$u:1.0\n",
			n);

	add_from(usb);
	add_from(itf);
	add_from(tty);
}

static void begin(void)
{
	struct err e = {0};

	ck_assert_msg(source->ops->start(source, &e) == 0, "%s", e.msg);
}

/* Turns the source until it has told n events, or fails the test. */
static void until_seen(size_t n)
{
	uint64_t end = now_us() + WAIT_US;
	struct err e = {0};

	while (seen_n < n) {
		struct pollfd p = {.fd = source->ops->fd(source), .events = POLLIN};

		ck_assert_msg(now_us() < end, "%zu events, %zu expected", seen_n, n);
		poll(&p, 1, 100);
		ck_assert_int_eq(source->ops->dispatch(source, &e), 0);
	}
}

static const struct hotplug_event *tty_event(void)
{
	for (size_t i = seen_n; i-- > 0;)
		if (!strcmp(seen[i].subsystem, "tty"))
			return &seen[i];
	ck_abort_msg("no tty was told");
	return NULL;
}

static void uevent(const char *below, const char *action)
{
	_cleanup_(freep) char *path = xasprintf("/sys/devices/platform/hcd/usb1/%s", below);

	umockdev_testbed_uevent(bed, path, action);
}

START_TEST(what_is_there_before_the_start_is_listed_in_one_scan)
{
	add_board(1, 5, "0001", "S1");
	begin();
	ck_assert_uint_eq(seen_n, 4);
	ck_assert_int_eq(seen[0].kind, HOTPLUG_SCAN_BEGIN);
	ck_assert_int_eq(seen[3].kind, HOTPLUG_SCAN_DONE);
	plugged_told(&line, "+A1.console tty:/dev/ttyACM1;");
}
END_TEST

START_TEST(a_tty_has_the_facts_of_its_usb_device)
{
	add_board(1, 5, "0001", "S1");
	begin();

	const struct hotplug_event *ev = tty_event();

	ck_assert_str_eq(ev->node, "/dev/ttyACM1");
	ck_assert_str_eq(ev->sysname, "1-1");
	ck_assert_str_eq(ev->vid, "1209");
	ck_assert_str_eq(ev->pid, "0001");
	ck_assert_str_eq(ev->serial, "S1");
	ck_assert_str_eq(ev->id_path, "platform-hcd-usb-0:1:1.0");
	ck_assert_int_eq(ev->interface, 0);
	ck_assert_uint_eq(ev->devnum, 5);
	ck_assert_uint_eq(ev->speed_kbps, 1500);
}
END_TEST

START_TEST(what_is_plugged_later_is_told)
{
	begin();
	plugged_told(&line, "");

	size_t before = seen_n;

	add_board(1, 5, "0001", "S1");
	until_seen(before + 2);
	plugged_told(&line, "+A1.console tty:/dev/ttyACM1;");
}
END_TEST

/* Plugged between the listening and the listing, a device comes by both ways. */
START_TEST(what_is_told_twice_is_bound_once)
{
	add_board(1, 5, "0001", "S1");
	begin();

	size_t before = seen_n;

	uevent("1-1", "add");
	uevent("1-1/1-1:1.0/tty/ttyACM1", "add");
	uevent("1-1", "bind");
	until_seen(before + 3);
	plugged_told(&line, "+A1.console tty:/dev/ttyACM1;");
}
END_TEST

START_TEST(an_unbound_driver_is_no_unplugging)
{
	struct err e;

	add_board(1, 5, "0001", "S1");
	begin();

	size_t before = seen_n;

	uevent("1-1", "unbind");
	uevent("1-1", "change");
	until_seen(before + 1); /* the change, and nothing else */
	ck_assert_int_eq(source->ops->dispatch(source, &e), 0);
	ck_assert_uint_eq(seen_n, before + 1);
	plugged_told(&line, "+A1.console tty:/dev/ttyACM1;");
}
END_TEST

START_TEST(the_removal_of_the_device_takes_its_tty_along)
{
	add_board(1, 5, "0001", "S1");
	begin();

	size_t before = seen_n;

	uevent("1-1", "remove");
	until_seen(before + 1);
	ck_assert_int_eq(seen[seen_n - 1].kind, HOTPLUG_GONE);
	plugged_told(&line, "+A1.console tty:/dev/ttyACM1;-A1.console;");
}
END_TEST

START_TEST(another_device_on_a_known_port_is_wrong)
{
	add_board(1, 5, "beef", "S1");
	begin();
	plugged_told(&line, "!A1.console tty:/dev/ttyACM1;");
}
END_TEST

START_TEST(one_device_fills_two_roles)
{
	add_board(2, 6, "0002", "S2");
	begin();
	ck_assert_ptr_nonnull(strstr(line.log.s, "+A2.console tty:/dev/ttyACM2;"));
	ck_assert_ptr_nonnull(strstr(line.log.s, "+A2.dut usb:/dev/bus/usb/001/006;"));
}
END_TEST

START_TEST(a_rescan_finds_what_was_lost)
{
	struct err e;

	add_board(1, 5, "0001", "S1");
	add_board(2, 6, "0002", "S2");
	begin();
	sb_clear(&line.log);
	/* Its events never came: only the next scan can know. */
	umockdev_testbed_remove_device(bed, "/sys/devices/platform/hcd/usb1/1-1");
	seen_n = 0;
	ck_assert_int_eq(source->ops->rescan(source, &e), 0);
	plugged_told(&line, "-A1.console;");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("hotplug_udev");
	TCase *c = tcase_create("hotplug_udev");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_is_there_before_the_start_is_listed_in_one_scan);
	tcase_add_test(c, a_tty_has_the_facts_of_its_usb_device);
	tcase_add_test(c, what_is_plugged_later_is_told);
	tcase_add_test(c, what_is_told_twice_is_bound_once);
	tcase_add_test(c, an_unbound_driver_is_no_unplugging);
	tcase_add_test(c, the_removal_of_the_device_takes_its_tty_along);
	tcase_add_test(c, another_device_on_a_known_port_is_wrong);
	tcase_add_test(c, one_device_fills_two_roles);
	tcase_add_test(c, a_rescan_finds_what_was_lost);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
