/* SPDX-License-Identifier: Apache-2.0
 *
 * The actions picoboot.* before they have a session: another chip than the recipe says, an interface that somebody else has. The
 * few calls of the USB link that come so far are answered here (the linker's --wrap).
 */
#include "tests/unit/actions/action_rig.h"
#include "transports/links/usb.h"

static struct rig rig;
static bool busy;
static unsigned claims;

/* Of a RP2040 in BOOTSEL mode. */
static const struct usb_facts facts = {.vid = 0x2e8a, .pid = 0x0003, .port = "1-1.4"};
static const struct usb_interface interfaces[] = {
	{.number = 0, .cls = 8, .subclass = 6, .protocol = 0x50},
	{.number = 1,
		.cls = 0xff,
		.ep = {{0x03, USB_EP_BULK, 64}, {0x84, USB_EP_BULK, 64}},
		.eps = 2},
};

const struct usb_facts *__wrap_usb_facts(const struct usb *u);
size_t __wrap_usb_interfaces(const struct usb *u, const struct usb_interface **ret);
int __wrap_usb_claim(struct usb *u, uint8_t interface, struct err *e);

const struct usb_facts *__wrap_usb_facts(const struct usb *u)
{
	return &facts;
}

size_t __wrap_usb_interfaces(const struct usb *u, const struct usb_interface **ret)
{
	*ret = interfaces;
	return ARRAY_LEN(interfaces);
}

int __wrap_usb_claim(struct usb *u, uint8_t interface, struct err *e)
{
	ck_assert_msg(busy, "interface %u is claimed of a device that is not the one", interface);
	claims++;
	return err_set(e, ERR_BUSY, "usb:1-1.4: another program has interface %u", interface);
}

static int some_device(
	void *env, const char *role, const struct iotime *it, struct usb **ret, struct err *e)
{
	*ret = (struct usb *)&rig; /* whoever looks into it crashes */
	return 0;
}

static struct step_env_ops ops;

static void setup(void)
{
	ops = rig_ops;
	ops.usb = some_device;
	rig = (struct rig){.ops = &ops};
	busy = false;
	claims = 0;
}

static void teardown(void)
{
	rig_done(&rig);
}

START_TEST(another_chip_is_said_and_nothing_is_sent)
{
	rig_refused(&rig, "picoboot.info", "{\"port\":\"c\",\"chip\":\"rp2350\"}", ERR_WRONG_DEVICE,
		"is a RP2040, a RP2350 expected");
	ck_assert_uint_eq(rig.links_closed, 1);
	rig_refused(&rig, "picoboot.reboot", "{\"port\":\"c\",\"chip\":\"rp2350\"}",
		ERR_WRONG_DEVICE, "is a RP2040");
}
END_TEST

START_TEST(an_interface_that_another_program_has_is_named)
{
	busy = true;
	rig_refused(&rig, "picoboot.info", "{\"port\":\"c\"}", ERR_BUSY,
		"another program has interface 1");
	ck_assert_uint_eq(claims, 1);
	ck_assert_uint_eq(rig.links_closed, 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("picoboot_action");
	TCase *t = tcase_create("picoboot_action");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, another_chip_is_said_and_nothing_is_sent);
	tcase_add_test(t, an_interface_that_another_program_has_is_named);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
