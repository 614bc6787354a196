/* SPDX-License-Identifier: Apache-2.0
 *
 * PICOBOOT: which chip it is, and its restart.
 */
#include "daemon/actions/picoboot/picoboot.h"

#include <stdio.h>

const char *const picoboot_chips[] = {"auto", "rp2040", "rp2350", NULL};

static int take_identity(struct picoboot_step *x, struct err *e)
{
	char id[24];
	int r = picoboot_info(&x->pico, &x->info, &x->s->it, e);

	if (r < 0)
		return r;
	x->has_info = true;
	snprintf(id, sizeof id, "%016llX", (unsigned long long)x->info.chip_id);
	return step_identity(x->s, args_str(x->a, "port"), id, e);
}

int picoboot_step_open(struct picoboot_step *x, struct step *s, const struct args *a, struct err *e)
{
	const struct teller tell = step_teller(s);
	struct picoboot_port port;

	*x = (struct picoboot_step){.s = s, .a = a};

	int r = s->ops->usb(s->env, args_str(a, "port"), &s->it, &x->usb, e);

	if (r == 0)
		r = picoboot_usb_find(&x->port, x->usb, args_str(a, "chip"), e);
	if (r == 0)
		r = picoboot_usb_open(&x->port, &port, e);
	if (r < 0)
		return r;
	/* An answer of an earlier session has another number. */
	picoboot_init(&x->pico, &port, x->port.chip, (uint32_t)now_us(), &tell);
	x->session = true;
	r = picoboot_reset(&x->pico, &s->it, e);
	return r == 0 && x->port.chip == PICOBOOT_RP2350 ? take_identity(x, e) : r;
}

void picoboot_step_done(struct picoboot_step *x)
{
	/* The drive may write again, and the next step may find another device there. */
	if (x->session && x->usb)
		picoboot_reset(&x->pico, &x->s->it, NULL);
	if (x->s)
		x->s->ops->link_close(x->s->env, args_str(x->a, "port"));
}

void picoboot_step_evidence(const struct picoboot_step *x, struct step_result *out)
{
	const struct usb_facts *f = usb_facts(x->usb);
	char text[24];

	snprintf(text, sizeof text, "%04x:%04x", f->vid, f->pid);
	result_evidence(out, "device", json_string(text));
	result_evidence(out, "chip", json_string(picoboot_chip_str(x->port.chip)));
	if (!x->has_info)
		return;
	snprintf(text, sizeof text, "%016llX", (unsigned long long)x->info.chip_id);
	result_evidence(out, "chip_id", json_string(text));
}

/* -- restart -- */

#define LEAVE_US       (10 * US_PER_S)
#define LEAVE_EVERY_US (50 * US_PER_MS)

/* That it acknowledges a restart proves nothing: it is gone from the bus, or another enumeration is there. */
static int await_leaving(struct picoboot_step *x, struct err *e)
{
	struct iotime it = iotime_within(&x->s->it, LEAVE_US);
	const struct usb_facts *was = usb_facts(x->usb);
	_cleanup_(freep) char *address = xasprintf("usb:%s", was->port);
	struct usb_facts now;
	int r = 0;

	while (r == 0) {
		if (usb_look(address, &now, NULL) < 0 || strcmp(now.node, was->node) != 0)
			return 0;
		r = iotime_sleep(LEAVE_EVERY_US, &it, e);
	}
	if (r == -ERR_TIMEOUT && iotime_check(&x->s->it, NULL) == 0)
		return err_set(e, ERR_DEVICE_REFUSED,
			"reboot: the device acknowledged it, and stays on the bus in BOOTSEL mode");
	return r;
}

static int await_return(struct picoboot_step *x, struct step_result *out, struct err *e)
{
	const char *port = args_str(x->a, "port");
	char was[16], is[16];
	struct device_facts f;
	int r;

	snprintf(was, sizeof was, "%04x:%04x", usb_facts(x->usb)->vid, usb_facts(x->usb)->pid);
	x->s->ops->link_close(x->s->env, port);
	x->usb = NULL;
	r = x->s->ops->wait_device(x->s->env, port, &x->s->it, &f, e);
	if (r < 0)
		return r;
	snprintf(is, sizeof is, "%.4s:%.4s", f.vid, f.pid);
	if (!strcmp(was, is))
		return err_set(e, ERR_NOT_STARTED,
			"the device came back in BOOTSEL mode (%s): its boot ROM found nothing that it starts",
			is);
	result_evidence(out, "returned", facts_json(&f));
	return 0;
}

