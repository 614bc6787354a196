/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/worker_ports.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "daemon/line/binding.h"
#include "daemon/line/services.h"

_Static_assert(STATION_PORTS_MAX <= ROLE_PORTS_MAX, "each port of a station is a role");

static int port_index(void *src, const char *role, struct err *e)
{
	const struct station *s = src;

	for (size_t i = 0; i < s->cfg->ports; i++)
		if (!strcmp(s->cfg->port[i].role, role))
			return (int)i;
	return err_set(e, ERR_PORT_UNBOUND, "station %s has no port '%s'", s->cfg->id, role);
}

static const char *port_fixed(void *src, int i)
{
	return ((const struct station *)src)->cfg->port[i].address;
}

int worker_port_facts(struct station *s, int i, struct device_facts *ret, struct err *e)
{
	const struct port_config *pc = &s->cfg->port[i];
	bool present;

	if (pc->address) {
		*ret = (struct device_facts){0};
		snprintf(ret->node, sizeof ret->node, "%s", pc->address);
		return 0;
	}
	mutex_lock(&s->lock);
	present = s->port[i].present;
	*ret = s->port[i].facts;
	mutex_unlock(&s->lock);
	return present ? 0 : err_set(e, ERR_DEVICE_GONE, "port %s: nothing is plugged", pc->role);
}

static int port_facts(void *src, int i, struct device_facts *ret, struct err *e)
{
	return worker_port_facts(src, i, ret, e);
}

static int port_fits(void *src, int i, const char *node, bool usb, struct err *e)
{
	const char *role = ((const struct station *)src)->cfg->port[i].role;
	bool is_usb = !strncmp(node, "usb:", 4);

	if (is_usb && !usb)
		return err_set(e, ERR_PORT_UNBOUND,
			"port %s: a USB device is bound there, this step needs a tty or an address",
			role);
	if (!is_usb && usb)
		return err_set(e, ERR_PORT_UNBOUND,
			"port %s: %s is bound there, this step needs a USB device (kind: usb)",
			role, node);
	return 0;
}

static void port_settings(void *src, int i, struct link_config *c)
{
	const struct port_config *pc = &((const struct station *)src)->cfg->port[i];

	if (pc->baud)
		c->baud = pc->baud;
}

static void port_claim(void *src, int i, struct device_facts *ret)
{
	struct station *s = src;

	mutex_lock(&s->lock);
	s->port[i].claimed = true;
	*ret = s->port[i].facts;
	mutex_unlock(&s->lock);
}

static bool address_there(const struct station *s, int i, struct err *e)
{
	struct usb_facts f;

	return usb_look(s->cfg->port[i].address, &f, e) == 0;
}

/* What the main thread has reported of it since. */
static int port_there(
	void *src, int i, const struct role_claim *c, struct device_facts *ret, struct err *e)
{
	struct station *s = src;
	const struct port_config *pc = &s->cfg->port[i];
	bool there;
	bool wrong;

	if (pc->address)
		return address_there(s, i, e) && worker_port_facts(s, i, ret, e) == 0;
	mutex_lock(&s->lock);
	*ret = s->port[i].facts;
	wrong = s->port[i].wrong;
	there = s->port[i].present && (!c || ret->generation != c->before.generation);
	if (there) {
		s->port[i].claimed = false;
		if (ret->generation > s->known.generation)
			s->known.generation = ret->generation;
	}
	mutex_unlock(&s->lock);
	if (!there)
		return 0;
	/* Letters wait for the end of the run; the wake-up that announced them was eaten. */
	station_poke(s);
	if (c && wrong)
		return err_set(e, ERR_WRONG_DEVICE,
			"port %s: device %s:%s came back, %s:%s expected (see 'also' of the port)",
			pc->role, ret->vid, ret->pid, pc->vid ? pc->vid : "any",
			pc->pid ? pc->pid : "any");
	return 1;
}

static int port_wait(void *src, const struct iotime *it, struct err *e)
{
	struct station *s = src;
	int r = iotime_wait(s->wake_fd, POLLIN, it, e);
	eventfd_t n;

	if (r < 0)
		return r;
	eventfd_read(s->wake_fd, &n);
	return 0;
}

/* It did not come back here; the same serial number may have come up elsewhere meanwhile. Only
 * reported at the deadline: blank units of one kind may all carry the same. */
static int port_not_back(
	void *src, int i, const struct role_claim *c, const struct err *tried, struct err *e)
{
	const struct station *s = src;
	const struct port_config *pc = &s->cfg->port[i];
	char path[DEVICE_PATH_BYTES];

	if (pc->address)
		return err_set(e, ERR_DEVICE_GONE, "%s", tried->msg);
	if (!c)
		return err_set(
			e, ERR_TIMEOUT, "port %s: the device did not appear in time", pc->role);
	if (c->before.serial[0] && binding_moved(s->line->binding, c->before.serial, c->before.path,
					   c->since_us, path, sizeof path))
		return err_set(e, ERR_WRONG_DEVICE,
			"port %s: unit %s came back on port %s instead: plug it where it was",
			pc->role, c->before.serial, path);
	return err_set(
		e, ERR_DEVICE_GONE, "port %s: the device did not come back in time", pc->role);
}

static void port_prefix(void *src, int i, struct err *e)
{
	err_prefix(e, "port %s", ((const struct station *)src)->cfg->port[i].role);
}

const struct role_source_ops worker_ports_source = {
	.link_broke = "the link broke during the run",
	.index = port_index,
	.fixed = port_fixed,
	.facts = port_facts,
	.fits = port_fits,
	.settings = port_settings,
	.claim = port_claim,
	.there = port_there,
	.wait = port_wait,
	.not_back = port_not_back,
	.prefix_role = port_prefix,
	.prefix_device = port_prefix,
};
