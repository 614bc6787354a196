/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/fastboot/fastboot_session.h"

#define LEAVE_US     (3 * US_PER_S)
#define LEAVE_UDP_US (1500 * US_PER_MS)
#define AGAIN_US     (200 * US_PER_MS)

const char *const fastboot_profiles[] = {"android", "embedded", NULL};

bool fastboot_step_embedded(const struct fastboot_step *x)
{
	const char *profile = args_str(x->a, "profile");

	return profile && !strcmp(profile, "embedded");
}

static int open_usb(
	struct fastboot_step *x, const struct iotime *it, struct fastboot_pipe **ret, struct err *e)
{
	struct fastboot_usb_opts o = {0};
	struct usb *u = NULL;
	int r = x->s->ops->usb(x->s->env, x->port, it, &u, e);

	if (fastboot_step_embedded(x)) {
		o.ep_out = 0x01;
		o.ep_in = 0x81;
	}
	return r < 0 ? r : fastboot_usb_open(u, &o, it, ret, e);
}

static int open_link(struct fastboot_step *x, bool udp, const struct iotime *it,
	struct fastboot_pipe **ret, struct err *e)
{
	struct link *l = NULL;
	int r = x->s->ops->link(x->s->env, x->port, it, &l, e);

	if (r < 0)
		return r;
	return udp ? fastboot_udp_open(l, it, ret, e) : fastboot_tcp_open(l, it, ret, e);
}

static int open_pipe(
	struct fastboot_step *x, const struct iotime *it, struct fastboot_pipe **ret, struct err *e)
{
	struct device_facts facts;
	int r = x->s->ops->facts(x->s->env, x->port, &facts, e);

	if (r < 0)
		return r;
	if (!strncmp(facts.node, "usb:", 4))
		return open_usb(x, it, ret, e);
	if (!strncmp(facts.node, "tcp:", 4) || !strncmp(facts.node, "udp:", 4))
		return open_link(x, facts.node[0] == 'u', it, ret, e);
	return err_set(e, ERR_PORT_UNBOUND,
		"port %s leads to %s: fastboot goes over usb:, tcp:HOST:5554 or udp:HOST:5554",
		x->port, facts.node);
}

static int begin(struct fastboot_step *x, const struct iotime *it, struct err *e)
{
	bool embedded = fastboot_step_embedded(x);
	const struct fastboot_config c = {
		.command_max = (size_t)args_int(x->a, "command_max"),
		.trailing_nul = embedded,
		.no_getvar = embedded,
		.flash_us = args_duration_us(x->a, "flash_timeout"),
		.download_us = args_duration_us(x->a, "download_timeout"),
	};
	const struct teller tell = step_teller(x->s);
	struct fastboot_pipe *p = NULL;
	int r = open_pipe(x, it, &p, e);

	return r < 0 ? r : fastboot_new(p, &c, &tell, it, &x->f, e);
}

int fastboot_step_serial(
	struct fastboot_step *x, const struct iotime *it, char ret[UNIT_NAME_BYTES], struct err *e)
{
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	int r = fastboot_getvar(x->f, "serialno", v, it, e);

	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	snprintf(ret, UNIT_NAME_BYTES, "%s", v);
	return 0;
}

/* Between two sessions over TCP or UDP another unit may have come. */
static int check_unit(struct fastboot_step *x, struct err *e)
{
	char who[UNIT_NAME_BYTES] = "";
	int r;

	if (!step_unwatched(x->s, x->port))
		return 0;
	r = fastboot_step_serial(x, &x->s->it, who, e);
	return r < 0 ? r : step_said(x->s, x->port, "fastboot", who, e);
}

int fastboot_step_open(struct fastboot_step *x, struct step *s, const struct args *a, struct err *e)
{
	int r;

	*x = (struct fastboot_step){.s = s, .a = a, .port = args_str(a, "port")};
	r = begin(x, &s->it, e);
	return r < 0 ? r : check_unit(x, e);
}

static void close_session(struct fastboot_step *x)
{
	x->f = fastboot_free(x->f);
	x->s->ops->link_close(x->s->env, x->port);
}

void fastboot_step_done(struct fastboot_step *x)
{
	if (x->s)
		close_session(x);
}

int fastboot_step_unlocked(struct fastboot_step *x, struct step_result *out, struct err *e)
{
	enum fastboot_lock lock = FASTBOOT_LOCK_UNKNOWN;
	int r = fastboot_lock_state(x->f, &lock, &x->s->it, e);

	if (r < 0)
		return r;
	if (lock == FASTBOOT_LOCKED && !args_bool(x->a, "allow_locked"))
		return err_set(e, ERR_DEVICE_REFUSED,
			"the device is locked (getvar:unlocked says no): nothing was changed. Unlock it (fastboot.flashing), or set allow_locked");
	result_evidence(out, "lock", json_string(fastboot_lock_name(lock)));
	return 0;
}

int fastboot_step_leaving(struct fastboot_step *x, struct err *e)
{
	int r = fastboot_step_serial(x, &x->s->it, x->serial, e);

	return r < 0 ? r : x->s->ops->expect_replug(x->s->env, x->port, e);
}

