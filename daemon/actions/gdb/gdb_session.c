/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/gdb/gdb_session.h"

#include "base/strbuf.h"

const char *const gdb_serves[] = {"none", "openocd", NULL};

static bool serves(const struct args *a)
{
	const char *v = args_str(a, "serve");

	return v && !strcmp(v, "openocd");
}

int gdb_session_check(const struct args *a, struct err *e)
{
	static const char *const of_openocd[] = {"interface", "target", "select", "serial",
		"transport", "speed", "work_area", "setup"};
	bool starts = args_given(a, "serve") && serves(a);

	if (starts && !args_given(a, "target"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'serve: openocd' needs 'target': stm32f4x, nrf52 or a .cfg file");
	for (size_t i = 0; i < ARRAY_LEN(of_openocd) && !starts; i++)
		if (args_given(a, of_openocd[i]))
			return err_set(e, ERR_RECIPE_INVALID,
				"'%s' is for an OpenOCD that the step starts: add 'serve: openocd'",
				of_openocd[i]);
	return 0;
}

/* Its own "before" and "after" are for this step to say, as monitor commands. */
static int start_server(struct gdb_session *x, struct link **ret, struct err *e)
{
	const struct teller tell = step_teller(x->s);
	int r = openocd_step_init(&x->probe, x->s, x->a, e);

	x->probe.probe.gdb = true;
	x->probe.job.enter = OPENOCD_AS_IT_IS;
	if (r == 0)
		r = openocd_step_begin(&x->probe, &x->server, x->out, e);
	return r < 0 ? r : openocd_server_gdb(x->server, &tell, &x->s->it, ret, e);
}

int gdb_session_open(struct gdb_session *x, struct err *e)
{
	const struct teller tell = step_teller(x->s);
	struct link *l = NULL;
	int r = serves(x->a) ? start_server(x, &l, e)
			     : step_link(x->s, args_str(x->a, "port"), &l, e);

	return r < 0 ? r : gdb_open(l, &tell, &x->s->it, &x->gdb, e);
}

int gdb_session_end(struct gdb_session *x, int r, struct err *e)
{
	return x->server ? openocd_server_gdb_end(x->server, r, e) : r;
}

void gdb_session_done(struct gdb_session *x)
{
	x->gdb = gdb_free(x->gdb);
	if (x->server)
		x->server = openocd_server_free(x->server);
	else if (x->s && !serves(x->a))
		x->s->ops->link_close(x->s->env, args_str(x->a, "port"));
	openocd_step_done(&x->probe);
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
