/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a unit may be made here and now, which somebody else knows: a service of provd.yaml is asked by POST, as
 * CFX's ValidateUnitsRequest would be, once the unit is recognised and before anything is done to it.
 *
 *	{id, validations: ["UnitRouteValidation", "UnitStatusValidation"], primary_identifier, units: [{unit_identifier,
 *	 unit_position_number}], chip_id, order: {id, number, external_ref}, recipe: {name, version}, station, run, params}
 *	200 {id, result: "allow" | "hold" | "reject", reason}
 *
 * Where `service` of the order is "cfx" and no service has that name, the endpoint of `cfx.validate_address` is asked
 * (route_cfx.h).
 *
 * The id is of that question alone and comes back with the answer, so that the answer to another one (late, or of a proxy)
 * is none. Whatever is no such answer is none, and then the order says what happens.
 *
 * Worker threads; nothing is locked and no transaction is open while it is asked.
 */
#pragma once

#include "base/iotime.h"
#include "daemon/line/route_answer.h"

struct line_services;

/* 0 with the verdict; an error is the cancel's reason alone. */
int route_check(const struct line_services *line, const struct route_ask *ask,
	const struct cancel *cancel, struct route_answer *ret, struct err *e);
/* What a body with that status says; for tests. id: of the question. */
void route_read(const char *body, long status, const char *id, struct route_answer *ret);