/* The connection ends when it goes; UDP has none, and a device that leaves is silent there. */
static int until_left(struct fastboot_step *x, const struct iotime *it, struct err *e)
{
	struct device_facts facts = {0};
	bool usb = x->s->ops->facts(x->s->env, x->port, &facts, NULL) < 0 ||
		   !strncmp(facts.node, "usb:", 4);
	int r = 0;

	/* For USB the port itself shows it. */
	if (!usb)
		r = fastboot_until_left(
			x->f, facts.node[0] == 'u' ? LEAVE_UDP_US : LEAVE_US, it, e);
	close_session(x);
	return r;
}

static int same_unit(struct fastboot_step *x, const struct iotime *it, struct err *e)
{
	char now[UNIT_NAME_BYTES] = "";
	int r = fastboot_step_serial(x, it, now, e);

	if (r == 0 && strcmp(now, x->serial) != 0)
		return err_set(e, ERR_WRONG_DEVICE, "port %s: unit '%s' came back, '%s' expected",
			x->port, now, x->serial);
	return r;
}

/* While it starts, its port may be open before it answers. */
static bool may_come_yet(int r)
{
	return r == -ERR_DEVICE_GONE || r == -ERR_TIMEOUT || r == -ERR_PROTOCOL || r == -ERR_IO;
}

int fastboot_step_back(struct fastboot_step *x, const struct iotime *it, struct err *e)
{
	struct err tried = {0};
	int r = until_left(x, it, e);

	while (r == 0) {
		r = x->s->ops->wait_device(x->s->env, x->port, it, NULL, e);
		if (r < 0)
			return r;
		r = begin(x, it, &tried);
		if (r == 0)
			return same_unit(x, it, e);
		close_session(x);
		if (!may_come_yet(r)) {
			if (e)
				*e = tried;
			return r;
		}
		r = iotime_sleep(AGAIN_US, it, e);
	}
	return r != -ERR_TIMEOUT
		       ? r
		       : err_set(e, ERR_DEVICE_GONE,
				 "port %s: the device did not come back as fastboot in time: %s",
				 x->port, tried.msg);
}

static int no_fastboot_any_more(struct fastboot_step *x, const struct iotime *it, struct err *e)
{
	const struct usb_interface *list = NULL;
	struct usb *u = NULL;
	int r = x->s->ops->usb(x->s->env, x->port, it, &u, e);
	size_t n = r == 0 ? usb_interfaces(u, &list) : 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].cls == 0xff && list[i].subclass == 0x42 && list[i].protocol == 0x03)
			r = err_set(e, ERR_UNEXPECTED_REPLY,
				"port %s: the device came back as fastboot again", x->port);
	x->s->ops->link_close(x->s->env, x->port);
	return r;
}

int fastboot_step_away(
	struct fastboot_step *x, const struct iotime *it, json_t **ret_facts, struct err *e)
{
	struct device_facts facts = {0};
	int r = until_left(x, it, e);

	if (r < 0)
		return r;
	if (x->s->ops->facts(x->s->env, x->port, &facts, NULL) == 0 &&
		strncmp(facts.node, "usb:", 4) != 0) {
		*ret_facts = NULL;
		return 0;
	}
	r = x->s->ops->wait_device(x->s->env, x->port, it, &facts, e);
	if (r == 0)
		r = no_fastboot_any_more(x, it, e);
	if (r == 0)
		*ret_facts = facts_json(&facts);
	return r;
}

/* The digest of an image with a secret is a secret of the run (recipe/made.h); another one, of its pieces or with padding,
 * would give the secret away as well and nothing would hide it. */
static void add_digest(json_t *o, const char *key, const struct blob *image, const char *sha256)
{
	if (!image->wiped || !strcmp(sha256, blob_sha256(image)))
		json_object_set_new(o, key, json_string(sha256));
}

json_t *fastboot_flashed_json(const struct blob *image, const struct fastboot_flashed *t)
{
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:i, s:s}", "partition", t->target,
		"image_sha256", blob_sha256(image), "image_bytes", (json_int_t)t->image_bytes,
		"bytes", (json_int_t)t->bytes, "pieces", (int)t->pieces, "proof",
		t->fetched ? "fetched" : "acknowledged");

	if (t->skipped)
		json_object_set_new(o, "skipped", json_true());
	else
		add_digest(o, "sha256_sent", image, t->sha256);
	if (t->fetched) {
		add_digest(o, "sha256_read", image, t->sha256_read);
		json_object_set_new(o, "bytes_read", json_integer((json_int_t)t->fetched_bytes));
	} else {
		json_object_set_new(o, "not_fetched", json_string(t->not_fetched));
	}
	if (t->partition_bytes)
		json_object_set_new(
			o, "partition_bytes", json_integer((json_int_t)t->partition_bytes));
	if (t->resized)
		json_object_set_new(o, "resized", json_true());
	if (t->note[0])
		json_object_set_new(o, "note", json_string(t->note));
	return o;
}
