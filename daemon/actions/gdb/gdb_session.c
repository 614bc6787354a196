/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/gdb/gdb_session.h"

#include "base/strbuf.h"

int gdb_session_open(struct gdb_session *x, struct err *e)
{
	const struct teller tell = step_teller(x->s);
	struct link *l = NULL;
	int r = step_link(x->s, args_str(x->a, "port"), &l, e);

	return r < 0 ? r : gdb_open(l, &tell, &x->s->it, &x->gdb, e);
}

/* A server serves one client: the next step, or another tool, connects again. */
void gdb_session_done(struct gdb_session *x)
{
	x->gdb = gdb_free(x->gdb);
	if (x->s)
		x->s->ops->link_close(x->s->env, args_str(x->a, "port"));
}

/* Some servers answer OK to what they do not know, and only print it (QEMU). */
#define NOT_KNOWN                                                                            \
	"(?im)^\\W*(?:monitor: )?(?:unknown|unrecogni[sz]ed|undefined|invalid|ambiguous|no " \
	"such)\\b"                                                                           \
	"|\\bcommand not (?:found|known|recogni[sz]ed|supported)\\b"

int gdb_known_command(const char *command, const char *text, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	struct strbuf plain = {0};
	int r = regex_new(NOT_KNOWN, &x, e);

	if (r < 0 || !regex_may_match(x, text, strlen(text)))
		return r;
	sb_add_escaped(&plain, text, MIN(strlen(text), (size_t)160));
	r = err_set(
		e, ERR_DEVICE_REFUSED, "monitor '%s': the server printed '%s'", command, plain.s);
	sb_done(&plain);
	return r;
}

int gdb_session_monitor(struct gdb_session *x, const char *name, struct err *e)
{
	const json_t *list = args_has(x->a, name) ? args_json(x->a, name) : NULL;
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *command = json_string_value(item);
		char *text = NULL;
		int r;

		step_log(x->s, '>', "monitor %s", command);
		r = gdb_monitor(x->gdb, command, &text, &x->s->it, e);
		if (r == 0)
			r = gdb_known_command(command, text, e);
		free(text);
		if (r < 0)
			return err_prefix(e, "'%s'", name);
	}
	return 0;
}
