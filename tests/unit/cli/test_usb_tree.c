/* SPDX-License-Identifier: Apache-2.0
 *
 * USB as sysfs shows it: hubs before what is plugged into them, speeds and drivers, and no control byte of a device's string.
 */
#include "cli/usb_tree.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/tree.h"
#include "base/util.h"
#include "cli/sysfs_usb.h"
#include "tests/unit/unit.h"

static char top[64];

static void put(const char *device, const char *name, const char *value)
{
	_cleanup_(freep) char *dir = xasprintf("%s/bus/usb/devices/%s", top, device);
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	struct err e;
	FILE *f;

	ck_assert_int_eq(tree_make(dir, &e), 0);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s\n", value);
	fclose(f);
}

static void device(const char *name, const char *vendor, const char *product, const char *speed)
{
	put(name, "idVendor", vendor);
	put(name, "idProduct", product);
	put(name, "speed", speed);
}

static void driver(const char *interface, const char *name)
{
	_cleanup_(freep) char *link = xasprintf("%s/bus/usb/devices/%s/driver", top, interface);
	_cleanup_(freep) char *to = xasprintf("../../drivers/%s", name);

	ck_assert_int_eq(symlink(to, link), 0);
}

static void setup(void)
{
	snprintf(top, sizeof top, "/tmp/test_usb_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
}

static void teardown(void)
{
	tree_remove(top);
}

START_TEST(devices_are_below_their_hub_with_speed_and_driver)
{
	struct strbuf out = {0};

	device("1-2.10", "1209", "0001", "12");
	device("1-2.9", "0483", "df11", "480");
	device("1-2", "05e3", "0610", "480");
	device("usb1", "1d6b", "0002", "480");
	put("1-2.9", "product", "STM32  BOOTLOADER");
	put("1-2.9", "serial", "00A1");
	put("1-2.10:1.0", "bInterfaceClass", "02");
	put("1-2.9:1.0", "bInterfaceClass", "fe");
	driver("1-2.10:1.0", "cdc_acm");
	usb_tree(top, &out);
	ck_assert_str_eq(out.s, "usb1 1d6b:0002 480 Mbit/s\n"
				"  1-2 05e3:0610 480 Mbit/s\n"
				"    1-2.9 0483:df11 480 Mbit/s, STM32  BOOTLOADER, serial 00A1\n"
				"        1-2.9:1.0 class fe, no driver\n"
				"    1-2.10 1209:0001 12 Mbit/s\n"
				"        1-2.10:1.0 class 02, cdc_acm\n");
	sb_done(&out);
}
END_TEST

START_TEST(a_string_of_a_device_writes_nothing_into_a_terminal)
{
	struct strbuf out = {0};

	device("2-1", "1209", "0001", "12");
	put("2-1", "product", "a\033[2Jb");
	usb_tree(top, &out);
	ck_assert_ptr_null(strchr(out.s, '\033'));
	ck_assert_ptr_nonnull(strstr(out.s, "a\\x1b[2Jb"));
	sb_done(&out);
}
END_TEST

START_TEST(a_machine_without_usb_says_so)
{
	struct strbuf out = {0};

	usb_tree(top, &out);
	ck_assert_ptr_nonnull(strstr(out.s, "no USB device is in"));
	sb_done(&out);
}
END_TEST

static void interface(
	const char *name, const char *class, const char *subclass, const char *protocol)
{
	put(name, "bInterfaceClass", class);
	put(name, "bInterfaceSubClass", subclass);
	put(name, "bInterfaceProtocol", protocol);
}

/* "kind port node" of each, with commas. */
static char *seen(void)
{
	struct strbuf out = {0};
	struct usb_seen *list;
	size_t n = sysfs_usb_seen(top, &list);

	sb_add(&out, "");
	for (size_t i = 0; i < n; i++)
		sb_addf(&out, "%s%s %s%s%s", i ? ", " : "", list[i].kind, list[i].port,
			list[i].node[0] ? " " : "", list[i].node);
	free(list);
	return sb_take(&out);
}

START_TEST(what_an_action_reaches_is_known_by_its_interface)
{
	_cleanup_(freep) char *text = NULL;

	device("1-1", "0483", "df11", "12");
	interface("1-1:1.0", "fe", "01", "02");
	device("1-2", "18d1", "4ee0", "480");
	interface("1-2:1.0", "ff", "42", "03");
	device("1-3", "18d1", "4ee7", "480");
	interface("1-3:1.0", "06", "01", "01");
	interface("1-3:1.1", "ff", "42", "01");
	device("1-4", "0957", "1755", "480");
	interface("1-4:1.0", "fe", "03", "01");
	device("1-5", "0a5f", "0166", "480");
	interface("1-5:1.0", "07", "01", "02");
	/* A hub, a keyboard, a vendor's own. */
	device("1-6", "05e3", "0610", "480");
	interface("1-6:1.0", "09", "00", "00");
	interface("1-7:1.0", "03", "01", "01");
	interface("1-8:1.0", "ff", "42", "02");
	text = seen();
	ck_assert_str_eq(text, "dfu 1-1, fastboot 1-2, adb 1-3, instrument 1-4, printer 1-5");
}
END_TEST

START_TEST(a_serial_port_has_its_node_and_a_probe_is_listed_once)
{
	_cleanup_(freep) char *text = NULL;

	device("1-1", "0403", "6001", "12");
	interface("1-1:1.0", "ff", "ff", "ff");
	put("1-1:1.0/ttyUSB3/tty/ttyUSB3", "dev", "188:3");
	device("1-2", "0483", "374b", "12");
	interface("1-2:1.0", "ff", "ff", "ff");
	interface("1-2:1.2", "02", "02", "01");
	put("1-2:1.2/tty/ttyACM0", "dev", "166:0");
	device("1-3", "c251", "f001", "480");
	put("1-3", "product", "Some CMSIS-DAP v2");
	interface("1-3:1.0", "ff", "00", "00");
	text = seen();
	ck_assert_str_eq(
		text, "serial 1-1 /dev/ttyUSB3, probe 1-2, serial 1-2 /dev/ttyACM0, probe 1-3");
}
END_TEST

START_TEST(the_only_probe_needs_no_name)
{
	char address[USB_ADDRESS_BYTES];

	ck_assert_ptr_null(sysfs_usb_one_probe(top, address));
	device("1-2", "1366", "0105", "480");
	ck_assert_str_eq(sysfs_usb_one_probe(top, address), "usb:1-2");
	device("2-1.4", "0483", "3748", "12");
	ck_assert_ptr_null(sysfs_usb_one_probe(top, address));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("usb_tree");
	TCase *tc = tcase_create("usb_tree");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, devices_are_below_their_hub_with_speed_and_driver);
	tcase_add_test(tc, a_string_of_a_device_writes_nothing_into_a_terminal);
	tcase_add_test(tc, a_machine_without_usb_says_so);
	tcase_add_test(tc, what_an_action_reaches_is_known_by_its_interface);
	tcase_add_test(tc, a_serial_port_has_its_node_and_a_probe_is_listed_once);
	tcase_add_test(tc, the_only_probe_needs_no_name);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
