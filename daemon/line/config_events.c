/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may be told of events, and how much may wait for them.
 */
#include "daemon/line/config_impl.h"

#include "base/util.h"
#include "db/events.h"
#include "db/webhooks.h"

/* --- webhooks --- */

static void read_allow(
	struct http_allow *a, const json_t *v, const char *pointer, struct mistakes *m)
{
	const json_t *item;
	size_t i;
	struct err e;

	if (!json_is_array(v))
		mistakes_add(m, pointer,
			"a list of receivers expected, such as [mes.example.com, 10.1.0.0/16]");
	json_array_foreach(v, i, item) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		if (!json_is_string(item))
			mistakes_add(m, p,
				"a receiver is a text: HOST, *.DOMAIN, or a network such as 10.1.0.0/16");
		else if (http_allow_add(a, json_string_value(item), &e) < 0)
			mistakes_add(m, p, "%s", e.msg);
	}
}

static void read_allowed(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_allow(&((struct webhooks_config *)to)->allow, v, pointer, m);
}

static void read_clear(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	read_allow(&((struct webhooks_config *)to)->clear, v, pointer, m);
}

#define TEXTS_SCHEMA "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"

const struct form_row webhooks_rows[] = {
	{"allow", FORM_OWN, .read = read_allowed, .schema = TEXTS_SCHEMA,
		.doc = "The receivers: HOST and *.DOMAIN, where they resolve to addresses of the internet, and networks such as 10.1.0.0/16, whatever resolves to them. An address of the plant or of this machine needs its network here."},
	{"clear", FORM_OWN, .read = read_clear, .schema = TEXTS_SCHEMA,
		.doc = "Those of them that http:// may reach as well. It may reach this machine, where allow has it."},
	{"ca", FORM_PATH,
		.doc = "Certificates that sign the receivers', in the place of the system's.",
		FORM_AT(struct webhooks_config, ca)},
	{"timeout", FORM_DURATION, .def = "10s", .low = 100000,
		.doc = "How long one receiver may take for its answer.",
		FORM_AT(struct webhooks_config, timeout_us)},
	{"give_up", FORM_DURATION, .def = "5d", .low = 1000000,
		.doc = "How long a receiver is tried that takes nothing, until its webhook is disabled; and one event that it does not take, until that is put aside.",
		FORM_AT(struct webhooks_config, give_up_us)},
	{0},
};

void config_read_webhooks(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(webhooks_rows, v, pointer, "key", &c->webhooks, m);
	else
		mistakes_add(
			m, pointer, "'webhooks' is a mapping such as {allow: [mes.example.com]}");
}

/* --- the spool folder --- */

static void read_types(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct spool_config *s = to;
	const json_t *item;
	size_t i;
	struct err e;

	if (!json_is_array(v))
		mistakes_add(m, pointer,
			"a list of types of events expected, such as [run-finished, 'unit-*']");
	s->types = json_array();
	json_array_foreach(v, i, item) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);
		const char *type = json_string_value(item);

		if (events_check_type(type ? type : "", &e) < 0)
			mistakes_add(m, p, "%s", e.msg);
		json_array_append(s->types, (json_t *)item);
	}
}

/* Of webhook_formats those that a file may have. */
static const char *const spool_formats[] = {
	[WEBHOOK_EVENT] = "event", [WEBHOOK_WSJF] = "wsjf", NULL};

const struct form_row spool_rows[] = {
	{"dir", FORM_PATH, .required = true,
		.doc = "The folder, which is there and which provd may write. Each file is named by the number of its event and its type, such as 0000000000004711-run-finished.json, so that names sort in the order of events, and gets that name when it is whole. Who reads a file removes it.",
		FORM_AT(struct spool_config, dir)},
	{"types", FORM_OWN, .read = read_types, .schema = TEXTS_SCHEMA,
		.doc = "Types of events, such as run-finished, or their beginnings with a '*', such as 'unit-*'; by default all."},
	{"format", FORM_CHOICE, .choices = spool_formats, .def = "event",
		.doc = "event: each file is an event. wsjf: each is the report of a run that ended, as WATS imports it; then types is [run-finished].",
		FORM_AT(struct spool_config, format)},
	{0},
};

static bool only_ends_of_runs(const json_t *types)
{
	return json_array_size(types) == 1 &&
	       !strcmp(json_string_value(json_array_get(types, 0)), "run-finished");
}

/* The report is that of a run: other events have none. */
static void check_format(struct spool_config *s, const char *pointer, struct mistakes *m)
{
	if (s->format != WEBHOOK_WSJF)
		return;
	if (!s->types)
		s->types = json_pack("[s]", "run-finished");
	if (m->count == 0 && !only_ends_of_runs(s->types))
		mistakes_add(m, pointer,
			"'spool' writes reports of runs (format: wsjf), which only run-finished has: leave 'types' out, or write [run-finished]");
}

void config_read_spool(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(spool_rows, v, pointer, "key", &c->spool, m);
	else
		mistakes_add(m, pointer, "'spool' is a mapping such as {dir: /srv/provd/spool}");
	check_format(&c->spool, pointer, m);
}

/* --- how much may wait --- */

const struct form_row outbox_rows[] = {
	{"stop_after", FORM_INT, .low = 0, .high = 1000000000, .def = "0",
		.doc = "Where more messages than these wait for one of them, no new unit begins; it goes on by itself once three quarters are left. 0 never.",
		FORM_AT(struct outbox_config, stop_after)},
	{"stop_age", FORM_DURATION, .def = "0s",
		.doc = "The same for the age of the oldest that waits. 0s never.",
		FORM_AT(struct outbox_config, stop_age_us)},
	{"warn_after", FORM_INT, .low = 0, .high = 1000000000, .def = "0",
		.doc = "Where more than these wait the log says so, and /backlog. 0 never.",
		FORM_AT(struct outbox_config, warn_after)},
	{"warn_age", FORM_DURATION, .def = "0s",
		.doc = "The same for the age of the oldest. 0s never.",
		FORM_AT(struct outbox_config, warn_age_us)},
	{0},
};

void config_read_outbox(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(outbox_rows, v, pointer, "key", &c->outbox, m);
	else
		mistakes_add(m, pointer,
			"'outbox' is a mapping such as {stop_after: 10000, stop_age: 24h}");
}

/* --- all of them --- */

void config_events_defaults(struct config *c, struct mistakes *m)
{
	json_t *none = json_object();

	if (!c->webhooks.give_up_us)
		form_read(webhooks_rows, none, "/webhooks", "key", &c->webhooks, m);
	if (!c->spool.types)
		c->spool.types = json_array();
	json_decref(none);
}

void config_events_done(struct config *c)
{
	form_done(webhooks_rows, &c->webhooks);
	http_allow_done(&c->webhooks.allow);
	http_allow_done(&c->webhooks.clear);
	form_done(spool_rows, &c->spool);
	json_decref(c->spool.types);
}
