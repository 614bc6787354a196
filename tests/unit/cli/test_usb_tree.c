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

static Suite *suite(void)
{
	Suite *s = suite_create("usb_tree");
	TCase *tc = tcase_create("usb_tree");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, devices_are_below_their_hub_with_speed_and_driver);
	tcase_add_test(tc, a_string_of_a_device_writes_nothing_into_a_terminal);
	tcase_add_test(tc, a_machine_without_usb_says_so);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
