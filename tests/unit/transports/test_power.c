/* SPDX-License-Identifier: Apache-2.0
 *
 * What switches power: the requests of a hub and of a USB relay against provsim's, a relay on a serial line, names of
 * ports, and what a switch that lies or does not answer is called.
 */
#include "transports/links/power.h"

#include <string.h>

#include "sim/device_rows.h"
#include "sim/gadget_control.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"
#include "transports/links/usb_hub.h"
#include "transports/protocols/power/hid_relay.h"
#include "transports/protocols/power/hub.h"
#include "transports/protocols/power/power_switch.h"
#include "transports/protocols/power/serial_relay.h"

static struct board_settings set;
static struct faults wire_faults;
static struct own_faults faults;
static struct device *device;
static struct err e;
static struct iotime it;

static int call(void *data, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
	void *buf, uint16_t n, uint16_t *ret_n, const struct iotime *when, struct err *why)
{
	const uint8_t setup[8] = {type, request, (uint8_t)value, (uint8_t)(value >> 8),
		(uint8_t)index, (uint8_t)(index >> 8), (uint8_t)n, (uint8_t)(n >> 8)};
	bool in = type & 0x80;
	int r = gadget_control(device, setup, buf, in ? 0 : n, in ? n : 0, 1000000);

	if (r < 0)
		return err_set(why, ERR_DEVICE_REFUSED, "the device refused it (stall)");
	if (ret_n)
		*ret_n = in ? (uint16_t)r : n;
	return 0;
}

static const struct power_usb usb = {call, NULL};

static void plug(const struct device_ops *ops, const char *name, const char *value)
{
	const struct device_config c = {.set = &set,
		.wire_faults = &wire_faults,
		.faults = &faults,
		.uid = "0123456789abcdef01234567",
		.socket = "b1",
		.fresh = true};

	settings_default(&set);
	if (name)
		ck_assert_msg(settings_set(&set, name, value, &e) == 0, "%s", e.msg);
	faults = (struct own_faults){.rows = ops->faults};
	ck_assert_msg(ops->new (&c, &device, &e) == 0, "%s", e.msg);
	device->ops = ops;
	ops->power_on(device, 0);
}

static void set_up(void)
{
	e = (struct err){0};
	it = (struct iotime){now_us() + 10 * US_PER_S, NULL};
}

static void tear_down(void)
{
	device = device_free(device);
}

static void fault(const char *spec)
{
	ck_assert_msg(own_faults_add(&faults, spec, &e) == 0, "%s", e.msg);
}

/* --- hubs --- */

