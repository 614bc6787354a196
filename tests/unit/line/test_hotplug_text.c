/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded plug events (events/NAME.txt, as `udevadm monitor --property` prints them) through the
 * reader and the binding: whatever their order, a station is told what is there. argv[1]: the
 * folder.
 */
#include <stdio.h>

#include "daemon/line/hotplug.h"
#include "tests/unit/line/plugged.h"

static const char *events_dir;
static struct plugged line;
static struct hotplug source;

static const char config_yaml[] = "stations:\n"
				  "  - {id: A1, ports: {console: {path: "
				  "'pci-0000:00:14.0-usb-0:1.2', vid: '0403', pid: '6001'}}}\n"
				  "  - id: A2\n"
				  "    ports:\n"
				  "      console: {path: 'pci-0000:00:14.0-usb-0:1.3:1.0'}\n"
				  "      debug: {path: 'pci-0000:00:14.0-usb-0:1.3:1.1'}\n";

static void on_event(void *data, const struct hotplug *h, const struct hotplug_event *ev)
{
	binding_event(line.binding, h, ev);
}

static void setup(void)
{
	plugged_init(&line, config_yaml);
	source = (struct hotplug){.sink = {on_event, NULL}};
}

static void teardown(void)
{
	plugged_done(&line);
}

static void play(const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s.txt", events_dir, name);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	struct uevent_text text = {.ev.interface = -1};
	char buf[1024];

	ck_assert_msg(f != NULL, "%s", path);
	while (fgets(buf, sizeof buf, f)) {
		buf[strcspn(buf, "\n")] = 0;
		uevent_text_line(&text, &source, buf);
	}
	uevent_text_line(&text, &source, "");
}

static void mark(enum hotplug_kind kind)
{
	const struct hotplug_event ev = {.kind = kind};

	binding_event(line.binding, &source, &ev);
}

START_TEST(a_plug_is_told_once_however_often_udev_says_it)
{
	play("plug");
	play("plug");
	plugged_told(&line, "+A1.console tty:/dev/ttyUSB0;");
	play("unplug");
	play("unplug");
	plugged_told(&line, "-A1.console;");
}
END_TEST

START_TEST(the_removal_of_the_parent_alone_takes_the_tty)
{
	play("plug");
	play("unplug-parent-only");
	plugged_told(&line, "+A1.console tty:/dev/ttyUSB0;-A1.console;");
}
END_TEST

START_TEST(a_remove_of_what_never_came_is_nothing)
{
	play("unplug");
	plugged_told(&line, "");
	play("plug");
	plugged_told(&line, "+A1.console tty:/dev/ttyUSB0;");
}
END_TEST

START_TEST(a_late_remove_of_the_enumeration_before_leaves_the_device)
{
	play("plug");
	sb_clear(&line.log);
	play("plug-again"); /* devnum 9, before the remove of devnum 8 */
	plugged_told(&line, "-A1.console;+A1.console tty:/dev/ttyUSB0;");
	play("unplug-parent-only");
	plugged_told(&line, "");
}
END_TEST

START_TEST(a_hundred_bounces_end_as_they_began)
{
	play("plug");
	for (int i = 0; i < 100; i++) {
		play("unplug");
		play("plug");
	}
	for (const char *p = line.log.s; *p; p += strlen("-A1.console;")) {
		ck_assert(!strncmp(p, "+A1.console tty:/dev/ttyUSB0;", 29));
		p += 29;
		if (!*p)
			break;
		ck_assert(!strncmp(p, "-A1.console;", 12));
	}

	json_t *ports = binding_ports(line.binding);

	ck_assert_uint_eq(json_array_size(ports), 2); /* the device and its tty, no ghost */
	json_decref(ports);
}
END_TEST

START_TEST(a_rescan_removes_what_was_lost)
{
	play("plug");
	play("two-interfaces");
	sb_clear(&line.log);
	mark(HOTPLUG_SCAN_BEGIN);
	play("two-interfaces");
	mark(HOTPLUG_SCAN_DONE);
	plugged_told(&line, "-A1.console;");
}
END_TEST

START_TEST(two_interfaces_of_one_device_are_two_roles)
{
	play("two-interfaces");
	plugged_told(&line, "+A2.debug tty:/dev/ttyUSB2;+A2.console tty:/dev/ttyUSB1;");
}
END_TEST

START_TEST(another_device_on_a_known_port_is_wrong)
{
	play("wrong-device");
	plugged_told(&line, "!A1.console tty:/dev/ttyACM0;");
}
END_TEST

START_TEST(an_unbound_port_says_how_to_bind_it)
{
	play("elsewhere");
	plugged_told(&line, "");

	json_t *ports = binding_ports(line.binding);
	json_t *hint = json_object_get(json_array_get(ports, 0), "yaml");

	ck_assert_ptr_nonnull(strstr(json_string_value(hint), "pci-0000:00:14.0-usb-0:9"));
	json_decref(ports);
}
END_TEST

START_TEST(ports_that_two_stations_claim_are_refused_with_their_place)
{
	struct plugged p = {0};
	struct strbuf report = {0};
	struct err e;
	int r = plugged_config(&p,
		"stations:\n"
		"  - {id: A1, ports: {console: {path: 1-1.2}}}\n"
		"  - {id: A2, ports: {console: {path: 1-1.2}}}\n",
		&report, &e);

	ck_assert_int_eq(r, -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(report.s, "1-1.2"));
	ck_assert_ptr_nonnull(strstr(report.s, "A1"));
	ck_assert_ptr_nonnull(strstr(report.s, "A2"));

	/* file:line:column: */
	const char *at = strstr(report.s, "provd.yaml:");
	int row = 0;
	int column = 0;

	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(sscanf(at, "provd.yaml:%d:%d:", &row, &column), 2);
	ck_assert_int_ge(row, 1);
	ck_assert_int_ge(column, 1);
	sb_done(&report);
	config_unref(p.config);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("hotplug_text");
	TCase *c = tcase_create("hotplug_text");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_plug_is_told_once_however_often_udev_says_it);
	tcase_add_test(c, the_removal_of_the_parent_alone_takes_the_tty);
	tcase_add_test(c, a_remove_of_what_never_came_is_nothing);
	tcase_add_test(c, a_late_remove_of_the_enumeration_before_leaves_the_device);
	tcase_add_test(c, a_hundred_bounces_end_as_they_began);
	tcase_add_test(c, a_rescan_removes_what_was_lost);
	tcase_add_test(c, two_interfaces_of_one_device_are_two_roles);
	tcase_add_test(c, another_device_on_a_known_port_is_wrong);
	tcase_add_test(c, an_unbound_port_says_how_to_bind_it);
	tcase_add_test(c, ports_that_two_stations_claim_are_refused_with_their_place);
	suite_add_tcase(s, c);
	return s;
}

int main(int argc, char **argv)
{
	SRunner *sr = srunner_create(suite());

	events_dir = argc > 1 ? argv[1] : "tests/unit/line/events";
	srunner_run_all(sr, CK_ENV);

	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
