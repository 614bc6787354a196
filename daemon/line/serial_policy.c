/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/serial_policy.h"

#include <string.h>

#include "base/regex.h"
#include "base/util.h"
#include "daemon/line/wall.h"
#include "daemon/recipe/recipe.h"
#include "db/pools.h"

int serial_policy_check(const struct recipe *r, struct db *tx, struct wall *wall, struct err *e)
{
	bool dated = false;
	int ret;

	if (r->serial_source != SERIAL_POOL)
		return 0;
	ret = pools_dated(tx, r->serial_pool, &dated, e);
	return ret < 0 || !dated ? ret : wall_check(wall, e);
}

static int check_scanned(const struct recipe *r, const char *value, struct err *e)
{
	struct regex *re = NULL;
	bool fits;

	if (!r->serial_pattern)
		return 0;
	if (regex_new(r->serial_pattern, &re, e) < 0)
		return -(int)e->code;
	fits = regex_match(re, value, strlen(value), NULL);
	regex_free(re);
	return fits ? 0
		    : err_set(e, ERR_UNEXPECTED_REPLY,
			      "'%.64s' was scanned, which does not match '%s'", value,
			      r->serial_pattern);
}

struct ledger_source serial_policy_value(const struct recipe *r, const char *slot, const char *pool,
	struct wall *wall, struct err *clock)
{
	return (struct ledger_source){.from = LEDGER_POOL,
		.pool = pool,
		.slot = slot,
		.model = r->model,
		.no_date = wall_check(wall, clock) < 0 ? clock->msg : NULL};
}

int serial_policy_source(const struct recipe *r, const char *kind, const char *value,
	struct wall *wall, struct err *clock, struct ledger_source *ret, struct err *e)
{
	struct ledger_source s = {.kind = "serial", .model = r->model, .value = value};
	int err;

	if (kind && !strcmp(kind, "device"))
		s.from = LEDGER_DEVICE;
	else if (kind && !strcmp(kind, "scan"))
		s.from = LEDGER_SCAN;
	else if (r->serial_source == SERIAL_POOL)
		s.from = LEDGER_POOL;
	else if (r->serial_source == SERIAL_JOB)
		s.from = LEDGER_JOB;
	else
		return err_set(e, ERR_RECIPE_INVALID,
			"the serial is scanned: an operator.scan or unit.serial step must come first");
	if (s.from == LEDGER_SCAN) {
		err = check_scanned(r, value, e);
		if (err < 0)
			return err;
	}
	s.pool = s.from == LEDGER_POOL ? r->serial_pool : NULL;
	if (wall_check(wall, clock) < 0)
		s.no_date = clock->msg;
	*ret = s;
	return 0;
}
