/* SPDX-License-Identifier: Apache-2.0
 *
 * Off and on again, with the proof by the devices that leave and come back: what device.power and device.reset share.
 * On the worker's thread.
 */
#pragma once

#include "daemon/actions/power/power_session.h"

/* The roles whose devices go with the power, and what is seen of them. */
struct power_roles {
	struct step *s;
	const char *role[POWER_ROLES_MAX + 1];
	bool was[POWER_ROLES_MAX + 1]; /* it was there before */
	size_t n;
	json_t *left, *back; /* arrays, owned */
};

/* Those of the switch, and the one that the step names (NULL: none). -ERR_UNSUPPORTED where that one has a fixed address: nobody
 * sees it leave. */
int power_roles_of(struct power_roles *r, struct step *s, const struct power_way *w,
	const char *named, struct err *e);
void power_roles_done(struct power_roles *r);
/* From now on they may leave. Before the switch. */
int power_roles_expect(struct power_roles *r, struct err *e);
/* All that were there have left. -ERR_POWER_NO_EFFECT names the one that stays. */
int power_roles_left(struct power_roles *r, uint64_t within_us, struct err *e);
/* All are there, and each is the unit that it was: step_env_ops.wait_device. */
int power_roles_back(struct power_roles *r, struct err *e);
void power_roles_say(const struct power_roles *r, struct step_result *out);

#define ARG_ROWS_POWER                                                                                             \
	{.name = "port",                                                                                           \
		.type = ARG_PORT,                                                                                  \
		.ports = PORT_KIND_TTY | PORT_KIND_USB | PORT_KIND_PROBE,                                          \
		.doc = "role whose device proves it: it has to leave, and to come back as the same unit; without " \
		       "it those that the station names ('roles' of its power)"},                                  \
		{.name = "within",                                                                                 \
			.type = ARG_DURATION,                                                                      \
			.def = "5s",                                                                               \
			.doc = "how long a device may take to leave once its power is off"},                       \
		{.name = "settle", .type = ARG_DURATION, .def = "0ms", .doc = "wait at the end"},                  \
	{                                                                                                          \
		.name = "off_for", .type = ARG_DURATION, .def = "1s",                                              \
		.doc = "how long the power stays off in between"                                                   \
	}
