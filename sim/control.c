/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/control.h"

#include <string.h>

#include "base/iotime.h"

#define FLOOD_BYTES_MAX (64 << 20)

struct control {
	struct loop *loop;
	struct fleet *fleet;
	struct server *server;
};

/* Fills the answer o; 0 or -code. s is NULL where the command takes no board. */
typedef int command_fn(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e);

static json_int_t number(const json_t *in, const char *key, json_int_t standard)
{
	const json_t *v = json_object_get(in, key);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : standard;
}

static uint64_t gap_us(const json_t *in)
{
	return (uint64_t)number(in, "gap_ms", REPLUG_GAP_US / US_PER_MS) * US_PER_MS;
}

static int do_list(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < fleet_size(f); i++)
		json_array_append_new(list, slot_json(fleet_slot(f, i), false));
	json_object_set_new(o, "boards", list);
	json_object_set_new(o, "units_made", json_integer(fleet_units_made(f)));
	return 0;
}

static int do_state(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	json_object_set_new(o, "state", slot_json(s, true));
	return 0;
}

static int do_plug(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	return slot_plug(s, e);
}

static int do_unplug(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	slot_unplug(s);
	return 0;
}

static int do_replug(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	slot_replug(s, gap_us(in), (unsigned)number(in, "times", 1));
	return 0;
}

static int do_next(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	int r = slot_next(s, gap_us(in), e);

	if (r == 0)
		json_object_set_new(o, "uid", json_string(s->device->uid));
	return r;
}

static int do_reset(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	slot_reset(s);
	return 0;
}

static int do_change(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	slot_change(s);
	return 0;
}

static int do_fault(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	const char *spec = json_string_value(json_object_get(in, "fault"));

	if (!spec)
		return err_set(e, ERR_INVALID, "fault: expected \"fault\":\"NAME[=ARG]...\"");
	return slot_fault(s, spec, e);
}

static int do_clear(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	slot_clear_faults(s);
	return 0;
}

static int do_flood(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	json_int_t bytes = number(in, "bytes", 65536);

	if (bytes > FLOOD_BYTES_MAX)
		return err_set(e, ERR_INVALID, "flood: %d bytes at most", FLOOD_BYTES_MAX);
	slot_flood(s, (size_t)bytes);
	return 0;
}

static int do_quit(struct fleet *f, struct slot *s, const json_t *in, json_t *o, struct err *e)
{
	return 0;
}

static const struct command {
	const char *name;
	bool board;
	command_fn *fn;
	const char *help;
} commands[] = {
	{"list", false, do_list, "all boards: link, state, uid, serial"},
	{"state", true, do_state, "one board, whole: unit, faults, SHA-256 of the flash"},
	{"plug", true, do_plug, "put it in"},
	{"unplug", true, do_unplug, "pull it out"},
	{"replug", true, do_replug, "out and in again: gap_ms (300), times (1)"},
	{"swap", true, do_next, "another, blank unit comes: gap_ms (300)"},
	{"next", true, do_next, "as swap: what an operator does when a unit is done"},
	{"reset", true, do_reset, "power off and on in its socket"},
	{"change", true, do_change, "udev reports a change of the device"},
	{"fault", true, do_fault, "set one: fault \"NAME[=ARG],phase=P,count=N\""},
	{"clear-faults", true, do_clear, "forget all faults, end a stall"},
	{"flood", true, do_flood, "the board babbles: bytes (65536)"},
	{"quit", false, do_quit, "end provsim"},
};

void control_print(FILE *out)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  {\"cmd\":\"%s\"%s}%*s %s\n", commands[i].name,
			commands[i].board ? ",\"board\":\"b1\"" : "",
			(int)(14 - strlen(commands[i].name)) + (commands[i].board ? 0 : 13), "",
			commands[i].help);
}

static int answer(struct fleet *f, const json_t *in, json_t *o, bool *ret_quit, struct err *e)
{
	const char *cmd = json_string_value(json_object_get(in, "cmd"));
	const char *board = json_string_value(json_object_get(in, "board"));

	for (size_t i = 0; cmd && i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];
		struct slot *s = c->board ? fleet_find(f, board) : NULL;

		if (strcmp(cmd, c->name))
			continue;
		if (c->board && !s)
			return err_set(
				e, ERR_INVALID, "%s: no board '%s'", cmd, board ? board : "");
		*ret_quit = c->fn == do_quit;
		return c->fn(f, s, in, o, e);
	}
	return err_set(e, ERR_INVALID, "no command '%s'; see `provsim --help`", cmd ? cmd : "");
}

json_t *control_answer(struct fleet *f, const char *line, bool *ret_quit)
{
	struct err e = {0};
	json_error_t je;
	json_t *in = json_loads(line, JSON_REJECT_DUPLICATES, &je);
	json_t *o = json_object();
	int r;

	*ret_quit = false;
	json_object_set_new(o, "ok", json_true());
	if (!json_is_object(in))
		r = err_set(&e, ERR_INVALID, "not a JSON object: %s", in ? "" : je.text);
	else
		r = answer(f, in, o, ret_quit, &e);
	if (r < 0) {
		json_object_set_new(o, "ok", json_false());
		json_object_set_new(o, "error", json_string(e.msg));
	}
	json_decref(in);
	return o;
}

static void on_line(void *data, struct server_client *client, const char *line)
{
	struct control *c = data;
	bool quit;
	json_t *o = control_answer(c->fleet, line, &quit);
	_cleanup_(freep) char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	if (text) {
		server_send(client, text, strlen(text));
		server_send(client, "\n", 1);
	}
	if (quit)
		loop_quit(c->loop);
}

static const struct server_ops ops = {NULL, on_line};

int control_new(
	struct loop *l, struct fleet *f, const char *path, struct control **ret, struct err *e)
{
	struct control *c = xcalloc(1, sizeof *c);
	int r;

	c->loop = l;
	c->fleet = f;
	r = server_new(l, path, &ops, c, &c->server, e);
	if (r < 0) {
		control_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct control *control_free(struct control *c)
{
	if (c) {
		server_free(c->server);
		free(c);
	}
	return NULL;
}
