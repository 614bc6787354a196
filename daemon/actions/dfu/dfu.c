/* SPDX-License-Identifier: Apache-2.0
 *
 * DFU and DfuSe: what the device is, and the memory that a step means. A device in run-time mode is
 * detached first, and awaited on the same port.
 */
#include "daemon/actions/dfu/dfu.h"

static int look(struct dfu_step *x, struct err *e)
{
	const char *port = args_str(x->a, "port");
	int r = x->s->ops->usb(x->s->env, port, &x->s->it, &x->usb, e);

	if (r == 0)
		r = dfu_list(x->usb, &x->targets, &x->s->it, e);
	if (r == 0 && x->targets.count == 0)
		r = err_set(e, ERR_UNSUPPORTED, "usb:%s (%04x:%04x) has no DFU interface",
			usb_facts(x->usb)->port, usb_facts(x->usb)->vid, usb_facts(x->usb)->pid);
	if (r == 0 && !x->first_vid) {
		x->first_vid = usb_facts(x->usb)->vid;
		x->first_pid = usb_facts(x->usb)->pid;
	}
	return r;
}

static void start(struct dfu_step *x, const struct dfu_target *t, const struct dfu_port *port)
{
	const struct teller tell = step_teller(x->s);

	x->target = t;
	dfu_init(&x->dfu, port, &t->f, x->targets.quirks, &tell);
}

int dfu_step_replug(struct dfu_step *x, struct err *e)
{
	const char *port = args_str(x->a, "port");
	int r = x->s->ops->expect_replug(x->s->env, port, e);

	if (r == 0 && args_has(x->a, "same_serial") && !args_bool(x->a, "same_serial"))
		r = x->s->ops->expect_other_serial(x->s->env, port, e);
	return r;
}

int dfu_step_back(struct dfu_step *x, struct device_facts *ret, struct err *e)
{
	const char *port = args_str(x->a, "port");

	x->s->ops->link_close(x->s->env, port);
	x->usb = NULL;
	return x->s->ops->wait_device(x->s->env, port, &x->s->it, ret, e);
}

static const struct dfu_target *runtime_of(const struct dfu_step *x)
{
	for (size_t i = 0; i < x->targets.count; i++)
		if (!x->targets.target[i].runtime)
			return NULL;
	return &x->targets.target[0];
}

static int detach(struct dfu_step *x, const struct dfu_target *t, struct err *e)
{
	struct dfu_port port;
	int r = dfu_usb_open(&x->port, x->usb, t, &port, e);

	if (r == 0)
		r = dfu_step_replug(x, e);
	if (r < 0)
		return r;
	start(x, t, &port);
	step_log(x->s, '#', "detach: the device leaves its run-time mode");
	r = dfu_detach(&x->dfu, &x->s->it, e);
	if (r == 0)
		r = dfu_step_back(x, NULL, e);
	if (r == 0)
		r = look(x, e);
	if (r == 0 && runtime_of(x))
		r = err_set(e, ERR_DEVICE_REFUSED,
			"the device came back in run-time mode: it did not detach");
	x->detached = r == 0;
	return r;
}

int dfu_step_open(struct dfu_step *x, struct step *s, const struct args *a, struct err *e)
{
	const struct dfu_target *t;
	struct dfu_port port;

	*x = (struct dfu_step){.s = s, .a = a};

	int r = look(x, e);

	t = r == 0 ? runtime_of(x) : NULL;
	if (t && args_has(a, "detach") && !args_bool(a, "detach"))
		return err_set(e, ERR_DEVICE_REFUSED,
			"the device is in run-time mode, and 'detach' is false");
	if (t)
		r = detach(x, t, e);
	if (r == 0)
		r = dfu_pick(&x->targets, args_str(a, "alt"), &t, e);
	if (r == 0)
		r = dfu_usb_open(&x->port, x->usb, t, &port, e);
	if (r < 0)
		return r;
	start(x, t, &port);
	if (t->dfuse)
		r = dfuse_map_parse(t->name, &x->map, e);
	if (r == 0)
		r = dfu_make_idle(&x->dfu, &s->it, e);
	return r;
}

void dfu_step_done(struct dfu_step *x)
{
	/* The next step may find another device there, or claim another interface. */
	if (x->s)
		x->s->ops->link_close(x->s->env, args_str(x->a, "port"));
}

void dfu_step_evidence(const struct dfu_step *x, struct step_result *out)
{
	const struct usb_facts *f = usb_facts(x->usb);
	char ids[16];

	snprintf(ids, sizeof ids, "%04x:%04x", f->vid, f->pid);
	result_evidence(out, "device", json_string(ids));
	result_evidence(
		out, "memory", json_string(x->target->dfuse ? x->map.name : x->target->name));
	result_evidence(out, "alt", json_integer(x->target->alt));
	if (x->detached)
		result_evidence(out, "detached", json_true());
}

/* On a hub where a row of devices restarts, each waits for the ones before it. */
#define LEAVE_US       (20 * US_PER_S)
#define LEAVE_EVERY_US (50 * US_PER_MS)

