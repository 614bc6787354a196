/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of switches, for power_switch.c alone. Each opens one of its kind.
 */
#pragma once

#include "transports/protocols/power/power_switch.h"

int power_switch_open_hub(const struct power_way *w, const struct iotime *it,
	struct power_switch **ret, struct err *e);
int power_switch_open_hid(const struct power_way *w, const struct iotime *it,
	struct power_switch **ret, struct err *e);
int power_switch_open_gpio(const struct power_way *w, const struct iotime *it,
	struct power_switch **ret, struct err *e);
int power_switch_open_serial(const struct power_way *w, const struct iotime *it,
	struct power_switch **ret, struct err *e);
