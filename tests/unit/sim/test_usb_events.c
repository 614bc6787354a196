/* SPDX-License-Identifier: Apache-2.0
 *
 * The event blocks read like `udevadm monitor --property`, in the order of the kernel.
 */
#include "sim/usb_events.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static const struct usb_board board = {3, 7, "1209:0001", "", "provsim-1", "/dev/pts/9", 12000000};

START_TEST(a_present_board_is_device_interface_tty)
{
	static const char want[] =
		"UDEV  [12345.000678] add      /devices/platform/provsim/usb9/9-1/9-1.3 (usb)\n"
		"ACTION=add\n"
		"DEVPATH=/devices/platform/provsim/usb9/9-1/9-1.3\n"
		"SUBSYSTEM=usb\n"
		"DEVTYPE=usb_device\n"
		"DEVNAME=/dev/bus/usb/009/007\n"
		"BUSNUM=009\n"
		"DEVNUM=007\n"
		"ID_PATH=platform-provsim-usb-0:1.3\n"
		"ID_BUS=usb\n"
		"ID_VENDOR_ID=1209\n"
		"ID_MODEL_ID=0001\n"
		"ID_MODEL=provsim-1\n"
		"SEQNUM=41\n"
		"USEC_INITIALIZED=12000000\n"
		"\n"
		"UDEV  [12345.000678] add      "
		"/devices/platform/provsim/usb9/9-1/9-1.3/9-1.3:1.0 (usb)\n"
		"ACTION=add\n"
		"DEVPATH=/devices/platform/provsim/usb9/9-1/9-1.3/9-1.3:1.0\n"
		"SUBSYSTEM=usb\n"
		"DEVTYPE=usb_interface\n"
		"ID_PATH=platform-provsim-usb-0:1.3:1.0\n"
		"ID_USB_INTERFACE_NUM=00\n"
		"ID_BUS=usb\n"
		"ID_VENDOR_ID=1209\n"
		"ID_MODEL_ID=0001\n"
		"ID_MODEL=provsim-1\n"
		"SEQNUM=42\n"
		"USEC_INITIALIZED=12000000\n"
		"\n"
		"UDEV  [12345.000678] add      "
		"/devices/platform/provsim/usb9/9-1/9-1.3/9-1.3:1.0/tty/ttySIM3 (tty)\n"
		"ACTION=add\n"
		"DEVPATH=/devices/platform/provsim/usb9/9-1/9-1.3/9-1.3:1.0/tty/ttySIM3\n"
		"SUBSYSTEM=tty\n"
		"DEVNAME=/dev/pts/9\n"
		"ID_PATH=platform-provsim-usb-0:1.3:1.0\n"
		"ID_USB_INTERFACE_NUM=00\n"
		"ID_BUS=usb\n"
		"ID_VENDOR_ID=1209\n"
		"ID_MODEL_ID=0001\n"
		"ID_MODEL=provsim-1\n"
		"SEQNUM=43\n"
		"USEC_INITIALIZED=12000000\n"
		"\n";
	struct strbuf out = {0};
	uint64_t seqnum = 40;

	usb_text_present(&out, &board, 12345000678, &seqnum);
	ck_assert_str_eq(out.s, want);
	sb_done(&out);
}
END_TEST

/* The actions and subsystems of the headers, in order. */
static char *headers(const char *text)
{
	struct strbuf out = {0};

	for (const char *p = text; (p = strstr(p, "UDEV ")); p++) {
		char action[16];
		char path[200];
		char subsystem[16];

		ck_assert_int_eq(
			sscanf(p, "UDEV [%*[0-9.]] %15s %199s (%15[a-z])", action, path, subsystem),
			3);
		sb_addf(&out, "%s %s;", action, strrchr(path, '/') + 1);
	}
	return sb_take(&out);
}

START_TEST(parents_come_first_and_go_last)
{
	struct strbuf out = {0};
	uint64_t seqnum = 0;

	usb_text_plugged(&out, &board, 1, &seqnum);

	char *order = headers(out.s);

	ck_assert_str_eq(order, "add 9-1.3;add 9-1.3:1.0;add ttySIM3;bind 9-1.3:1.0;bind 9-1.3;");
	free(order);
	sb_clear(&out);
	usb_text_unplugged(&out, &board, 1, &seqnum);
	order = headers(out.s);
	ck_assert_str_eq(order, "remove ttySIM3;unbind 9-1.3:1.0;remove 9-1.3:1.0;unbind 9-1.3;"
				"remove 9-1.3;");
	free(order);
	ck_assert_uint_eq(seqnum, 10);
	sb_done(&out);
}
END_TEST

START_TEST(a_serial_number_is_told_only_where_there_is_one)
{
	struct usb_board b = board;
	struct strbuf out = {0};
	uint64_t seqnum = 0;

	usb_text_present(&out, &b, 1, &seqnum);
	ck_assert_ptr_null(strstr(out.s, "ID_SERIAL_SHORT"));
	sb_clear(&out);
	b.usb_serial = "0001";
	usb_text_present(&out, &b, 1, &seqnum);
	ck_assert_ptr_nonnull(strstr(out.s, "ID_SERIAL_SHORT=0001\n"));
	sb_done(&out);
}
END_TEST

START_TEST(the_end_of_the_list_is_a_block_of_its_own)
{
	struct strbuf out = {0};

	usb_text_scan_done(&out, 2000001);
	ck_assert_ptr_eq(strstr(out.s, "UDEV  [2.000001] scan-done /devices (provd)\n"), out.s);
	ck_assert_str_eq(out.s + out.len - 2, "\n\n");
	sb_done(&out);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("usb_events");
	TCase *c = tcase_create("usb_events");

	tcase_add_test(c, a_present_board_is_device_interface_tty);
	tcase_add_test(c, parents_come_first_and_go_last);
	tcase_add_test(c, a_serial_number_is_told_only_where_there_is_one);
	tcase_add_test(c, the_end_of_the_list_is_a_block_of_its_own);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
