/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_ports.h"

#include "base/util.h"

_Static_assert(BENCH_PORTS_MAX <= ROLE_PORTS_MAX, "each port of a bench is a role");

void bench_ports_done(struct bench_ports *b)
{
	for (size_t i = 0; i < BENCH_PORTS_MAX; i++)
		free(b->port[i]);
}

static const char *role_of(const struct bench_ports *b, int i)
{
	return b->recipe->port[i].role;
}

static const char *port_fixed(void *src, int i)
{
	const struct bench_ports *b = src;

	return b->port[i] ? b->port[i]
			  : json_string_value(json_object_get(b->addresses, role_of(b, i)));
}

static int port_index(void *src, const char *role, struct err *e)
{
	const struct bench_ports *b = src;

	for (size_t i = 0; i < b->recipe->ports && i < BENCH_PORTS_MAX; i++) {
		if (strcmp(b->recipe->port[i].role, role) != 0)
			continue;
		if (!port_fixed(src, (int)i))
			return err_set(e, ERR_PORT_UNBOUND, "port '%s' has no address", role);
		return (int)i;
	}
	return err_set(e, ERR_PORT_UNBOUND, "there is no port '%s'", role);
}

static bool is_usb(const char *address)
{
	return !strncmp(address, "usb:", 4);
}

static void facts_of_usb(const struct usb_facts *u, struct device_facts *ret)
{
	snprintf(ret->node, sizeof ret->node, "usb:%s", u->port);
	snprintf(ret->vid, sizeof ret->vid, "%04x", u->vid);
	snprintf(ret->pid, sizeof ret->pid, "%04x", u->pid);
	snprintf(ret->serial, sizeof ret->serial, "%s", u->serial);
	snprintf(ret->port, sizeof ret->port, "%s", u->port);
	snprintf(ret->path, sizeof ret->path, "%s", u->port);
}

static int port_facts(void *src, int i, struct device_facts *ret, struct err *e)
{
	const char *address = port_fixed(src, i);
	struct device_facts f = {0};
	struct usb_facts u;
	int r = 0;

	snprintf(f.node, sizeof f.node, "%s", address);
	if (is_usb(address)) {
		r = usb_look(address, &u, e);
		if (r == 0)
			facts_of_usb(&u, &f);
	}
	if (r == 0)
		*ret = f;
	return r;
}

/* What no link can be opened at says so when it is opened. */
static int port_fits(void *src, int i, const char *node, bool usb, struct err *e)
{
	return !usb || is_usb(node) ? 0
				    : err_set(e, ERR_PORT_UNBOUND,
					      "%s is not a USB device: usb:1-1.4 expected", node);
}

static void port_opened(void *src, int i, const struct usb_facts *f)
{
	struct bench_ports *b = src;

	if (!b->port[i])
		b->port[i] = xasprintf("usb:%s", f->port);
}

/* ret->node is that of the enumeration, not the port: it differs when the device is back. */
static void port_claim(void *src, int i, struct device_facts *ret)
{
	const char *address = port_fixed(src, i);
	struct usb_facts u;

	if (is_usb(address) && usb_look(address, &u, NULL) == 0) {
		snprintf(ret->node, sizeof ret->node, "%s", u.node);
		snprintf(ret->serial, sizeof ret->serial, "%s", u.serial);
		port_opened(src, i, &u);
	}
}

static int port_there(
	void *src, int i, const struct role_claim *c, struct device_facts *ret, struct err *e)
{
	struct usb_facts u;

	if (usb_look(port_fixed(src, i), &u, e) < 0 || (c && !strcmp(u.node, c->before.node)))
		return 0;
	facts_of_usb(&u, ret);
	return 1;
}

/* A recipe of one step has one port, called "port": its name would say nothing. */
static void prefix_role(void *src, int i, struct err *e)
{
	const char *role = role_of(src, i);

	if (strcmp(role, "port") != 0)
		err_prefix(e, "port %s", role);
}

static void prefix_device(void *src, int i, struct err *e)
{
	err_prefix(e, "%s", port_fixed(src, i));
}

static int port_not_back(
	void *src, int i, const struct role_claim *c, const struct err *tried, struct err *e)
{
	const char *address = port_fixed(src, i);

	if (is_usb(address))
		return err_set(e, ERR_DEVICE_GONE, "%s: the device did not come back in time%s%s",
			address, tried->msg[0] ? ": " : "", tried->msg);
	err_set(e, ERR_DEVICE_GONE, "%s", tried->msg);
	prefix_role(src, i, e);
	return -ERR_DEVICE_GONE;
}

const struct role_source_ops bench_ports_source = {
	.link_broke = "the link broke",
	.wait_ends_claim = true,
	.index = port_index,
	.fixed = port_fixed,
	.facts = port_facts,
	.fits = port_fits,
	.opened = port_opened,
	.claim = port_claim,
	.there = port_there,
	.not_back = port_not_back,
	.prefix_role = prefix_role,
	.prefix_device = prefix_device,
};