int picoboot_step_reboot(struct picoboot_step *x, struct step_result *out, struct err *e)
{
	const char *port = args_str(x->a, "port");
	int r = x->s->ops->expect_replug(x->s->env, port, e);

	if (r == 0 && !args_bool(x->a, "same_serial"))
		r = x->s->ops->expect_other_serial(x->s->env, port, e);
	if (r == 0)
		r = picoboot_reboot(&x->pico, &x->s->it, e);
	if (r == 0)
		r = await_leaving(x, e);
	if (r < 0)
		return r;
	result_evidence(out, "left", json_true());
	x->session = false;
	return args_bool(x->a, "returns") ? await_return(x, out, e) : 0;
}

static int reboot_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(picoboot_step_done) struct picoboot_step x = {.s = s, .a = a};
	int r = picoboot_step_open(&x, s, a, e);

	if (r < 0)
		return r;
	picoboot_step_evidence(&x, out);
	return picoboot_step_reboot(&x, out, e);
}

static const struct action_arg reboot_args[] = {ARG_ROWS_PICOBOOT, ARG_ROWS_RETURNS, {0}};

const struct action action_picoboot_reboot = {
	.name = "picoboot.reboot",
	.doc = "Restarts a RP2040 or RP2350 from BOOTSEL mode and sees it leave.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_REENUMERATES,
	.args = reboot_args,
	.default_timeout_us = 30 * US_PER_S,
	.run = reboot_run,
};

/* -- what it is -- */

static void tell_info(const struct picoboot_info *i, struct step_result *out)
{
	char id[24];

	snprintf(id, sizeof id, "%016llX", (unsigned long long)i->chip_id);
	result_output(out, "chip_id", json_string(id));
	result_evidence(out, "cpu", json_string(i->cpu));
	result_evidence(out, "secure_boot", json_boolean(i->secure_boot));
	result_evidence(out, "debug_disabled", json_boolean(i->debug_disabled));
	result_evidence(out, "arm_disabled", json_boolean(i->arm_disabled));
	result_evidence(out, "riscv_disabled", json_boolean(i->riscv_disabled));
	result_evidence(out, "flash_devinfo", json_integer(i->flash_devinfo));
	result_evidence(out, "partition_table", json_boolean(i->partition_table));
	result_evidence(out, "partitions", json_integer(i->partitions));
	result_output(out, "secure_boot", json_string(i->secure_boot ? "true" : "false"));
}

static int info_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(picoboot_step_done) struct picoboot_step x = {.s = s, .a = a};
	int r = picoboot_step_open(&x, s, a, e);

	if (r < 0)
		return r;
	picoboot_step_evidence(&x, out);
	result_output(out, "chip", json_string(picoboot_chip_str(x.port.chip)));
	if (x.has_info) {
		tell_info(&x.info, out);
		return 0;
	}
	/* The ROM of a RP2040 says nothing; that it answers a command is what was seen. */
	result_output(out, "chip_id", json_string(""));
	result_output(out, "secure_boot", json_string("false"));
	r = picoboot_exit_xip(&x.pico, &s->it, e);
	if (r == 0)
		result_evidence(out, "answers", json_true());
	return r;
}

static const struct action_arg info_args[] = {ARG_ROWS_PICOBOOT, {0}};

static const struct action_output info_outputs[] = {
	{"chip", "RP2040 or RP2350"},
	{"chip_id", "16 hex digits; empty of a RP2040, which has none"},
	{"secure_boot", "true or false, by the OTP of a RP2350"},
	{0},
};

const struct action action_picoboot_info = {
	.name = "picoboot.info",
	.doc = "What a RP2040 or RP2350 in BOOTSEL mode says of itself.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = info_args,
	.outputs = info_outputs,
	.default_timeout_us = 10 * US_PER_S,
	.run = info_run,
};
