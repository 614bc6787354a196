/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/boot_pins.h"

#define LEAVE_US (2 * US_PER_S)

int boot_pins_parse(const struct args *a, struct boot_pins *ret, struct err *e)
{
	int r = line_steps_parse(args_str(a, "enter"), &ret->enter, e);

	return r < 0 ? r : line_steps_parse(args_str(a, "exit"), &ret->exit, e);
}

int boot_pins_enter(
	const struct boot_pins *p, struct link *l, const struct iotime *it, struct err *e)
{
	return line_steps_run(l, &p->enter, it, e);
}

void boot_pins_leave(const struct boot_pins *p, struct link *l)
{
	const struct iotime none = {NO_DEADLINE, NULL};
	struct iotime it = iotime_within(&none, LEAVE_US);

	if (!l->dead && p->exit.n)
		line_steps_run(l, &p->exit, &it, NULL);
}
