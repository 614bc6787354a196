/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/role_ports.h"

#include <string.h>

#include "base/util.h"

/* How often a fixed address is tried while its device restarts. */
#define TRY_EVERY_US (50 * US_PER_MS)

static bool is_usb(const char *node)
{
	return !strncmp(node, "usb:", 4);
}

static void close_at(struct role_port *at)
{
	if (at->link && at->link->dead)
		at->dead = true;
	if (at->link)
		link_turn_move(&at->link->turn, &at->turn);
	at->link = link_close(at->link);
	at->usb = usb_close(at->usb);
}

void role_ports_done(struct role_ports *p)
{
	for (size_t i = 0; i < ROLE_PORTS_MAX; i++) {
		close_at(&p->port[i]);
		link_turn_clear(&p->port[i].turn);
	}
}

/* --- open --- */

static int open_link(struct role_ports *p, int i, const char *role, const char *address,
	const struct iotime *it, struct err *e)
{
	const struct recipe_port *rp = p->recipe ? recipe_port(p->recipe, role) : NULL;
	struct link_config c = LINK_CONFIG_DEFAULT;
	struct role_port *at = &p->port[i];
	int r;

	if (rp) {
		c.baud = rp->baud;
		c.parity = rp->parity;
		c.rtscts = rp->rtscts;
		c.dtr = rp->dtr;
		c.rts = rp->rts;
	}
	if (p->ops->settings)
		p->ops->settings(p->source, i, &c);
	r = link_open(address, &c, it, &at->link, e);
	if (r == 0)
		link_turn_move(&at->turn, &at->link->turn);
	return r;
}

/* The number of the role, and in *ret_node what is open there or would be opened; f is room for it.
 * A broken link that opens again may lead to another unit. */
static int usable(struct role_ports *p, const char *role, bool usb, const char **ret_node,
	struct device_facts *f, struct err *e)
{
	int i = p->ops->index(p->source, role, e);
	int r = 0;

	if (i < 0)
		return i;

	struct role_port *at = &p->port[i];

	if (at->link && at->link->dead)
		close_at(at);
	if (at->dead)
		return err_set(e, ERR_DEVICE_GONE, "port %s: %s", role, p->ops->link_broke);
	*ret_node = at->link ? at->link->address : p->ops->fixed(p->source, i);
	if (!*ret_node && at->usb)
		*ret_node = "usb:"; /* which one is not asked: it may be away by now */
	if (!*ret_node) {
		r = p->ops->facts(p->source, i, f, e);
		*ret_node = f->node;
	}
	if (r == 0)
		r = p->ops->fits(p->source, i, *ret_node, usb, e);
	return r < 0 ? r : i;
}

int role_ports_link(
	void *env, const char *role, const struct iotime *it, struct link **ret, struct err *e)
{
	struct role_ports *p = env;
	struct device_facts f;
	const char *node = NULL;
	int i = usable(p, role, false, &node, &f, e);
	int r = 0;

	if (i < 0)
		return i;
	if (!p->port[i].link)
		r = open_link(p, i, role, node, it, e);
	if (r < 0) {
		p->ops->prefix_role(p->source, i, e);
		return r;
	}
	*ret = p->port[i].link;
	return 0;
}

int role_ports_usb(
	void *env, const char *role, const struct iotime *it, struct usb **ret, struct err *e)
{
	struct role_ports *p = env;
	struct device_facts f;
	const char *node = NULL;
	int i = usable(p, role, true, &node, &f, e);

	if (i < 0)
		return i;
	if (!p->port[i].usb) {
		int r = usb_open(node, it, &p->port[i].usb, e);

		if (r < 0) {
			p->ops->prefix_role(p->source, i, e);
			return r;
		}
		if (p->ops->opened)
			p->ops->opened(p->source, i, usb_facts(p->port[i].usb));
	}
	*ret = p->port[i].usb;
	return 0;
}

void role_ports_close(void *env, const char *role)
{
	struct role_ports *p = env;
	int i = p->ops->index(p->source, role, NULL);

	if (i >= 0)
		close_at(&p->port[i]);
}

int role_ports_facts(void *env, const char *role, struct device_facts *ret, struct err *e)
{
	struct role_ports *p = env;
	int i = p->ops->index(p->source, role, e);

	return i < 0 ? i : p->ops->facts(p->source, i, ret, e);
}

static bool has_one_session(const struct recipe *r)
{
	for (int phase = 0; phase < 3; phase++)
		for (size_t i = 0; i < r->steps[phase]; i++)
			if (r->step[phase][i].attempts > 1)
				return false;
	return recipe_step_count(r) <= 1;
}

bool role_ports_unwatched(void *env, const char *role)
{
	struct role_ports *p = env;
	int i = p->ops->index(p->source, role, NULL);
	const char *fixed = i < 0 ? NULL : p->ops->fixed(p->source, i);

	return fixed && !is_usb(fixed) && p->recipe && !has_one_session(p->recipe);
}

