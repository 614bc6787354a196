/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/worker_ports.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "daemon/line/binding.h"
#include "daemon/line/services.h"

/* How often a fixed address is tried while its device restarts. */
#define TRY_EVERY_US (50 * US_PER_MS)

static int port_index(const struct worker_ports *w, const char *role, struct err *e)
{
	for (size_t i = 0; i < w->s->cfg->ports; i++)
		if (!strcmp(w->s->cfg->port[i].role, role))
			return (int)i;
	return err_set(e, ERR_PORT_UNBOUND, "station %s has no port '%s'", w->s->cfg->id, role);
}

int worker_port_facts(const struct worker_ports *w, int i, struct device_facts *ret, struct err *e)
{
	const struct port_config *pc = &w->s->cfg->port[i];
	bool present;

	if (pc->address) {
		*ret = (struct device_facts){0};
		snprintf(ret->node, sizeof ret->node, "%s", pc->address);
		return 0;
	}
	mutex_lock(&w->s->lock);
	present = w->s->port[i].present;
	*ret = w->s->port[i].facts;
	mutex_unlock(&w->s->lock);
	return present ? 0 : err_set(e, ERR_DEVICE_GONE, "port %s: nothing is plugged", pc->role);
}

static void close_at(struct worker_port *p)
{
	if (p->link && p->link->dead)
		p->dead = true;
	if (p->link)
		link_turn_move(&p->link->turn, &p->turn);
	p->link = link_close(p->link);
	p->usb = usb_close(p->usb);
}

void worker_ports_close(struct worker_ports *w)
{
	for (size_t i = 0; i < w->s->cfg->ports; i++) {
		close_at(&w->port[i]);
		link_turn_clear(&w->port[i].turn);
	}
}

static struct link_config link_config_of(const struct worker_ports *w, int i)
{
	const struct port_config *pc = &w->s->cfg->port[i];
	const struct recipe_port *rp = recipe_port(w->recipe, pc->role);
	struct link_config cfg = LINK_CONFIG_DEFAULT;

	if (rp) {
		cfg.baud = rp->baud;
		cfg.parity = rp->parity;
		cfg.rtscts = rp->rtscts;
		cfg.dtr = rp->dtr;
		cfg.rts = rp->rts;
	}
	if (pc->baud)
		cfg.baud = pc->baud;
	return cfg;
}

/* A broken link that opens again may lead to another unit. */
static int usable(struct worker_ports *w, const char *role, int *ret_i, struct device_facts *ret,
	struct err *e)
{
	int i = port_index(w, role, e);
	struct worker_port *p = &w->port[i < 0 ? 0 : i];

	if (i < 0)
		return i;
	*ret_i = i;
	if (p->link && p->link->dead)
		close_at(p);
	if (p->dead)
		return err_set(e, ERR_DEVICE_GONE, "port %s: the link broke during the run", role);
	return p->link || p->usb ? 0 : worker_port_facts(w, i, ret, e);
}

int worker_port_link(struct worker_ports *w, const char *role, const struct iotime *it,
	struct link **ret, struct err *e)
{
	struct device_facts f;
	int i;
	int r = usable(w, role, &i, &f, e);

	if (r < 0)
		return r;

	struct worker_port *p = &w->port[i];
	struct link_config cfg = link_config_of(w, i);

	if (p->usb || (!p->link && !strncmp(f.node, "usb:", 4)))
		return err_set(e, ERR_PORT_UNBOUND,
			"port %s: a USB device is bound there, this step needs a tty or an address",
			role);
	if (!p->link) {
		r = link_open(f.node, &cfg, it, &p->link, e);
		if (r == 0)
			link_turn_move(&p->turn, &p->link->turn);
	}
	if (r < 0)
		return err_prefix(e, "port %s", role);
	*ret = p->link;
	return 0;
}

int worker_port_usb(struct worker_ports *w, const char *role, const struct iotime *it,
	struct usb **ret, struct err *e)
{
	struct device_facts f;
	int i;
	int r = usable(w, role, &i, &f, e);

	if (r < 0)
		return r;

	struct worker_port *p = &w->port[i];

	if (p->link || (!p->usb && strncmp(f.node, "usb:", 4) != 0))
		return err_set(e, ERR_PORT_UNBOUND,
			"port %s: %s is bound there, this step needs a USB device (kind: usb)",
			role, p->link ? p->link->address : f.node);
	if (!p->usb)
		r = usb_open(f.node, it, &p->usb, e);
	if (r < 0)
		return err_prefix(e, "port %s", role);
	*ret = p->usb;
	return 0;
}

void worker_port_close(struct worker_ports *w, const char *role)
{
	int i = port_index(w, role, NULL);

	if (i >= 0)
		close_at(&w->port[i]);
}

int worker_port_facts_of(
	struct worker_ports *w, const char *role, struct device_facts *ret, struct err *e)
{
	int i = port_index(w, role, e);

	return i < 0 ? i : worker_port_facts(w, i, ret, e);
}

int worker_port_expect_replug(struct worker_ports *w, const char *role, struct err *e)
{
	int i = port_index(w, role, e);
	struct worker_port *p = &w->port[i < 0 ? 0 : i];

	if (i < 0)
		return i;
	mutex_lock(&w->s->lock);
	w->s->port[i].claimed = true;
	p->claim_generation = w->s->port[i].facts.generation;
	p->before = w->s->port[i].facts;
	mutex_unlock(&w->s->lock);
	p->claim_us = now_us();
	p->other_serial = false;
	return 0;
}