START_TEST(test_one_port_is_switched_and_no_other)
{
	struct hub_facts h;
	struct hub_port_state s;

	plug(&hub_device, NULL, NULL);
	ck_assert_msg(hub_read(&usb, false, &h, &it, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(h.ports, 4);
	ck_assert_int_eq(h.switching, HUB_EACH);
	ck_assert_uint_eq(h.good_ms, 20);
	ck_assert_int_eq(hub_check(&h, "1-8", &e), 0);
	for (unsigned port = 1; port <= 4; port++)
		ck_assert_int_eq(hub_port_switch(&usb, &h, port, true, &it, &e), 0);
	ck_assert_int_eq(hub_port_switch(&usb, &h, 3, false, &it, &e), 0);
	for (unsigned port = 1; port <= 4; port++) {
		ck_assert_int_eq(hub_port_read(&usb, &h, port, &s, &it, &e), 0);
		ck_assert_int_eq(s.power, port != 3);
		ck_assert_int_eq(s.connected, port != 3);
	}
}
END_TEST

START_TEST(test_a_port_that_is_not_there)
{
	struct hub_facts h;
	struct hub_port_state s;

	plug(&hub_device, NULL, NULL);
	ck_assert_int_eq(hub_read(&usb, false, &h, &it, &e), 0);
	ck_assert_int_eq(hub_port_switch(&usb, &h, 5, false, &it, &e), -ERR_POWER_NOT_SWITCHABLE);
	ck_assert_int_eq(hub_port_switch(&usb, &h, 0, false, &it, &e), -ERR_POWER_NOT_SWITCHABLE);
	ck_assert_int_eq(hub_port_read(&usb, &h, 5, &s, &it, &e), -ERR_POWER_NOT_SWITCHABLE);
}
END_TEST

static const struct {
	const char *switching;
	int want;
} kinds[] = {{"each", 0}, {"ganged", -ERR_POWER_GANGED}, {"none", -ERR_POWER_NOT_SWITCHABLE}};

START_TEST(test_hubs_that_cannot_are_known)
{
	struct hub_facts h;

	plug(&hub_device, "hub-switching", kinds[_i].switching);
	ck_assert_int_eq(hub_read(&usb, false, &h, &it, &e), 0);
	ck_assert_int_eq(hub_check(&h, "1-8", &e), kinds[_i].want);
	if (kinds[_i].want)
		ck_assert_ptr_nonnull(strstr(e.msg, "hub 1-8"));
	h.ports = 1; /* a gang of one */
	if (kinds[_i].want == -ERR_POWER_GANGED)
		ck_assert_int_eq(hub_check(&h, "1-8", &e), 0);
}
END_TEST

START_TEST(test_what_a_hub_answers_wrongly)
{
	struct hub_facts h;
	struct hub_port_state s;

	plug(&hub_device, NULL, NULL);
	ck_assert_int_eq(
		hub_read(&usb, true, &h, &it, &e), -ERR_PROTOCOL); /* the type of another speed */
	ck_assert_int_eq(hub_read(&usb, false, &h, &it, &e), 0);
	fault("short-status");
	ck_assert_int_eq(hub_port_read(&usb, &h, 1, &s, &it, &e), -ERR_PROTOCOL);
	fault("refuses=2");
	ck_assert_int_eq(hub_port_switch(&usb, &h, 2, true, &it, &e), -ERR_DEVICE_REFUSED);
	fault("over-current=2");
	ck_assert_int_eq(hub_port_switch(&usb, &h, 2, true, &it, &e), 0);
	ck_assert_int_eq(hub_port_read(&usb, &h, 2, &s, &it, &e), 0);
	ck_assert(s.over_current && !s.power);
}
END_TEST

/* USB 3.2, table 10-13: bit 8 is a part of the speed there, bit 9 the power. */
static int answer_super(void *data, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
	void *buf, uint16_t n, uint16_t *ret_n, const struct iotime *when, struct err *why)
{
	static const uint8_t descriptor[12] = {12, 0x2a, 4, 0x09, 0, 50, 0, 4, 0, 0, 0, 0};

	if (type == 0xa0)
		memcpy(buf, descriptor, sizeof descriptor);
	else
		memcpy(buf, data, 4);
	*ret_n = type == 0xa0 ? sizeof descriptor : 4;
	return 0;
}

START_TEST(test_the_power_of_a_port_of_usb_3)
{
	uint8_t on[4] = {0x03, 0x02, 0, 0}, off[4] = {0xa0, 0x01, 0, 0};
	struct power_usb u = {answer_super, on};
	struct hub_port_state s;
	struct hub_facts h;

	ck_assert_msg(hub_read(&u, true, &h, &it, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(h.switching, HUB_EACH);
	ck_assert_int_eq(hub_port_read(&u, &h, 1, &s, &it, &e), 0);
	ck_assert(s.power && s.connected);
	u.data = off;
	ck_assert_int_eq(hub_port_read(&u, &h, 1, &s, &it, &e), 0);
	ck_assert(!s.power && !s.connected);
}
END_TEST

/* --- USB relays --- */

START_TEST(test_a_channel_of_a_relay)
{
	struct hid_relay_state s;

	plug(&hid_relay_device, "relay-serial", "AB1CD");
	ck_assert_msg(hid_relay_read(&usb, &s, &it, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(s.serial, "AB1CD");
	ck_assert_uint_eq(s.on, 0);
	ck_assert_int_eq(hid_relay_switch(&usb, 2, true, &it, &e), 0);
	ck_assert_int_eq(hid_relay_read(&usb, &s, &it, &e), 0);
	ck_assert_uint_eq(s.on, 2);
	ck_assert_int_eq(hid_relay_switch(&usb, 1, true, &it, &e), 0);
	ck_assert_int_eq(hid_relay_switch(&usb, 2, false, &it, &e), 0);
	ck_assert_int_eq(hid_relay_read(&usb, &s, &it, &e), 0);
	ck_assert_uint_eq(s.on, 1);
	ck_assert_int_eq(hid_relay_switch(&usb, 3, true, &it, &e), -ERR_DEVICE_REFUSED);
}
END_TEST

static int answer_noise(void *data, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
	void *buf, uint16_t n, uint16_t *ret_n, const struct iotime *when, struct err *why)
{
	memcpy(buf, data, 8);
	*ret_n = 8;
	return 0;
}

START_TEST(test_what_is_no_report_of_a_relay)
{
	struct hid_relay_state s;
	struct power_usb u = {answer_noise, (uint8_t[8]){0}};

	ck_assert_int_eq(hid_relay_read(&u, &s, &it, &e), -ERR_PROTOCOL);
	plug(&hid_relay_device, NULL, NULL);
	fault("short-report");
	ck_assert_int_eq(hid_relay_read(&usb, &s, &it, &e), -ERR_PROTOCOL);
	ck_assert_uint_eq(hid_relay_channels("USBRelay4"), 4);
	ck_assert_uint_eq(hid_relay_channels("USBRelay9"), 0);
	ck_assert_uint_eq(hid_relay_channels("USBRelay"), 0);
	ck_assert_uint_eq(hid_relay_channels("USBRelay10"), 0);
	ck_assert_uint_eq(hid_relay_channels("HIDRelay1"), 0);
}
END_TEST

/* --- names --- */

static const struct {
	const char *name, *hub;
	unsigned port;
} places[] = {
	{"1-8.2", "1-8", 2},
	{"1-8", "usb1", 8},
	{"12-1.4.3", "12-1.4", 3},
	{"3-11:1.0", "usb3", 11},
	{"1-8.2:1.1", "1-8", 2},
	{"usb1", NULL, 0},
	{"1-", NULL, 0},
	{"1-8.", NULL, 0},
	{"1-8.0", NULL, 0},
	{"1-8/2", NULL, 0},
	{"", NULL, 0},
};

START_TEST(test_names_of_ports)
{
	struct usb_hub_port p;
	char name[USB_PORT_BYTES];

	ck_assert_int_eq(usb_hub_port_parse(places[_i].name, &p), places[_i].hub != NULL);
	if (!places[_i].hub)
		return;
	ck_assert_str_eq(p.hub, places[_i].hub);
	ck_assert_uint_eq(p.port, places[_i].port);
	usb_hub_port_name(&p, name);
	ck_assert_int_eq(strncmp(name, places[_i].name, strlen(name)), 0);
}
END_TEST

START_TEST(test_what_hangs_on_a_port)
{
	const struct usb_hub_port p = {"1-8", 2};

	ck_assert(usb_hub_port_holds(&p, "1-8.2"));
	ck_assert(usb_hub_port_holds(&p, "1-8.2.4"));
	ck_assert(usb_hub_port_holds(&p, "1-8.2:1.0"));
	ck_assert(!usb_hub_port_holds(&p, "1-8.21"));
	ck_assert(!usb_hub_port_holds(&p, "1-8"));
	ck_assert(!usb_hub_port_holds(&p, "2-8.2"));
}
END_TEST

START_TEST(test_bytes_in_hex)
{
	struct power_bytes b;

	ck_assert_int_eq(power_bytes_parse("a0 01 01A2", &b, &e), 0);
	ck_assert_uint_eq(b.n, 4);
	ck_assert_mem_eq(b.byte, "\xa0\x01\x01\xa2", 4);
	ck_assert_int_eq(power_bytes_parse("a0 0", &b, &e), -ERR_INVALID);
	ck_assert_int_eq(power_bytes_parse("on", &b, &e), -ERR_INVALID);
	ck_assert_int_eq(power_bytes_parse("  ", &b, &e), -ERR_INVALID);
	ck_assert_int_eq(
		power_bytes_parse(
			"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20", &b,
			&e),
		-ERR_INVALID);
}
END_TEST

/* --- a relay on a serial line --- */

static bool closed_contact;
static const char *instead; /* what it answers; NULL: how it is */
static const char *late;    /* its answer to the command, which comes with that to the question */
static const char *end;	    /* of each answer */

static void contact(struct fake_link *f, const uint8_t *p, size_t n)
{
	if (n == 4 && p[0] == 0xa0)
		closed_contact = p[2] == 1;
	else if (n == 1 && p[0] == 0xff) {
		if (late)
			fake_says(f, late);
		late = NULL;
		fake_says(f, instead ? instead : closed_contact ? "CH1: ON" : "CH1: OFF");
		if (end)
			fake_says(f, end);
	}
}

static struct power_way serial_way(void)
{
	struct power_way w = {
		.kind = POWER_SERIAL_RELAY, .place = "relay tty:/dev/x", .answer_us = US_PER_S};

	power_bytes_parse("a0 01 01 a2", &w.on, &e);
	power_bytes_parse("a0 01 00 a1", &w.off, &e);
	power_bytes_parse("ff", &w.query, &e);
	power_bytes_parse("4348313a204f4e", &w.answers_on, &e);
	power_bytes_parse("4348313a204f4646", &w.answers_off, &e);
	return w;
}

START_TEST(test_a_relay_on_a_serial_line)
{
	struct fake_link f;
	struct power_way w = serial_way();
	enum power_state now;

	fake_init(&f, contact, NULL);
	ck_assert_int_eq(serial_relay_switch(&f.link, &w, true, &it, &e), 0);
	ck_assert_msg(serial_relay_read(&f.link, &w, &now, &it, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(now, POWER_ON);
	fake_says(&f, "late noise");
	ck_assert_int_eq(serial_relay_switch(&f.link, &w, false, &it, &e), 0);
	ck_assert_int_eq(serial_relay_read(&f.link, &w, &now, &it, &e), 0);
	ck_assert_int_eq(now, POWER_OFF);
	instead = "CH1: O?";
	ck_assert_int_eq(serial_relay_read(&f.link, &w, &now, &it, &e), -ERR_PROTOCOL);
	instead = "CH1: O";
	ck_assert_int_eq(serial_relay_read(&f.link, &w, &now, &it, &e), -ERR_TIMEOUT);
	w.query.n = 0;
	ck_assert_int_eq(serial_relay_read(&f.link, &w, &now, &it, &e), 0);
	ck_assert_int_eq(now, POWER_UNKNOWN);
	fake_done(&f);
}
END_TEST

START_TEST(test_an_answer_to_something_else)
{
	struct fake_link f;
	struct power_way w = serial_way();
	enum power_state now = POWER_UNKNOWN;

	closed_contact = false;
	instead = NULL;
	fake_init(&f, contact, NULL);
	late = "CH1: ON";
	ck_assert_int_eq(serial_relay_read(&f.link, &w, &now, &it, &e), -ERR_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(e.msg, "answers that it is on, and asked once more"));
	late = "CH1: OFF"; /* twice the same */
	ck_assert_int_eq(serial_relay_read(&f.link, &w, &now, &it, &e), 0);
	ck_assert_int_eq(now, POWER_OFF);
	end = "\r\n> ";
	ck_assert_msg(serial_relay_read(&f.link, &w, &now, &it, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(now, POWER_OFF);
	end = NULL;
	fake_done(&f);
}
END_TEST

/* --- any switch --- */

struct wooden {
	struct power_switch base;
	enum power_state says;
	int fails;
};

static int wooden_read(
	struct power_switch *p, enum power_state *ret, const struct iotime *when, struct err *why)
{
	*ret = ((struct wooden *)p)->says;
	return 0;
}

static int wooden_set(struct power_switch *p, bool on, const struct iotime *when, struct err *why)
{
	int code = ((struct wooden *)p)->fails;

	return code ? err_set(why, (enum err_code)code, "it did not") : 0;
}

static const struct power_switch_ops wooden_ops = {wooden_read, wooden_set, NULL};

START_TEST(test_no_fault_of_a_switch_is_the_units)
{
	static const int of_medium[] = {
		ERR_TIMEOUT, ERR_DEVICE_GONE, ERR_PROTOCOL, ERR_DEVICE_REFUSED, ERR_IO};
	const struct power_way w = {.place = "port 2 of hub 1-8"};
	struct wooden x = {.base = {&wooden_ops, &w}, .says = POWER_OFF};
	enum power_state now;
	struct cancel cancel;

	ck_assert_int_eq(power_switch_set(&x.base, false, &now, &it, &e), 0);
	ck_assert_int_eq(power_switch_set(&x.base, true, &now, &it, &e), -ERR_POWER_STATE);
	ck_assert_ptr_nonnull(strstr(e.msg, "port 2 of hub 1-8"));
	x.says = POWER_UNKNOWN;
	ck_assert_int_eq(power_switch_set(&x.base, true, &now, &it, &e), 0);
	ck_assert_int_eq(now, POWER_UNKNOWN);
	for (size_t i = 0; i < ARRAY_LEN(of_medium); i++) {
		x.fails = of_medium[i];
		ck_assert_int_eq(power_switch_set(&x.base, true, &now, &it, &e), -ERR_POWER_SWITCH);
		ck_assert_int_eq(e.code, ERR_POWER_SWITCH);
	}
	x.fails = ERR_BUSY;
	ck_assert_int_eq(power_switch_set(&x.base, true, &now, &it, &e), -ERR_BUSY);
	/* A unit that left has a code of its own: the run was cancelled for it. */
	ck_assert_int_eq(cancel_init(&cancel, &e), 0);
	cancel_fire(&cancel, ERR_DEVICE_GONE);
	it.cancel = &cancel;
	x.fails = ERR_DEVICE_GONE;
	ck_assert_int_eq(power_switch_set(&x.base, true, &now, &it, &e), -ERR_DEVICE_GONE);
	cancel_done(&cancel);
}
END_TEST

static Suite *power_suite(void)
{
	Suite *s = suite_create("power");
	TCase *t = tcase_create("power");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, test_one_port_is_switched_and_no_other);
	tcase_add_test(t, test_a_port_that_is_not_there);
	tcase_add_loop_test(t, test_hubs_that_cannot_are_known, 0, (int)ARRAY_LEN(kinds));
	tcase_add_test(t, test_what_a_hub_answers_wrongly);
	tcase_add_test(t, test_the_power_of_a_port_of_usb_3);
	tcase_add_test(t, test_a_channel_of_a_relay);
	tcase_add_test(t, test_what_is_no_report_of_a_relay);
	tcase_add_loop_test(t, test_names_of_ports, 0, (int)ARRAY_LEN(places));
	tcase_add_test(t, test_what_hangs_on_a_port);
	tcase_add_test(t, test_bytes_in_hex);
	tcase_add_test(t, test_a_relay_on_a_serial_line);
	tcase_add_test(t, test_an_answer_to_something_else);
	tcase_add_test(t, test_no_fault_of_a_switch_is_the_units);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(power_suite)
