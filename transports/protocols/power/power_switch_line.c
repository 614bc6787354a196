/* SPDX-License-Identifier: Apache-2.0
 *
 * A line of a GPIO chip, and a relay on a serial line.
 */
#include "base/util.h"
#include "transports/links/gpio.h"
#include "transports/protocols/power/power_switch_impl.h"
#include "transports/protocols/power/serial_relay.h"

/* --- GPIO --- */

static int gpio_state(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e)
{
	struct gpio *g = NULL;
	bool active = false, driven = false;
	int r = gpio_open(p->way->chip, p->way->line, p->way->active_low, &g, e);

	if (r == 0)
		r = gpio_read(g, &active, &driven, e);
	gpio_close(g);
	/* Of an input the level says what others do with the pin. */
	if (r == 0)
		*ret = !driven ? POWER_UNKNOWN : active ? POWER_ON : POWER_OFF;
	return r;
}

/* Let go before it is read back: what the driver does with a pin that nobody holds is part of what is proved. */
static int gpio_set(struct power_switch *p, bool on, const struct iotime *it, struct err *e)
{
	struct gpio *g = NULL;
	int r = gpio_open(p->way->chip, p->way->line, p->way->active_low, &g, e);

	if (r == 0)
		r = gpio_write(g, on, e);
	gpio_close(g);
	return r;
}

static void gpio_free(struct power_switch *p)
{
	free(p);
}

static const struct power_switch_ops gpio_ops = {gpio_state, gpio_set, gpio_free};

int power_switch_open_gpio(const struct power_way *w, const struct iotime *it,
	struct power_switch **ret, struct err *e)
{
	struct power_switch *p = xcalloc(1, sizeof *p);

	*p = (struct power_switch){&gpio_ops, w};
	*ret = p;
	return 0;
}

/* --- serial --- */

struct serial_switch {
	struct power_switch base;
	struct link *link;
};

static struct serial_switch *of(struct power_switch *p)
{
	return container_of(p, struct serial_switch, base);
}

static int serial_state(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e)
{
	return serial_relay_read(of(p)->link, p->way, ret, it, e);
}

static int serial_set(struct power_switch *p, bool on, const struct iotime *it, struct err *e)
{
	return serial_relay_switch(of(p)->link, p->way, on, it, e);
}

static void serial_close(struct power_switch *p)
{
	link_close(of(p)->link);
	free(of(p));
}

static const struct power_switch_ops serial_ops = {serial_state, serial_set, serial_close};

int power_switch_open_serial(const struct power_way *w, const struct iotime *it,
	struct power_switch **ret, struct err *e)
{
	const struct link_config cfg = LINK_CONFIG_DEFAULT;
	struct link *l = NULL;
	struct serial_switch *s;
	int r = link_open(w->address, &cfg, it, &l, e);

	if (r < 0)
		return r;
	s = xcalloc(1, sizeof *s);
	s->base = (struct power_switch){&serial_ops, w};
	s->link = l;
	*ret = &s->base;
	return 0;
}
