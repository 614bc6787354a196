/* SPDX-License-Identifier: Apache-2.0
 *
 * The switch of a unit's power: its turn among the stations for the time of one request, the pause that the policy asks
 * for, and what the step says of it. On the worker's thread.
 */
#pragma once

#include "daemon/actions/common.h"
#include "transports/links/link_queue.h"
#include "transports/protocols/power/power_switch.h"

struct power_session {
	struct step *s;
	struct power_way way;
	struct link_pass *pass; /* while it is read or set; NULL: nobody else switches here */
	enum power_state found, now;
	bool known; /* it was read */
	bool touched;
	bool ends_on; /* of the step: off, and on again */
	bool is_off;  /* it was switched off, or it was tried, and not on since */
};

/* How the power is switched here, and how it is now; nothing stays open. The errors of power_switch.h, and those of
 * step_env_ops.power. */
int power_session_open(struct power_session *p, struct step *s, struct err *e);
/* Sets it, after the pause where another one of its group was switched on, and reads it back. The first time what is
 * owed is recorded before. */
int power_session_set(struct power_session *p, bool on, struct err *e);
/* A step that ends on broke off with error r: on, also when the run was aborted, but not where the power is to be left
 * off. Returns r. */
int power_session_restore(struct power_session *p, int r);
/* For a preflight(): whether there is a way at all. */
int power_preflight(struct step *s, struct err *e);
/* Where it is, what it was found as, what it says now, and how that is known. */
void power_session_say(const struct power_session *p, struct step_result *out);

/* The kinds that the transports do not know. */
int power_open_scpi(
	const struct power_way *w, struct step *s, struct power_switch **ret, struct err *e);
int power_open_program(
	const struct power_way *w, struct step *s, struct power_switch **ret, struct err *e);
