/* SPDX-License-Identifier: Apache-2.0 */
#include "db/audit.h"

#include "base/timefmt.h"
#include "db/stmt.h"

int audit_add(struct db *tx, const struct audit_who *who, const char *action, const char *target,
	const json_t *detail, struct err *e)
{
	static const char sql[] =
		"INSERT INTO audit (at, principal, token, address, action, target,"
		" detail) VALUES (?, ?, ?, ?, ?, ?, coalesce(?, '{}'))";

	return db_do(tx, e, sql, wall_ms(), who->principal, who->token ? who->token : "",
		who->address ? who->address : "", action, target, detail);
}

int audit_list(struct db *d, const char *principal, const struct db_page *page, struct db_list *ret,
	struct err *e)
{
	static const struct column columns[] = {{"seq", AS_INT}, {"at", AS_TIME},
		{"principal", AS_TEXT}, {"token", AS_TEXT}, {"address", AS_TEXT},
		{"action", AS_TEXT}, {"target", AS_TEXT}, {"detail", AS_JSON}, {0}};
	SELECT(list, "SELECT seq, at, principal, token, address, action, target, detail FROM audit",
		columns);
	static const struct keyset order = {.major = "seq"};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "principal = ?", principal);
	return sel_page(&s, d, &order, page, ret, e);
}