int worker_port_expect_other_serial(struct worker_ports *w, const char *role, struct err *e)
{
	int i = port_index(w, role, e);

	if (i < 0)
		return i;
	w->port[i].other_serial = true;
	return 0;
}

/* The proof that can be had here: the USB serial, where the device has one in both its lives, and
 * the configured ids. What the unit itself says is compared by device.identify. */
static int prove_same(const struct worker_ports *w, int i, const struct device_facts *now,
	bool wrong, struct err *e)
{
	const struct worker_port *p = &w->port[i];
	const struct port_config *pc = &w->s->cfg->port[i];

	if (wrong)
		return err_set(e, ERR_WRONG_DEVICE,
			"port %s: device %s:%s came back, %s:%s expected (see 'also' of the port)",
			pc->role, now->vid, now->pid, pc->vid ? pc->vid : "any",
			pc->pid ? pc->pid : "any");
	if (!p->other_serial && p->before.serial[0] && now->serial[0] &&
		strcmp(p->before.serial, now->serial) != 0)
		return err_set(e, ERR_WRONG_DEVICE, "port %s: unit %s came back, %s expected",
			pc->role, now->serial, p->before.serial);
	return 0;
}

/* It did not come back here; the same serial number may have come up elsewhere meanwhile. Only told
 * at the deadline: blank units of one kind may all carry the same. */
static int not_back(const struct worker_ports *w, int i, struct err *e)
{
	const struct worker_port *p = &w->port[i];
	const char *role = w->s->cfg->port[i].role;
	char path[160];

	if (p->before.serial[0] && binding_moved(w->s->line->binding, p->before.serial,
					   p->before.path, p->claim_us, path, sizeof path))
		return err_set(e, ERR_WRONG_DEVICE,
			"port %s: unit %s came back on port %s instead: plug it where it was", role,
			p->before.serial, path);
	return err_set(e, ERR_DEVICE_GONE, "port %s: the device did not come back in time", role);
}

/* A fixed address: there when it can be opened. */
static int wait_address(struct worker_ports *w, int i, const struct iotime *it, struct err *e)
{
	const char *address = w->s->cfg->port[i].address;
	struct link_config cfg = link_config_of(w, i);
	struct worker_port *p = &w->port[i];
	struct err tried = {0};
	int r = 0;

	close_at(p);
	p->dead = false;
	if (!strncmp(address, "usb:", 4)) {
		struct usb_facts f;

		while (r == 0 && usb_look(address, &f, &tried) < 0)
			r = iotime_sleep(TRY_EVERY_US, it, e);
	} else {
		while (r == 0 && link_open(address, &cfg, it, &p->link, &tried) < 0)
			r = iotime_sleep(TRY_EVERY_US, it, e);
		if (r == 0)
			link_turn_move(&p->turn, &p->link->turn);
	}
	return r == -ERR_TIMEOUT ? err_set(e, ERR_DEVICE_GONE, "%s", tried.msg) : r;
}

/* What the main thread has told of it since. */
static bool looked_up(
	struct worker_ports *w, int i, struct device_facts *ret, bool *ret_claimed, bool *ret_wrong)
{
	struct station *s = w->s;
	bool there;

	mutex_lock(&s->lock);
	*ret = s->port[i].facts;
	*ret_wrong = s->port[i].wrong;
	*ret_claimed = s->port[i].claimed;
	there = s->port[i].present &&
		(!*ret_claimed || ret->generation != w->port[i].claim_generation);
	if (there) {
		s->port[i].claimed = false;
		if (ret->generation > s->known.generation)
			s->known.generation = ret->generation;
	}
	mutex_unlock(&s->lock);
	return there;
}

static int wait_plugged(struct worker_ports *w, int i, const struct iotime *it,
	struct device_facts *ret, struct err *e)
{
	struct station *s = w->s;
	bool claimed;
	bool wrong;
	eventfd_t n;

	for (;;) {
		eventfd_read(s->wake_fd, &n);
		if (looked_up(w, i, ret, &claimed, &wrong))
			break;

		int r = iotime_wait(s->wake_fd, POLLIN, it, e);

		if (r == -ERR_TIMEOUT)
			return claimed ? not_back(w, i, e)
				       : err_set(e, ERR_TIMEOUT,
						 "port %s: the device did not appear in time",
						 s->cfg->port[i].role);
		if (r < 0)
			return r;
	}
	close_at(&w->port[i]);
	w->port[i].dead = false;
	/* It was away: what it was asked before is forgotten. */
	if (claimed)
		link_turn_clear(&w->port[i].turn);
	/* Letters wait for the end of the run; the wake-up that told of them was eaten. */
	station_poke(s);
	return claimed ? prove_same(w, i, ret, wrong, e) : 0;
}

int worker_port_wait(struct worker_ports *w, const char *role, const struct iotime *it,
	struct device_facts *ret, struct err *e)
{
	int i = port_index(w, role, e);
	struct device_facts f = {0};
	int r;

	if (i < 0)
		return i;
	if (w->s->cfg->port[i].address) {
		r = wait_address(w, i, it, e);
		if (r == 0)
			r = worker_port_facts(w, i, &f, e);
	} else {
		r = wait_plugged(w, i, it, &f, e);
	}
	if (r == 0 && ret)
		*ret = f;
	return r;
}
