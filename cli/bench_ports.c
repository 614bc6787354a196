/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_ports.h"

#include "base/util.h"

#define TRY_EVERY_US (50 * US_PER_MS)

static int port_index(const struct bench_ports *b, const char *role, struct err *e)
{
	for (size_t i = 0; i < b->recipe->ports && i < BENCH_PORTS_MAX; i++)
		if (!strcmp(b->recipe->port[i].role, role))
			return (int)i;
	return err_set(e, ERR_PORT_UNBOUND, "there is no port '%s'", role);
}

/* NULL with *ret_i < 0. */
static struct bench_port *port_of(
	struct bench_ports *b, const char *role, const char **ret_address, struct err *e)
{
	int i = port_index(b, role, e);
	const char *address = json_string_value(json_object_get(b->addresses, role));

	if (i < 0)
		return NULL;
	if (!address) {
		err_set(e, ERR_PORT_UNBOUND, "port '%s' has no address", role);
		return NULL;
	}
	*ret_address = b->port[i].port ? b->port[i].port : address;
	return &b->port[i];
}

static void close_port(struct bench_port *p)
{
	if (p->link && p->link->dead)
		p->dead = true;
	if (p->link)
		link_turn_move(&p->link->turn, &p->turn);
	p->link = link_close(p->link);
	p->usb = usb_close(p->usb);
}

void bench_ports_done(struct bench_ports *b)
{
	for (size_t i = 0; i < BENCH_PORTS_MAX; i++) {
		close_port(&b->port[i]);
		link_turn_clear(&b->port[i].turn);
		free(b->port[i].port);
	}
}

/* A recipe of one step has one port, called "port": its name would say nothing. */
static int named(const char *role, int r, struct err *e)
{
	return strcmp(role, "port") ? err_prefix(e, "port %s", role) : r;
}

int bench_port_link(struct bench_ports *b, const char *role, const struct iotime *it,
	struct link **ret, struct err *e)
{
	const char *address;
	struct bench_port *p = port_of(b, role, &address, e);
	const struct recipe_port *rp = recipe_port(b->recipe, role);
	struct link_config cfg = LINK_CONFIG_DEFAULT;
	int r = 0;

	if (!p)
		return -(int)e->code;
	if (p->link && p->link->dead)
		close_port(p);
	if (p->dead)
		return err_set(e, ERR_DEVICE_GONE, "port %s: the link broke", role);
	if (!p->link) {
		if (rp) {
			cfg.baud = rp->baud;
			cfg.parity = rp->parity;
			cfg.rtscts = rp->rtscts;
			cfg.dtr = rp->dtr;
			cfg.rts = rp->rts;
		}
		r = link_open(address, &cfg, it, &p->link, e);
		if (r == 0)
			link_turn_move(&p->turn, &p->link->turn);
	}
	if (r < 0)
		return named(role, r, e);
	*ret = p->link;
	return 0;
}

int bench_port_usb(struct bench_ports *b, const char *role, const struct iotime *it,
	struct usb **ret, struct err *e)
{
	const char *address;
	struct bench_port *p = port_of(b, role, &address, e);
	int r = 0;

	if (!p)
		return -(int)e->code;
	if (strncmp(address, "usb:", 4) != 0)
		return err_set(
			e, ERR_PORT_UNBOUND, "%s is no USB device: usb:1-1.4 expected", address);
	if (!p->usb)
		r = usb_open(address, it, &p->usb, e);
	if (r < 0)
		return named(role, r, e);
	if (!p->port)
		p->port = xasprintf("usb:%s", usb_facts(p->usb)->port);
	*ret = p->usb;
	return 0;
}

void bench_port_close(struct bench_ports *b, const char *role)
{
	int i = port_index(b, role, NULL);

	if (i >= 0)
		close_port(&b->port[i]);
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

int bench_port_facts(
	struct bench_ports *b, const char *role, struct device_facts *ret, struct err *e)
{
	const char *address;
	const struct bench_port *p = port_of(b, role, &address, e);
	struct device_facts f = {0};
	struct usb_facts u;
	int r = 0;

	if (!p)
		return -(int)e->code;
	snprintf(f.node, sizeof f.node, "%s", address);
	if (!strncmp(address, "usb:", 4)) {
		r = usb_look(address, &u, e);
		if (r == 0)
			facts_of_usb(&u, &f);
	}
	if (r == 0)
		*ret = f;
	return r;
}

int bench_port_expect_replug(struct bench_ports *b, const char *role, struct err *e)
{
	const char *address;
	struct bench_port *p = port_of(b, role, &address, e);
	struct usb_facts u;

	if (!p)
		return -(int)e->code;
	p->claimed = true;
	p->other_serial = false;
	p->before[0] = p->serial[0] = 0;
	if (!strncmp(address, "usb:", 4) && usb_look(address, &u, NULL) == 0) {
		snprintf(p->before, sizeof p->before, "%s", u.node);
		snprintf(p->serial, sizeof p->serial, "%s", u.serial);
		if (!p->port)
			p->port = xasprintf("usb:%s", u.port);
	}
	return 0;
}

int bench_port_expect_other_serial(struct bench_ports *b, const char *role, struct err *e)
{
	int i = port_index(b, role, e);

	if (i < 0)
		return i;
	b->port[i].other_serial = true;
	return 0;
}

static int wait_usb(
	struct bench_port *p, const char *address, const struct iotime *it, struct err *e)
{
	struct err tried = {0};
	struct usb_facts u;
	int r = 0;

	while (r == 0 &&
		(usb_look(address, &u, &tried) < 0 || (p->claimed && !strcmp(u.node, p->before))))
		r = iotime_sleep(TRY_EVERY_US, it, e);
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_DEVICE_GONE, "%s: the device did not come back in time%s%s",
			address, tried.msg[0] ? ": " : "", tried.msg);
	if (r < 0)
		return r;
	if (p->claimed && !p->other_serial && p->serial[0] && u.serial[0] &&
		strcmp(p->serial, u.serial) != 0)
		return err_set(e, ERR_WRONG_DEVICE, "%s: unit %s came back, %s expected", address,
			u.serial, p->serial);
	return 0;
}

/* The device is back when its node can be opened. */
static int wait_link(
	struct bench_ports *b, const char *role, const struct iotime *it, struct err *e)
{
	struct err tried = {0};
	struct link *l;
	int r = 0;

	while (r == 0 && bench_port_link(b, role, it, &l, &tried) < 0)
		r = iotime_sleep(TRY_EVERY_US, it, e);
	return r == -ERR_TIMEOUT ? err_set(e, ERR_DEVICE_GONE, "%s", tried.msg) : r;
}

int bench_port_wait(struct bench_ports *b, const char *role, const struct iotime *it,
	struct device_facts *ret, struct err *e)
{
	const char *address;
	struct bench_port *p = port_of(b, role, &address, e);
	int r;

	if (!p)
		return -(int)e->code;
	close_port(p);
	p->dead = false;
	r = !strncmp(address, "usb:", 4) ? wait_usb(p, address, it, e) : wait_link(b, role, it, e);
	p->claimed = false;
	if (r < 0)
		return r;
	return ret ? bench_port_facts(b, role, ret, e) : 0;
}