int role_ports_said(
	void *env, const char *role, const char *protocol, const char *who, struct err *e)
{
	struct role_ports *p = env;
	int i = p->ops->index(p->source, role, e);
	size_t k = 0;

	/* One that says nothing may be any. */
	if (i < 0 || !who[0])
		return MIN(i, 0);

	struct role_said *said = p->port[i].said;

	while (k < ROLE_PROTOCOLS_MAX && said[k].protocol &&
		strcmp(said[k].protocol, protocol) != 0)
		k++;
	if (k == ROLE_PROTOCOLS_MAX)
		return err_set(e, ERR_INTERNAL, "port %s: more than %d protocols", role,
			ROLE_PROTOCOLS_MAX);
	if (said[k].protocol && strcmp(said[k].who, who) != 0)
		return err_set(e, ERR_WRONG_DEVICE,
			"port %s: unit '%s' answers, '%s' expected, with which the run began: was another unit put in its place?",
			role, who, said[k].who);
	said[k].protocol = protocol;
	snprintf(said[k].who, sizeof said[k].who, "%s", who);
	return 0;
}

/* --- away and back --- */

int role_ports_expect_replug(void *env, const char *role, struct err *e)
{
	struct role_ports *p = env;
	int i = p->ops->index(p->source, role, e);

	if (i < 0)
		return i;

	struct role_port *at = &p->port[i];

	at->claimed = true;
	at->claim = (struct role_claim){0};
	p->ops->claim(p->source, i, &at->claim.before);
	at->claim.since_us = now_us();
	return 0;
}

int role_ports_expect_other_serial(void *env, const char *role, struct err *e)
{
	struct role_ports *p = env;
	int i = p->ops->index(p->source, role, e);

	if (i < 0)
		return i;
	p->port[i].claim.other_serial = true;
	return 0;
}

/* The proof that can be had here: the USB serial, where the device has one in both its lives. What
 * else the source knows was in its look; what the unit itself says is compared by device.identify.
 */
static int prove_same(struct role_ports *p, int i, const struct device_facts *now, struct err *e)
{
	const struct role_claim *c = &p->port[i].claim;

	if (c->other_serial || !c->before.serial[0] || !now->serial[0] ||
		!strcmp(c->before.serial, now->serial))
		return 0;
	err_set(e, ERR_WRONG_DEVICE, "unit %s came back, %s expected", now->serial,
		c->before.serial);
	p->ops->prefix_device(p->source, i, e);
	return -ERR_WRONG_DEVICE;
}

static const struct role_claim *claim_of(const struct role_port *at)
{
	return at->claimed ? &at->claim : NULL;
}

/* A link at a fixed address: there when it can be opened. */
static int wait_open(struct role_ports *p, int i, const char *role, const struct iotime *it,
	struct device_facts *ret, struct err *e)
{
	const char *address = p->ops->fixed(p->source, i);
	struct role_port *at = &p->port[i];
	struct err tried = {0};
	int r = 0;

	while (r == 0 && open_link(p, i, role, address, it, &tried) < 0)
		r = iotime_sleep(TRY_EVERY_US, it, e);
	if (r == -ERR_TIMEOUT)
		return p->ops->not_back(p->source, i, claim_of(at), &tried, e);
	if (r < 0)
		return r;
	at->claimed = false;
	return p->ops->facts(p->source, i, ret, e);
}

static int wait_there(struct role_ports *p, int i, const struct iotime *it,
	struct device_facts *ret, struct err *e)
{
	bool fixed = p->ops->fixed(p->source, i);
	struct role_port *at = &p->port[i];
	const struct role_claim *c = claim_of(at);
	struct err tried = {0};
	int there;

	while ((there = p->ops->there(p->source, i, c, ret, &tried)) == 0) {
		int r = fixed ? iotime_sleep(TRY_EVERY_US, it, e) : p->ops->wait(p->source, it, e);

		if (r == -ERR_TIMEOUT)
			return p->ops->not_back(p->source, i, c, &tried, e);
		if (r < 0)
			return r;
	}
	close_at(at);
	at->dead = at->claimed = false;
	/* It was away: what it was asked before is forgotten. */
	if (c)
		link_turn_clear(&at->turn);
	if (there < 0)
		return err_set(e, tried.code, "%s", tried.msg);
	return c ? prove_same(p, i, ret, e) : 0;
}

int role_ports_wait(void *env, const char *role, const struct iotime *it, struct device_facts *ret,
	struct err *e)
{
	struct role_ports *p = env;
	int i = p->ops->index(p->source, role, e);
	struct device_facts now = {0};
	const char *fixed;
	int r;

	if (i < 0)
		return i;
	fixed = p->ops->fixed(p->source, i);
	if (fixed) {
		close_at(&p->port[i]);
		p->port[i].dead = false;
	}
	r = fixed && !is_usb(fixed) ? wait_open(p, i, role, it, &now, e)
				    : wait_there(p, i, it, &now, e);
	if (p->ops->wait_ends_claim)
		p->port[i].claimed = false;
	if (r == 0 && ret)
		*ret = now;
	return r;
}