/* That it says it leaves proves nothing: the device is gone from the bus, or another enumeration is
 * there. */
static int await_leaving(struct dfu_step *x, struct err *e)
{
	struct iotime it = iotime_within(&x->s->it, LEAVE_US);
	const struct usb_facts *was = usb_facts(x->usb);
	_cleanup_(freep) char *address = xasprintf("usb:%s", was->port);
	struct dfu_status status;
	struct usb_facts now;
	int r = 0;

	while (r == 0) {
		if (dfu_get_status(&x->dfu, &status, &it, NULL) == -ERR_DEVICE_GONE ||
			usb_look(address, &now, NULL) < 0 || strcmp(now.node, was->node) != 0)
			return 0;
		r = iotime_sleep(LEAVE_EVERY_US, &it, e);
	}
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_DEVICE_REFUSED,
			"leave: the device said that it leaves, and stays in DFU mode");
	return r;
}

int dfu_step_start(struct dfu_step *x, struct step_result *out, struct err *e)
{
	uint64_t address = args_size(x->a, "start");
	int r = dfu_step_replug(x, e);

	if (address > UINT32_MAX)
		return err_set(e, ERR_INVALID, "'start' is above 0xffffffff");
	if (r == 0)
		r = dfuse_leave(&x->dfu, (uint32_t)address, &x->s->it, e);
	if (r == 0)
		r = await_leaving(x, e);
	if (r < 0)
		return r;
	result_evidence(out, "left", json_true());
	result_evidence(out, "started", json_integer((json_int_t)address));
	if (!args_bool(x->a, "returns"))
		return 0;

	struct device_facts f;

	r = dfu_step_back(x, &f, e);
	if (r == 0)
		result_evidence(out, "returned", facts_json(&f));
	return r;
}

int dfu_step_need_dfuse(const struct dfu_step *x, const char *what, struct err *e)
{
	if (x->target->dfuse)
		return 0;
	return err_set(e, ERR_UNSUPPORTED, "%s needs DfuSe: this device speaks DFU %x.%02x", what,
		x->target->f.version >> 8, x->target->f.version & 0xff);
}

static json_t *target_json(const struct dfu_target *t)
{
	return json_pack("{s:i, s:i, s:s, s:s, s:i, s:b, s:b}", "interface", t->interface, "alt",
		t->alt, "mode",
		t->runtime ? "run-time"
		: t->dfuse ? "dfuse"
			   : "dfu",
		"name", t->name, "transfer_bytes", t->f.transfer_bytes, "download",
		t->f.can_download, "upload", t->f.can_upload);
}

static int list_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(dfu_step_done) struct dfu_step x = {.s = s, .a = a};
	json_t *list;
	int r = look(&x, e);

	if (r < 0)
		return r;
	list = json_array();
	for (size_t i = 0; i < x.targets.count; i++)
		json_array_append_new(list, target_json(&x.targets.target[i]));

	_cleanup_(freep) char *text = json_dumps(list, JSON_COMPACT);

	result_evidence(out, "memories", list);
	result_output(out, "memories", json_string(text ? text : ""));
	result_output(out, "mode",
		json_string(runtime_of(&x)		? "run-time"
			    : x.targets.target[0].dfuse ? "dfuse"
							: "dfu"));
	return 0;
}

static const struct action_arg list_args[] = {ARG_ROW_USB, {0}};

static const struct action_output list_outputs[] = {
	{"memories", "JSON: interface, alt, mode, name, transfer_bytes, download, upload of each"},
	{"mode", "run-time, dfu or dfuse"},
	{0},
};

const struct action action_dfu_list = {
	.name = "dfu.list",
	.doc = "Lists the memories (alternate settings) that a DFU device offers.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = list_args,
	.outputs = list_outputs,
	.default_timeout_us = 10 * US_PER_S,
	.run = list_run,
};

static int detach_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(dfu_step_done) struct dfu_step x = {.s = s, .a = a};
	const struct dfu_target *t;
	int r = look(&x, e);

	if (r < 0)
		return r;
	t = runtime_of(&x);
	if (t)
		r = detach(&x, t, e);
	if (r < 0)
		return r;

	const struct usb_facts *f = usb_facts(x.usb);
	char ids[16];

	snprintf(ids, sizeof ids, "%04x:%04x", f->vid, f->pid);
	result_evidence(out, "device", json_string(ids));
	result_evidence(out, "mode", json_string(x.targets.target[0].dfuse ? "dfuse" : "dfu"));
	result_evidence(out, "was_runtime", json_boolean(t != NULL));
	return 0;
}

static const struct action_arg detach_args[] = {ARG_ROW_USB, ARG_ROW_SAME_SERIAL, {0}};

const struct action action_dfu_detach = {
	.name = "dfu.detach",
	.doc = "Brings a device from its run-time mode into DFU mode; passes where it is there.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_REENUMERATES | ACTION_SAFE_TO_RETRY,
	.args = detach_args,
	.default_timeout_us = 30 * US_PER_S,
	.run = detach_run,
};
