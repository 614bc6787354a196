/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/power/power_switch.h"

#include "base/util.h"
#include "transports/protocols/power/power_switch_impl.h"

/* Whose fault it is says the code: an answer that is missing is not the unit's. */
static bool is_of_medium(int r)
{
	return r == -ERR_TIMEOUT || r == -ERR_DEVICE_GONE || r == -ERR_PROTOCOL ||
	       r == -ERR_DEVICE_REFUSED || r == -ERR_IO;
}

int power_switch_blame(const struct power_way *w, int r, const struct iotime *it, struct err *e)
{
	if (r >= 0)
		return r;
	/* A cancel is a reason of its own; the step's deadline is not: the switch took too long. */
	if (is_of_medium(r) && (r == -ERR_TIMEOUT || iotime_check(it, NULL) != r)) {
		if (e)
			e->code = ERR_POWER_SWITCH;
		r = -ERR_POWER_SWITCH;
	}
	return err_prefix(e, "power at %s", w->place), r;
}

int power_switch_open(const struct power_way *w, const struct iotime *it, struct power_switch **ret,
	struct err *e)
{
	static int (*const open[])(const struct power_way *, const struct iotime *,
		struct power_switch **, struct err *) = {[POWER_HUB] = power_switch_open_hub,
		[POWER_HID_RELAY] = power_switch_open_hid,
		[POWER_GPIO] = power_switch_open_gpio,
		[POWER_SERIAL_RELAY] = power_switch_open_serial};
	struct power_switch *p = NULL;
	int r;

	if ((size_t)w->kind >= ARRAY_LEN(open))
		return err_set(e, ERR_INTERNAL, "a switch of kind %s is not opened here",
			power_kind_names[w->kind]);
	r = open[w->kind](w, it, &p, e);
	if (r < 0)
		return power_switch_blame(w, r, it, e);
	*ret = p;
	return 0;
}

struct power_switch *power_switch_close(struct power_switch *p)
{
	if (p)
		p->ops->close(p);
	return NULL;
}

int power_switch_read(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e)
{
	return power_switch_blame(p->way, p->ops->read(p, ret, it, e), it, e);
}

int power_switch_set(struct power_switch *p, bool on, enum power_state *ret,
	const struct iotime *it, struct err *e)
{
	const enum power_state want = on ? POWER_ON : POWER_OFF;
	enum power_state now = POWER_UNKNOWN;
	int r = p->ops->set(p, on, it, e);

	if (r == 0)
		r = p->ops->read(p, &now, it, e);
	if (r == 0 && now != POWER_UNKNOWN && now != want)
		r = err_set(e, ERR_POWER_STATE, "it was switched %s, and says that it is %s",
			power_state_str(want), power_state_str(now));
	if (r < 0)
		return power_switch_blame(p->way, r, it, e);
	*ret = now;
	return 0;
}
